"""The Poisson loss and the metrics of counts. Keras."""

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Task
from kzoo.utils.errors import KzooError
from kzoo.zoo.losses.values import make_metric as make_metric


def make_loss(
    name: str, definition: Task, *, task: str, config: Config, training: TrainingSettings
) -> keras.losses.Loss:
    """Return the Poisson loss.

    Raises:
        KzooError: a loss of another task, or a last layer whose outputs may be negative.
    """
    if name not in ("auto", *definition.losses):
        raise KzooError(
            f"does not fit {task}, which predicts counts. Use poisson.", argument="loss", value=name
        )
    activation = config.get("output_activation") or "linear"
    if activation not in ("exponential", "softplus"):
        raise KzooError(
            f"needs positive outputs, but output_activation={activation!r} does not ensure them: use "
            "'exponential' or 'softplus'.",
            argument="loss",
            value="poisson",
        )
    return keras.losses.Poisson()
