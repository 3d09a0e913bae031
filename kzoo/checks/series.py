"""Checks of a series: rows that are missing or come twice, a clock that is changed, values that are missing."""

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.utils.formatting import listed, plural

_UNEVEN = 0.02  # share of the steps, or of the rows
_SHOWN = 3  # holes and repeats


@check("data", "series")
def uneven_times(subject):
    """Steps of different length, which the network takes for equal ones."""
    time = _time(subject)
    if time and time["uneven"] > _UNEVEN:
        worst = f", {_around(time['worst'][0])}" if time["worst"] else ""
        yield warning(
            f"{time['uneven']:.0%} of the steps are not {time['step']} long, the longest is {time['longest']}{worst}",
            where=f"column {time['column']!r}",
            why="The network counts rows, not hours: a gap looks like no time at all.",
            fix="Bring the rows to one distance first, such as DataFrame.resample.",
        )


@check("data", "series")
def holes_in_time(subject):
    """Rows that are missing in a series that is even elsewhere."""
    time = _time(subject)
    if time and time["holes"] and time["uneven"] <= _UNEVEN:
        holes = [f"{hole['lasts']} {_around(hole)}" for hole in time["worst"]]
        yield warning(
            f"{plural(time['missing'], 'row')} missing in {plural(time['holes'], 'hole')}, where rows are "
            f"{time['step']} apart: the longest {listed(holes[:_SHOWN], separator='; ')}",
            where=f"column {time['column']!r}",
            why="The network takes the rows around a hole for neighbours.",
            fix="Fill short ones in (DataFrame.asfreq and interpolate); begin after a long one.",
        )


@check("data", "series")
def repeated_times(subject):
    """Rows that have the time of another."""
    time = _time(subject)
    if time and time["repeats"]:
        yield warning(
            f"{plural(time['repeats'], 'row')} of {time['rows']:,} repeat a time, first "
            f"{listed(time['repeated'][:_SHOWN])}",
            where=f"column {time['column']!r}",
            why="The network takes them for steps; the file may hold rows twice, or several series in one.",
            fix="Keep one row for each time (DataFrame.drop_duplicates, or groupby and mean); give one series.",
        )


@check("data", "series")
def times_out_of_order(subject):
    """Rows that were not in the order of time; from the newest to the oldest is an order too."""
    time = _time(subject)
    if time and max(2, _UNEVEN * time["rows"]) < time["disorder"] < time["rows"] - time["repeats"] - 1:
        yield warning(
            f"{time['disorder']} of {time['rows']} rows come before the row above them",
            where=f"column {time['column']!r}",
            why="The file may hold several series one after another, which were mixed into one by sorting.",
            fix="Give one series, or a column for each.",
        )


@check("data", "series")
def clock_changes(subject):
    """A clock that is put forward in spring and back in autumn."""
    time = _time(subject)
    if not time or not (time["forward"] or time["back"]):
        return
    when = [
        f"{word} at {listed(times)}" for word, times in (("forward", time["forward"]), ("back", time["back"])) if times
    ]
    of = (
        f"The offsets change ({time['clock']})" if time["offsets"] else f"The times follow the clock of {time['clock']}"
    )
    yield warning(
        f"{of}, put {', '.join(when)}",
        where=f"column {time['column']!r}",
        why="kzoo counts hours as they pass, so steps are right; but what people do at eight comes an hour earlier or "
        "later in steps from one day to the next.",
        fix="Nothing, where that is what the times mean; else write them in UTC.",
    )


@check("data", "series")
def runs_of_missing_values(subject):
    """Values that are missing in a series, where the last one before stands in for them."""
    gone = subject.seen.get("gone")
    if not gone:
        return
    worst = sorted(gone, key=lambda name: (-gone[name]["longest"], -gone[name]["count"]))
    said = [
        f"{name!r} {found['count']:,} ({found['longest']} in a row from {found['first']} to {found['last']})"
        if found["longest"] > 1
        else f"{name!r} {found['count']:,} (the first at {found['first']})"
        for name, found in ((name, gone[name]) for name in worst)
    ]
    total = sum(found["count"] for found in gone.values())
    yield warning(
        f"{plural(total, 'value')} missing: {listed(said)}",
        where="the whole series",
        why="The last value before takes their place, of training data in what is forecast and scored too: a long run "
        "is a flat line.",
        fix="Interpolate what is short; leave out (drop=) a column that is mostly empty, or begin after a long run.",
    )


@check("network", "series", "probe")
def columns_without_a_say(subject):
    """Columns beside the targets in a network that forecasts each target from its own past."""
    outputs, names = subject.data.outputs, subject.data.feature_names
    if "ordered" not in subject.facts or len(names) <= outputs:
        return
    others, targets = subject.batch[0].copy(), subject.batch[0].copy()
    others[..., outputs:] = others[:, ::-1, outputs:]
    targets[..., :outputs] = targets[:, ::-1, :outputs]
    answers = subject.probe.answers
    if np.array_equal(subject.forward(others), answers) and not np.array_equal(subject.forward(targets), answers):
        yield warning(
            f"{len(names) - outputs} of {len(names)} columns without a say in the forecasts: "
            f"{listed(map(repr, names[outputs:]), _SHOWN)}",
            where=f"model {subject.model.name!r}",
            why="This network forecasts each target from the past of that target alone.",
            fix="Leave them out (drop=), or take a preset that reads all columns, such as series_gru.",
        )


@check("new", "seen")
def times_of_new_rows(new):
    """The same in a new series; what is uneven by nature, such as opening hours, may stay so."""
    looks = [repeated_times, runs_of_missing_values]
    for one in looks if new.preprocessing.get("uneven") else [uneven_times, holes_in_time, *looks]:
        yield from one(new)


def _time(subject):
    """Return what is known of the times of a series (`kzoo.kinds.series.times.Times.json`), or None."""
    return subject.seen.get("time")


def _around(hole):
    return f"between {hole['after']} and {hole['before']}"
