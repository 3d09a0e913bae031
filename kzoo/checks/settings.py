"""Checks of the settings, without reading data: steps, batch size, monitor, learning rate, frozen weights, head."""

from collections.abc import Iterator
from typing import Any

import keras
import numpy as np

from kzoo.checks.finding import Finding, check, error, warning
from kzoo.checks.subject import Subject
from kzoo.zoo.loss_info import last_activation

# Learning rates above which no preset has trained. Adam and similar optimizers move each weight by the rate per step.
_HIGHEST_RATE = {"SGD": 10.0}
_HIGHEST_OF_OTHERS = 0.3
_LOWEST_RATE = 1e-7


@check("settings")
def zero_steps(subject: Subject) -> Iterator[Finding]:
    """Find an epoch without steps: nothing is trained, and Keras only reports a loss of 0."""
    if not len(subject.data.train):
        yield error(
            "The training split is empty, so an epoch would have no steps",
            where="train",
            why="Nothing would be learned: the weights would stay random.",
            fix="Use more rows, or smaller fractions for validation= and test=.",
        )


@check("settings", "rows")
def large_batch(subject: Subject) -> Iterator[Finding]:
    """Find a batch size larger than the number of training rows."""
    size = subject.training.get("batch_size", 1)
    if size > subject.rows and not subject.closed_form:
        yield warning(
            f"The batch size {size} is larger than the {subject.rows} training rows: one step per epoch",
            where="batch_size",
            why="Each epoch updates the weights only once, so even many epochs learn little.",
            fix=f"Use a batch_size of at most {min(max(subject.rows // 10, 4), subject.rows)}.",
        )


@check("settings", "model")
def wrong_monitor(subject: Subject) -> Iterator[Finding]:
    """Find a monitor that no epoch reports: Keras only warns, and never stops early or saves."""
    monitor = subject.training.get("monitor")
    reported = _reported(subject.model)
    if subject.training.get("objective") is not None:  # a callback computes it
        return
    if monitor is None or reported is None or monitor.removeprefix("val_") in reported:
        return
    yield error(
        f"monitor={monitor!r} is not reported by epochs",
        where="monitor",
        why="Without it, neither the best epoch nor early stopping can be determined.",
        fix=f"Use one of: {', '.join(f'val_{name}' for name in reported)}.",
    )


def _reported(model: keras.Model) -> list[str] | None:
    """Return the names of loss and metrics; None if there are several outputs, or custom classes."""
    try:
        metrics = (model.get_compile_config() or {}).get("metrics") or []
    except (TypeError, ValueError):
        return None
    if not isinstance(metrics, list) or not all(isinstance(m, str | dict) for m in metrics):
        return None
    names = [m if isinstance(m, str) else (m.get("config") or {}) for m in metrics]
    names = [
        n if isinstance(n, str) else n.get("name") if isinstance(n, dict) else n for n in names
    ]
    return None if None in names else ["loss", *map(str, names)]


@check("settings", "model")
def learning_rate(subject: Subject) -> Iterator[Finding]:
    """Find a learning rate far outside the useful range."""
    optimizer: Any = getattr(subject.model, "optimizer", None)
    rate = getattr(optimizer, "_learning_rate", None)
    if rate is None or callable(rate):  # a schedule
        return
    rate = float(np.asarray(optimizer.learning_rate))
    kind = type(optimizer).__name__
    highest = _HIGHEST_RATE.get(kind, _HIGHEST_OF_OTHERS)
    if not _LOWEST_RATE <= rate <= highest:
        yield warning(
            f"A learning rate of {rate:g} is far too {'high' if rate > highest else 'low'} for {kind}",
            where="optimizer",
            why="If it is too high, the loss explodes or oscillates; if it is too low, nothing is learned.",
            fix=f"Start with {'0.01' if kind == 'SGD' else '0.001'}, or find one with kzoo.learning_rate_range.",
        )


@check("settings", "model")
def nothing_to_train(subject: Subject) -> Iterator[Finding]:
    """Find a network without trainable weights."""
    if not subject.model.trainable_variables and not subject.closed_form:
        yield error(
            "The network has no trainable weights",
            where=f"model {subject.model.name!r}",
            why="Training would not change it.",
            fix="Set trainable=True on the layers to train, and compile the model again.",
        )


@check("settings", "loss")
def logits_or_probabilities(subject: Subject) -> Iterator[Finding]:
    """Find a last activation that does not suit the loss."""
    activation = last_activation(subject.model)
    loss = subject.loss
    where = f"loss {loss.name}, last activation {activation}"
    if activation is None:
        return
    if loss.name in ("hinge", "squared_hinge") and activation in (
        "softmax",
        "sigmoid",
        "hard_sigmoid",
        "relu",
        "softplus",
    ):
        yield error(
            f"The last activation is {activation}, but {loss.name} compares outputs with -1 and +1",
            where=where,
            why="The outputs cannot reach -1, so the loss of half of the rows cannot fall.",
            fix="Use tanh as last activation, or none.",
        )
    if loss.from_logits and activation in ("softmax", "sigmoid"):
        yield error(
            f"The last activation is {activation}, but the loss expects logits",
            where=where,
            why="The activation is applied twice: the loss cannot approach 0, and learning is slow.",
            fix="Set from_logits=False, or remove the last activation.",
        )
    elif loss.takes_probabilities and activation not in ("softmax", "sigmoid", "hard_sigmoid"):
        yield error(
            "The last layer has no softmax or sigmoid, but the loss expects probabilities",
            where=where,
            why="Negative numbers are clipped to 0: the loss is wrong, and most gradients are zero.",
            fix="Set from_logits=True, or use softmax or sigmoid as last activation."
            if loss.name.endswith("crossentropy")
            else "Use softmax as last activation.",
        )


@check("settings", "loss", "width")
def softmax_of_one(subject: Subject) -> Iterator[Finding]:
    """Find a softmax over a single output, which is 1 for all inputs."""
    if subject.width == 1 and last_activation(subject.model) == "softmax":
        yield error(
            "The last layer is a softmax over one output, which is always 1",
            where="last layer",
            why="The network makes the same prediction for all inputs.",
            fix="Use sigmoid with one output, or two outputs.",
        )


@check("settings", "loss", "width")
def sigmoid_for_many(subject: Subject) -> Iterator[Finding]:
    """Find mutually exclusive classes that each have a sigmoid."""
    many = subject.width > 1 and subject.loss.labels in ("numbers", "one-hot")
    if (
        many
        and last_activation(subject.model) == "sigmoid"
        and subject.loss.name.endswith("crossentropy")
    ):
        yield warning(
            f"The {subject.width} classes use sigmoid, but the loss expects a distribution over the classes",
            where=f"loss {subject.loss.name}, last activation sigmoid",
            why="The outputs do not sum to 1; the loss can fall by making all of them small.",
            fix="Use softmax as last activation; for several labels per row, use binary_crossentropy.",
        )
