"""`Rows`: new rows of a table by column, from a file, dicts or a DataFrame, without pandas."""

from pathlib import Path

from kzoo.errors import KzooError
from kzoo.kinds.files import existing
from kzoo.kinds.tables.files import read_rows
from kzoo.kinds.tables.values import plain, to_numbers
from kzoo.words import hint, listed

MOST = 12  # columns that a message names


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
        """Return a column as float64, NaN where it does not hold a finite number."""
        return to_numbers(self._columns[name], self._decimal)

    def take(self, order):
        """Return the rows at the places `order` (N,)."""
        return Rows({name: values[order] for name, values in self._columns.items()}, self._decimal)


def rows_of(source) -> Rows:
    """Return rows from the path of a table, a dict, a list of dicts, or a DataFrame.

    Raises:
        KzooError: anything else, or a file that is not a table.
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
        raise KzooError(
            "Table rows are dicts of column names and values, a DataFrame, an array of numbers, or the path of a table."
        )
    rows = [{str(name).strip(): value for name, value in row.items()} for row in source]
    names = dict.fromkeys(name for row in rows for name in row)
    return Rows({name: plain([row.get(name) for row in rows]) for name in names})


def require(table, names, where):
    """Raise `KzooError` for the first name that is not a column of `Rows` or a DataFrame, with the nearest one."""
    for name in names:
        if name not in table.columns:
            near = hint(name, table.columns)
            raise KzooError(f"Column {name!r} is not in {where}. {near}Columns: {listed(table.columns, MOST)}.")


def one_table(words):
    """Return the one file that the words of a command line name.

    Raises:
        KzooError: several, or none that is there.
    """
    if len(words) > 1:
        raise KzooError(f"This run reads a table: give one file, not {len(words)} inputs.")
    return existing(words[0])
