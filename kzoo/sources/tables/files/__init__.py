"""Files of tables: a module for each type of file, found by listing; of an installed package, under the entry-point
group `kzoo.table_files`.

A module says which `SUFFIXES` are its, and has two readers of the same file, which must agree:

    frame(path, text) -> DataFrame   for training, which learns what each column is; columns called in `text` stay text
    rows(path) -> Rows               for new rows, without pandas; see `kzoo.sources.tables.raw`

(what there is to know of how the file was read are `attrs["notes"]` of the one and `notes` of the other)

and may have

    header(path) -> Rows             its columns without rows, from its beginning alone; None where that does not tell
    size(path) -> int                bytes that it takes in memory, about
    Pieces(path)                     the table piece by piece, where memory has no room for it: an iterable of `Piece`
                                     (kzoo.sources.tables.arrow) with `name`, `names` of the columns, `decimal`,
                                     `written` (whether cells are texts, of which an empty one is missing),
                                     `kept` and `words` (see `csv.Pieces`), and `frame(table, text)`, rows of its
                                     pieces as `frame` reads them. Needs pyarrow
    FOLDERS = True                   a folder of such files is a table as well, of `files_of(path)`
"""

import os
from contextlib import suppress
from functools import cache
from importlib import import_module
from itertools import islice
from pathlib import Path

from kzoo.sources.files import add_notes
from kzoo.utils.discovery import installed, list_modules
from kzoo.utils.errors import KzooError
from kzoo.utils.files import check_regular

_MOST_COLUMNS = 10_000  # of a table that comes from elsewhere
_ELSE = ".csv"  # how a file of another suffix is read
_LOOKED_AT = 100  # files of a folder, which have to be those of one table


@cache
def _own() -> dict:
    """Return suffix -> the module of this folder that reads it."""
    return _by_suffix(import_module(f"{__name__}.{name}") for name in list_modules(__name__, "SUFFIXES"))


@cache
def suffixes() -> dict:
    """Return suffix -> the module that reads it, those of installed packages among them."""
    return _by_suffix(installed("kzoo.table_files").values()) | _own()


def _by_suffix(modules) -> dict:
    return {suffix: module for module in modules for suffix in module.SUFFIXES}


def _reader_of(suffix):
    """Return the module that reads files of a suffix; None without one."""
    return _own().get(suffix) or suffixes().get(suffix)  # packages are looked through last: that takes time


def is_table(path) -> bool:
    """Say whether this is the path of a table, by its suffix; a folder by its files'."""
    if not isinstance(path, str | Path):
        return False
    found = _of_folder(path) if os.path.isdir(path) else _reader_of(Path(path).suffix.lower())
    return found is not None


def _of_folder(path):
    """Return the module that reads a folder as one table; None where none does."""
    if not os.path.isdir(path):
        return None
    found = {_reader_of(Path(name).suffix.lower()) for name in islice(_files(path), _LOOKED_AT)}
    module = found.pop() if len(found) == 1 else None
    return module if getattr(module, "FOLDERS", False) else None


def _files(folder):
    """Yield the names of the files in a folder and in those in it, as the system lists them: there may be millions."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                yield from _files(entry.path)
            elif not entry.name.startswith(("_", ".", "README", "LICENSE")):
                yield entry.name


def read_table(path, text=(), notes=None):
    """Return a file as a DataFrame, the names of its columns stripped.

    Args:
        text: names of columns whose cells stay as they are written, such as `01067`; the file need not have them. As a
            dict, name -> words such as `NA` that are cells of the column; in others of a file they are missing values.
        notes: a list that gets a line for each thing to know of how it was read; without one, they are warnings.

    Raises:
        KzooError: not a table, or one without rows.
    """
    frame = _module(path).frame(path, text)
    frame.columns = [str(column).strip() for column in frame.columns]
    if not len(frame):
        raise KzooError(f"{Path(path).name!r} has no rows.")
    add_notes(frame.attrs.pop("notes", ()), notes)
    return frame


def read_rows(path):
    """Return a file as `Rows`.

    Raises:
        KzooError: not a table, or one without rows.
    """
    rows = _module(path).rows(path)
    if not len(rows):
        raise KzooError(f"{Path(path).name!r} has no rows.")
    add_notes(rows.notes)
    return rows


def read_content(content, name="the table", most=None):
    """Return the bytes of a stranger's CSV file as `Rows`.

    Args:
        most: rows that it may have; None for any number.

    Raises:
        KzooError: not a table, one without rows, with very many columns, or with rows far shorter than its header.
    """
    rows = import_module(f"{__name__}.csv").parsed(content, name, columns=_MOST_COLUMNS, most=most)
    if not len(rows):
        raise KzooError(f"{name!r} has no rows.")
    add_notes(rows.notes)
    return rows


def read_header(path):
    """Return the columns of a file as `Rows` without rows; None where they cost as much as the file.

    Raises:
        KzooError: not a table.
    """
    module = _module(path)
    return module.header(path) if hasattr(module, "header") else None


def pieces_of(path):
    """Return what reads a table piece by piece; None where nothing does.

    Raises:
        KzooError: not a table; or pyarrow is not installed.
    """
    module = _module(path)
    return module.Pieces(path) if hasattr(module, "Pieces") else None


def files_of(path) -> list:
    """Return the files that make up a table.

    Raises:
        KzooError: not a table.
    """
    module = _module(path)
    return module.files_of(path) if hasattr(module, "files_of") else [Path(path)]


def size_of(path) -> int:
    """Return the bytes that a table takes in memory, about; 0 where that is not known without reading it.

    Raises:
        KzooError: not a table.
    """
    module = _module(path)
    return module.size(path) if hasattr(module, "size") else 0


def _module(path):
    check_regular(path)
    return _of_folder(path) or _reader_of(Path(path).suffix.lower()) or _own()[_ELSE]
