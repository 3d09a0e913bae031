"""Files of tables: a module for each type of file, found by listing.

A module says which `SUFFIXES` are its, and has two readers of the same file, which must agree:

    frame(path, text) -> DataFrame   for training, which learns what each column is; columns called in `text` stay text
    rows(path) -> Rows               for new rows, without pandas; see `kzoo.kinds.tables.raw`

and may have

    header(path) -> Rows             its columns without rows, from its beginning alone; None where that does not tell
"""

from functools import cache
from importlib import import_module
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.kinds.files import decoded
from kzoo.listing import rooms

_MOST_COLUMNS = 10_000  # of a table that comes from elsewhere
_ELSE = ".csv"  # how a file of another suffix is read


@cache
def suffixes() -> dict:
    """Return suffix -> the name of the module that reads it."""
    return {suffix: name for name, known in rooms(__name__, "SUFFIXES").items() for suffix in known}


def is_table(path) -> bool:
    """Say whether this is the path of a table, by its suffix."""
    return isinstance(path, str | Path) and Path(path).suffix.lower() in suffixes()


def read_table(path, text=()):
    """Return a file as a DataFrame, the names of its columns stripped.

    Args:
        text: names of columns whose cells stay as they are written, such as `01067`; the file need not have them.

    Raises:
        KzooError: not a table, or one without rows.
    """
    frame = _module(path).frame(path, frozenset(text))
    frame.columns = [str(column).strip() for column in frame.columns]
    if not len(frame):
        raise KzooError(f"{Path(path).name!r} has no rows.")
    return frame


def read_rows(path):
    """Return a file as `Rows`.

    Raises:
        KzooError: not a table, or one without rows.
    """
    rows = _module(path).rows(path)
    if not len(rows):
        raise KzooError(f"{Path(path).name!r} has no rows.")
    return rows


def read_content(content, name="the table"):
    """Return the bytes of a stranger's CSV file as `Rows`.

    Raises:
        KzooError: not a table, one without rows, or with very many columns.
    """
    head = content[: content.find(b"\n")] if b"\n" in content else content
    if (columns := max(map(head.count, (b",", b";", b"\t"))) + 1) > _MOST_COLUMNS:
        raise KzooError(f"{name!r} has {columns:,} columns; at most {_MOST_COLUMNS:,} are read.")
    rows = import_module(f"{__name__}.csv").parsed(decoded(content, name), name)
    if not len(rows):
        raise KzooError(f"{name!r} has no rows.")
    return rows


def read_header(path):
    """Return the columns of a file as `Rows` without rows; None where they cost as much as the file.

    Raises:
        KzooError: not a table.
    """
    module = _module(path)
    return module.header(path) if hasattr(module, "header") else None


def _module(path):
    known = suffixes()
    return import_module(f"{__name__}.{known.get(Path(path).suffix.lower(), known[_ELSE])}")
