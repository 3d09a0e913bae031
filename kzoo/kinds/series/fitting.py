"""Time series: a numeric table with a time column becomes windows and the values that follow."""

from pathlib import Path

import numpy as np

from kzoo.dataset import splits
from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.summary import AS_ASKED
from kzoo.kinds import STEPS, Fresh
from kzoo.kinds.arrays import as_type, checked
from kzoo.kinds.rows.column_options import column_options, named_columns
from kzoo.kinds.rows.columns import number_format_of, stored_number_format, weight_column_notes
from kzoo.kinds.rows.fitting import describe
from kzoo.kinds.rows.in_memory import cell_findings, text_columns
from kzoo.kinds.rows.inference import unread_notes
from kzoo.kinds.rows.scaling import scaling
from kzoo.kinds.series.calendar import calendar_of
from kzoo.kinds.series.index import with_index
from kzoo.kinds.series.inference import (
    about_times,
    filled,
    refuse_empty,
    refuse_other_step,
    repeats,
    time_column,
    times_in,
    written_as,
)
from kzoo.kinds.series.season import window
from kzoo.kinds.series.simple_forecasts import simple_forecasts
from kzoo.sources.tables.frame import about_index, as_frame
from kzoo.sources.tables.numbers import in_texts
from kzoo.sources.tables.overview import columns_read
from kzoo.sources.tables.raw import MOST, as_names, require, rows_of
from kzoo.sources.tables.values import not_missing, plain
from kzoo.storage.windows import Windows, sample_rows, select_rows
from kzoo.tasks.values.inference import Extent, spread
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import listed, plural, shown

__all__ = ["describe", "fit", "fresh", "labelled", "load", "overview", "simple_forecasts", "take"]

_HORIZON = 24  # without a preset
_MOST_SCALED = 2_000_000  # steps of arrays whose scale is learned


def load(source, form, *, problem, seed, task=None, **asked):
    """Load a table as a series."""
    return load_series(source, task=problem.name, **asked)


def load_series(
    source,
    *,
    name,
    preset=None,
    target=None,
    validation=0.1,
    test=None,
    drop=(),
    time=None,
    columns=None,
    notes=(),
    task="forecasting",
):
    """Load a series for forecasting, split in order of time.

    Windows are as long as the preset says, or two seasons at least where it leaves that open (see `season.window`).
    Inputs of validation and test windows may reach back into the part before; their targets never do.
    Missing values take the last value before them.

    Args:
        source: a DataFrame or the path of a CSV file.
        target: the columns to forecast; all numeric ones by default. They come first in `x`.
        columns: how columns write their numbers; see `kzoo.load_data`.
        time: the time column; by default the first column of dates, else the order of the rows.
        validation, test: fractions of all rows, 0.1 and 0.2 by default; or `test` a second series.
        task: what is answered, by its public name.

    Raises:
        KzooError: no numeric column, or too few rows for a window and its horizon.
    """
    steps, horizon = STEPS, _HORIZON
    if preset is not None:
        steps, horizon = preset.config["input_shape"][0], preset.config.get("horizon") or 1
    source = with_index(source, time)
    notes = [*notes, *about_index(source)]
    frame = as_frame(source, named_columns(columns), notes)
    table, decimal = frame, frame.attrs.get("decimal")
    frame, times = in_order(frame, time_column(frame, time), notes)
    frame, times = _without_future(frame, times, target, notes)
    time = None if times is None else times.column
    tested, tested_times, doubts_of_test = None, None, []
    if splits.is_source(test):
        learned = None if times is None else times.way
        test = with_index(test, time)
        tested = as_frame(test, text_columns(table), notes)
        tested, tested_times = in_order(tested, time, [], learned, doubts_of_test)
    first_validation, first_test = splits.split_time(
        len(frame), validation=validation, test=0 if tested is not None else test
    )
    calendar = None if times is None else calendar_of(table, times, first_validation)
    if time is not None and calendar is None:
        notes.append(f"{time!r} keeps no step: forecasts will have numbers in place of times, and no season to beat.")
    clock = {"calendar": calendar.json()} if calendar else {}
    clock |= {"zones": {times.column: times.zone}} if times is not None else {}
    if tested is not None:
        doubts_of_test += about_times({"time": time} | clock, tested_times)
        doubts_of_test += refuse_other_step(clock, tested_times, "the test series")
    said, doubts, unread, gone = column_options(columns, frame), [], {}, {}
    if other := [name for name, how in said.items() if how["kind"] != "number"]:
        raise KzooError(
            f"columns: {other[0]!r} is to be a {said[other[0]]['kind']}; a series has numbers. Leave it out: drop=."
        )
    first = frame.iloc[:first_validation]
    learned = {c: number_format_of(c, first[c], said.get(c), doubts, decimal) for c in frame.columns}
    writings = {c: stored for c, writing in learned.items() if (stored := stored_number_format(writing, decimal))}
    names, targets = _columns(first, target, as_names(drop), writings)
    doubts = [line for line in doubts if any(repr(name) in line for name in names)]
    values = filled(frame, names, notes, writings, unread, gone)
    notes += [*doubts, *unread_notes(names, frame, unread), *weight_column_notes(names)]
    if target is not None:
        two = [name for name, column in zip(targets, values.T, strict=False) if np.isin(column, (0, 1)).all()]
        notes += [f"Target {name!r} holds 0 and 1 alone: its forecasts are numbers, not classes." for name in two]
    apart = {name: ("left out", "hardly any numbers") for name in frame.columns if name not in names}
    apart |= dict.fromkeys(as_names(drop), ("left out", AS_ASKED))
    if times is not None:
        apart[times.column] = ("time", f"{times.step} apart, from {' to '.join(times.ends)}")
    known = [{"name": name, "kind": "number", "writing": writings.get(name)} for name in names]
    seen = cell_findings(doubts, unread, len(frame)) | _seen(times, gone)
    seen["read"] = columns_read(table, known, unread, targets=targets, apart=apart)
    writings = {name: writings[name] for name in names if name in writings}
    cuts = {
        "train": (0, first_validation),
        "validation": (first_validation, first_test),
        "test": (first_test, len(values)),
    }
    series = {part: (values, *cut, holes_of(times)) for part, cut in cuts.items()}
    if tested is not None:
        require(tested, names, "the test series")
        other, unknown, lines = _filled_anew(tested, names, writings, len(targets), "the test series")
        notes += [f"Test series: {line}" for line in (*doubts_of_test, *repeats(tested_times), *lines)]
        series["test"] = (other, 0, len(other), holes_of(tested_times))
    fix = shorter(cuts.values(), steps or STEPS, horizon, preset)
    if steps is None:
        room = len(values) if tested is None else len(tested) - horizon
        steps, line = window(
            values[:first_validation, : len(targets)], horizon, columns=len(names), times=times, calendar=calendar,
            room=room, least=preset.config.get("patch_size") or 1,
        )  # fmt: skip
        notes.append(line)
    made, left_out, across = windows_of(series, steps, horizon, len(targets), name, fix=fix)
    notes += _about_holes(left_out, across)
    if tested is not None:
        made["test"], without = _known_alone(made["test"], unknown, "the test series")
        notes += [f"Test series: {line}" for line in without]
    notes += Extent.of(values[:first_validation]).coarse(names)
    mean, std = spread(values[:first_validation])
    return Dataset(
        name=name,
        task=task,
        inputs="series",
        **made,
        config={
            "input_shape": (steps, len(names)),
            "outputs": len(targets),
            "horizon": horizon,
            **scaling(values[:first_validation]),
            "target_scale": std[: len(targets)],
            "target_offset": mean[: len(targets)],
        },
        preprocessing={"kind": "series", "columns": names, "outputs": len(targets), "steps": steps, "time": time}
        | ({"writings": writings} if writings else {})
        | ({"uneven": True} if across else {})  # as opening hours are: rows are taken as they come, new ones too
        | ({"times": times.way} if times is not None and times.way else {})
        | clock,
        feature_names=tuple(names),
        target_names=tuple(targets),
        notes=[*notes, "The series is split in order of time."],
        seen=seen,
        fingerprint=splits.fingerprint(
            values, names, list(cuts.values()), steps, horizon, len(targets), *([left_out] if left_out else [])
        ),
    )


def in_order(frame, column, notes, learned=None, doubts=None):
    """Return the rows in order of time, without its column (the one that training knew, else the first of dates).

    Args:
        notes, learned, doubts: see `times_in`.

    Returns:
        (the table, its `Times` or None without a time column).
    """
    times = times_in(rows_of(frame), column, notes, learned=learned, doubts=doubts)
    if times is None:
        return frame, None
    if not times.sorted:
        frame = frame.iloc[times.order].reset_index(drop=True)
    return frame.drop(columns=times.column), times


def _without_future(frame, times, target, notes):
    """Return a series and its times without the rows at the end in which nothing is told of any target."""
    asked = [target] if target in list(frame.columns) else as_names(target)
    rows, there = rows_of(frame), np.zeros(len(frame), bool)
    for name in asked or frame.columns:
        there |= not_missing(rows[name]) if name in rows else True
    if not there.any() or there[-1]:
        return frame, times
    future = int(np.argmax(there[::-1]))
    notes.append(f"Left out at the end: {plural(future, 'row')} without {listed(map(repr, asked)) or 'a value'}.")
    kept = len(frame) - future
    return frame.iloc[:kept], None if times is None else times.take(times.order[:kept])


def _seen(times, gone):
    """Return what checks are told of the times of a series, and of its missing values."""
    return {
        "time": times.json() if times is not None and len(times.told) else None,
        "gone": {name: _longest_run(places, times) for name, places in gone.items() if len(places)},
    }


def _longest_run(places, times):
    """Describe cells without a number: `count`, and the `longest` run of them, from its `first` to its `last` row.

    Rows are called by their times, without a time column by their numbers from 0.
    """
    runs = np.split(places, np.flatnonzero(np.diff(places) > 1) + 1)
    run = max(runs, key=len)
    names = [str(row) if times is None else times.said(times.told[times.order[row]]) for row in (run[0], run[-1])]
    return {"count": len(places), "longest": len(run), "first": names[0], "last": names[1]}


def holes_of(times):
    """Return the rows before which others are missing, none without a time column."""
    return () if times is None else times.holes


def _columns(frame, target, drop, writings):
    require(frame, drop, "the series")
    asked = [target] if target in list(frame.columns) else as_names(target)
    require(frame, asked, "the series")
    rows = rows_of(frame)
    read = {c: np.isfinite(rows.numbers(c, writings.get(c))).mean() for c in frame.columns if c not in drop}
    numeric = [name for name, share in read.items() if share > 0.5]
    if not numeric:
        raise KzooError(f"The series has no numeric column; columns: {listed(frame.columns, MOST)}.")
    if lost := [c for c in asked if c not in numeric]:
        values = plain(frame[lost[0]])
        example = f", such as {shown(values[not_missing(values)][0])}" if not_missing(values).any() else ""
        raise KzooError(f"Target {lost[0]!r} is not numeric{example}: a series is forecast in numbers, not in classes.")
    targets = asked or numeric
    return [*targets, *(c for c in numeric if c not in targets)], targets


def shorter(parts, steps, horizon, preset):
    """Say what helps where windows do not fit: sizes that do, and leave several windows to train on.

    Args:
        parts: (first row, row after the last) of each part, the training rows first.
        steps, horizon: of the windows that do not fit.
        preset: what they are for; one that cuts windows into patches needs one at least.
    """
    (_, train), *others = parts
    ahead = min([horizon, train // 4, *(high - low for low, high in others if high > low)])
    least = 1 if preset is None else preset.config.get("patch_size") or 1
    back = min(steps, max((train - ahead) // 2, least))
    if ahead < 1 or back + ahead > train:
        return "give more rows"
    return f"give more rows, or use input_shape={back}, horizon={ahead}"


def cut_windows(values, part, low, high, steps, horizon, targets, name, holes=(), fix="give more rows"):
    """Make the windows whose targets lie within rows low..high.

    Args:
        values: (rows, F), targets first.
        part: its name, for messages.
        holes: rows before which others are missing. Windows with such a row among their targets are left out: what
            stands there is not what follows.
        fix: what helps where none fits, for the message.
    """
    if low == high and part != "train":
        return None
    starts = np.arange(max(0, low - steps), high - steps - horizon + 1)
    if not len(starts):
        raise KzooError(
            f"The {part} part of {name!r} has {high - low} rows, but a window of {steps} steps and {horizon} "
            f"ahead does not fit; {fix}."
        )
    if len(holes):
        before = np.searchsorted(holes, starts + steps)
        starts = starts[before == np.searchsorted(holes, starts + steps + horizon)]
    y = Windows(np.ascontiguousarray(values[:, :targets]), starts + steps, horizon)
    return Split(x=Windows(values, starts, steps), y=y)


def windows_of(series, steps, horizon, targets, name, *, fix="give more rows"):
    """Cut the parts of a series into windows: those with a hole among their targets are left out, unless that would
    cost a part more than half of its windows.

    Args:
        series: part -> (values, first row, end, rows before which others are missing).
        fix: see `cut_windows`.

    Returns:
        (part -> `Split` or None, the number of windows left out, of windows with a hole among their targets that stay).
    """

    def cut(leave_out):
        return {
            part: cut_windows(values, part, low, high, steps, horizon, targets, name, holes if leave_out else (), fix)
            for part, (values, low, high, holes) in series.items()
        }

    whole, kept = cut(False), cut(True)
    sizes = [(len(whole[part]), len(kept[part])) for part in series if whole[part] is not None]
    across = sum(count - left for count, left in sizes)
    if all(2 * left >= count for count, left in sizes):
        return kept, across, 0
    return whole, 0, across


def _about_holes(left_out, across):
    """Yield a line about windows with a hole among their targets."""
    if left_out:
        yield f"{plural(left_out, 'window')} left out: rows are missing among what is to be forecast."
    if across:
        yield (
            f"{plural(across, 'window')} with missing rows among what is to be forecast: leaving them out would cost "
            "more than half of a split, so the rows are taken as if they followed one another."
        )


def _filled_anew(frame, names, writings, targets, where):
    """Return a series that is to be scored, filled as that of the training.

    Args:
        targets: how many of the columns are forecast, the first ones.
        where: what it is, for messages.

    Returns:
        (values, the rows in which a target is missing, lines about what is missing).

    Raises:
        KzooError: a column without any number.
    """
    notes, unread, gone = [], {}, {}
    values = filled(frame, names, notes, writings, unread, gone)
    refuse_empty(gone, len(frame), where)
    unknown = np.unique(np.concatenate([gone[name] for name in names[:targets]]))
    return values, unknown, [*unread_notes(names, frame, unread), *notes]


def _known_alone(split, unknown, where):
    """Return a split without the windows in which a value that is to be forecast is missing, and lines about these.

    Args:
        unknown: the rows in which one is.
        where: what it is of, for the message.

    Raises:
        KzooError: nothing is left.
    """
    starts, steps = split.y.starts, split.y.length
    there = np.searchsorted(unknown, starts) == np.searchsorted(unknown, starts + steps)
    if there.all():
        return split, []
    if not there.any():
        raise KzooError(f"No {steps} rows of {where} in a row hold all that is to be forecast: nothing can be scored.")
    x, y = (Windows(part.values, part.starts[there], part.length) for part in (split.x, split.y))
    line = f"{plural(int((~there).sum()), 'window')} left out: a value that is to be forecast is missing."
    return Split(x=x, y=y), [line]


def take(x, preset):
    """Return an array as float32 (N, T, F)."""
    if x.ndim == 2 and preset is not None and preset.config["input_shape"][-1] == 1:
        x = x[..., None]
    return as_type(checked(x, "series"), np.float32)


def fit(x, train, *, plain=False, notes=None, **more):
    """Return series as they are, and the scale of each column over all steps of the training series.

    Args:
        x: (N, T, F).
        train: numbers of the training series.
        plain: whether the caller has scaled them.
        notes: a list that gets a line where not all of them were looked at.
    """
    if plain:
        return x, {}, None
    series, most = select_rows(x, train), max(1, _MOST_SCALED // x.shape[1])
    if len(series) > most and notes is not None:
        notes.append(f"The scale of the inputs is learned on {most:,} of {len(series):,} training series.")
    return x, scaling(sample_rows(series, most)), None


def labelled(reader, source, *, targets, config):
    """Return all windows of a series, and what follows each, but for those that something is missing of."""
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    source, lines = with_index(source, reader.get("time")), list[str]()
    frame = as_frame(source, _as_written(reader))
    frame, times = in_order(frame, reader.get("time"), [], written_as(reader), lines)
    require(frame, reader["columns"], "the series")
    lines += [*about_times(reader, times), *refuse_other_step(reader, times, name)]
    outputs = config["outputs"]
    values, unknown, more = _filled_anew(frame, reader["columns"], reader.get("writings"), outputs, name)
    series = {"whole": (values, 0, len(values), () if reader.get("uneven") else holes_of(times))}
    made, left_out, across = windows_of(series, reader["steps"], config["horizon"], outputs, name)
    split, without = _known_alone(made["whole"], unknown, name)
    for line in (*lines, *repeats(times), *more, *_about_holes(left_out, across), *without):
        warn(line)
    return split


def _as_written(reader):
    """Return the names of the columns of a new series that have to be read as they are written, as in training."""
    return [name for name, writing in (reader.get("writings") or {}).items() if in_texts(writing)]


def fresh(reader, source, *, targets):
    """Return a series in order of time, which may lack columns."""
    source = with_index(source, reader.get("time"))
    frame, names = as_frame(source, _as_written(reader)), reader["columns"]
    missing = [name for name in names if name not in frame.columns]
    frame, times = in_order(frame, reader.get("time"), [], written_as(reader))
    refuse_other_step(reader, times, "the new series")
    x, gone = None, {}
    if len(frame) and not missing:
        x = filled(frame, names, [], reader.get("writings"), gone=gone)
    return Fresh(x=x, frame=frame, missing=missing, seen=_seen(times, gone))


def overview(data):
    """Say how the columns of a series were read, and in which steps of time; of arrays, their sizes."""
    steps, horizon = data.input_shape[0], data.config.get("horizon")
    about = {"steps in": steps} | ({"ahead": horizon} if horizon else {})
    if "read" not in data.seen:
        return {"noun": "series", "about": about | {"columns": data.input_shape[-1]}}
    time, rows = data.seen["time"], len(data.train.x.values)
    if time:
        about = {"step": time["step"], "from": time["first"], "to": time["last"]} | about
    return {"noun": "windows", "rows": rows, "columns": data.seen["read"], "about": about}
