"""CSV files: separator and decimal sign are found out; training and new rows get the same cells.

One rule for both readers: a cell of `MISSING` is a missing value, a row may be shorter than the header and not longer,
and names are those that pandas gives. Training takes pandas' reader, which guesses a type for each column that is not
asked for as text; columns of text are read by `kzoo.kinds.tables.values`. New rows need no guess, because training has
learned what each column is: their cells stay text, and the same rules read them. `tests/data/test_rows.py` holds that
both agree.
"""

import csv
import io
import re
import sys
from importlib import import_module
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.kinds.files import decoded, encoding_of, open_text, read_bytes, read_text
from kzoo.kinds.tables.arrow import Piece, arrow
from kzoo.kinds.tables.raw import Rows
from kzoo.kinds.tables.values import MISSING, plain
from kzoo.words import shown

SUFFIXES = (".csv", ".tsv")
_END = "\0end"
_LINES = 6  # in which separator and decimal sign are looked for
_HEAD = 2**20  # bytes of a file in which the header is looked for
_GROWS = 5.0  # times the bytes of a file are what it takes in memory (measured on 20 columns: 4.8 to 5.2)
_PIECE = 4 << 20  # bytes of a piece
_MOST_SHORT, _SHORT_AT_ONCE = 1_000_000, 10_000  # rows that are shorter than the header


def frame(path, text=()):
    """Read a CSV file for training.

    Args:
        text: names of columns whose cells stay as they are written.

    Raises:
        KzooError: not a table.
    """
    with open_text(path) as file:
        separator, decimal = _parts(_head(file), Path(path).name)
    return _frame(lambda: open_text(path), Path(path).name, text, separator, decimal)


def _frame(opened, name, text, separator, decimal):
    """Return a stream of CSV as a DataFrame; `opened` opens it at its beginning."""
    pandas = import_module("pandas")
    options = dict(
        sep=separator, decimal=decimal or ".", na_values=sorted(MISSING), keep_default_na=False, low_memory=False
    )
    try:
        if text:
            with opened() as file:
                names = pandas.read_csv(file, nrows=0, **options).columns
            options["dtype"] = {name: str for name in names if name.strip() in text}
        with opened() as file:
            table = pandas.read_csv(file, **options)
        table.attrs["decimal"] = decimal
        return table
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, ValueError) as error:
        raise KzooError(f"{name!r} is not a readable table: {str(error).strip().splitlines()[-1]}") from None


def rows(path) -> Rows:
    """Read a CSV file as text by column, None where a value is missing.

    Raises:
        KzooError: not a table, or a line with more values than the header.
    """
    text = read_text(path)
    separator, decimal = _parts(text, Path(path).name)
    name = Path(path).name
    lines = _lines(text, separator)
    if lines.pop() != [_END]:
        raise KzooError(f"{name!r} is not a readable table: a quotation mark is opened and never closed.")
    header, lines = lines[0], lines[1:]
    if not lines:
        return Rows({name: plain([]) for name in _names(header)}, decimal)
    # A first row that is longer than the header begins with the names of the rows, as pandas has it.
    unnamed = max(len(lines[0]) - len(header), 0)
    width = len(header) + unnamed
    for number, line in enumerate(lines, start=1):
        if len(line) > width:
            raise KzooError(f"{name!r} is not a readable table: row {number} has {len(line)} values, not {width}.")
    cells = [[None if cell in MISSING else cell for cell in line] + [None] * (width - len(line)) for line in lines]
    columns = list(zip(*cells, strict=True))[unnamed:]
    return Rows({head: plain(column) for head, column in zip(_names(header), columns, strict=True)}, decimal)


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
    return Rows({column: plain([]) for column in _names(_lines(text, separator)[0])}, decimal)


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
    separator = max(",;\t", key=bare.count)
    if separator == ",":
        return separator, "."
    # Where a comma is no separator it may be the decimal point: 1,5;2,5. A point before three digits tells nothing.
    for decimal, digits in ((",", r",\d+"), (".", r"\.(\d{1,2}|\d{4,})")):
        if re.search(rf"(^|[;\t])-?\d+{digits}(?=[;\t]|$)", "\n".join(head), re.M):
            return separator, decimal
    return separator, None


def _lines(text, separator):
    """Split CSV text; the last line must come out as `_END`, or it stands inside quotation marks."""
    limit = csv.field_size_limit(sys.maxsize if sys.maxsize < 2**31 else 2**31 - 1)  # texts may be long
    try:
        lines = csv.reader(io.StringIO(f"{text}\n{_END}", newline=""), delimiter=separator)
        return [line for line in lines if line and not (len(line) == 1 and line[0].isspace())]  # no blank lines
    finally:
        csv.field_size_limit(limit)


def _names(header):
    """Return the names of the columns as pandas gives them: `Unnamed: 0` without one, `a.1` for a second `a`."""
    names = []
    for place, name in enumerate(header):
        wanted = name = name or f"Unnamed: {place}"
        again = 0
        while name in names:
            again += 1
            name = f"{wanted}.{again}"
        names.append(name)
    return [name.strip() for name in names]


def size(path) -> int:
    """Return the bytes that a CSV file takes in memory, about."""
    try:
        return int(_GROWS * Path(path).stat().st_size)
    except OSError:
        return 0


class Pieces:
    """A CSV file, read piece by piece as texts, so that no piece decides what the cells of another are."""

    def __init__(self, path):
        self.path, self.name = Path(path), Path(path).name
        with open_text(path) as file:
            head = _head(file)
        self._separator, self.decimal = _parts(head, self.name)
        lines = [line for line in _lines(head, self._separator)[:2] if line != [_END]]
        self._unnamed = max(len(lines[-1]) - len(lines[0]), 0)
        self.names = _names(lines[0])
        self._skipped = 1 + head[: len(head) - len(head.lstrip())].count("\n")

    def __iter__(self):
        """Yield pieces; rows that are shorter than the header come last.

        Raises:
            KzooError: not a table, or a line with more values than the header.
        """
        pa, short, long = arrow(), [], []
        names = [f"\0{place}" for place in range(self._unnamed)] + self.names

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
                        yield Piece(pa.Table.from_batches([batch]).select(self.names), self.decimal)
        except (pa.ArrowException, OSError) as error:
            why = str(error).strip().splitlines()[0]
            if long:
                why = f"a row has {long[0].actual_columns} values, not {len(names)}: {shown(long[0].text)}"
            raise KzooError(f"{self.name!r} is not a readable table: {why}") from None
        for start in range(0, len(short), _SHORT_AT_ONCE):
            lines = _lines("\n".join(short[start : start + _SHORT_AT_ONCE]), self._separator)[:-1]
            cells = [[None if cell in MISSING else cell for cell in line + [""] * len(names)] for line in lines]
            columns = list(zip(*(line[self._unnamed : len(names)] for line in cells), strict=True))
            yield Piece(pa.table([pa.array(column, pa.string()) for column in columns], self.names), self.decimal)

    def _reader(self, names, odd):
        reader = arrow("pyarrow.csv")
        return reader.open_csv(
            self.path,
            reader.ReadOptions(
                block_size=_PIECE,
                column_names=names,
                skip_rows_after_names=self._skipped,
                use_threads=False,
                encoding=encoding_of(self.path),
            ),
            reader.ParseOptions(delimiter=self._separator, newlines_in_values=True, invalid_row_handler=odd),
            reader.ConvertOptions(
                column_types=dict.fromkeys(names, arrow().string()),
                null_values=sorted(MISSING),
                strings_can_be_null=True,
            ),
        )

    def frame(self, table, text=()):
        """Return rows of its pieces as the DataFrame that `frame` reads."""
        stream, writer = io.BytesIO(), arrow("pyarrow.csv")
        writer.write_csv(table, stream, writer.WriteOptions(quoting_style="all_valid"))
        written = stream.getvalue().decode("utf-8")
        return _frame(lambda: io.StringIO(written), self.name, text, ",", self.decimal)
