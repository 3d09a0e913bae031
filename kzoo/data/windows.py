"""Inputs that are read when they are asked for: `Windows` of one long array, `Mapped` rows; and some rows of any."""

import numpy as np

_MOST_ROWS = 100_000


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


class Mapped:
    """Rows of an array that lies in a file (`np.memmap`), or in many: `mapped[indices]` reads those alone.

    Args:
        values: (M, ...) the array, or what reads on demand.
        rows: (N,) places in it.
    """

    def __init__(self, values, rows):
        self.values, self.rows = values, np.asarray(rows)

    @property
    def shape(self):
        return (len(self.rows), *self.values.shape[1:])

    @property
    def dtype(self):
        return self.values.dtype

    @property
    def ndim(self):
        return self.values.ndim

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return np.asarray(self.values[self.rows[index]])


def is_mapped(array) -> bool:
    """Say whether an array lies in a file that is mapped into memory, so that reading all of it fills that."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def taken(values, rows):
    """Return rows of an array or of windows; of what is read from files, something that reads them on demand."""
    if isinstance(values, Windows):
        return Windows(values.values, values.starts[rows], values.length)
    if isinstance(values, Mapped):
        return Mapped(values.values, values.rows[rows])
    return values[rows] if isinstance(values, np.ndarray) and not is_mapped(values) else Mapped(values, rows)


def few(values, most=_MOST_ROWS):
    """Return rows of inputs as an array, the same ones each time where there are more than `most`."""
    if hasattr(values, "first"):  # `Stored`, whose rows were shuffled
        return values.first(most)
    return np.asarray(values[places_of_few(len(values), most)])


def places_of_few(count, most):
    """Return all places (N,) of so many rows, or `most` of them, in order and the same ones each time."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def flat(x):
    """Return values (N, columns); of windows, the rows that they cover, each once."""
    if isinstance(x, Windows):
        x = x.values[int(x.starts.min()) : int(x.starts.max()) + x.length]
        return x.reshape(len(x), -1)[-_MOST_ROWS:]
    x = few(x)
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x[:, None]
