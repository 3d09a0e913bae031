"""How much the windows of each series count in the loss: in inverse proportion to the scale of their errors."""

import itertools

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.windows import Windows
from kzoo.inference.kinds.series.calendar import Calendar
from kzoo.inference.kinds.series.error_scale import error_scale
from kzoo.problems.layout import Preprocessor

_MOST_WINDOWS = 32  # of a series, from which its scale is computed; up to twice as many
_EXPONENT = 1.0  # of the scale, for a loss of first degree


def loss_weights(data: Dataset, part: Split, degree: float) -> np.ndarray | None:
    """Return how much each window of a split counts in the loss, float32 (N,); None for a single series.

    A window counts in inverse proportion to the scale of its series, the mean `error_scale` of its training windows: an
    error of a percent is as bad in a small series as in a large one, which would decide the loss otherwise. A series of
    zeros counts as much as a typical one.

    Args:
        data: the `Dataset`, whose training windows determine the scales.
        part: one of its splits; series that are not in the training windows have the scale of their own.
        degree: by which power the loss grows with errors: 2 for squared ones.
    """
    train, windows = data.train.x, part.x
    if not (isinstance(train, Windows) and isinstance(windows, Windows)):
        return None
    if train.series is None or windows.series is None:
        return None
    unit = np.asarray(data.config["target_scale"], np.float64)
    learned = _scale_of_series(data.preprocessing, train, unit)
    own = learned if part is data.train else _scale_of_series(data.preprocessing, windows, unit)
    usual = float(np.median(list(learned.values()))) if learned else 1.0
    scales = np.ones(len(windows.series.names))
    for code in np.unique(windows.series.codes):
        name = windows.series.names[code]
        scales[code] = learned.get(name) or own.get(name) or usual
    return (scales ** (-_EXPONENT * degree))[windows.series.codes].astype(np.float32)


def _scale_of_series(reader: Preprocessor, x: Windows, unit: np.ndarray) -> dict[str, float]:
    """Return name -> scale in units of the targets' deviations, of the series with windows that are not all 0.

    Args:
        reader: the preprocessor.
        x: (N, steps, F) windows of several series, in order of series.
        unit: (targets,) standard deviation of each target.
    """
    assert x.series is not None
    calendar = Calendar.of(reader)
    season = next(iter(calendar.seasons.values()), None) if calendar else None
    codes = x.series.codes
    bounds = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1], True])
    chosen = np.concatenate(
        [
            np.arange(first, end, max((end - first) // _MOST_WINDOWS, 1))
            for first, end in itertools.pairwise(bounds.tolist())
        ]
    )
    sums, counts = np.zeros(len(x.series.names)), np.zeros(len(x.series.names))
    for start in range(0, len(chosen), 4096):
        rows = chosen[start : start + 4096]
        windows = np.asarray(x[rows])
        scales = (error_scale(windows, season, targets=len(unit)) / unit).mean(axis=1)
        some = windows[..., : len(unit)].any(axis=(1, 2))
        sums += np.bincount(codes[rows[some]], scales[some], minlength=len(sums))
        counts += np.bincount(codes[rows[some]], minlength=len(sums))
    return {
        x.series.names[code]: sums[code] / counts[code] for code in np.flatnonzero(counts).tolist()
    }
