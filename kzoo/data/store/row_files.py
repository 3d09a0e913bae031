"""`StoredRows`: rows of numbers in a file that is read on demand, and the cache folders of such files.

A file has a row for each example: its inputs and its targets, four bytes per number, nothing else. Rows are shuffled
when the file is written, so any run of consecutive rows is a random sample. The file is read in pieces and never
mapped into memory: where memory is limited, mapped pages count towards the usage of the process.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from kzoo.data.store.progress import track_progress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, cache_folder, read_json, sync_folder, write_json
from kzoo.utils.formatting import in_bytes

if TYPE_CHECKING:
    from kzoo.data.dataset import Split


_ABOUT = "about.json"
# bytes and rows of a part; minimum number of blocks in it
_PART = 32 << 20
_MOST_ROWS = 2**18
_BLOCKS = 32
_HASHED = 1 << 20  # bytes of a file hashed at a time
# rows of a block; rows requested individually are read together if they are in the same block
_BLOCK = 4_096


# rows of x and y, and the indices into them
Part = tuple[np.ndarray, np.ndarray, np.ndarray]


class StoredRows:
    """Columns `first` to `last` of a file of rows, which behaves like an array (N,) or (N, last - first) on disk.

    Args:
        path: the file.
        rows: number of rows in the file.
        width: numbers per row.
        first, last: the range of columns.
        dtype: of the columns: "float32" or "int32".
        single: whether a single column is an array (N,).
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        rows: int,
        width: int,
        first: int,
        last: int,
        dtype: str | np.dtype,
        single: bool = False,
    ) -> None:
        self.path, self.rows, self.width = Path(path), int(rows), int(width)
        self.first_column = first
        self.last = last
        self.dtype = np.dtype(dtype)
        self.single = single

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.rows,) if self.single else (self.rows, self.last - self.first_column)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, index: slice | ArrayLike) -> np.ndarray:
        if isinstance(index, slice):
            start, stop, step = index.indices(self.rows)
            if step == 1:
                return self.cut(read_rows(self.path, self.width, start, max(stop - start, 0)))
            index = np.arange(start, stop, step)
        indices = np.asarray(index)
        if indices.dtype == bool:
            indices = np.flatnonzero(indices)
        flat = indices.reshape(-1).astype(np.int64)
        if flat.size and not -self.rows <= flat.min() <= flat.max() < self.rows:
            raise IndexError(f"row {flat.max()} is outside 0..{self.rows - 1}.")
        flat = np.where(flat < 0, flat + self.rows, flat)
        order = np.argsort(flat, kind="stable")
        rows = np.empty((len(flat), self.width), np.float32)
        block_ends = np.flatnonzero(np.diff(flat[order] // _BLOCK)) + 1
        for group in np.split(order, block_ends):
            if len(group):
                low = int(flat[group[0]])
                block = read_rows(self.path, self.width, low, int(flat[group[-1]]) - low + 1)
                rows[group] = block[flat[group] - low]
        return self.cut(rows).reshape((*indices.shape, *self.shape[1:]))

    def first(self, count: int) -> np.ndarray:
        """Return the first `count` rows as an array. This is a random sample: all rows were shuffled."""
        return np.ascontiguousarray(self[:count])

    def cut(self, rows: np.ndarray) -> np.ndarray:
        """Return the columns of this array from rows of the file (B, width)."""
        part = rows[:, self.first_column : self.last].view(self.dtype)
        return part[:, 0] if self.single else part


def read_rows(path: str | os.PathLike[str], width: int, start: int, count: int) -> np.ndarray:
    """Return rows of a file, float32 (count, width).

    Raises:
        KzooError: the file no longer exists, or has become shorter.
    """
    try:
        rows = np.fromfile(path, np.float32, count * width, offset=4 * start * width)
    except OSError as error:
        raise KzooError(
            f"Cannot read {str(path)!r}: {error.strerror}. Run the same call again to recreate it."
        ) from None
    if len(rows) < count * width:
        raise KzooError(
            f"{str(path)!r} is truncated. Remove the folder {str(Path(path).parent)!r} and run the same call again."
        )
    return rows.reshape(count, width)


class EpochParts:
    """The rows of an epoch, one part of which is in memory at a time: the same for the same (epoch, number).

    Subclasses implement `_read(epoch, number)`, which returns what `get` returns.

    Args:
        split: a `Split`.
        batches: batches per part.
        batch_size: rows per batch; the last batch has what is left over.
        shuffle: see `kzoo.data.pipeline.Batches`.
    """

    def __init__(self, split: "Split", *, batches: int, batch_size: int, shuffle: bool) -> None:
        self.split = split
        self.shuffle = shuffle
        self.batches = max(1, batches)
        self.rows = self.batches * batch_size
        self._current: tuple[tuple[int, int], Part] | None = None
        self._next: tuple[tuple[int, int], Future[Part]] | None = None
        self._lock = Lock()
        self._reader: ThreadPoolExecutor | None = None

    def get(self, epoch: int, number: int) -> Part:
        """Return part `number` of an epoch's rows: arrays x and y, and the indices (N,) into them in training order.

        The arrays of the last part are as long as those of the others, so that one compiled function takes all parts:
        they are padded with rows of zeros that no index refers to. The next part is read in the background.
        """
        with self._lock:
            if self._current is None or self._current[0] != (epoch, number):
                if self._next is not None and self._next[0] == (epoch, number):
                    self._current = (epoch, number), self._next[1].result()
                else:
                    self._current = (epoch, number), self._read(epoch, number)
                is_last = (number + 1) * self.rows >= len(self.split)
                # only training, which shuffles, goes on with another epoch
                if not is_last or self.shuffle:
                    next_key = (epoch + 1, 0) if is_last else (epoch, number + 1)
                    self._reader = self._reader or ThreadPoolExecutor(1)
                    self._next = next_key, self._reader.submit(self._read, *next_key)
            return self._current[1]

    def _read(self, epoch: int, number: int) -> Part:
        raise NotImplementedError


class StoredParts(EpochParts):
    """Parts of stored rows.

    With `shuffle`, blocks of rows follow in a new order each epoch. A part is a range of this order, as many batches as
    fit into memory, and its rows are shuffled again.

    Args:
        split: a `Split` of `StoredRows`.
        batch_size, seed, shuffle: see `kzoo.data.pipeline.Batches`.
    """

    def __init__(self, split: "Split", *, batch_size: int, seed: int, shuffle: bool) -> None:
        self.seed = seed
        self.width = split.x.width
        batches = min(_MOST_ROWS, _PART // (4 * self.width)) // batch_size
        super().__init__(split, batches=batches, batch_size=batch_size, shuffle=shuffle)
        self.block = max(1, min(_BLOCK, self.rows // _BLOCKS))

    def row_numbers(self, epoch: int, number: int) -> np.ndarray:
        """Return the numbers in the split of the rows of a part, in the order of its arrays; -1 for padding."""
        start = number * self.rows
        stop = min((number + 1) * self.rows, len(self.split))
        numbers = np.full(min(self.rows, len(self.split)), -1)
        if not self.shuffle:
            numbers[: stop - start] = np.arange(start, stop)
            return numbers
        filled = 0
        for first, count in self._ranges(epoch, start, stop):
            numbers[filled : filled + count] = np.arange(first, first + count)
            filled += count
        return numbers

    def _read(self, epoch: int, number: int) -> Part:
        start = number * self.rows
        stop = min((number + 1) * self.rows, len(self.split))
        count = stop - start
        rows = np.empty((min(self.rows, len(self.split)), self.width), np.float32)
        rows[count:] = 0  # padding of the last part
        if not self.shuffle:
            rows[:count] = read_rows(self.split.x.path, self.width, start, count)
            order = np.arange(count)
        else:
            self._read_blocks(rows, epoch, start, stop)
            order = np.random.default_rng([self.seed, epoch, number]).permutation(count)
        return self.split.x.cut(rows), self.split.y.cut(rows), order

    def _read_blocks(self, rows: np.ndarray, epoch: int, start: int, stop: int) -> None:
        """Fill `rows` with the rows `start` to `stop` in the block order of an epoch."""
        filled = 0
        for first, count in self._ranges(epoch, start, stop):
            rows[filled : filled + count] = read_rows(self.split.x.path, self.width, first, count)
            filled += count

    def _ranges(self, epoch: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Yield (first row, count) of the ranges in the file that make up the rows `start` to `stop` of an epoch."""
        count = -(-len(self.split) // self.block)
        blocks = np.random.default_rng([self.seed, epoch]).permutation(count)
        sizes = np.minimum(self.block, len(self.split) - blocks * self.block)
        ends = np.cumsum(sizes)
        first = np.searchsorted(ends, start, side="right")
        last = np.searchsorted(ends, stop, side="left")
        for position in range(first, last + 1):
            block_start = int(ends[position] - sizes[position])
            low = max(start, block_start) - block_start
            high = min(stop, int(ends[position])) - block_start
            yield int(blocks[position]) * self.block + low, high - low


class FileHashes:
    """The contents of some files: the sha256 of each, or the version of an object that is read from its address.

    Names, sizes and times are not enough: a copy can share them with another file, and a file can be rewritten in
    place. Hashing a gigabyte takes about .7 s of processor time; encoding it takes more than 20 times as long.

    Args:
        files: their paths.
    """

    def __init__(self, files: Iterable[str | os.PathLike[str]]) -> None:
        self.files = [file if isinstance(file, Path) else Path(file) for file in files]
        self._stats = self._file_stats()
        self.hashes = self._hash_files()

    def changed(self) -> bool:
        """Return whether the contents have changed; files are hashed again only if their metadata changed."""
        return self._file_stats() != self._stats and self._hash_files() != self.hashes

    def _file_stats(self) -> list[tuple[int, int, int, int]]:
        file_stats = [file.stat() for file in self.files]
        return [
            (stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for stat in file_stats
        ]

    def _hash_files(self) -> list[str]:
        versions = [getattr(file, "version", None) for file in self.files]
        if all(versions):
            return [str(version) for version in versions]
        digests = [hashlib.sha256() for _ in self.files]
        total = sum(size for _, size, *_ in self._stats)
        for number, block in track_progress(
            self._blocks(), "hashing the data", total, lambda block: len(block[1])
        ):
            digests[number].update(block)
        return [digest.hexdigest() for digest in digests]

    def _blocks(self) -> Iterator[tuple[int, bytes]]:
        for number, file in enumerate(self.files):
            with open(file, "rb") as stream:
                while block := stream.read(_HASHED):
                    yield number, block


def is_any_stored(ending: str) -> bool:
    """Return whether anything is stored under a key with this ending."""
    return any((cache_folder() / "data").glob(f"*{ending}/{_ABOUT}"))


def is_stored(key: str) -> bool:
    """Return whether rows are stored under a key."""
    return (cache_folder() / "data" / key / _ABOUT).exists()


@contextmanager
def building_folder(key: str) -> Iterator[tuple[Path, Path | None]]:
    """Yield the folder of a key, and a temporary folder in which to build it; None as the second if the first exists.

    The temporary folder is renamed to the final one if the block succeeds, and removed if it raises. A process that is
    killed leaves the temporary folder behind, and the next one clears it. While one process builds, others wait.

    Raises:
        KzooError: the folder cannot be written.
    """
    final = cache_folder() / "data" / key
    partial = final.with_name(f"{key}.part")
    if (final / _ABOUT).exists():
        yield final, None
        return
    try:
        partial.mkdir(parents=True, exist_ok=True)
        lock = _lock_folder(partial)
    except OSError as error:
        raise KzooError(
            f"Cannot write to {str(partial)!r}: {error.strerror}. Set KZOO_CACHE to another folder."
        ) from None
    try:
        if (final / _ABOUT).exists():  # another process finished first
            yield final, None
            return
        partial.mkdir(exist_ok=True)
        for leftover in partial.iterdir():
            shutil.rmtree(leftover) if leftover.is_dir() else leftover.unlink()
        yield final, partial
        os.replace(partial, final)
        sync_folder(final.parent)
    except OSError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise KzooError(f"Cannot write to {str(partial)!r}: {error.strerror}.") from None
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _lock_folder(folder: Path) -> int | None:
    """Lock a folder, waiting while another process holds the lock; None where the system has no such locks."""
    try:
        fcntl = import_module("fcntl")
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process is encoding the same data: waiting for it.", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # the file system has no locks
        os.close(handle)
        return None
    return handle


def check_disk_space(folder: str | os.PathLike[str], size: int) -> None:
    """Raise `KzooError` if the disk of a folder has less than `size` bytes free."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise KzooError(
            f"Not enough disk space for {str(folder)!r}: {in_bytes(size)} needed, {in_bytes(free)} free. Free some "
            "space, or set KZOO_CACHE to a folder on another disk."
        )


def write_metadata(folder: Path, about: Mapping[str, object]) -> None:
    """Write the metadata of stored rows. It is written last and marks them as complete."""
    write_json(folder / _ABOUT, about)


def read_metadata(folder: Path) -> JsonObject:
    """Return the metadata written by `write_about`.

    Raises:
        KzooError: it cannot be read.
    """
    try:
        return read_json(folder / _ABOUT)
    except KzooError:
        raise
    except (OSError, ValueError):
        raise KzooError(
            f"{str(folder)!r} is damaged. Remove it; it is created again when it is needed."
        ) from None
