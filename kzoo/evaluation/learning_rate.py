"""`learning_rate_range`: find a learning rate for a network in a hundred steps."""

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np

from kzoo.data.dataset import Loadable
from kzoo.data.options import DataOptions
from kzoo.data.pipeline import Batches
from kzoo.training.plan import plan_training
from kzoo.training.setup import make_variables
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.zoo.gradients import free_traced_functions
from kzoo.zoo.registry import Preset, get_preset

_FEWEST_STEPS = 20
_DIVERGED = 4  # times the lowest loss


@checked_arguments
def learning_rate_range(
    preset: str | Preset,
    data: "Loadable | None" = None,
    *,
    low: float = 1e-6,
    high: float = 1.0,
    steps: int = 100,
    seed: int = 0,
    **overrides: Any,
) -> "LearningRates":
    """Run a learning-rate range test: raise the rate at every step from `low` to `high` and record the loss.

    The suggested rate is the one at which the smoothed loss falls fastest per decade of the rate, before its lowest
    point. The test stops if the loss is not finite or exceeds four times its lowest smoothed value. Paper:
    https://arxiv.org/abs/1506.01186. The network is new, compiled with the preset's optimizer and loss (without class
    weights, which average to 1), and discarded afterwards.

    Args:
        preset: the name of a preset, or a `Preset`.
        data: anything `kzoo.load_data` takes, or a `Dataset`; the default is the preset's own. Only its training
            split is used.
        low, high: the first and the last rate; the rate grows by the same factor at every step.
        steps: training steps, one batch each.
        seed: of weights, order, dropout and augmentation.
        overrides: any name in the preset's `config` or `training`; learning rate, schedule and warm-up have no effect.

    Returns:
        `rates`, `losses` and `smoothed` (arrays with an element per completed step), `suggested` (a rate) and
        `diverged` (the rate at which the test stopped early, or None).

    Raises:
        KzooError: an invalid range or number of steps, or a loss that never fell.

    Examples:
        >>> found = kzoo.learning_rate_range("iris_fnn", "iris", steps=30)
        >>> len(found["rates"]) == len(found["losses"]), 1e-6 < found["suggested"] < 1
        (True, True)
    """
    _check(low, high, steps)
    model, batches = _new_model(preset, data, seed, overrides)
    rates = np.geomspace(float(low), float(high), steps)
    losses = []
    diverged = None
    # A smaller last batch is skipped: its loss is noisier.
    full_batches = max(len(batches.split) // batches.batch_size, 1)
    with free_traced_functions():
        for i, rate in enumerate(rates):
            epoch, step = divmod(i, full_batches)
            model.optimizer.learning_rate = rate
            losses.append(
                float(model.train_on_batch(*batches.batch(epoch, step), return_dict=True)["loss"])
            )
            if (
                not math.isfinite(losses[-1])
                or losses[-1] > _DIVERGED * _smooth(losses, steps).min()
            ):
                diverged = float(rate)
                break
    finite = np.array([loss for loss in losses if math.isfinite(loss)])
    rates = rates[: len(finite)]
    smoothed = _smooth(finite, steps)
    suggested = _steepest(rates, smoothed)
    return LearningRates(
        rates=rates, losses=finite, smoothed=smoothed, suggested=suggested, diverged=diverged
    )


class LearningRates(dict[str, Any]):
    """The dict that `kzoo.learning_rate_range` returns; its repr is the suggested rate."""

    def __repr__(self) -> str:
        rates, diverged = self["rates"], self["diverged"]
        end = "" if diverged is None else f", diverged at {diverged:.2g}"
        return f"<learning rates {rates[0]:.2g} to {rates[-1]:.2g}: suggested {self['suggested']:.2g}{end}>"


def _check(low: float, high: float, steps: int) -> None:
    for name, value in (("low", low), ("high", high)):
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or not 0 < value < math.inf
        ):
            raise KzooError(
                "must be a learning rate, a number above 0.", argument=name, value=value
            )
    if low >= high:
        raise KzooError(f"must be below high={high:g}.", argument="low", value=low)
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < _FEWEST_STEPS:
        raise KzooError(
            f"must be a whole number, at least {_FEWEST_STEPS}.", argument="steps", value=steps
        )


def _new_model(
    preset: str | Preset, data: "Loadable | None", seed: int, overrides: JsonObject
) -> tuple[keras.Model, Batches]:
    """Return (a compiled model as `kzoo.train` would begin with, at a constant rate; its batches)."""
    plan = plan_training(
        get_preset(preset), data, DataOptions(), overrides, seed=seed
    ).with_training(schedule="constant", warmup=0.0)
    setup = plan.ready(plan.policy())
    batches = setup.training_batches()
    make_variables(setup.core, batches.batch(0, 0))
    return setup.core, batches


def _smooth(losses: Sequence[float] | np.ndarray, steps: int) -> np.ndarray:
    """Return losses smoothed by a Gaussian about a tenth of the range wide; being symmetric, it does not lag."""
    offsets = np.arange(-steps // 10, steps // 10 + 1)
    gaussian = np.exp(-0.5 * (offsets / (steps / 30)) ** 2)
    padded = np.pad(np.asarray(losses, float), len(offsets) // 2)
    weights = np.pad(np.ones(len(losses)), len(offsets) // 2)
    return np.convolve(padded, gaussian, "valid") / np.convolve(weights, gaussian, "valid")


def _steepest(rates: np.ndarray, smoothed: np.ndarray) -> float:
    lowest = int(smoothed.argmin()) if len(smoothed) else 0
    if lowest < 2:
        raise KzooError(
            f"The loss never fell, starting at a learning rate of {rates[0]:g}: try a smaller low=."
        )
    slope = np.gradient(smoothed, np.log(rates))
    return float(rates[slope[:lowest].argmin()])
