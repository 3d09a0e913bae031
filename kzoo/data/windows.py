"""`Windows`: overlapping pieces of one long array, cut when they are asked for."""

import numpy as np


class Windows:
    """Pieces `values[s : s + length]` for each start s, without a copy of the whole.

    Args:
        values: (rows,) token ids or (rows, F) numbers.
        starts: (N,) first row of each window.
        length: rows in a window.
    """

    def __init__(self, values, starts, length):
        self.values, self.starts, self.length = values, np.asarray(starts), int(length)
        self._steps = np.arange(self.length)

    @property
    def shape(self):
        return (len(self.starts), self.length, *self.values.shape[1:])

    @property
    def dtype(self):
        return self.values.dtype

    def __len__(self):
        return len(self.starts)

    def __getitem__(self, index):
        return self.values[np.asarray(self.starts[index])[..., None] + self._steps]  # (..., length, F)

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)
