"""The learning rate: what it is, and one way at a time to change it."""

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.callbacks.monitor import Monitor

_CHANGE_THE_RATE = (keras.callbacks.ReduceLROnPlateau, keras.callbacks.LearningRateScheduler)


def each_optimizer(optimizer: keras.optimizers.Optimizer) -> list[keras.optimizers.Optimizer]:
    """Return the optimizers inside: of a loss scale, and of several for several groups of layers."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    return list(getattr(inner, "optimizers", [inner]))


def rates(optimizer: keras.optimizers.Optimizer) -> dict[str, float]:
    """Return the present learning rate as an entry of an epoch's logs, or one for each of several optimizers."""
    each = each_optimizer(optimizer)
    names = ["learning_rate"] if len(each) == 1 else [f"learning_rate_{one.name}" for one in each]
    return {n: float(keras.ops.convert_to_numpy(one.learning_rate)) for n, one in zip(names, each, strict=True)}


def follows_schedule(optimizer: keras.optimizers.Optimizer) -> bool:
    """Say whether the learning rate is a schedule over the steps, which nobody else may change."""
    schedule = keras.optimizers.schedules.LearningRateSchedule
    return any(isinstance(getattr(one, "_learning_rate", None), schedule) for one in each_optimizer(optimizer))


def is_number(optimizer: keras.optimizers.Optimizer) -> bool:
    """Say whether the learning rate is a number, which can be set, and neither a schedule nor another function."""
    return all(isinstance(getattr(one, "_learning_rate", None), keras.Variable) for one in each_optimizer(optimizer))


def scale_learning_rate(optimizer: keras.optimizers.Optimizer, factor: float) -> None:
    """Multiply a learning rate that is a number."""
    for one in each_optimizer(optimizer):
        one.learning_rate = float(keras.ops.convert_to_numpy(one.learning_rate)) * factor


def check_single_schedule(optimizer: keras.optimizers.Optimizer, callbacks: Iterable[keras.callbacks.Callback]) -> None:
    """Refuse two ways of changing the learning rate: Keras fails at the first reduction, in the middle of a run.

    Raises:
        KzooError: a schedule together with a callback that sets the rate, or two such callbacks.
    """
    changing = [callback for callback in callbacks if isinstance(callback, _CHANGE_THE_RATE)]
    names = ["reduce_on_plateau" if isinstance(c, Plateau) else type(c).__name__ for c in changing]
    if changing and follows_schedule(optimizer):
        raise KzooError(
            f"{names[0]} cannot change the learning rate, which follows a schedule. Leave it out, or compile the "
            f"optimizer with a number as its learning_rate."
        )
    if len(changing) > 1:
        raise KzooError(f"{' and '.join(names)} would both set the learning rate. Keep one.")


class Plateau(keras.callbacks.ReduceLROnPlateau):
    """Keras' own, halving, which watches what the bundle watches; NaN is not an improvement.

    Args:
        watched: the bundle's `Monitor`.
        patience: epochs without improvement before the rate is halved.
    """

    def __init__(self, watched: "Monitor", patience: int) -> None:
        mode = "max" if watched.sign == 1 else "min"
        super().__init__(monitor=watched.name, mode=mode, factor=0.5, patience=patience, min_lr=1e-6)
        self.watched = watched

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        value = self.watched.value(logs)
        if value is None:
            return
        if not math.isfinite(value):  # Keras would take a NaN in the first epoch for the best there is
            value = -self.watched.sign * np.inf
        self.monitor = self.watched.name
        super().on_epoch_end(epoch, logs | {self.monitor: value})
