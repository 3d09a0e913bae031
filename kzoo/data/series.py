"""Time series: a numeric table with a time column becomes windows and the values that follow."""

import numpy as np
import pandas as pd
from pandas.api import types

from kzoo.data import splits
from kzoo.data.columns import day_comes_first, listed, looks_like_dates, to_dates, to_numbers
from kzoo.data.dataset import Dataset, Split
from kzoo.data.table import as_frame, as_names, require
from kzoo.data.windows import Windows
from kzoo.errors import KzooError

_STEPS, _HORIZON = 96, 24  # without a preset


def load_series(source, *, name, preset=None, target=None, validation=0.1, test=None, drop=(), time=None, notes=()):
    """Load a series for forecasting, split in order of time.

    Inputs of validation and test windows may reach back into the part before; their targets never do.
    Missing values take the last value before them.

    Args:
        source: a DataFrame or the path of a CSV file.
        target: the columns to forecast; all numeric ones by default. They come first in `x`.
        time: the time column; by default the first column of dates, else the order of the rows.
        validation, test: fractions of all rows, 0.1 and 0.2 by default; or `test` a second series.

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
    frame = in_order(frame, time, notes)
    tested = in_order(as_frame(test), time, []) if splits.is_source(test) else None
    first_validation, first_test = splits.split_time(
        len(frame), validation=validation, test=0 if tested is not None else test
    )
    names, targets = _columns(frame.iloc[:first_validation], target, as_names(drop), notes)
    values = filled(frame, names, notes)
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
        other = filled(tested, names, [])
        made["test"] = cut_windows(other, "test", 0, len(other), steps, horizon, len(targets), name)
    mean, std = splits.spread(values[:first_validation])
    return Dataset(
        name=name,
        task="forecasting",
        inputs="series",
        **made,
        config={
            "input_shape": (steps, len(names)),
            "outputs": len(targets),
            "horizon": horizon,
            "scale": [1 / s for s in std],
            "offset": [-m / s for m, s in zip(mean, std, strict=True)],
            "target_scale": std[: len(targets)],
            "target_offset": mean[: len(targets)],
        },
        preprocessing={"kind": "series", "columns": names, "steps": steps, "time": time},
        feature_names=tuple(names),
        target_names=tuple(targets),
        notes=[*notes, f"{steps} steps in, {horizon} ahead; split in order of time."],
        seen=seen,
        fingerprint=splits.fingerprint(values, names, list(cuts.values()), steps, horizon, len(targets)),
    )


def time_column(frame, time=None):
    """Return the column that is asked for, else the first that holds dates, or None."""
    if time is not None:
        require(frame, [time], "the series")
        return time
    for name in frame.columns:
        values = frame[name].dropna()
        if len(values) and (types.is_datetime64_any_dtype(values) or looks_like_dates(values)):
            return name
    return None


def in_order(frame, column, notes):
    """Return the rows in order of time, without its column: the one that training knew, else the first of dates."""
    column = column if column in frame.columns else time_column(frame)
    if column is None:
        notes.append("No time column: the rows are taken to be in order.")
        return frame
    values = frame[column]
    when = _times(values, column, notes)
    if when.isna().any():
        row = int(np.flatnonzero(when.isna())[0])
        raise KzooError(f"Time column {column!r} holds no time in row {row + 1}: {values.iloc[row]!r}.")
    if when.duplicated().any():
        notes.append(f"{int(when.duplicated().sum())} rows repeat a time in {column!r}; they are kept as they are.")
    if not when.is_monotonic_increasing:
        notes.append(f"The rows were not in order of {column!r} and were sorted.")
        frame = frame.iloc[np.argsort(when.to_numpy(), kind="stable")].reset_index(drop=True)
    return frame.drop(columns=column)


def _times(values, column, notes):
    if types.is_numeric_dtype(values):
        return pd.Series(to_numbers(values))
    return to_dates(values, day_comes_first(column, values, notes))


def steps_of_time(frame, column):
    """Describe the time column as it stands in the file, before `in_order` sorts it and takes it out.

    Returns:
        `column`, `rows`; `disorder`, the number of rows that come before the one above; `repeated`, of times that
        came before; `step` and `longest` in seconds (or in the column's own unit), `uneven`, the share of steps more
        than half a step off. None without a time column.
    """
    when = None if column is None else _times(frame[column], column, [])
    if when is None or len(when) < 3 or when.isna().any():
        return None
    if types.is_datetime64_any_dtype(when):
        when = (when - when.min()).dt.total_seconds()
    steps = np.diff(np.sort(when.to_numpy(np.float64)))
    usual = float(np.median(steps))
    return {
        "column": column,
        "rows": len(when),
        "disorder": int((np.diff(when.to_numpy(np.float64)) < 0).sum()),
        "repeated": int(when.duplicated().sum()),
        "step": usual,
        "longest": float(steps.max()),
        "uneven": float((np.abs(steps - usual) > 0.5 * usual).mean()),
    }


def _columns(frame, target, drop, notes):
    require(frame, drop, "the series")
    asked = [target] if target in list(frame.columns) else as_names(target)
    require(frame, asked, "the series")
    numeric = [c for c in frame.columns if c not in drop and np.isfinite(to_numbers(frame[c])).mean() > 0.5]
    if not numeric:
        raise KzooError(f"The series has no numeric column; columns: {listed(frame.columns)}.")
    if lost := [c for c in asked if c not in numeric]:
        raise KzooError(f"Target {lost[0]!r} is not numeric.")
    if others := [c for c in frame.columns if c not in numeric and c not in drop]:
        notes.append(f"Not numeric and left out: {listed(others)}.")
    targets = asked or numeric
    return [*targets, *(c for c in numeric if c not in targets)], targets


def filled(frame, names, notes):
    values = np.stack([to_numbers(frame[name]) for name in names], axis=1)
    if missing := int(np.isnan(values).sum()):
        notes.append(f"{missing} missing values took the last value before them.")
        table = pd.DataFrame(values).ffill()
        # Only what comes before may fill a gap; a column that starts empty starts with its first value.
        values = table.bfill().to_numpy()
    return np.ascontiguousarray(values, np.float32)  # (rows, F)


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


def encode_series(preprocessing, inputs):
    """Turn the last rows of a series , or ready windows, into (N, steps, F)."""
    names, steps = preprocessing["columns"], preprocessing["steps"]
    if isinstance(inputs, np.ndarray):
        x = np.asarray(inputs, np.float32)
        x = x[None] if x.ndim == 2 else x
        if x.ndim != 3 or x.shape[1:] != (steps, len(names)):
            raise KzooError(f"A window is {steps} steps of {len(names)} columns ({listed(names)}); got {x.shape[1:]}.")
        return x
    if isinstance(inputs, list | tuple):
        inputs = pd.DataFrame(list(inputs))
    frame = in_order(as_frame(inputs), preprocessing.get("time"), [])
    require(frame, names, "the series")
    if len(frame) < steps:
        raise KzooError(f"A forecast needs the last {steps} rows; got {len(frame)}.")
    return filled(frame, names, [])[None, -steps:]
