"""`Rows`: new rows of a table by column, from a CSV file, dicts or a DataFrame, without pandas.

Training reads CSV files with pandas, which guesses a type for each column. Here the columns are known, so text stays
text and is read as what training took the column for; `tests/data/test_rows.py` holds that both read the same.
"""

import csv
import io
import sys
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.kinds.files import read_csv_text
from kzoo.kinds.tables.values import plain, to_numbers
from kzoo.registry import hint

# What stands for a missing value in a CSV file: pandas' list.
_MISSING = frozenset(
    ("", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
     "NULL", "NaN", "None", "n/a", "nan", "null")
)  # fmt: skip
_END = "\0end"


class Rows:
    """Columns by name, each a plain array (N,): see `kzoo.kinds.tables.values`.

    Args:
        columns: name -> values.
        decimal: the decimal sign of numbers that are text.
    """

    def __init__(self, columns, decimal="."):
        self._columns, self._decimal = columns, decimal

    def __len__(self):
        return len(next(iter(self._columns.values()), ()))

    def __contains__(self, name):
        return name in self._columns

    def __getitem__(self, name):
        return self._columns[name]

    @property
    def columns(self) -> list:
        return list(self._columns)

    def numbers(self, name):
        """Return a column as float64, NaN where it holds no finite number."""
        return to_numbers(self._columns[name], self._decimal)

    def take(self, order):
        """Return the rows at the places `order` (N,)."""
        return Rows({name: values[order] for name, values in self._columns.items()}, self._decimal)


def rows_of(source) -> Rows:
    """Return rows from the path of a CSV file, a dict, a list of dicts, or a DataFrame.

    Raises:
        KzooError: anything else, or a file that is no table.
    """
    if isinstance(source, Rows):
        return source
    if isinstance(source, str | Path):
        return read_rows(source)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        return Rows({str(name).strip(): plain(source.iloc[:, i]) for i, name in enumerate(source.columns)})
    if isinstance(source, dict):
        source = [source]
    if not isinstance(source, list | tuple) or not all(isinstance(row, dict) for row in source):
        raise KzooError("Table rows are dicts of column names and values, a DataFrame, or the path of a CSV file.")
    rows = [{str(name).strip(): value for name, value in row.items()} for row in source]
    names = dict.fromkeys(name for row in rows for name in row)
    return Rows({name: plain([row.get(name) for row in rows]) for name in names})


def read_rows(path) -> Rows:
    """Read a CSV file as text by column, None where a value is missing.

    Raises:
        KzooError: not a table, or a line with more values than the header.
    """
    text, separator, decimal = read_csv_text(path)
    name = Path(path).name
    lines = _lines(text, separator)
    if lines.pop() != [_END]:
        raise KzooError(f"{name!r} is not a readable table: a quotation mark is opened and never closed.")
    header, lines = lines[0], lines[1:]
    if not lines:
        raise KzooError(f"{name!r} has a header but no rows.")
    # A first row that is longer than the header begins with the names of the rows, as pandas has it.
    unnamed = max(len(lines[0]) - len(header), 0)
    width = len(header) + unnamed
    for number, line in enumerate(lines, start=1):
        if len(line) > width:
            raise KzooError(f"{name!r} is not a readable table: row {number} has {len(line)} values, not {width}.")
    cells = [[None if cell in _MISSING else cell for cell in line] + [None] * (width - len(line)) for line in lines]
    columns = zip(*cells, strict=True)
    return Rows(
        {head: plain(column) for head, column in zip(_names(header), list(columns)[unnamed:], strict=True)}, decimal
    )


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


def require(table, names, where):
    """Raise `KzooError` for the first name that is no column of `Rows` or a DataFrame, with the nearest one."""
    for name in names:
        if name not in table.columns:
            near = hint(name, table.columns)
            raise KzooError(f"Column {name!r} is not in {where}. {near}Columns: {listed(table.columns)}.")


def listed(names, most=12):
    """Join names for an error message, the first few of them."""
    names = [str(name) for name in names]
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
