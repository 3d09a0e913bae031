"""The pinball loss. Keras."""

from collections.abc import Callable

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Task
from kzoo.utils.errors import KzooError


def loss_degree(name: str) -> float:
    """Return by which power the loss of this name grows with errors."""
    return 1.0


def make_loss(
    name: str, definition: Task, *, task: str, config: Config, training: TrainingSettings
) -> Callable[[keras.KerasTensor, keras.KerasTensor], keras.KerasTensor]:
    """Return the pinball loss, the mean over levels, targets and steps (https://doi.org/10.2307/1913643).

    Raises:
        KzooError: a loss of another task.
    """
    if name not in ("auto", *definition.losses):
        raise KzooError(
            f"does not fit {task}, which predicts quantiles. Use pinball.",
            argument="loss",
            value=name,
        )
    levels = tuple(config["quantiles"])

    def pinball(truth: keras.KerasTensor, outputs: keras.KerasTensor) -> keras.KerasTensor:
        """Return the loss of each row (B,); truth (B, ..., targets), outputs (B, ..., targets * levels)."""
        targets = outputs.shape[-1] // len(levels)
        predicted = keras.ops.reshape(outputs, (-1, *outputs.shape[1:-1], targets, len(levels)))
        error = keras.ops.expand_dims(keras.ops.cast(truth, outputs.dtype), -1) - predicted
        weights = keras.ops.convert_to_tensor(levels, error.dtype)
        losses = keras.ops.maximum(weights * error, (weights - 1) * error)
        return keras.ops.mean(losses, axis=tuple(range(1, len(losses.shape))))

    return pinball
