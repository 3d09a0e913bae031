"""Checks across the splits: rows that are in two of them, classes in other shares."""

import hashlib

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.checks.rows import enough_variety, hashes
from kzoo.checks.subject import class_name
from kzoo.kinds.image.decode import ImageFiles
from kzoo.words import listed

_FEWEST = 3  # iris holds one row twice, and by chance a test split has its twin
_SHARE = 0.005
_FEWEST_ROWS, _OTHER_SHARES = 50, 0.2


@check("data", "rows", "unordered")
def duplicates_across_splits(subject):
    """Rows of the validation or test split that were trained on; windows of one series share values on purpose."""
    if len(subject.splits) < 2:
        return
    if isinstance(subject.data.train.x, ImageFiles):
        found = _equal_files(subject)
    else:
        found = _equal_rows(subject) if enough_variety(subject) else {}
    for split, (pairs, looked_at) in found.items():
        if len(pairs) >= _FEWEST and len(pairs) >= _SHARE * looked_at:
            rows = listed(f"{row} (train row {twin})" for row, twin in pairs)
            yield warning(
                f"{len(pairs)} of {looked_at} {split} rows looked at are also in the training split",
                where=f"{split}, rows {rows}",
                why="Such rows are remembered, not recognised: the score promises too much.",
                fix="Remove the copies before splitting, or name a column with group=.",
            )


def _equal_rows(subject):
    train = {key: row for row, key in enumerate(hashes(subject, "train")) if key is not None}
    found = {}
    for split in subject.splits:
        if split != "train":
            keys = hashes(subject, split)
            found[split] = [(row, train[key]) for row, key in enumerate(keys) if key in train], len(keys)
    return found


def _equal_files(subject):
    """Compare files that are equally long, of a few hundred images of the other splits."""
    train, found = subject.data.train.x, {}
    sizes = train.sizes
    for split, part in subject.splits.items():
        if split == "train" or not isinstance(part.x, ImageFiles):
            continue
        rows, pairs = subject.some(split), []
        for row, size in zip(rows, part.x.sizes[rows], strict=True):
            alike = np.flatnonzero(sizes == size)
            digest = _digest(part.x.path(row)) if len(alike) else None
            twin = next((int(place) for place in alike if _digest(train.path(place)) == digest), None)
            if twin is not None:
                pairs.append((int(row), twin))
        found[split] = pairs, len(rows)
    return found


def _digest(path):
    return hashlib.sha256(path.read_bytes()).digest()


@check("data", "labels", "classes")
def class_shares_differ(subject):
    """A test split whose classes have other shares than in training."""
    train = _shares(subject.labels["train"], subject.classes)
    for split, labels in subject.labels.items():
        if split == "train" or len(labels) < _FEWEST_ROWS or train is None:
            continue
        other = _shares(labels, subject.classes)
        if other is None or np.abs(other - train).sum() / 2 < _OTHER_SHARES + (subject.classes / len(labels)) ** 0.5:
            continue
        most = int(np.abs(other - train).argmax())
        yield warning(
            f"Class {class_name(subject.data, most)} is {train[most]:.0%} of the training rows and {other[most]:.0%} "
            f"of the {split} rows",
            where=f"{split} split",
            why="The score is of another mixture than the one trained for; rows sorted by class do this.",
            fix="Shuffle the rows before splitting, or let kzoo split them.",
        )


def _shares(labels, classes):
    labels = np.asarray(labels)
    labels = labels[np.isin(labels, np.arange(classes))].astype(int)
    return np.bincount(labels, minlength=classes) / len(labels) if len(labels) else None
