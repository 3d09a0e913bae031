"""Rows that are read on demand: a few batches of an epoch are in memory while the next are read in the background."""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.store.row_files import EpochParts, Part

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches


_PART = 2**23  # bytes and batches read at a time
_MOST = 64


class ReadAhead(EpochParts):
    """The rows of an epoch in its order, which is the same as for rows in memory, a few batches at a time.

    Args:
        batches: the `Batches`, whose rows are neither in memory nor augmented.
    """

    def __init__(self, batches: "Batches") -> None:
        self.indices_at = batches.indices_at
        split = batches.split
        size = batches.batch_size
        row_size = sum(
            int(np.prod(part.shape[1:])) * part.dtype.itemsize for part in (split.x, split.y)
        )
        super().__init__(
            split,
            batches=min(_MOST, _PART // (row_size * size)),
            batch_size=size,
            shuffle=batches.shuffle,
        )

    def row_numbers(self, epoch: int, number: int) -> np.ndarray:
        """Return the row of the split that each row of a part is (rows,); padding is row 0."""
        indices = self.indices_at(epoch, number * self.rows, (number + 1) * self.rows)
        return _padded_with_zeros(np.asarray(indices), min(self.rows, len(self.split)))

    def _read(self, epoch: int, number: int) -> Part:
        indices = self.indices_at(epoch, number * self.rows, (number + 1) * self.rows)
        count = min(self.rows, len(self.split))
        x, y = (
            _padded_with_zeros(np.asarray(part[indices]), count)
            for part in (self.split.x, self.split.y)
        )
        return x, y, np.arange(len(indices))


def _padded_with_zeros(rows: np.ndarray, count: int) -> np.ndarray:
    """Return rows padded with zeros to `count` rows; no index refers to the padding (see `Parts.get`)."""
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
