"""`Stored`: rows of numbers in a file of kzoo's own, read when they are asked for, and the folder that holds them.

A file has a row for each example: its inputs and its answers, four bytes to a number, nothing else. Its rows were
shuffled when it was written, so that any rows that follow one another are a fair sample. It is read in pieces, never
mapped into memory: what a process has mapped counts as its own where memory is limited.
"""

import hashlib
import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from threading import Lock

import numpy as np

from kzoo.storage.progress import followed
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder, read_json, sync_folder, write_json
from kzoo.utils.formatting import in_bytes

_ABOUT = "about.json"
_PART, _MOST_ROWS, _BLOCKS = 32 << 20, 2**18, 32  # bytes and rows of a part; blocks in it, at the least
_HASHED = 1 << 20  # bytes of a file that are hashed at once
_BLOCK = 4_096  # rows of a block; those that are asked for one by one are read together where they lie in one


class StoredRows:
    """Columns `first` to `last` of a file of rows, like an array (N,) or (N, last - first) that lies on the disk.

    Args:
        path: the file.
        rows: how many it has.
        width: numbers in a row.
        first, last: the columns.
        dtype: of them: "float32" or "int32".
        single: whether one column is an array (N,).
    """

    def __init__(self, path, *, rows, width, first, last, dtype, single=False):
        self.path, self.rows, self.width = Path(path), int(rows), int(width)
        self.first_column, self.last, self.dtype, self.single = first, last, np.dtype(dtype), single

    @property
    def shape(self):
        return (self.rows,) if self.single else (self.rows, self.last - self.first_column)

    @property
    def ndim(self):
        return len(self.shape)

    def __len__(self):
        return self.rows

    def __getitem__(self, index):
        if isinstance(index, slice):
            start, stop, step = index.indices(self.rows)
            if step == 1:
                return self.cut(read_rows(self.path, self.width, start, max(stop - start, 0)))
            index = np.arange(start, stop, step)
        places = np.asarray(index)
        if places.dtype == bool:
            places = np.flatnonzero(places)
        flat = places.reshape(-1).astype(np.int64)
        if flat.size and not -self.rows <= flat.min() <= flat.max() < self.rows:
            raise IndexError(f"row {flat.max()} is outside 0..{self.rows - 1}.")
        flat = np.where(flat < 0, flat + self.rows, flat)
        order = np.argsort(flat, kind="stable")
        found = np.empty((len(flat), self.width), np.float32)
        ends = np.flatnonzero(np.diff(flat[order] // _BLOCK)) + 1
        for group in np.split(order, ends):
            if len(group):
                low = int(flat[group[0]])
                block = read_rows(self.path, self.width, low, int(flat[group[-1]]) - low + 1)
                found[group] = block[flat[group] - low]
        return self.cut(found).reshape((*places.shape, *self.shape[1:]))

    def first(self, count) -> np.ndarray:
        """Return the first rows as an array: a sample, for all were shuffled."""
        return np.ascontiguousarray(self[:count])

    def cut(self, rows):
        """Return these columns of rows of the file (B, width)."""
        part = rows[:, self.first_column : self.last].view(self.dtype)
        return part[:, 0] if self.single else part


def read_rows(path, width, start, count) -> np.ndarray:
    """Return rows of a file, float32 (count, width).

    Raises:
        KzooError: it is not there any more, or has become shorter.
    """
    try:
        rows = np.fromfile(path, np.float32, count * width, offset=4 * start * width)
    except OSError as error:
        raise KzooError(f"Cannot read {str(path)!r}: {error.strerror}. The same call makes it again.") from None
    if len(rows) < count * width:
        raise KzooError(f"{str(path)!r} is shorter than it was: remove the folder {str(Path(path).parent)!r}.")
    return rows.reshape(count, width)


class Parts:
    """The rows of an epoch, of which a part lies in memory at a time: the same for the same (epoch, number).

    A kind of them says how one is read: `_read(epoch, number)` returns what `get` does.

    Args:
        split: a `Split`.
        batches: of a part.
        batch_size: rows in a batch; the last batch of all keeps what is left over.
        shuffle: see `kzoo.data.pipeline.Batches`.
    """

    def __init__(self, split, *, batches, batch_size, shuffle):
        self.split, self.shuffle, self.batches = split, shuffle, max(1, batches)
        self.rows = self.batches * batch_size
        self._held, self._next, self._lock, self._reader = (None, None), (None, None), Lock(), None

    def get(self, epoch, number):
        """Return (x, y, order) of a part: arrays, and the places (N,) in them in the order of the epoch.

        The arrays of the last part are as long as those of the others, so that what is compiled for one takes all: rows
        of zeros that no place names follow its own. The next part is read in the background meanwhile.
        """
        with self._lock:
            if self._held[0] != (epoch, number):
                known, future = self._next
                self._held = (epoch, number), future.result() if known == (epoch, number) else self._read(epoch, number)
                after = (epoch, number + 1) if (number + 1) * self.rows < len(self.split) else (epoch + 1, 0)
                if after[0] == epoch or self.shuffle:
                    self._reader = self._reader or ThreadPoolExecutor(1)
                    self._next = after, self._reader.submit(self._read, *after)
            return self._held[1]


class StoredParts(Parts):
    """Parts of stored rows.

    Shuffled, blocks of rows follow one another in a new order each epoch. A part is a piece of that, of so many batches
    that memory has room for, whose rows are shuffled again.

    Args:
        split: a `Split` of `Stored`.
        batch_size, seed, shuffle: see `kzoo.data.pipeline.Batches`.
    """

    def __init__(self, split, *, batch_size, seed, shuffle):
        self.seed, self.width = seed, split.x.width
        batches = min(_MOST_ROWS, _PART // (4 * self.width)) // batch_size
        super().__init__(split, batches=batches, batch_size=batch_size, shuffle=shuffle)
        self.block = max(1, min(_BLOCK, self.rows // _BLOCKS))

    def _read(self, epoch, number):
        start, stop = number * self.rows, min((number + 1) * self.rows, len(self.split))
        rows, count = np.empty((min(self.rows, len(self.split)), self.width), np.float32), stop - start
        rows[count:] = 0
        if not self.shuffle:
            rows[:count] = read_rows(self.split.x.path, self.width, start, count)
            order = np.arange(count)
        else:
            self._read_blocks(rows, epoch, start, stop)
            order = np.random.default_rng([self.seed, epoch, number]).permutation(count)
        return self.split.x.cut(rows), self.split.y.cut(rows), order

    def _read_blocks(self, rows, epoch, start, stop):
        """Read what lies between two places in the order of the blocks of an epoch."""
        count = -(-len(self.split) // self.block)
        blocks = np.random.default_rng([self.seed, epoch]).permutation(count)
        sizes = np.minimum(self.block, len(self.split) - blocks * self.block)
        ends = np.cumsum(sizes)
        first, last = np.searchsorted(ends, start, side="right"), np.searchsorted(ends, stop, side="left")
        at = 0
        for place in range(first, last + 1):
            begin = int(ends[place] - sizes[place])
            low, high = max(start, begin) - begin, min(stop, int(ends[place])) - begin
            where = int(blocks[place]) * self.block
            rows[at : at + high - low] = read_rows(self.split.x.path, self.width, where + low, high - low)
            at += high - low


class Content:
    """What some files hold: the sha256 of each.

    Names, sizes and times do not tell: a copy can have those of another file, and a file can be rewritten in place. To
    hash a gigabyte takes about .7 s of a processor; to encode as much takes more than 20 times that.

    Args:
        files: their paths.
    """

    def __init__(self, files):
        self.files = [Path(file) for file in files]
        self._stamps = self._stamped()
        self.hashes = self._hashed()

    def changed(self) -> bool:
        """Say whether the files hold something else by now; they are hashed again only if the system saw a change."""
        return self._stamped() != self._stamps and self._hashed() != self.hashes

    def _stamped(self):
        stats = [file.stat() for file in self.files]
        return [(stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns) for stat in stats]

    def _hashed(self):
        digests, total = [hashlib.sha256() for _ in self.files], sum(size for _, size, *_ in self._stamps)
        for place, block in followed(self._blocks(), "hashing the data", total, lambda block: len(block[1])):
            digests[place].update(block)
        return [digest.hexdigest() for digest in digests]

    def _blocks(self):
        for place, file in enumerate(self.files):
            with open(file, "rb") as stream:
                while block := stream.read(_HASHED):
                    yield place, block


def is_any_made(ending: str) -> bool:
    """Say whether anything is stored under a key with this ending."""
    return any((cache_folder() / "data").glob(f"*{ending}/{_ABOUT}"))


def is_made(key) -> bool:
    """Say whether there are rows that are stored under a key."""
    return (cache_folder() / "data" / key / _ABOUT).exists()


@contextmanager
def making(key):
    """Yield the folder that holds what is stored under a key, and the folder in which to make it; None if it is there.

    The second becomes the first when the block ends well, and goes when it does not. A process that is killed meanwhile
    leaves a folder that the next one clears; while one makes it, others wait.

    Raises:
        KzooError: the folder cannot be written.
    """
    whole = cache_folder() / "data" / key
    part = whole.with_name(f"{key}.part")
    if (whole / _ABOUT).exists():
        yield whole, None
        return
    try:
        part.mkdir(parents=True, exist_ok=True)
        lock = _locked(part)
    except OSError as error:
        raise KzooError(
            f"{str(part)!r} cannot be written: {error.strerror}. Set KZOO_CACHE to another folder."
        ) from None
    try:
        if (whole / _ABOUT).exists():  # another process was faster
            yield whole, None
            return
        part.mkdir(exist_ok=True)
        for left in part.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
        yield whole, part
        os.replace(part, whole)
        sync_folder(whole.parent)
    except OSError as error:
        shutil.rmtree(part, ignore_errors=True)
        raise KzooError(f"{str(part)!r} cannot be written: {error.strerror}.") from None
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    finally:
        if lock is not None:
            os.close(lock)


def _locked(folder):
    """Wait until no other process makes what belongs into a folder; None where the system has no such locks."""
    try:
        fcntl = import_module("fcntl")
    except ImportError:
        return None
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another process encodes the same data: waiting for it.", file=sys.stderr)
            fcntl.flock(handle, fcntl.LOCK_EX)
    except OSError:  # a file system without locks
        os.close(handle)
        return None
    return handle


def check_room(folder, size):
    """Raise `KzooError` where a disk lacks room for so many bytes."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise KzooError(
            f"{in_bytes(size)} are to be written to {str(folder)!r}, and its disk has {in_bytes(free)} left: make "
            "room, or set KZOO_CACHE to a folder on another disk."
        )


def write_about(folder, about):
    """Write what is known of stored rows; it comes last, and makes them whole."""
    write_json(folder / _ABOUT, about)


def read_about(folder) -> dict:
    """Return what `write_about` wrote.

    Raises:
        KzooError: it cannot be read.
    """
    try:
        return read_json(folder / _ABOUT)
    except (OSError, ValueError):
        raise KzooError(f"{str(folder)!r} is damaged: remove it, and it is made again.") from None
