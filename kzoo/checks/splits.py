"""Checks across the splits: duplicates, rows that belong together, different class shares."""

from collections.abc import Iterator

import numpy as np

from kzoo.checks.finding import Finding, Needed, check, warning
from kzoo.checks.rows import contradict, enough_variety, equal_rows, hashes, row_keys
from kzoo.checks.subject import Subject, class_name, read
from kzoo.data.dataset import Split
from kzoo.data.store.windows import series_of
from kzoo.inference.kinds.text.tokenizer import UNKNOWN
from kzoo.utils.formatting import listed, percent

_FEWEST = 3  # iris contains one row twice, and a test split may contain one of them by chance
_SHARE = 0.005
_FEWEST_ROWS = 50
_MAX_SHARE_DIFFERENCE = 0.2
# runs twice the shortest with this share of distinct ones
_RUN_LENGTHS = (1, 2, 4, 8, 16, 32)
_DISTINCT = 0.99
_RUN = 8  # consecutive tokens that two texts do not share by chance; times n for ids of n-grams
# Runs of a text; share of them in the training texts that makes it a part of these; share of such texts.
_FEWEST_RUNS = 3
_INSIDE = 0.8
_SHARE_INSIDE = 0.05
# texts sampled of other splits, training texts, and texts read at once
_TEXTS, _MOST, _PIECE = 1_000, 150_000, 4_096


@check("data", "rows", "unordered")
def duplicates_across_splits(subject: Subject) -> Iterator[Finding]:
    """Find validation or test rows that are also training rows; windows of one series share values by design."""
    if len(subject.splits) < 2:
        return
    varied = enough_variety(subject)
    duplicates = {}
    for split in subject.splits:
        if split == "train":
            continue
        if varied:  # `conflicting_labels` reports those with different labels
            pairs, sampled = equal_rows(subject, split)
            duplicates[split] = (
                [pair for pair in pairs if not contradict(subject, split, pair)],
                sampled,
            )
        is_files = hasattr(subject.data.train.x, "copies")
        if (
            _is_second_source(subject, split)
            and not is_files
            and (not varied or not all(hashes(subject, split)))
        ):
            duplicates[split] = _equal_runs(subject, split)
    for split, (pairs, sampled) in duplicates.items():
        if len(pairs) >= _FEWEST and len(pairs) >= _SHARE * sampled:
            rows = listed(f"{row} (train row {train_row})" for row, train_row in pairs)
            own = _is_second_source(subject, split)
            yield warning(
                f"{len(pairs)} of {sampled} sampled {split} rows ({percent(len(pairs) / sampled)}) are also in the "
                "training split",
                where=f"{split}, rows {rows}",
                why="The network can memorise such rows, so the score is too optimistic.",
                fix=f"Set {split}= to a source with other rows, or leave it out: rows of the training source are drawn."
                if own
                else "Remove the duplicates before splitting"
                + (", or set a column with group=." if subject.seen.get("read") else "."),
            )


@check("data", "rows", "ordered")
def second_series_overlaps(subject: Subject) -> Iterator[Finding]:
    """Find validation or test series, or long texts, that repeat the training part."""
    for split, part in subject.splits.items():
        if not _is_second_source(subject, split):
            continue
        train, other = (_covered(values.x) for values in (subject.data.train, part))
        if train is None or other is None:
            continue
        pairs = _matches(row_keys(train), row_keys(other))
        # A series may begin with the steps before its first forecast.
        repeated = len(pairs) - (part.x.shape[1] if len(part.x.shape) > 1 else 0)
        if repeated >= max(_FEWEST, _SHARE_INSIDE * len(other)):
            yield warning(
                f"{len(pairs)} of {len(other)} steps of the {split} source ({percent(len(pairs) / len(other))}) are "
                "also in the training split",
                where=f"{split}, steps {listed(f'{row} (train step {train_row})' for row, train_row in pairs)}",
                why="The network can memorise them, so the score is too optimistic.",
                fix=f"Set {split}= to a source of other times or texts, or leave it out: the last part of the training "
                "source is taken.",
            )


def _is_second_source(subject: Subject, split: str) -> bool:
    """Return whether a split was read from a source of its own."""
    return bool(subject.seen.get(f"{split}_source"))


def _covered(x: Needed) -> np.ndarray | None:
    """Return the steps that windows cover, at most 150,000; None for other inputs or if they are in files."""
    return None if series_of(x) is None or not len(x) else np.asarray(x.covered()[:_MOST])


def _equal_runs(subject: Subject, split: str) -> tuple[list[tuple[int, int]], int]:
    """Return (pairs of equal rows, number of rows) of a second source, found by runs of consecutive rows.

    Single rows of few different values, and short texts, are equal by chance. In the order of the source they are not.
    """
    # train first
    parts = [part for name, part in subject.splits.items() if not _is_second_source(subject, name)]
    if any(part.rows is None for part in parts):
        parts = parts[:1]
    keys = [_keys(part) for part in parts]
    numbers = np.concatenate(
        [np.arange(len(keys[0])), *(np.full(len(part), -1) for part in keys[1:])]
    )
    order = np.arange(len(numbers))
    if parts[0].rows is not None:
        order = np.argsort(
            np.concatenate([np.asarray(part.rows)[:_MOST] for part in parts]), kind="stable"
        )
    keys_of_split = _keys(subject.splits[split])
    pairs = _matches(np.concatenate(keys)[order], keys_of_split)
    numbered = [(row, int(numbers[order[source_row]])) for row, source_row in pairs]
    return [pair for pair in numbered if pair[1] >= 0], len(keys_of_split)


def _keys(part: Split) -> np.ndarray:
    """Return hashes of the first rows of a split, inputs and target."""
    return row_keys(read(part.x, slice(0, _MOST)), read(part.y, slice(0, _MOST)))


def _matches(keys: np.ndarray, other: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs (row of the other source, row of the source) in equal runs that are too long to be equal by chance.

    Args:
        keys: (N,) hashes of the rows of the source, in its order.
        other: (M,) those of the other source.
    """
    for length in _RUN_LENGTHS:
        runs = _hashes_of_runs(keys, length)
        if len(np.unique(runs)) >= _DISTINCT * len(runs):
            break
    else:
        return []
    length *= 2  # those that differ within one source may still be equal in two
    runs = _hashes_of_runs(keys, length)
    other_runs = _hashes_of_runs(other, length)
    distinct, first = np.unique(runs, return_index=True)
    pairs: dict[int, int] = {}
    if len(distinct):
        places = np.searchsorted(distinct, other_runs).clip(max=len(distinct) - 1)
        for start in np.flatnonzero(distinct[places] == other_runs):
            for i in range(length):
                pairs.setdefault(int(start) + i, int(first[places[start]]) + i)
    return sorted(pairs.items())


def _hashes_of_runs(keys: np.ndarray, length: int) -> np.ndarray:
    """Return a hash of each run of `length` consecutive rows."""
    factors = np.random.default_rng(0).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    count = max(len(keys) - length + 1, 0)
    return sum(
        (keys[i : i + count] * factor for i, factor in enumerate(factors)),
        np.zeros(count, np.uint64),
    )


@check("data", "seen", "unordered")
def rows_belong_together(subject: Subject) -> Iterator[Finding]:
    """Find a column, used or excluded, each of whose values has a single target: an id that many rows share."""
    ids = subject.seen.get("repeated")
    if not ids or subject.seen.get("grouped"):
        return
    name, values, rows = (ids[0][key] for key in ("name", "values", "rows"))
    target_word = "target" if subject.labels is None else "class"
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
def texts_inside_others(subject: Subject) -> Iterator[Finding]:
    """Find validation or test texts that are parts of training texts, or contain them."""
    length = _RUN * (subject.data.preprocessing.get("ngrams") or 1)
    for split in subject.splits:
        if split == "train":
            continue
        rows = subject.some(split, _TEXTS)
        runs, valid = _runs(read(subject.splits[split].x, rows), length)
        long_enough = (valid.sum(axis=1) >= _FEWEST_RUNS) & ~_equal_to_training(
            subject, split, rows
        )
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


def _runs(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Return hashes (N, T') of all runs of `length` tokens, and whether they contain no unknown token."""
    ids = ids[:, : np.flatnonzero(ids.any(axis=0)).max(initial=-1) + 1]
    factors = np.random.default_rng(0).integers(1, 2**63, length, np.uint64) | np.uint64(1)
    count = max(ids.shape[1] - length + 1, 0)
    runs = np.zeros((len(ids), count), np.uint64)
    valid = np.ones((len(ids), count), bool)
    for i, factor in enumerate(factors if count else ()):
        part = ids[:, i : i + count]
        runs += part.astype(np.uint64) * factor
        valid &= part > UNKNOWN
    return runs, valid


def _equal_to_training(subject: Subject, split: str, rows: np.ndarray) -> np.ndarray:
    """Return which texts are equal to a training text; `duplicates_across_splits` reports these."""
    train = set(hashes(subject, "train"))
    keys = hashes(subject, split)
    return np.array(
        [row < len(keys) and keys[row] is not None and keys[row] in train for row in rows], bool
    )


@check("data", "labels", "classes")
def class_shares_differ(subject: Subject) -> Iterator[Finding]:
    """Find splits whose class shares differ from those in training."""
    train = _shares(subject.labels["train"], subject.classes)
    for split, labels in subject.labels.items():
        if split == "train" or len(labels) < _FEWEST_ROWS or train is None:
            continue
        other = _shares(labels, subject.classes)
        if (
            other is None
            or np.abs(other - train).sum() / 2
            < _MAX_SHARE_DIFFERENCE + (subject.classes / len(labels)) ** 0.5
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


def _shares(labels: np.ndarray, classes: int) -> np.ndarray | None:
    labels = np.asarray(labels)
    labels = labels[np.isin(labels, np.arange(classes))].astype(int)
    return np.bincount(labels, minlength=classes) / len(labels) if len(labels) else None
