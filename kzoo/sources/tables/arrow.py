"""Columns of Arrow: of a Parquet file, and of a piece of a table that memory has no room for. pyarrow, when asked for.

A column becomes what the same cells are in a DataFrame: numbers, times, or texts, of which each different one is kept
once. Types are settled first, so that both roads see the same few.
"""

import re
from collections import Counter
from datetime import timedelta

import numpy as np

from kzoo.sources.tables.numbers import number_formats
from kzoo.sources.tables.raw import Rows
from kzoo.sources.tables.values import Texts, plain, read_numbers, to_dates
from kzoo.sources.tables.zones import offset_of
from kzoo.utils.errors import KzooError
from kzoo.utils.optional import require

_INDEX = re.compile(r"__index_level_\d+__")  # what pandas calls the numbers of its rows
# Cells that Arrow reads as this package does, by the decimal sign of their column: the others are read one by one.
_SIMPLE = {".": r"^-?\d+(\.\d*)?([eE][+-]?\d+)?$", ",": r"^-?\d+(,\d*)?$", "": r"^-?\d+$"}
_ODD = np.uint64(0x9E3779B97F4A7C15)


def arrow(module="pyarrow"):
    """Return pyarrow, or a module of it.

    Raises:
        KzooError: it is not installed.
    """
    return require(module, extra="arrow")


def settled(table, name):
    """Return a table of Arrow with numbers, booleans, times and texts alone, and stripped names.

    Args:
        table: a `pyarrow.Table` or a record batch.
        name: of the file, for messages.

    Raises:
        KzooError: a column that holds something else, such as lists; or two of one name.
    """
    pa = arrow()
    names = {place: name.strip() for place, name in enumerate(table.schema.names) if not _INDEX.fullmatch(name)}
    kept, names = list(names), list(names.values())
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise KzooError(f"Two columns of {name!r} are called {twice[0]!r}; give each a name of its own.")
    columns = []
    for place, column in zip(kept, names, strict=True):
        values = table.column(place)
        wanted = _settled_type(pa, values.type)
        if wanted is None:
            raise KzooError(
                f"Column {column!r} of {name!r} holds {values.type}, and a cell is one number, text or date: leave it "
                "out when the file is written."
            )
        if values.type != wanted:
            values = values.cast(wanted, safe=not pa.types.is_timestamp(wanted))
        columns.append(values)
    return pa.table(columns, names=names)


def _settled_type(pa, type):
    """Return the type that columns of this one are read as; None where they are not read."""
    types = pa.types
    if types.is_dictionary(type):
        return _settled_type(pa, type.value_type)
    if types.is_null(type) or types.is_decimal(type):
        return pa.float64()
    if types.is_date(type):
        return pa.timestamp("us")
    if types.is_timestamp(type):
        return pa.timestamp("us", type.tz)
    if types.is_time(type) or types.is_string_view(type):
        return pa.string()
    if types.is_float16(type):
        return pa.float32()
    fits = (types.is_boolean, types.is_integer, types.is_floating, types.is_string, types.is_large_string)
    return type if any(fit(type) for fit in fits) else None


def is_texts(column) -> bool:
    """Say whether a settled column of Arrow holds texts."""
    types = arrow().types
    return types.is_string(column.type) or types.is_large_string(column.type)


def plain_of(column):
    """Return a settled column of Arrow as a plain one (see `kzoo.sources.tables.values`); times are local ones."""
    if not is_texts(column):
        return plain(_local(column).to_numpy(zero_copy_only=False))
    encoded = _in_one(column.dictionary_encode())
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Texts(encoded.dictionary.to_pylist(), codes.astype(np.int32))


def _zone(type):
    return type.tz if arrow().types.is_timestamp(type) else None


def _local(column):
    """Return a column of times that have a zone as its clock shows them; anything else as it is."""
    return arrow("pyarrow.compute").local_timestamp(column) if _zone(column.type) else column


def _typed_zone(column):
    """Return (minutes from UTC (N,), zone) of a column of times that have a zone; None of anything else."""
    if not (zone := _zone(column.type)):
        return None
    local = _local(column)
    utc = column.cast(local.type, safe=False)
    local, utc = (np.asarray(times.to_numpy(zero_copy_only=False), "M8[us]") for times in (local, utc))
    return (local - utc) / np.timedelta64(1, "m"), zone if offset_of(zone) != timedelta() else "UTC"


def frame_of_settled(table):
    """Return a settled table of Arrow as a DataFrame, whose `attrs["of_arrow"]` says so."""
    frame = table.to_pandas(ignore_metadata=True)
    frame.attrs["of_arrow"] = True
    return frame


def rows_of_settled(table) -> Rows:
    """Return a settled table of Arrow as `Rows`."""
    columns = {name: _in_one(table.column(name)) for name in table.schema.names}
    zones = {name: zone for name, column in columns.items() if (zone := _typed_zone(column)) is not None}
    return Rows({name: plain_of(column) for name, column in columns.items()}, zones=zones)


def _in_one(column):
    """Return a column in one piece."""
    if not hasattr(column, "chunks"):
        return column
    if arrow().types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def as_rows(table, name="the table") -> Rows:
    """Return a table of Arrow, or a record batch, as `Rows`.

    Args:
        name: of the file, for messages.

    Raises:
        KzooError: see `settled`.
    """
    return rows_of_settled(settled(table, name))


class Piece(Rows):
    """Rows of a settled table of Arrow, whose columns become plain when they are asked for.

    Args:
        table: a `pyarrow.Table`.
        decimal: the decimal sign of its file; None where that shows none.
    """

    def __init__(self, table, decimal=None):
        super().__init__({}, decimal)
        self.table = table

    def __len__(self):
        return self.table.num_rows

    def __contains__(self, name):
        return name in self.table.schema.names

    def __getitem__(self, name):
        if name not in self._columns:
            self._columns[name] = plain_of(self.table.column(name))
        return self._columns[name]

    @property
    def columns(self):
        return list(self.table.schema.names)

    def typed_zone(self, name):
        return _typed_zone(_in_one(self.table.column(name)))

    def take(self, order):
        return Piece(self.table.take(order), self._decimal)

    def numbers(self, name, writing=None):
        column = _in_one(self.table.column(name))
        if not is_texts(column) or name in self._columns:
            return super().numbers(name, writing)
        found = _numbers(column, number_formats(writing, self._decimal)[0].decimal)
        if found is None:
            return super().numbers(name, writing)
        numbers, left = found
        if len(left):
            numbers[left] = read_numbers(plain_of(column.take(left)), writing, self._decimal)
        return numbers

    def dates(self, name, day_first=False, wall_clock=False):
        column = self.table.column(name)
        if is_texts(column) and name not in self._columns:
            pa = arrow()
            try:
                return column.cast(pa.timestamp("us")).to_numpy()
            except pa.ArrowInvalid:  # not all of them as ISO 8601 has it
                pass
        return to_dates(self[name], day_first, wall_clock)


def _numbers(column, decimal):
    """Return a column of texts as float64, and the places of cells that Arrow does not read as this package does."""
    pa, compute = arrow(), arrow("pyarrow.compute")
    none = np.empty(0, np.int64)
    if decimal == ".":
        try:
            return _finite(column.cast(pa.float64())), none
        except pa.ArrowInvalid:  # not all of them as Arrow writes numbers
            pass
    simple = compute.match_substring_regex(column, _SIMPLE[decimal])
    if not compute.any(simple).as_py():
        return None
    there = compute.if_else(simple, column, None)
    if decimal == ",":
        there = compute.replace_substring(there, ",", ".")
    left = compute.fill_null(compute.invert(simple), False)
    return _finite(there.cast(pa.float64())), np.flatnonzero(left.to_numpy(zero_copy_only=False))


def _finite(column):
    numbers = np.array(column.to_numpy(zero_copy_only=False), np.float64)
    numbers[~np.isfinite(numbers)] = np.nan
    return numbers


def hashes(table, names) -> np.ndarray:
    """Return a number for each row (N,) uint64, equal for rows whose cells in these columns are equal.

    It is the same in every process and on every machine, and depends on nothing but the cells.
    """
    total = np.full(table.num_rows, _ODD)
    with np.errstate(over="ignore"):
        for name in names:
            total = mixed(total * _ODD + _cells(_in_one(table.column(name))))
    return total


def mixed(values):
    """Return whole numbers (N,) uint64, each as another one: the end of splitmix64 (doi:10.1145/2714064.2660195)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _cells(column):
    """Return a hash of each cell; of a missing one 0."""
    pa = arrow()
    if is_texts(column):
        found = _texts(column)
    elif pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # of two zeros one
        values[np.isnan(values)] = np.nan  # of many NaN one
        found = mixed(values.view(np.uint64))
    else:
        whole = _local(column).cast(pa.int64(), safe=False).fill_null(0)
        found = mixed(whole.to_numpy(zero_copy_only=False).view(np.uint64))
    if column.null_count:
        found[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return found


def _texts(column):
    """Return a hash of each text: its bytes, eight at a time."""
    width = np.int64 if arrow().types.is_large_string(column.type) else np.int32
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize).astype(np.int64)
    first = int(offsets[0])
    letters = np.zeros(int(offsets[-1]) - first + 8, np.uint8)
    if len(letters) > 8:
        letters[:-8] = np.frombuffer(data, np.uint8, len(letters) - 8, first)
    eight = np.ndarray(len(letters) - 7, "<u8", letters, strides=(1,))  # the eight bytes from each on
    starts, lengths = offsets[:-1] - first, np.diff(offsets)
    found = mixed(lengths.astype(np.uint64) + np.uint64(1))
    left = np.arange(len(lengths))
    masks = np.array([2 ** (8 * count) - 1 for count in range(9)], np.uint64)
    with np.errstate(over="ignore"):
        while len(left := left[lengths[left] > 0]):
            words = eight[starts[left]] & masks[np.minimum(lengths[left], 8)]
            found[left] = mixed(found[left] * _ODD + words)
            starts[left] += 8
            lengths[left] -= 8
    return found
