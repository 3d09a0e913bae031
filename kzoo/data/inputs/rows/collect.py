"""Parts of reading a table in pieces: a sample, moments of columns, and buckets of shuffled rows."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from kzoo.data.store.progress import track_progress
from kzoo.data.tables.frame import as_frame
from kzoo.inference.tables.arrow import (
    Piece,
    Table,
    TablePieces,
    arrow,
    mix_bits,
    normalize_table,
)
from kzoo.inference.tables.files import is_table, pieces_of
from kzoo.inference.tables.raw import TableSource
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import of_pandas

if TYPE_CHECKING:
    from pandas import DataFrame

_FRAME_PIECE_ROWS = 50_000  # of a DataFrame
MAX_SAMPLE_ROWS = 200_000  # if they are narrow enough, see below
_SAMPLE_BYTES = 128 << 20  # a sample of wide rows has fewer of them
_MIN_SAMPLE_ROWS = 2_000
_BUCKET_BYTES = 32 << 20  # shuffled at once; open files
_MAX_BUCKETS = 256


def numbered_pieces(
    source: TablePieces, description: str, rows: int | None = None
) -> Iterator[tuple[int, Table]]:
    """Yield (index of the first row, table) of each piece of a table, and report progress.

    Args:
        source: the reader of the table, which yields pieces.
        description: of what is done with them.
        rows: their number, if it is known.
    """

    def pieces() -> Iterator[tuple[int, Table]]:
        first = 0
        for piece in source:
            yield first, piece.table
            first += len(piece)

    return track_progress(
        pieces(), f"{source.name}: {description}", rows, lambda piece: piece[1].num_rows
    )


def pieces_of_part(part: str, source: TableSource) -> TablePieces:
    """Return the pieces of the table of another split: a DataFrame, or the path of a table."""
    if of_pandas(source, "DataFrame"):
        return _FramePieces(source, part)
    if not is_table(source):
        raise KzooError(
            "is not a table. Pass a DataFrame or the path of a table file.",
            argument=part,
            value=source,
        )
    pieces = pieces_of(source)
    return _FramePieces(as_frame(source), part) if pieces is None else pieces


class _FramePieces:
    """A DataFrame with the data of another split, read in pieces."""

    notes: Sequence[str] = ()
    decimal: str | None = None
    written = False

    def __init__(self, frame: "DataFrame", part: str) -> None:
        self.table = frame
        self.names = [str(column).strip() for column in frame.columns]
        self.name = part
        # always empty: its cells have types, and no word means a missing value
        self.kept: Mapping[str, Collection[str]] = {}
        self.words: dict[str, set[str]] = {}

    def __iter__(self) -> Iterator[Piece]:
        for start in range(0, len(self.table), _FRAME_PIECE_ROWS):
            rows = self.table.iloc[start : start + _FRAME_PIECE_ROWS].set_axis(self.names, axis=1)
            yield Piece(
                normalize_table(arrow().Table.from_pandas(rows, preserve_index=False), self.name)
            )

    def frame(self, table: Table, text: Collection[str] = ()) -> "DataFrame":
        """Return a piece as a DataFrame."""
        return table.to_pandas()


class Sample:
    """A uniform sample of rows: those with the smallest hash of their index.

    It does not depend on how the table is cut into pieces.
    """

    def __init__(self, seed: int) -> None:
        self.seed = np.uint64(seed % 2**64)
        self.max_rows = 0  # until the first rows show how wide they are
        self.max_rank: np.uint64 | None = None
        self.tables: list[Table] = []
        self.indices: list[np.ndarray] = []
        self.count = 0

    def _ranks(self, indices: np.ndarray) -> np.ndarray:
        """Return a pseudorandom rank (N,) of each row index; the lowest are sampled."""
        with np.errstate(over="ignore"):
            return mix_bits(
                mix_bits(indices.astype(np.uint64))
                ^ mix_bits(np.full(1, self.seed) + np.uint64(11))
            )

    def add(self, table: Table, indices: np.ndarray) -> None:
        """Add the rows of a table that has these row indices (N,)."""
        if not table.num_rows:
            return
        if not self.max_rows:
            fit = _SAMPLE_BYTES * table.num_rows // max(table.nbytes, 1)
            self.max_rows = int(np.clip(fit, _MIN_SAMPLE_ROWS, MAX_SAMPLE_ROWS))
        if self.max_rank is not None:
            selected = self._ranks(indices) <= self.max_rank
            table = table.filter(selected)
            indices = indices[selected]
        self.tables.append(table)
        self.indices.append(indices)
        self.count += len(indices)
        # Thinned only at twice the size, so that a row is moved few times.
        if self.count > 2 * self.max_rows:
            self._thin()

    def _thin(self) -> None:
        """Keep the `max_rows` rows of the lowest rank, in the order in which they were added."""
        pa = arrow()
        indices = np.concatenate(self.indices)
        ranks = self._ranks(indices)
        order = (
            np.argpartition(ranks, self.max_rows - 1)[: self.max_rows]
            if len(ranks) > self.max_rows
            else np.arange(len(ranks))
        )
        self.max_rank = ranks[order].max() if len(ranks) > self.max_rows else self.max_rank
        order.sort()
        self.tables = [pa.concat_tables(self.tables).take(order).combine_chunks()]
        self.indices, self.count = [indices[order]], len(order)

    def finish(self) -> tuple[Table, np.ndarray]:
        """Return the sampled rows in the order of the table, and their row indices."""
        self._thin()
        order = np.argsort(self.indices[0], kind="stable")
        self.tables = [self.tables[0].take(order)]
        self.indices = [self.indices[0][order]]
        return self.tables[0], self.indices[0]


class Buckets:
    """Files that the rows of each split are randomly distributed to. One bucket fits into memory.

    Args:
        folder: where the files are written.
        shares: approximate share of the rows in each split.
        count, width: number of rows and of float32 values per row.
        seed: random seed.
        exit_stack: `ExitStack` that closes the files.
    """

    def __init__(
        self,
        folder: Path,
        shares: Iterable[float],
        count: int,
        width: int,
        seed: int,
        exit_stack: ExitStack,
    ) -> None:
        self.folder, self.width, self.exit_stack = folder, width, exit_stack
        self.seed = np.uint64(seed % 2**64)
        # Buckets per split, rounded up; fewer and larger ones if too many files would be open.
        needed = [-(-int(share * count * width * 4) // _BUCKET_BYTES) for share in shares]
        scale = min(1, _MAX_BUCKETS / max(sum(needed), 1))
        self.counts = np.array([max(1, int(number * scale)) for number in needed])
        self.first_file = np.cumsum(self.counts) - self.counts
        self.handles: dict[int, BinaryIO] = {}

    def add(self, rows: np.ndarray, indices: np.ndarray, splits: np.ndarray) -> None:
        """Append rows (N, width) with these row indices (N,) to buckets of their splits (N,)."""
        with np.errstate(over="ignore"):
            random_numbers = mix_bits(
                mix_bits(indices.astype(np.uint64) + np.uint64(3)) ^ (self.seed + np.uint64(5))
            )
        numbers = self.first_file[splits] + (
            random_numbers % self.counts[splits].astype(np.uint64)
        ).astype(np.int64)
        order = np.argsort(numbers, kind="stable")
        ends = np.flatnonzero(np.diff(numbers[order])) + 1
        for group in np.split(order, ends):
            self._handle(int(numbers[group[0]])).write(np.ascontiguousarray(rows[group]).data)

    def _handle(self, number: int) -> BinaryIO:
        """Return the open file of a bucket."""
        if number not in self.handles:
            path = self.folder / f"{number}.bucket"
            self.handles[number] = self.exit_stack.enter_context(path.open("ab"))
        return self.handles[number]

    def files(self, split: int) -> list[Path]:
        """Return the paths of the buckets of a split that contain rows."""
        first = self.first_file[split]
        paths = (
            self.folder / f"{number}.bucket" for number in range(first, first + self.counts[split])
        )
        return [path for path in paths if path.exists()]

    def take(self, path: Path) -> np.ndarray:
        """Return the rows (N, width) of a bucket, and delete its file."""
        rows = np.fromfile(path, np.float32).reshape(-1, self.width)
        path.unlink()
        return rows


class ColumnMoments:
    """Mean, standard deviation, minimum and maximum of columns, updated block by block (doi:10.2307/2683386).

    With row weights, `count` is their sum.
    """

    def __init__(self) -> None:
        self.count = 0

    def add(self, block: np.ndarray, weight: np.ndarray | None = None) -> None:
        """Update the moments with a block (rows, columns), whose rows have weights (rows,) or count equally."""
        if not len(block):
            return
        values = block.astype(np.float64)
        low, high = values.min(axis=0), values.max(axis=0)
        if weight is None:
            mean = values.mean(axis=0)
            count = len(values)
            squares = ((values - mean) ** 2).sum(axis=0)
        else:
            weight = weight.astype(np.float64)
            mean = np.average(values, axis=0, weights=weight)
            count = weight.sum()
            squares = weight @ (values - mean) ** 2
        if not self.count:
            self.mean = mean
            self.squares = squares
            self.low = low
            self.high = high
        else:
            # Merge the moments of two samples (Chan, Golub and LeVeque).
            difference = mean - self.mean
            total = self.count + count
            self.mean = self.mean + difference * count / total
            self.squares = self.squares + squares + difference**2 * self.count * count / total
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.count += count

    def extent(self) -> ColumnStatistics:
        """Return the moments of all rows added so far; a standard deviation of zero counts as 1."""
        sd = np.sqrt(self.squares / self.count)
        sd = np.where(sd <= 1e-9 * np.maximum(1e-30, np.abs(self.mean)), 1.0, sd)
        return ColumnStatistics(self.mean, sd, self.low, self.high)
