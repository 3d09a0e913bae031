"""Reading and changing the learning rate, and a check that only one thing changes it."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import keras
import numpy as np

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.callbacks.monitor import Monitor

_RATE_CALLBACKS = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


def inner_optimizers(optimizer: keras.optimizers.Optimizer) -> list[keras.optimizers.Optimizer]:
    """Return the optimizers that an optimizer wraps (loss scaling, one for each group of layers), else itself."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(inner, "optimizers", [inner]))


def learning_rates(optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """Return the current learning rate under the name that it has in the logs; one per inner optimizer."""
    optimizers = inner_optimizers(optimizer)
    names = (
        ["learning_rate"]
        if len(optimizers) == 1
        else [f"learning_rate_{inner.name}" for inner in optimizers]
    )
    return {
        name: float(keras.ops.convert_to_numpy(inner.learning_rate))
        for name, inner in zip(names, optimizers, strict=True)
    }


def follows_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate is a `LearningRateSchedule`, which no callback may change."""
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return any(
        isinstance(getattr(inner, "_learning_rate", None), schedule)
        for inner in inner_optimizers(optimizer)
    )


def has_settable_rate(optimizer: keras.optimizers.Optimizer) -> bool:
    """Return whether the learning rate is a variable, which can be set, and not a schedule or a function."""
    return all(
        isinstance(getattr(inner, "_learning_rate", None), keras.Variable)
        for inner in inner_optimizers(optimizer)
    )


def scale_learning_rate(optimizer: keras.optimizers.Optimizer, factor: float) -> None:
    """Multiply a learning rate that is a variable (see `has_settable_rate`) by a factor."""
    for inner in inner_optimizers(optimizer):
        inner.learning_rate = float(keras.ops.convert_to_numpy(inner.learning_rate)) * factor


def check_single_schedule(
    optimizer: keras.optimizers.Optimizer, callbacks: Iterable[keras.callbacks.Callback]
) -> None:
    """Raise KzooError if two things would change the learning rate.

    Keras itself fails only at the first reduction, in the middle of a run.

    Raises:
        KzooError: a schedule is combined with a callback that sets the rate, or two such callbacks are used.
    """
    rate_callbacks = [callback for callback in callbacks if isinstance(callback, _RATE_CALLBACKS)]
    names = [
        "reduce_on_plateau" if isinstance(c, Plateau) else type(c).__name__ for c in rate_callbacks
    ]
    if rate_callbacks and follows_schedule(optimizer):
        raise KzooError(
            f"{names[0]} cannot change the learning rate, which follows a schedule. Leave it out, or compile the "
            "optimizer with a number as its learning_rate."
        )
    if len(rate_callbacks) > 1:
        raise KzooError(
            f"{' and '.join(names)} would both set the learning rate. Use only one of them."
        )


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """`ReduceLROnPlateau` with factor 0.5 that monitors the bundle's metric and never counts NaN as an improvement.

    Args:
        watched: the bundle's `Monitor`.
        patience: epochs without improvement before the rate is halved.
    """

    def __init__(self, watched: "Monitor", patience: int) -> None:
        mode = "max" if watched.sign == 1 else "min"
        super().__init__(
            monitor=watched.name, mode=mode, factor=0.5, patience=patience, min_lr=1e-6
        )
        self.watched = watched

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        value = self.watched.value(logs)
        if value is None:
            return
        if not math.isfinite(value):  # Keras would take a NaN in the first epoch as the best value
            value = -self.watched.sign * np.inf
        self.monitor = self.watched.name
        super().on_epoch_end(epoch, logs | {self.monitor: value})
