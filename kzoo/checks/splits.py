"""Checks across the splits: duplicates, rows that belong together, different class shares."""

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.checks.rows import enough_variety, hashes
from kzoo.checks.subject import class_name, read
from kzoo.kinds.text.tokenizer import UNKNOWN
from kzoo.utils.formatting import listed

_FEWEST = 3  # iris contains one row twice, and a test split may contain one of them by chance
_SHARE = 0.005
_FEWEST_ROWS, _MAX_SHARE_DIFFERENCE = 50, 0.2
_RUN = 8  # consecutive tokens that two texts do not share by chance; times n for ids of n-grams
# Runs of a text; share of them in the training texts that makes it a part of these; share of such texts.
_FEWEST_RUNS, _INSIDE, _SHARE_INSIDE = 3, 0.8, 0.05
_TEXTS, _MOST, _PIECE = 1_000, 150_000, 4_096  # texts sampled of other splits, training texts, and texts read at once


@check("data", "rows", "unordered")
def duplicates_across_splits(subject):
    """Find validation or test rows that are also training rows; windows of one series share values by design."""
    if len(subject.splits) < 2:
        return
    if hasattr(subject.data.train.x, "copies"):
        duplicates = _equal_files(subject)
    else:
        duplicates = _equal_rows(subject) if enough_variety(subject) else {}
    for split, (pairs, sampled) in duplicates.items():
        if len(pairs) >= _FEWEST and len(pairs) >= _SHARE * sampled:
            rows = listed(f"{row} (train row {train_row})" for row, train_row in pairs)
            yield warning(
                f"{len(pairs)} of {sampled} sampled {split} rows are also in the training split",
                where=f"{split}, rows {rows}",
                why="The network can memorise such rows, so the score is too optimistic.",
                fix="Remove the duplicates before splitting, or set a column with group=.",
            )


def _equal_rows(subject):
    train = {key: row for row, key in enumerate(hashes(subject, "train")) if key is not None}
    duplicates = {}
    for split in subject.splits:
        if split != "train":
            keys = hashes(subject, split)
            duplicates[split] = [(row, train[key]) for row, key in enumerate(keys) if key in train], len(keys)
    return duplicates


def _equal_files(subject):
    """Return files of a few hundred images of the other splits that equal training files."""
    train, duplicates = subject.data.train.x, {}
    for split, part in subject.splits.items():
        if split != "train" and hasattr(part.x, "copies"):
            rows = subject.some(split)
            duplicates[split] = list(part.x.copies(train, rows).items()), len(rows)
    return duplicates


@check("data", "seen", "unordered")
def rows_belong_together(subject):
    """Find a column, used or excluded, each of whose values has a single target: an id that many rows share."""
    ids = subject.seen.get("repeated")
    if not ids or subject.seen.get("grouped"):
        return
    name, values, rows = (ids[0][key] for key in ("name", "values", "rows"))
    target_word = "class" if "classes" in subject.facts else "target"
    also = f"; likewise {listed(repr(column['name']) for column in ids[1:])}" if ids[1:] else ""
    yield warning(
        f"All rows with the same value of {name!r} have the same {target_word}: {rows:,} rows with {values:,} "
        f"values{also}",
        where=f"column {name!r}",
        why="Rows of one person, device or recording are similar: if they are in both training and test data, the "
        "score is too optimistic for new ones.",
        fix=f"If such rows belong together, set group={name!r}: they stay in one split, and the column is excluded.",
    )


@check("data", "texts")
def texts_inside_others(subject):
    """Find validation or test texts that are parts of training texts, or contain them."""
    length = _RUN * (subject.data.preprocessing.get("ngrams") or 1)
    for split in subject.splits:
        if split == "train":
            continue
        rows = subject.some(split, _TEXTS)
        runs, valid = _runs(read(subject.splits[split].x, rows), length)
        long_enough = (valid.sum(axis=1) >= _FEWEST_RUNS) & ~_equal_to_training(subject, split, rows)
        split_runs = np.unique(runs[long_enough][valid[long_enough]])
        if not len(split_runs):
            continue
        is_trained = np.zeros(len(split_runs), bool)
        x = subject.splits["train"].x
        for start in range(0, min(len(x), _MOST), _PIECE):
            train_runs, is_run = _runs(read(x, slice(start, start + _PIECE)), length)
            train_runs = train_runs[is_run]
            indices = np.searchsorted(split_runs, train_runs).clip(max=len(split_runs) - 1)
            is_trained[indices[split_runs[indices] == train_runs]] = True
        trained = valid & np.isin(runs, split_runs[is_trained])
        inside = long_enough & (trained.sum(axis=1) > _INSIDE * valid.sum(axis=1))
        if inside.sum() >= max(_FEWEST, _SHARE_INSIDE * long_enough.sum()):
            yield warning(
                f"{inside.sum()} of {long_enough.sum()} sampled {split} texts are part of training texts or contain "
                "one",
                where=f"{split}, rows {listed(rows[inside])}",
                why="The network can memorise such texts, so the score is too optimistic, also for choosing models.",
                fix="Add a column with the origin of each text, and set it with group=: texts stay in one split.",
            )


def _runs(ids, length):
    """Return hashes (N, T') of all runs of `length` tokens, and whether they contain no unknown token."""
    ids = ids[:, : np.flatnonzero(ids.any(axis=0)).max(initial=-1) + 1]
    factors = np.random.default_rng(0).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    count = max(ids.shape[1] - length + 1, 0)
    runs, valid = np.zeros((len(ids), count), np.uint64), np.ones((len(ids), count), bool)
    for i, factor in enumerate(factors if count else ()):
        part = ids[:, i : i + count]
        runs += part.astype(np.uint64) * factor
        valid &= part > UNKNOWN
    return runs, valid


def _equal_to_training(subject, split, rows):
    """Return which texts are equal to a training text; `duplicates_across_splits` reports these."""
    train, keys = set(hashes(subject, "train")), hashes(subject, split)
    return np.array([row < len(keys) and keys[row] is not None and keys[row] in train for row in rows], bool)


@check("data", "labels", "classes")
def class_shares_differ(subject):
    """Find splits whose class shares differ from those in training."""
    train = _shares(subject.labels["train"], subject.classes)
    for split, labels in subject.labels.items():
        if split == "train" or len(labels) < _FEWEST_ROWS or train is None:
            continue
        other = _shares(labels, subject.classes)
        if (
            other is None
            or np.abs(other - train).sum() / 2 < _MAX_SHARE_DIFFERENCE + (subject.classes / len(labels)) ** 0.5
        ):
            continue
        largest_change = int(np.abs(other - train).argmax())
        yield warning(
            f"Class {class_name(subject.data, largest_change)} is {train[largest_change]:.0%} of the training rows and "
            f"{other[largest_change]:.0%} of the {split} rows",
            where=f"{split} split",
            why="The score is for other class shares than those trained on. Rows sorted by class cause this.",
            fix="Shuffle the rows before splitting, or let kzoo split them.",
        )


def _shares(labels, classes):
    labels = np.asarray(labels)
    labels = labels[np.isin(labels, np.arange(classes))].astype(int)
    return np.bincount(labels, minlength=classes) / len(labels) if len(labels) else None
