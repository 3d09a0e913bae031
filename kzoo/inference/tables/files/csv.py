"""CSV files: separator and decimal sign are detected; training and new rows get the same cells.

All readers follow one rule: a cell of `MISSING` is a missing value, unless it is a known category of its column; a row
may be shorter than the header but not longer, and columns get the names that pandas gives. Training uses the reader of
pandas, which guesses a type for each column that is not requested as text; columns of text are parsed by
`kzoo.inference.tables.values`. New rows need no guess, because training has learned the type of each column: their
cells stay text and are parsed by the same rules. `tests/data/test_rows.py` checks that both readers agree. Every type
of file that is turned into such a text (see `kzoo.inference.tables.written`) is read here too.
"""

import csv
import io
import re
import sys
from collections import deque
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.sources.arrays import check_count
from kzoo.inference.sources.files import TextFile, decode_text, read_bytes
from kzoo.inference.tables.arrow import Piece, Table, arrow
from kzoo.inference.tables.numbers import (
    are_ambiguous,
    is_padded,
    is_unambiguous,
    shown_by,
    thousands_beside_integers,
)
from kzoo.inference.tables.partitions import partitions_of
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import MISSING, plain
from kzoo.inference.tables.written import CsvText, most_text, too_long
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown
from kzoo.utils.memory import free_memory
from kzoo.utils.table_path import name_of_table

if TYPE_CHECKING:
    from pandas import DataFrame, Series

SUFFIXES = (".csv", ".tsv")
SEVERAL = True  # `header`, `size` and `Pieces` take several files
_END_MARK = "\0end"
_LINE_END = re.compile(r"\r\n?|\n")
_MAX_NOTES = 20  # notes on duplicate column names
_LINES = 6  # used to detect separator and decimal sign
_FIRST_ROWS = 1000  # rows that are searched first for cells with an unambiguous number
_HEAD = 2**20  # bytes of a file that must hold the header
_MEMORY_FACTOR = 5.0  # memory as a multiple of the file size (measured on 20 columns: 4.8 to 5.2)
_BYTES_OF_COLUMN = 2_000  # of a table with few rows
_ALWAYS = 10_000  # columns that a table may always have
_PIECE = 4 << 20  # bytes of a piece
_COMPACT_FROM = 32 << 20  # characters of a file whose texts become categories
_ROWS_AT_ONCE = 500_000  # read from such a file
# rows shorter than the header; cells of such rows parsed at a time
_MOST_SHORT, _SHORT_AT_ONCE = 1_000_000, 1_000_000
# Cells of a table whose rows are shorter than its header, once they are padded: of a file, of an upload. A complete row
# takes at least a byte of the file per cell, so tables of complete rows need no limit.
_MOST_FILLED, _MOST_FILLED_OF_UPLOAD = 20_000_000, 1_000_000


@dataclass(frozen=True)
class _Layout:
    """The layout of the cells in a file.

    Args:
        name: of the file, for messages.
        separator: between cells.
        decimal: the sign that the first lines show; None if they show none.
        names: of the columns.
        before: number of cells of each row before the columns: row names, which the header lacks.
        behind: number of cells after them, all empty: each row ends with a separator, and the header does not.
        notes: on the layout.
    """

    name: str
    separator: str
    decimal: str | None
    names: list[str]
    before: int = 0
    behind: int = 0
    notes: tuple[str, ...] = ()

    @property
    def cells(self) -> list[str]:
        """A name for each cell of a row."""
        return (
            [f"\0{index}" for index in range(self.before)]
            + self.names
            + [f"\0-{n}" for n in range(self.behind)]
        )

    @property
    def points(self) -> bool:
        """Whether the decimal sign must be a point because commas separate the cells."""
        return self.separator == ","


def _layout(
    head: str,
    name: str,
    opened: Callable[[], io.TextIOBase],
    encoding_notes: Iterable[str] = (),
    columns: int | None = None,
) -> _Layout:
    """Return the layout of the cells in a file.

    Args:
        head: the beginning of the file.
        name: of the file.
        opened: function that opens the file at its beginning.
        encoding_notes: notes on the file so far.
        columns: maximum number of columns; None for any number.

    Raises:
        KzooError: it is not a table, or has more columns.
    """
    separator, decimal = _sniff(head, name)
    with opened() as file:
        lines = list(islice(_iter_rows(file, separator), 2))
    if columns is not None and (count := max(map(len, lines))) > columns:
        raise KzooError(f"{name!r} has {count:,} columns. At most {columns:,} are allowed.")
    if (count := len(lines[0])) > (most := max(_ALWAYS, free_memory() // _BYTES_OF_COLUMN)):
        raise KzooError(
            f"{name!r} has {count:,} columns: at most {most:,} fit into memory. Keep those that you need."
        )
    names, renamed = _column_names(lines[0], name)
    notes = (*encoding_notes, *renamed)
    width = len(lines[0])
    surplus = len(lines[-1]) - len(lines[0])
    if surplus <= 0:
        return _Layout(name, separator, decimal, names, notes=notes)
    with opened() as file:
        behind = not any(
            cell.strip() for line in _iter_rows(file, separator) for cell in line[width:]
        )
    if behind:
        notes += (
            f"Each row of {name!r} ends with {separator!r}, but its header does not. The empty cells are ignored.",
        )
        return _Layout(name, separator, decimal, names, behind=surplus, notes=notes)
    first = (
        "first cell of each row is" if surplus == 1 else f"first {surplus} cells of each row are"
    )
    notes += (
        f"The header of {name!r} is shorter than its rows. The {first} treated as its name, not as a column.",
    )
    return _Layout(name, separator, decimal, names, before=surplus, notes=notes)


def frame_of(table: CsvText, text: Collection[str] = (), *, compact: bool = False) -> "DataFrame":
    """Return the text of a CSV file as a DataFrame for training.

    Its `attrs` hold the `decimal` sign of the file, `notes`, `figures`, the names of numeric columns that stay as
    written because they are ambiguous, `words`: name -> words of a text column that were read as missing values, and
    `padded`: name -> a cell with leading zeros, such as `01067`, of a column of whole numbers.

    Args:
        table: the text.
        text: names of columns whose cells stay as written; as a dict, name -> words of `MISSING` that are cells there.
        compact: whether columns of texts of a large file become categories, which take less memory if texts repeat.

    Raises:
        KzooError: it is not a table.
    """
    content = table.text
    opened = partial(_Stream, content)
    layout = _layout(_head(opened()), table.name, opened, table.notes)
    line_ends = content.count("\n") + (content.count("\r") if "\r" in content else 0)
    _check_complete(layout, opened, len(content), line_ends)
    return _frame(content, layout, text, compact=compact and len(content) > _COMPACT_FROM)


class _Stream(io.TextIOBase):
    """A stream of a text in memory, without the copy (four bytes per character) that `io.StringIO` makes."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def read(self, size: int | None = -1) -> str:
        end = len(self._text) if size is None or size < 0 else self._at + size
        text = self._text[self._at : end]
        self._at = min(end, len(self._text))
        return text

    def tell(self) -> int:
        return self._at

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]  # of bytes in the stubs
        end = _LINE_END.search(self._text, self._at)
        return self.read((len(self._text) if end is None else end.end()) - self._at)


def _check_complete(
    layout: _Layout, opened: Callable[[], io.TextIOBase], size: int, line_ends: int
) -> None:
    """Raise `KzooError` if the rows of a file are so short that it would not fit once they are padded.

    Args:
        layout: of its cells.
        opened: function that opens it at its beginning.
        size: of it.
        line_ends: their number; more than that of the rows if texts have line ends.
    """
    width = len(layout.cells)
    if width * (line_ends + 1) > max(size, _MOST_FILLED):
        with opened() as stream:
            rows = sum(1 for _ in _iter_rows(stream, layout.separator)) - 1
        _check_filled(layout.name, rows, width, size, _MOST_FILLED)


def _check_filled(name: str, rows: int, width: int, size: int, most: int) -> None:
    """Raise `KzooError` if rows are much shorter than their header and have more than `most` cells once padded."""
    if rows * width > max(size, most):
        raise KzooError(
            f"{name!r} has {width:,} columns, but most of its {rows:,} rows are shorter. If they were padded, "
            "the table would have "
            f"{rows * width:,} cells. Write complete rows, or remove columns without values."
        )


def _frame(
    content: str,
    layout: _Layout,
    text: Collection[str],
    *,
    points: bool | None = None,
    compact: bool = False,
) -> "DataFrame":
    """Return the text of a CSV file as a DataFrame (see `frame_of`).

    pandas converts the cells. Those of columns that may mean something else are then read once more, as written.

    Args:
        content: the text.
        layout: of its cells.
        text: see `frame_of`.
        points: see `_Layout`, of the file from which the text was made.
        compact: whether columns of texts become categories.
    """
    pandas = import_module("pandas")
    table: Any
    missing: Any = sorted(MISSING)
    if isinstance(text, Mapping):
        missing = {name: sorted(MISSING.difference(text.get(name, ()))) for name in layout.cells}
    options = dict(
        sep=layout.separator,
        header=0,
        names=layout.cells,
        index_col=False,
        keep_default_na=False,
        low_memory=False,
    )
    typed = options | dict(
        decimal=layout.decimal or ".",
        na_values=missing,
        dtype={name: str for name in layout.names if name in text},
    )

    def as_written(names: Iterable[str], rows: int | None = None) -> Any:
        """Return columns as written; NaN for cells that their rows lack."""
        reading = options | dict(usecols=set(names), dtype=str, nrows=rows)
        return pandas.read_csv(_Stream(content), **reading) if reading["usecols"] else {}

    def numbers_of(name: str) -> list[str]:
        """Return the different cells of a column of numbers, as written."""
        return cells[name][table[name][: len(cells[name])].notna()].unique().tolist()

    try:
        table = None
        if compact:
            table = _in_categories(
                pandas.read_csv(_Stream(content), chunksize=_ROWS_AT_ONCE, **typed)
            )
        if table is None:
            table = pandas.read_csv(_Stream(content), **typed)
        if layout.before or layout.behind:
            table = table[layout.names]
        points = layout.points if points is None else points
        # Decimal points may separate groups of three digits. Where commas do not, there must be integers too.
        grouped = [
            name
            for name in layout.names
            if _are_rounded(table[name], 3) and (not points or _may_have_thousands(table[name]))
        ]
        # The first rows rule out most columns quickly.
        cells = as_written(grouped, _FIRST_ROWS)
        grouped = [name for name in grouped if not any(map(is_unambiguous, numbers_of(name)))]
        whole = [name for name in layout.names if _is_whole(table[name])]
        # Most files have no such cell: searching for one takes a tenth of the time of reading the file.
        zeros = rf'[{re.escape(layout.separator)}"\s]0\d\d'
        whole = whole if whole and re.search(zeros, content) else []
        incomplete = [
            name
            for name in layout.names
            if table[name].dtype.kind == "O" and table[name].isna().any()
        ]
        cells = as_written([*grouped, *whole, *incomplete])
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, ValueError) as error:
        why = str(error).strip().splitlines()[-1]
        raise KzooError(f"Cannot read {layout.name!r} as a table: {why}") from None
    figures = [
        name for name in grouped if not points and are_ambiguous(numbers_of(name), layout.decimal)
    ]
    notes = [*layout.notes]
    for name in grouped:
        if name in figures or not _may_have_thousands(table[name]):
            continue
        if pair := thousands_beside_integers(numbers_of(name)):
            notes.append(
                f"Numbers of {name!r} may have thousands separators: {pair[0]!r} beside {pair[1]!r} is read as "
                f"{float(pair[0]):.12g}. If that is wrong, use columns={{{name!r}: {{'decimal': ','}}}}."
            )
    words = {
        name: set(cells[name][table[name].isna()].dropna().unique()) - {""} for name in incomplete
    }
    padded = {name: next(filter(is_padded, cells[name].dropna()), None) for name in whole}
    table = table.assign(**{name: cells[name].where(table[name].notna()) for name in figures})
    table.attrs |= {
        "decimal": layout.decimal,
        "figures": figures,
        "words": {name: column_words for name, column_words in words.items() if column_words},
        "padded": {name: cell for name, cell in padded.items() if cell is not None},
        "notes": notes,
    }
    return table


def _may_have_thousands(values: "Series") -> bool:
    """Return True if a column of numbers has integers and others, all below 1000: `1.900` beside `656`."""
    is_whole = values % 1 == 0
    return bool((values.abs() < 1000).all() and is_whole.any() and (values % 1 != 0).any())


def _in_categories(pieces: "Iterable[DataFrame]") -> "DataFrame | None":
    """Return the pieces of a table as one, with columns of texts as categories; None if types of pieces differ."""
    pandas = import_module("pandas")
    columns: dict[str, Any] = {}
    for piece in pieces:
        for name in piece:
            values = piece[name]
            is_text = type(values.dtype).__name__ == "StringDtype"
            columns.setdefault(name, []).append(values.astype("category") if is_text else values)
    for name, parts in columns.items():
        kinds = {
            "words"
            if part.dtype == "category"
            else "empty"
            if part.isna().all()
            else part.dtype.kind
            for part in parts
        }
        if "words" in kinds and kinds <= {"words", "empty"}:
            parts = [
                part if part.dtype == "category" else part.astype(object).astype("category")
                for part in parts
            ]
            # An empty category has no type of texts, which `union_categoricals` needs.
            parts = [part.cat.set_categories(part.cat.categories.astype(str)) for part in parts]
            joined = pandas.Series(pandas.api.types.union_categoricals(parts))
        elif len(kinds - {"empty"}) < 2 or kinds <= {"i", "u", "f", "empty"}:
            joined = pandas.concat(parts, ignore_index=True)
        else:
            return None
        columns[name] = joined
    return pandas.DataFrame(columns)


def _is_whole(values: "Series") -> bool:
    """Return True if a numeric column holds only integers."""
    return values.dtype.kind in "iu" or _are_rounded(values, 0)


def _are_rounded(values: "Series", decimals: int) -> bool:
    """Return True if a column holds floats, and no number has more decimals. The first rows rule out most columns."""
    if values.dtype.kind != "f":
        return False
    numbers = values.to_numpy()
    for some in (numbers[:_FIRST_ROWS], numbers):
        finite = some[np.isfinite(some)]
        if not (finite.round(decimals) == finite).all():
            return False
    return bool(len(finite))


def rows_of(table: CsvText, *, columns: int | None = None, most: int | None = None) -> Rows:
    """Return the text of a CSV file as texts by column, with None for missing values.

    Args:
        table: the text.
        columns: maximum number of columns of an upload; None for a file of the user.
        most: maximum number of rows of an upload; None for a file of the user.

    Raises:
        KzooError: it is not a table, or a line has more values than the header.
    """
    text, name, notes = table
    layout = _layout(text, name, lambda: io.StringIO(text, newline=""), notes, columns)
    lines, count = _split_lines(text, layout.separator, most)
    if lines.pop() != [_END_MARK]:  # the mark became part of a quoted cell
        raise KzooError(f"Cannot read {name!r} as a table: a quotation mark is never closed.")
    width = len(layout.cells)
    check_count(count - 1, most)
    filled = _MOST_FILLED if columns is None else _MOST_FILLED_OF_UPLOAD
    _check_filled(name, count - 1, width, len(text), filled)
    for number, line in enumerate(lines[1:], start=1):
        if len(line) > width:
            raise KzooError(
                f"Cannot read {name!r} as a table: row {number} has {len(line)} values instead of {width}."
            )
    cells = [
        [None if cell in MISSING else cell for cell in line] + [None] * (width - len(line))
        for line in lines[1:]
    ]
    cell_columns = list(zip(*cells, strict=True))[layout.before :] if cells else [()] * width
    cells_by_name = dict(zip(layout.names, cell_columns, strict=False))
    rows = Rows(
        {head: plain(column) for head, column in cells_by_name.items()}, layout.decimal or ""
    )
    rows.notes = layout.notes
    rows.words = {
        head: words
        for index, (head, column) in enumerate(cells_by_name.items(), start=layout.before)
        if None in column and (words := _missing_words(column, lines[1:], index))
    }
    return rows


def _missing_words(
    column: Sequence[str | None], lines: Sequence[Sequence[str]], index: int
) -> dict[int, str]:
    """Return row -> the word that was read as a missing value in the column at an index of the rows."""
    empty = (row for row, cell in enumerate(column) if cell is None and index < len(lines[row]))
    return {row: lines[row][index] for row in empty if lines[row][index]}


def written(path: str | Path) -> CsvText:
    """Return the text of a CSV file, as it is.

    Raises:
        KzooError: it has none of the encodings of `read_text`.
    """
    notes: list = []
    data = read_bytes(path)
    name = Path(path).name
    _check_type(data, name)
    return CsvText(decode_text(data, name, notes), name, tuple(notes))


def _check_type(data: bytes, name: str) -> None:
    """Raise `KzooError` for the bytes of a workbook or an archive with a wrong suffix."""
    if data.startswith(b"PK\3\4"):
        raise KzooError(f"{name!r} is a workbook or an archive: rename it to end in .xlsx or .zip.")
    if data.startswith(b"\x1f\x8b"):
        raise KzooError(f"{name!r} is compressed by gzip: rename it to end in .csv.gz.")


class _Alike:
    """Checks that the files of a table have the same header, separator and decimal sign.

    Args:
        name: of the table, for messages.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._first: tuple[str, list[str], str, str | None] | None = None

    def check(self, file: str, head: str, stream: io.TextIOBase) -> None:
        """Read the header of the next file.

        Args:
            file: name of the file.
            head: its beginning.
            stream: of its text, of which the header is read.

        Raises:
            KzooError: it differs from the first file.
        """
        separator, decimal = _sniff(head, file)
        names = [column.strip() for column in next(_iter_rows(stream, separator))]
        if self._first is None:
            self._first = (file, names, separator, decimal)
            return
        first, first_names, first_separator, first_decimal = self._first
        if names != first_names:
            different = (
                i
                for i, pair in enumerate(zip(names, first_names, strict=False))
                if pair[0] != pair[1]
            )
            index = next(different, None)
            if index is None:
                what = f"has {plural(len(names), 'column')} instead of {len(first_names)}"
            else:
                what = f"has the column {names[index]!r} where {first} has {first_names[index]!r}"
            raise KzooError(
                f"{self.name!r}: {file!r} {what}. All files must have the same columns in the same order."
            )
        if separator != first_separator or (
            None not in (decimal, first_decimal) and decimal != first_decimal
        ):
            raise KzooError(
                f"{self.name!r}: {file!r} has another separator or decimal sign than {first!r}. Write them alike."
            )
        self._first = (first, names, separator, first_decimal or decimal)


def with_columns(part: CsvText, columns: Sequence[tuple[str, str | None]]) -> CsvText:
    """Return the text of a CSV file with columns of one value each added at the end.

    Args:
        part: the text.
        columns: (name, value); None for a missing value.

    Raises:
        KzooError: a line has more values than the header.
    """
    separator, _ = _sniff(part.text, part.name)
    lines, _ = _split_lines(part.text, separator)
    if lines.pop() != [_END_MARK]:  # the mark became part of a quoted cell
        raise KzooError(f"Cannot read {part.name!r} as a table: a quotation mark is never closed.")
    width = len(lines[0])
    _check_filled(part.name, len(lines) - 1, width, len(part.text), _MOST_FILLED)
    stream = io.StringIO()
    writer = csv.writer(stream, delimiter=separator, lineterminator="\n")
    writer.writerow([*lines[0], *(name for name, _ in columns)])
    values = ["" if value is None else value for _, value in columns]
    for number, line in enumerate(lines[1:], start=1):
        if len(line) > width:
            raise KzooError(
                f"Cannot read {part.name!r} as a table: row {number} has {len(line)} values instead of {width}."
            )
        writer.writerow([*line, *[""] * (width - len(line)), *values])
    return CsvText(stream.getvalue(), part.name, part.notes)


def joined(parts: Iterable[CsvText], name: str) -> CsvText:
    """Return the texts of CSV files with the same header as that of one file.

    Args:
        parts: list of `CsvText`.
        name: of them all, for messages.

    Raises:
        KzooError: a file has other columns, another separator or another decimal sign; or they do not fit into memory.
    """
    pieces: list[str] = []
    notes: list[str] = []
    alike = _Alike(name)
    most = most_text()
    for part in parts:
        stream = _Stream(part.text)
        alike.check(part.name, part.text, stream)
        piece = part.text if not pieces else part.text[stream.tell() :]
        if (most := most - len(piece)) < 0:
            raise too_long(
                name, most_text(), "Write the files as Parquet, which is read piece by piece."
            )
        if piece.strip():
            pieces.append(piece if piece.endswith(("\n", "\r")) else f"{piece}\n")
        notes += [note for note in part.notes if note not in notes]
    return CsvText("".join(pieces), name, _few(notes, name))


def _few(notes: list[str], name: str) -> tuple[str, ...]:
    """Return the notes on files of a table, at most four."""
    return tuple(
        [*notes[:3], f"The same applies to more files of {name!r}."] if len(notes) > 4 else notes
    )


def header(path: str | Path) -> Rows | None:
    """Return the columns of a CSV file without their rows; None if the beginning of the file is not enough.

    Raises:
        KzooError: it is not a table.
    """
    if files := getattr(path, "files", ()):
        partitions = partitions_of(files, path.folder, name_of_table(path))  # type: ignore[union-attr]
        of_first = header(files[0])
        if of_first is None:
            return None
        partitions.check(of_first.columns, files[0].name, name_of_table(path))
        return Rows(
            {name: plain([]) for name in [*of_first.columns, *partitions.names]}, of_first.decimal
        )
    data = read_bytes(path, _HEAD)
    name = Path(path).name
    _check_type(data, name)
    whole = len(data) < _HEAD
    if not whole and (b"\n" not in data or not data.split(b"\n", 1)[0].isascii()):
        return None  # the encoding depends on the rest of the file
    return header_of(
        CsvText(decode_text(data if whole else data[: data.rindex(b"\n")], name), name)
    )


def header_of(table: CsvText) -> Rows:
    """Return the columns of the text of a CSV file without their rows."""
    separator, decimal = _sniff(table.text, table.name)
    first = next(_iter_rows(io.StringIO(table.text, newline=""), separator))
    return Rows({column: plain([]) for column in _column_names(first, table.name)[0]}, decimal)


def _head(text: io.TextIOBase) -> str:
    """Return the beginning of a stream of text, with the lines that `_sniff` needs."""
    head = ""
    while head.lstrip().count("\n") < _LINES and (more := text.read(max(_HEAD, len(head)))):
        head += more
    return head


def _sniff(text: str, name: str) -> tuple[str, str | None]:
    """Return (separator, decimal sign) of a text, detected in its first lines; the sign is None if they show none."""
    if "\0" in text[:1000]:
        raise KzooError(
            f"{name!r} is not a text file. Tables must be CSV or Parquet files, or .xlsx workbooks."
        )
    head = text.lstrip().split("\n", _LINES)[:_LINES]
    if not head[0].strip():
        raise KzooError(f"{name!r} is empty. A table needs a header and at least one row.")
    bare = re.sub(r'"[^"]*"', "", head[0])
    separator = max(",;\t|", key=bare.count)
    if separator == ",":
        return separator, "."
    # If a comma is not the separator it may be the decimal sign: 1,5;2,5. Before three digits, either sign may separate
    # thousands. The header is skipped: a column name such as 2.5 proves nothing.
    rows = re.sub(r"\A[^\r\n]*", "", "\n".join(head))
    for decimal in (",", "."):
        if re.search(rf"(^|[;\t|])-?{shown_by(decimal)}(?=[;\t|]|$)", rows, re.M):
            return separator, decimal
    # Semicolons are used where a comma is the decimal sign: 1,234 is ambiguous, but more likely 1.234 than 1234.
    grouped = separator == ";" and re.search(r"(^|;)-?\d+,\d{3}(?=;|$)", rows, re.M)
    return separator, "," if grouped else None


def _split_lines(text: str, separator: str, most: int | None = None) -> tuple[list[list[str]], int]:
    """Split CSV text. The last line must be `_END_MARK`; otherwise a quotation mark is not closed.

    Args:
        most: maximum number of rows below the header that are kept, besides the last line; None for all.

    Returns:
        (lines, the number of lines without the last one).
    """
    rows = _iter_rows(io.StringIO(f"{text}\n{_END_MARK}", newline=""), separator)
    lines = list(islice(rows, None if most is None else most + 1))
    end = deque(enumerate(rows, start=len(lines)), maxlen=1)
    return ([*lines, end[0][1]], end[0][0]) if end else (lines, len(lines) - 1)


def _iter_rows(file: Iterable[str], separator: str) -> Iterator[list[str]]:
    """Yield the rows of a CSV stream as lists of cells, without blank lines."""
    # texts may be long
    limit = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)
    try:
        for line in csv.reader(file, delimiter=separator):
            if line and not (len(line) == 1 and line[0].isspace()):
                yield line
    finally:
        csv.field_size_limit(limit)


def _column_names(header: Iterable[str], file: str) -> tuple[list[str], tuple[str, ...]]:
    """Return the column names and notes on them: `Unnamed: 0` for an empty name, `a.1` for a second `a`."""
    names: dict = {}
    times: dict = {}  # name -> number of duplicates so far
    notes = []
    for index, name in enumerate(header):
        original = name = name.strip() or f"Unnamed: {index}"
        while name in names:
            times[original] = times.get(original, 0) + 1
            name = f"{original}.{times[original]}"
        if name != original:
            notes.append(
                f"Two columns of {file!r} are named {shown(original)}: column {index + 1} is renamed to {shown(name)}."
            )
        names[name] = None
    if (more := len(notes) - _MAX_NOTES) > 0:
        notes[_MAX_NOTES:] = [f"The same applies to {plural(more, 'more column')} of {file!r}."]
    return list(names), tuple(notes)


def size(path: str | Path) -> int:
    """Return the approximate size of a CSV file, or of several, in memory, in bytes."""
    try:
        files = getattr(path, "files", ()) or [Path(path)]
        return int(_MEMORY_FACTOR * sum(file.stat().st_size for file in files))
    except OSError:
        return 0


class _Part:
    """A file of a table, read piece by piece.

    Args:
        file: its text.
        alike: that checks its header.
    """

    def __init__(self, file: TextFile, alike: _Alike) -> None:
        self.file = file
        with file.open() as stream:
            self.head = _head(stream)
            is_whole = not stream.read(1)
        beginning = _Stream(self.head)
        alike.check(file.name, self.head, beginning)
        self.is_empty = is_whole and not beginning.read().strip()  # but for the header
        blank = self.head[: len(self.head) - len(self.head.lstrip())]
        self.skipped = 1 + blank.count("\n")


class _JoinedStream(io.TextIOBase):
    """A stream of the text that `joined` returns: of the first file, and of the others without their headers."""

    def __init__(self, parts: Sequence[_Part], separator: str) -> None:
        self._parts, self._separator = parts, separator
        self._number = -1
        self._stream: io.TextIOBase | None = None
        self._last = "\n"

    def read(self, size: int | None = -1) -> str:
        if size is None or size < 0:
            return "".join(iter(lambda: self.read(_HEAD), ""))
        return self._next(lambda stream: stream.read(size))

    def readline(self, size: int | None = -1) -> str:  # type: ignore[override]  # of bytes in the stubs
        return self._next(lambda stream: stream.readline())

    def _next(self, read: Callable[[io.TextIOBase], str]) -> str:
        while self._number < len(self._parts):
            if self._stream is not None and (text := read(self._stream)):
                self._last = text[-1]
                return text
            self.close_file()
            self._number += 1
            if self._number < len(self._parts):
                self._stream = self._parts[self._number].file.open()
                if self._number:
                    next(_iter_rows(self._stream, self._separator))
                    if self._last not in "\n\r":
                        self._last = "\n"
                        return "\n"
        return ""

    def close_file(self) -> None:
        """Close the file that is being read."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def close(self) -> None:
        self.close_file()
        super().close()


class Pieces:
    """A CSV file, or several, read piece by piece as texts, so that no piece determines the types of another."""

    written = True

    def __init__(self, path: str | Path) -> None:
        paths = getattr(path, "files", ()) or [path]
        self.name = name_of_table(path)
        notes: list[str] = []
        alike = _Alike(self.name)
        self._parts = [_Part(TextFile(file, notes), alike) for file in paths]
        files = [part.file for part in self._parts]
        self._partitions = partitions_of(
            [file.path for file in files], getattr(path, "folder", None), self.name
        )
        opened, head = files[0].open, self._parts[0].head
        if len(files) > 1:
            opened = partial(_JoinedStream, self._parts, _sniff(head, self.name)[0])
            with opened() as stream:
                head = _head(stream)
        unique = list(dict.fromkeys(notes))
        self._layout = layout = _layout(head, self.name, opened, _few(unique, self.name))
        size, line_ends = (sum(getattr(f, of) for f in files) for of in ("size", "line_ends"))
        _check_complete(layout, opened, size, line_ends)
        self._partitions.check(layout.names, files[0].name, self.name)
        self.decimal = layout.decimal
        self.names = [*layout.names, *self._partitions.names]
        self.notes = (*layout.notes, *self._partitions.note(self.name))
        if len(files) > 1:
            self.notes += (f"{self.name!r}: {len(files):,} files read as one table.",)
        self.kept: Mapping[str, Collection[str]] = {}
        self.words: dict[str, set[str]] = {}

    def __iter__(self) -> Iterator[Piece]:
        """Yield pieces; rows that are shorter than the header come last.

        Raises:
            KzooError: it is not a table, or a line has more values than the header.
        """
        pa = arrow()
        short: list[tuple[int, str]] = []  # number of the file, text of the row
        long: list[Any] = []
        layout = self._layout
        names, before = layout.cells, layout.before

        def on_invalid_row(row: Any) -> str:
            if row.actual_columns < len(names) and len(short) < _MOST_SHORT:
                if not row.text.isspace():
                    short.append((number, row.text))
                return "skip"
            long.append(row)
            return "error"

        for number, part in enumerate(self._parts):
            if part.is_empty and len(self._parts) > 1:
                continue
            try:
                with self._reader(part, names, on_invalid_row) as batches:
                    for batch in batches:
                        if batch.num_rows:
                            table = pa.Table.from_batches([batch]).select(layout.names)
                            yield self._piece(table, number)
            except (pa.ArrowException, OSError) as error:
                why = str(error).strip().splitlines()[0]
                if long:
                    why = f"a row has {long[0].actual_columns} values instead of {len(names)}: {shown(long[0].text)}"
                raise KzooError(f"Cannot read {part.file.name!r} as a table: {why}") from None
        count = max(1, _SHORT_AT_ONCE // len(names))
        for number, rows in groupby(short, key=lambda row: row[0]):
            while texts := [text for _, text in islice(rows, count)]:
                lines = _split_lines("\n".join(texts), layout.separator)[0][:-1]
                cells = [[cell or None for cell in line + [""] * len(names)] for line in lines]
                columns = list(
                    zip(*(line[before : before + len(layout.names)] for line in cells), strict=True)
                )
                table = pa.table(
                    [pa.array(column, pa.string()) for column in columns], layout.names
                )
                yield self._piece(table, number)

    def _piece(self, table: Table, number: int) -> Piece:
        """Return a piece of a file, of which the number is given, in which words for missing values are null."""
        pa = arrow()
        for name, value in self._partitions.as_written(number):
            table = table.append_column(
                name, pa.repeat(pa.scalar(value, pa.string()), table.num_rows)
            )
        compute = arrow("pyarrow.compute")
        for index, name in enumerate(self.names):
            allowed = MISSING.intersection(self.kept.get(name, ()))
            column = table.column(name).fill_null("") if "" in allowed else table.column(name)
            if self._parts[number].file.encoding != "utf-16":  # same line ends as in `TextFile`
                column = compute.replace_substring(column, "\r\n", "\n")
            words = compute.is_in(column, value_set=pa.array(sorted(MISSING - allowed)))
            if compute.any(words).as_py():
                self.words.setdefault(name, set()).update(column.filter(words).unique().to_pylist())
                column = compute.if_else(words, None, column)
            table = table.set_column(index, name, column)
        return Piece(table, self.decimal)

    def _reader(self, part: _Part, names: list[str], on_invalid_row: Callable[[Any], str]) -> Any:
        reader = arrow("pyarrow.csv")
        return reader.open_csv(
            part.file.path,
            reader.ReadOptions(
                block_size=_PIECE,
                column_names=names,
                skip_rows_after_names=part.skipped,
                use_threads=False,
                encoding=part.file.encoding,
            ),
            reader.ParseOptions(
                delimiter=self._layout.separator,
                newlines_in_values=True,
                invalid_row_handler=on_invalid_row,
            ),
            reader.ConvertOptions(
                column_types=dict.fromkeys(names, arrow().string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def frame(self, table: Table, text: Collection[str] = ()) -> "DataFrame":
        """Return rows of its pieces as the DataFrame that `frame` reads."""
        stream = io.BytesIO()
        writer = arrow("pyarrow.csv")
        writer.write_csv(table, stream, writer.WriteOptions(quoting_style="all_valid"))
        written = stream.getvalue().decode("utf-8")
        text = {**dict.fromkeys(text, ()), **self.kept} if self.kept else text
        layout = replace(self._layout, separator=",", names=table.schema.names, before=0, behind=0)
        return _frame(written, layout, text, points=self._layout.points)
