"""How much the windows of each series count in the loss: in inverse proportion to the scale of their errors."""

import itertools

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.inputs.series.simple_forecasts import error_scale
from kzoo.data.store.windows import Windows
from kzoo.problems.layout import Preprocessor

_MOST_WINDOWS = 8  # of a series, from which its scale is computed; up to twice as many


def weighs_series(data: Dataset) -> bool:
    """Return whether the training windows are of several series, which then have weights in the loss."""
    return isinstance(data.train.x, Windows) and data.train.x.series is not None


def loss_weights(data: Dataset, part: Split, degree: float) -> np.ndarray | None:
    """Return how much each window of a split counts in the loss, float32 (N, 1); None for a single series.

    A window counts in inverse proportion to the scale of its series, the mean `error_scale` of its training windows: an
    error of a percent is as bad in a small series as in a large one, which would decide the loss otherwise. A series of
    zeros counts as much as a typical one.

    Args:
        data: the `Dataset`, whose training windows determine the scales.
        part: one of its splits; series that are not in the training windows have the scale of their own.
        degree: by which power the loss grows with errors: 2 for squared ones.
    """
    series = getattr(part.x, "series", None)
    if not weighs_series(data) or series is None:
        return None
    unit = np.asarray(data.config["target_scale"], np.float64)
    known = _scale_of_series(data.preprocessing, data.train, unit)
    usual = float(np.median(list(known.values()))) if known else 1.0
    codes = np.unique(series.codes)
    if any(series.names[code] not in known for code in codes):
        known = _scale_of_series(data.preprocessing, part, unit) | known
    scales = np.ones(len(series.names))
    scales[codes] = [known.get(series.names[code], usual) for code in codes]
    # a column, which Keras' losses of each step (B, horizon) broadcast, and those of each window (B,) squeeze
    return (scales**-degree)[series.codes, None].astype(np.float32)


def _scale_of_series(reader: Preprocessor, part: Split, unit: np.ndarray) -> dict[str, float]:
    """Return name -> scale in units of the targets' deviations, of the series with windows that are not all 0.

    Args:
        reader: the preprocessor.
        part: a split of windows of several series, in order of series.
        unit: (targets,) standard deviation of each target.
    """
    names, codes = part.x.series.names, part.x.series.codes
    bounds = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1], True]).tolist()
    chosen = [
        np.arange(first, end, max((end - first) // _MOST_WINDOWS, 1))
        for first, end in itertools.pairwise(bounds)
    ]
    part = part.select(np.concatenate(chosen))
    scales = error_scale(reader, part)
    assert scales is not None
    targets = part.y.values
    nonzero = np.concatenate([[0], np.cumsum((targets != 0).any(axis=1))])
    ends = np.asarray(part.y.starts)
    some = nonzero[ends] > nonzero[ends - part.x.length]
    codes = part.x.series.codes[some]
    counts = np.bincount(codes, minlength=len(names))
    sums = np.bincount(codes, (scales[some] / unit).mean(axis=1), minlength=len(names))
    return {names[code]: sums[code] / counts[code] for code in np.flatnonzero(counts).tolist()}
