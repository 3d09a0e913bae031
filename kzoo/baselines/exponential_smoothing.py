"""Exponential smoothing (ETS): many series at once, forms chosen by AICc, forecasts as sample paths. NumPy only.

Hyndman, Koehler, Ord and Snyder, Forecasting with Exponential Smoothing (2008), https://otexts.com/fpp3/ets.html.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from kzoo.baselines.least_squares import least_squares

MOST_STEPS = 24  # of a season: longer ones have too many starting values to be estimated
_LOW, _HIGH = 1e-4, 0.9999  # of smoothing parameters
_DAMPED = (0.8, 0.98)
_SMALLEST = 1e-8  # one-step forecast of a positive series of scale 1
_LEAST_LEVEL = 1e-2  # first guess of it
# First guesses, and whether they are without a season
_FIRST_SMOOTHING = (
    ({"alpha": 0.3, "beta": 0.1, "gamma": 0.1, "phi": 0.9}, False),
    ({"alpha": 0.9, "beta": 0.02, "gamma": 0.1, "phi": 0.9}, False),
    ({"alpha": 0.05, "beta": 0.05, "gamma": 0.05, "phi": 0.9}, False),
    ({"alpha": 0.5, "beta": 0.5, "gamma": 0.3, "phi": 0.9}, True),
)


@dataclass(frozen=True, kw_only=True)
class Form:
    """A form of exponential smoothing.

    Args:
        error: "A" for additive or "M" for multiplicative errors.
        trend: "N" for none, "A" for additive, "D" for damped.
        season: "N" for none, "A" for additive, "M" for multiplicative.
    """

    error: str
    trend: str
    season: str

    @property
    def positive(self) -> bool:
        """Whether it is for positive series only."""
        return "M" in (self.error, self.season)

    def smoothing(self) -> list[str]:
        """Return the names of its smoothing parameters."""
        names = ["alpha"]
        names += ["beta"] if self.trend != "N" else []
        names += ["gamma"] if self.season != "N" else []
        return names + (["phi"] if self.trend == "D" else [])

    def parameters(self, season: int) -> int:
        """Return the number of its parameters, with starting values and the variance."""
        starts = 1 + (self.trend != "N") + (season - 1 if self.season != "N" else 0)
        return len(self.smoothing()) + starts + 1


FORMS = tuple(
    Form(error=error, trend=trend, season=season)
    for error, trend, season in product("AM", "NAD", "NAM")
    if (error, season) != ("A", "M")  # it is numerically unstable
)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """The state of exponential smoothing of each series.

    Args:
        level, slope: (..., S).
        seasonal: (..., S) of each step of a season, in the order in which they are used; none without a season.
    """

    level: np.ndarray
    slope: np.ndarray
    seasonal: Sequence[np.ndarray]

    def of(self, series: np.ndarray) -> "State":
        """Return the state of some series."""
        return State(
            level=self.level[..., series],
            slope=self.slope[..., series],
            seasonal=[values[..., series] for values in self.seasonal],
        )

    @classmethod
    def joined(cls, states: "Sequence[State]") -> "State":
        """Return the states (S,) of several sets of series as one."""
        return cls(
            level=np.concatenate([state.level for state in states]),
            slope=np.concatenate([state.slope for state in states]),
            seasonal=[
                np.concatenate(values)
                for values in zip(*(state.seasonal for state in states), strict=True)
            ],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Smoothing:
    """Exponential smoothing of one form, fitted to some series.

    Args:
        form: of all of these series.
        season: steps of a season; 1 for none.
        parameters: smoothing parameter -> (S,).
        start: the state before the first step, on the scale of the series.
        sigma: (S,) standard deviation of the errors, relative ones if these are multiplicative.
        criterion: (S,) AICc; infinite where the form does not suit a series.
    """

    form: Form
    season: int
    parameters: dict[str, np.ndarray]
    start: State
    sigma: np.ndarray
    criterion: np.ndarray

    def of(self, series: np.ndarray) -> "Smoothing":
        """Return the same for some of its series."""
        return replace(
            self,
            parameters={name: values[series] for name, values in self.parameters.items()},
            start=self.start.of(series),
            sigma=self.sigma[series],
            criterion=self.criterion[series],
        )

    def states(self, y: np.ndarray) -> Iterator[State]:
        """Yield the state after each step.

        Args:
            y: (T, S) series, NaN where a value is missing.
        """
        return (state for _, _, state in _smoothed(self.form, y, self.parameters, self.start))

    def paths(self, state: State, normal: np.ndarray) -> np.ndarray:
        """Return sample paths (horizon, samples, S) of the next steps.

        Args:
            state: after the last step of each series.
            normal: (horizon, samples, 1 or S) standard normal numbers; zeros give point forecasts.
        """
        return simulate(self.form, self.parameters, state, normal * self.sigma)


def fit(y: np.ndarray, season: int = 1, forms: Sequence[Form] = FORMS) -> list[Smoothing]:
    """Fit all forms that suit series, by maximum likelihood.

    Args:
        y: (T, S) series, beginning at the first step, NaN where a value is missing and after the end of a series.
        season: steps of a season; 1 for none.
        forms: those to be fitted.

    Returns:
        A `Smoothing` for each form. `criterion` says which suits a series best.
    """
    season = season if 1 < season <= MOST_STEPS else 1
    scale = np.nanmean(np.abs(y), axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    scaled = y / scale
    counts = np.isfinite(y).sum(axis=0)
    positive = ~(y <= 0).any(axis=0)
    lasts = np.array([np.flatnonzero(column).max(initial=-1) for column in np.isfinite(y).T])
    fits: dict[Form, Smoothing] = {}
    minima: dict[Form, np.ndarray] = {}
    for form in forms:
        if form.season != "N" and season == 1:
            continue
        suits = counts - 1 > form.parameters(season)
        suits &= positive | (not form.positive)
        suits &= (lasts >= 2 * season - 1) | (form.season == "N")
        guesses = _first_guesses(form, scaled, season)
        for trend in {"N": "", "A": "N", "D": "NA"}[form.trend]:
            if (simpler := replace(form, trend=trend)) in minima:
                guesses.append(_extended(form, simpler, minima[simpler]))
        minima[form], fits[form] = _fitted(form, scaled, season, scale, suits, guesses)
    return [*fits.values()]


def smooth(
    form: Form, y: np.ndarray, parameters: dict[str, np.ndarray], start: State
) -> tuple[np.ndarray, np.ndarray]:
    """Return the one-step forecasts and the errors (T, ..., S), which are 0 where a value is missing.

    Args:
        y: (T, S) series, NaN where a value is missing and after the end of a series.
        parameters: smoothing parameter -> (..., S).
        start: the state before the first step.
    """
    forecasts = np.empty((len(y), *start.level.shape))
    errors = np.empty_like(forecasts)
    for step, (forecast, error, _) in enumerate(_smoothed(form, y, parameters, start)):
        forecasts[step] = forecast
        errors[step] = error
    return forecasts, errors


def _smoothed(
    form: Form, y: np.ndarray, parameters: dict[str, np.ndarray], start: State
) -> Iterator[tuple[np.ndarray, np.ndarray, State]]:
    """Yield the forecast of each step, its error, and the state after it."""
    state = start
    known = np.isfinite(y)
    for step in range(len(y)):
        forecast = _forecast(form, parameters, state)
        error = np.where(known[step], y[step] - forecast, 0.0)
        if form.error == "M":
            error = error / forecast
        state = _updated(form, parameters, state, forecast, error)
        yield forecast, error, state


def simulate(
    form: Form, parameters: dict[str, np.ndarray], state: State, errors: np.ndarray
) -> np.ndarray:
    """Return the paths (horizon, ..., S) of series whose next errors (horizon, ..., S) are these."""
    paths = np.empty(errors.shape)
    for step, error in enumerate(errors):
        forecast = _forecast(form, parameters, state)
        paths[step] = forecast * (1 + error) if form.error == "M" else forecast + error
        state = _updated(form, parameters, state, forecast, error)
    return paths


def _forecast(form: Form, parameters: dict[str, np.ndarray], state: State) -> np.ndarray:
    """Return the forecast of the next step."""
    trend = state.level
    if form.trend != "N":
        trend = trend + parameters.get("phi", 1.0) * state.slope
    if form.season == "N":
        return trend
    return trend + state.seasonal[0] if form.season == "A" else trend * state.seasonal[0]


def _updated(
    form: Form,
    parameters: dict[str, np.ndarray],
    state: State,
    forecast: np.ndarray,
    error: np.ndarray,
) -> State:
    """Return the state after a step with this error, which is relative if errors are multiplicative."""
    difference = forecast * error if form.error == "M" else error  # in the unit of the series
    damped = parameters.get("phi", 1.0) * state.slope
    trend = state.level if form.trend == "N" else state.level + damped
    of_trend = difference / state.seasonal[0] if form.season == "M" else difference
    seasonal = state.seasonal
    if form.season != "N":
        of_season = difference / trend if form.season == "M" else difference
        seasonal = [*seasonal[1:], seasonal[0] + parameters["gamma"] * of_season]
    return State(
        level=trend + parameters["alpha"] * of_trend,
        slope=state.slope if form.trend == "N" else damped + parameters["beta"] * of_trend,
        seasonal=seasonal,
    )


def _fitted(
    form: Form,
    y: np.ndarray,
    season: int,
    scale: np.ndarray,
    suits: np.ndarray,
    guesses: list[np.ndarray],
) -> tuple[np.ndarray, Smoothing]:
    """Fit a form to series of scale 1, and return its free numbers (P, S) with it.

    Args:
        suits: (S,) series that it is fitted to.
        guesses: free numbers (P, S) to begin with; the best of a series is taken.
    """
    chosen = np.flatnonzero(suits)
    z = np.array(guesses[0])
    criterion = np.full(len(suits), np.inf)
    sigma = np.ones(len(suits))
    if len(chosen):
        z[:, chosen], deviance, squares = _minimised(
            form, y[:, chosen], season, np.stack(guesses, axis=1)[:, :, chosen]
        )
        known = np.isfinite(y[:, chosen]).sum(axis=0)
        number = form.parameters(season)
        criterion[chosen] = deviance + 2 * number + 2 * number * (number + 1) / (known - number - 1)
        sigma[chosen] = np.sqrt(squares / (known - number + 1))
    parameters, start = _unpacked(form, z, season)
    return z, Smoothing(
        form=form,
        season=season,
        parameters=parameters,
        start=State(
            level=start.level * scale,
            slope=start.slope * scale,
            seasonal=[values * (scale if form.season == "A" else 1.0) for values in start.seasonal],
        ),
        sigma=sigma * (1.0 if form.error == "M" else scale),
        criterion=criterion,
    )


def _unpacked(form: Form, z: np.ndarray, season: int) -> tuple[dict[str, np.ndarray], State]:
    """Return smoothing parameters and starting state from free numbers (P, ..., S)."""
    names = form.smoothing()
    raw = {name: 1 / (1 + np.exp(-np.clip(z[i], -30, 30))) for i, name in enumerate(names)}
    alpha = _LOW + (_HIGH - _LOW) * raw["alpha"]
    parameters = {"alpha": alpha}
    if "beta" in raw:
        parameters["beta"] = _LOW / 2 + (alpha - _LOW / 2) * raw["beta"]
    if "gamma" in raw:
        parameters["gamma"] = _LOW / 2 + (1 - alpha - _LOW / 2) * raw["gamma"]
    if "phi" in raw:
        low, high = _DAMPED
        parameters["phi"] = low + (high - low) * raw["phi"]
    rest = z[len(names) :]
    level, rest = rest[0], rest[1:]
    slope = np.zeros_like(level)
    if form.trend != "N":
        slope, rest = rest[0], rest[1:]
    seasonal: list[np.ndarray] = []
    if form.season != "N":
        total = float(season) if form.season == "M" else 0.0
        seasonal = [*rest, total - rest.sum(axis=0)]
    return parameters, State(level=level, slope=slope, seasonal=seasonal)


def _first_guesses(form: Form, y: np.ndarray, season: int) -> list[np.ndarray]:
    """Return free numbers (P, S) to begin with: a line through the first steps, and some smoothing parameters."""
    filled = without_holes(y)
    steps, count = filled.shape
    seasonal = np.zeros((1, count))
    adjusted = filled
    if form.season != "N":
        seasonal = seasonal_means(y[: max(5 * season, 60)], season, form.season)
        cycle = seasonal[np.arange(steps) % season]
        adjusted = filled / cycle if form.season == "M" else filled - cycle
    first = adjusted[: max(10, 2 * season)]
    centered = np.arange(len(first)) - (len(first) - 1) / 2
    slope = centered @ first / max(float(centered @ centered), 1.0)
    level = first.mean(axis=0)
    starts = []
    if form.trend != "N":
        level = level + slope * (centered[0] - 1)
        starts.append(slope)
    level = np.maximum(level, _LEAST_LEVEL) if form.positive else level
    starts = [level, *starts]
    neutral = np.ones if form.season == "M" else np.zeros
    return [
        np.stack(
            [
                *(np.full(count, _logit(smoothing[name])) for name in form.smoothing()),
                *starts,
                *(neutral(seasonal[:-1].shape) if flat else seasonal[:-1]),
            ]
        )
        for smoothing, flat in _FIRST_SMOOTHING
    ]


def _extended(form: Form, simpler: Form, z: np.ndarray) -> np.ndarray:
    """Return free numbers (P, S) of a form that forecast as those of a form with a simpler trend do, nearly."""
    known = dict(zip(simpler.smoothing(), z, strict=False))
    extra = {"beta": _logit(0.01), "phi": _logit(0.95)}
    smoothing = [
        known[name] if name in known else 0 * z[0] + extra[name] for name in form.smoothing()
    ]
    rest = z[len(simpler.smoothing()) :]
    slope = rest[1:2] if simpler.trend != "N" else 0 * rest[:1]
    seasonal = rest[1 + (simpler.trend != "N") :]
    return np.concatenate([smoothing, rest[:1], slope, seasonal])


def seasonal_means(y: np.ndarray, season: int, form: str) -> np.ndarray:
    """Return seasonal values (season, S): mean deviations of the steps of a season from the moving average over it.

    Args:
        y: (T, S) series, NaN where a value is missing and after the end of a series.
        season: steps of a season.
        form: "M" for factors, whose mean is 1, "A" for summands, whose mean is 0.
    """
    kernel = np.ones(season + 1 - season % 2)
    if season % 2 == 0:
        kernel[[0, -1]] = 0.5
    kernel /= kernel.sum()
    half = len(kernel) // 2
    neutral = 1.0 if form == "M" else 0.0
    deviations = np.full(y.shape, np.nan)
    if len(y) >= len(kernel):
        filled = without_holes(y)
        average = np.stack([np.convolve(column, kernel, "valid") for column in filled.T], axis=1)
        inner = y[half : half + len(average)]
        deviations[half : half + len(average)] = (
            inner / np.maximum(average, 1e-6) if form == "M" else inner - average
        )
    ends = np.isfinite(y)[::-1].argmax(axis=0)  # steps after the end of a series
    deviations[np.arange(len(y))[:, None] >= len(y) - ends - half] = np.nan
    means = np.full((season, y.shape[1]), neutral)
    for phase in range(season):
        of_phase = deviations[phase::season]
        known = np.isfinite(of_phase)
        total = np.where(known, of_phase, 0.0).sum(axis=0)
        means[phase] = np.where(
            known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), neutral
        )
    if form == "M":
        means = np.maximum(means, 1e-2)
        return means / means.mean(axis=0)
    return means - means.mean(axis=0)


def without_holes(y: np.ndarray) -> np.ndarray:
    """Return series whose missing values are interpolated, the ends held."""
    filled = np.array(y)
    steps = np.arange(len(y))
    for column in np.flatnonzero(np.isnan(y).any(axis=0)):
        known = np.isfinite(y[:, column])
        filled[:, column] = np.interp(steps, steps[known], y[known, column]) if known.any() else 0
    return filled


def _logit(p: float) -> float:
    return float(np.log(p / (1 - p)))


def _residuals(form: Form, y: np.ndarray, z: np.ndarray, season: int) -> tuple[np.ndarray, ...]:
    """Return residuals (T, ..., S) whose squares the maximum of the likelihood makes least, and the squared errors.

    With multiplicative errors, the likelihood is that of errors times the geometric mean of the forecasts.
    """
    parameters, start = _unpacked(form, z, season)
    with np.errstate(all="ignore"):
        forecasts, errors = smooth(form, y, parameters, start)
        squares = (errors**2).sum(axis=0)
        if form.error == "M":
            known = np.isfinite(y)[:, None] if z.ndim == 3 else np.isfinite(y)
            bad = (np.where(known, forecasts, 1.0) < _SMALLEST).any(axis=0)
            logs = np.where(known, np.log(np.maximum(forecasts, _SMALLEST)), 0.0)
            errors = errors * np.exp(logs.sum(axis=0) / known.sum(axis=0))
            errors = np.where(bad, np.inf, errors)
    return errors, squares


def _minimised(
    form: Form, y: np.ndarray, season: int, guesses: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maximise the likelihood of each series.

    Args:
        guesses: (P, G, S) free numbers to begin with; the best one of a series is taken.

    Returns:
        Free numbers (P, S), -2 times the log-likelihood (S,) but for a constant, and the sum of squared errors (S,).
    """
    size, number, count = guesses.shape
    if form.season == "N" and number > 1:  # few parameters: begin with each of the guesses
        z, losses, squares = _minimised(
            form, np.tile(y, number), season, guesses.reshape(size, 1, number * count)
        )
        best = losses.reshape(number, count).argmin(axis=0) * count + np.arange(count)
        return z[:, best], losses[best], squares[best]
    z, loss = least_squares(lambda z, series: _residuals(form, y[:, series], z, season)[0], guesses)
    known = np.isfinite(y).sum(axis=0)
    deviance = known * np.log(np.maximum(loss, 1e-300))
    return z, deviance, _residuals(form, y, z, season)[1]
