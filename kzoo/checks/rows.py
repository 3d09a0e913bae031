"""Rows as one number each, so that equal ones are found without comparing each with each."""

import numpy as np

from kzoo.checks.subject import read

_FEWEST_TOKENS = 5  # shorter texts are equal by chance: "thank you"
_MOST = 150_000  # rows of a split that are hashed


def hashes(subject, x):
    """Return a number for each row of raw inputs, equal for equal rows; None for what is equal by chance."""
    found = [hash(row.tobytes()) for row in np.ascontiguousarray(x)]
    if subject.tokens:
        enough = (x != 0).sum(axis=1) >= _FEWEST_TOKENS
        found = [key if real else None for key, real in zip(found, enough, strict=True)]
    return found


def split_hashes(subject, name):
    """Return (places, numbers) of the rows of a split, of the first ones where there are very many."""
    count = min(len(subject.splits[name]), _MOST)
    return np.arange(count), hashes(subject, read(subject.splits[name].x, slice(0, count)))


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
