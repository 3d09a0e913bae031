"""Inputs that are read on demand: `Windows` of one long array, `Mapped` rows; and selection and sampling of rows."""

import mmap
from collections.abc import Callable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import ArrayLike

_MOST_ROWS = 100_000
_BLOCK = 2**22  # numbers
_MAX_RESIDENT = 2**26  # bytes of a mapped file that may be resident in this process, about
# bytes mapped around each row that is read, at most: one large page of the page cache
_REACH = 2**21
_ROWS = _MAX_RESIDENT // _REACH  # rows read at a time
_Index = int | slice | np.ndarray
_resident: WeakKeyDictionary = WeakKeyDictionary()  # mmap -> bytes of it that may be resident


class RowArray(Protocol):
    """An array of rows, or an object that reads them on demand."""

    @property
    def shape(self) -> tuple[int, ...]: ...

    @property
    def ndim(self) -> int: ...

    @property
    def dtype(self) -> np.dtype: ...

    def __len__(self) -> int: ...

    def __getitem__(self, index: Any, /) -> Any: ...


class RangeArray:
    """Equally spaced integers (N,), computed on demand: a `range` with the interface of an array.

    Args:
        numbers: the `range`.
    """

    dtype = np.dtype("int64")
    ndim = 1

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers

    @property
    def shape(self) -> tuple[int]:
        return (len(self.numbers),)

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(
        self, index: slice | tuple[_Index, ...] | ArrayLike
    ) -> "RangeArray | np.ndarray":
        if isinstance(index, slice):
            return RangeArray(self.numbers[index])
        if isinstance(index, tuple):
            return np.asarray(self)[index]
        indices = np.asarray(index)
        return self.numbers.start + self.numbers.step * np.where(
            indices < 0, indices + len(self), indices
        )

    def __add__(self, number: int) -> "RangeArray":
        return RangeArray(
            range(self.numbers.start + number, self.numbers.stop + number, self.numbers.step)
        )

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.arange(
            self.numbers.start, self.numbers.stop, self.numbers.step, dtype=dtype or self.dtype
        )

    def min(self) -> int:
        return self.numbers[0]

    def max(self) -> int:
        return self.numbers[-1]


class _PickledByPath:
    """Base of objects whose mapped array is pickled as its location in a file, not as its contents."""

    def __getstate__(self) -> dict[str, object]:
        state = dict(self.__dict__)
        if isinstance(state["values"], np.ndarray) and _mmap_of(state["values"]) is not None:
            state["values"] = _file_location(state["values"])
        return state

    def __setstate__(self, state: Mapping[str, object]) -> None:
        values = state["values"]
        self.__dict__.update(
            state, values=_open_mapped(*values) if isinstance(values, tuple) else values
        )


@dataclass(frozen=True, eq=False)
class SeriesOfWindows:
    """The series of each window of an array that holds several.

    Args:
        codes: (N,) the series of each window.
        firsts: (S,) first row of each series.
        names: of the series.
        numbers: (rows,) number of the step of each row, the same for all series at the same moment.
    """

    codes: np.ndarray
    firsts: np.ndarray
    names: tuple[str, ...]
    numbers: np.ndarray

    def part(self, rows: _Index) -> "SeriesOfWindows":
        """Return those of some of the windows."""
        return replace(self, codes=self.codes[rows])


class Windows(_PickledByPath):
    """Windows `values[s : s + length]` for each start s, without a copy of the whole array.

    Args:
        values: (rows,) token ids or (rows, F) numbers.
        starts: (N,) first row of each window.
        length: rows per window.
        series: the `SeriesOfWindows` if `values` holds several; None for one.
        measured: (rows, F) whether each value was measured, neither filled in nor repeated before a short series; None
            if it is not known.
        begins: sorted numbers of the rows at which a series begins, or goes on after a gap that is too long to be
            filled in; None if it is not known.
        ahead: number K of covariates, and how many steps later their second values are: the last K columns have at each
            row what the K columns before them have that many rows later.
    """

    # windows of a stored state of before do not have them
    measured: np.ndarray | None = None
    begins: np.ndarray | None = None
    ahead: tuple[int, int] = (0, 0)

    def __init__(
        self,
        values: np.ndarray,
        starts: "ArrayLike | RangeArray",
        length: int,
        series: "SeriesOfWindows | None" = None,
        measured: np.ndarray | None = None,
        begins: np.ndarray | None = None,
        ahead: tuple[int, int] = (0, 0),
    ) -> None:
        self.values, self.series = values, series
        self.measured, self.begins, self.ahead = measured, begins, ahead
        self.starts = starts if isinstance(starts, RangeArray) else np.asarray(starts)
        self.length = int(length)
        self._steps = np.arange(self.length)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.starts), self.length, *self.values.shape[1:])

    @property
    def dtype(self) -> np.dtype:
        return self.values.dtype

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: _Index) -> np.ndarray:
        # (..., length, F)
        return read(self.values, np.asarray(self.starts[index])[..., None] + self._steps)

    @property
    def moments(self) -> np.ndarray:
        """(N,) step number at which each window begins, the same for all series at the same time."""
        starts = np.asarray(self.starts)
        return starts if self.series is None else self.series.numbers[starts]

    @property
    def codes(self) -> np.ndarray:
        """(N,) number of the series of each window."""
        return np.zeros(len(self), int) if self.series is None else self.series.codes

    def part(self, rows: _Index) -> "Windows":
        """Return some of the windows."""
        series = None if self.series is None else self.series.part(rows)
        return self._with(starts=self.starts[rows], series=series)

    def longer(self, steps: int) -> "LongerWindows":
        """Return windows of `steps` steps that end where these do; the row at which a series begins is repeated."""
        assert self.begins is not None
        starts = np.asarray(self.starts) + self.length - steps
        return LongerWindows(
            self.values,
            starts,
            steps,
            self.series,
            self.measured,
            begins=self.begins,
            ahead=self.ahead,
        )

    def _with(self, **changes: Any) -> "Windows":
        """Return windows with other attributes."""
        windows = copy(self)
        windows.__dict__.update(changes)
        return windows

    def followed_by(self, other: "Windows") -> "Windows":
        """Return these windows and others of the same array."""
        starts = np.concatenate([np.asarray(self.starts), np.asarray(other.starts)])
        series = self.series
        if series is not None and other.series is not None:
            series = replace(series, codes=np.concatenate([series.codes, other.series.codes]))
        return self._with(starts=starts, series=series)

    def with_values(self, values: np.ndarray) -> "Windows":
        """Return the same windows of another array of the same length."""
        return self._with(values=values)

    def covered(self) -> np.ndarray:
        """Return the rows from the first to the last that a window covers."""
        return self.values[max(int(self.starts.min()), 0) : int(self.starts.max()) + self.length]

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)


class LongerWindows(Windows):
    """Windows that may start before their series, or before a gap: the row at which it begins is repeated there.

    Covariates some steps later are those of their own time there, too, from that row on.
    """

    def __getitem__(self, index: _Index) -> np.ndarray:
        # (..., length, F)
        assert self.begins is not None
        starts = np.asarray(self.starts[index])
        own = np.searchsorted(self.begins, starts + self.length - 1, side="right") - 1
        first = np.asarray(self.begins)[own][..., None]
        rows = starts[..., None] + self._steps
        windows = read(self.values, np.maximum(rows, first))
        count, later = self.ahead
        if count and (repeated := rows < first).any():
            source = np.maximum(rows + later, first)[repeated]
            windows[repeated, -count:] = read(self.values, source)[:, -2 * count : -count]
        return windows


class Mapped(_PickledByPath):
    """Rows of an array in a file (`np.memmap`) or in many: `mapped[indices]` reads only those.

    Args:
        values: (M, ...) the array, or an object that reads on demand.
        rows: (N,) indices into it; None for all of them.
        then: function applied to rows once they are read, which keeps their shape; None for no function.
    """

    def __init__(
        self,
        values: RowArray,
        rows: "ArrayLike | RangeArray | None" = None,
        then: Callable[[np.ndarray], np.ndarray] | None = None,
    ) -> None:
        self.values, self.transform = values, then
        rows = RangeArray(range(len(values))) if rows is None else rows
        self.rows = rows if isinstance(rows, RangeArray) else np.asarray(rows)
        self.dtype = values.dtype if then is None else then(values[:0]).dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows), *self.values.shape[1:])

    @property
    def ndim(self) -> int:
        return self.values.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: _Index) -> np.ndarray:
        rows = read(self.values, np.asarray(self.rows[index]))
        return rows if self.transform is None else self.transform(rows)

    def part(self, rows: _Index) -> "Mapped":
        """Return some of the rows."""
        return Mapped(self.values, self.rows[rows], self.transform)

    def made(self, transform: Callable[[np.ndarray], np.ndarray]) -> "Mapped":
        """Return the same rows with another function applied when they are read."""
        return Mapped(
            self.values,
            self.rows,
            transform if self.transform is None else partial(_compose, self.transform, transform),
        )


def _compose(
    first: Callable[[np.ndarray], np.ndarray],
    second: Callable[[np.ndarray], np.ndarray],
    rows: np.ndarray,
) -> np.ndarray:
    return second(first(rows))


def is_mapped(array: object) -> bool:
    """Return True if an array is mapped from a file, so that reading all of it fills memory."""
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False


def read(values: RowArray, indices: _Index) -> np.ndarray:
    """Return rows of an array, or of an object that reads on demand.

    Pages of a mapped file that were read count as memory of this process until the system reclaims them, so they are
    released once there may be many. The system's page cache keeps its own copy.
    """
    mapped = _mmap_of(values)
    if mapped is None:
        return np.asarray(values[indices])
    if not isinstance(indices, np.ndarray) or indices.ndim == 0:
        rows = np.array(values[indices])
        _count_resident(mapped, rows.nbytes)
        return rows
    rows = np.empty((*indices.shape, *values.shape[1:]), values.dtype)
    for start in range(0, len(indices), _ROWS):
        chunk = indices[start : start + _ROWS]
        rows[start : start + _ROWS] = values[chunk]
        _count_resident(mapped, len(chunk) * _REACH)
    return rows


def _count_resident(mapped: mmap.mmap, size: int) -> None:
    """Count the bytes read from a map, and release its pages once there are many."""
    _resident[mapped] = _resident.get(mapped, 0) + size
    if _resident[mapped] >= _MAX_RESIDENT:
        mapped.madvise(mmap.MADV_DONTNEED)
        _resident[mapped] = 0


def blocks(values: RowArray, most: int = _BLOCK) -> Iterator[np.ndarray]:
    """Yield an array in blocks of at most `most` numbers; blocks of a mapped file are released again."""
    step = max(1, most // max(int(np.prod(values.shape[1:])), 1))
    for start in range(0, len(values), step):
        yield read(values, slice(start, min(start + step, len(values))))


def _mmap_of(array: Any) -> mmap.mmap | None:
    """Return the map behind an array if its pages can be released without loss; else None."""
    mode = None
    while isinstance(array, np.ndarray):
        mode = getattr(array, "mode", mode)
        array = array.base
    # mode "c": changes to a private copy exist nowhere else
    shared = isinstance(array, mmap.mmap) and mode != "c"
    return array if shared and hasattr(mmap, "MADV_DONTNEED") else None


def _file_location(array: np.ndarray) -> tuple[object, ...]:
    """Return the arguments with which `_open_mapped` opens a mapped array again."""
    whole: Any = array
    while not isinstance(whole.base, mmap.mmap):
        whole = whole.base
    start = array.__array_interface__["data"][0] - whole.__array_interface__["data"][0]
    return (
        whole.filename,
        whole.offset,
        whole.nbytes,
        array.dtype,
        array.shape,
        array.strides,
        start,
    )


def _open_mapped(
    file: str,
    offset: int,
    size: int,
    dtype: np.dtype,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    start: int,
) -> np.ndarray:
    whole = np.memmap(file, np.uint8, "r", offset, (size,))
    return np.ndarray(shape, dtype, whole, start, strides)


def series_of(values: object) -> np.ndarray | None:
    """Return the array that windows are cut from, a whole series or text; None if `values` are not windows."""
    return values.values if isinstance(values, Windows) else None


def select_rows(values: RowArray, rows: "np.ndarray | RangeArray") -> RowArray:
    """Return rows of an array or of windows; rows of a file are read on demand."""
    if hasattr(values, "part"):
        return values.part(rows)
    return (
        values[rows]
        if isinstance(values, np.ndarray) and not is_mapped(values)
        else Mapped(values, rows)
    )


def sample_rows(values: RowArray, most: int = _MOST_ROWS) -> np.ndarray:
    """Return at most `most` rows of inputs as an array, the same ones on every call."""
    if hasattr(values, "first"):  # `StoredRows`, which were shuffled when written
        return values.first(most)
    return np.asarray(values[sample_indices(len(values), most)])


def sample_indices(count: int, most: int) -> np.ndarray:
    """Return at most `most` of the indices 0..count-1 (N,), sorted and the same on every call."""
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def flat(x: RowArray) -> np.ndarray:
    """Return values as (N, columns); for windows, the rows that they cover, each once."""
    if (series := series_of(x)) is not None:
        first = max(int(x.starts.min()), 0)  # type: ignore[attr-defined]  # of `Windows`
        end = int(x.starts.max()) + x.length  # type: ignore[attr-defined]
        rows = series[max(first, end - _MOST_ROWS) : end]
        return rows.reshape(len(rows), -1)
    x = sample_rows(x)
    return x.reshape(-1, x.shape[-1]) if x.ndim > 1 else x[:, None]
