"""`Rows`: new rows of a table by column, from a file, dicts or a DataFrame, without pandas."""

from collections import Counter
from collections.abc import Iterable, Mapping, Set
from importlib import import_module
from itertools import islice
from pathlib import Path

import numpy as np

from kzoo.sources.arrays import as_array, check_count
from kzoo.sources.files import existing
from kzoo.sources.tables.files import read_content, read_rows
from kzoo.sources.tables.values import Texts, not_missing, plain, read_numbers, to_dates
from kzoo.sources.tables.zones import aware, minutes_in, on_clock, zone_of
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, plural, shown

MOST = 12  # columns that a message names
_MOST_CELLS = 1_000_000  # of a stranger's rows that have few columns in common
_MOST_ROWS = 20  # of different keys that are looked at
TARGET_NAMES = ("target", "label", "class", "y")


class Rows:
    """Columns by name, each a plain array (N,): see `kzoo.sources.tables.values`.

    Args:
        columns: name -> values.
        decimal: the decimal sign of their file, empty where its first lines show none; None where there is no file.
        zones: name -> (minutes from UTC (N,), zone) of columns whose type has a time zone; they hold local times.
    """

    notes: tuple = ()  # lines to know of how their file was read
    partial: Mapping = {}  # place -> keys, of rows given as dicts that lack a column of another
    words: dict | None = None  # name -> place -> the word, such as NA, that a file's reader took for a missing value

    def __init__(self, columns, decimal=None, zones=None):
        self._columns, self._decimal, self._zones = columns, decimal, zones or {}
        self._walls, self._minutes = {}, {}  # what was read of columns of dates, which takes time

    def __len__(self):
        return len(next(iter(self._columns.values()), ()))

    def __contains__(self, name):
        return name in self._columns

    def __getitem__(self, name):
        return self._columns[name]

    @property
    def columns(self) -> list:
        return list(self._columns)

    @property
    def decimal(self):
        """The decimal sign of the file."""
        return self._decimal

    def texts(self, name) -> list:
        """Return the different texts of a column; none of one of numbers or times."""
        values = self[name]
        if isinstance(values, Texts):
            return values.seen
        return list({value for value in values if isinstance(value, str)}) if values.dtype == object else []

    def cells(self, name, kept):
        """Return a column in which words of `MISSING` that are in `kept` are cells like any other."""
        values = self[name]
        if self.words is None or not kept:
            return values
        values, words = values.copy(), self.words.get(name, {})
        if "" in kept:
            values[~not_missing(values)] = ""
        for place, word in words.items():
            values[place] = word if word in kept else None
        return values

    def numbers(self, name, writing=None):
        """Return a column as float64, NaN where it does not hold a finite number.

        Args:
            writing: how training has learned that the column writes its numbers.
        """
        return read_numbers(self[name], writing, self._decimal)

    def dates(self, name, day_first=False, wall_clock=False):
        """Return a column as times, NaT where it does not hold one (see `to_dates`)."""
        return to_dates(self[name], day_first, wall_clock)

    def typed_zone(self, name):
        """Return (minutes from UTC (N,), zone) of a column whose type has a time zone; None of others."""
        return self._zones.get(name)

    def minutes(self, name, day_first=False):
        """Return how many minutes from UTC each time of a column says to be (N,), NaN where it does not say so."""
        if (typed := self.typed_zone(name)) is not None:
            return typed[0]
        if (name, day_first) not in self._minutes:
            found = minutes_in(self[name], day_first, lambda: self._wall(name, day_first))
            self._minutes[name, day_first] = found
        return self._minutes[name, day_first]

    def _wall(self, name, day_first):
        if (name, day_first) not in self._walls:
            self._walls[name, day_first] = self.dates(name, day_first, wall_clock=True)
        return self._walls[name, day_first]

    def zone(self, name, day_first=False) -> str:
        """Return the time zone of a column (see `kzoo.sources.tables.zones`)."""
        if (typed := self.typed_zone(name)) is not None:
            return typed[1]
        minutes = self.minutes(name, day_first)
        return "" if np.isnan(minutes).all() else zone_of(self.of_times(name, minutes, day_first))

    def of_times(self, name, minutes, day_first=False):
        """Return the minutes from UTC of the cells of a column that hold a time (see `minutes`)."""
        there = np.isfinite(minutes)
        unknown = np.flatnonzero(~there)
        there[unknown] = not_missing(Rows({name: self[name][unknown]}).dates(name, day_first))
        return minutes[there]

    def local(self, name, day_first=False, zone=None):
        """Return a column as times on the clock of a zone: as they are written where that is None.

        Args:
            zone: that of the training (see `kzoo.sources.tables.zones`).
        """
        wall, typed = self._wall(name, day_first), self.typed_zone(name)
        if not zone or (typed is not None and typed[1] == zone):
            return wall
        return on_clock(wall, self.minutes(name, day_first), zone)

    def take(self, order):
        """Return the rows at the places `order` (N,)."""
        columns = {name: values[order] for name, values in self._columns.items()}
        return Rows(columns, self._decimal, {n: (minutes[order], zone) for n, (minutes, zone) in self._zones.items()})

    def only(self, names, decimal=None):
        """Return some of the columns, with the decimal sign of their file where the rows themselves do not say it."""
        zones = {name: zone for name, zone in self._zones.items() if name in names}
        return Rows({name: self[name] for name in names}, self._decimal or decimal, zones)

    def updated(self, rows):
        """Return the rows with columns of others, as many, in place of those of the same names."""
        zones = {name: zone for name, zone in self._zones.items() if name not in rows} | rows._zones
        return Rows(self._columns | rows._columns, self._decimal, zones)


def rows_of(source) -> Rows:
    """Return rows from the path of a table, a dict, a list of dicts, a DataFrame, or a table of Arrow.

    Raises:
        KzooError: anything else, or a file that is not a table.
    """
    if isinstance(source, Rows):
        return source
    if isinstance(source, str | Path):
        return read_rows(source)
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        check_names(source.columns)
        columns = {str(name).strip(): source.iloc[:, i] for i, name in enumerate(source.columns)}
        return _rows(columns, decimal_of(source))
    if is_arrow(source):
        return import_module("kzoo.sources.tables.arrow").as_rows(source)
    if isinstance(source, dict):
        if columns := _columns_of(source):
            return _rows(columns)
        source = [source]
    if not isinstance(source, list | tuple) or not all(isinstance(row, dict) for row in source):
        raise KzooError(
            "Table rows are dicts of column names and values, a DataFrame, an array of numbers, or the path of a table."
        )
    for row in source:
        check_names(row)
    rows = [{str(name).strip(): value for name, value in row.items()} for row in source]
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if _is_many(value):
                raise KzooError(
                    f"Row {number} holds {shown(value)} in column {name!r}; a cell is one number, text or date."
                )
    names = dict.fromkeys(name for row in rows for name in row)
    found = Rows({name: plain([row.get(name) for row in rows]) for name in names})
    found.partial = {place: list(row) for place, row in enumerate(rows) if len(row) < len(names)}
    return found


def _rows(columns, decimal=None):
    """Return columns of any kind as `Rows`."""
    zones = {name: zone for name, values in columns.items() if (zone := aware(values)) is not None}
    columns = {name: values.to_series() if hasattr(values, "to_series") else values for name, values in columns.items()}
    return Rows({name: plain(values) for name, values in columns.items()}, decimal, zones)


def decimal_of(frame) -> str | None:
    """Return the decimal sign of the file that a DataFrame was read from (see `Rows`)."""
    attrs = getattr(frame, "attrs", {})
    return (attrs.get("decimal") or "") if "figures" in attrs else None


def is_arrow(source) -> bool:
    """Say whether this is a table of Arrow, which has its columns but is no DataFrame."""
    return hasattr(source, "to_pandas") and hasattr(source, "column_names") and hasattr(source, "nbytes")


def received_rows(given, what, most=None):
    """Return what came over a network as a reader of tables takes it: a text in it is never a path.

    Args:
        given: the bytes of a CSV file (or several, as one list of one), an object, a list of objects, or numbers.
        what: one of them, in a message: "A row".
        most: rows that it may have; None for any number.

    Raises:
        KzooError: something else, more rows, or objects that have few columns in common.
    """
    if isinstance(given, list) and len(given) == 1 and isinstance(given[0], bytes):
        given = given[0]
    if isinstance(given, bytes):
        return read_content(given, most=most)
    if isinstance(given, dict):
        check_count(max((len(cells) for cells in given.values() if isinstance(cells, list)), default=1), most)
        return rows_of(given)
    if isinstance(given, list) and given and all(isinstance(one, dict) for one in given):
        check_count(len(given), most)
        names, cells = set[str]().union(*given), sum(map(len, given))
        if len(given) * len(names) > max(_MOST_CELLS, 4 * cells):
            raise KzooError(
                f"{len(given):,} rows of {cells:,} values name {len(names):,} columns: a table of them has "
                f"{len(given) * len(names):,} cells. Send rows of the same columns."
            )
        return rows_of(given)
    if not isinstance(given, list) or any(isinstance(one, str | bytes | dict) for one in given):
        raise KzooError(
            f"{what} is an object by column, a list of numbers, or a line of an uploaded CSV file; a name is not read."
        )
    return as_array(given, f"{what}s")


def checked_rows(source) -> Rows:
    """Return `rows_of` what a caller gives, a DataFrame once its cells have been looked at."""
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        check_cells(source, [str(name).strip() for name in source.columns])
    return rows_of(source)


def _columns_of(source):
    """Return the columns of a dict; None for a row, a dict of cells.

    Raises:
        KzooError: columns of different lengths, or cells among them.
    """
    many = {str(name).strip(): value for name, value in source.items() if _is_many(value)}
    if not many:
        return None
    check_names(source)
    many = _in_rows(many)
    lengths = {name: len(value) for name, value in many.items()}
    if cells := [str(name) for name in source if str(name).strip() not in many]:
        raise KzooError(
            f"{next(iter(many))!r} holds {plural(next(iter(lengths.values())), 'value')} and {cells[0]!r} one: give "
            "rows as dicts of cells, or columns of one length."
        )
    if len(set(lengths.values())) > 1:
        columns = listed((f"{name} {length}" for name, length in lengths.items()), MOST)
        raise KzooError(f"The columns have different lengths: {columns}.")
    for name, values in many.items():
        if bad := [value for value in values if _is_many(value)]:
            raise KzooError(f"Column {name!r} holds {shown(bad[0])}; a cell is one number, text or date.")
    return many


def _in_rows(columns):
    """Return columns as sequences: of one that is a dict of row -> cell, as pandas writes them, its cells.

    Raises:
        KzooError: dicts that name different rows, or a set, which has no order.
    """
    found, rows = {}, None
    for name, values in columns.items():
        if isinstance(values, Set):
            raise KzooError(f"Column {name!r} is a set, which has no order: give a list.")
        if isinstance(values, Mapping):
            rows = list(values) if rows is None else rows
            if list(values) != rows:
                raise KzooError(
                    f"The dict of column {name!r} names other rows than that of another column, or in another order: "
                    "give rows as dicts of cells, or columns as lists."
                )
        found[name] = list(values.values()) if isinstance(values, Mapping) else values
    return found


def _is_many(value):
    """Say whether a value is several values: a list, tuple, dict, array, Series."""
    return not isinstance(value, str | bytes) and hasattr(value, "__len__") and getattr(value, "shape", None) != ()


def is_text(value) -> bool:
    """Say whether a value, if it is a text, can be written as UTF-8: a bad conversion may leave half of a character."""
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_names(names):
    """Raise `KzooError` for names that are equal once blanks around them are gone: one column would hide the other."""
    times = Counter(str(name).strip() for name in names)
    if twice := next((name for name, count in times.items() if count > 1), None):
        raise KzooError(f"Two columns of the table are called {twice!r}; give each a name of its own.")


def check_cells(table, names):
    """Raise `KzooError` for the first cell or name of a DataFrame that holds several values, or half of a character."""
    for place, name in enumerate(names):
        if not is_text(name):
            raise KzooError(f"The column name {name!r} holds half of a character (a lone surrogate): rename it.")
        values = table.iloc[:, place]
        cells = values if values.dtype.kind in "OU" or str(values.dtype).startswith("str") else ()
        bad = next((row for row, cell in enumerate(cells) if _is_many(cell) or not is_text(cell)), None)
        if bad is not None:
            where = f"Row {bad + 1} holds {shown(values.iloc[bad])} in column {name!r}"
            if _is_many(values.iloc[bad]):
                raise KzooError(f"{where}; a cell is one number, text or date.")
            raise KzooError(
                f"{where}, half of a character (a lone surrogate): mend it, such as with "
                "text.encode('utf-8', 'replace').decode()."
            )


def require(table, names, where):
    """Raise `KzooError` for the first name that is not a column of `Rows` or a DataFrame, with the nearest one."""
    for name in names:
        if name not in table.columns:
            near = hint(name, table.columns)
            raise KzooError(f"Column {name!r} is not in {where}. {near}Columns: {listed(table.columns, MOST)}.")


def check_keys(rows, names, others=()) -> list:
    """Return lines on rows, given as dicts, that lack a column and hold a key instead which is no column.

    Args:
        rows: `Rows`.
        names: of the columns that are read.
        others: of those that are known, and not read here.

    Raises:
        KzooError: the name of the one is near that of the other.
    """
    if len(rows.partial) < len(rows):  # one row holds every key
        return []
    notes, beside, read = [], {}, {*names, *others}
    first = {frozenset(keys): row for row, keys in reversed(rows.partial.items())}
    suspects = ((row, keys) for keys, row in reversed(first.items()) if not keys <= read)
    for row, keys in islice(suspects, _MOST_ROWS):
        for name in islice((name for name in names if name not in keys), MOST):
            if name not in beside:  # what stands beside it in another row is something else
                beside[name] = frozenset().union(*(others for others in first if name in others))
            unknown = [key for key in rows.partial[row] if key not in read and key not in beside[name]]
            if near := hint(name, unknown):
                raise KzooError(
                    f"Row {row + 1} has no column {name!r}. {near}It holds {listed(rows.partial[row], MOST)}."
                )
            if unknown:
                notes.append(
                    f"Row {row + 1} has no column {name!r}, which counts as missing, and holds "
                    f"{listed(map(repr, unknown))}, which the model does not read."
                )
    return notes


def as_names(names):
    """Return `None`, one name, `"a,b"` or a sequence as a list of names."""
    if names is None:
        return []
    if isinstance(names, str):
        return [part.strip() for part in names.split(",")]
    return [str(name) for name in names] if isinstance(names, Iterable) else [str(names)]


def find_target(table, target):
    """Return the target columns of a table: as asked, else a last column called target, label, class or y."""
    if not len(table.columns):
        raise KzooError("The table has no columns.")
    if target is None:
        last = table.columns[-1]
        if last.lower() not in TARGET_NAMES:
            raise KzooError(f"Say which column to predict with target=. Columns: {listed(table.columns, 40)}.")
        return [last]
    # A column's own name may hold a comma.
    targets = [target] if isinstance(target, str) and target in list(table.columns) else as_names(target)
    if not targets:
        raise KzooError(f"Say which column to predict with target=. Columns: {listed(table.columns, 40)}.")
    require(table, targets, "the table")
    if len(set(targets)) < len(targets):
        raise KzooError(f"target= names {next(name for name in targets if targets.count(name) > 1)!r} twice.")
    return targets


def single_table(words):
    """Return the one file that the words of a command line name.

    Raises:
        KzooError: several, or none that is there.
    """
    if len(words) > 1:
        raise KzooError(f"This run reads a table: give one file, not {len(words)} inputs.")
    return existing(words[0])
