"""Baselines of forecasts: the last value before a window, and the value one season earlier. Imports only NumPy."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.store.windows import series_of
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.error_scale import error_scale as scale_of_windows
from kzoo.problems.layout import Preprocessor

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split
    from kzoo.data.store.windows import Windows


_AT_ONCE = 2**22  # numbers of windows whose scale is computed at a time


def simple_forecasts(reader: Preprocessor, part: "Split") -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, values (N, horizon, targets)) of the baseline forecasts for the windows of a split.

    Seasons longer than a window look back beyond it; before the start of the series values are NaN. Steps further ahead
    than a season use the last season that has ended when the window ends.

    Args:
        reader: preprocessor of the series; its `calendar` decides the seasons.
        part: the `Split`; nothing is yielded unless it is cut from a series.
    """
    series = series_of(part.y)
    if series is None or series.ndim != 2:
        return
    starts = part.y.starts[:, None]
    steps = np.arange(part.y.length)
    calendar = Calendar.of(reader)
    yield "last value", _values_at(part.y, np.broadcast_to(starts - 1, (len(starts), len(steps))))
    for name, season in (calendar.seasons if calendar else {}).items():
        yield name, previous_season(part, season)


def previous_season(part: "Split", season: int, earlier: int = 0) -> np.ndarray:
    """Return the values (N, horizon, targets) one season before those that follow the windows of a series.

    Args:
        part: the `Split`.
        season: length in steps.
        earlier: number of seasons before that one.
    """
    starts = part.y.starts[:, None]
    steps = np.arange(part.y.length)
    return _values_at(part.y, starts + steps - season * (1 + steps // season + earlier))


def season_history(
    reader: Preprocessor, part: "Split", count: int
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, values (count, N, horizon, targets)) of the last values of each season before windows.

    Steps further ahead than a season begin with the last season that has ended; before the start of a series values
    are NaN.

    Args:
        reader: preprocessor of the series; its `calendar` decides the seasons.
        part: the `Split`; nothing is yielded unless it is cut from a series.
        count: number of seasons.
    """
    series = series_of(part.y)
    if series is None or series.ndim != 2 or (calendar := Calendar.of(reader)) is None:
        return
    for name, season in calendar.seasons.items():
        yield name, np.stack([previous_season(part, season, earlier) for earlier in range(count)])


def _values_at(windows: "Windows", indices: np.ndarray) -> np.ndarray:
    """Return rows of the series of windows at indices (N, steps); NaN before the first row of a series."""
    firsts = 0 if windows.series is None else windows.series.firsts[windows.series.codes][:, None]
    return np.where((indices >= firsts)[..., None], windows.values[np.maximum(indices, 0)], np.nan)


def error_scale(reader: Preprocessor, part: "Split") -> np.ndarray | None:
    """Return the size of the errors of each series by itself (N, targets), of the windows of a split.

    It is that of `kzoo.inference.kinds.series.error_scale`, with the values of the targets in the windows alone.

    Args:
        reader: preprocessor of the series; its `calendar` decides the season.
        part: the `Split`.

    Returns:
        None unless the windows are cut from series.
    """
    series = series_of(part.y)
    if series is None or series.ndim != 2 or series_of(part.x) is None:
        return None
    calendar = Calendar.of(reader)
    season = None if calendar is None else calendar.season
    steps = np.arange(-part.x.length, 0)
    at_once = max(_AT_ONCE // max(len(steps) * series.shape[1], 1), 1)
    scales = [np.empty((0, series.shape[1]))]
    for first in range(0, len(part), at_once):
        rows = np.asarray(part.y.starts[first : first + at_once])[:, None] + steps
        measured = None if part.y.measured is None else part.y.measured[rows]
        scales.append(scale_of_windows(series[rows], season, real=measured))
    return np.concatenate(scales)


def seasonal_scales(
    reader: Preprocessor, data: "Dataset", part: "Split"
) -> tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[str]] | None:
    """Return the scale of the errors of each window: mean absolute and mean squared seasonal differences in training.

    The season is the first of the calendar, or a single step. Rows of the training windows and of their targets count.

    Args:
        reader: preprocessor of the series.
        data: the `Dataset` with the training windows.
        part: a `Split` of it.

    Returns:
        (series of each window (N,), absolute differences (S, targets), squared ones (S, targets), names of the series);
        None unless the windows are cut from the same array as the training windows.
    """
    train = series_of(data.train.y)
    if train is None or train.ndim != 2 or series_of(part.y) is not train or not len(data.train):
        return None
    calendar = Calendar.of(reader)
    windows = data.train.y
    season = next(iter(calendar.seasons.values()), 1) if calendar else 1
    if windows.series is None:
        firsts = np.zeros(1, int)
        names = ("",)
        codes = np.zeros(len(part), int)
        ends = np.array([int(windows.starts.max()) + windows.length])
    else:
        firsts = windows.series.firsts
        names = windows.series.names
        codes = part.y.series.codes
        ends = np.array(firsts)
        np.maximum.at(ends, windows.series.codes, windows.starts + windows.length)
    rows = np.arange(season, len(train))
    owner = np.searchsorted(firsts, rows, side="right") - 1
    inside = (
        (owner >= 0)
        & (rows - season >= firsts[np.maximum(owner, 0)])
        & (rows < ends[np.maximum(owner, 0)])
    )
    rows, owner = rows[inside], owner[inside]
    differences = train[rows].astype("float64") - train[rows - season]
    counts = np.bincount(owner, minlength=len(firsts))[:, None]
    sums = [
        np.stack([np.bincount(owner, values, minlength=len(firsts)) for values in power.T], axis=1)
        for power in (np.abs(differences), differences**2)
    ]
    absolute, squared = (total / np.maximum(counts, 1) for total in sums)
    return codes, absolute, squared, names
