"""A power law `a + b n^-c` of an error over the number of training rows, and its forecast. NumPy only."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

LARGEST_FACTOR = 4  # forecasts end at this multiple of the most rows that were trained on
INTERVAL = 0.8  # probability of the interval of a forecast
_EXPONENTS = np.geomspace(0.05, 2.5, 60)
_REFINED = 20  # exponents between the two neighbours of the best
_SMALLEST = 1e-12
# sizes that a draw of the bootstrap may leave out, and those that it has
_LEFT_OUT, _FEWEST_SIZES = 2, 4


@dataclass(frozen=True)
class PowerLaw:
    """The error with n training rows: `floor + scale * n ** -exponent`, none of them negative."""

    floor: float
    scale: float
    exponent: float

    def __call__(self, n: ArrayLike) -> np.ndarray:
        """Return the error with n rows, a number or an array."""
        return self.floor + self.scale * np.asarray(n, np.float64) ** -self.exponent


def fit_power_law(
    sizes: ArrayLike, errors: ArrayLike, variances: ArrayLike | None = None
) -> PowerLaw:
    """Fit a power law by weighted least squares.

    The exponent is searched on a grid, which is refined twice; for each, floor and scale are the best that are not
    negative.

    Args:
        sizes: (S,) numbers of training rows.
        errors: (S,) mean errors, 0 or more.
        variances: (S,) variances of the errors; None: they are equal.
    """
    sizes, errors = np.asarray(sizes, np.float64), np.asarray(errors, np.float64)
    variances = np.ones(len(sizes)) if variances is None else np.asarray(variances, np.float64)
    weights = 1 / np.maximum(variances, _SMALLEST)
    weights /= weights.sum()
    unit = sizes.max()  # powers of n / unit are near 1
    relative = sizes / unit

    def best(exponents: np.ndarray) -> tuple[int, Any, Any]:
        powers = relative[None] ** -exponents[:, None]
        floor, scale = _non_negative(powers, errors, weights)
        losses = (weights * (floor[:, None] + scale[:, None] * powers - errors) ** 2).sum(axis=1)
        index = int(losses.argmin())
        return index, floor[index], scale[index]

    exponents = _EXPONENTS
    index, floor, scale = best(exponents)
    for _ in range(2):
        low = exponents[max(index - 1, 0)]
        high = exponents[min(index + 1, len(exponents) - 1)]
        exponents = np.geomspace(low, high, _REFINED)
        index, floor, scale = best(exponents)
    return PowerLaw(float(floor), float(scale * unit ** exponents[index]), float(exponents[index]))


def _non_negative(
    powers: np.ndarray, errors: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return floor and scale (E,) of the weighted least squares of each row of powers (E, S), both 0 or more."""
    mean_power, mean_error = powers @ weights, weights @ errors
    centred = powers - mean_power[:, None]
    variance = (weights * centred**2).sum(axis=1)
    scale = (weights * centred * (errors - mean_error)).sum(axis=1) / np.maximum(
        variance, _SMALLEST
    )
    floor = mean_error - scale * mean_power
    through_zero = (weights * powers * errors).sum(axis=1) / np.maximum(
        (weights * powers**2).sum(axis=1), _SMALLEST
    )
    scale = np.where(floor < 0, through_zero, scale)
    floor = np.where(floor < 0, 0.0, floor)
    flat = scale < 0
    return np.where(flat, mean_error, floor), np.where(flat, 0.0, scale)


@dataclass(frozen=True)
class Forecast:
    """A fitted power law and its bootstrap.

    Args:
        sizes: (S,) numbers of training rows.
        errors: (S,) mean error over the draws.
        spread: (S,) standard deviation of the error of a single training.
        law: fitted to the errors.
        laws: those of the bootstrap.
    """

    sizes: np.ndarray
    errors: np.ndarray
    spread: np.ndarray
    law: PowerLaw
    laws: list[PowerLaw]

    def error(
        self, n: int, *, test_rows: float | None = None, seed: int = 0
    ) -> tuple[float, float, float]:
        """Return (error, low, high) with n training rows: the 80 % interval of a single new training.

        Args:
            n: number of training rows.
            test_rows: standard error of the score of other test rows; None: it is scored on the same ones, whose noise
                is in the bootstrap.
            seed: of the noise of a training.

        Raises:
            ValueError: n is more than four times the largest size.
        """
        self._check(n)
        noise = np.hypot(self.spread[-1], test_rows or 0.0)
        laws = np.array([law(n) for law in self.laws])
        values = laws + noise * np.random.default_rng(seed).standard_normal(len(laws))
        return (float(np.median(laws)), *_interval(np.maximum(values, 0)))

    def gain(self, more: int) -> tuple[float, float, float]:
        """Return (gain, low, high): by how much the error falls with more rows than today's, and its 80 % interval.

        Args:
            more: number of rows beside the largest size.

        Raises:
            ValueError: these are more than four times the largest size.
        """
        today = self.sizes[-1]
        self._check(today + more)
        gains = np.array([law(today) - law(today + more) for law in self.laws])
        return (float(np.median(gains)), *_interval(gains))

    def _check(self, n: int) -> None:
        if n > LARGEST_FACTOR * self.sizes[-1]:
            raise ValueError(f"{n} rows are more than {LARGEST_FACTOR} times {self.sizes[-1]}")


def _interval(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, ((1 - INTERVAL) / 2, (1 + INTERVAL) / 2))
    return float(low), float(high)


def forecast(
    sizes: ArrayLike,
    row_errors: ArrayLike,
    *,
    draws: int = 400,
    seed: int = 0,
    weight: ArrayLike | None = None,
) -> Forecast:
    """Fit a power law to the errors of several trainings at each size.

    The bootstrap draws the trainings of each size and the scored rows, which all trainings share, and leaves out none,
    one or two of the smallest sizes, because errors with very few rows often do not follow the law. Three trainings
    show too little of their spread: deviations from the mean are enlarged by sqrt(n / (n - 1)).

    Args:
        sizes: (S,) numbers of training rows, ascending.
        row_errors: (S, D, N) error of each scored row in each of D trainings of each size.
        draws: number of bootstrap draws.
        seed: of the bootstrap.
        weight: (N,) weights of the rows, or None.
    """
    sizes = np.asarray(sizes)
    row_errors = np.asarray(row_errors, np.float64)
    count, repeats, rows = row_errors.shape
    weight = np.ones(rows) if weight is None else np.asarray(weight, np.float64)
    errors = row_errors @ (weight / weight.sum())  # (S, D)
    spread = _smooth_spread(sizes, errors.std(axis=1, ddof=1) if repeats > 1 else np.zeros(count))
    sampling = row_errors.mean(axis=1).std(axis=1) / np.sqrt(rows)  # of the rows that are scored
    variances = (
        spread**2 / repeats + (0.1 * sampling) ** 2 + (1e-3 * max(errors.max(), _SMALLEST)) ** 2
    )
    mean = errors.mean(axis=1)
    law = fit_power_law(sizes, mean, variances)
    laws = []
    random = np.random.default_rng(seed)
    enlarged = np.sqrt(repeats / (repeats - 1)) if repeats > 1 else 1.0
    for _ in range(draws):
        drawn_rows = random.multinomial(rows, np.full(rows, 1 / rows)) * weight
        resampled = row_errors @ (drawn_rows / max(drawn_rows.sum(), _SMALLEST))
        chosen = resampled[
            np.arange(count)[:, None], random.integers(repeats, size=(count, repeats))
        ].mean(axis=1)
        centre = resampled.mean(axis=1)
        values = np.maximum(centre + enlarged * (chosen - centre), 0)
        first = (
            random.integers(min(_LEFT_OUT, count - _FEWEST_SIZES) + 1)
            if count > _FEWEST_SIZES
            else 0
        )
        laws.append(fit_power_law(sizes[first:], values[first:], variances[first:]))
    return Forecast(sizes=sizes, errors=mean, spread=spread, law=law, laws=laws)


def _smooth_spread(sizes: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return standard deviations that follow a power of the size: those of three trainings each are very uncertain."""
    positive = spread > 0
    if positive.sum() < 2:
        return np.full(len(spread), spread.max())
    slope, level = np.polyfit(np.log(sizes[positive]), np.log(spread[positive]), 1)
    slope = float(np.clip(slope, -1, 0))
    level = np.log(spread[positive]).mean() - slope * np.log(sizes[positive]).mean()
    # The logarithm of the deviation of three values is .42 too small on average.
    return np.exp(level + 0.42) * np.asarray(sizes, float) ** slope
