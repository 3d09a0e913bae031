"""Losses and metrics of classes, for probabilities or logits, and for one output per class or one for two. Keras."""

from collections.abc import Sequence

import keras

from kzoo.problems.stored_types import Config, TrainingSettings
from kzoo.problems.tasks import Task, ends_in
from kzoo.utils.errors import KzooError

_ONEHOT_LOSSES = ("focal", "hinge", "kl")
# Activations whose outputs are probabilities, and those with outputs on both sides of 0, as hinge needs for -1 and +1.
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
_BOTH_SIDES = ("linear", "tanh", "softsign", "elu", "selu", "celu", "leaky_relu")
# Last activation -> metrics that can be computed from it. Scores on the test data have more (`kzoo.evaluate`).
_METRICS = {"sigmoid": ("accuracy", "auc"), "softmax": ("accuracy", "top5")}


def needs_onehot_labels(training: TrainingSettings) -> bool:
    """Return whether the loss, or an augmentation that mixes labels, needs one-hot labels."""
    return (
        training.get("label_smoothing", 0) > 0
        or training.get("loss") in _ONEHOT_LOSSES
        or bool({"mixup", "cutmix"} & set(training.get("augment", ())))
    )


def make_loss(
    name: str, definition: Task, *, task: str, config: Config, training: TrainingSettings
) -> keras.losses.Loss:
    """Return the loss of this name (see `kzoo.zoo.contract.make_loss`).

    Args:
        name: one of `definition.losses`.
        definition: the `Task`.
        task: the public name of the task, for messages.
        config, training: the resolved settings.

    Raises:
        KzooError: a loss that does not suit the task or the head, or one-hot settings with integer labels.
    """
    head = definition.head_of(config["outputs"])
    logits = config.get("output_activation") in (None, "linear")
    losses = keras.losses
    smoothing = training.get("label_smoothing", 0.0)
    if name == "hinge" and name not in definition.losses:
        raise KzooError(
            f"does not learn probabilities, but {task} is scored by them. Use "
            f"{_join_names(definition.losses)}.",
            argument="loss",
            value="hinge",
        )
    if name not in definition.losses:
        raise KzooError(
            f"does not fit {task}, which predicts classes. Use {_join_names(definition.losses)}.",
            argument="loss",
            value=name,
        )
    _check_head(name, head, ends_in(config.get("output_activation")) or "linear", definition.losses)
    if smoothing and name in ("hinge", "kl"):
        raise KzooError(
            f"has no effect with loss={name!r}: set label_smoothing=0, or another loss.",
            argument="label_smoothing",
            value=smoothing,
        )
    onehot = training.get("labels") == "onehot"
    if head == "sigmoid":
        if onehot:
            raise KzooError(
                "has no effect with a single sigmoid output, whose labels are 0 and 1: set "
                "labels='integer', or outputs=2.",
                argument="labels",
                value="onehot",
            )
        if name == "hinge":
            return losses.Hinge()
        if name == "focal":
            return losses.BinaryFocalCrossentropy(from_logits=logits, label_smoothing=smoothing)
        if name == "kl":
            raise KzooError(
                "compares distributions, so it needs outputs=2 or more, not a single sigmoid.",
                argument="loss",
                value="kl",
            )
        return losses.BinaryCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if needs_onehot_labels(training) and not onehot:
        reason = f"loss={name!r}" if name in _ONEHOT_LOSSES else "label_smoothing, mixup and cutmix"
        verb = "needs" if name in _ONEHOT_LOSSES else "need"
        raise KzooError(
            f"{reason} {verb} one-hot labels: set labels='onehot'. (kzoo.train does this by itself.)"
        )
    if name == "focal":
        return losses.CategoricalFocalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if name == "hinge":
        return losses.CategoricalHinge()
    if name == "kl":
        return losses.KLDivergence()
    if onehot:
        return losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    return losses.SparseCategoricalCrossentropy(from_logits=logits)


def _join_names(losses: Sequence[str]) -> str:
    *names, last = (name for name in losses if name != "crossentropy")  # auto selects crossentropy
    return f"{', '.join(names)} or {last}"


def _check_head(loss: str, head: str, activation: str | None, losses: Sequence[str]) -> None:
    """Raise KzooError if the last activation does not suit the loss, which would silently learn something else."""
    if loss == "hinge":
        if head == "sigmoid" and activation not in _BOTH_SIDES:
            raise KzooError(
                f"needs outputs of -1 and +1, but output_activation={activation!r} cannot give -1: set "
                "output_activation='tanh' or 'linear'.",
                argument="loss",
                value="hinge",
            )
    elif activation not in (_PROBABILITIES if loss == "kl" else ("linear", *_PROBABILITIES)):
        can_use_hinge = activation in _BOTH_SIDES and "hinge" in losses
        raise KzooError(
            f"needs probabilities, but output_activation={activation!r} does not produce any: set "
            f"output_activation={head!r}" + (", or loss='hinge'." if can_use_hinge else "."),
            argument="loss",
            value=loss,
        )


def metrics_for(definition: Task, config: Config) -> tuple[str, ...]:
    """Return the names of the task's metrics that suit the last layer."""
    return tuple(
        name
        for name in _METRICS[definition.head_of(config["outputs"])]
        if name in definition.metrics
    )


def make_metric(
    name: str, definition: Task, *, config: Config, training: TrainingSettings
) -> str | keras.metrics.Metric:
    """Return the metric of this name, as Keras takes it."""
    # A single output that is not a probability is a margin or a logit: above 0 means the second class.
    signed = ends_in(config.get("output_activation")) not in _PROBABILITIES
    if name == "accuracy" and definition.head_of(config["outputs"]) == "sigmoid":
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0 if signed else 0.5)
    if name == "top5":
        onehot = training.get("labels") == "onehot"
        top = (
            keras.metrics.TopKCategoricalAccuracy
            if onehot
            else keras.metrics.SparseTopKCategoricalAccuracy
        )
        return top(k=5, name="top5")
    return keras.metrics.AUC(name="auc", from_logits=signed) if name == "auc" else name
