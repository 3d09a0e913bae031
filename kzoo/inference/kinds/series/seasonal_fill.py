"""Missing values of a series from the same phase of the seasons around them. Imports only NumPy.

A value is estimated from those a whole number of seasons before, each shifted by the local change of level: the mean
difference between the values of the season up to it and those as many seasons earlier. Where there is no season before,
those after it are used in the same way. What the values next to the gap differ from their own estimates continues into
the gap, and fades out as it does among the values that are known: as in an autoregressive process of first order, whose
expectation between two values this is.
"""

import numpy as np

_LAGS = 4  # seasons whose mean is used; later ones only where these are missing, too
_MIN_RESIDUALS = 8  # from which the autocorrelation is estimated
_AUTOCORRELATION = 0.5  # of fewer
_MAX_AUTOCORRELATION = 0.999


def fill_from_seasons(column: np.ndarray, season: int) -> np.ndarray:
    """Return the values of a series with the missing ones (NaN) filled in where a season before or after has values.

    Args:
        column: (N,) of one series.
        season: steps of a season.

    Returns:
        (N,), NaN where no value of the same phase is known. A series that is never negative stays so.
    """
    missing = np.isnan(column)
    if len(column) <= season or missing.all():
        return column.copy()
    estimate = _estimates(column, season, missing)
    if np.isnan(estimate).any():
        after = _estimates(column[::-1], season, missing[::-1])[::-1]
        estimate = np.where(np.isnan(estimate), after, estimate)
    filled = column.copy()
    filled[missing] = (estimate + carried(column - estimate))[missing]
    if np.nanmin(column) >= 0:
        filled[missing] = np.maximum(filled[missing], 0)
    return filled


def _estimates(column: np.ndarray, season: int, missing: np.ndarray) -> np.ndarray:
    """Return the weighted mean of the values of earlier seasons at each step (N,), shifted to its level; NaN without.

    The nearer of two seasons has the larger weight.
    """
    size = len(column)
    total = np.zeros(size)
    weights = np.zeros(size)
    for count in range(1, (size - 1) // season + 1):
        lag = count * season
        if count > _LAGS and (weights[lag:][missing[lag:]] > 0).all():
            break
        earlier = np.full(size, np.nan)
        earlier[lag:] = column[:-lag]
        shifted = earlier + _local_mean(column - earlier, season)
        is_known = np.isfinite(shifted) & ((weights == 0) | (count <= _LAGS))
        total[is_known] += shifted[is_known] / count
        weights[is_known] += 1 / count
    with np.errstate(invalid="ignore"):
        return total / np.where(weights > 0, weights, np.nan)


def _local_mean(changes: np.ndarray, season: int) -> np.ndarray:
    """Return the mean of changes (N,) in the season before each step, which may be missing (NaN).

    Where fewer than half of them are known, those of the season after it count, too; a step without any has a mean
    between its neighbours. All are 0 if no change is known.
    """
    known = np.isfinite(changes)
    if not known.any():
        return np.zeros(len(changes))
    sums = np.append(0, np.cumsum(np.where(known, changes, 0)))
    counts = np.append(0, np.cumsum(known))
    steps = np.arange(len(changes))
    first = np.maximum(steps - season, 0)
    after = np.minimum(steps + 1, len(changes))
    end = np.minimum(steps + season + 1, len(changes))
    total = sums[steps] - sums[first]
    count = counts[steps] - counts[first]
    is_few = 2 * count < season
    total = np.where(is_few, total + sums[end] - sums[after], total)
    count = np.where(is_few, count + counts[end] - counts[after], count)
    has = count > 0
    return (
        np.interp(steps, steps[has], total[has] / count[has])
        if has.any()
        else np.zeros(len(changes))
    )


def carried(residuals: np.ndarray) -> np.ndarray:
    """Return what residuals (N,) let expect where they are missing (NaN): those around a gap, fading into it."""
    known = np.isfinite(residuals)
    if not known.any():
        return np.zeros(len(residuals))
    values = np.where(known, residuals, 0.0)
    pairs = values[1:] * values[:-1]
    both = known[1:] & known[:-1]
    correlation = _AUTOCORRELATION
    if both.sum() >= _MIN_RESIDUALS:
        power = (values[:-1] ** 2)[both].sum()
        correlation = float(pairs[both].sum() / power) if power > 0 else 0.0
    correlation = float(np.clip(correlation, 0, _MAX_AUTOCORRELATION))
    steps = np.arange(len(values))
    before = np.maximum.accumulate(np.where(known, steps, -1))
    after = np.minimum.accumulate(np.where(known, steps, len(values))[::-1])[::-1]
    left = np.where(before >= 0, correlation ** (steps - np.maximum(before, 0)), 0.0)
    right = np.where(after < len(values), correlation ** (after - steps), 0.0)
    # of an autoregressive process between the two
    scale = np.maximum(1 - (left * right) ** 2, 1e-12)
    own_left = left * (1 - right**2) / scale * values[np.maximum(before, 0)]
    own_right = right * (1 - left**2) / scale * values[np.minimum(after, len(values) - 1)]
    return np.where(known, values, own_left + own_right)
