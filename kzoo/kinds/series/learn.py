"""Time series: a numeric table with a time column becomes windows and the values that follow."""

from pathlib import Path

import numpy as np

from kzoo.data import splits
from kzoo.data.arrays import checked
from kzoo.data.dataset import Dataset, Split
from kzoo.data.windows import Windows
from kzoo.errors import KzooError
from kzoo.kinds import Fresh
from kzoo.kinds.rows.columns import asked_columns, writing_of
from kzoo.kinds.rows.learn import describe, fit, scaling, seen_in_cells
from kzoo.kinds.rows.light import say_unread
from kzoo.kinds.series.calendar import calendar_of
from kzoo.kinds.series.light import filled, time_column, time_order, times_of
from kzoo.kinds.series.simple import simple_forecasts
from kzoo.kinds.tables.frame import as_frame, as_names
from kzoo.kinds.tables.raw import MOST, require, rows_of
from kzoo.kinds.tables.values import known
from kzoo.tasks.values.light import spread
from kzoo.words import listed

__all__ = ["describe", "fit", "fresh", "labelled", "load", "simple_forecasts", "take"]

_STEPS, _HORIZON = 96, 24  # without a preset


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
    steps, horizon = _STEPS, _HORIZON
    if preset is not None:
        steps, horizon = preset.config["input_shape"][0], preset.config.get("horizon") or 1
    notes = list(notes)
    frame = as_frame(source)
    time = time_column(frame, time)
    seen = {"time": steps_of_time(frame, time)}
    table = frame
    frame = in_order(frame, time, notes)
    tested = in_order(as_frame(test), time, []) if splits.is_source(test) else None
    first_validation, first_test = splits.split_time(
        len(frame), validation=validation, test=0 if tested is not None else test
    )
    calendar = None if time is None else calendar_of(table, time, first_validation)
    if time is not None and calendar is None:
        notes.append(f"{time!r} keeps no step: forecasts will have numbers in place of times, and no season to beat.")
    said, doubts, unread = asked_columns(columns, frame), [], {}
    if other := [name for name, how in said.items() if how["kind"] != "number"]:
        raise KzooError(
            f"columns: {other[0]!r} is to be a {said[other[0]]['kind']}; a series has numbers. Leave it out: drop=."
        )
    first = frame.iloc[:first_validation]
    writings = {c: writing_of(c, first[c], said.get(c), doubts) for c in frame.columns}
    writings = {name: writing.json() for name, writing in writings.items() if writing is not None}
    names, targets = _columns(first, target, as_names(drop), writings, notes)
    doubts = [line for line in doubts if any(repr(name) in line for name in names)]
    values = filled(frame, names, notes, writings, unread)
    notes += [*doubts, *say_unread(names, frame, unread)]
    seen |= seen_in_cells(doubts, unread, len(frame))
    writings = {name: writings[name] for name in names if name in writings}
    cuts = {
        "train": (0, first_validation),
        "validation": (first_validation, first_test),
        "test": (first_test, len(values)),
    }
    made = {
        part: cut_windows(values, part, low, high, steps, horizon, len(targets), name)
        for part, (low, high) in cuts.items()
    }
    if tested is not None:
        require(tested, names, "the test series")
        other = filled(tested, names, [], writings)
        made["test"] = cut_windows(other, "test", 0, len(other), steps, horizon, len(targets), name)
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
        preprocessing={"kind": "series", "columns": names, "steps": steps, "time": time}
        | ({"writings": writings} if writings else {})
        | ({"calendar": calendar.json()} if calendar else {}),
        feature_names=tuple(names),
        target_names=tuple(targets),
        notes=[*notes, f"{steps} steps in, {horizon} ahead; split in order of time."],
        seen=seen,
        fingerprint=splits.fingerprint(values, names, list(cuts.values()), steps, horizon, len(targets)),
    )


def in_order(frame, column, notes):
    """Return the rows in order of time, without its column: the one that training knew, else the first of dates."""
    column, order = time_order(rows_of(frame), column, notes)
    if order is not None:
        frame = frame.iloc[order].reset_index(drop=True)
    return frame if column is None else frame.drop(columns=column)


def steps_of_time(frame, column):
    """Describe the time column as it stands in the file, before `in_order` sorts it and takes it out.

    Returns:
        `column`, `rows`; `disorder`, the number of rows that come before the one above; `repeated`, of times that
        came before; `step` and `longest` in seconds (or in the column's own unit), `uneven`, the share of steps more
        than half a step off. None without a time column.
    """
    when = None if column is None else times_of(frame[column], column, [])
    if when is None or len(when) < 3 or not known(when).all():
        return None
    if when.dtype.kind == "M":
        when = (when - when.min()) / np.timedelta64(1, "s")
    steps = np.diff(np.sort(when))
    usual = float(np.median(steps))
    return {
        "column": column,
        "rows": len(when),
        "disorder": int((np.diff(when) < 0).sum()),
        "repeated": len(when) - len(np.unique(when)),
        "step": usual,
        "longest": float(steps.max()),
        "uneven": float((np.abs(steps - usual) > 0.5 * usual).mean()),
    }


def _columns(frame, target, drop, writings, notes):
    require(frame, drop, "the series")
    asked = [target] if target in list(frame.columns) else as_names(target)
    require(frame, asked, "the series")
    rows = rows_of(frame)
    read = {c: np.isfinite(rows.numbers(c, writings.get(c))).mean() for c in frame.columns if c not in drop}
    numeric = [name for name, share in read.items() if share > 0.5]
    if not numeric:
        raise KzooError(f"The series has no numeric column; columns: {listed(frame.columns, MOST)}.")
    if lost := [c for c in asked if c not in numeric]:
        raise KzooError(f"Target {lost[0]!r} is not numeric.")
    if others := [c for c in frame.columns if c not in numeric and c not in drop]:
        notes.append(f"Not numeric and left out: {listed(others, MOST)}.")
    targets = asked or numeric
    return [*targets, *(c for c in numeric if c not in targets)], targets


def cut_windows(values, part, low, high, steps, horizon, targets, name):
    """Make the windows whose targets lie within rows low..high."""
    if low == high and part != "train":
        return None
    starts = np.arange(max(0, low - steps), high - steps - horizon + 1)
    if not len(starts):
        raise KzooError(
            f"The {part} part of {name!r} has {high - low} rows, but a window of {steps} steps and {horizon} "
            f"ahead does not fit; give more rows, or a smaller input_shape or horizon."
        )
    y = Windows(np.ascontiguousarray(values[:, :targets]), starts + steps, horizon)
    return Split(x=Windows(values, starts, steps), y=y)


def take(x, preset):
    """Return an array as float32 (N, T, F)."""
    if x.ndim == 2 and preset is not None and preset.config["input_shape"][-1] == 1:
        x = x[..., None]
    return checked(x, "series").astype(np.float32)


def labelled(reader, source, *, targets, config):
    """Return all windows of a series, and what follows each."""
    frame = in_order(as_frame(source), reader.get("time"), [])
    require(frame, reader["columns"], "the series")
    values = filled(frame, reader["columns"], [], reader.get("writings"))
    name = Path(source).name if isinstance(source, str | Path) else "the table"
    return cut_windows(values, "whole", 0, len(values), reader["steps"], config["horizon"], config["outputs"], name)


def fresh(reader, source, *, targets):
    """Return a series in order of time, which may lack columns."""
    frame, names = as_frame(source), reader["columns"]
    missing = [name for name in names if name not in frame.columns]
    frame = in_order(frame, time_column(frame), [])
    return Fresh(
        x=filled(frame, names, [], reader.get("writings")) if len(frame) and not missing else None,
        frame=frame,
        missing=missing,
    )
