"""Baselines of forecasts: the last value before a window, and the value one season earlier. Imports only NumPy."""

import numpy as np

from kzoo.kinds.series.calendar import Calendar
from kzoo.storage.windows import series_of


def simple_forecasts(reader, part):
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
    starts, steps = part.y.starts[:, None], np.arange(part.y.length)
    calendar = Calendar.of(reader)
    yield "last value", _values_at(part.y, np.broadcast_to(starts - 1, (len(starts), len(steps))))
    for name, season in (calendar.seasons if calendar else {}).items():
        yield name, previous_season(part, season)


def previous_season(part, season):
    """Return the values (N, horizon, targets) one season before those that follow the windows of a series.

    Args:
        part: the `Split`.
        season: length in steps.
    """
    starts, steps = part.y.starts[:, None], np.arange(part.y.length)
    return _values_at(part.y, starts + steps - season * (1 + steps // season))


def _values_at(windows, indices):
    """Return rows of the series of windows at indices (N, steps); NaN before the first row of a series."""
    firsts = 0 if windows.firsts is None else windows.firsts[:, None]
    return np.where((indices >= firsts)[..., None], windows.values[np.maximum(indices, 0)], np.nan)
