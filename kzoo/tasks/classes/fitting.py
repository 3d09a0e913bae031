"""Losses and metrics of classes, of one output for each or one for two, as probabilities or logits. Keras."""

import keras

from kzoo.utils.errors import KzooError

_ONEHOT_LOSSES = ("focal", "hinge", "kl")
# Activations whose answers are probabilities, and those that reach both sides of 0, where hinge has its -1 and +1.
_PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")
_BOTH_SIDES = ("linear", "tanh", "softsign", "elu", "selu", "celu", "leaky_relu")
# What a network ends with -> the metrics that can be taken of it. Scores on the test data have more (`kzoo.evaluate`).
_METRICS = {"sigmoid": ("accuracy", "auc"), "softmax": ("accuracy", "top5")}


def needs_onehot_labels(training) -> bool:
    """Say whether the loss, or what changes labels, wants one-hot labels."""
    return (
        training.get("label_smoothing", 0) > 0
        or training.get("loss") in _ONEHOT_LOSSES
        or bool({"mixup", "cutmix"} & set(training.get("augment", ())))
    )


def make_loss(name, way, *, task, config, training):
    """Return the loss of this name (see `kzoo.contract.make_loss`).

    Args:
        name: of `way.losses`.
        way: the `Task`.
        task: its public name, for messages.
        config, training: the resolved settings.

    Raises:
        KzooError: a loss that does not fit the task or the head, or one-hot settings with integer labels.
    """
    head, logits = way.head_of(config["outputs"]), config.get("output_activation") in (None, "linear")
    losses, smoothing = keras.losses, training.get("label_smoothing", 0.0)
    if name == "hinge" and name not in way.losses:
        raise KzooError(
            f"loss='hinge' does not learn how likely an answer is, and {task} is scored by that. Use "
            f"{_written(way.losses)}."
        )
    if name not in way.losses:
        raise KzooError(f"loss={name!r} is for values, and {task} predicts classes. Use {_written(way.losses)}.")
    _check_head(name, head, config.get("output_activation") or "linear", way.losses)
    if smoothing and name in ("hinge", "kl"):
        raise KzooError(
            f"label_smoothing={smoothing} has no effect with loss={name!r}: set label_smoothing=0, or another loss."
        )
    onehot = training.get("labels") == "onehot"
    if head == "sigmoid":
        if onehot:
            raise KzooError(
                "labels='onehot' has no effect on one sigmoid, which takes labels of 0 and 1: set labels='integer', or "
                "outputs=2."
            )
        if name == "hinge":
            return losses.Hinge()
        if name == "focal":
            return losses.BinaryFocalCrossentropy(from_logits=logits, label_smoothing=smoothing)
        if name == "kl":
            raise KzooError("loss='kl' compares distributions and needs outputs=2 or more, not one sigmoid.")
        return losses.BinaryCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if needs_onehot_labels(training) and not onehot:
        why = f"loss={name!r}" if name in _ONEHOT_LOSSES else "label_smoothing, mixup and cutmix"
        verb = "needs" if name in _ONEHOT_LOSSES else "need"
        raise KzooError(f"{why} {verb} one-hot labels: add labels='onehot'. (kzoo.train makes them itself.)")
    if name == "focal":
        return losses.CategoricalFocalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    if name == "hinge":
        return losses.CategoricalHinge()
    if name == "kl":
        return losses.KLDivergence()
    if onehot:
        return losses.CategoricalCrossentropy(from_logits=logits, label_smoothing=smoothing)
    return losses.SparseCategoricalCrossentropy(from_logits=logits)


def _written(losses):
    *some, last = (name for name in losses if name != "crossentropy")  # which is what auto stands for
    return f"{', '.join(some)} or {last}"


def _check_head(loss, head, activation, fitting):
    """Refuse a head whose answers are not what the loss compares: it would learn something else, without a word."""
    if loss == "hinge":
        if head == "sigmoid" and activation not in _BOTH_SIDES:
            raise KzooError(
                f"loss='hinge' wants answers of -1 and +1, and output_activation={activation!r} never gives -1: "
                "set output_activation='tanh' or 'linear'."
            )
    elif activation not in (_PROBABILITIES if loss == "kl" else ("linear", *_PROBABILITIES)):
        both = activation in _BOTH_SIDES and "hinge" in fitting
        raise KzooError(
            f"loss={loss!r} compares probabilities, and output_activation={activation!r} gives none: set "
            f"output_activation={head!r}" + (", or loss='hinge'." if both else ".")
        )


def metrics_for(way, config):
    """Return the names of the metrics of the task that fit what the network ends with."""
    return tuple(name for name in _METRICS[way.head_of(config["outputs"])] if name in way.metrics)


def make_metric(name, way, *, config, training):
    """Return the metric of this name, as Keras takes it."""
    # A single answer that is no probability names the second class above 0, as a margin or a logit.
    signed = config.get("output_activation") not in _PROBABILITIES
    if name == "accuracy" and way.head_of(config["outputs"]) == "sigmoid":
        return keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0 if signed else 0.5)
    if name == "top5":
        onehot = training.get("labels") == "onehot"
        top = keras.metrics.TopKCategoricalAccuracy if onehot else keras.metrics.SparseTopKCategoricalAccuracy
        return top(k=5, name="top5")
    return keras.metrics.AUC(name="auc", from_logits=signed) if name == "auc" else name
