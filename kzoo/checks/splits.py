"""Checks across the splits: rows that are in two of them, classes in other shares."""

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.checks.rows import enough_variety, hashes
from kzoo.checks.subject import class_name, read
from kzoo.kinds.text.tokenizer import UNKNOWN
from kzoo.utils.formatting import listed

_FEWEST = 3  # iris holds one row twice, and by chance a test split has its twin
_SHARE = 0.005
_FEWEST_ROWS, _OTHER_SHARES = 50, 0.2
_RUN = 8  # tokens in a row that two texts do not share by chance; of runs of tokens (ngrams) as many times more
_FEWEST_RUNS, _INSIDE, _SHARE_INSIDE = 3, 0.8, 0.05  # of a text; the share of them that makes it another's; such texts
_TEXTS, _MOST, _PIECE = 1_000, 150_000, 4_096  # looked at of another split, of training, and at once


@check("data", "rows", "unordered")
def duplicates_across_splits(subject):
    """Rows of the validation or test split that were trained on; windows of one series share values on purpose."""
    if len(subject.splits) < 2:
        return
    if hasattr(subject.data.train.x, "copies"):
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
    """Compare files of a few hundred images of the other splits with those of training."""
    train, found = subject.data.train.x, {}
    for split, part in subject.splits.items():
        if split != "train" and hasattr(part.x, "copies"):
            rows = subject.some(split)
            found[split] = list(part.x.copies(train, rows).items()), len(rows)
    return found


@check("data", "seen", "unordered")
def rows_belong_together(subject):
    """A column, an input or left out, whose every value has one answer: an id that many rows share."""
    ids = subject.seen.get("repeated")
    if not ids or subject.seen.get("grouped"):
        return
    name, values, rows = (ids[0][key] for key in ("name", "values", "rows"))
    same = "class" if "classes" in subject.facts else "target"
    also = f"; so have those of {listed(repr(column['name']) for column in ids[1:])}" if ids[1:] else ""
    yield warning(
        f"All rows of a value of {name!r} have the same {same}: {rows:,} rows of {values:,} values{also}",
        where=f"column {name!r}",
        why="Rows of one person, device or recording are alike: where they are in training and test, the score "
        "promises more than new ones get.",
        fix=f"If such rows belong together, say group={name!r}: they stay in one split, and the column is no input.",
    )


@check("data", "texts")
def texts_inside_others(subject):
    """Texts of the validation or test split that are parts of texts that were trained on, or hold them."""
    length = _RUN * (subject.data.preprocessing.get("ngrams") or 1)
    for split in subject.splits:
        if split == "train":
            continue
        rows = subject.some(split, _TEXTS)
        runs, real = _runs(read(subject.splits[split].x, rows), length)
        long = (real.sum(axis=1) >= _FEWEST_RUNS) & ~_are_equal(subject, split, rows)
        known = np.unique(runs[long][real[long]])
        if not len(known):
            continue
        seen = np.zeros(len(known), bool)
        x = subject.splits["train"].x
        for start in range(0, min(len(x), _MOST), _PIECE):
            found, is_run = _runs(read(x, slice(start, start + _PIECE)), length)
            found = found[is_run]
            places = np.searchsorted(known, found).clip(max=len(known) - 1)
            seen[places[known[places] == found]] = True
        trained = real & np.isin(runs, known[seen])
        inside = long & (trained.sum(axis=1) > _INSIDE * real.sum(axis=1))
        if inside.sum() >= max(_FEWEST, _SHARE_INSIDE * long.sum()):
            yield warning(
                f"{inside.sum()} of {long.sum()} {split} texts looked at are parts of training texts, or hold some",
                where=f"{split}, rows {listed(rows[inside])}",
                why="What is remembered of one is right of the other: the score promises too much and chooses wrongly.",
                fix="Say in a column which texts come from one, and name it with group=: they stay in one split.",
            )


def _runs(ids, length):
    """Return a number for every so many tokens in a row, and whether there are so many, none unknown: (N, T')."""
    ids = ids[:, : np.flatnonzero(ids.any(axis=0)).max(initial=-1) + 1]
    factors = np.random.default_rng(0).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    count = max(ids.shape[1] - length + 1, 0)
    runs, real = np.zeros((len(ids), count), np.uint64), np.ones((len(ids), count), bool)
    for i, factor in enumerate(factors if count else ()):
        part = ids[:, i : i + count]
        runs += part.astype(np.uint64) * factor
        real &= part > UNKNOWN
    return runs, real


def _are_equal(subject, split, rows):
    """Say of which texts there is an equal one in training, which another check tells."""
    train, keys = set(hashes(subject, "train")), hashes(subject, split)
    return np.array([row < len(keys) and keys[row] is not None and keys[row] in train for row in rows], bool)


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
