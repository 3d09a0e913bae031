"""Checks of class labels: range, form, missing and rare classes, conflicting labels."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.rows import contradict, enough_variety, equal_rows
from kzoo.checks.subject import class_name
from kzoo.utils.formatting import listed

if TYPE_CHECKING:
    from kzoo.checks.finding import Finding
    from kzoo.checks.subject import Subject


_RARE = 10  # ratio of rows of the most frequent class to those of the rarest
_CONFLICTS = 0.01  # share of the training rows


@check("data", "class_ids", "classes")
def labels_outside(subject: "Subject") -> "Iterator[Finding]":
    """Find labels that are not classes: the loss is then silently 0 on JAX, and NaN or an exception on TensorFlow."""
    is_hinge = subject.loss is not None and subject.loss.name in ("hinge", "squared_hinge")
    low = -1 if is_hinge else 0
    high = subject.classes - 1
    for split, labels in subject.class_ids.items():
        if labels is None or labels.dtype.kind not in "biuf":
            continue
        bad = ~((labels >= low) & (labels <= high))
        if labels.dtype.kind == "f":
            bad |= np.isfinite(labels) & (labels != np.round(labels))
            bad &= np.isfinite(labels)  # `not_finite` checks for NaN
        if bad.any():
            row = int(np.flatnonzero(bad.reshape(len(labels), -1).any(axis=1))[0])
            label = labels[bad][0]
            yield error(
                f"{int(bad.sum())} labels are outside the classes {low}..{high}; the first one is {label:g}",
                where=f"{split}, row {row}",
                why="The loss of such a row is NaN, an error or, on JAX, 0, as if it was predicted perfectly.",
                fix="Number the classes from 0, with an output of the network for each.",
            )


@check("data", "labels", "loss")
def labels_form(subject: "Subject") -> "Iterator[Finding]":
    """Find one-hot labels with a loss that needs class numbers, or the reverse."""
    labels = np.asarray(subject.data.train.y)
    onehot = labels.ndim == 2 and labels.shape[1] > 1
    expected = subject.loss.labels
    if expected == "numbers" and onehot:
        yield error(
            f"The labels are rows of {labels.shape[1]} numbers, but the loss needs one class number per row",
            where=f"loss {subject.loss.name}",
            why="Keras fails, or computes a wrong loss.",
            fix="Use kzoo.build(..., labels='onehot'), categorical_crossentropy in other models, or y.argmax(axis=1).",
        )
    if expected == "one-hot" and not onehot and not subject.onehot:
        yield error(
            "The labels are class numbers, but the loss needs one-hot rows",
            where=f"loss {subject.loss.name}",
            why="Keras fails, or computes a wrong loss.",
            fix="Use sparse_categorical_crossentropy, or keras.utils.to_categorical(y).",
        )


@check("data", "labels", "classes")
def class_missing(subject: "Subject") -> "Iterator[Finding]":
    """Find classes without a row in a split."""
    classes = subject.classes
    classes_in = {
        name: set(np.unique(_valid_labels(labels, classes)).tolist())
        for name, labels in subject.labels.items()
    }
    for split, present in classes_in.items():
        missing = sorted(set(range(classes)) - present)
        if not missing or not present:  # `present` is empty if the split has no valid labels
            continue
        names = listed(class_name(subject.data, number) for number in missing)
        if split == "train":
            why = "The network cannot learn classes without examples."
            fix = "Add rows of these classes, or remove the classes."
        else:
            why = f"Scores on the {split} split do not cover these classes."
            fix = "Use more rows, or your own split with all classes."
        yield warning(
            f"{len(missing)} of {classes} classes have no row: {names}",
            where=f"{split} split",
            why=why,
            fix=fix,
        )


@check("data", "labels", "classes")
def imbalance(subject: "Subject") -> "Iterator[Finding]":
    """Find classes so imbalanced that always predicting the most frequent one has a high accuracy."""
    if subject.training.get("class_weight") is not None or "focal" in str(
        subject.training.get("loss")
    ):
        return
    counts = np.bincount(
        _valid_labels(subject.labels["train"], subject.classes).astype(int),
        minlength=subject.classes,
    )
    present_counts = counts[counts > 0]
    if len(present_counts) > 1 and present_counts.max() >= _RARE * present_counts.min():
        is_binary = subject.classes == 2
        most = int(counts.argmax())
        least = int(np.where(counts > 0, counts, counts.max()).argmin())
        yield warning(
            f"Class {class_name(subject.data, most)} has {counts[most]} rows, {class_name(subject.data, least)} "
            f"has {counts[least]}",
            where="train split",
            why=f"Always predicting the most frequent class is correct for {counts[most] / counts.sum():.0%} of the "
            "rows.",
            fix="Compare average precision instead of accuracy. Labels use a probability threshold of 0.5: set "
            "class_weight='balanced' or loss='focal', or apply another threshold to the probabilities."
            if is_binary
            else "Set class_weight='balanced' or loss='focal', and compare f1 in addition to the accuracy.",
        )


@check("data", "labels")
def conflicting_labels(subject: "Subject") -> "Iterator[Finding]":
    """Find equal inputs with different labels. Images are not equal by chance: a single one is reported."""
    if not enough_variety(subject):
        return
    for split in subject.splits:
        pairs, sampled = equal_rows(subject, split)
        conflicts = [pair for pair in pairs if contradict(subject, split, pair)]
        if len(conflicts) <= (0 if subject.images else max(2, _CONFLICTS * sampled)):
            continue
        of_train = "" if split == "train" else "train row "
        rows = listed(
            f"{_shown(subject, split, row)} and {of_train}{_shown(subject, 'train', other)}"
            for row, other in conflicts
        )
        yield warning(
            f"{len(conflicts)} of {sampled} sampled rows repeat an input with a different label",
            where=f"{split}, rows {rows}",
            why="No network can predict both labels, and one of them may be wrong.",
            fix="Correct the labels, or remove the wrong one of each pair of images."
            if subject.images
            else "Correct the labels, or add a column that distinguishes these rows.",
        )


def _shown(subject: "Subject", split: str, row: int) -> str:
    """Return the number of a row; of an image file also its folder and name."""
    x = subject.splits[split].x
    return f"{row} ({'/'.join(x.path(row).parts[-2:])})" if hasattr(x, "path") else str(row)


def _valid_labels(labels: np.ndarray, classes: int) -> np.ndarray:
    labels = np.asarray(labels)
    return (
        labels[np.isin(labels, np.arange(classes))] if labels.dtype.kind in "biuf" else labels[:0]
    )
