"""`TablePath`: where a table lies and how it is read: a sheet of a workbook, a query of a database, several files.

A `TablePath` is the path of a file, so that whatever takes paths takes it too. Standard library only.
"""

import glob
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from kzoo.utils.files import Json

WORKBOOKS = (".xlsx", ".xlsm")
DATABASE = "sqlite:"  # sqlite:FILE?TABLE or sqlite:FILE?SELECT ...
_PATTERN = re.compile(
    r"[^\n]{0,4000}[*?[][^\n]{0,4000}\.(csv|tsv|jsonl|ndjson|parquet|pq|xlsx|xlsm|gz|tar)", re.I
)

Source: TypeAlias = Any  # of data or of inputs: a path, or any object that holds them


class TablePath(type(Path())):  # type: ignore[misc]  # PosixPath or WindowsPath
    """The path of a file that holds a table.

    Attributes:
        label: what the user wrote, without folders; None for the name of the file.
        sheet: name of the sheet of a workbook; None for its only sheet.
        usual_sheet: name of the sheet that is read if the workbook has it and `sheet` is None.
        header_row: number of the row of a workbook with the column names, from 1; None for the first with cells.
        query: the table of a database, or a SELECT; None for its only table.
        database: whether the file is a database, whatever its suffix.
        files: the files that form one table; empty for the path itself.
        address: that of the data, of which this is a copy in the download cache; None for files of the user.
        recorded: what a run records of the data at the address: its version.
        copied: the path of the copy, and the address of what it is a copy of (see `remember_copy`).
        folder: that all these lie below: the names of folders between may hold columns (`year=2024`); None for a file.
    """

    label: str | None = None
    sheet: str | None = None
    usual_sheet: str | None = None
    header_row: int | None = None
    query: str | None = None
    database: bool = False
    files: tuple = ()
    address: str | None = None
    recorded: "Mapping[str, Json] | None" = None
    copied: tuple[str, str] | None = None
    folder: Path | None = None

    def __reduce__(
        self,
    ) -> (
        "tuple[Callable[..., TablePath], tuple[str, dict[str, object]]]"
    ):  # a pathlib path is pickled and copied without attributes
        return _restored, (str(self), self.__dict__)


def _restored(path: str, attributes: Mapping[str, object]) -> "TablePath":
    restored = TablePath(path)
    restored.__dict__ |= attributes
    if restored.copied is not None:
        remember_copy(*restored.copied)
    return restored


# Path of a copy in the download cache -> the address of what was copied.
_copies: dict[str, str] = {}


def remember_copy(path: str, address: str) -> None:
    """Remember that a file or a folder is a copy of what lies at an address, for `as_written`."""
    _copies[path] = address


def as_written(text: str) -> str:
    """Return a text for people in which paths of copies are the addresses that were copied."""
    for path, address in _copies.items():
        text = text.replace(path, address)
    return text


def locate(source: Source) -> Source:
    """Return a source as a `TablePath` if it names a database or is a pattern of files; anything else unchanged.

    Args:
        source: anything; a pattern is a text or a path with `*`, `?` or `[` that matches files and is no file itself.
    """
    if isinstance(source, TablePath) or not isinstance(source, str | Path):
        return source
    text = str(source)
    if text.startswith(DATABASE):
        file, _, query = text[len(DATABASE) :].partition("?")
        path = TablePath(os.path.expanduser(file))
        path.database, path.query = True, query.strip() or None
        path.label = f"{DATABASE}{path.name}" + (f"?{path.query}" if path.query else "")
        return path
    if not _PATTERN.fullmatch(text):
        return source
    pattern = os.path.expanduser(text)
    if os.path.lexists(pattern):
        return source
    files = sorted(file for file in glob.glob(pattern, recursive=True) if os.path.isfile(file))
    if not files:
        return source
    path = TablePath(files[0])
    path.files, path.label = tuple(map(Path, files)), os.path.basename(text)
    parts = Path(pattern).parts
    fixed = next(number for number, part in enumerate(parts) if glob.has_magic(part))
    path.folder = Path(*parts[:fixed])
    return path


def is_workbook(source: object) -> bool:
    """Return True for the path of a workbook, or of an archive that may hold one."""
    return isinstance(source, str | Path) and os.path.splitext(source)[1].lower() in (
        *WORKBOOKS,
        ".zip",
    )


def with_sheet(
    source: Source,
    sheet: str | None,
    header_row: int | None,
    usual: "Mapping[str, Json] | None" = None,
) -> Source:
    """Return a source as a `TablePath` with the sheet and the row of the header, if it is a workbook.

    Args:
        source: anything; what is not a workbook is returned as `locate` does.
        sheet, header_row: see `TablePath`; None keeps those of the source.
        usual: options of the training, whose sheet and header row are used where none is set.
    """
    source = locate(source)
    usual = usual or {}
    if not is_workbook(source) or not (
        sheet or header_row or usual.get("sheet") or usual.get("header_row")
    ):
        return source
    path = TablePath(os.path.expanduser(source))
    path.__dict__ |= getattr(source, "__dict__", {})
    path.sheet = path.sheet if sheet is None else sheet
    path.usual_sheet = path.usual_sheet or usual.get("sheet")
    path.header_row = header_row or path.header_row or usual.get("header_row")
    return path


def check_sheet(source: object, sheet: str | None, header_row: int | None) -> None:
    """Raise `KzooError` if a sheet or a header row is set for a source that is no workbook."""
    if (sheet is not None or header_row is not None) and not is_workbook(source):
        option, value = ("header_row", header_row) if sheet is None else ("sheet", sheet)
        what = "not set" if source is None else f"a {type(source).__name__}"
        what = repr(str(source)) if isinstance(source, str | Path) else what
        raise KzooError(
            f"is for .xlsx workbooks, and the data is {what}. Remove it.",
            argument=option,
            value=value,
        )


def name_of_table(path: "str | os.PathLike[str]") -> str:
    """Return the name of a table for messages: that of its file, or what the user wrote for it."""
    return getattr(path, "label", None) or Path(path).name
