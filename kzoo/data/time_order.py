"""Splits in order of time: the last rows are the test split, those before them the validation split."""

import numpy as np
from numpy.typing import ArrayLike

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural

_OVERSIZE = 0.1  # share of all rows by which a split may exceed its requested size without a note


def split_moments(
    moments: ArrayLike, *, validation: float, test: float, groups: np.ndarray | None = None
) -> tuple[dict[str, np.ndarray], list[str]]:
    """Divide rows in order of time. Rows of one moment stay together, and so do those of one group.

    Args:
        moments: (n,) numbers that increase with time.
        validation: fraction of the rows that are not in the test split.
        test: fraction of all rows.
        groups: (n,) group values, or None.

    Returns:
        A dict of row numbers, and a list of notes.

    Raises:
        KzooError: fewer moments than splits, or groups that have rows before and after every possible limit.
    """
    moments, count = np.asarray(moments), len(moments)
    _, index, sizes = np.unique(moments, return_inverse=True, return_counts=True)
    index = index.reshape(-1)
    wanted = {"test": test * count, "validation": validation * (1 - test) * count}
    wanted = {name: share for name, share in wanted.items() if share}
    needed = 1 + len(wanted)
    if len(sizes) < needed:
        raise KzooError(
            f"has {plural(len(sizes), 'different value')}, but {needed} splits in order of time need at least "
            f"{needed}. Use split='random', or set validation= or test= to 0.",
            argument="time",
        )
    # A limit i divides moments before number i from the others; groups around it forbid it.
    limits = np.ones(len(sizes), bool)
    limits[0] = False
    if groups is not None:
        _, group = np.unique(groups, return_inverse=True)
        group = group.reshape(-1)
        first = np.full(group.max() + 1, len(sizes))
        last = np.zeros(group.max() + 1, int)
        np.minimum.at(first, group, index)
        np.maximum.at(last, group, index)
        cut = np.zeros(len(sizes) + 1, int)
        np.add.at(cut, first + 1, 1)
        np.add.at(cut, last + 1, -1)
        limits &= np.cumsum(cut)[: len(sizes)] == 0
    possible = np.flatnonzero(limits)
    if len(possible) < len(wanted):
        raise KzooError(
            "and split='time' contradict each other: at almost every moment, some group has rows before and "
            "after it. Omit one of the two.",
            argument="group",
        )
    before = np.concatenate([[0], np.cumsum(sizes)])[:-1]  # rows before each moment
    parts = {}
    end = count
    last_limit = len(sizes)
    for number, (name, share) in enumerate(wanted.items()):
        left = len(wanted) - number - 1  # limits that the splits before this one need
        candidates = possible[possible < last_limit]
        candidates = candidates[left:]
        limit = int(candidates[np.abs((end - before[candidates]) - share).argmin()])
        parts[name] = np.flatnonzero((index >= limit) & (index < last_limit))
        end = int(before[limit])
        last_limit = limit
    parts["train"] = np.flatnonzero(index < last_limit)
    notes = [
        f"The {name} split has {len(parts[name]) / count:.0%} of the rows instead of {share / count:.0%}: rows of one "
        f"{'moment' if groups is None else 'moment or group'} stay together."
        for name, share in wanted.items()
        if abs(len(parts[name]) - share) > _OVERSIZE * count or len(parts[name]) > 2 * share + 1
    ]
    empty = np.zeros(0, int)
    return {name: parts.get(name, empty) for name in ("train", "validation", "test")}, notes
