"""`StoredColumns`: inputs of a table larger than memory, which are encoded piece by piece (see `encoding.py`).

Which categories are the most frequent, and in which columns cells are missing, is known once all rows have been read.
Until then a column is stored as numbers with NaN for missing cells, as numbers of categories in order of appearance,
or as ids of texts.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import numpy as np

from kzoo.data.inputs.rows.column_kind import MAX_CATEGORIES, missing_categories
from kzoo.inference.kinds.rows.inference import (
    cells_of,
    check_readable,
    feature_names,
    fill_missing,
    in_table,
    missing_note,
    text_ids,
    unread_note,
)
from kzoo.inference.tables.arrow import Piece
from kzoo.inference.tables.values import MISSING, Column, Texts, category_word, to_words
from kzoo.inference.tables.zones import zone_notes
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.errors import KzooError

MAX_COUNTED_CATEGORIES = 100_000  # per column
_SHOWN = 3  # unreadable cells in a message


class StoredColumns:
    """The input columns of a table and of those of other splits, stored piece by piece.

    Args:
        columns: the columns, learned on a sample.
        zones: name -> time zone of each column of dates.
        file: see `missing_categories`.
        parts: the splits that are tables of their own.

    Attributes:
        columns: the learned columns; once `finish` was called, with what is known of all rows.
        width: number of values of a stored row.
        numbers: number of the first features that are numbers, once `finish` was called.
    """

    def __init__(
        self,
        columns: Sequence[LearnedColumn],
        zones: Mapping[str, str],
        *,
        file: bool,
        parts: Collection[str],
    ) -> None:
        self.columns = list(columns)
        self.width = sum(map(_width, columns))
        self._zones = zones
        self._categories = {
            column["name"]: CategoryCounts(column["values"], missing_categories(file))
            for column in columns
            if column["kind"] == "category"
        }
        self._stored_codes: dict[str, np.ndarray] = {}
        self._incomplete: set[str] = set()
        # by (split of another table or None, name of the column)
        self._parts = (None, *parts)
        self._missing: Counter[tuple[str | None, str]] = Counter()
        self._unread: Counter[tuple[str | None, str]] = Counter()
        self._examples: defaultdict[tuple[str | None, str], list[tuple[int, object]]] = defaultdict(
            list
        )
        self._minutes: defaultdict[tuple[str | None, str], set[float]] = defaultdict(set)

    def encode(
        self, piece: Piece, indices: np.ndarray, train: np.ndarray, part: str | None = None
    ) -> list[np.ndarray]:
        """Return the values of rows to store, arrays (N,) or (N, ids of a text), and count their cells.

        Args:
            piece: the rows.
            indices: (N,) their indices in the table.
            train: (N,) which are training rows.
            part: the split, if the table is one of its own.
        """
        return [
            feature
            for column in self.columns
            for feature in self._features(column, piece, indices, train, part)
        ]

    def _features(
        self,
        column: LearnedColumn,
        piece: Piece,
        indices: np.ndarray,
        train: np.ndarray,
        part: str | None,
    ) -> list[np.ndarray]:
        name = column["name"]
        key = (part, name)
        missing = piece.table.column(name).null_count
        unread = {name: np.empty(0, int)}
        if column["kind"] == "text":
            features = [text_ids(column, piece)]
        elif column["kind"] == "category":
            categories = self._categories[name]
            features = [categories.codes_of(piece[name], train)]
            if part is not None:
                unread[name] = np.flatnonzero(features[0] > categories.known)
        else:
            cells = cells_of(column | {"zone": self._zones.get(name)}, piece, unread)
            is_missing = np.isnan(cells[0])
            missing = int(is_missing.sum()) - len(unread[name])
            if is_missing[train].any():
                self._incomplete.add(name)
            if part is not None and column["kind"] == "date":
                minutes = piece.minutes(name, column.get("day_first", False))[~is_missing]
                self._minutes[key].update(np.unique(minutes).tolist())
            features = [float32_of(name, values, indices) for values in cells]
        self._missing[key] += missing
        self._unread[key] += len(unread[name])
        examples = self._examples[key]
        examples += [
            (int(indices[row]), piece[name][row]) for row in unread[name][: _SHOWN - len(examples)]
        ]
        return features

    def end_table(self) -> dict[str, Collection[str]]:
        """Note which categories the table has, after its last row: others are not known in the tables of splits.

        Returns:
            name -> the words of `MISSING` that are categories of a column.
        """
        for counts in self._categories.values():
            counts.known = len(counts.codes)
        return {
            name: MISSING.intersection(counts.codes) for name, counts in self._categories.items()
        }

    def check_part(self, part: str, rows: int) -> Iterator[str]:
        """Yield notes on missing and unknown cells of the table of a split.

        Args:
            part: the split.
            rows: number of its rows.

        Raises:
            KzooError: most cells of a column cannot be read.
        """
        for column in self.columns:
            name = column["name"]
            missing = self._missing[part, name]
            unread = self._unread[part, name]
            examples = self._examples[part, name]
            if column["kind"] == "category" and 2 * unread > rows:
                yield unread_note(name, "category", unread, rows, examples)
            if column["kind"] in ("number", "date"):
                with in_table(part):
                    check_readable(column, unread, rows - missing, examples)
                if name not in self._incomplete:
                    yield from missing_note(name, missing, rows)

    def zone_notes_of(self, part: str) -> Iterator[str]:
        """Yield notes on times of the table of a split whose zone is not that of the training rows."""
        for name, zone in self._zones.items():
            yield from zone_notes(name, zone, np.array(list(self._minutes[part, name])))

    def finish(self, notes: list[str]) -> list[LearnedColumn]:
        """Return the columns with the categories and missing cells of all rows, and add notes on the categories."""
        for index, column in enumerate(self.columns):
            name = column["name"]
            if column["kind"] in ("number", "date"):
                self.columns[index] = column | {"missing": name in self._incomplete}
            if column["kind"] != "category":
                continue
            counts = self._categories[name]
            values = counts.most_frequent()
            self.columns[index] = column | {"values": values}
            self._stored_codes[name] = counts.stored_codes(values)
            if counts.is_full:
                notes.append(
                    f"Column {name!r} has more than {MAX_COUNTED_CATEGORIES:,} categories; those that appear later "
                    "count as unknown."
                )
            elif counts.distinct_count > MAX_CATEGORIES:
                notes[:] = [note for note in notes if not note.startswith(f"Column {name!r} has ")]
                notes.append(
                    f"Column {name!r} has {counts.distinct_count} categories; only the {MAX_CATEGORIES} most frequent "
                    "are used."
                )
        codes = len(self._categories) + sum(column.get("length", 0) for column in self.columns)
        self.numbers = len(feature_names(self.columns)) - codes
        return self.columns

    def features_of(self, rows: np.ndarray) -> np.ndarray:
        """Return the features (N, F) of stored rows (N, width), after `finish`."""
        features: list[np.ndarray] = []
        position = 0
        for column in self.columns:
            cells = list(rows[:, position : position + _width(column)].T)
            position += len(cells)
            if column["kind"] == "category":
                cells = [self._stored_codes[column["name"]][cells[0].astype(np.int64)]]
            elif column["kind"] != "text":
                cells = fill_missing(column, cells)
            features += cells
        return np.stack(features, axis=1, dtype=np.float32, casting="same_kind")

    def missing(self, name: str) -> int:
        """Return the number of missing cells of a column, in all tables."""
        return sum(self._missing[part, name] for part in self._parts)

    def unread(self) -> dict[str, tuple[int, list[tuple[int, object]]]]:
        """Return name -> (count, first ones: (row, cell)) of unreadable cells of numbers and dates, in all tables."""
        return {
            name: (
                count,
                [cell for part in self._parts for cell in self._examples[part, name]][:_SHOWN],
            )
            for name in (c["name"] for c in self.columns if c["kind"] in ("number", "date"))
            if (count := sum(self._unread[part, name] for part in self._parts))
        }


class CategoryCounts:
    """The categories of a column, numbered from 1 in order of appearance, and their counts in the training rows.

    Args:
        categories: those of the sample.
        missing: words that are missing values.

    Attributes:
        codes: category -> number.
        known: number of categories of the table itself; those after them are of the tables of other splits.
        is_full: whether categories were ignored because there are more than `MAX_COUNTED_CATEGORIES`.
    """

    def __init__(self, categories: Iterable[str], missing: Collection[str]) -> None:
        self.codes = {category: code for code, category in enumerate(categories, start=1)}
        self.missing = missing
        self.known = len(self.codes)
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


def _width(column: LearnedColumn) -> int:
    """Return the number of stored values of a column."""
    return column.get("length", len(column.get("medians", " ")))


def float32_of(name: str, values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Return numbers of a column (N,) as float32.

    Args:
        indices: (N,) of the rows in the table.

    Raises:
        KzooError: a number exceeds the range of float32.
    """
    with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused next
        converted = values.astype(np.float32)
    if (infinite := np.flatnonzero(np.isinf(converted))).size:
        row = int(infinite[0])
        raise KzooError(
            f"Column {name!r} contains {values[row]:g} in row {indices[row] + 1}, which exceeds the range of "
            "float32. Exclude the column or scale it."
        )
    return converted
