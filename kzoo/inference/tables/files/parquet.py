"""Parquet files, and folders of them that form one table: their columns have types. Needs pyarrow."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.inference.tables.arrow import (
    Piece,
    Table,
    arrow,
    frame_of_normalized,
    normalize_table,
    rows_of_normalized,
)
from kzoo.inference.tables.partitions import is_hidden, partitions_of
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import plain
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes
from kzoo.utils.memory import free_memory
from kzoo.utils.table_path import name_of_table

if TYPE_CHECKING:
    from pandas import DataFrame

Metadata: TypeAlias = Any  # of a Parquet file; pyarrow says nothing of its types
SUFFIXES = (".parquet", ".pq")
FOLDERS = True  # a folder of such files is a table too
_PIECE = 4 << 20  # bytes of a piece, about
_MOST_ROWS = 65_536
_MOST_TEXT = 64 << 20  # bytes of the texts of a piece; a file may store each unique text once
_LARGE = 1 << 28  # bytes that a table may always take
_TEXT = 70  # approximate bytes of a text in a DataFrame


def frame(path: str | Path, text: Collection[str] = ()) -> "DataFrame":
    """Read Parquet for training; cells keep their types.

    Raises:
        KzooError: it is not a table; or pyarrow is not installed.
    """
    table, notes = _read_all(path)
    frame = frame_of_normalized(table)
    frame.attrs["partition_notes"] = notes
    return frame


def rows(path: str | Path) -> Rows:
    """Read Parquet by column.

    Raises:
        KzooError: it is not a table; or pyarrow is not installed.
    """
    return rows_of_normalized(_read_all(path)[0])


def header(path: str | Path) -> Rows:
    """Return the columns without their rows.

    Raises:
        KzooError: it is not a table; or pyarrow is not installed.
    """
    return Rows({name: plain([]) for name in Pieces(path).names})


def size(path: str | Path) -> int:
    """Return the approximate size of the table in memory, in bytes.

    Raises:
        KzooError: it is not a table; or pyarrow is not installed.
    """
    return Pieces(path).size


def files_of(path: str | Path) -> list[Any]:
    """Return the Parquet files that form a table, in order: the file itself, or those in a folder.

    Raises:
        KzooError: there are none.
    """
    if files := getattr(path, "files", ()):
        return list(files)
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(
        file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and _is_part(file, path)
    )
    if not files:
        raise KzooError(f"{path.name!r} contains no Parquet files.")
    return files


def _is_part(file: Path, folder: Path) -> bool:
    """Return True if a file is part of the table; names of metadata and unfinished parts begin with _ or a dot."""
    return file.is_file() and not any(map(is_hidden, file.relative_to(folder).parts))


class Pieces:
    """A Parquet table that is read piece by piece (see `kzoo.inference.tables.files`)."""

    decimal = None
    written = False

    def __init__(self, path: str | Path) -> None:
        self.name, self.files = name_of_table(path), files_of(path)
        folder = getattr(path, "folder", None) or (Path(path) if Path(path).is_dir() else None)
        self._partitions = partitions_of(self.files, folder, self.name)
        self.notes: Sequence[str] = self._partitions.note(self.name)
        # always empty: Parquet has nulls, so no word means a missing value
        self.kept: Mapping[str, Collection[str]] = {}
        self.words: dict[str, set[str]] = {}
        self._opened = [self._open(file) for file in self.files[:1]]
        schema = self._opened[0].schema_arrow
        self._file_types = normalize_table(schema.empty_table(), self.name).schema
        self._partitions.check(self._file_types.names, self.files[0].name, self.name)
        self._types = self._with_partitions(self._file_types.empty_table(), 0, 0).schema
        self.names = list(self._types.names)

    @property
    def size(self) -> int:
        """Approximate size in memory, in bytes, including its conversion to numbers."""
        pa = arrow()
        total = 0
        texts = sum(pa.types.is_string(t) or pa.types.is_large_string(t) for t in self._types.types)
        width = 16 * (len(self.names) - texts) + 2 * _TEXT * texts
        for file in self.files:
            total += self._count(file) * width
        return total

    def _count(self, file: Path) -> int:
        """Return the number of rows of a file, of which only the end is read, once if it must be transferred for it."""
        facts: dict[str, int] = getattr(file, "facts", {})
        if "rows" not in facts:
            with _pyarrow_errors(file.name), file.open("rb") as stream:
                facts["rows"] = arrow("pyarrow.parquet").read_metadata(stream).num_rows
        return facts["rows"]

    def __iter__(self) -> Iterator[Piece]:
        for index, file in enumerate(self.files):
            opened = self._open(file)
            count = max(1, min(_MOST_ROWS, _PIECE // (16 * max(len(self.names), 1))))
            with _pyarrow_errors(self.name):
                for batch in opened.iter_batches(count, use_threads=False):
                    for part in _slices(batch):
                        table = self._normalize(part, file)
                        yield Piece(self._with_partitions(table, index, part.num_rows))

    def frame(self, table: Table, text: Collection[str] = ()) -> "DataFrame":
        """Return rows of its pieces as the DataFrame that `frame` reads."""
        return frame_of_normalized(table)

    def _with_partitions(self, table: Table, index: int, count: int) -> Table:
        """Return rows of the file at an index with the columns in the names of its folders, which come last."""
        pa = arrow()
        for name, value in self._partitions.typed(index):
            type = pa.int64() if name in self._partitions.whole else pa.string()
            table = table.append_column(name, pa.repeat(pa.scalar(value, type), count))
        return table

    def _normalize(self, table: Table, file: str | Path) -> Table:
        normalized = normalize_table(table, self.name)
        names, types = self._file_types.names, self._file_types
        if normalized.schema.names != names:
            self._partitions.check(normalized.schema.names, Path(file).name, self.name)
            raise KzooError(
                f"{self.name!r}: {Path(file).name!r} has different columns than {self.files[0].name!r}."
            )
        if normalized.schema.types != types.types:
            pa = arrow()
            try:
                for column, type in zip(normalized.columns, types.types, strict=True):
                    if pa.types.is_timestamp(type) and bool(type.tz) != bool(
                        getattr(column.type, "tz", type.tz)
                    ):
                        raise pa.ArrowInvalid("one has a time zone and the other does not")
                normalized = normalized.cast(types)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                mismatch = next(
                    n
                    for n, a, b in zip(names, normalized.schema, types, strict=True)
                    if a.type != b.type
                )
                raise KzooError(
                    f"{self.name!r}: column {mismatch!r} has the type {normalized.schema.field(mismatch).type} in "
                    f"{Path(file).name!r}, but {types.field(mismatch).type} in {self.files[0].name!r}."
                ) from None
        return normalized

    def _open(self, file: str | Path) -> Any:
        with _pyarrow_errors(Path(file).name):
            # Pages are read on demand: a row group may be as large as the file.
            parquet = arrow("pyarrow.parquet")
            options = dict(buffer_size=1 << 20, pre_buffer=False)
            opened = parquet.ParquetFile(file, **options)
            if repeated := _repeated_texts(opened.metadata):
                opened = parquet.ParquetFile(file, read_dictionary=repeated, **options)
            return opened


def _repeated_texts(metadata: Metadata) -> list[str]:
    """Return the text columns that a file dictionary-encodes and that may be very large once expanded."""
    columns = dict.fromkeys(
        column.path_in_schema
        for column in _chunks(metadata)
        if column.physical_type == "BYTE_ARRAY"
        and any("DICTIONARY" in encoding for encoding in column.encodings)
        and column.num_values * column.total_uncompressed_size > _MOST_TEXT
    )
    return list(columns)


def _chunks(metadata: Metadata) -> Iterator[Any]:
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        yield from map(group.column, range(group.num_columns))


def _slices(batch: Table) -> Iterator[Table]:
    """Yield slices of a batch whose texts take about `_MOST_TEXT` bytes once they are expanded."""
    pa = arrow()
    compute = arrow("pyarrow.compute")
    sizes = np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and not pa.types.is_primitive(
            column.type.value_type
        ):
            lengths = compute.binary_length(column.dictionary).take(column.indices)
            sizes += lengths.fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.flatnonzero(np.diff(np.cumsum(sizes) // _MOST_TEXT)) + 1
    for start, stop in pairwise([0, *ends.tolist(), batch.num_rows]):
        yield batch.slice(start, stop - start)


@contextmanager
def _pyarrow_errors(name: str) -> Iterator[None]:
    """Turn pyarrow's errors about a broken file into `KzooError`."""
    try:
        yield
    except (arrow().ArrowException, OSError) as error:
        raise KzooError(
            f"Cannot read {name!r} as a table: {str(error).strip().splitlines()[0]}"
        ) from None


def _read_all(path: str | Path) -> tuple[Table, list[str]]:
    """Return the whole table, and notes on how it was read."""
    pieces = Pieces(path)
    tables = []
    size = 0
    most = max(_LARGE, free_memory() // 2)
    for piece in pieces:
        tables.append(piece.table)
        size += piece.table.nbytes
        if size > most:
            raise KzooError(
                f"{pieces.name!r} takes more than {in_bytes(most)} in memory, because its long texts are stored once "
                "and repeated. Shorten them, or remove columns."
            )
    pa = arrow()
    table = pa.concat_tables(tables) if tables else pieces._types.empty_table()
    return table, list(pieces.notes)
