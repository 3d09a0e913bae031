"""Checks of the network before its first step: loss, dead units, saturation, answers that never differ."""

import math

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.losses import loss_function
from kzoo.utils.formatting import listed

_DEAD, _SATURATED = 0.7, 0.5  # share of a layer's units, and of its values
_FEWEST_ROWS = 8


@check("network", "model")
def cannot_be_run(subject):
    """A network that fails on a few rows."""
    if subject.probe is None:
        yield warning(
            f"The network fails on {len(subject.batch[0])} rows: {subject.failure}",
            where=f"model {subject.model.name!r}",
            why="What fails here is likely to fail in training.",
            fix="Call model(x) on a few rows and look at the error.",
        )


@check("network", "class_ids", "classes", "loss", "probe")
def initial_loss(subject):
    """A first loss far above ln(classes), which is what knowing nothing costs; below it is only who has learned."""
    if not subject.loss.name.endswith("crossentropy") or "focal" in subject.loss.name:
        return
    _, y = subject.batch
    loss = float(loss_function(subject.model)(y, subject.probe.answers))
    knowing_nothing = math.log(subject.classes)
    where = f"loss {subject.loss.name}, {subject.classes} classes"
    if not math.isfinite(loss):
        yield error(
            f"The loss is {loss} before the first step",
            where=where,
            why="Every weight would be NaN after it.",
            fix="Look for extreme inputs, a division by zero or a logarithm in the network.",
        )
    elif loss > 2 * knowing_nothing + 1:
        yield warning(
            f"The first loss is {loss:.2f}, and knowing nothing costs ln({subject.classes}) = {knowing_nothing:.2f}",
            where=where,
            why="The network begins sure of wrong answers: its inputs or first weights are too large.",
            fix="Scale the inputs, and look at the initializers.",
        )


@check("network", "targets", "probe")
def first_answers(subject):
    """Answers that are NaN or infinite before the first step."""
    if not np.isfinite(subject.probe.answers).all():
        yield error(
            "The network answers NaN or infinity before the first step",
            where=f"model {subject.model.name!r}",
            why="Every weight would be NaN after it.",
            fix="Look for extreme inputs, a division by zero or a logarithm in the network.",
        )


@check("network", "probe")
def dead_units(subject):
    """ReLU units that are 0 for every row: no gradient ever reaches them."""
    if len(subject.batch[0]) < _FEWEST_ROWS:
        return
    for layer, activation, values in subject.probe.hidden:
        if activation != "relu":
            continue
        dead = float((values.reshape(-1, values.shape[-1]) <= 0).all(axis=0).mean())
        if dead > _DEAD:
            yield (error if dead == 1 else warning)(
                f"{dead:.0%} of the units are 0 for every one of {len(values)} rows",
                where=f"layer {layer!r}",
                why="A ReLU that is always 0 passes no gradient on, and stays as it is.",
                fix="Scale the inputs, use he_normal weights and zero biases, or leaky_relu.",
            )


@check("network", "probe")
def saturated_units(subject):
    """Sigmoids and tanhs that are at their ends for most rows."""
    full = []
    for layer, activation, values in subject.probe.hidden:
        if activation == "relu":
            continue
        ends = np.abs(values) > 0.99 if activation == "tanh" else (values < 0.01) | (values > 0.99)
        if ends.mean() > _SATURATED:
            full.append((layer, float(ends.mean())))
    if full:
        yield warning(
            f"{max(share for _, share in full):.0%} of the values of a squashing layer are at its ends",
            where=f"layer {listed(repr(layer) for layer, _ in full)}",
            why="There the slope is nearly 0, and so is the gradient.",
            fix="Scale the inputs, or begin with smaller weights.",
        )


@check("network", "probe")
def answers_all_alike(subject):
    """One answer for all inputs, though a sensible network tells them apart before it has learned anything."""
    x, answers = subject.batch[0], subject.probe.answers
    if len(answers) < _FEWEST_ROWS or not np.isfinite(answers).all() or (x == x[:1]).all():
        return
    flat = answers.reshape(len(answers), -1).astype("float64")
    # A last layer that begins with zeros is a fine start: all its answers are 0, or equal shares.
    if np.ptp(flat, axis=0).max() == 0 and np.ptp(flat) > 0:
        yield warning(
            f"{len(answers)} different inputs get exactly the same answer",
            where=f"model {subject.model.name!r}",
            why="Nothing of the inputs comes through the network.",
            fix="Look for dead layers, and for inputs that are scaled to nothing.",
        )
