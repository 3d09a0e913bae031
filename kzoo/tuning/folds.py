"""Cross-validation folds of a search, made of the training and validation rows. Test rows are in none of them."""

from dataclasses import replace

import numpy as np
from sklearn import model_selection

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.pooled import pooled, subset
from kzoo.data.stratified import divide
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError

# what reading has observed -> why the rows cannot be divided into folds
_WHOLE = {
    "in_order": "its rows are in order of time (split='time')",
    "validation_source": "its validation rows have a source of their own (validation=)",
    "grouped": "its rows belong to groups (group=)",
}


def why_no_folds(data: Dataset) -> str | None:
    """Return why rows cannot be divided into folds, as the end of a sentence; None if they can."""
    if data.problem.ordered:
        return "its rows are in order of time"
    return next((reason for name, reason in _WHOLE.items() if data.seen.get(name)), None)


def check_folds(folds: object, data: Dataset) -> None:
    """Check that the data can be divided into folds.

    Raises:
        KzooError: `folds` is not an integer of at least 2 or exceeds the rows of the smallest class, or the rows are
            ordered or grouped.
    """
    folds = checked_count("folds", folds, least=2)
    if (reason := why_no_folds(data)) is not None:
        raise KzooError(
            f"is not supported for {data.name}: {reason}. Use folds=None.",
            argument="folds",
            value=folds,
        )
    rows = pooled(data)
    classes = data.problem.classes_of(_labels(rows))
    limit = len(rows) if classes is None else int(np.bincount(classes).min())
    if folds > limit:
        unit = "rows" if classes is None else "rows of the smallest class"
        raise KzooError(
            f"must not exceed {limit}, the number of {unit}.", argument="folds", value=folds
        )


def fold_of(data: Dataset, number: int, folds: int, seed: int) -> Dataset:
    """Return one fold as the validation split and the other folds as the training split."""
    rows = pooled(data)
    fold_of_row = divide_into_folds(data, rows, folds, seed)
    train = np.flatnonzero(fold_of_row != number)
    validation = np.flatnonzero(fold_of_row == number)
    if not data.problem.separate_probabilities:
        train = train if rows.weight is None else train[rows.weight[train] > 0]
    return _with_fold(data, rows, train, validation)


def divide_into_folds(data: Dataset, rows: Split, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each row (N,), with the proportions of classes or labels in each fold."""
    y = _labels(rows)
    if data.problem.separate_probabilities:
        return divide(y, [1 / folds] * folds, np.random.default_rng(seed))
    classes = data.problem.classes_of(y)
    splitter = model_selection.KFold if classes is None else model_selection.StratifiedKFold
    fold_of_row = np.empty(len(rows), int)
    divided = splitter(folds, shuffle=True, random_state=seed).split(y, classes)
    for number, (_, judged) in enumerate(divided):
        fold_of_row[judged] = number
    return fold_of_row


def _with_fold(data: Dataset, rows: Split, train: np.ndarray, validation: np.ndarray) -> Dataset:
    return replace(data, train=subset(rows, train), validation=subset(rows, validation))


def _labels(rows: Split) -> np.ndarray:
    return np.asarray(rows.y if isinstance(rows.y, np.ndarray) else rows.y[np.arange(len(rows))])
