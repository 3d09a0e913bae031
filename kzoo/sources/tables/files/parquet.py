"""Parquet files, and folders of them that make up one table: their columns have types. Needs pyarrow."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from kzoo.sources.tables.arrow import Piece, arrow, frame_of_settled, rows_of_settled, settled
from kzoo.sources.tables.raw import Rows
from kzoo.sources.tables.values import plain
from kzoo.storage.memory import free_memory
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes

SUFFIXES = (".parquet", ".pq")
FOLDERS = True  # a folder of such files is a table too
_PIECE = 4 << 20  # bytes of a piece, about
_MOST_ROWS = 65_536
_MOST_TEXT = 64 << 20  # bytes of the texts of a piece, of which a file may store each once
_LARGE = 1 << 30  # bytes that a table may take wherever it is read
_TEXT = 70  # bytes that a text takes in a DataFrame, about


def frame(path, text=()):
    """Read Parquet for training; cells stay what they are.

    Raises:
        KzooError: not a table; or pyarrow is not installed.
    """
    return Pieces(path).frame(_whole(path))


def rows(path) -> Rows:
    """Read Parquet by column.

    Raises:
        KzooError: not a table; or pyarrow is not installed.
    """
    return rows_of_settled(_whole(path))


def header(path) -> Rows:
    """Return the columns without their rows.

    Raises:
        KzooError: not a table; or pyarrow is not installed.
    """
    return Rows({name: plain([]) for name in Pieces(path).names})


def size(path) -> int:
    """Return the bytes that the table takes in memory, about.

    Raises:
        KzooError: not a table; or pyarrow is not installed.
    """
    return Pieces(path).size


def files_of(path) -> list:
    """Return the Parquet files that make up a table, in order: the file itself, or those in a folder.

    Raises:
        KzooError: none, or folders whose names hold values of a column.
    """
    path = Path(path)
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and _counts(file, path))
    if not files:
        raise KzooError(f"{path.name!r} holds no Parquet files.")
    for file in files:
        if named := [part for part in file.relative_to(path).parts[:-1] if "=" in part]:
            raise KzooError(
                f"{path.name!r}: {named[0]!r} is a column in the name of a folder, which kzoo does not read. Write the "
                "column into the files."
            )
    return files


def _counts(file, folder):
    """Say whether a file is part of the table: those that a program keeps for itself begin with _ or a dot."""
    return file.is_file() and not any(part.startswith(("_", ".")) for part in file.relative_to(folder).parts)


class Pieces:
    """A table of Parquet, read piece by piece (see `kzoo.sources.tables.files`)."""

    decimal, notes, written = None, (), False

    def __init__(self, path):
        self.name, self.files = Path(path).name, files_of(path)
        self.kept, self.words = {}, {}  # there is nothing to tell apart: a word is no missing value here
        self._opened = [self._open(file) for file in self.files[:1]]
        schema = self._opened[0].schema_arrow
        self._types = settled(schema.empty_table(), self.name).schema
        self.names = list(self._types.names)

    @property
    def size(self):
        """Bytes that it takes in memory, about: read, and put into numbers."""
        pa, total = arrow(), 0
        texts = sum(pa.types.is_string(t) or pa.types.is_large_string(t) for t in self._types.types)
        width = 16 * (len(self.names) - texts) + 2 * _TEXT * texts
        for file in self.files:
            total += self._open(file).metadata.num_rows * width
        return total

    def __iter__(self):
        for file in self.files:
            opened = self._open(file)
            count = max(1, min(_MOST_ROWS, _PIECE // (16 * max(len(self.names), 1))))
            with _said(self.name):
                for batch in opened.iter_batches(count, use_threads=False):
                    for part in _parts(batch):
                        yield Piece(self._settled(part, file))

    def frame(self, table, text=()):
        """Return rows of its pieces as the DataFrame that `frame` reads."""
        return frame_of_settled(table)

    def _settled(self, table, file):
        found = settled(table, self.name)
        if found.schema.names != self.names:
            raise KzooError(f"{self.name!r}: {Path(file).name!r} has other columns than {self.files[0].name!r}.")
        if found.schema.types != self._types.types:
            pa = arrow()
            try:
                for column, type in zip(found.columns, self._types.types, strict=True):
                    if pa.types.is_timestamp(type) and bool(type.tz) != bool(getattr(column.type, "tz", type.tz)):
                        raise pa.ArrowInvalid("one has a time zone and the other has none")
                found = found.cast(self._types)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
                wrong = next(
                    n for n, a, b in zip(self.names, found.schema, self._types, strict=True) if a.type != b.type
                )
                raise KzooError(
                    f"{self.name!r}: column {wrong!r} of {Path(file).name!r} holds {found.schema.field(wrong).type}, "
                    f"and of {self.files[0].name!r} {self._types.field(wrong).type}."
                ) from None
        return found

    def _open(self, file):
        with _said(Path(file).name):
            # Pages are read as they are needed: a row group may be as large as the file.
            parquet, options = arrow("pyarrow.parquet"), dict(buffer_size=1 << 20, pre_buffer=False)
            opened = parquet.ParquetFile(file, **options)
            if repeated := _repeated_texts(opened.metadata):
                opened = parquet.ParquetFile(file, read_dictionary=repeated, **options)
            return opened


def _repeated_texts(metadata) -> list:
    """Return the columns of texts that a file stores once each, and that may be very long written out."""
    found = dict.fromkeys(
        column.path_in_schema
        for column in _chunks(metadata)
        if column.physical_type == "BYTE_ARRAY"
        and any("DICTIONARY" in encoding for encoding in column.encodings)
        and column.num_values * column.total_uncompressed_size > _MOST_TEXT
    )
    return list(found)


def _chunks(metadata):
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        yield from map(group.column, range(group.num_columns))


def _parts(batch):
    """Yield rows in parts, the texts of each of which take about `_MOST_TEXT` bytes once they are written out."""
    pa, compute, sizes = arrow(), arrow("pyarrow.compute"), np.zeros(batch.num_rows, np.int64)
    for column in batch.columns:
        if pa.types.is_dictionary(column.type) and not pa.types.is_primitive(column.type.value_type):
            lengths = compute.binary_length(column.dictionary).take(column.indices)
            sizes += lengths.fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.flatnonzero(np.diff(np.cumsum(sizes) // _MOST_TEXT)) + 1
    for start, stop in pairwise([0, *ends.tolist(), batch.num_rows]):
        yield batch.slice(start, stop - start)


class _said:
    """Turn what pyarrow says of a broken file into a `KzooError`."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, arrow().ArrowException | OSError):
            raise KzooError(f"{self.name!r} is not a readable table: {str(error).strip().splitlines()[0]}") from None


def _whole(path):
    pieces, tables, size, most = Pieces(path), [], 0, max(_LARGE, free_memory() // 2)
    for piece in pieces:
        tables.append(piece.table)
        size += piece.table.nbytes
        if size > most:
            raise KzooError(
                f"{pieces.name!r} takes more than {in_bytes(most)} in memory: its texts are long, and stored once "
                "each. Shorten them, or leave columns out."
            )
    pa = arrow()
    return pa.concat_tables(tables) if tables else pieces._types.empty_table()
