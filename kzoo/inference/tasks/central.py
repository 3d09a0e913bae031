"""The quantile that counts as the forecast: the median, also where 0.5 is not among the levels. NumPy only."""

from collections.abc import Sequence

import numpy as np

_MEDIAN = 0.5


def central(quantiles: np.ndarray, levels: Sequence[float]) -> np.ndarray | None:
    """Return the medians (...), given quantiles (..., Q) of ascending levels.

    Without the level 0.5, they are interpolated between the nearest levels on both sides of it, linearly in the level.
    None if all levels are on one side: scores of a forecast would then show the side, not the error.
    """
    weights = _weights(levels)
    if weights is None:
        return None
    below, *above = weights
    if not above:
        return quantiles[..., below]
    share = quantiles.dtype.type(weights[above[0]])
    return (1 - share) * quantiles[..., below] + share * quantiles[..., above[0]]


def nearest(levels: Sequence[float]) -> int:
    """Return the index of the level that is nearest to 0.5; of two, that of the lower one."""
    return int(np.argmin(np.round(np.abs(np.asarray(levels) - _MEDIAN), 9)))


def central_levels(levels: Sequence[float]) -> list[float]:
    """Return the levels that `central` interpolates between; [] if 0.5 is among the levels, or if there are none."""
    weights = _weights(levels) or {}
    return [levels[index] for index in weights] if len(weights) > 1 else []


def _weights(levels: Sequence[float]) -> dict[int, float] | None:
    """Return index of a level -> its weight in the median; None if all levels are on one side of it."""
    index = nearest(levels)
    if abs(levels[index] - _MEDIAN) < 1e-9:
        return {index: 1.0}
    above = int(np.searchsorted(np.asarray(levels), _MEDIAN))
    if above in (0, len(levels)):
        return None
    low, high = levels[above - 1], levels[above]
    share = (_MEDIAN - low) / (high - low)
    return {above - 1: 1 - share, above: share}
