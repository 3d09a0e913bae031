"""Columns that contain the same information, by rank correlation and Cramer's V. NumPy only."""

from collections.abc import Sequence

import numpy as np

from kzoo.problems.kinds import InputPart

RELATED = 0.8  # columns that are associated at least this much are permuted together
_BINS = 10  # of a column of numbers beside a category
_UNORDERED = ("category",)


def related_groups(
    x: np.ndarray, parts: Sequence[InputPart], level: float = RELATED
) -> list[list[int]]:
    """Return groups of columns such that any two columns of a group are associated by at least `level`.

    The most associated groups are merged first (complete linkage). Texts and steps are groups of their own.

    Args:
        x: (N, F) flattened inputs.
        parts: the columns.
        level: the least association within a group.
    """
    strength = association_matrix(x, parts)
    np.fill_diagonal(strength, 0)
    groups = [[index] for index in range(len(parts))]
    while len(groups) > 1:
        first, second = np.unravel_index(strength.argmax(), strength.shape)
        if strength[first, second] < level:
            break
        first, second = min(first, second), max(first, second)
        groups[first] = sorted(groups[first] + groups.pop(second))
        least = np.minimum(strength[first], strength[second])
        strength[first], strength[:, first] = least, least
        strength[first, first] = 0
        strength = np.delete(np.delete(strength, second, 0), second, 1)
    return groups


def association_matrix(x: np.ndarray, parts: Sequence[InputPart]) -> np.ndarray:
    """Return the association of each pair of columns (C, C), between 0 and 1.

    Of two columns of numbers or dates it is the absolute rank correlation (Spearman), else Cramer's V with the
    correction of its bias (doi:10.1016/j.jkss.2012.10.002), with numbers in ten bins of equally many rows. A constant
    column is not associated.

    Args:
        x: (N, F) flattened inputs.
        parts: the columns.
    """
    count = len(parts)
    strength = np.zeros((count, count))
    ranks = {}
    codes = {}
    for index, part in enumerate(parts):
        values = x[:, part.features]
        if part.type in ("number", "date"):
            ranks[index] = _ranks(values)
        elif part.type in _UNORDERED:
            codes[index] = np.unique(values[:, 0], return_inverse=True)[1]
    if ranks:
        indices = list(ranks)
        matrix = np.stack([ranks[index] - ranks[index].mean() for index in indices])
        norms = np.linalg.norm(matrix, axis=1)
        matrix[norms > 0] /= norms[norms > 0, None]
        strength[np.ix_(indices, indices)] = np.abs(matrix @ matrix.T)
    if codes:
        codes |= {index: _binned(rank) for index, rank in ranks.items()}
    for first in range(count):
        for second in range(first):
            if first in codes and second in codes and not (first in ranks and second in ranks):
                strength[first, second] = strength[second, first] = cramers_v(
                    codes[first], codes[second]
                )
    return strength


def _ranks(values: np.ndarray) -> np.ndarray:
    """Return the rank of each row (N,) in the order of its first column, then its second; equal rows share the mean."""
    _, inverse, counts = np.unique(values, axis=0, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]


def _binned(ranks: np.ndarray) -> np.ndarray:
    return np.unique(((ranks - 0.5) * _BINS / len(ranks)).astype(int), return_inverse=True)[1]


def cramers_v(first: np.ndarray, second: np.ndarray) -> float:
    """Return the bias-corrected Cramer's V of two columns of codes 0..n-1 (N,)."""
    rows = first.max() + 1
    columns = second.max() + 1
    total = len(first)
    counts = (
        np.bincount(first * columns + second, minlength=rows * columns)
        .reshape(rows, columns)
        .astype(float)
    )
    expected = counts.sum(1, keepdims=True) * counts.sum(0, keepdims=True) / total
    phi = ((counts - expected) ** 2 / expected).sum() / total
    if total < 2:
        return 0.0
    phi = max(0.0, phi - (rows - 1) * (columns - 1) / (total - 1))
    rows = rows - (rows - 1) ** 2 / (total - 1)
    columns = columns - (columns - 1) ** 2 / (total - 1)
    smaller = min(rows, columns) - 1
    return float(np.sqrt(phi / smaller)) if smaller > 0 else 0.0
