"""Rows that are read on demand: a few batches of an epoch lie in memory at a time, and the next are read meanwhile."""

import numpy as np

from kzoo.storage.row_files import Parts

_PART, _MOST = 2**23, 64  # bytes and batches that are read at once


class Ahead(Parts):
    """The rows of an epoch in its order, which is that of rows in memory, a few batches at a time.

    Args:
        batches: the `Batches`, whose rows are neither in memory nor augmented.
    """

    def __init__(self, batches):
        self.places_at, split, size = batches.places_at, batches.split, batches.batch_size
        row = sum(int(np.prod(part.shape[1:])) * part.dtype.itemsize for part in (split.x, split.y))
        super().__init__(split, batches=min(_MOST, _PART // (row * size)), batch_size=size, shuffle=batches.shuffle)

    def _read(self, epoch, number):
        places = self.places_at(epoch, number * self.rows, (number + 1) * self.rows)
        rows = (np.asarray(part[places]) for part in (self.split.x, self.split.y))
        return *(_lengthened(part, min(self.rows, len(self.split))) for part in rows), np.arange(len(places))


def _lengthened(rows, count):
    """Return so many rows: zeros that no place names follow those of the last part (see `Parts.get`)."""
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
