"""The Theta method: fitted to many series at once, with forecasts as sample paths. NumPy only.

Fiorucci, Pellegrini, Louzada, Petropoulos and Koehler, Models for optimising the theta method and their relationship to
state space models (2016), https://doi.org/10.1016/j.ijforecast.2016.02.005.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from kzoo.baselines.exponential_smoothing import seasonal_means, without_holes
from kzoo.baselines.least_squares import least_squares

_LOW, _HIGH = 0.1, 0.99  # of alpha
_SKIPPED = 3  # first steps, whose forecasts rest on too little
_LARGEST = 1e4  # theta: above it, forecasts hardly change
_SMALLEST = 1e-3  # forecast of a series of scale 1 whose errors may be relative
_SIGNIFICANT = 1.645  # of the autocorrelation at the lag of a season, in standard deviations


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of the Theta method.

    Args:
        dynamic: whether the line is that of the steps up to a forecast, not that of all steps.
        optimised: whether theta is fitted; else it is 2.
    """

    dynamic: bool
    optimised: bool


FORMS = tuple(
    Form(dynamic=dynamic, optimised=optimised)
    for dynamic in (False, True)
    for optimised in (False, True)
)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The state after the last step of each series.

    Args:
        level: (..., S) smoothed level.
        mean: (..., S) mean of the steps.
        intercept, slope: (..., S) of the line through them.
        steps: (S,) number of steps.
    """

    level: np.ndarray
    mean: np.ndarray
    intercept: np.ndarray
    slope: np.ndarray
    steps: np.ndarray

    def of(self, series: np.ndarray) -> "State":
        """Return the state of some series."""
        return State(
            level=self.level[..., series],
            mean=self.mean[..., series],
            intercept=self.intercept[..., series],
            slope=self.slope[..., series],
            steps=self.steps[series],
        )

    @classmethod
    def joined(cls, states: "Sequence[State]") -> "State":
        """Return the states (S,) of several sets of series as one."""
        return cls(
            **{
                field.name: np.concatenate([getattr(state, field.name) for state in states])
                for field in fields(cls)
            }
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Theta:
    """The Theta method of one form, fitted to some series.

    Args:
        form: of all of these series.
        alpha, theta, start: (S,) smoothing parameter, theta, and the level before the first step.
        line: mean, intercept and slope (S,) of the lines through the adjusted series.
        seasonal: (season, S) factors or summands of the steps of a season, beginning at the first step; (1, S) without.
        multiplicative: (S,) whether they are factors.
        relative: (S,) whether the errors of the seasonally adjusted series grow with its level.
        sigma: (S,) standard deviation of these errors, or of the relative ones.
        criterion: (S,) AICc; infinite where a series is too short.
    """

    form: Form
    alpha: np.ndarray
    theta: np.ndarray
    start: np.ndarray
    line: tuple[np.ndarray, ...]
    seasonal: np.ndarray
    multiplicative: np.ndarray
    relative: np.ndarray
    sigma: np.ndarray
    criterion: np.ndarray

    def of(self, series: np.ndarray) -> "Theta":
        """Return the same for some of its series."""
        return replace(
            self,
            alpha=self.alpha[series],
            theta=self.theta[series],
            start=self.start[series],
            line=tuple(values[series] for values in self.line),
            seasonal=self.seasonal[:, series],
            multiplicative=self.multiplicative[series],
            relative=self.relative[series],
            sigma=self.sigma[series],
            criterion=self.criterion[series],
        )

    def states(self, y: np.ndarray) -> Iterator[State]:
        """Yield the state after each step.

        Args:
            y: (T, S) series, NaN where a value is missing.
        """
        adjusted = _adjusted(y, self.seasonal, self.multiplicative)
        first = _first_state(self.form, self.start, self.line)
        smoothed = _smoothed(self.form, adjusted, self.alpha, self.theta, first)
        return (state for _, _, state in smoothed)

    def paths(self, state: State, normal: np.ndarray) -> np.ndarray:
        """Return sample paths (horizon, samples, S) of the next steps.

        Args:
            state: after the last step of each series.
            normal: (horizon, samples, 1 or S) standard normal numbers; zeros give point forecasts.
        """
        errors = normal * self.sigma
        paths = np.empty(errors.shape)
        series = np.arange(len(self.sigma))
        for step, error in enumerate(errors):
            cycle = self.seasonal[state.steps % len(self.seasonal), series]
            forecast = _forecast(state, self.alpha, self.theta)
            value = forecast + error * np.where(self.relative, forecast, 1.0)
            paths[step] = np.where(self.multiplicative, value * cycle, value + cycle)
            state = _updated(self.form, state, self.alpha, value)
        return paths


def fit(y: np.ndarray, season: int = 1, forms: Sequence[Form] = FORMS) -> list[Theta]:
    """Fit all forms to series, by least squares of the one-step errors.

    A series whose autocorrelation at the lag of a season is significant is seasonally adjusted first: by factors if it
    is positive, else by summands.

    Args:
        y: (T, S) series, beginning at the first step, NaN where a value is missing and after the end of a series.
        season: steps of a season; 1 for none.
        forms: those to be fitted.
    """
    scale = np.nanmean(np.abs(y), axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    scaled = y / scale
    seasonal, multiplicative = _seasonal(scaled, season)
    adjusted = _adjusted(scaled, seasonal, multiplicative)
    line = line_through(adjusted)
    fits = []
    for form in forms:

        def residuals(z: np.ndarray, series: np.ndarray, form: Form = form) -> np.ndarray:
            lines = tuple(values[series] for values in line)
            return smooth(form, adjusted[:, series], *_unpacked(form, z), lines)[1]

        z, squares = least_squares(residuals, _guesses(form, adjusted))
        known = np.isfinite(adjusted[_SKIPPED:]).sum(axis=0)
        number = len(z) + 1
        alpha, theta, start = _unpacked(form, z)
        relative, sigma = _spread(*smooth(form, adjusted, alpha, theta, start, line), adjusted)
        with np.errstate(all="ignore"):
            criterion = (
                known * np.log(np.maximum(squares, 1e-300))
                + 2 * number
                + 2 * number * (number + 1) / (known - number - 1)
            )
        fits.append(
            Theta(
                form=form,
                alpha=alpha,
                theta=theta,
                start=start * scale,
                line=tuple(values * scale for values in line),
                seasonal=np.where(multiplicative, seasonal, seasonal * scale),
                multiplicative=multiplicative,
                relative=relative,
                sigma=np.where(relative, sigma, sigma * scale),
                criterion=np.where(known > number + 1, criterion, np.inf),
            )
        )
    return fits


def smooth(
    form: Form,
    y: np.ndarray,
    alpha: np.ndarray,
    theta: np.ndarray,
    start: np.ndarray,
    line: tuple[np.ndarray, ...],
) -> tuple[np.ndarray, np.ndarray]:
    """Return the one-step forecasts and the errors (T, ..., S), which are 0 for the first steps.

    Args:
        y: (T, S) seasonally adjusted series, NaN where a value is missing and after the end of a series.
        alpha, theta, start: (..., S).
        line: mean, intercept and slope (S,) of the lines through the series, which count if they are not dynamic.
    """
    forecasts = np.empty((len(y), *start.shape))
    errors = np.zeros_like(forecasts)
    first = _first_state(form, start, line)
    for step, (forecast, error, _) in enumerate(_smoothed(form, y, alpha, theta, first)):
        forecasts[step] = forecast
        if step >= _SKIPPED:
            errors[step] = error
    return forecasts, errors


def _smoothed(
    form: Form, y: np.ndarray, alpha: np.ndarray, theta: np.ndarray, state: State
) -> Iterator[tuple[np.ndarray, np.ndarray, State]]:
    """Yield the forecast of each step, its error, and the state after it."""
    known = np.isfinite(y)
    for step in range(len(y)):
        forecast = _forecast(state, alpha, theta)
        value = np.where(known[step], y[step], forecast)
        state = _updated(form, state, alpha, value)
        yield forecast, value - forecast, state


def _first_state(form: Form, start: np.ndarray, line: tuple[np.ndarray, ...]) -> State:
    """Return the state before the first step."""
    mean, intercept, slope = (0 * start + (0 if form.dynamic else values) for values in line)
    return State(
        level=start,
        mean=mean,
        intercept=intercept,
        slope=slope,
        steps=np.zeros(start.shape[-1:], int),
    )


def _forecast(state: State, alpha: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Return the forecast of the next step."""
    decay = (1 - alpha) ** state.steps
    line = decay * state.intercept + (1 - decay * (1 - alpha)) / alpha * state.slope
    return state.level + (1 - 1 / theta) * line


def _updated(form: Form, state: State, alpha: np.ndarray, value: np.ndarray) -> State:
    """Return the state after a step with this value."""
    steps = state.steps + 1
    level = alpha * value + (1 - alpha) * state.level
    if not form.dynamic:
        return State(
            level=level,
            mean=state.mean,
            intercept=state.intercept,
            slope=state.slope,
            steps=steps,
        )
    mean = state.mean + (value - state.mean) / steps
    slope = ((steps - 2) * state.slope + 6 * (value - state.mean) / steps) / (steps + 1)
    slope = np.where(steps == 1, 0.0, slope)
    return State(
        level=level,
        mean=mean,
        intercept=mean - (steps + 1) / 2 * slope,
        slope=slope,
        steps=steps,
    )


def _spread(
    forecasts: np.ndarray, errors: np.ndarray, y: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return whether relative errors are more likely than equal ones, and the standard deviation of the errors (S,).

    Args:
        forecasts, errors, y: (T, S), NaN in `y` where a value is missing.
    """
    known = np.isfinite(y[_SKIPPED:])
    number = np.maximum(known.sum(axis=0), 1)
    forecasts = np.where(known, forecasts[_SKIPPED:], 1.0)
    errors = errors[_SKIPPED:]
    positive = (forecasts > _SMALLEST).all(axis=0)
    forecasts = np.maximum(forecasts, _SMALLEST)
    squares = (errors**2).sum(axis=0)
    of_relative = ((errors / forecasts) ** 2).sum(axis=0)
    with np.errstate(divide="ignore"):
        gain = number * (np.log(squares) - np.log(of_relative)) - 2 * np.log(forecasts).sum(axis=0)
    relative = positive & (gain > 0)
    return relative, np.sqrt(np.where(relative, of_relative, squares) / np.maximum(number - 1, 1))


def line_through(y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, intercept and slope (S,) of the lines through known steps, which count from 1."""
    known = np.isfinite(y)
    number = np.maximum(known.sum(axis=0), 1)
    steps = np.arange(1, len(y) + 1)[:, None]
    mean = np.where(known, y, 0).sum(axis=0) / number
    center = (known * steps).sum(axis=0) / number
    around = np.where(known, steps - center, 0)
    slope = (around * np.where(known, y - mean, 0)).sum(axis=0)
    slope = slope / np.maximum((around**2).sum(axis=0), 1e-12)
    return mean, mean - slope * center, slope


def _unpacked(form: Form, z: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return alpha, theta and the first level from free numbers (P, ..., S)."""
    alpha = _LOW + (_HIGH - _LOW) / (1 + np.exp(-np.clip(z[0], -30, 30)))
    if not form.optimised:
        return alpha, np.full_like(alpha, 2.0), z[1]
    theta = 1 / (1 / _LARGEST + (1 - 1 / _LARGEST) / (1 + np.exp(-np.clip(z[2], -30, 30))))
    return alpha, theta, z[1]


def _guesses(form: Form, y: np.ndarray) -> np.ndarray:
    """Return free numbers (P, G, S) to begin with."""
    first = without_holes(y)[0]
    guesses = []
    for alpha in (-1.5, 0.0, 2.0):  # before the logistic function
        guess = [np.full(len(first), alpha), first / 2]
        guesses.append(np.stack([*guess, 0 * first] if form.optimised else guess))
    return np.stack(guesses, axis=1)


def _seasonal(y: np.ndarray, season: int) -> tuple[np.ndarray, np.ndarray]:
    """Return seasonal values (season, S), neutral for series without a season, and whether they are factors (S,)."""
    count = y.shape[1]
    multiplicative = np.asarray(~(y <= 0).any(axis=0))
    neutral = np.where(multiplicative, 1.0, 0.0)
    if season < 2 or len(y) < 2 * season:
        return neutral[None], multiplicative
    has_season = _has_season(y, season)
    factors = seasonal_means(y, season, "M")
    # without a season in the level, or with factors near 0, summands
    multiplicative &= (factors > 0.01).all(axis=0)
    seasonal = np.where(multiplicative, factors, seasonal_means(y, season, "A"))
    neutral = np.where(multiplicative, 1.0, 0.0)
    return np.where(has_season, seasonal, np.broadcast_to(neutral, (season, count))), multiplicative


def _adjusted(y: np.ndarray, seasonal: np.ndarray, multiplicative: np.ndarray) -> np.ndarray:
    """Return series without their season."""
    cycle = seasonal[np.arange(len(y)) % len(seasonal)]
    return np.where(multiplicative, y / np.where(multiplicative, cycle, 1.0), y - cycle)


def _has_season(y: np.ndarray, season: int) -> np.ndarray:
    """Return for which series (S,) the autocorrelation at the lag of a season is significant."""
    known = np.isfinite(y)
    number = known.sum(axis=0)
    around = np.where(known, y - np.nanmean(y, axis=0), 0.0)
    variance = np.maximum((around**2).sum(axis=0), 1e-300)
    correlations = np.stack(
        [(around[lag:] * around[:-lag]).sum(axis=0) / variance for lag in range(1, season + 1)]
    )
    spread = np.sqrt((1 + 2 * (correlations[:-1] ** 2).sum(axis=0)) / np.maximum(number, 1))
    return (np.abs(correlations[-1]) > _SIGNIFICANT * spread) & (number >= 2 * season)
