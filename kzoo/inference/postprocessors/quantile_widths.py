"""Quantiles of forecasts whose distances to the median are corrected after training. Imports only NumPy.

Networks fit the past more closely than the future, so that their outer quantiles are too close to the median. The step
stores a factor for each target and level, by which the distance of that quantile to the median is multiplied: the one
with the least pinball loss on rows that were not trained on, each divided by the series' own scale of errors. Forecasts
stay equivariant to scale, medians stay as they are, and quantiles stay ascending.

Few origins tell the size of errors, but not their side: all series may have been high together. Both sides of the
median therefore share most of a factor. It is shrunk to 1 by the number of independent rows and of blocks of origins;
below 1 it counts half, because those rows chose the epoch; and all distances grow by a share that falls with the number
of rows, as the rank of split conformal prediction does (https://arxiv.org/abs/1604.04173).
"""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.clustered import Clusters, effective_rows
from kzoo.inference.tasks.central import central
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kzoo.inference.postprocessors import Learned

NAME = "quantile_widths"
STAGE = "calibrate"
FACTS = frozenset({"values", "kept", "quantiles", "ordered"})
FEWEST = 10  # forecasts that the step is learned from
_MEDIAN = 0.5
_SAME_LEVEL = 1e-9  # levels this close are one: 1 - 0.9 is not quite 0.1
# Of a factor, and of its inverse: where one of 4 or more seems best, it is the median that is wrong.
_LARGEST_LOG = float(np.log(4.0))
# As in ridge regression, the logarithm of a factor is halved at this many independent rows (the width of an 80 % band
# has a standard error of 20 % if it is estimated on 20 normal errors), and at one block of origins, which does not tell
# whether all series happened to be high.
_ROWS_AT_HALF = 20.0
_BLOCKS_AT_HALF = 1.0
# Share of the factor of a level by itself, the rest is that of both sides: few origins do not tell the side of errors.
_SHARE_OF_LEVEL = 0.3
# Share of the logarithm of a factor below 1: its rows chose the epoch, so that later errors are larger than theirs.
_SHARE_BELOW_1 = 0.5
# Logarithm of the widening of all distances: this over the independent rows, as the rank of split conformal prediction
# adds 1 / rows to a level, and at most 0.2, so that few rows do not make a band useless.
_MARGIN_ROWS = 5.0
_LARGEST_MARGIN = 0.2
_NO_DISTANCE = 1e-6  # of the scale: quantiles so close to the median have no direction


def learned_widths(
    quantiles: np.ndarray,
    levels: "Sequence[float]",
    truth: np.ndarray,
    scale: np.ndarray,
    clusters: Clusters,
) -> JsonObject | None:
    """Return what the step stores; None if there are too few forecasts, or all levels are on one side of the median.

    Args:
        quantiles: (N, horizon, targets, levels), ascending.
        levels: of the quantiles.
        truth: (N, horizon, targets), NaN where it is not known.
        scale: (N, targets) the size of the errors of each series by itself.
        clusters: of the N forecasts.
    """
    quantiles = np.asarray(quantiles, np.float64)
    median = central(quantiles, levels) if len(truth) >= FEWEST else None
    known = np.isfinite(truth).reshape(len(truth), -1).all(axis=1)
    if median is None or known.sum() < FEWEST:
        return None
    covered = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., -1])
    rows = effective_rows(covered[known], clusters.part(known), levels[-1] - levels[0])
    blocks = len(np.unique(clusters.blocks))
    weight = rows / (rows + _ROWS_AT_HALF) * blocks / (blocks + _BLOCKS_AT_HALF)
    margin = min(_MARGIN_ROWS / rows, _LARGEST_MARGIN)
    errors, distances = truth - median, quantiles - median[..., None]
    from_median = np.abs(np.subtract(levels, _MEDIAN))
    logarithms = np.zeros((truth.shape[2], len(levels)))
    for index in np.flatnonzero(from_median >= _SAME_LEVEL):
        both_sides = np.abs(from_median - from_median[index]) < _SAME_LEVEL
        level = _MEDIAN + from_median[index]
        for target, unit in enumerate(scale.T):
            error, of_target = errors[..., target], distances[..., target, :]
            own = _log_factor(error, of_target[..., [index]], unit, level)
            shared = _log_factor(error, of_target[..., both_sides], unit, level)
            size = weight * (_SHARE_OF_LEVEL * own + (1 - _SHARE_OF_LEVEL) * shared)
            logarithms[target, index] = margin + (size if size > 0 else _SHARE_BELOW_1 * size)
    return {
        "levels": [float(level) for level in levels],
        "factors": np.round(np.exp(logarithms), 6).tolist(),
        "independent": round(rows, 1),
    }


def _log_factor(error: np.ndarray, distances: np.ndarray, unit: np.ndarray, level: float) -> float:
    """Return the logarithm of the factor of distances to the median with the least pinball loss; 0 without any.

    Args:
        error: (N, horizon) truth minus median.
        distances: (N, horizon, sides) of quantiles to the median, below 0 on the lower side.
        unit: (N,) by which losses are divided.
        level: of the upper one.
    """
    sizes = np.abs(distances) / unit[:, None, None]
    usable = np.isfinite(error)[..., None] & (sizes > _NO_DISTANCE)
    if not usable.any():
        return 0.0
    ratios = np.broadcast_to(error[..., None], distances.shape)[usable] / distances[usable]
    order = np.argsort(ratios, kind="stable")
    total = np.cumsum(sizes[usable][order])
    best = float(ratios[order[np.searchsorted(total, level * total[-1])]])  # a weighted quantile
    if best <= 0:  # half of the truth, or more, is on the other side of the median
        return -_LARGEST_LOG
    return float(np.clip(np.log(best), -_LARGEST_LOG, _LARGEST_LOG))


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool | None) -> np.ndarray:
    """Return outputs (N, ..., targets * levels) with corrected distances to the median, ascending."""
    levels, factors = learned["levels"], np.asarray(learned["factors"], np.float32)
    if outputs.shape[-1] != factors.size:  # of a custom model
        return outputs
    # the order of the answers of quantiles
    shape = (*outputs.shape[:-1], *factors.shape)
    quantiles = np.sort(np.asarray(outputs, np.float32).reshape(shape), axis=-1)
    median = central(quantiles, levels)
    assert median is not None  # else nothing was learned
    distances = factors * (quantiles - median[..., None])
    below = int(np.searchsorted(levels, _MEDIAN))
    # what is farther from the median stays so, whatever its factor
    lower = np.minimum.accumulate(distances[..., :below][..., ::-1], axis=-1)[..., ::-1]
    upper = np.maximum.accumulate(distances[..., below:], axis=-1)
    widened = median[..., None] + np.concatenate([lower, upper], axis=-1)
    return widened.reshape(outputs.shape)


def describe(learned: "Learned") -> list[str]:
    """Return a line with the factors of the outer quantiles."""
    factors = np.asarray(learned["factors"])
    low, high = (float(np.exp(np.log(factors[:, end]).mean())) for end in (0, -1))
    first, last = learned["levels"][0], learned["levels"][-1]
    return [
        f"The distances of the quantiles {first:g} and {last:g} to the median are multiplied by {low:.2f} and "
        f"{high:.2f}, as the errors of past forecasts of the validation rows ask for."
    ]
