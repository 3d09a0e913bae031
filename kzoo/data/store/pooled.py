"""Training and validation rows as one split."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import fingerprint
from kzoo.data.store.windows import RowArray, Windows


class Rows:
    """Selected rows of the inputs or targets of one or two splits, read on demand.

    Args:
        parts: arrays, or objects with `__len__` and `__getitem__(indices) -> array`.
        rows: indices into the concatenated parts, in order.
    """

    def __init__(self, parts: Iterable[RowArray], rows: ArrayLike) -> None:
        self.parts = list(parts)
        self.rows = np.asarray(rows)
        self.starts = np.cumsum([0, *(len(part) for part in self.parts)])

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self), *self.parts[0].shape[1:])

    def __getitem__(self, indices: slice | ArrayLike) -> np.ndarray:
        rows = self.rows[indices if isinstance(indices, slice) else np.asarray(indices)]
        part_numbers = np.searchsorted(self.starts, rows, side="right") - 1
        out: Any = None
        for i, part in enumerate(self.parts):
            mask = part_numbers == i
            if not mask.any() and len(rows):  # of no rows, the first part says shape and dtype
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
    weight = (
        None if any(p.weight is None for p in parts) else np.concatenate([p.weight for p in parts])
    )
    return Split(
        x=_concatenate([p.x for p in parts]),
        y=_concatenate([p.y for p in parts]),
        rows=rows,
        weight=weight,
    )


def with_all_rows(data: Dataset) -> Dataset:
    """Return the data with the validation rows added to the training rows."""
    renamed = fingerprint(data.fingerprint, "train+validation")
    rows = pooled(data)
    # rows of weight 0 are not trained on
    if rows.weight is not None and not (rows.weight > 0).all():
        rows = subset(rows, np.flatnonzero(rows.weight > 0))
    return replace(data, train=rows, validation=None, fingerprint=renamed)


def subset(rows: Split, indices: np.ndarray) -> Split:
    """Return some rows, read on demand where they are not in memory."""
    weight = None if rows.weight is None else rows.weight[indices]
    return Split(x=_take_rows(rows.x, indices), y=_take_rows(rows.y, indices), weight=weight)


def _take_rows(rows: RowArray, indices: np.ndarray) -> RowArray | Rows:
    return rows[indices] if isinstance(rows, np.ndarray) else Rows([rows], indices)


def _concatenate(parts: list[Any]) -> RowArray | Rows:
    if all(isinstance(part, np.ndarray) for part in parts):
        return np.concatenate(parts)
    if all(isinstance(part, Windows) and part.values is parts[0].values for part in parts):
        return parts[0].followed_by(parts[1])
    return Rows(parts, np.arange(sum(len(part) for part in parts)))
