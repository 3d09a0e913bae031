"""Checks of a series: missing and repeated rows, clock changes, missing values."""

from collections.abc import Iterator, Mapping

import numpy as np

from kzoo.checks.finding import Finding, check, warning
from kzoo.checks.new_data import NewData
from kzoo.checks.subject import Subject
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural
from kzoo.zoo.results.coverage import coverage_findings

_UNEVEN = 0.02  # share of the steps, or of the rows
_SHOWN = 3  # gaps and repeated times that are listed


@check("data", "series")
def uneven_times(subject: Subject | NewData) -> Iterator[Finding]:
    """Find time steps of different lengths."""
    time = _time(subject)
    # With a step of 0, most rows repeat a time, which `repeated_times` reports.
    if time and time["uneven"] > _UNEVEN and time["seconds"] != 0:
        worst = f", {_between(time['worst'][0])}" if time["worst"] else ""
        yield warning(
            f"{time['uneven']:.0%} of the steps are not {time['step']} long, the longest is {time['longest']}{worst}",
            where=f"column {time['column']!r}",
            why="If the step is regular, missing rows are filled in; otherwise the network counts rows as steps.",
            fix="Resample the rows to a constant step, for example with DataFrame.resample.",
        )


@check("data", "series")
def holes_in_time(subject: Subject | NewData) -> Iterator[Finding]:
    """Find missing rows in a series with otherwise constant steps."""
    time = _time(subject)
    if time and time["holes"] and time["uneven"] <= _UNEVEN:
        holes = [f"{hole['lasts']} {_between(hole)}" for hole in time["worst"]]
        yield warning(
            f"{plural(time['missing'], 'row')} missing in {plural(time['holes'], 'gap')} (step: {time['step']}); "
            f"longest: {listed(holes[:_SHOWN], separator='; ')}",
            where=f"column {time['column']!r}",
            why="Short gaps are filled in from the season before; no window crosses a long one.",
            fix="Add the rows if they exist; start the data after a long gap.",
        )


@check("data", "series")
def repeated_times(subject: Subject | NewData) -> Iterator[Finding]:
    """Find rows with the same time as another row."""
    time = _time(subject)
    if time and time["repeats"]:
        yield warning(
            f"{plural(time['repeats'], 'row')} of {time['rows']:,} with a repeated time, the first ones at "
            f"{listed(time['repeated'][:_SHOWN])}",
            where=f"column {time['column']!r}",
            why="If the step is regular, the last row of each time is used. They may be duplicates or several series.",
            fix="Name the column that tells several series apart in series_id=, or keep one row per time "
            "(DataFrame.drop_duplicates, or groupby and mean).",
        )


@check("data", "series")
def times_out_of_order(subject: Subject) -> Iterator[Finding]:
    """Find rows that are not sorted by time, ascending or descending."""
    time = _time(subject)
    if (
        time
        and max(2, _UNEVEN * time["rows"]) < time["disorder"] < time["rows"] - time["repeats"] - 1
    ):
        yield warning(
            f"{time['disorder']:,} of {time['rows']:,} rows have an earlier time than the row before",
            where=f"column {time['column']!r}",
            why="The file may contain several series, which sorting by time has mixed into one.",
            fix="Name the column that tells several series apart in series_id=, or use a single series.",
        )


@check("data", "series")
def clock_changes(subject: Subject) -> Iterator[Finding]:
    """Find daylight-saving changes of the clock."""
    time = _time(subject)
    if not time or not (time["forward"] or time["back"]):
        return
    changes = [
        f"{direction} at {listed(times)}"
        for direction, times in (("forward", time["forward"]), ("back", time["back"]))
        if times
    ]
    description = (
        f"The UTC offsets change ({time['clock']})"
        if time["offsets"]
        else f"The times follow the clock of {time['clock']}"
    )
    yield warning(
        f"{description}, which is set {', '.join(changes)}",
        where=f"column {time['column']!r}",
        why="kzoo uses elapsed time, so the steps are right; but people's daily patterns shift by an hour.",
        fix="Nothing, if the times are local times; otherwise write them in UTC.",
    )


@check("data", "series")
def runs_of_missing_values(subject: Subject | NewData) -> Iterator[Finding]:
    """Find missing values of a series, which are filled in."""
    missing = subject.seen.get("gone")
    if not missing:
        return
    worst = sorted(missing, key=lambda name: (-missing[name]["longest"], -missing[name]["count"]))
    columns = [
        f"{name!r} {gaps['count']:,} ({gaps['longest']} in a row from {gaps['first']} to {gaps['last']})"
        if gaps["longest"] > 1
        else f"{name!r} {gaps['count']:,} (the first at {gaps['first']})"
        for name, gaps in ((name, missing[name]) for name in worst)
    ]
    total = sum(gaps["count"] for gaps in missing.values())
    yield warning(
        f"{plural(total, 'value')} missing: {listed(columns)}",
        where="the whole series",
        why="Targets are filled in from the season before, other columns with the last value. Windows that would "
        "forecast filled values are left out, if enough others are left.",
        fix="Fill in the values if you have them; exclude (drop=) a column that is mostly empty, or start after a long "
        "gap.",
    )


@check("network", "series", "ordered", "probe")
def columns_without_a_say(subject: Subject) -> Iterator[Finding]:
    """Find columns without effect, in a network that forecasts each target from its own past only."""
    outputs, names = subject.data.outputs, subject.data.feature_names
    if len(names) <= outputs:
        return
    reversed_columns = subject.batch[0].copy()
    reversed_targets = subject.batch[0].copy()
    reversed_columns[..., outputs:] = reversed_columns[:, ::-1, outputs:]
    reversed_targets[..., :outputs] = reversed_targets[:, ::-1, :outputs]
    answers = subject.probe.answers
    if np.array_equal(subject.forward(reversed_columns), answers) and not np.array_equal(
        subject.forward(reversed_targets), answers
    ):
        yield warning(
            f"{len(names) - outputs} of {len(names)} columns have no effect on the forecasts: "
            f"{listed(map(repr, names[outputs:]), _SHOWN)}",
            where=f"model {subject.model.name!r}",
            why="This network forecasts each target from its own past only.",
            fix="Exclude them (drop=), or use a preset that reads all columns, such as series_gru.",
        )


@check("new", "seen")
def times_of_new_rows(new: NewData) -> Iterator[Finding]:
    """Run the same checks on a new series; steps that were uneven in training (opening hours) may stay so."""
    checks = [repeated_times, runs_of_missing_values]
    for function in (
        checks if new.preprocessing.get("uneven") else [uneven_times, holes_in_time, *checks]
    ):
        yield from function(new)


@check("new", "coverage")
def bands_that_do_not_cover(new: NewData) -> Iterator[Finding]:
    """Find bands of forecasts whose coverage on the test rows, of all series or of a fifth, was not as expected."""
    for what, fix in coverage_findings(new.coverage):
        yield warning(
            what,
            where="test rows of the run",
            why="The range allows for errors that depend on each other, within series and at the same time.",
            fix=fix,
        )


@check("new", "bias")
def forecasts_with_a_bias(new: NewData) -> Iterator[Finding]:
    """Find forecasts that were too low or too high in total on the test rows, clearly more than the best baseline."""
    for what, fix in new.bias or ():
        yield warning(
            what,
            where="test rows of the run",
            why="Errors of a bias do not cancel out in sums, over series or over steps.",
            fix=fix,
        )


def _time(subject: Subject | NewData) -> JsonObject | None:
    """Return the stored times of a series (`kzoo.inference.kinds.series.times.Times.json`), or None."""
    return subject.seen.get("time")


def _between(hole: Mapping[str, object]) -> str:
    return f"between {hole['after']} and {hole['before']}"
