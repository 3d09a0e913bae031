"""Rows that are read on demand: a few batches of an epoch lie in memory at a time, and the next are read meanwhile."""

from threading import Lock

import numpy as np

from kzoo.data.stored import Parts

_PART, _MOST = 2**23, 64  # bytes and batches that are read at once


class Ahead(Parts):
    """The rows of an epoch in its order, which is that of rows in memory, a few batches at a time.

    Args:
        batches: the `Batches`, whose rows are neither in memory nor augmented.
    """

    def __init__(self, batches):
        self.split, self.shuffle, self.places_at = batches.split, batches.shuffle, batches.places_at
        size = sum(int(np.prod(part.shape[1:])) * part.dtype.itemsize for part in (self.split.x, self.split.y))
        self.batches = max(1, min(_MOST, _PART // (size * batches.batch_size)))
        self.rows = self.batches * batches.batch_size
        self._held, self._next, self._lock, self._reader = (None, None), (None, None), Lock(), None

    def _read(self, epoch, number):
        places = self.places_at(epoch, number * self.rows, (number + 1) * self.rows)
        rows = (np.asarray(part[places]) for part in (self.split.x, self.split.y))
        return *(_lengthened(part, min(self.rows, len(self.split))) for part in rows), np.arange(len(places))


def _lengthened(rows, count):
    """Return so many rows: zeros that no place names follow those of the last part (see `Parts.get`)."""
    if len(rows) == count:
        return rows
    return np.concatenate([rows, np.zeros((count - len(rows), *rows.shape[1:]), rows.dtype)])
