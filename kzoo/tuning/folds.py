"""Cross-validation folds of a search, made of the training and validation rows. Test rows are in none of them."""

from dataclasses import replace

import numpy as np
from sklearn import model_selection

from kzoo.dataset.dataset import Dataset, Split
from kzoo.dataset.splits import fingerprint
from kzoo.dataset.stratified import divide
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError


class Rows:
    """Selected rows of the inputs or targets of one or two splits, read on demand.

    Args:
        parts: arrays, or objects with `__len__` and `__getitem__(indices) -> array`.
        rows: indices into the concatenated parts, in order.
    """

    def __init__(self, parts, rows):
        self.parts, self.rows = list(parts), np.asarray(rows)
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, indices):
        rows = self.rows[np.asarray(indices)]
        part_numbers = np.searchsorted(self.starts, rows, side="right") - 1
        out = None
        for i, part in enumerate(self.parts):
            mask = part_numbers == i
            if not mask.any():
                continue
            values = np.asarray(part[rows[mask] - self.starts[i]])
            if out is None:
                out = np.empty((len(rows), *values.shape[1:]), values.dtype)
            out[mask] = values
        return out


def pooled(data: Dataset) -> Split:
    """Return the training and validation rows as one split."""
    parts = [part for part in (data.train, data.validation) if part is not None]
    if len(parts) == 1:
        return parts[0]
    rows = None if any(p.rows is None for p in parts) else np.concatenate([p.rows for p in parts])
    weight = None if any(p.weight is None for p in parts) else np.concatenate([p.weight for p in parts])
    return Split(x=_concatenate([p.x for p in parts]), y=_concatenate([p.y for p in parts]), rows=rows, weight=weight)


def with_all_rows(data: Dataset) -> Dataset:
    """Return the data with the validation rows added to the training rows."""
    renamed = fingerprint(data.fingerprint, "train+validation")
    rows = pooled(data)
    if rows.weight is not None and not (rows.weight > 0).all():  # rows of weight 0 are not trained on
        rows = _subset(rows, np.flatnonzero(rows.weight > 0))
    return replace(data, train=rows, validation=None, fingerprint=renamed)


def check_folds(folds, data: Dataset):
    """Check that the data can be divided into folds.

    Raises:
        KzooError: `folds` is not an integer of at least 2 or exceeds the rows of the smallest class, or the rows are
            ordered or grouped.
    """
    checked_count("folds", folds, least=2)
    if "ordered" in data.problem.facts:
        raise KzooError(
            f"folds={folds} is not supported for {data.name}: its rows have an order, and folds would train on "
            f"later rows. Use folds=None."
        )
    if data.seen.get("in_order"):
        raise KzooError("folds= would train on rows after those of split='time'. Use folds=None, or omit split=.")
    if data.seen.get("validation_source"):
        raise KzooError("folds= would mix the rows of validation= with those of training. Use folds=None.")
    if data.seen.get("grouped"):
        raise KzooError("folds= would split the groups of group=. Use folds=None, or omit group=.")
    rows = pooled(data)
    limit = int(np.bincount(_labels(rows)).min()) if "classes" in data.problem.facts else len(rows)
    if folds > limit:
        unit = "rows of the smallest class" if "classes" in data.problem.facts else "rows"
        raise KzooError(f"folds={folds} must not exceed {limit}, the number of {unit}.")


def fold_of(data: Dataset, number, folds, seed) -> Dataset:
    """Return one fold as the validation split and the other folds as the training split."""
    rows = pooled(data)
    fold_of_row = divide_into_folds(data, rows, folds, seed)
    train, validation = np.flatnonzero(fold_of_row != number), np.flatnonzero(fold_of_row == number)
    if "labels" not in data.problem.facts:
        train = train if rows.weight is None else train[rows.weight[train] > 0]
    return _with_fold(data, rows, train, validation)


def divide_into_folds(data: Dataset, rows: Split, folds, seed) -> np.ndarray:
    """Return the fold of each row (N,), with the proportions of classes or labels in each fold."""
    if "labels" in data.problem.facts:
        return divide(_labels(rows), [1 / folds] * folds, np.random.default_rng(seed))
    splitter = model_selection.StratifiedKFold if "classes" in data.problem.facts else model_selection.KFold
    labels = _labels(rows) if "classes" in data.problem.facts else None
    fold_of_row = np.empty(len(rows), int)
    for number, (_, judged) in enumerate(
        splitter(folds, shuffle=True, random_state=seed).split(
            labels if labels is not None else np.zeros(len(rows)), labels
        )
    ):
        fold_of_row[judged] = number
    return fold_of_row


def _with_fold(data, rows, train, validation):
    return replace(data, train=_subset(rows, train), validation=_subset(rows, validation))


def _labels(rows):
    return np.asarray(rows.y if isinstance(rows.y, np.ndarray) else rows.y[np.arange(len(rows))])


def _subset(rows, indices):
    weight = None if rows.weight is None else rows.weight[indices]
    return Split(x=_take_rows(rows.x, indices), y=_take_rows(rows.y, indices), weight=weight)


def _take_rows(rows, indices):
    return rows[indices] if isinstance(rows, np.ndarray) else Rows([rows], indices)


def _concatenate(parts):
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    return Rows(parts, np.arange(sum(len(part) for part in parts)))
