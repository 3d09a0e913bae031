"""Checks of class labels: range, form, classes that are missing or rare, rows with two answers."""

from typing import Any

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.rows import enough_variety, hashes
from kzoo.checks.subject import class_name
from kzoo.utils.formatting import listed

_RARE = 10  # times as many rows of the commonest class as of the rarest
_CONFLICTS = 0.01  # share of the training rows


@check("data", "class_ids", "classes")
def labels_outside(subject):
    """A label that is not a class: on JAX the loss is then 0, silently; on TensorFlow it is NaN or an exception."""
    signs = subject.loss is not None and subject.loss.name in ("hinge", "squared_hinge")
    low, high = (-1 if signs else 0), subject.classes - 1
    for split, labels in subject.class_ids.items():
        if labels is None or labels.dtype.kind not in "biuf":
            continue
        bad = ~((labels >= low) & (labels <= high))
        if labels.dtype.kind == "f":
            bad |= np.isfinite(labels) & (labels != np.round(labels))
            bad &= np.isfinite(labels)  # NaN has a check of its own
        if bad.any():
            place = int(np.flatnonzero(bad.reshape(len(labels), -1).any(axis=1))[0])
            value = labels[bad][0]
            yield error(
                f"{int(bad.sum())} labels are none of the classes {low}..{high}, the first is {value:g}",
                where=f"{split}, row {place}",
                why="The loss of such a row is NaN, an error or, on JAX, 0: it looks learned.",
                fix="Number the classes from 0, and give the network an output for each.",
            )


@check("data", "labels", "loss")
def labels_form(subject):
    """One-hot rows for a loss that takes class numbers, or the reverse."""
    given = np.asarray(subject.data.train.y)
    onehot, wants = (given.ndim == 2 and given.shape[1] > 1), subject.loss.labels
    if wants == "numbers" and onehot:
        yield error(
            f"The labels are rows of {given.shape[1]} numbers, and the loss takes one class number",
            where=f"loss {subject.loss.name}",
            why="Keras stops, or compares the wrong things.",
            fix="Use kzoo.build(..., labels='onehot'), another model's categorical_crossentropy, or y.argmax(axis=1).",
        )
    if wants == "one-hot" and not onehot and not subject.onehot:
        yield error(
            "The labels are class numbers, and the loss takes one-hot rows",
            where=f"loss {subject.loss.name}",
            why="Keras stops, or compares the wrong things.",
            fix="Use sparse_categorical_crossentropy, or keras.utils.to_categorical(y).",
        )


@check("data", "labels", "classes")
def class_missing(subject):
    """A class without a row in a split."""
    classes = subject.classes
    seen = {name: set(np.unique(_inside(labels, classes)).tolist()) for name, labels in subject.labels.items()}
    for split, found in seen.items():
        missing = sorted(set(range(classes)) - found)
        if not missing or not found:
            continue
        names = listed(class_name(subject.data, number) for number in missing)
        if split == "train":
            why = "The network cannot learn what it never sees."
            fix = "Add rows of these classes, or leave the classes out."
        else:
            why = f"Scores on the {split} split say nothing about these classes."
            fix = "Give more rows, or a split of your own that has every class."
        yield warning(
            f"{len(missing)} of {classes} classes have no row: {names}", where=f"{split} split", why=why, fix=fix
        )


@check("data", "labels", "classes")
def imbalance(subject):
    """Classes so unequal that guessing the commonest looks good."""
    if subject.training.get("class_weight") is not None or "focal" in str(subject.training.get("loss")):
        return
    counts = np.bincount(_inside(subject.labels["train"], subject.classes).astype(int), minlength=subject.classes)
    here = counts[counts > 0]
    if len(here) > 1 and here.max() >= _RARE * here.min():
        two = subject.classes == 2
        most, least = int(counts.argmax()), int(np.where(counts > 0, counts, counts.max()).argmin())
        yield warning(
            f"Class {class_name(subject.data, most)} has {counts[most]} rows, {class_name(subject.data, least)} "
            f"has {counts[least]}",
            where="train split",
            why=f"Always answering the commonest class is right for {counts[most] / counts.sum():.0%} of the rows.",
            fix="Compare average precision, not accuracy. A label is decided at a probability of 0.5: set "
            "class_weight='balanced' or loss='focal', or apply another threshold to the probabilities."
            if two
            else "Set class_weight='balanced' or loss='focal', and look at f1 beside the accuracy.",
        )


@check("data", "labels")
def conflicting_labels(subject):
    """The same input with different labels."""
    if not enough_variety(subject):
        return
    keys, labels = hashes(subject, "train"), subject.labels["train"]
    first: dict[Any, Any] = {}
    conflicts: list[Any] = []
    for row, key in enumerate(keys):
        before = first.setdefault(key, row)
        if key is not None and labels[before] != labels[row]:
            conflicts.append((before, row))
    if len(conflicts) > max(2, _CONFLICTS * len(keys)):
        yield warning(
            f"{len(conflicts)} of {len(keys)} rows looked at repeat an input with another label",
            where=f"train, rows {listed(f'{a} and {b}' for a, b in conflicts)}",
            why="One of the two must be wrong, and no network can learn both.",
            fix="Correct the labels, or add the column that tells these rows apart.",
        )


def _inside(labels, classes):
    labels = np.asarray(labels)
    return labels[np.isin(labels, np.arange(classes))] if labels.dtype.kind in "biuf" else labels[:0]
