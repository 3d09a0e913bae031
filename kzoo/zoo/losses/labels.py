"""Loss and metric of labels. Keras. `kzoo.training.masked_labels` leaves out unknown labels, which are NaN."""

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Task
from kzoo.utils.errors import KzooError

_PROBABILITIES = ("sigmoid", "hard_sigmoid")


def make_loss(
    name: str, definition: Task, *, task: str, config: Config, training: TrainingSettings
) -> keras.losses.Loss:
    """Return the loss of this name (see `kzoo.zoo.contract.make_loss`).

    Raises:
        KzooError: a loss of another task, or a last activation without probabilities.
    """
    if name not in definition.losses:
        raise KzooError(
            f"does not suit {task}, whose rows have several labels. Use crossentropy or focal.",
            argument="loss",
            value=name,
        )
    activation = config.get("output_activation") or "linear"
    if activation not in ("linear", *_PROBABILITIES):
        raise KzooError(
            "does not give a probability for each label: set output_activation='sigmoid'.",
            argument="output_activation",
            value=activation,
        )
    crossentropy = (
        keras.losses.BinaryFocalCrossentropy if name == "focal" else keras.losses.BinaryCrossentropy
    )
    return crossentropy(
        from_logits=activation == "linear", label_smoothing=training.get("label_smoothing", 0.0)
    )


def loss_weight(config: Config) -> float:
    """Return the number of labels, by which Keras' mean over the labels of a row is multiplied.

    The loss is then the negative log-likelihood of the row, as the crossentropy of classes is, so that learning rates
    that suit classes suit labels too.
    """
    return float(config["outputs"])


def make_metric(
    name: str, definition: Task, *, config: Config, training: TrainingSettings
) -> str | keras.metrics.Metric:
    """Return the metric of this name, as Keras takes it: the share of the labels that are right at a half."""
    half = 0.5 if config.get("output_activation") in _PROBABILITIES else 0.0
    return keras.metrics.BinaryAccuracy(name="accuracy", threshold=half)
