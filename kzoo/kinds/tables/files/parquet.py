"""Parquet files, and folders of them that make up one table: their columns have types. Needs pyarrow."""

from pathlib import Path

from kzoo.errors import KzooError
from kzoo.kinds.tables.arrow import Piece, arrow, frame_of_settled, rows_of_settled, settled
from kzoo.kinds.tables.raw import Rows
from kzoo.kinds.tables.values import plain

SUFFIXES = (".parquet", ".pq")
FOLDERS = True  # a folder of such files is a table too
_PIECE = 4 << 20  # bytes of a piece, about
_MOST_ROWS = 65_536
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
    """A table of Parquet, read piece by piece (see `kzoo.kinds.tables.files`)."""

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
                    yield Piece(self._settled(batch, file))

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
            return arrow("pyarrow.parquet").ParquetFile(file, buffer_size=1 << 20, pre_buffer=False)


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
    pieces = Pieces(path)
    tables = [piece.table for piece in pieces]
    pa = arrow()
    return pa.concat_tables(tables) if tables else pieces._types.empty_table()
