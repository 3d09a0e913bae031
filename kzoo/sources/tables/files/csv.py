"""CSV files: separator and decimal sign are found out; training and new rows get the same cells.

One rule for all readers: a cell of `MISSING` is a missing value, unless it is known for a category of its column; a row
may be shorter than the header and not longer, and names are those that pandas gives. Training takes pandas' reader,
which guesses a type for each column that is not asked for as text; columns of text are read by
`kzoo.sources.tables.values`. New rows need no guess, because training has learned what each column is: their cells stay
text, and the same rules read them. `tests/data/test_rows.py` holds that both agree.
"""

import csv
import io
import re
import sys
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np

from kzoo.sources.arrays import check_count
from kzoo.sources.files import TextFile, decoded, read_bytes, read_text
from kzoo.sources.tables.arrow import Piece, arrow
from kzoo.sources.tables.numbers import is_doubtful, is_padded, is_shown, shown_by
from kzoo.sources.tables.raw import Rows
from kzoo.sources.tables.values import MISSING, plain
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown

SUFFIXES = (".csv", ".tsv")
_END = "\0end"
_LINE_END = re.compile(r"\r\n?|\n")
_NOTED = 20  # columns that are named for having the name of another one
_LINES = 6  # in which separator and decimal sign are looked for
_FIRST = 1000  # rows that are looked at first for cells that can be read in one way only
_HEAD = 2**20  # bytes of a file in which the header is looked for
_GROWS = 5.0  # times the bytes of a file are what it takes in memory (measured on 20 columns: 4.8 to 5.2)
_PIECE = 4 << 20  # bytes of a piece
_MOST_SHORT, _SHORT_AT_ONCE = 1_000_000, 1_000_000  # rows that are shorter than the header; cells of those read at once
# Cells of a table whose rows are shorter than its header, once they are filled up: of a file, of a stranger's content.
# Each cell of a row that is written in full takes a byte of the file at the least: such tables have any number of them.
_MOST_FILLED, _MOST_FILLED_OF_STRANGERS = 20_000_000, 1_000_000


@dataclass(frozen=True)
class _Layout:
    """How the cells of a file lie.

    Args:
        name: of the file, for messages.
        separator: between cells.
        decimal: the sign that its first lines show; None where they show none.
        names: of the columns.
        before: how many cells of each row lie before those of the columns: names of rows, to which the header has none.
        behind: how many lie behind them, all empty: each row ends in a separator, and the header does not.
        notes: lines to know.
    """

    name: str
    separator: str
    decimal: str | None
    names: list
    before: int = 0
    behind: int = 0
    notes: tuple = ()

    @property
    def cells(self) -> list:
        """A name for each cell of a row."""
        return [f"\0{place}" for place in range(self.before)] + self.names + [f"\0-{n}" for n in range(self.behind)]

    @property
    def points(self) -> bool:
        """Whether its decimal sign is a point in any case: a comma stands between its cells."""
        return self.separator == ","


def _layout(head, name, opened, known=(), columns=None):
    """Return how the cells of a file lie.

    Args:
        head: its beginning.
        name: its own.
        opened: opens it at its beginning.
        known: lines to know of it.
        columns: that it may have at the most; None for any number.

    Raises:
        KzooError: not a table, or one of more columns.
    """
    separator, decimal = _parts(head, name)
    with opened() as file:
        lines = list(islice(_rows(file, separator), 2))
    if columns is not None and (count := max(map(len, lines))) > columns:
        raise KzooError(f"{name!r} has {count:,} columns; at most {columns:,} are read.")
    names, renamed = _names(lines[0], name)
    notes = (*known, *renamed)
    width, more = len(lines[0]), len(lines[-1]) - len(lines[0])
    if more <= 0:
        return _Layout(name, separator, decimal, names, notes=notes)
    with opened() as file:
        behind = not any(cell.strip() for line in _rows(file, separator) for cell in line[width:])
    if behind:
        notes += (f"Each row of {name!r} ends in {separator!r} and its header does not: nothing is read behind it.",)
        return _Layout(name, separator, decimal, names, behind=more, notes=notes)
    first = "first cell of each is" if more == 1 else f"first {more} cells of each are"
    notes += (f"The header of {name!r} is shorter than its rows: the {first} taken for its name, and for no column.",)
    return _Layout(name, separator, decimal, names, before=more, notes=notes)


def frame(path, text=()):
    """Read a CSV file for training; the file itself is read once.

    Args:
        text: names of columns whose cells stay as they are written; as a dict, name -> words of `MISSING` that are
            cells there.

    Raises:
        KzooError: not a table.
    """
    notes: list = []
    content, name = read_text(path, notes), Path(path).name
    opened = partial(_Stream, content)
    layout = _layout(_head(opened()), name, opened, notes)
    width, most = len(layout.cells), max(len(content), _MOST_FILLED)
    if width * (content.count("\n") + content.count("\r") + 1) > most:  # or texts have many lines
        rows = sum(1 for _ in _rows(opened(), layout.separator)) - 1
        _check_filled(name, rows, width, len(content), _MOST_FILLED)
    table = _frame(opened, layout, text)
    table.attrs["padded"] = _padded(content, opened, layout, table)
    return table


class _Stream(io.TextIOBase):
    """A stream of a text that lies in memory, without the copy, of four bytes a character, that `io.StringIO` makes."""

    def __init__(self, text):
        self._text, self._at = text, 0

    def read(self, size=-1):
        end = len(self._text) if size is None or size < 0 else self._at + size
        text, self._at = self._text[self._at : end], min(end, len(self._text))
        return text

    def readline(self, size=-1):
        end = _LINE_END.search(self._text, self._at)
        return self.read((len(self._text) if end is None else end.end()) - self._at)


def _layout_of(file, notes):
    """Return how the cells of a `TextFile` lie that memory has no room for, and its beginning.

    Raises:
        KzooError: no table, or one whose rows are so much shorter than its header that they have no room, filled up.
    """
    with file.open() as stream:
        head = _head(stream)
    layout = _layout(head, file.name, file.open, notes)
    width = len(layout.cells)
    if width * file.line_ends > max(file.size, _MOST_FILLED):  # or texts have many lines
        with file.open() as stream:
            rows = sum(1 for _ in _rows(stream, layout.separator)) - 1
        _check_filled(layout.name, rows, width, file.size, _MOST_FILLED)
    return layout, head


def _check_filled(name, rows, width, size, most):
    """Raise `KzooError` for rows that are much shorter than their header, where they have more cells than `most`."""
    if rows * width > max(size, most):
        raise KzooError(
            f"{name!r} has {width:,} columns, and most of its {rows:,} rows are shorter: filled up they would have "
            f"{rows * width:,} cells. Write the rows in full, or leave out columns without values."
        )


def _frame(opened, layout, text=(), points=None):
    """Return a stream of CSV as a DataFrame.

    Its `attrs` hold the `decimal` sign of the file, `notes`, `figures`, names of columns of numbers that stay as they
    are written, because they can be read in two ways, and `words`: name -> those of a column of texts that were taken
    for missing values; of a file also `padded` (see `_padded`).

    Args:
        opened: opens the stream at its beginning.
        layout: of its cells.
        text: see `frame`.
        points: see `_Layout`, of the file that the stream was made of.
    """
    pandas = import_module("pandas")
    missing = sorted(MISSING)
    if isinstance(text, Mapping):
        missing = {name: sorted(MISSING.difference(text.get(name, ()))) for name in layout.cells}
    options = dict(
        sep=layout.separator, decimal=layout.decimal or ".", header=0, names=layout.cells, index_col=False,
        na_values=missing, keep_default_na=False, low_memory=False,
    )  # fmt: skip

    def read(**more):
        with opened() as file:
            return pandas.read_csv(file, **options | more)

    try:
        table = read(dtype={name: str for name in layout.names if name in text})
        if layout.before or layout.behind:
            table = table[layout.names]
        figures = []
        if not (layout.points if points is None else points):
            short = [name for name in layout.names if _has_three_decimals(table[name])]
            written = read(usecols=short, dtype=str, nrows=_FIRST) if short else {}
            short = [name for name in short if not any(map(is_shown, written[name].dropna()))]  # most, in no time
            written = read(usecols=short, dtype=str) if short else {}
            figures = [name for name in short if is_doubtful(written[name].dropna().unique(), layout.decimal)]
            table = table.assign(**{name: written[name] for name in figures})
        holes = [name for name in layout.names if table[name].dtype.kind == "O" and table[name].isna().any()]
        written = read(usecols=holes, dtype=str, na_values=[]) if holes else {}
        words = {name: set(written[name][table[name].isna()].dropna().unique()) - {""} for name in holes}
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, ValueError) as error:
        why = str(error).strip().splitlines()[-1]
        raise KzooError(f"{layout.name!r} is not a readable table: {why}") from None
    words = {name: found for name, found in words.items() if found}
    table.attrs |= {"decimal": layout.decimal, "figures": figures, "words": words, "notes": list(layout.notes)}
    return table


def _padded(content, opened, layout, table) -> dict:
    """Return name -> the first cell with zeros in front, such as `01067`, of columns of whole numbers that have one.

    Args:
        content: the text of the file; `opened` opens it as a stream.
        layout: of its cells.
        table: what pandas made of it.
    """
    names = [name for name in layout.names if _is_whole(table[name])]
    # Most files have no such cell: to look for one takes a tenth of the time of reading it.
    if not names or not re.search(rf'[{re.escape(layout.separator)}"\s]0\d\d', content):
        return {}
    options = dict(sep=layout.separator, header=0, names=layout.cells, index_col=False, dtype=str, usecols=names)
    written = import_module("pandas").read_csv(opened(), **options)
    cells = {name: next(filter(is_padded, written[name].dropna()), None) for name in names}
    return {name: text for name, text in cells.items() if text is not None}


def _is_whole(values):
    """Say whether a column of numbers holds whole ones alone."""
    if values.dtype.kind != "f":
        return values.dtype.kind in "iu"
    finite = values[np.isfinite(values)]
    return bool(len(finite)) and bool((finite == np.round(finite)).all())


def _has_three_decimals(values):
    """Say whether no number of a column has more than three decimals: `1.234` may be a thousand and more."""
    if values.dtype.kind != "f":
        return False
    finite = values[np.isfinite(values)]
    return bool(len(finite)) and bool((finite.round(3) == finite).all())


def rows(path) -> Rows:
    """Read a CSV file as text by column, None where a value is missing.

    Raises:
        KzooError: not a table, or a line with more values than the header.
    """
    return parsed(read_bytes(path), Path(path).name)


def parsed(data, name, *, columns=None, most=None) -> Rows:
    """Read the bytes of a CSV file as `rows` does.

    Args:
        name: of the file, for messages.
        columns, most: columns and rows of a stranger's file, at the most; None for a file of the user's own.
    """
    notes: list = []
    text = decoded(data, name, notes)
    layout = _layout(text, name, lambda: io.StringIO(text, newline=""), notes, columns)
    lines, count = _lines(text, layout.separator, most)
    if lines.pop() != [_END]:
        raise KzooError(f"{name!r} is not a readable table: a quotation mark is opened and never closed.")
    width = len(layout.cells)
    check_count(count - 1, most)
    _check_filled(name, count - 1, width, len(data), _MOST_FILLED if columns is None else _MOST_FILLED_OF_STRANGERS)
    for number, line in enumerate(lines[1:], start=1):
        if len(line) > width:
            raise KzooError(f"{name!r} is not a readable table: row {number} has {len(line)} values, not {width}.")
    cells = [[None if cell in MISSING else cell for cell in line] + [None] * (width - len(line)) for line in lines[1:]]
    lying = list(zip(*cells, strict=True))[layout.before :] if cells else [()] * width
    columns = dict(zip(layout.names, lying, strict=False))
    found = Rows({head: plain(column) for head, column in columns.items()}, layout.decimal or "")
    found.notes = layout.notes
    found.words = {
        head: words
        for place, (head, column) in enumerate(columns.items(), start=layout.before)
        if None in column and (words := _words(column, lines[1:], place))
    }
    return found


def _words(column, lines, place):
    """Return row -> the word that was taken for a missing value in a column, which lies at a place of the rows."""
    empty = (row for row, cell in enumerate(column) if cell is None and place < len(lines[row]))
    return {row: lines[row][place] for row in empty if lines[row][place]}


def header(path):
    """Return the columns of a CSV file without their rows; None where its beginning does not tell.

    Raises:
        KzooError: not a table.
    """
    data, name = read_bytes(path, _HEAD), Path(path).name
    whole = len(data) < _HEAD
    if not whole and (b"\n" not in data or not data.split(b"\n", 1)[0].isascii()):
        return None  # what encoding it has, the rest of the file decides
    text = decoded(data if whole else data[: data.rindex(b"\n")], name)
    separator, decimal = _parts(text, name)
    first = next(_rows(io.StringIO(text, newline=""), separator))
    return Rows({column: plain([]) for column in _names(first, name)[0]}, decimal)


def _head(text):
    """Return the beginning of a stream of text, with the lines that `_parts` looks at."""
    head = ""
    while head.lstrip().count("\n") < _LINES and (more := text.read(max(_HEAD, len(head)))):
        head += more
    return head


def _parts(text, name):
    """Return (separator, decimal sign) of a text, found in its first lines; the sign is None where they show none."""
    if "\0" in text[:1000]:
        raise KzooError(f"{name!r} is not a text file; kzoo reads tables as CSV.")
    head = text.lstrip().split("\n", _LINES)[:_LINES]
    if not head[0].strip():
        raise KzooError(f"{name!r} is empty.")
    bare = re.sub(r'"[^"]*"', "", head[0])
    separator = max(",;\t|", key=bare.count)
    if separator == ",":
        return separator, "."
    # Where a comma is no separator it may be the decimal point: 1,5;2,5. Before three digits, neither sign tells. Names
    # of columns, such as 2.5, never do.
    rows = re.sub(r"\A[^\r\n]*", "", "\n".join(head))
    for decimal in (",", "."):
        if re.search(rf"(^|[;\t|])-?{shown_by(decimal)}(?=[;\t|]|$)", rows, re.M):
            return separator, decimal
    # Semicolons stand where a comma is the decimal sign: 1,234 is a doubt, and more likely 1.234 there than 1234.
    grouped = separator == ";" and re.search(r"(^|;)-?\d+,\d{3}(?=;|$)", rows, re.M)
    return separator, "," if grouped else None


def _lines(text, separator, most=None):
    """Split CSV text; the last line must come out as `_END`, or it stands inside quotation marks.

    Args:
        most: rows below the header that are kept, beside the last line; None for all.

    Returns:
        (lines, how many there are without the last one).
    """
    rows = _rows(io.StringIO(f"{text}\n{_END}", newline=""), separator)
    lines = list(islice(rows, None if most is None else most + 1))
    end = deque(enumerate(rows, start=len(lines)), maxlen=1)
    return ([*lines, end[0][1]], end[0][0]) if end else (lines, len(lines) - 1)


def _rows(file, separator):
    """Yield the rows of a stream of CSV as lists of cells, without blank lines."""
    limit = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)  # texts may be long
    try:
        for line in csv.reader(file, delimiter=separator):
            if line and not (len(line) == 1 and line[0].isspace()):
                yield line
    finally:
        csv.field_size_limit(limit)


def _names(header, file):
    """Return the names of the columns and lines to know: `Unnamed: 0` without one, `a.1` for a second `a`."""
    names: dict = {}
    times: dict = {}  # name -> how often it was taken
    notes = []
    for place, name in enumerate(header):
        wanted = name = name.strip() or f"Unnamed: {place}"
        while name in names:
            times[wanted] = times.get(wanted, 0) + 1
            name = f"{wanted}.{times[wanted]}"
        if name != wanted:
            notes.append(
                f"Two columns of {file!r} are called {shown(wanted)}: column {place + 1} is taken for {shown(name)}."
            )
        names[name] = None
    if (more := len(notes) - _NOTED) > 0:
        notes[_NOTED:] = [f"So it is with {plural(more, 'more column')} of {file!r}."]
    return list(names), tuple(notes)


def size(path) -> int:
    """Return the bytes that a CSV file takes in memory, about."""
    try:
        return int(_GROWS * Path(path).stat().st_size)
    except OSError:
        return 0


class Pieces:
    """A CSV file, read piece by piece as texts, so that no piece decides what the cells of another are.

    `kept` may be set to name -> words of `MISSING` that are cells of a column; those that were none are in `words` once
    it has been read.
    """

    written = True

    def __init__(self, path):
        notes: list = []
        file = TextFile(path, notes)
        self.path, self.name, self._encoding = file.path, file.name, file.encoding
        self._layout, head = layout, _ = _layout_of(file, notes)
        self.decimal, self.names, self.notes = layout.decimal, layout.names, layout.notes
        self.kept, self.words = {}, {}
        self._skipped = 1 + head[: len(head) - len(head.lstrip())].count("\n")

    def __iter__(self):
        """Yield pieces; rows that are shorter than the header come last.

        Raises:
            KzooError: not a table, or a line with more values than the header.
        """
        pa, short, long = arrow(), [], []
        names, before = self._layout.cells, self._layout.before

        def odd(row):
            if row.actual_columns < len(names) and len(short) < _MOST_SHORT:
                if not row.text.isspace():
                    short.append(row.text)
                return "skip"
            long.append(row)
            return "error"

        try:
            with self._reader(names, odd) as batches:
                for batch in batches:
                    if batch.num_rows:
                        yield self._piece(pa.Table.from_batches([batch]).select(self.names))
        except (pa.ArrowException, OSError) as error:
            why = str(error).strip().splitlines()[0]
            if long:
                why = f"a row has {long[0].actual_columns} values, not {len(names)}: {shown(long[0].text)}"
            raise KzooError(f"{self.name!r} is not a readable table: {why}") from None
        count = max(1, _SHORT_AT_ONCE // len(names))
        for start in range(0, len(short), count):
            lines = _lines("\n".join(short[start : start + count]), self._layout.separator)[0][:-1]
            cells = [[cell or None for cell in line + [""] * len(names)] for line in lines]
            columns = list(zip(*(line[before : before + len(self.names)] for line in cells), strict=True))
            yield self._piece(pa.table([pa.array(column, pa.string()) for column in columns], self.names))

    def _piece(self, table):
        """Return a piece without the words that stand for missing values."""
        pa, compute = arrow(), arrow("pyarrow.compute")
        for place, name in enumerate(self.names):
            kept = MISSING.intersection(self.kept.get(name, ()))
            column = table.column(name).fill_null("") if "" in kept else table.column(name)
            if self._encoding != "utf-16":  # as `TextFile` reads lines
                column = compute.replace_substring(column, "\r\n", "\n")
            words = compute.is_in(column, value_set=pa.array(sorted(MISSING - kept)))
            if compute.any(words).as_py():
                self.words.setdefault(name, set()).update(column.filter(words).unique().to_pylist())
                column = compute.if_else(words, None, column)
            table = table.set_column(place, name, column)
        return Piece(table, self.decimal)

    def _reader(self, names, odd):
        reader = arrow("pyarrow.csv")
        return reader.open_csv(
            self.path,
            reader.ReadOptions(
                block_size=_PIECE,
                column_names=names,
                skip_rows_after_names=self._skipped,
                use_threads=False,
                encoding=self._encoding,
            ),
            reader.ParseOptions(delimiter=self._layout.separator, newlines_in_values=True, invalid_row_handler=odd),
            reader.ConvertOptions(
                column_types=dict.fromkeys(names, arrow().string()),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )

    def frame(self, table, text=()):
        """Return rows of its pieces as the DataFrame that `frame` reads."""
        stream, writer = io.BytesIO(), arrow("pyarrow.csv")
        writer.write_csv(table, stream, writer.WriteOptions(quoting_style="all_valid"))
        written = stream.getvalue().decode("utf-8")
        text = dict.fromkeys(text, ()) | self.kept if self.kept else text
        layout = replace(self._layout, separator=",", names=table.schema.names, before=0, behind=0)
        return _frame(lambda: io.StringIO(written), layout, text, self._layout.points)
