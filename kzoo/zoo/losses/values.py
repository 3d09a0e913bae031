"""Losses and metrics of values. Keras."""

from collections.abc import Callable

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Task
from kzoo.utils.errors import KzooError

_LOSSES = {
    "mse": keras.losses.MeanSquaredError,
    "mae": keras.losses.MeanAbsoluteError,
    "huber": keras.losses.Huber,
}


def log_mse(truth: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Return the squared error of the logarithms of each row (B,), whose optimum is the median, not the mean."""
    error = keras.ops.log(outputs) - keras.ops.log(keras.ops.cast(truth, outputs.dtype))
    return keras.ops.mean(keras.ops.square(error), axis=-1)


def gamma(truth: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
    """Return half the gamma deviance of each row (B,), whose optimum is the mean (McCullagh and Nelder, 1989)."""
    ratio = keras.ops.cast(truth, outputs.dtype) / outputs
    return keras.ops.mean(ratio - keras.ops.log(ratio) - 1.0, axis=-1)


_LOG_LOSSES = {"log_mse": log_mse, "gamma": gamma}


def loss_degree(name: str) -> float:
    """Return by which power the loss of this name grows with large errors."""
    return 2.0 if name in ("auto", "mse") else 1.0


def make_loss(
    name: str, definition: Task, *, task: str, config: Config, training: TrainingSettings
) -> keras.losses.Loss | Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Return the loss of this name; "auto" is the squared error (see `kzoo.zoo.contract.make_loss`).

    Raises:
        KzooError: a loss of another task, one that data has to choose, or a last layer that does not suit it.
    """
    if name not in ("auto", *definition.losses):
        raise KzooError(
            f"does not fit {task}, which predicts values. Use one of: {', '.join(definition.losses)}.",
            argument="loss",
            value=name,
        )
    if name in definition.loss_choices:
        raise KzooError(
            "needs data to choose on: pass data= to kzoo.build, or use kzoo.train.",
            argument="loss",
            value=name,
        )
    if name in _LOG_LOSSES:
        if (activation := config.get("output_activation") or "linear") != "exponential":
            raise KzooError(
                f"needs output_activation='exponential', not {activation!r}. Leave output_activation out "
                "when training on data.",
                argument="loss",
                value=name,
            )
        return _LOG_LOSSES[name]
    return _LOSSES["mse" if name == "auto" else name]()


def make_metric(
    name: str, definition: Task, *, config: Config, training: TrainingSettings
) -> str | keras.metrics.Metric:
    """Return the metric of this name, as Keras takes it."""
    return keras.metrics.RootMeanSquaredError(name="rmse") if name == "rmse" else name
