"""Encoding of new rows piece by piece, for tables of which only a piece is in memory. NumPy; pyarrow by name."""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.kinds.rows import inference
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import MISSING, Texts, plain, texts_in
from kzoo.problems.preprocessors import LearnedColumn, TablePreprocessor

if TYPE_CHECKING:
    from collections.abc import Collection

    from kzoo.inference.tables.arrow import Piece, Table, TablePieces

_SHOWN = 3  # unreadable cells of a column that are kept for messages
_MOST_DATES = 1_000_000  # different texts of a date column that decide the order of day and month


class PieceEncoder:
    """Encodes the pieces of one table as `inference.encode_new_rows` encodes the whole.

    What depends on all rows is found before the first piece is encoded (the order of day and month in texts), or
    checked after the last one (unreadable cells).

    Args:
        reader: the preprocessor.
        pieces: the table.
        keep: names of columns that the predictions carry, whose cells stay as written.

    Raises:
        KzooError: a column is missing.
    """

    def __init__(
        self, reader: TablePreprocessor, pieces: "TablePieces", keep: Sequence[str] = ()
    ) -> None:
        columns: Sequence[LearnedColumn] = reader["columns"]
        inference.check_columns(columns, Rows(dict.fromkeys(pieces.names, ())))
        words: dict[str, Collection[str]] = {
            column["name"]: inference.missing_value_categories(column)
            for column in columns
            if column["kind"] == "category"
        }
        # A column that is both: its words are kept in the table, and removed for the model.
        self._removed = (
            {
                column["name"]: MISSING - set(words.get(column["name"], ())) - {""}
                for column in columns
                if column["name"] in keep
            }
            if pieces.written
            else {}
        )
        pieces.kept = {**words, **dict.fromkeys(keep, MISSING - {""})} if pieces.written else {}
        self.rows = 0
        self.notes: list[str] = []
        self.unread: Counter[str] = Counter()
        self.missing: Counter[str] = Counter()
        self.cells: dict[str, list[tuple[int, Any]]] = {}
        self._learned = columns
        self._columns = self._with_date_formats(reader, pieces)

    def _with_date_formats(
        self, reader: TablePreprocessor, pieces: "TablePieces"
    ) -> list[LearnedColumn]:
        """Return the learned columns with the order of day and month, and the zone, of all rows."""
        dates = [column["name"] for column in self._learned if column["kind"] == "date"]
        first = next(iter(pieces), None) if dates else None
        if first is None:
            return inference.with_date_formats(reader, Rows({}), self.notes)
        columns: dict[str, Any] = {name: first[name] for name in dates}
        texts: dict[str, dict[str, None]] = {
            name: {} for name, column in columns.items() if isinstance(column, Texts)
        }
        for piece in pieces if texts else ():
            for name, different in texts.items():
                if len(different) < _MOST_DATES:
                    different |= dict.fromkeys(texts_in(piece[name]))
        columns |= {
            name: plain_texts(list(different)) if different else plain([None])
            for name, different in texts.items()
        }
        return inference.with_date_formats(reader, Rows(columns), self.notes)

    def encode(self, piece: "Piece") -> np.ndarray:
        """Return the rows of a piece as numbers, float32 (N, F)."""
        piece = self._of_model(piece)
        unread: dict[str, np.ndarray] = {}
        missing: dict[str, int] = {}
        x = inference.apply_columns(self._columns, piece, unread, missing)
        for name, indices in unread.items():
            if not len(indices):
                continue
            self.unread[name] += len(indices)
            cells = self.cells.setdefault(name, [])
            values = piece[name]
            cells += [(self.rows + int(row), values[row]) for row in indices[: _SHOWN - len(cells)]]
        self.missing.update(missing)
        self.rows += len(piece)
        return x

    def _of_model(self, piece: "Piece") -> "Piece":
        """Return a piece in which words for missing values are missing, which kept columns have as written."""
        if not self._removed:
            return piece
        table: Table = piece.table
        arrow_module = import_module("kzoo.inference.tables.arrow")
        compute = arrow_module.arrow("pyarrow.compute")
        for name, words in self._removed.items():
            column = table.column(name)
            is_word = compute.is_in(column, value_set=arrow_module.arrow().array(sorted(words)))
            if compute.any(is_word).as_py():
                index = table.schema.get_field_index(name)
                table = table.set_column(index, name, compute.if_else(is_word, None, column))
        return type(piece)(table, piece.decimal)

    def finish(self) -> None:
        """Check the cells of all pieces.

        Raises:
            KzooError: most cells of a column are unreadable, which they were not in training.
        """
        for column in self._learned:
            if (name := column["name"]) in self.missing:
                inference.check_readable(
                    column,
                    self.unread[name],
                    self.rows - self.missing[name],
                    self.cells.get(name, []),
                )


def plain_texts(texts: list[str]) -> Texts:
    """Return a column with each of some texts once."""
    return Texts(texts, np.arange(len(texts), dtype=np.int32))


def notes_of(
    reader: TablePreprocessor,
    rows: int,
    unread: Mapping[str, int],
    missing: Mapping[str, int],
    cells: Mapping[str, Sequence[tuple[int, Any]]],
) -> list[str]:
    """Return notes about the cells of many tables: unreadable ones, and those that are missing.

    Args:
        reader: the preprocessor.
        rows: number of rows of all tables.
        unread, missing: name of a column -> number of these cells.
        cells: name of a column -> the first unreadable ones: (row, value).
    """
    notes = []
    for column in reader["columns"]:
        name = column["name"]
        if column["kind"] not in ("category", "text") and not column["missing"]:
            notes += inference.missing_note(name, missing.get(name, 0), rows)
        if count := unread.get(name, 0):
            notes.append(
                inference.unread_note(
                    name, column["kind"], count, rows, cells.get(name, ()), column.get("writing")
                )
            )
    return notes
