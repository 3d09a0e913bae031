"""Columns of Arrow, from Parquet files or pieces of tables larger than memory. Imports pyarrow lazily.

A column becomes what its cells are in a DataFrame: numbers, times, or texts, with each unique text stored once. Types
are normalized first, so that Arrow and pandas see the same few types.
"""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

from kzoo.inference.tables.dates import to_dates
from kzoo.inference.tables.numbers import StoredFormat, number_formats
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import Column, Texts, plain, read_numbers, to_numbers
from kzoo.inference.tables.zones import offset_of
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes
from kzoo.utils.memory import free_memory
from kzoo.utils.optional import require

if TYPE_CHECKING:
    from pandas import DataFrame

# pyarrow says nothing of its types
Table: TypeAlias = Any
Array: TypeAlias = Any
DataType: TypeAlias = Any
_INDEX = re.compile(r"__index_level_\d+__")  # columns in which pandas stores an index
# Cells that Arrow parses like this package, by the decimal sign of the column; other cells are parsed one by one.
_SIMPLE = {".": r"^-?\d+(\.\d*)?([eE][+-]?\d+)?$", ",": r"^-?\d+(,\d*)?$", "": r"^-?\d+$"}
# 2**64 / golden ratio; odd, so that a product loses no bits
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def arrow(module: str = "pyarrow") -> ModuleType:
    """Return pyarrow, or a module of it.

    Raises:
        KzooError: it is not installed.
    """
    return require(module, extra="arrow")


def table_of(source: Table, name: str = "the table") -> Table:
    """Return what holds an Arrow table, or a stream of its pieces, as a `pyarrow.Table`.

    Args:
        source: a pyarrow table, or an object with `__arrow_c_stream__`: of Polars, DuckDB, pyarrow and others.
        name: for messages.

    Raises:
        KzooError: it is no table, or does not fit into memory; or pyarrow is not installed.
    """
    pa = arrow()
    if isinstance(source, pa.Table):
        return source
    if isinstance(source, pa.RecordBatch):
        return pa.Table.from_batches([source])
    batches = []
    size = 0
    most = free_memory() // 2
    try:
        with pa.RecordBatchReader.from_stream(source) as reader:
            schema = reader.schema
            for batch in reader:
                batches.append(batch)
                if (size := size + batch.nbytes) > most:
                    break
    except (pa.ArrowException, TypeError, ValueError, OSError) as error:
        why = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise KzooError(
            f"{type(source).__name__} cannot be read as a table: {why[0].rstrip('.')}."
        ) from None
    if size > most:
        raise KzooError(
            f"{name!r} takes more than {in_bytes(most)} in memory. Write it as a .parquet file and pass its path, "
            "which is read piece by piece."
        )
    return pa.Table.from_batches(batches, schema)


def normalize_table(table: Table, name: str) -> Table:
    """Return an Arrow table with columns of numbers, booleans, times and texts only, and stripped names.

    Args:
        table: a `pyarrow.Table` or a record batch.
        name: of the file, for messages.

    Raises:
        KzooError: a column holds something else, such as lists; or two columns have the same name.
    """
    pa = arrow()
    name_of = {
        index: column.strip()
        for index, column in enumerate(table.schema.names)
        if not _INDEX.fullmatch(column)
    }
    if duplicates := [column for column, n in Counter(name_of.values()).items() if n > 1]:
        raise KzooError(
            f"Two columns of {name!r} are named {duplicates[0]!r}. Give each column a unique name."
        )
    columns = []
    for index, column in name_of.items():
        values = table.column(index)
        type = _normalized_type(values.type)
        if type is None:
            raise KzooError(
                f"Column {column!r} of {name!r} has the type {values.type}. A cell must be a number, a text or a date: "
                "write the file without this column."
            )
        if arrow().types.is_duration(values.type):
            values = _seconds(values)
        if values.type != type:
            values = values.cast(type, safe=not pa.types.is_timestamp(type))
        columns.append(values)
    return pa.table(columns, names=list(name_of.values()))


def _normalized_type(type: DataType) -> DataType | None:
    """Return the type to which columns of a type are cast; None if they cannot be used."""
    pa = arrow()
    if pa.types.is_dictionary(type):
        return _normalized_type(type.value_type)
    casts = (
        (("null", "decimal", "duration"), pa.float64()),
        (("date",), pa.timestamp("us")),
        (("timestamp",), pa.timestamp("us", getattr(type, "tz", None))),
        (("time", "string_view"), pa.string()),
        (("float16",), pa.float32()),
        (("boolean", "integer", "floating", "string", "large_string"), type),
    )
    for names, target in casts:
        if any(getattr(pa.types, f"is_{name}")(type) for name in names):
            return target
    return None


def _seconds(column: Array) -> Array:
    """Return a column of durations in seconds."""
    compute = arrow("pyarrow.compute")
    per_second = {"s": 1, "ms": 1e3, "us": 1e6, "ns": 1e9}[column.type.unit]
    return compute.divide(
        column.cast(arrow().int64()).cast(arrow().float64(), safe=False), per_second
    )


def is_texts(column: Array) -> bool:
    """Return True if a normalized Arrow column holds texts."""
    types = arrow().types
    return types.is_string(column.type) or types.is_large_string(column.type)


def plain_column(column: Array) -> Column:
    """Return a normalized Arrow column as a plain one (see `kzoo.inference.tables.values`), with local times."""
    if not is_texts(column):
        return plain(_local(column).to_numpy(zero_copy_only=False))
    encoded = _combined(column.dictionary_encode())
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return Texts(encoded.dictionary.to_pylist(), codes.astype(np.int32))


def _zone(type: DataType) -> str | None:
    return type.tz if arrow().types.is_timestamp(type) else None


def _local(column: Array) -> Array:
    """Return a column of times with a zone as local times; other columns are unchanged."""
    return arrow("pyarrow.compute").local_timestamp(column) if _zone(column.type) else column


def _typed_zone(column: Array) -> tuple[np.ndarray, str] | None:
    """Return (minutes from UTC (N,), zone) of a column of times with a zone; None for other columns."""
    if not (zone := _zone(column.type)):
        return None
    local = _local(column)
    utc = column.cast(local.type, safe=False)
    local, utc = (
        np.asarray(times.to_numpy(zero_copy_only=False), "M8[us]") for times in (local, utc)
    )
    return (local - utc) / np.timedelta64(1, "m"), zone if offset_of(zone) != timedelta() else "UTC"


def frame_of_normalized(table: Table) -> "DataFrame":
    """Return a normalized Arrow table as a DataFrame, marked by `attrs["of_arrow"]`."""
    frame = table.to_pandas(ignore_metadata=True)
    frame.attrs["of_arrow"] = True
    return frame


def rows_of_normalized(table: Table) -> Rows:
    """Return a normalized Arrow table as `Rows`."""
    columns = {name: _combined(table.column(name)) for name in table.schema.names}
    zones = {
        name: zone for name, column in columns.items() if (zone := _typed_zone(column)) is not None
    }
    return Rows({name: plain_column(column) for name, column in columns.items()}, zones=zones)


def _combined(column: Array) -> Array:
    """Return a column as a single chunk."""
    if not hasattr(column, "chunks"):
        return column
    if arrow().types.is_dictionary(column.type):
        column = column.unify_dictionaries()
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def as_rows(table: Table, name: str = "the table") -> Rows:
    """Return an Arrow table, or a record batch, as `Rows`.

    Args:
        name: of the file, for messages.

    Raises:
        KzooError: see `settled`.
    """
    return rows_of_normalized(normalize_table(table_of(table, name), name))


class Piece(Rows):
    """Rows of a normalized Arrow table, whose columns are converted when they are first used.

    Args:
        table: a `pyarrow.Table`.
        decimal: the decimal sign of its file; None if the file shows none.
    """

    def __init__(self, table: Table, decimal: str | None = None) -> None:
        super().__init__({}, decimal)
        self.table = table

    def __len__(self) -> int:
        return self.table.num_rows

    def __contains__(self, name: object) -> bool:
        return name in self.table.schema.names

    def __getitem__(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = plain_column(self.table.column(name))
        return self._columns[name]

    @property
    def columns(self) -> list[str]:
        return list(self.table.schema.names)

    def typed_zone(self, name: str) -> tuple[np.ndarray, str] | None:
        return _typed_zone(_combined(self.table.column(name)))

    def take(self, order: np.ndarray) -> "Piece":
        return Piece(self.table.take(order), self.decimal)

    def numbers(self, name: str, writing: StoredFormat | None = None) -> np.ndarray:
        column = _combined(self.table.column(name))
        if not is_texts(column) or name in self._columns:
            return super().numbers(name, writing)
        parsed = _numbers(column, number_formats(writing, self.decimal)[0].decimal)
        if parsed is None:
            return super().numbers(name, writing)
        numbers, unparsed = parsed
        if len(unparsed):
            numbers[unparsed] = read_numbers(
                plain_column(column.take(unparsed)), writing, self.decimal
            )
        return numbers

    def dates(self, name: str, day_first: bool = False, wall_clock: bool = False) -> np.ndarray:
        column = self.table.column(name)
        if is_texts(column) and name not in self._columns:
            pa = arrow()
            try:
                return column.cast(pa.timestamp("us")).to_numpy()
            except pa.ArrowInvalid:  # some are not ISO 8601
                pass
        return to_dates(self[name], day_first, wall_clock)


class TablePieces(Protocol):
    """A table that is read piece by piece, any number of times.

    Attributes:
        name: for messages.
        names: of the columns.
        notes: on how it was read.
        decimal: the decimal sign of the file; None if it shows none, or has none.
        written: whether cells are texts, of which an empty one is missing.
        kept: name -> words of `MISSING` that are cells of a column; may be set before it is read.
        words: name -> words that were read as missing values.
    """

    name: str
    names: list[str]
    notes: Sequence[str]
    decimal: str | None
    written: bool
    kept: Mapping[str, Collection[str]]
    words: dict[str, set[str]]

    def __iter__(self) -> Iterator[Piece]: ...

    def frame(self, table: Table, text: Collection[str] = ()) -> "DataFrame":
        """Return rows of its pieces as the reader of the file reads them; see `kzoo.inference.tables.files`."""


def _numbers(column: Array, decimal: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return texts as float64, and the indices of cells that Arrow parses differently; None if it parses none."""
    pa = arrow()
    compute = arrow("pyarrow.compute")
    no_indices = np.empty(0, np.int64)
    if decimal == ".":
        try:
            return to_numbers(column.cast(pa.float64()).to_numpy(zero_copy_only=False)), no_indices
        except pa.ArrowInvalid:  # some are not numbers that Arrow can parse
            pass
    simple = compute.match_substring_regex(column, _SIMPLE[decimal])
    if not compute.any(simple).as_py():
        return None
    parsed = compute.if_else(simple, column, None)
    if decimal == ",":
        parsed = compute.replace_substring(parsed, ",", ".")
    unparsed = compute.fill_null(compute.invert(simple), False)
    numbers = to_numbers(parsed.cast(pa.float64()).to_numpy(zero_copy_only=False))
    return numbers, np.flatnonzero(unparsed.to_numpy(zero_copy_only=False))


def hashes(table: Table, names: Iterable[str]) -> np.ndarray:
    """Return a hash of each row (N,) uint64, equal for rows whose cells in these columns are equal.

    It depends on the cells only, and is the same in every process and on every machine.
    """
    total = np.full(table.num_rows, _MULTIPLIER)
    with np.errstate(over="ignore"):
        for name in names:
            total = mix_bits(total * _MULTIPLIER + _cells(_combined(table.column(name))))
    return total


def mix_bits(values: np.ndarray) -> np.ndarray:
    """Return mixed 64-bit integers (N,) uint64: the finalizer of splitmix64 (doi:10.1145/2714064.2660195)."""
    with np.errstate(over="ignore"):
        values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _cells(column: Array) -> np.ndarray:
    """Return a hash of each cell, 0 for a missing one."""
    pa = arrow()
    if is_texts(column):
        hashed = _texts(column)
    elif pa.types.is_floating(column.type):
        values = column.to_numpy(zero_copy_only=False).astype(np.float64) + 0.0  # -0.0 becomes 0.0
        values[np.isnan(values)] = np.nan  # one bit pattern for all NaN
        hashed = mix_bits(values.view(np.uint64))
    else:
        whole = _local(column).cast(pa.int64(), safe=False).fill_null(0)
        hashed = mix_bits(whole.to_numpy(zero_copy_only=False).view(np.uint64))
    if column.null_count:
        hashed[column.is_null().to_numpy(zero_copy_only=False)] = 0
    return hashed


def _texts(column: Array) -> np.ndarray:
    """Return a hash of each text, computed from eight bytes at a time."""
    width = np.int64 if arrow().types.is_large_string(column.type) else np.int32
    _, offsets, data = column.buffers()
    offsets = np.frombuffer(
        offsets, width, len(column) + 1, column.offset * np.dtype(width).itemsize
    ).astype(np.int64)
    first = int(offsets[0])
    letters = np.zeros(int(offsets[-1]) - first + 8, np.uint8)
    if len(letters) > 8:
        letters[:-8] = np.frombuffer(data, np.uint8, len(letters) - 8, first)
    # the eight bytes from each position
    eight = np.ndarray(len(letters) - 7, "<u8", letters, strides=(1,))
    starts = offsets[:-1] - first
    lengths = np.diff(offsets)
    hashed = mix_bits(lengths.astype(np.uint64) + np.uint64(1))
    remaining = np.arange(len(lengths))
    masks = np.array([2 ** (8 * count) - 1 for count in range(9)], np.uint64)
    with np.errstate(over="ignore"):
        while len(remaining := remaining[lengths[remaining] > 0]):
            words = eight[starts[remaining]] & masks[np.minimum(lengths[remaining], 8)]
            hashed[remaining] = mix_bits(hashed[remaining] * _MULTIPLIER + words)
            starts[remaining] += 8
            lengths[remaining] -= 8
    return hashed
