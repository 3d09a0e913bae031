"""`Rows`: new rows of a table by column, from a file, dicts or a DataFrame, without pandas."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence, Set
from fnmatch import fnmatchcase
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.inference.sources.arrays import as_array, check_count
from kzoo.inference.sources.files import existing_path
from kzoo.inference.tables.dates import to_dates
from kzoo.inference.tables.files import read_content, read_rows
from kzoo.inference.tables.numbers import StoredFormat
from kzoo.inference.tables.values import (
    NUMBERS,
    Cells,
    Column,
    Texts,
    distinct,
    not_missing,
    plain,
    read_numbers,
)
from kzoo.inference.tables.zones import aware, minutes_in, on_clock, zone_of
from kzoo.problems.layout import RawInputs
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, plural, shown

if TYPE_CHECKING:
    from pandas import DataFrame

# what `rows_of` takes: `Rows`, a path, a dict, a list of dicts or lists, a DataFrame, an Arrow table
TableSource: TypeAlias = Any
MOST = 12  # columns named in a message
_MOST_CELLS = 1_000_000  # of uploaded rows that have few columns in common
_MOST_ROWS = 20  # with different keys that are checked
TARGET_NAMES = ("target", "label", "class", "y")
_WILDCARDS = ("*", "?")  # in names of targets
_RANGE = ":"


class Rows:
    """Columns by name, each a plain array (N,): see `kzoo.inference.tables.values`.

    Args:
        columns: name -> values.
        decimal: the decimal sign of the file, empty if its first lines show none; None if there is no file.
        zones: name -> (minutes from UTC (N,), zone) of columns whose type has a time zone; they hold local times.
    """

    notes: tuple = ()  # on how their file was read
    partial: Mapping = {}  # row -> keys, for rows passed as dicts that lack a key of another row
    # name -> row -> the word, such as NA, that was read as a missing value
    words: dict | None = None

    def __init__(
        self,
        columns: Mapping[str, Cells],
        decimal: str | None = None,
        zones: Mapping[str, tuple[np.ndarray, str]] | None = None,
    ) -> None:
        self._columns = dict(columns)
        self.decimal = decimal
        self._zones = dict(zones or {})
        # caches: parsing dates is slow
        self._walls: dict[tuple[str, bool], np.ndarray] = {}
        self._minutes: dict[tuple[str, bool], np.ndarray] = {}

    def __len__(self) -> int:
        return len(next(iter(self._columns.values()), ()))

    def __contains__(self, name: object) -> bool:
        return name in self._columns

    def __getitem__(self, name: str) -> Column:
        return self._columns[name]

    @property
    def columns(self) -> list[str]:
        return list(self._columns)

    def cells(self, name: str, allowed_words: Collection[str]) -> Column:
        """Return a column in which words of `MISSING` that are in `allowed_words` are ordinary cells."""
        values = self[name]
        if self.words is None or not allowed_words or isinstance(values, Texts):
            return values
        values = values.copy()
        words = self.words.get(name, {})
        if "" in allowed_words:
            values[~not_missing(values)] = ""
        for row, word in words.items():
            values[row] = word if word in allowed_words else None
        return values

    def numbers(self, name: str, writing: StoredFormat | None = None) -> np.ndarray:
        """Return a column as float64, with NaN where a cell is not a finite number.

        Args:
            writing: the number format of the column, as learned in training.
        """
        return read_numbers(self[name], writing, self.decimal)

    def dates(self, name: str, day_first: bool = False, wall_clock: bool = False) -> np.ndarray:
        """Return a column as times, with NaT where a cell is not a time (see `to_dates`)."""
        return to_dates(self[name], day_first, wall_clock)

    def typed_zone(self, name: str) -> tuple[np.ndarray, str] | None:
        """Return (minutes from UTC (N,), zone) of a column whose type has a time zone; None for others."""
        return self._zones.get(name)

    def minutes(self, name: str, day_first: bool = False) -> np.ndarray:
        """Return the offset from UTC in minutes that each cell of a column states (N,), NaN where it states none."""
        if (typed := self.typed_zone(name)) is not None:
            return typed[0]
        if (name, day_first) not in self._minutes:
            minutes = minutes_in(self[name], day_first, lambda: self._wall(name, day_first))
            self._minutes[name, day_first] = minutes
        return self._minutes[name, day_first]

    def _wall(self, name: str, day_first: bool) -> np.ndarray:
        if (name, day_first) not in self._walls:
            self._walls[name, day_first] = self.dates(name, day_first, wall_clock=True)
        return self._walls[name, day_first]

    def zone(self, name: str, day_first: bool = False) -> str:
        """Return the time zone of a column (see `kzoo.inference.tables.zones`)."""
        if (typed := self.typed_zone(name)) is not None:
            return typed[1]
        minutes = self.minutes(name, day_first)
        return "" if np.isnan(minutes).all() else zone_of(self.of_times(name, minutes, day_first))

    def of_times(self, name: str, minutes: np.ndarray, day_first: bool = False) -> np.ndarray:
        """Return the offsets in minutes (see `minutes`) of those cells of a column that hold a time."""
        is_time = np.isfinite(minutes)
        unknown = np.flatnonzero(~is_time)
        is_time[unknown] = not_missing(Rows({name: self[name][unknown]}).dates(name, day_first))
        return minutes[is_time]

    def local(self, name: str, day_first: bool = False, zone: str | None = None) -> np.ndarray:
        """Return a column as local times of a zone; as written if the zone is None.

        Args:
            zone: that of the training (see `kzoo.inference.tables.zones`).
        """
        wall = self._wall(name, day_first)
        typed = self.typed_zone(name)
        if not zone or (typed is not None and typed[1] == zone):
            return wall
        return on_clock(wall, self.minutes(name, day_first), zone)

    def take(self, order: np.ndarray) -> "Rows":
        """Return the rows with the indices `order` (N,)."""
        columns = {name: values[order] for name, values in self._columns.items()}
        return Rows(
            columns,
            self.decimal,
            {n: (minutes[order], zone) for n, (minutes, zone) in self._zones.items()},
        )

    def only(self, names: Collection[str], decimal: str | None = None) -> "Rows":
        """Return some of the columns; `decimal` is the decimal sign of their file if the rows do not know it."""
        zones = {name: zone for name, zone in self._zones.items() if name in names}
        return Rows({name: self[name] for name in names}, self.decimal or decimal, zones)

    def updated(self, rows: "Rows") -> "Rows":
        """Return the rows with the columns of other rows added, which replace those of the same name."""
        zones = {name: zone for name, zone in self._zones.items() if name not in rows} | rows._zones
        return Rows(self._columns | rows._columns, self.decimal, zones)


def rows_of(source: TableSource) -> Rows:
    """Return rows from the path of a table, a dict, a list of dicts or of lists, a DataFrame, or an Arrow table.

    Raises:
        KzooError: any other source, or a file that is not a table.
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
        return import_module("kzoo.inference.tables.arrow").as_rows(source)
    if isinstance(source, dict):
        if cells := _columns_of(source):
            return _rows(cells)
        source = [source]
    if is_list_of_rows(source):
        columns = columns_of_lists(source)
        return _rows(_columns_of(columns) or {name: [] for name in columns})
    if not isinstance(source, list | tuple) or not all(isinstance(row, dict) for row in source):
        raise KzooError(
            "Table rows must be dicts of column names and values, lists below a list of column names, a DataFrame, an "
            "array of numbers, or the path of a table."
        )
    for row in source:
        check_names(row)
    rows = [{str(name).strip(): value for name, value in row.items()} for row in source]
    for number, row in enumerate(rows, start=1):
        for name, value in row.items():
            if _is_sequence(value):
                raise KzooError(
                    f"Row {number} has {shown(value)} in column {name!r}. A cell must be a number, a text or a date."
                )
    names = dict.fromkeys(name for row in rows for name in row)
    table = Rows({name: plain([row.get(name) for row in rows]) for name in names})
    table.partial = {index: list(row) for index, row in enumerate(rows) if len(row) < len(names)}
    return table


def _rows(columns: Mapping[str, Cells], decimal: str | None = None) -> Rows:
    """Return columns of any type as `Rows`."""
    zones = {name: zone for name, values in columns.items() if (zone := aware(values)) is not None}
    columns = {
        name: values.to_series() if hasattr(values, "to_series") else values
        for name, values in columns.items()
    }
    return Rows({name: plain(values) for name, values in columns.items()}, decimal, zones)


def decimal_of(frame: object) -> str | None:
    """Return the decimal sign of the file that a DataFrame was read from (see `Rows`)."""
    attrs = getattr(frame, "attrs", {})
    return (attrs.get("decimal") or "") if "figures" in attrs else None


def is_arrow(source: object) -> bool:
    """Return True for what holds an Arrow table and is no pandas DataFrame: pyarrow, Polars, DuckDB, and others."""
    if hasattr(source, "iloc") or isinstance(source, type):
        return False
    is_pyarrow = (
        hasattr(source, "to_pandas")
        and hasattr(source, "column_names")
        and hasattr(source, "nbytes")
    )
    return is_pyarrow or hasattr(source, "__arrow_c_stream__")


def is_list_of_rows(source: object) -> bool:
    """Return True for a list of lists, which is a table if the first of them has the column names."""
    return (
        isinstance(source, list)
        and bool(source)
        and all(isinstance(row, list | tuple) for row in source)
    )


def columns_of_lists(source: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Return the columns of a list of lists by name, of which the first list has the names.

    Raises:
        KzooError: the first list does not have names, or another list has more or fewer cells.
    """
    names, *rows = source
    if not names or not all(isinstance(name, str) for name in names):
        raise KzooError(
            f"Rows as lists need the column names in the first list, which is {shown(names)}. Put the names "
            "first, or pass an array of numbers, dicts, a DataFrame, or the path of a table."
        )
    check_names(names)
    for number, row in enumerate(rows, start=1):
        if len(row) != len(names):
            raise KzooError(
                f"Row {number} has {plural(len(row), 'cell')}, but there are {len(names)} column names."
            )
    return {name.strip(): [row[index] for row in rows] for index, name in enumerate(names)}


def received_rows(payload: RawInputs, noun: str, most: int | None = None) -> Rows | np.ndarray:
    """Return uploaded rows in a form that readers of tables accept; a text in them is never a path.

    Args:
        payload: the bytes of a CSV file (or a list with the bytes of one), an object, a list of objects, or numbers.
        noun: an example in messages: "A row".
        most: maximum number of rows; None for any number.

    Raises:
        KzooError: anything else, more rows, or objects that have few columns in common.
    """
    if isinstance(payload, list) and len(payload) == 1 and isinstance(payload[0], bytes):
        payload = payload[0]
    if isinstance(payload, bytes):
        return read_content(payload, most=most)
    if isinstance(payload, dict):
        check_count(
            max((len(cells) for cells in payload.values() if isinstance(cells, list)), default=1),
            most,
        )
        return rows_of(payload)
    if (
        isinstance(payload, list)
        and payload
        and all(isinstance(element, dict) for element in payload)
    ):
        check_count(len(payload), most)
        names = set[str]().union(*payload)
        cells = sum(map(len, payload))
        if len(payload) * len(names) > max(_MOST_CELLS, 4 * cells):
            raise KzooError(
                f"{len(payload):,} rows with {cells:,} values name {len(names):,} columns: a table of "
                f"{len(payload) * len(names):,} cells. Send rows with the same columns."
            )
        return rows_of(payload)
    if not isinstance(payload, list) or any(
        isinstance(element, str | bytes | dict) for element in payload
    ):
        raise KzooError(
            f"{noun} must be an object of columns, a list of numbers, or a line of an uploaded CSV file. File names "
            "are not accepted."
        )
    return as_array(payload, f"{noun}s")


def checked_rows(source: TableSource, targets: Collection[str] = ()) -> Rows:
    """Return `rows_of` a source; the cells of a DataFrame are checked first, and targets that are lists left out."""
    if hasattr(source, "columns") and hasattr(source, "iloc"):
        names = [str(name).strip() for name in source.columns]
        check_cells(source, names, targets)
        lists = [
            i
            for i, name in enumerate(names)
            if name in targets and any(map(_is_sequence, source.iloc[:, i]))
        ]
        source = (
            source.iloc[:, [i for i in range(len(names)) if i not in lists]] if lists else source
        )
    return rows_of(source)


def _columns_of(source: Mapping[Any, Any]) -> dict[str, Sequence[Any]] | None:
    """Return the columns of a dict of sequences; None for a dict of cells, which is a single row.

    Raises:
        KzooError: columns of different lengths, or cells among columns.
    """
    sequences = {str(name).strip(): value for name, value in source.items() if _is_sequence(value)}
    if not sequences:
        return None
    check_names(source)
    sequences = _as_sequences(sequences)
    lengths = {name: len(value) for name, value in sequences.items()}
    if cells := [str(name) for name in source if str(name).strip() not in sequences]:
        raise KzooError(
            f"Column {next(iter(sequences))!r} has {plural(next(iter(lengths.values())), 'value')} but {cells[0]!r} is "
            "a single one. Pass rows as dicts of cells, or columns of equal length."
        )
    if len(set(lengths.values())) > 1:
        columns = listed((f"{name} {length}" for name, length in lengths.items()), MOST)
        raise KzooError(f"All columns must have the same length: {columns}.")
    for name, values in sequences.items():
        if nested := [value for value in values if _is_sequence(value)]:
            raise KzooError(
                f"Column {name!r} has {shown(nested[0])}. A cell must be a number, a text or a date."
            )
    return sequences


def _as_sequences(columns: Mapping[str, Cells]) -> dict[str, Sequence[Any]]:
    """Return columns as sequences; a dict of row -> cell, as written by pandas, becomes a list of cells.

    Raises:
        KzooError: dicts with different rows, or a set, which has no order.
    """
    as_lists = {}
    rows = None
    for name, values in columns.items():
        if isinstance(values, Set):
            raise KzooError(f"Column {name!r} is a set, which has no order. Pass a list.")
        if isinstance(values, Mapping):
            rows = list(values) if rows is None else rows
            if list(values) != rows:
                raise KzooError(
                    f"The dict of column {name!r} has different row keys than another column, or another order. Pass "
                    "rows as dicts of cells, or columns as lists."
                )
        as_lists[name] = list(values.values()) if isinstance(values, Mapping) else values
    return as_lists


def _is_sequence(value: object) -> bool:
    """Return True if a value holds several values: a list, tuple, dict, array or Series."""
    return (
        not isinstance(value, str | bytes)
        and hasattr(value, "__len__")
        and getattr(value, "shape", None) != ()
    )


def is_text(value: object) -> bool:
    """Return False for a string that cannot be encoded as UTF-8: a bad conversion may leave lone surrogates."""
    if not isinstance(value, str) or value.isascii():
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def check_names(names: Iterable[object]) -> None:
    """Raise `KzooError` for names that are equal once stripped: one column would hide the other."""
    counts = Counter(str(name).strip() for name in names)
    if duplicate := next((name for name, count in counts.items() if count > 1), None):
        raise KzooError(
            f"Two columns of the table are named {duplicate!r}. Give each column a unique name."
        )


def check_cells(table: "DataFrame", names: Sequence[str], lists: Collection[str] = ()) -> None:
    """Raise `KzooError` for the first cell or name of a DataFrame with several values or a lone surrogate.

    Args:
        table: the DataFrame.
        names: of its columns.
        lists: names of columns whose cells may be lists: targets with several labels.
    """
    for index, name in enumerate(names):
        if not is_text(name):
            raise KzooError(
                f"The column name {name!r} contains a lone surrogate (half of a character). Rename the column."
            )
        values = table.iloc[:, index]
        cells = distinct(values) if values.dtype.kind in "OU" else ()
        if set(map(type, cells)) <= NUMBERS or not any(map(_is_wrong, cells)):
            continue
        if name in lists and any(map(_is_sequence, cells)):
            continue
        row, cell = next((row, cell) for row, cell in enumerate(values, start=1) if _is_wrong(cell))
        where = f"Row {row} has {shown(cell)} in column {name!r}"
        if _is_sequence(cell):
            raise KzooError(f"{where}. A cell must be a number, a text or a date.")
        raise KzooError(
            f"{where}, which contains a lone surrogate (half of a character). Repair it, for example with "
            "text.encode('utf-8', 'replace').decode()."
        )


def _is_wrong(cell: object) -> bool:
    return _is_sequence(cell) or not is_text(cell)


def require(table: "Rows | DataFrame", names: Iterable[str], where: str) -> None:
    """Raise `KzooError` for the first name that is not a column of a table, and suggest the nearest column."""
    for name in names:
        if name not in table.columns:
            near = hint(name, table.columns)
            raise KzooError(
                f"Column {name!r} is not in {where}. {near}Columns: {listed(table.columns, MOST)}.",
                value=name,
            )


def check_keys(rows: Rows, names: Iterable[str], other_names: Iterable[str] = ()) -> list[str]:
    """Return notes on rows, passed as dicts, that lack a column and have an unknown key instead.

    Args:
        rows: `Rows`.
        names: of the columns that are used.
        other_names: of columns that are known but not used.

    Raises:
        KzooError: the unknown key is similar to the missing column.
    """
    if len(rows.partial) < len(rows):  # some row has every key
        return []
    notes = []
    companions = {}
    used = {*names, *other_names}
    first = {frozenset(keys): row for row, keys in reversed(list(rows.partial.items()))}
    suspects = ((row, keys) for keys, row in reversed(first.items()) if not keys <= used)
    for row, keys in islice(suspects, _MOST_ROWS):
        for name in islice((name for name in names if name not in keys), MOST):
            if name not in companions:  # keys next to `name` in another row are other columns
                companions[name] = frozenset().union(
                    *(keys_of_row for keys_of_row in first if name in keys_of_row)
                )
            unknown = [
                key for key in rows.partial[row] if key not in used and key not in companions[name]
            ]
            if near := hint(name, unknown):
                raise KzooError(
                    f"Row {row + 1} has no column {name!r}. {near}Its columns are {listed(rows.partial[row], MOST)}."
                )
            if unknown:
                notes.append(
                    f"Row {row + 1} has no column {name!r}, which is treated as missing. Its columns "
                    f"{listed(map(repr, unknown))} are ignored: the model does not use them."
                )
    return notes


def as_names(names: object) -> list[str]:
    """Return `None`, one name, `"a,b"` or a sequence as a list of names."""
    if names is None:
        return []
    if isinstance(names, str):
        return [part.strip() for part in names.split(",")]
    return [str(name) for name in names] if isinstance(names, Iterable) else [str(names)]


def has_patterns(target: object) -> bool:
    """Return whether names of targets may be patterns or ranges, which `matching_columns` replaces."""
    return any(sign in name for name in as_names(target) for sign in (*_WILDCARDS, _RANGE))


def matching_columns(target: str | Sequence[str] | None, columns: Iterable[str]) -> list[str]:
    """Return the target columns that names, patterns such as `label_*` and ranges such as `q1:q9` mean.

    `*` is any text and `?` any character; a range goes from one column to another, in the order of the table. A column
    whose name is literally that wins.

    Args:
        target: see `as_names`.
        columns: the names of all columns.

    Raises:
        KzooError: a pattern that matches no column.
    """
    columns = list(columns)
    targets = list[str]()
    for name in [target] if isinstance(target, str) and target in columns else as_names(target):
        first, _, last = (part.strip() for part in name.partition(_RANGE))
        matched = [name]
        if name in columns:
            pass
        elif first in columns and last in columns:
            matched = columns[columns.index(first) : columns.index(last) + 1]
        elif any(sign in name for sign in _WILDCARDS):
            pattern = name.replace("[", "[[]")  # a bracket is a part of a name
            matched = [column for column in columns if fnmatchcase(column, pattern)]
        if not matched:
            near = hint(name.strip("".join((*_WILDCARDS, _RANGE))), columns)
            raise KzooError(
                f"matches no column. {near}Columns: {listed(columns, MOST)}.",
                argument="target",
                value=name,
            )
        targets += (
            matched
            if matched == [name]
            else [column for column in matched if column not in targets]
        )
    return targets


def find_target(table: "Rows | DataFrame", target: str | Sequence[str] | None) -> list[str]:
    """Return the target columns of a table: the requested ones, else a last column called target, label, class or y."""
    if not len(table.columns):
        raise KzooError("The table has no columns.")
    last = table.columns[-1]
    if target is None and last.lower() in TARGET_NAMES:
        return [last]
    # A column name may contain a comma.
    targets = (
        [target] if isinstance(target, str) and target in list(table.columns) else as_names(target)
    )
    if not targets:
        raise KzooError(
            f"Say which column to predict with target=. Columns: {listed(table.columns, 40)}."
        )
    require(table, targets, "the table")
    check_distinct(targets)
    return targets


def check_distinct(names: Sequence[str], argument: str = "target") -> None:
    """Raise `KzooError` if an argument names a column twice."""
    if len(set(names)) < len(names):
        raise KzooError(
            f"must not repeat a column: {next(name for name in names if names.count(name) > 1)!r}. Name "
            "each column once.",
            argument=argument,
        )


def single_table(words: Sequence[str]) -> Path:
    """Return the only file named on the command line.

    Raises:
        KzooError: there are several, or it does not exist.
    """
    if len(words) > 1:
        raise KzooError(
            f"This run reads a table. Pass one file, not {len(words)} inputs; a pattern of files needs quotes."
        )
    return existing_path(words[0])
