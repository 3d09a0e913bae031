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
_LARGEST = 4.0  # factor, and the inverse of the smallest
# The logarithm of a factor counts half at this number of independent rows, and of blocks of origins.
_ROWS, _BLOCKS = 20.0, 1.0
_OF_SIDE = 0.3  # share of the factor of a level by itself; the rest is that of both sides
_NARROWING = 0.5  # share of the logarithm of a factor below 1 that counts
_MARGIN, _MOST_MARGIN = (
    5.0,
    0.2,
)  # logarithm of the widening: the first over the independent rows, at most the second
_SAME_LEVEL = 1e-9
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
    weight = rows / (rows + _ROWS) * blocks / (blocks + _BLOCKS)
    factors = np.ones((truth.shape[2], len(levels)))
    for target in range(truth.shape[2]):
        unit = np.broadcast_to(scale[:, None, target], truth.shape[:2])
        error = truth[..., target] - median[..., target]
        distances = quantiles[..., target, :] - median[..., target, None]
        for index, level in enumerate(levels):
            if abs(level - _MEDIAN) < _SAME_LEVEL:
                continue
            own = [index]
            both = np.flatnonzero(
                np.abs(np.abs(np.subtract(levels, _MEDIAN)) - abs(level - _MEDIAN)) < _SAME_LEVEL
            )
            logs = [
                _log_factor(error, distances[..., some], unit, max(level, 1 - level))
                for some in (own, both)
            ]
            size = weight * (_OF_SIDE * logs[0] + (1 - _OF_SIDE) * logs[1])
            margin = min(_MARGIN / rows, _MOST_MARGIN)
            factors[target, index] = np.exp(margin + (size if size > 0 else _NARROWING * size))
    return {
        "levels": [float(level) for level in levels],
        "factors": np.round(factors, 6).tolist(),
        "independent": round(rows, 1),
    }


def _log_factor(error: np.ndarray, distances: np.ndarray, unit: np.ndarray, level: float) -> float:
    """Return the logarithm of the factor of distances to the median with the least pinball loss; 0 without any.

    Args:
        error: (N, horizon) truth minus median.
        distances: (N, horizon, sides) of quantiles to the median, below 0 on the lower side.
        unit: (N, horizon) by which losses are divided.
        level: of the upper one.
    """
    some = np.isfinite(error)[..., None] & (np.abs(distances) > _NO_DISTANCE * unit[..., None])
    if not some.any():
        return 0.0
    ratios = np.divide(error[..., None], distances, out=np.zeros_like(distances), where=some)[some]
    weights = (np.abs(distances) / unit[..., None])[some]
    order = np.argsort(ratios, kind="stable")
    total = np.cumsum(weights[order])
    best = float(ratios[order[np.searchsorted(total, level * total[-1])]])  # a weighted quantile
    return float(np.log(np.clip(best, 1 / _LARGEST, _LARGEST)))


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


def combine(parts: "Sequence[Learned]") -> JsonObject:
    """Return the factors of an ensemble: the geometric means of those of its members."""
    logarithms = [np.log(np.asarray(part["factors"], np.float64)) for part in parts]
    factors = np.exp(np.mean(logarithms, axis=0))
    return {**parts[0], "factors": np.round(factors, 6).tolist()}


def describe(learned: "Learned") -> list[str]:
    """Return a line with the factors of the outer quantiles."""
    factors = np.asarray(learned["factors"])
    low, high = (float(np.exp(np.log(factors[:, end]).mean())) for end in (0, -1))
    first, last = learned["levels"][0], learned["levels"][-1]
    return [
        f"The distances of the quantiles {first:g} and {last:g} to the median are multiplied by {low:.2f} and "
        f"{high:.2f}, as the errors of past forecasts of the validation rows ask for."
    ]
