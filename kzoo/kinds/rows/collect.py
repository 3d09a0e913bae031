"""What is gathered of a table that is read piece by piece: a sample, counts, extents, and its rows in another order."""

import numpy as np

from kzoo.kinds.rows.columns import MOST_CATEGORIES
from kzoo.sources.tables.arrow import arrow, mixed
from kzoo.sources.tables.values import Texts, to_words, word_of
from kzoo.storage.progress import followed
from kzoo.tasks.values.inference import Extent

MOST_SAMPLED = 200_000  # rows of a sample
_SAMPLE_BYTES, _FEWEST = 128 << 20, 2_000  # which are fewer where they are wide
MOST_DIFFERENT = 100_000  # categories of a column that are counted
_BUCKET, _MOST_BUCKETS = 32 << 20, 256  # bytes that are shuffled at once; files that are open at once


class TablePieces:
    """The pieces of a table, each with the place of its first row, and how many rows they have.

    Args:
        pieces: what reads it.
    """

    def __init__(self, pieces):
        self.source = pieces
        self.rows = None  # once they have been counted

    def pieces(self, what):
        """Yield (place of its first row, table) of each piece; who watches sees how far that is."""
        return followed(self._placed(), f"{self.source.name}: {what}", self.rows, lambda piece: piece[1].num_rows)

    def _placed(self):
        first = 0
        for piece in self.source:
            yield first, piece.table
            first += len(piece)
        self.rows = first


class Sample:
    """A uniform sample of rows: those whose places come to the least numbers when they are mixed."""

    def __init__(self, seed):
        self.seed, self.most, self.limit = np.uint64(seed % 2**64), None, None
        self.tables, self.places, self.held = [], [], 0

    def _ranks(self, places):
        with np.errstate(over="ignore"):
            return mixed(mixed(places.astype(np.uint64)) ^ mixed(np.full(1, self.seed) + np.uint64(11)))

    def add(self, table, places):
        if not table.num_rows:
            return
        if self.most is None:
            fit = _SAMPLE_BYTES * table.num_rows // max(table.nbytes, 1)
            self.most = int(np.clip(fit, _FEWEST, MOST_SAMPLED))
        if self.limit is not None:
            kept = self._ranks(places) <= self.limit
            table, places = table.filter(kept), places[kept]
        self.tables.append(table)
        self.places.append(places)
        self.held += len(places)
        if self.held > 2 * self.most:
            self._thin()

    def _thin(self):
        pa, places = arrow(), np.concatenate(self.places)
        ranks = self._ranks(places)
        order = np.argpartition(ranks, self.most - 1)[: self.most] if len(ranks) > self.most else np.arange(len(ranks))
        self.limit = ranks[order].max() if len(ranks) > self.most else self.limit
        order.sort()
        self.tables = [pa.concat_tables(self.tables).take(order).combine_chunks()]
        self.places, self.held = [places[order]], len(order)

    def taken(self):
        """Return the rows in their order, and their places."""
        self._thin()
        order = np.argsort(self.places[0], kind="stable")
        self.tables, self.places = [self.tables[0].take(order)], [self.places[0][order]]
        return self.tables[0], self.places[0]


class CategoryCounts:
    """The categories of a column, numbered from 1 as they come, and counted over the training rows."""

    def __init__(self, words):
        self.codes = {word: code for code, word in enumerate(words, start=1)}
        self.counts, self.full = np.zeros(1024, np.int64), False

    def codes_of(self, values, train):
        """Return the number of each cell (N,), 0 for none; `train` says which of them are training rows."""
        if isinstance(values, Texts):
            found = values.each([self._code(word_of(text)) for text in values.different], 0, np.int64)
        else:
            found = np.array([0 if word is None else self._code(word) for word in to_words(values)], np.int64)
        if len(self.codes) >= len(self.counts):
            self.counts = np.concatenate([self.counts, np.zeros(len(self.codes) + 1, np.int64)])
        self.counts += np.bincount(found[train], minlength=len(self.counts))
        return found

    def _code(self, word):
        code = self.codes.get(word)
        if code is None:
            if len(self.codes) >= MOST_DIFFERENT:
                self.full = True
                return 0
            code = self.codes[word] = len(self.codes) + 1
        return code

    @property
    def different(self):
        """How many the training rows have."""
        return int(np.count_nonzero(self.counts[1:]))

    def best(self):
        """Return those that count, as a reader stores them."""
        seen = {word: self.counts[code] for word, code in self.codes.items() if self.counts[code]}
        return sorted(sorted(seen, key=lambda word: (-seen[word], word))[:MOST_CATEGORIES])

    def numbered(self, values):
        """Return the code of a stored reader for each number that `codes_of` gave."""
        table, codes = np.zeros(len(self.codes) + 1, np.float32), {word: n for n, word in enumerate(values, start=1)}
        for word, code in self.codes.items():
            table[code] = codes.get(word, 0)
        return table


class Buckets:
    """Files, to each of which some rows of a split go, drawn by their places: each fits into memory."""

    def __init__(self, folder, shares, count, width, seed, opened):
        self.folder, self.width, self.opened = folder, width, opened
        self.seed = np.uint64(seed % 2**64)
        wanted = [-(-int(share * count * width * 4) // _BUCKET) for share in shares]
        fewer = min(1, _MOST_BUCKETS / max(sum(wanted), 1))
        self.counts = np.array([max(1, int(number * fewer)) for number in wanted])
        self.first = np.cumsum(self.counts) - self.counts
        self.handles = {}

    def add(self, rows, places, parts):
        """Add rows (N, width) that have these places and belong to these splits."""
        with np.errstate(over="ignore"):
            drawn = mixed(mixed(places.astype(np.uint64) + np.uint64(3)) ^ (self.seed + np.uint64(5)))
        bucket = self.first[parts] + (drawn % self.counts[parts].astype(np.uint64)).astype(np.int64)
        order = np.argsort(bucket, kind="stable")
        ends = np.flatnonzero(np.diff(bucket[order])) + 1
        for group in np.split(order, ends):
            self._handle(int(bucket[group[0]])).write(np.ascontiguousarray(rows[group]).data)

    def _handle(self, number):
        if number not in self.handles:
            path = self.folder / f"{number}.bucket"
            self.handles[number] = self.opened.enter_context(path.open("ab"))
        return self.handles[number]

    def files(self, part):
        """Return those of a split that hold anything."""
        first = self.first[part]
        paths = (self.folder / f"{number}.bucket" for number in range(first, first + self.counts[part]))
        return [path for path in paths if path.exists()]

    def take(self, path):
        """Return the rows of one (N, width), which is then gone."""
        rows = np.fromfile(path, np.float32).reshape(-1, self.width)
        path.unlink()
        return rows


class ColumnMoments:
    """Mean, deviation, least and largest of columns, over blocks of rows (doi:10.2307/2683386)."""

    def __init__(self):
        self.count = 0

    def add(self, block):
        if not len(block):
            return
        values = block.astype(np.float64)
        mean, low, high = values.mean(axis=0), values.min(axis=0), values.max(axis=0)
        squares, count = ((values - mean) ** 2).sum(axis=0), len(values)
        if not self.count:
            self.mean, self.squares, self.low, self.high = mean, squares, low, high
        else:
            apart, total = mean - self.mean, self.count + count
            self.mean = self.mean + apart * count / total
            self.squares = self.squares + squares + apart**2 * self.count * count / total
            self.low, self.high = np.minimum(self.low, low), np.maximum(self.high, high)
        self.count += count

    def extent(self) -> Extent:
        sd = np.sqrt(self.squares / self.count)
        sd = np.where(sd <= 1e-9 * np.maximum(1e-30, np.abs(self.mean)), 1.0, sd)
        return Extent(self.mean, sd, self.low, self.high)
