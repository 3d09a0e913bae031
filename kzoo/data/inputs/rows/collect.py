"""Parts of reading a table in pieces: a sample, category counts, moments of columns, and buckets of shuffled rows."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from kzoo.data.inputs.rows.column_kind import MAX_CATEGORIES
from kzoo.data.store.progress import track_progress
from kzoo.inference.tables.arrow import Table, arrow, mix_bits
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import Column, Texts, category_word, to_words
from kzoo.inference.tasks.values import ColumnStatistics

MAX_SAMPLE_ROWS = 200_000  # if they are narrow enough, see below
_SAMPLE_BYTES = 128 << 20  # a sample of wide rows has fewer of them
_MIN_SAMPLE_ROWS = 2_000
MAX_COUNTED_CATEGORIES = 100_000  # per column
_BUCKET_BYTES = 32 << 20  # shuffled at once; open files
_MAX_BUCKETS = 256
SHOWN = 3  # unreadable cells in a message


def numbered_pieces(
    source: Any, description: str, rows: int | None = None
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


class CellCounts:
    """Missing and unreadable cells of the columns of a table, counted piece by piece.

    Attributes:
        missing, unread: name -> number of missing cells, of unreadable cells or unknown categories.
        examples: name -> the first of the latter: (row, cell).
        minutes: name -> the different offsets from UTC of a column of dates.
    """

    def __init__(self) -> None:
        self.missing: Counter[str] = Counter()
        self.unread: Counter[str] = Counter()
        self.examples: defaultdict[str, list[tuple[int, Table]]] = defaultdict(list)
        self.minutes: defaultdict[str, set[float]] = defaultdict(set)

    def add(
        self, name: str, rows: Rows, missing: int, unread: np.ndarray, indices: np.ndarray
    ) -> None:
        """Count cells of a column.

        Args:
            name: of the column.
            rows: some rows of the table.
            missing: number of missing cells.
            unread: which of the rows have an unreadable cell.
            indices: (N,) indices of the rows in the table.
        """
        self.missing[name] += missing
        self.unread[name] += len(unread)
        examples = self.examples[name]
        examples += [
            (int(indices[row]), rows[name][row]) for row in unread[: SHOWN - len(examples)]
        ]


class CategoryCounts:
    """The categories of a column, numbered from 1 in order of appearance, and their counts in the training rows.

    Args:
        categories: those of the sample.
        missing: words that are missing values.

    Attributes:
        codes: category -> number.
        is_full: whether categories were ignored because there are more than `MAX_COUNTED_CATEGORIES`.
    """

    def __init__(self, categories: Iterable[str], missing: Collection[str]) -> None:
        self.codes = {category: code for code, category in enumerate(categories, start=1)}
        self.missing = missing
        self.counts = np.zeros(1024, np.int64)
        self.is_full = False

    def codes_of(self, values: Column, train: np.ndarray) -> np.ndarray:
        """Return the number of the category in each cell (N,), 0 for none. `train` masks the training rows."""
        if isinstance(values, Texts):
            codes = values.each(
                [self._code(category_word(text)) for text in values.different], 0, np.int64
            )
        else:
            codes = np.array(
                [0 if word is None else self._code(word) for word in to_words(values)], np.int64
            )
        if len(self.codes) >= len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(len(self.codes) + 1, np.int64)])
        self.counts += np.bincount(codes[train], minlength=len(self.counts))
        return codes

    def _code(self, category: str) -> int:
        """Return the number of a category; a new category gets the next one, or 0 if there are too many."""
        code = self.codes.get(category)
        if code is None and category in self.missing:
            return 0
        if code is None:
            if len(self.codes) >= MAX_COUNTED_CATEGORIES:
                self.is_full = True
                return 0
            code = self.codes[category] = len(self.codes) + 1
        return code

    @property
    def distinct_count(self) -> int:
        """The number of categories in the training rows."""
        return int(np.count_nonzero(self.counts[1:]))

    def most_frequent(self) -> list[str]:
        """Return the most frequent categories, sorted, as a preprocessor stores them."""
        counts = {
            category: self.counts[code]
            for category, code in self.codes.items()
            if self.counts[code]
        }
        return sorted(
            sorted(counts, key=lambda category: (-counts[category], category))[:MAX_CATEGORIES]
        )

    def stored_codes(self, categories: Iterable[str]) -> np.ndarray:
        """Return an array that maps the numbers of `codes_of` to the codes of these stored categories, 0 if unknown."""
        codes = {category: code for code, category in enumerate(categories, start=1)}
        stored_codes = np.zeros(len(self.codes) + 1, np.float32)
        for category, number in self.codes.items():
            stored_codes[number] = codes.get(category, 0)
        return stored_codes


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
