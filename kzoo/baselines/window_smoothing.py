"""Exponential smoothing and the Theta method of a window as networks: linear maps, averaged by Akaike weights.

With given smoothing parameters and an additive trend and season, the one-step errors and the forecasts are linear in
the window and in the starting state, which least squares determines. So each set of parameters is two matrices, and the
likelihood of each set follows from the errors. The forecast is the mean over all sets with Akaike weights (Kolassa,
Combining exponential smoothing forecasts using Akaike weights, 2011, https://doi.org/10.1016/j.ijforecast.2010.04.006).
NumPy, and Keras for the network.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.baselines import networks, theta
from kzoo.baselines.exponential_smoothing import Form, State, seasonal_means, simulate, smooth
from kzoo.utils.optional import keras

if TYPE_CHECKING:
    from keras import KerasTensor

_ALPHA = (0.05, 0.2, 0.5, 0.9)
_BETA = 0.1  # of alpha
_GAMMA = (0.001, 0.15)  # of 1 - alpha
_PHI = 0.98
_FLOOR = 1e-3  # of errors, relative to the mean absolute deviation of a window
_LEAST_FORECAST = 1e-2  # one-step forecast relative to the mean of a window, if errors are relative
_LARGEST_LOG = 5.0  # of a forecast relative to the mean of a window
_SMALLEST_SPREAD = 1e-6  # mean absolute deviation of a window relative to its mean
_EXCLUDED = 1e9  # criterion of a set of parameters that does not suit a window
_TINY = 1e-30
_MEDIAN = (0.5,)  # the levels of forecasts without quantiles
_THETA_PARAMETERS = 5  # alpha, level, variance, and the line of a window


@dataclass(frozen=True, kw_only=True, eq=False)
class _Backend:
    """NumPy, or Keras for a network.

    Args:
        ops: `numpy` or `keras.ops`.
        linear: from inputs (B, ..., F), a kernel (F, outputs) and a name to `inputs @ kernel`.
        scaled: from inputs (B, ..., F), scale, offset (F,) or (G, F), and a name to `inputs * scale + offset`.
    """

    ops: Any
    linear: Callable[[Any, np.ndarray, str], Any]
    scaled: Callable[[Any, np.ndarray, np.ndarray, str], Any]


_NUMPY = _Backend(
    ops=np,
    linear=lambda inputs, kernel, _: inputs @ kernel,
    scaled=lambda inputs, scale, offset, _: inputs * scale + offset,
)


def _of_keras() -> _Backend:
    return _Backend(
        ops=keras.ops,
        linear=lambda inputs, kernel, name: networks.dense(inputs, kernel, name=name),
        scaled=lambda inputs, scale, offset, name: keras.layers.Rescaling(
            scale.tolist(), offset.tolist(), name=name
        )(inputs),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Normalised:
    """Windows as deviations from their mean and, where all values are positive, as logarithms.

    Args:
        real: (B, 1, steps) 1 for real steps, else 0.
        count: (B, 1, 1) number of real steps.
        low, mean, spread: (B, targets, 1) lowest value, mean, and mean absolute deviation.
        z: (B, targets, steps) deviations from the mean in units of the spread.
        positive: (B, targets, 1) 1 where all values are positive, else 0.
        level, variation: (B, targets, 1) mean, and spread relative to it, of positive windows; else 1.
        log: (B, targets, steps) logarithms of the values relative to the level; of others, of 1.
    """

    real: Any
    count: Any
    low: Any
    mean: Any
    spread: Any
    z: Any
    positive: Any
    level: Any
    variation: Any
    log: Any

    @classmethod
    def of(cls, ops: Any, past: Any, real: Any) -> "_Normalised":
        """Return the windows of a past (B, targets, steps)."""
        count = ops.sum(real, axis=-1, keepdims=True)
        mean = ops.sum(past * real, axis=-1, keepdims=True) / count
        spread = ops.sum(ops.abs(past - mean) * real, axis=-1, keepdims=True) / count
        spread = ops.maximum(spread, _SMALLEST_SPREAD * ops.abs(mean) + _TINY)
        low = ops.min(past, axis=-1, keepdims=True)
        level = ops.where(low > 0, mean, ops.ones_like(mean))
        ratio = ops.where(low > 0, past, ops.ones_like(past)) / level
        return cls(
            real=real,
            count=count,
            low=low,
            mean=mean,
            spread=spread,
            z=(past - mean) / spread,
            positive=_as_number(ops, low > 0, low),
            level=level,
            variation=ops.where(low > 0, spread / level, ops.ones_like(mean)),
            log=ops.log(ops.maximum(ratio, _TINY)),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowSmoothing:
    """Exponential smoothing of windows with G sets of smoothing parameters.

    Errors may be additive, relative to the forecasts, or additive in the logarithms; the latter two for positive
    windows only.

    Args:
        season: steps of a season; 1 for none.
        errors: (G, steps, steps) kernels from a window to its one-step errors.
        ahead: (G, steps, horizon) kernels from a window to its forecast.
        growth: (G, horizon) standard deviation of the forecast's error, relative to that of a one-step error.
        parameters: (G,) number of parameters, with starting values and the variance.
    """

    season: int
    errors: np.ndarray
    ahead: np.ndarray
    growth: np.ndarray
    parameters: np.ndarray

    @classmethod
    def of(cls, steps: int, horizon: int, season: int) -> "WindowSmoothing":
        """Return exponential smoothing of windows of `steps` steps, with a season if they have at least two of them."""
        season = season if 1 < season <= steps // 2 else 1
        sets = [
            (form, parameters)
            for trend in "NAD"
            for form in (
                Form(error="A", trend=trend, season=kind) for kind in "NA"[: min(season, 2)]
            )
            for parameters in _parameter_sets(form)
        ]
        maps = [_maps(form, parameters, steps, horizon, season) for form, parameters in sets]
        return cls._joined(maps, [form.parameters(season) for form, _ in sets], season)

    @classmethod
    def of_theta(cls, steps: int, horizon: int, season: int) -> "WindowSmoothing":
        """Return the Theta method for windows of `steps` steps, as `of` does for exponential smoothing."""
        season = season if 1 < season <= steps // 2 else 1
        sets = [(alpha, length) for length in sorted({1, season}) for alpha in _ALPHA]
        maps = [_theta_maps(alpha, steps, horizon, length) for alpha, length in sets]
        return cls._joined(maps, [_THETA_PARAMETERS + length - 1 for _, length in sets], season)

    @classmethod
    def _joined(
        cls, maps: Sequence[tuple[np.ndarray, ...]], parameters: Sequence[int], season: int
    ) -> "WindowSmoothing":
        errors, ahead, growth = (np.stack(part) for part in zip(*maps, strict=True))
        return cls(
            season=season,
            errors=errors,
            ahead=ahead,
            growth=growth,
            parameters=np.array(parameters, float),
        )

    @property
    def steps(self) -> int:
        """The number of steps of a window; of longer ones, the last count."""
        return self.errors.shape[1]

    def numbers(self, levels: Sequence[float] | None) -> int:
        """Return how many numbers a window of one target becomes, given the levels of quantiles."""
        sets, steps, horizon = self.ahead.shape
        return sets * (2 * (steps + horizon) + 3 * horizon * len(levels or _MEDIAN))

    def predict(
        self, x: np.ndarray, targets: int, levels: Sequence[float] | None = None
    ) -> np.ndarray:
        """Return forecasts (B, horizon, targets), or their quantiles (B, horizon, targets, levels).

        Args:
            x: (B, steps, F) windows, of which the first columns are the past of the targets; the first row of a series
                that is shorter is repeated before it in all columns.
            targets: number of targets.
            levels: of quantiles.
        """
        x = x[:, -self.steps :]
        past = np.asarray(x[..., :targets], "float64")
        computed = levels or _MEDIAN
        values = self._quantiles(_NUMPY, past, np.asarray(x), computed)
        values = values.reshape(*values.shape[:2], -1, len(computed)).swapaxes(1, 2)
        return values if levels else values[..., 0]

    def network(
        self,
        past: "KerasTensor",
        x: "KerasTensor",
        levels: Sequence[float] | None = None,
    ) -> "KerasTensor":
        """Return the same as a Keras tensor, quantiles flat: (B, horizon, targets * levels).

        Args:
            past: (B, steps, targets) past of the targets.
            x: (B, steps, F) windows.
            levels: of quantiles.
        """
        targets = past.shape[-1]
        past, x = past[:, -self.steps :], x[:, -self.steps :]
        levels = levels or _MEDIAN
        values = self._quantiles(_of_keras(), past, x, levels)
        horizon = self.ahead.shape[2]
        values = keras.layers.Reshape((targets, horizon, len(levels)), name="by_level")(values)
        values = keras.layers.Permute((2, 1, 3), name="steps_first")(values)
        return networks.head(values, "linear", (horizon, targets * len(levels)))

    def _quantiles(self, backend: _Backend, past: Any, x: Any, levels: Sequence[float]) -> Any:
        """Return the quantiles (B, targets, horizon * levels).

        All levels are computed together, so that the number of layers does not depend on how many there are.

        Args:
            backend: the `_Backend`.
            past: (B, steps, targets) past of the targets.
            x: windows (B, steps, F).
            levels: of quantiles.
        """
        ops = backend.ops
        sets, _, horizon = self.ahead.shape
        windows = _Normalised.of(ops, *self._past(ops, past, x))
        errors, ahead = self._smoothed(backend, windows)
        criterion, squares = self._criterion(backend, windows, errors)
        centers, sizes = self._distributions(backend, windows, ahead, squares)
        targets, count = ahead.shape[1], len(levels)

        def of_each_level(part: Any) -> Any:  # (B, targets, 3 G, horizon)
            flat = ops.reshape(part, (-1, targets, 3 * sets * horizon, 1))
            return ops.repeat(flat, count, axis=-1)

        normal = np.array([NormalDist().inv_cdf(level) for level in levels])
        values = of_each_level(centers) + backend.scaled(
            of_each_level(sizes), normal, 0 * normal, "levels"
        )
        logs = 2 * sets * horizon  # the first of them
        level = ops.expand_dims(windows.level, -1)
        of_logs = level * ops.exp(ops.clip(values[:, :, logs:], -_LARGEST_LOG, _LARGEST_LOG))
        values = ops.concatenate([values[:, :, :logs], of_logs], axis=2)
        weights = ops.exp((ops.min(criterion, axis=-1, keepdims=True) - criterion) / 2)
        weights = weights / ops.sum(weights, axis=-1, keepdims=True)
        weights = ops.expand_dims(ops.repeat(weights, horizon, axis=-1), -1)
        weighted = ops.reshape(values * weights, (-1, targets, 3 * sets, horizon * count))
        mean = ops.sum(weighted, axis=2)
        return ops.where(windows.low >= 0, ops.maximum(mean, 0.0), mean)

    def _smoothed(self, backend: _Backend, windows: _Normalised) -> tuple[Any, Any]:
        """Return one-step errors (B, targets, 2, G, steps) and forecasts (B, targets, 2, G, horizon).

        The two are those of `z`, and of the logarithms in units of their `variation`: both are of one size.
        """
        ops = backend.ops
        sets, targets = len(self.parameters), windows.z.shape[1]
        inputs = ops.stack([windows.z, windows.log / windows.variation], axis=2)
        kernels = (np.concatenate([*part], axis=1) for part in (self.errors, self.ahead))
        errors, ahead = (
            ops.reshape(
                backend.linear(inputs, kernel, name),
                (-1, targets, 2, sets, kernel.shape[1] // sets),
            )
            for kernel, name in zip(kernels, ("errors", "ahead"), strict=True)
        )
        return errors, ahead

    def _criterion(
        self, backend: _Backend, windows: _Normalised, errors: Any
    ) -> tuple[Any, list[Any]]:
        """Return AICc of the sets (B, targets, 3 G) with additive, relative and logarithmic errors, and their squares.

        Returns:
            (AICc without the terms that all have, mean squared errors (B, targets, G) of each of the three).
        """
        ops, scaled = backend.ops, backend.scaled
        sets, count, variation = len(self.parameters), windows.count, windows.variation
        mask = ops.expand_dims(windows.real, 2)  # (B, 1, 1, steps)
        of_values = errors[:, :, 0] * mask  # (B, targets, G, steps)
        of_logs = errors[:, :, 1] * mask
        # one-step forecasts relative to the mean
        one_step = (ops.expand_dims(windows.z, 2) - of_values) * ops.expand_dims(variation, 2) + 1
        one_step = ops.where(mask > 0, one_step, ops.ones_like(one_step))
        suits = windows.positive * _as_number(
            ops, ops.min(one_step, axis=-1) > _LEAST_FORECAST, one_step[..., 0]
        )
        one_step = ops.maximum(one_step, _LEAST_FORECAST)
        squares = [
            ops.sum(part**2, axis=-1) / count for part in (of_values, of_values / one_step, of_logs)
        ]
        deviance = [count * ops.log(part + _FLOOR**2) for part in squares]
        deviance[1] = deviance[1] + 2 * ops.sum(ops.log(one_step), axis=-1)
        deviance[2] = deviance[2] + 2 * ops.sum(windows.log * windows.real, axis=-1, keepdims=True)
        k = self.parameters
        counts = ops.repeat(count, sets, axis=-1)  # (B, 1, G)
        rest = ops.maximum(scaled(counts, np.ones(sets), -k - 1, "rest"), 0.1)
        penalty = scaled(1 / rest, 2 * k * (k + 1), 2 * k, "penalty")
        criteria = [
            deviance[0] + penalty,
            deviance[1] + penalty + (1 - suits) * _EXCLUDED,
            deviance[2] + penalty + (1 - windows.positive) * _EXCLUDED,
        ]
        return ops.concatenate(criteria, axis=-1), squares

    def _distributions(
        self, backend: _Backend, windows: _Normalised, ahead: Any, squares: Sequence[Any]
    ) -> tuple[Any, Any]:
        """Return the centers and the standard deviations of forecasts (B, targets, 3 G, horizon).

        They are of additive and of relative errors, in the unit of the target, and of errors of the logarithms.

        Args:
            backend: the `_Backend`.
            windows: the `_Normalised` ones.
            ahead: forecasts of them (see `_smoothed`).
            squares: mean squared errors (B, targets, G) of each of the three (see `_criterion`).
        """
        ops, scaled = backend.ops, backend.scaled
        sets, _, horizon = self.ahead.shape
        counts = ops.repeat(windows.count, sets, axis=-1)  # (B, 1, G)
        rest = scaled(counts, np.ones(sets), 1 - self.parameters, "freedom")
        freedom = counts / ops.maximum(rest, 1.0)
        mean, spread, variation = (
            ops.expand_dims(part, -1) for part in (windows.mean, windows.spread, windows.variation)
        )
        values = mean + spread * ahead[:, :, 0]
        units = spread, values * variation, variation
        sizes = []
        for i, (part, unit) in enumerate(zip(squares, units, strict=True)):
            each = ops.repeat(ops.expand_dims(ops.sqrt(part * freedom), -1), horizon, axis=-1)
            sizes.append(scaled(each, self.growth, 0 * self.growth, f"growth_{i}") * unit)
        centers = ops.concatenate([values, values, variation * ahead[:, :, 1]], axis=2)
        return centers, ops.concatenate(sizes, axis=2)

    def _past(self, ops: Any, past: Any, x: Any) -> tuple[Any, Any]:
        """Return the past of the targets (B, targets, steps), and 1 for real steps, else 0 (B, 1, steps).

        Steps before the first one of a series, at which its first row is repeated, get the values of its first season.
        """
        steps = x.shape[1]
        other = ops.max(ops.abs(x - x[:, :1]), axis=-1, keepdims=True) > 0
        changed = ops.cumsum(_as_number(ops, other, x[..., :1]), axis=1)  # (B, steps, 1)
        real = ops.concatenate([changed[:, 1:], ops.ones_like(changed[:, :1])], axis=1)
        real = _as_number(ops, real > 0, real)
        first = steps - ops.sum(real, axis=1, keepdims=True)  # (B, 1, 1)
        number = ops.cumsum(ops.ones_like(past), axis=1) - 1  # (B, steps, targets)
        after = number - first
        phase = after - self.season * ops.floor((after + 0.5) / self.season)
        source = ops.where(after < 0, ops.minimum(first + phase, steps - 1), number)
        source = source.astype(int) if ops is np else ops.cast(source, "int32")
        past = ops.take_along_axis(past, source, axis=1)
        if ops is np:
            return np.swapaxes(past, 1, 2), np.swapaxes(real, 1, 2)
        return networks.swapped(past, name="past"), networks.swapped(real, name="real")


def _as_number(ops: Any, condition: Any, like: Any) -> Any:
    """Return 1 where a condition holds, else 0, in the type of `like`, which has its shape."""
    return ops.where(condition, ops.ones_like(like), ops.zeros_like(like))


def _parameter_sets(form: Form) -> list[dict[str, float]]:
    """Return the smoothing parameters that are tried for a form."""
    sets = [{"alpha": alpha} for alpha in _ALPHA]
    if form.trend != "N":
        sets = [{**each, "beta": _BETA * each["alpha"]} for each in sets]
    if form.season != "N":
        sets = [{**each, "gamma": share * (1 - each["alpha"])} for each in sets for share in _GAMMA]
    return [{**each, "phi": _PHI} for each in sets] if form.trend == "D" else sets


def _maps(
    form: Form, parameters: dict[str, float], steps: int, horizon: int, season: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return kernels from a window to its errors (steps, steps) and forecast (steps, horizon), and growth (horizon,).

    They are the answers to windows with a single 1, from the starting state of least squares.
    """
    starts = 1 + (form.trend != "N") + (season if form.season != "N" else 0)

    def answers(y: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return errors (steps, S) and forecasts (horizon, S) of windows (steps, S) from starts (starts, S)."""
        smoothing = {name: np.full(y.shape[1], value) for name, value in parameters.items()}
        state = _state(form, start)
        _, errors = smooth(form, y, smoothing, state)
        # the forecast continues with errors of 0
        unknown = np.concatenate([y, np.full((horizon, y.shape[1]), np.nan)])
        forecasts, _ = smooth(form, unknown, smoothing, state)
        return errors, forecasts[steps:]

    errors, ahead = answers(np.eye(steps), np.zeros((starts, steps)))
    of_start, ahead_of_start = answers(np.zeros((steps, starts)), np.eye(starts))
    best_start = np.linalg.pinv(of_start, rcond=1e-8) @ errors
    impulse = np.zeros((horizon, 1))
    impulse[0] = 1
    smoothing = {name: np.full(1, value) for name, value in parameters.items()}
    response = simulate(form, smoothing, _state(form, np.zeros((starts, 1))), impulse)[:, 0]
    return (
        (errors - of_start @ best_start).T,
        (ahead - ahead_of_start @ best_start).T,
        np.sqrt(np.cumsum(response**2)),
    )


def _state(form: Form, start: np.ndarray) -> State:
    """Return the state with these numbers (starts, S): level, slope, and the steps of a season."""
    slope = start[1] if form.trend != "N" else np.zeros_like(start[0])
    return State(level=start[0], slope=slope, seasonal=[*start[1 + (form.trend != "N") :]])


def _theta_maps(
    alpha: float, steps: int, horizon: int, season: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the same as `_maps` for the standard Theta method; a season of more than a step is subtracted first."""
    form = theta.Form(dynamic=False, optimised=False)
    means = seasonal_means(np.eye(steps), season, "A") if season > 1 else np.zeros((1, steps))
    cycle = means[np.arange(steps + horizon) % season]

    def answers(y: np.ndarray, start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return errors (steps, S) and forecasts (horizon, S) of windows (steps, S) from starts (S,)."""
        unknown = np.concatenate([y, np.full((horizon, y.shape[1]), np.nan)])
        parameters = np.full(y.shape[1], alpha), np.full(y.shape[1], 2.0)
        forecasts, errors = theta.smooth(form, unknown, *parameters, start, theta.line_through(y))
        return errors[:steps], forecasts[steps:]

    adjusted = np.eye(steps) - cycle[:steps]
    errors, ahead = answers(adjusted, np.zeros(steps))
    of_start, ahead_of_start = answers(np.zeros((steps, 1)), np.ones(1))
    best_start = np.linalg.pinv(of_start) @ errors
    growth = np.sqrt(1 + alpha**2 * np.arange(horizon))
    return (
        (errors - of_start @ best_start).T,
        (ahead + cycle[steps:] - ahead_of_start @ best_start).T,
        growth,
    )
