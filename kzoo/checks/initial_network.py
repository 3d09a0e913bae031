"""Checks of the network before its first step: initial loss, dead and saturated units, constant outputs."""

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.utils.formatting import listed
from kzoo.zoo.loss_info import loss_function

if TYPE_CHECKING:
    from kzoo.checks.finding import Finding
    from kzoo.checks.subject import Subject


_DEAD, _SATURATED = 0.7, 0.5  # shares of a layer's units, and of its values
_FEWEST_ROWS = 8


@check("network", "model")
def cannot_be_run(subject: "Subject") -> "Iterator[Finding]":
    """Find a network that fails on a few rows."""
    if subject.probe is None:
        yield warning(
            f"The network fails on {len(subject.batch[0])} rows: {subject.failure}",
            where=f"model {subject.model.name!r}",
            why="Training is likely to fail in the same way.",
            fix="Call model(x) on a few rows to see the full error.",
        )


@check("network", "class_ids", "classes", "loss", "probe")
def initial_loss(subject: "Subject") -> "Iterator[Finding]":
    """Find an initial loss far above ln(classes), the loss of uniform guessing."""
    if not subject.loss.name.endswith("crossentropy") or "focal" in subject.loss.name:
        return
    _, y = subject.batch
    compute = loss_function(subject.model)
    assert compute is not None
    loss = float(compute(y, subject.probe.answers))
    guessing_loss = math.log(subject.classes)
    where = f"loss {subject.loss.name}, {subject.classes} classes"
    if not math.isfinite(loss):
        yield error(
            f"The loss is {loss} before the first step",
            where=where,
            why="Every weight would be NaN after it.",
            fix="Look for extreme inputs, or a division by zero or a logarithm in the network.",
        )
    elif loss > 2 * guessing_loss + 1:
        yield warning(
            f"The initial loss is {loss:.2f}, but uniform guessing would give ln({subject.classes}) = "
            f"{guessing_loss:.2f}",
            where=where,
            why="The network starts with confident wrong predictions: its inputs or initial weights are too large.",
            fix="Scale the inputs, and check the initializers.",
        )


@check("network", "targets", "probe")
def first_answers(subject: "Subject") -> "Iterator[Finding]":
    """Find outputs that are NaN or infinite before the first step."""
    if not np.isfinite(subject.probe.answers).all():
        yield error(
            "The outputs contain NaN or infinity before the first step",
            where=f"model {subject.model.name!r}",
            why="Every weight would be NaN after it.",
            fix="Look for extreme inputs, or a division by zero or a logarithm in the network.",
        )


@check("network", "probe")
def dead_units(subject: "Subject") -> "Iterator[Finding]":
    """Find ReLU units that are 0 for every row, so that they get no gradient."""
    if len(subject.batch[0]) < _FEWEST_ROWS:
        return
    for layer, activation, values in subject.probe.hidden:
        if activation != "relu":
            continue
        dead = float((values.reshape(-1, values.shape[-1]) <= 0).all(axis=0).mean())
        if dead > _DEAD:
            yield (error if dead == 1 else warning)(
                f"{dead:.0%} of the units are 0 for all of {len(values)} rows",
                where=f"layer {layer!r}",
                why="A ReLU that is always 0 gets no gradient, so its weights do not change.",
                fix="Scale the inputs, use he_normal initializers and zero biases, or leaky_relu.",
            )


@check("network", "probe")
def saturated_units(subject: "Subject") -> "Iterator[Finding]":
    """Find sigmoid and tanh layers that are saturated for most rows."""
    layers = []
    for layer, activation, values in subject.probe.hidden:
        if activation == "relu":
            continue
        saturated = (
            np.abs(values) > 0.99 if activation == "tanh" else (values < 0.01) | (values > 0.99)
        )
        if saturated.mean() > _SATURATED:
            layers.append((layer, float(saturated.mean())))
    if layers:
        yield warning(
            f"{max(share for _, share in layers):.0%} of the outputs of a sigmoid or tanh layer are saturated",
            where=f"layer {listed(repr(layer) for layer, _ in layers)}",
            why="The gradient of saturated units is nearly 0.",
            fix="Scale the inputs, or use smaller initial weights.",
        )


@check("network", "probe")
def answers_all_alike(subject: "Subject") -> "Iterator[Finding]":
    """Find a network with the same outputs for all inputs; even an untrained network should distinguish them."""
    x = subject.batch[0]
    answers = subject.probe.answers
    if len(answers) < _FEWEST_ROWS or not np.isfinite(answers).all() or (x == x[:1]).all():
        return
    flat = answers.reshape(len(answers), -1).astype("float64")
    # A last layer initialized with zeros is fine: all its outputs are 0, or equal shares.
    if np.ptp(flat, axis=0).max() == 0 and np.ptp(flat) > 0:
        yield warning(
            f"{len(answers)} different inputs have exactly the same outputs",
            where=f"model {subject.model.name!r}",
            why="The outputs do not depend on the inputs.",
            fix="Look for dead layers, and for inputs that are scaled to 0.",
        )
