"""What needs no network: the last value before a window, and that of the same season before. NumPy only."""

import numpy as np

from kzoo.kinds.series.calendar import Calendar
from kzoo.storage.windows import series_of


def simple_forecasts(reader, part):
    """Yield (name, values (N, horizon, targets)) of the simplest forecasts for the windows of a split.

    They look back beyond a window where a season is longer; where the series has not begun there, they are NaN. Steps
    that lie further ahead than a season take the last season that was over when the window ended.

    Args:
        reader: what reads the series; its `calendar` says which seasons there may be.
        part: the `Split`; nothing is yielded unless it was cut from a series.
    """
    series = series_of(part.y)
    if series is None or series.ndim != 2:
        return
    starts, steps = part.y.starts[:, None], np.arange(part.y.length)
    calendar = Calendar.of(reader)
    yield "last value", _at(series, np.broadcast_to(starts - 1, (len(starts), len(steps))))
    for name, season in (calendar.seasons if calendar else {}).items():
        yield name, season_before(part, season)


def season_before(part, season):
    """Return the values (N, horizon, targets) a season before those that follow the windows of a series.

    Args:
        part: the `Split`.
        season: steps.
    """
    starts, steps = part.y.starts[:, None], np.arange(part.y.length)
    return _at(part.y.values, starts + steps - season * (1 + steps // season))


def _at(series, places):
    return np.where((places >= 0)[..., None], series[np.maximum(places, 0)], np.nan)
