"""Checks of rows with several labels: rare labels, labels that all rows have, equal labels, columns that repeat one."""

from collections.abc import Iterator

import numpy as np

from kzoo.checks.finding import Finding, check, warning
from kzoo.checks.new_data import NewData
from kzoo.checks.subject import Subject, read
from kzoo.utils.formatting import listed, plural

_FEW = 10  # training rows with a label
_NAMED = 8
_MOST_ROWS = 20_000
_SAME = 0.995  # correlation of a column with a label
_FEWEST_NEW = 50  # rows, and difference of the share of a label
_MOVED = 0.1


@check("data", "label_rows")
def label_rare(subject: Subject) -> Iterator[Finding]:
    """Find labels that few training rows have."""
    counts = _counts(subject.label_rows["train"])
    few = np.flatnonzero(counts < min(_FEW, len(subject.data.train) / 20))
    if len(few):
        names = listed((f"{_name(subject, number)} ({counts[number]})" for number in few), _NAMED)
        yield warning(
            f"{plural(len(few), 'label')} of {len(counts)} {'has' if len(few) == 1 else 'have'} fewer than {_FEW} "
            f"training rows: {names}",
            where="train split",
            why="A network hardly learns them and their scores say little, but each counts fully in the mean F1.",
            fix="Add rows with these labels, or leave the labels out.",
        )


@check("data", "label_rows")
def label_always(subject: Subject) -> Iterator[Finding]:
    """Find labels that all training rows have."""
    y = subject.label_rows["train"]
    known = ~np.isnan(y)
    always = np.flatnonzero(known.any(axis=0) & ((y == 1) | ~known).all(axis=0))
    if len(always):
        yield warning(
            f"All training rows have {listed((_name(subject, number) for number in always), _NAMED)}",
            where="train split",
            why="There is nothing to learn about such a label, and it makes the mean F1 larger.",
            fix="Leave these labels out.",
        )


@check("data", "label_rows")
def labels_equal(subject: Subject) -> Iterator[Finding]:
    """Find labels that the same training rows have."""
    y = subject.label_rows["train"]
    first: dict[bytes, int] = {}
    pairs = []
    for number, column in enumerate(y.T):
        same = first.setdefault(np.ascontiguousarray(column).tobytes(), number)
        if same != number and np.nansum(column):
            pairs.append(f"{_name(subject, same)} and {_name(subject, number)}")
    if pairs:
        yield warning(
            f"Labels are the same in all training rows: {listed(pairs, _NAMED)}",
            where="train split",
            why="They count several times in the loss and in the mean F1.",
            fix="Leave the repeated labels out.",
        )


@check("data", "label_rows", "columns")
def column_gives_label_away(subject: Subject) -> Iterator[Finding]:
    """Find columns that are the same as a label."""
    rows = subject.some(most=_MOST_ROWS)
    x = np.nan_to_num(
        read(subject.data.train.x, rows).astype(np.float64), nan=0, posinf=0, neginf=0
    )
    for number, column in enumerate(subject.label_rows["train"][rows].T):
        known = ~np.isnan(column)
        if np.unique(column[known]).size < 2:
            continue
        a = x[known] - x[known].mean(axis=0)
        b = column[known] - column[known].mean()
        with np.errstate(invalid="ignore", divide="ignore"):
            correlation = np.abs(a.T @ b) / np.sqrt((a**2).sum(axis=0) * (b**2).sum())
        for index in np.flatnonzero(np.nan_to_num(correlation) >= _SAME):
            yield warning(
                f"Column {subject.columns[index]!r} is the same as the label {_name(subject, number)}",
                where=f"train, column {subject.columns[index]!r}",
                why="A column that is known only together with the labels makes scores too optimistic.",
                fix="If it is not known before the labels are, exclude it with drop=; otherwise ignore this warning.",
            )


@check("new", "known", "label_rows")
def label_shares_moved(new: NewData) -> Iterator[Finding]:
    """Find labels whose share differs from that in training."""
    y = new.label_rows
    old_shares = np.array(new.known.get("labels") or ())
    if len(y) < _FEWEST_NEW or len(old_shares) != y.shape[1]:
        return
    known = (~np.isnan(y)).sum(axis=0)
    shares = np.where(known > 0, np.nansum(y, axis=0) / np.maximum(known, 1), old_shares)
    allowed = _MOVED + 2 * np.sqrt(old_shares * (1 - old_shares) / np.maximum(known, 1))
    moved = np.flatnonzero(np.abs(shares - old_shares) > allowed)
    if len(moved):
        number = int(moved[np.abs(shares - old_shares)[moved].argmax()])
        yield warning(
            f"Label {new.class_names[number]!r} is on {shares[number]:.0%} of the new rows, was on "
            f"{old_shares[number]:.0%}",
            where="new data",
            why="Thresholds are fitted to the old shares, and scores on old and new data are not comparable.",
            fix="Retrain with new rows.",
        )


def _counts(y: np.ndarray) -> np.ndarray:
    return (y == 1).sum(axis=0)


def _name(subject: Subject, number: int | np.intp) -> str:
    names = subject.data.class_names
    return repr(names[number]) if number < len(names) else str(number)
