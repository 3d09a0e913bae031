"""Rows as one number each, so that equal ones are found without comparing each with each."""

import numpy as np

from kzoo.checks.subject import read

_FEWEST_TOKENS = 5  # shorter texts are equal by chance: "thank you"
_MOST = 150_000  # rows of a split that are hashed
_PIECE = 4096  # of them at once, where they are read from a disk


def hashes(subject, split):
    """Return a number for each row of a split, equal for equal rows; None for what is equal by chance.

    Of the first rows where there are very many, and of none where they are files.
    """
    if split not in subject.kept:
        x = subject.splits[split].x
        if hasattr(x, "copies"):  # which compares files
            return []
        found = subject.kept[split] = []
        for start in range(0, min(len(x), _MOST), _PIECE):
            rows = np.ascontiguousarray(read(x, slice(start, min(start + _PIECE, _MOST))))
            enough = (rows != 0).sum(axis=1) >= _FEWEST_TOKENS if subject.tokens else [True] * len(rows)
            found += [hash(row.tobytes()) if real else None for row, real in zip(rows, enough, strict=True)]
    return subject.kept[split]


def enough_variety(subject):
    """Say whether rows are so varied that two equal ones are no accident.

    By the birthday bound: n rows of H bits of entropy make less than one pair of equals for H > 2 log2 n. The bits
    of the columns are added up, as if no column said anything about another.
    """
    if subject.columns is None:
        return True
    _, x = subject.sample
    bits = 0.0
    for column in x.T:
        shares = np.unique(column, return_counts=True)[1] / len(column)
        bits -= float((shares * np.log2(shares)).sum())
    return bits > 2 * np.log2(max(len(x), 2))
