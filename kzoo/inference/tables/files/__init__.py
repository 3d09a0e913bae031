"""Table files: a module for each type of file.

Modules are discovered in this folder and, for installed packages, through the entry-point group `kzoo.table_files`.

A module lists its `SUFFIXES`, and has two readers of the same file, which must agree:

    frame(path, text) -> DataFrame   for training, which learns the type of each column; columns named in `text` stay
                                     text
    rows(path) -> Rows               for new rows, without pandas; see `kzoo.inference.tables.raw`

(notes on how the file was read are in `attrs["notes"]` of the DataFrame and in `notes` of the rows)

or, in place of both,

    written(path) -> CsvText         the text of a CSV file, or the table as such a text (see
                                     `kzoo.inference.tables.written`)

and may have

    header(path) -> Rows             its columns without rows, from the beginning of the file; None if that is not
                                     enough
    size(path) -> int                approximate size in memory, in bytes
    Pieces(path)                     the table in pieces, if it does not fit into memory: a `TablePieces` (see
                                     `kzoo.inference.tables.arrow`). Needs pyarrow
    FOLDERS = True                   a folder of such files is a table too, of `files_of(path)`
    SEVERAL = True                   these functions take the `TablePath` of several files too
"""

import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache, partial
from importlib import import_module
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from kzoo.inference.sources.files import add_notes, decode_text
from kzoo.inference.sources.folders import SPLIT_FOLDERS, splits_in
from kzoo.inference.sources.shards import ShardFolder, folder_at
from kzoo.inference.tables.partitions import is_hidden, partitions_of
from kzoo.inference.tables.written import CsvText
from kzoo.problems.kinds.image import SUFFIXES as IMAGES
from kzoo.utils.discovery import installed, list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_regular
from kzoo.utils.formatting import listed, plural
from kzoo.utils.table_path import TablePath, locate, name_of_table

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.inference.tables.arrow import TablePieces
    from kzoo.inference.tables.raw import Rows

_OPTIONAL = ("header", "size", "Pieces")  # functions that a module may have
_MOST_COLUMNS = 10_000  # of an uploaded table
_LABELS = "labels"  # name of the table in a folder that labels its files, without the suffix
_DEFAULT_SUFFIX = ".csv"  # the reader of files with an unknown suffix
_DESCRIPTIONS = ("README", "LICENSE")
_SPLIT_NAMES = {word for words in SPLIT_FOLDERS.values() for word in words}
_MAX_FILES_CHECKED = 100  # files of a folder, which must all have the same reader
_ARCHIVES = (".gz", ".zip")  # a folder may have one beside its table of labels
# Types of files a folder of which is one table, unless it has folders of classes. Spark writes such folders.
_PARTS = (".csv", ".tsv", ".jsonl", ".ndjson", ".gz")
_OTHER_SPREADSHEETS = (".xls", ".xlsb", ".ods", ".fods", ".numbers")


@cache
def _built_in_readers() -> dict[str, ModuleType]:
    """Return suffix -> the module of this folder that reads it."""
    return _by_suffix(
        import_module(f"{__name__}.{name}") for name in list_modules(__name__, "SUFFIXES")
    )


@cache
def suffixes() -> dict[str, ModuleType]:
    """Return suffix -> the module that reads it, including those of installed packages."""
    return _by_suffix(installed("kzoo.table_files").values()) | _built_in_readers()


def _by_suffix(modules: Iterable[ModuleType]) -> dict[str, ModuleType]:
    return {suffix: module for module in modules for suffix in module.SUFFIXES}


def _reader_of(suffix: str) -> ModuleType | None:
    """Return the module that reads files with a suffix; None if there is none."""
    # Installed packages come last: finding them is slow.
    return _built_in_readers().get(suffix) or suffixes().get(suffix)


def is_table(path: str | Path) -> bool:
    """Return True if this is the path of a table, judged by its suffix; for a folder, by those of its files."""
    path = _located(path)
    if not isinstance(path, str | Path):
        return False
    if getattr(path, "database", False) or Path(path).suffix.lower() in _OTHER_SPREADSHEETS:
        return True  # the latter so that reading them says what to do
    if path_files(path):
        return _reader_of(path_files(path)[0].suffix.lower()) is not None
    reader = _folder_reader(path) if os.path.isdir(path) else _reader_of(Path(path).suffix.lower())
    return reader is not None


def labels_file(folder: str | Path) -> Path | None:
    """Return the table in a folder that labels its files: `labels.csv`, or another type of file; None without one.

    Raises:
        KzooError: there are several.
    """
    names = sorted(
        name for name in _names_in(folder) if os.path.splitext(name)[0].lower() == _LABELS
    )
    suffixes_of_names = {name: Path(name).suffix.lower() for name in names}
    tables = [
        n
        for n, suffix in suffixes_of_names.items()
        if suffix not in _ARCHIVES and _reader_of(suffix) is not None
    ]
    if len(tables) > 1:
        raise KzooError(f"{str(folder)!r} contains {tables[0]} and {tables[1]}. Keep one of them.")
    if isinstance(folder, ShardFolder):
        if tables:
            return folder / tables[0]
        return None if "train" in splits_in(folder) else folder.labels(IMAGES)
    return Path(folder, tables[0]) if tables else None


def _names_in(folder: str | Path) -> list[str]:
    """Return the names of the files and folders in a folder."""
    return folder.file_names() if isinstance(folder, ShardFolder) else os.listdir(folder)


def labelled_folders(folder: str | Path) -> dict[str, Path]:
    """Return split -> the folder with a table of labels: the folder itself as "train", or its `train/`, `test/`, ...

    The dict is empty without a table of labels for the training split.

    Raises:
        KzooError: a folder has several such tables.
    """
    if labels_file(folder) is not None:
        return {"train": folder_at(folder)}
    splits = {
        split: path
        for split, path in splits_in(folder_at(folder)).items()
        if labels_file(path) is not None
    }
    return splits if "train" in splits else {}


def _folder_reader(path: str | os.PathLike[str]) -> ModuleType | None:
    """Return the module that reads a folder as one table; None if there is none."""
    if not os.path.isdir(path):
        return None
    readers = {
        _reader_of(Path(name).suffix.lower()) for name in islice(_files(path), _MAX_FILES_CHECKED)
    }
    module = readers.pop() if len(readers) == 1 else None
    return module if getattr(module, "FOLDERS", False) else None


def _located(path: Any) -> Any:
    """Return a path as `locate` does; a folder of CSV files that are parts of one table as a `TablePath` of them."""
    path = locate(path)
    if not isinstance(path, str | Path) or path_files(path) or not os.path.isdir(path):
        return path
    if not (files := _parts_in(path)):
        return path
    located = TablePath(path)
    located.__dict__ |= getattr(path, "__dict__", {})
    located.files, located.folder, located.label = files, Path(path), name_of_table(path)
    return located


def _parts_in(folder: str | Path) -> tuple[Path, ...]:
    """Return the sorted files of a folder whose files are the parts of one table of texts; none for other folders.

    They lie in the folder or in folders such as `year=2024`. Other folders hold the examples of a class, a file named
    `labels` labels other files, and files such as `train.csv` are tables of their own.
    """
    for name in islice(_files(folder), _MAX_FILES_CHECKED):
        if Path(name).suffix.lower() not in _PARTS:
            return ()
    return tuple(Path(folder, name) for name in _parts_of_types(_names_below(folder), _PARTS))


def parts_among(names: Collection[str]) -> list[str]:
    """Return the sorted names of the files of a folder that are the parts of one table; none for other folders.

    Args:
        names: of all files below, relative, with slashes.
    """
    folders = [key for key, module in _built_in_readers().items() if hasattr(module, "FOLDERS")]
    return _parts_of_types(names, _PARTS) or _parts_of_types(names, folders)


def _parts_of_types(names: Iterable[str], suffixes: Collection[str]) -> list[str]:
    parts = []
    for name in names:
        *folders, file = name.split("/")
        if any(map(is_hidden, (*folders, file))) or file.startswith(_DESCRIPTIONS):
            continue
        stem, suffix = file.partition(".")[0].lower(), os.path.splitext(file)[1].lower()
        if any("=" not in folder for folder in folders) or suffix not in suffixes:
            return []
        if stem == _LABELS or stem in _SPLIT_NAMES:
            return []
        parts.append(name)
    return sorted(parts)


def _names_below(folder: str | Path) -> Iterator[str]:
    """Yield the relative names of all files below a folder that are not hidden, with slashes."""
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not is_hidden(name)]
        for name in names:
            yield Path(path, name).relative_to(folder).as_posix()


def _files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the names of the files in and below a folder, in the order of the system: there may be millions."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir():
                yield from _files(entry.path)
            elif not entry.name.startswith(_DESCRIPTIONS):
                yield entry.name


def read_table(
    path: str | os.PathLike[str],
    text: Collection[str] = (),
    notes: list[str] | None = None,
    *,
    compact: bool = False,
) -> "DataFrame":
    """Return a file as a DataFrame, with stripped column names.

    Args:
        text: names of columns whose cells stay as written, such as `01067`; the file need not have them. Or a dict:
            name -> words such as `NA` that are cells of the column; in other columns they are missing values.
        notes: a list that gets notes on how the file was read; if None, they are issued as warnings.
        compact: whether columns of texts may become categories, which take less memory if texts repeat.

    Raises:
        KzooError: the file is not a table, or has no rows.
    """
    path = _located(path)
    reader = _table_reader(path)
    options = {"compact": compact} if isinstance(reader, _Written) else {}
    frame = reader.frame(path, text, **options)
    frame.columns = [str(column).strip() for column in frame.columns]
    if not len(frame):
        raise KzooError(f"{name_of_table(path)!r} has no rows.")
    add_notes(frame.attrs.pop("notes", ()), notes)
    partition_notes = frame.attrs.pop("partition_notes", ())
    if notes is None:  # these are no warnings
        return frame
    files = path_files(path)
    notes += partition_notes or partitions_of(
        files, getattr(path, "folder", None), name_of_table(path)
    ).note(name_of_table(path))
    if files:
        notes.append(f"{name_of_table(path)!r}: {plural(len(files), 'file')} read as one table.")
    return frame


def read_rows(path: str | Path) -> "Rows":
    """Return a file as `Rows`.

    Raises:
        KzooError: it is not a table, or has no rows.
    """
    path = _located(path)
    rows = _table_reader(path).rows(path)
    if not len(rows):
        raise KzooError(f"{name_of_table(path)!r} has no rows.")
    add_notes(rows.notes)
    return rows


def read_content(content: bytes, name: str = "the table", most: int | None = None) -> "Rows":
    """Return the bytes of an uploaded CSV file as `Rows`.

    Args:
        most: maximum number of rows; None for any number.

    Raises:
        KzooError: it is not a table, has no rows, too many columns, or rows far shorter than its header.
    """
    notes: list[str] = []
    table = CsvText(decode_text(content, name, notes), name, tuple(notes))
    rows = import_module(f"{__name__}.csv").rows_of(table, columns=_MOST_COLUMNS, most=most)
    if not len(rows):
        raise KzooError(f"{name!r} has no rows.")
    add_notes(rows.notes)
    return rows


def read_header(path: str | Path) -> "Rows | None":
    """Return the columns of a file as `Rows` without rows; None if reading them costs as much as reading the file.

    Raises:
        KzooError: it is not a table.
    """
    return _optional(path, "header")


def pieces_of(path: str | Path) -> "TablePieces | None":
    """Return an object that reads a table piece by piece; None if its type of file has none.

    Raises:
        KzooError: it is not a table; or pyarrow is not installed.
    """
    return _optional(path, "Pieces")


def files_of(path: str | Path) -> list[Path]:
    """Return the files that make up a table.

    Raises:
        KzooError: it is not a table.
    """
    return _optional(path, "files_of") or [Path(path)]


def size_of(path: str | Path) -> int:
    """Return the approximate size of a table in memory, in bytes; 0 if it is not known without reading the file.

    Raises:
        KzooError: it is not a table.
    """
    return _optional(path, "size") or 0


def _optional(path: str | Path, name: str) -> Any:
    """Return what a function of the reader of a table returns; None if the reader has no such function."""
    path = _located(path)
    function = getattr(_table_reader(path), name, None)
    return None if function is None else function(path)


def _table_reader(path: str | os.PathLike[str]) -> Any:
    """Return the module that reads a table, or a `_Written` with the same functions."""
    check_regular(path)
    suffix = Path(path).suffix.lower()
    if suffix in _OTHER_SPREADSHEETS and not getattr(path, "database", False):
        raise KzooError(
            f"{Path(path).name!r} is a spreadsheet of a type that is not read. Open it and save it as .xlsx or .csv."
        )
    if getattr(path, "database", False):
        module = import_module(f"{__name__}.sqlite")
    else:
        files = path_files(path)
        suffix = files[0].suffix.lower() if files else suffix
        module = (
            (None if files else _folder_reader(path))
            or _reader_of(suffix)
            or _built_in_readers()[_DEFAULT_SUFFIX]
        )
        if files and not getattr(module, "FOLDERS", False):
            _check_alike(path, module)
            several = module if getattr(module, "SEVERAL", False) else None
            return _Written(partial(_joined, module), several)
    return _Written(module.written, module) if hasattr(module, "written") else module


class _Written:
    """The readers of a table that is the text of a CSV file, or is turned into one.

    Args:
        written: function of a path that returns the `CsvText`.
        module: the module of the type of file, whose other functions are kept; None for several files.
    """

    def __init__(
        self, written: Callable[[str | Path], CsvText], module: ModuleType | None = None
    ) -> None:
        self._written = written
        self._csv = import_module(f"{__name__}.csv")
        self.__dict__ |= {
            name: getattr(module, name) for name in _OPTIONAL if hasattr(module, name)
        }

    def frame(
        self, path: str | Path, text: Collection[str] = (), *, compact: bool = False
    ) -> "DataFrame":
        return self._csv.frame_of(self._written(path), text, compact=compact)

    def rows(self, path: str | Path) -> "Rows":
        return self._csv.rows_of(self._written(path))

    def header(self, path: str | Path) -> "Rows | None":
        return self._csv.header_of(self._written(path))

    def files_of(self, path: str | Path) -> list[Path]:
        return path_files(path) or [Path(path)]


def path_files(path: object) -> list[Path]:
    """Return the files of a pattern; an empty list for the path of a single file."""
    return list(getattr(path, "files", ()))


def _check_alike(path: Any, module: ModuleType) -> None:
    """Raise `KzooError` for files that have different suffixes, or a type of which several cannot be read.

    Args:
        path: a `TablePath` of several files.
        module: the reader of the first.
    """
    name = name_of_table(path)
    suffixes_of_files = sorted({file.suffix.lower() for file in path.files})
    if len(suffixes_of_files) > 1:
        raise KzooError(
            f"{name!r} has files of several types: {listed(suffixes_of_files)}. Pass files of one type."
        )
    if not hasattr(module, "written"):
        raise KzooError(
            f"{name!r}: several {suffixes_of_files[0]} files cannot be read as one table. Pass one file."
        )


def _joined(module: ModuleType, path: TablePath) -> CsvText:
    """Return the files of a pattern or of a folder as the text of one CSV file.

    Raises:
        KzooError: they have different columns, or do not fit into memory.
    """
    csv = import_module(f"{__name__}.csv")
    name = name_of_table(path)
    partitions = partitions_of(path.files, path.folder, name)
    parts = []
    for number, file in enumerate(path.files):
        part = module.written(_part(path, file))
        if partitions.names:
            partitions.check(csv.header_of(part).columns, file.name, name)
            part = csv.with_columns(part, partitions.as_written(number))
        parts.append(part)
    return csv.joined(parts, name)


def _part(path: TablePath, file: Path) -> TablePath:
    """Return the path of one of the files of a pattern, with its options."""
    part = TablePath(os.fspath(file))  # of a part at an address: its copy
    part.__dict__ |= {**path.__dict__, "files": (), "folder": None, "label": None}
    return part
