"""Inputs that are read when they are asked for: `Windows` of one long array, `Mapped` rows; and some rows of any."""

import mmap
from functools import partial
from weakref import WeakKeyDictionary

import numpy as np

_MOST_ROWS = 100_000
_BLOCK = 2**22  # numbers
_MOST_HELD = 2**26  # bytes of a mapped file that may count as this process' memory, about
_REACH = 2**21  # bytes of it that the system maps around a row that is read, at the most: a page of its own copy
_ROWS = _MOST_HELD // _REACH  # that are read in one go
_held: WeakKeyDictionary = WeakKeyDictionary()  # map -> bytes of it that may be held


class Spaced:
    """Whole numbers (N,) that are equally far apart, worked out when they are asked for: a `range` with NumPy's ways.

    Args:
        numbers: the `range`.
    """

    dtype, ndim = np.dtype("int64"), 1

    def __init__(self, numbers: range):
        self.numbers = numbers

    @property
    def shape(self):
        return (len(self.numbers),)

    def __len__(self):
        return len(self.numbers)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Spaced(self.numbers[index])
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        places = np.asarray(index)
        return self.numbers.start + self.numbers.step * np.where(places < 0, places + len(self), places)

    def __add__(self, number):
        return Spaced(range(self.numbers.start + number, self.numbers.stop + number, self.numbers.step))

    def __array__(self, dtype=None, copy=None):
        return np.arange(self.numbers.start, self.numbers.stop, self.numbers.step, dtype=dtype or self.dtype)

    def min(self):
        return self.numbers[0]

    def max(self):
        return self.numbers[-1]


class _Sent:
    """What another process gets of an array that lies in a file: where it lies, not what it holds."""

    def __getstate__(self):
        state = dict(self.__dict__)
        if isinstance(state["values"], np.ndarray) and _map_of(state["values"]) is not None:
            state["values"] = _place_of(state["values"])
        return state

    def __setstate__(self, state):
        values = state["values"]
        self.__dict__.update(state, values=_opened(*values) if isinstance(values, tuple) else values)


class Windows(_Sent):
    """Pieces `values[s : s + length]` for each start s, without a copy of the whole.

    Args:
        values: (rows,) token ids or (rows, F) numbers.
        starts: (N,) first row of each window.
        length: rows in a window.
    """

    def __init__(self, values, starts, length):
        self.values = values
        self.starts = starts if isinstance(starts, Spaced) else np.asarray(starts)
        self.length = int(length)
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
        return read(self.values, np.asarray(self.starts[index])[..., None] + self._steps)  # (..., length, F)

    def part(self, rows):
        """Return some of the windows."""
        return Windows(self.values, self.starts[rows], self.length)

    def cut_from(self, values):
        """Return the same windows of another array that is as long."""
        return Windows(values, self.starts, self.length)

    def covered(self):
        """Return the rows from the first that a window covers to the last."""
        return self.values[int(self.starts.min()) : int(self.starts.max()) + self.length]

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self[:], dtype)


class Mapped(_Sent):
    """Rows of an array that lies in a file (`np.memmap`), or in many: `mapped[indices]` reads those alone.

    Args:
        values: (M, ...) the array, or what reads on demand.
        rows: (N,) places in it; None for all of them.
        then: what is made of rows that were read, in the same shape; None for nothing.
    """

    def __init__(self, values, rows=None, then=None):
        self.values, self.then = values, then
        rows = Spaced(range(len(values))) if rows is None else rows
        self.rows = rows if isinstance(rows, Spaced) else np.asarray(rows)
        self.dtype = values.dtype if then is None else then(values[:0]).dtype

    @property
    def shape(self):
        return (len(self.rows), *self.values.shape[1:])

    @property
    def ndim(self):
        return self.values.ndim

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        found = read(self.values, np.asarray(self.rows[index]))
        return found if self.then is None else self.then(found)

    def part(self, rows):
        """Return some of the rows."""
        return Mapped(self.values, self.rows[rows], self.then)

    def made(self, then):
        """Return the rows with something more made of them when they are read."""
        return Mapped(self.values, self.rows, then if self.then is None else partial(_both, self.then, then))


def _both(first, then, rows):
    return then(first(rows))


def is_mapped(array) -> bool:
    """Say whether an array lies in a file that is mapped into memory, so that reading all of it fills that."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def read(values, places):
    """Return rows of an array, or of what reads on demand.

    Pages of a mapped file that were read count as this process' memory until the system needs them. So they are given
    back once there may be many; what stays is the system's own copy of the file.
    """
    mapped = _map_of(values)
    if mapped is None:
        return np.asarray(values[places])
    if isinstance(places, slice) or np.ndim(places) == 0:
        found = np.array(values[places])
        _count(mapped, found.nbytes)
        return found
    found = np.empty((*places.shape, *values.shape[1:]), values.dtype)
    for start in range(0, len(places), _ROWS):
        some = places[start : start + _ROWS]
        found[start : start + _ROWS] = values[some]
        _count(mapped, len(some) * _REACH)
    return found


def _count(mapped, size):
    """Count what was read of a map, and give its pages back where that is much."""
    _held[mapped] = _held.get(mapped, 0) + size
    if _held[mapped] >= _MOST_HELD:
        mapped.madvise(mmap.MADV_DONTNEED)
        _held[mapped] = 0


def blocks(values, most=_BLOCK):
    """Yield an array in blocks of so many numbers, and keep none of them in memory where it lies in a file."""
    step = max(1, most // max(int(np.prod(values.shape[1:])), 1))
    for start in range(0, len(values), step):
        yield read(values, slice(start, min(start + step, len(values))))


def _map_of(array):
    """Return the map that an array lies in, where its pages can be given back without a loss; else None."""
    mode = None
    while isinstance(array, np.ndarray):
        mode, array = getattr(array, "mode", mode), array.base
    shared = isinstance(array, mmap.mmap) and mode != "c"  # what was written to a copy is nowhere else
    return array if shared and hasattr(mmap, "MADV_DONTNEED") else None


def _place_of(array):
    """Return what `_opened` takes to find a mapped array again."""
    whole = array
    while not isinstance(whole.base, mmap.mmap):
        whole = whole.base
    ahead = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return whole.filename, whole.offset, whole.nbytes, array.dtype, array.shape, array.strides, ahead


def _opened(file, offset, size, dtype, shape, strides, ahead):
    whole = np.memmap(file, np.uint8, "r", offset, (size,))
    return np.ndarray(shape, dtype, whole, ahead, strides)


def series_of(values):
    """Return the array that windows are cut from, a whole series or text; None where rows stand alone."""
    return values.values if isinstance(values, Windows) else None


def select_rows(values, rows):
    """Return rows of an array or of windows; of what is read from files, something that reads them on demand."""
    if hasattr(values, "part"):
        return values.part(rows)
    return values[rows] if isinstance(values, np.ndarray) and not is_mapped(values) else Mapped(values, rows)


def sample_rows(values, most=_MOST_ROWS):
    """Return rows of inputs as an array, the same ones each time where there are more than `most`."""
    if hasattr(values, "first"):  # `Stored`, whose rows were shuffled
        return values.first(most)
    return np.asarray(values[sample_indices(len(values), most)])


def sample_indices(count, most):
    """Return all places (N,) of so many rows, or `most` of them, in order and the same ones each time."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def flat(x):
    """Return values (N, columns); of windows, the rows that they cover, each once."""
    if series_of(x) is not None:
        x = x.covered()
        return x.reshape(len(x), -1)[-_MOST_ROWS:]
    x = sample_rows(x)
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x[:, None]
