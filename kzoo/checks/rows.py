"""Hashes of rows, by which duplicates are found without comparing all pairs."""

import numpy as np
from numpy.typing import ArrayLike

from kzoo.checks.subject import Subject, read

_FEWEST_TOKENS = 5  # shorter texts are often equal by chance: "thank you"
_MOST = 150_000  # rows of a split that are hashed, the first ones
_PIECE = 4096  # rows read at once


def hashes(subject: Subject, split: str) -> list[int | None]:
    """Return a hash for each row of a split, equal for equal rows; None for rows that may be equal by chance.

    Only the first rows of a very large split are hashed. For files, which have their own comparison, the list is empty.
    """
    if split not in subject.hashes:
        x = subject.splits[split].x
        if hasattr(x, "copies"):  # compares files itself
            return []
        row_hashes = subject.hashes[split] = []
        for start in range(0, min(len(x), _MOST), _PIECE):
            rows = np.ascontiguousarray(read(x, slice(start, min(start + _PIECE, _MOST))))
            long_enough = (
                (rows != 0).sum(axis=1) >= _FEWEST_TOKENS if subject.tokens else [True] * len(rows)
            )
            row_hashes += [
                hash(row.tobytes()) if use else None
                for row, use in zip(rows, long_enough, strict=True)
            ]
    return subject.hashes[split]


def equal_rows(subject: Subject, split: str) -> tuple[list[tuple[int, int]], int]:
    """Return (row, training row) of equal rows of a split and the training split, and how many rows were compared.

    Of the training split itself, the second row is the first of the equal ones. Of files, a few hundred are compared.
    """
    x = subject.splits[split].x
    train = subject.data.train.x
    if hasattr(x, "copies") and hasattr(train, "copies"):
        rows = subject.some(split)
        pairs = x.copies(train, rows).items()
        compared = len(rows)
    else:
        first = dict[int | None, int]()
        keys = hashes(subject, split)
        for row, key in enumerate(hashes(subject, "train")):
            first.setdefault(key, row)
        pairs = (
            (row, first[key]) for row, key in enumerate(keys) if key is not None and key in first
        )
        compared = len(keys)
    return [(row, other) for row, other in pairs if split != "train" or row != other], compared


def contradict(subject: Subject, split: str, pair: tuple[int, int]) -> bool:
    """Return whether a row of a split and a training row have different classes."""
    return (
        subject.labels is not None
        and subject.labels[split][pair[0]] != subject.labels["train"][pair[1]]
    )


def enough_variety(subject: Subject) -> bool:
    """Return whether rows vary so much that duplicates are unlikely by chance.

    By the birthday bound, n rows with H bits of entropy have less than one pair of equal rows by chance if H > 2 log2
    n. The entropies of the columns are added up, as if the columns were independent.
    """
    if subject.columns is None:
        return True
    _, x = subject.sample
    bits = 0.0
    for column in x.T:
        shares = np.unique(column, return_counts=True)[1] / len(column)
        bits -= float((shares * np.log2(shares)).sum())
    return bits > 2 * np.log2(max(len(x), 2))


def row_keys(*columns: ArrayLike) -> np.ndarray:
    """Return a hash of each row as uint64 (N,), equal for equal rows of all arrays (N, ...)."""
    arrays = [np.ascontiguousarray(array) for array in columns]
    hashed = [
        hash(tuple(array[row].tobytes() for array in arrays)) for row in range(len(arrays[0]))
    ]
    return np.array(hashed, np.int64).view(np.uint64)
