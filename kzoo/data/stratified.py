"""Division of rows with several labels each, so that every part has its share of each label. NumPy only.

A variant of iterative stratification (Sechidis et al. 2011, doi:10.1007/978-3-642-23808-6_10): the rows of the label
with the fewest rows left are divided first, in proportion to what each part still lacks of it.
"""

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def divide(
    y: np.ndarray, shares: "ArrayLike", rng: np.random.Generator, groups: np.ndarray | None = None
) -> np.ndarray:
    """Return the part of each row (N,), 0 to len(shares) - 1.

    Args:
        y: (N, labels) 1 where a row has a label, 0 where not, NaN where that is unknown. Of a label that most rows
            have, the rows without it are divided evenly.
        shares: of the rows in each part; their sum is 1.
        rng: NumPy's random generator; the same state gives the same division.
        groups: (N,) rows of a group stay in one part; None without groups.
    """
    with np.errstate(invalid="ignore"):
        has, lacks = y == 1, y == 0
    marks = np.where(has.sum(axis=0) <= lacks.sum(axis=0), has, lacks)
    if groups is None:
        return _divide_rows(marks, np.asarray(shares, float), rng)
    _, group_of_row = np.unique(groups, return_inverse=True)
    group_of_row = group_of_row.reshape(-1)
    counts = np.zeros((group_of_row.max() + 1, marks.shape[1] + 1))
    np.add.at(counts, group_of_row, np.column_stack([marks, np.ones(len(marks))]))
    return _divide_groups(counts, np.asarray(shares, float), rng)[group_of_row]


def _divide_rows(marks: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each row of a boolean matrix (N, labels)."""
    part_of_row = np.full(len(marks), -1)
    wanted = shares[:, None] * marks.sum(axis=0)  # (parts, labels): rows that a part still lacks
    wanted_rows = shares * len(marks)
    order = rng.permutation(len(marks))
    combinations = np.unique(marks, axis=0, return_inverse=True)[1].reshape(-1)
    while True:
        left = (part_of_row < 0)[:, None] & marks
        counts = left.sum(axis=0)
        if not counts.any():
            break
        label = int(np.where(counts > 0, counts, len(marks) + 1).argmin())
        _assign(left[:, label], wanted[:, label], order, combinations, part_of_row)
        for part in range(len(shares)):
            new = left[:, label] & (part_of_row == part)
            wanted[part] -= marks[new].sum(axis=0)
            wanted_rows[part] -= new.sum()
    _assign(part_of_row < 0, wanted_rows, order, combinations, part_of_row)
    return part_of_row


def _assign(
    mask: np.ndarray,
    wanted: np.ndarray,
    order: np.ndarray,
    combinations: np.ndarray,
    part_of_row: np.ndarray,
) -> None:
    """Assign the masked rows in proportion to what each part lacks, rows with the same labels to different parts."""
    rows = order[mask[order]]
    rows = rows[np.argsort(combinations[rows], kind="stable")]
    wanted = np.maximum(wanted, 0)
    wanted = wanted if wanted.any() else np.ones_like(wanted)
    quota = len(rows) * wanted / wanted.sum()
    ends = np.round(quota).astype(int)
    ends[wanted.argmax()] += len(rows) - ends.sum()  # rounding
    if (ends < 0).any():
        ends = np.bincount([int(wanted.argmax())] * len(rows), minlength=len(wanted))
    # The k-th of a part's rows is at (k + 1/2) / its number of rows, so that parts alternate.
    at = np.concatenate([(np.arange(count) + 0.5) / max(count, 1) for count in ends])
    part_of_row[rows] = np.repeat(np.arange(len(ends)), ends)[np.argsort(at, kind="stable")]


def _divide_groups(counts: np.ndarray, shares: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return the part of each group.

    Args:
        counts: (groups, labels + 1) rows of each group with each label, and the number of its rows.
        shares: of the rows in each part.
        rng: for ties.
    """
    part_of_group = np.full(len(counts), -1)
    totals = counts.sum(axis=0)
    wanted = shares[:, None] * totals
    order = rng.permutation(len(counts))
    labels = np.argsort(totals[:-1], kind="stable").tolist()
    for label in [*labels, len(totals) - 1]:
        groups = order[(part_of_group[order] < 0) & (counts[order, label] > 0)]
        for group in groups[np.argsort(-counts[groups, label], kind="stable")].tolist():
            part = int(np.lexsort((-wanted[:, -1], -wanted[:, label]))[0])
            part_of_group[group] = part
            wanted[part] -= counts[group]
    for part in np.flatnonzero(shares > 0).tolist():  # no part may stay empty
        if not (part_of_group == part).any():
            sizes = np.bincount(part_of_group, minlength=len(shares))
            donors = np.flatnonzero(part_of_group == sizes.argmax())
            part_of_group[donors[counts[donors, -1].argmin()]] = part
    return part_of_group
