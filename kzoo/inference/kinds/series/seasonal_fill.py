"""Missing values of a series from the same phase of the seasons around them. Imports only NumPy.

A value is estimated from those a whole number of seasons before, each shifted by the local change of level: the mean
difference between the values of the season up to it and those as many seasons earlier. Where there is no season before,
those after it are used in the same way. What the values next to the gap differ from their own estimates continues into
the gap, and fades out as it does among the values that are known: as in an autoregressive process of first order, whose
expectation between two values this is.
"""

from collections.abc import Iterator

import numpy as np

_LAGS = 4  # seasons whose mean is used; later ones only where these are missing, too
_MIN_RESIDUALS = 8  # from which the autocorrelation is estimated
_AUTOCORRELATION = 0.5  # of fewer
_MAX_AUTOCORRELATION = 0.999
_BLOCK = 1_000_000  # steps that are filled in at a time


def fill_from_seasons(column: np.ndarray, parts: np.ndarray, season: int) -> np.ndarray:
    """Return the values of series with the missing ones (NaN) filled in where a season before or after has values.

    Args:
        column: (N,) of series, one after the other.
        parts: (P + 1,) first step of each part that is filled in by itself, and N.
        season: steps of a season.

    Returns:
        (N,), NaN where no value of the same phase is known. A part that is never negative stays so.
    """
    sizes = np.diff(parts)
    missing = np.isnan(column)
    counts = np.add.reduceat(missing, parts[:-1])
    # those without a gap need nothing, and those that are empty or too short have nothing
    chosen = np.flatnonzero((counts > 0) & (counts < sizes) & (sizes > season))
    filled = column.copy()
    for some in _blocks(chosen, sizes):
        rows = np.concatenate([np.arange(parts[part], parts[part + 1]) for part in some.tolist()])
        bounds = np.append(0, np.cumsum(sizes[some]))
        filled[rows] = _filled(column[rows], _Parts(bounds), season)
    return filled


def _blocks(chosen: np.ndarray, sizes: np.ndarray) -> Iterator[np.ndarray]:
    """Yield some parts at a time, for which memory is needed."""
    ends = np.cumsum(sizes[chosen]) // _BLOCK
    for number in np.unique(ends):
        yield chosen[ends == number]


class _Parts:
    """Steps of parts, one after the other.

    Args:
        bounds: (P + 1,) first step of each part, and the number of steps N.
    """

    def __init__(self, bounds: np.ndarray) -> None:
        self.bounds = bounds
        self.steps = np.arange(bounds[-1])
        sizes = np.diff(bounds)
        self.codes = np.repeat(np.arange(len(sizes)), sizes)
        self.firsts = np.repeat(bounds[:-1], sizes)
        self.ends = np.repeat(bounds[1:], sizes)
        self.longest = int(sizes.max())

    def reversed(self) -> "_Parts":
        """Return the parts of reversed columns."""
        return _Parts(self.bounds[-1] - self.bounds[::-1])

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Return the sum of values (N,) over each part, at each of its steps (N,)."""
        return np.add.reduceat(values, self.bounds[:-1])[self.codes]

    def around(self, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the last known step (N,) of the part up to each step, -1 for none; and the next one, N for none."""
        size = len(known)
        before = np.maximum.accumulate(np.where(known, self.steps, -1))
        after = np.minimum.accumulate(np.where(known, self.steps, size)[::-1])[::-1]
        return np.where(before >= self.firsts, before, -1), np.where(after < self.ends, after, size)


def _filled(column: np.ndarray, parts: _Parts, season: int) -> np.ndarray:
    """Return a column (N,) of parts with its missing values filled in, as `fill_from_seasons`."""
    missing = np.isnan(column)
    estimate = _estimates(column, parts, season)
    after = _estimates(column[::-1], parts.reversed(), season)[::-1]
    estimate = np.where(np.isnan(estimate), after, estimate)
    values = estimate + carried(column - estimate, parts.bounds)
    is_negative = parts.sums(column < 0) > 0
    return np.where(missing, np.where(is_negative, values, np.maximum(values, 0)), column)


def _estimates(column: np.ndarray, parts: _Parts, season: int) -> np.ndarray:
    """Return the weighted mean of the values of earlier seasons at each step (N,), shifted to its level; NaN without.

    The nearer of two seasons has the larger weight.
    """
    missing = np.isnan(column)
    total = np.zeros(len(column))
    weights = np.zeros(len(column))
    for count in range(1, (parts.longest - 1) // season + 1):
        lag = count * season
        has_earlier = parts.steps - lag >= parts.firsts
        if count > _LAGS and not (missing & (weights == 0) & has_earlier).any():
            break
        earlier = np.where(has_earlier, column[np.maximum(parts.steps - lag, 0)], np.nan)
        shifted = earlier + _local_mean(column - earlier, parts, season)
        is_known = np.isfinite(shifted) & ((count <= _LAGS) | (missing & (weights == 0)))
        total[is_known] += shifted[is_known] / count
        weights[is_known] += 1 / count
    return total / np.where(weights > 0, weights, np.nan)


def _local_mean(changes: np.ndarray, parts: _Parts, season: int) -> np.ndarray:
    """Return the mean of changes (N,) in the season before each step, which may be missing (NaN).

    Where fewer than half of them are known, those of the season after it count, too; a step without any has a mean
    between its neighbours. They are 0 in a part without a change that is known.
    """
    known = np.isfinite(changes)
    changes = np.where(known, changes, 0)
    size = parts.sums(np.abs(changes))
    unit = np.where(size > 0, size, 1.0)  # so that a large series costs no digits of a small one
    sums = np.append(0, np.cumsum(changes / unit))
    counts = np.append(0, np.cumsum(known))
    steps = parts.steps
    first = np.maximum(steps - season, parts.firsts)
    after = np.minimum(steps + 1, parts.ends)
    end = np.minimum(steps + season + 1, parts.ends)
    total = sums[steps] - sums[first]
    count = counts[steps] - counts[first]
    is_few = 2 * count < season
    total = np.where(is_few, total + sums[end] - sums[after], total)
    count = np.where(is_few, count + counts[end] - counts[after], count)
    has = count > 0
    mean = np.append(np.where(has, unit * total / np.maximum(count, 1), 0.0), 0.0)
    left, right = parts.around(has)
    span = np.maximum(right - left, 1)
    between = (mean[left] * (right - steps) + mean[right] * (steps - left)) / span
    nearest = np.where(left >= 0, mean[left], np.where(right < len(changes), mean[right], 0.0))
    return np.where(
        has, mean[:-1], np.where((left >= 0) & (right < len(changes)), between, nearest)
    )


def carried(residuals: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """Return what residuals (N,) let expect where they are missing (NaN): those around a gap, fading into it.

    Args:
        residuals: of parts, one after the other.
        bounds: (P + 1,) first step of each part, and N.
    """
    parts = _Parts(bounds)
    known = np.isfinite(residuals)
    values = np.where(known, residuals, 0.0)
    both = np.append(False, known[1:] & known[:-1]) & (parts.steps > parts.firsts)
    earlier = np.where(both, np.append(0.0, values[:-1]), 0.0)
    power = parts.sums(earlier**2)
    correlation = parts.sums(values * earlier) / np.where(power > 0, power, 1.0)
    correlation = np.where(parts.sums(both) < _MIN_RESIDUALS, _AUTOCORRELATION, correlation)
    correlation = np.clip(correlation, 0, _MAX_AUTOCORRELATION)
    before, after = parts.around(known)
    left = np.where(before >= 0, correlation ** (parts.steps - np.maximum(before, 0)), 0.0)
    right = np.where(after < len(values), correlation ** (after - parts.steps), 0.0)
    # of an autoregressive process between the two
    scale = np.maximum(1 - (left * right) ** 2, 1e-12)
    own_left = left * (1 - right**2) / scale * values[np.maximum(before, 0)]
    own_right = right * (1 - left**2) / scale * values[np.minimum(after, len(values) - 1)]
    return np.where(known, values, own_left + own_right)
