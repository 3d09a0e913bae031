"""Compressed tables: `.csv.gz`, and `.zip` with a table in it. Standard library only."""

import gzip
import zipfile
import zlib
from importlib import import_module
from io import BytesIO
from pathlib import Path, PurePosixPath
from types import ModuleType

from kzoo.inference.sources.files import decode_text, read_bytes
from kzoo.inference.tables.expanded import most_expanded
from kzoo.inference.tables.written import CsvText, too_long
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed
from kzoo.utils.table_path import WORKBOOKS, name_of_table

SUFFIXES = (".gz", ".zip")
_INNER = (".csv", ".tsv", ".jsonl", ".ndjson")
_FIX = "Unpack it, and pass the file, which is read piece by piece."
_SHOWN = 8  # files named in a message


def written(path: str | Path) -> CsvText:
    """Return the table in a compressed file as the text of a CSV file.

    Raises:
        KzooError: it is damaged, holds no table or several, or does not fit into memory once it is expanded.
    """
    name, content = name_of_table(path), read_bytes(path)
    if Path(path).suffix.lower() == ".gz":
        inner = Path(path).stem
        if PurePosixPath(inner).suffix.lower() not in _INNER:
            raise KzooError(f"{name!r} is not a table: its name must end in one of {_gz_names()}.")
        return _table(_unzipped(content, name), inner, name, path)
    data, inner = _unpacked(content, name)
    return _table(data, inner, name, path)


def _gz_names() -> str:
    return ", ".join(f"{suffix}.gz" for suffix in _INNER)


def _table(content: bytes, inner: str, name: str, path: str | Path) -> CsvText:
    """Return the bytes of an inner file as the text of a CSV file."""
    suffix = PurePosixPath(inner).suffix.lower()
    if suffix in WORKBOOKS:
        sheet, usual, row = (
            getattr(path, option, None) for option in ("sheet", "usual_sheet", "header_row")
        )
        return _module("xlsx").written_content(content, name, sheet, usual, row)
    if any(getattr(path, option, None) for option in ("sheet", "header_row")):
        raise KzooError(
            f"and header_row= are for workbooks, and {name!r} holds {inner!r}. Remove them.",
            argument="sheet",
        )
    if suffix not in (".csv", ".tsv"):
        return _module("jsonl").written_content(content, name)
    notes: list[str] = []
    return CsvText(decode_text(content, name, notes), name, tuple(notes))


def _module(name: str) -> ModuleType:
    return import_module(f"kzoo.inference.tables.files.{name}")


def _unzipped(content: bytes, name: str) -> bytes:
    """Return the bytes of a gzip file."""
    most = most_expanded(len(content))
    try:
        with gzip.GzipFile(fileobj=BytesIO(content)) as file:
            data = file.read(most + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise KzooError(
            f"Cannot unpack {name!r}: {str(error).rstrip('.')}. Compress it again with gzip."
        ) from None
    if len(data) > most:
        raise too_long(name, most, _FIX)
    return data


def _unpacked(content: bytes, name: str) -> tuple[bytes, str]:
    """Return the bytes and the name of the only table in a zip archive."""
    most = most_expanded(len(content))
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            files = [
                part
                for part in archive.infolist()
                # zipfile fails on an empty name
                if part.filename and not part.is_dir() and not _is_hidden(part.filename)
            ]
            tables = [
                part
                for part in files
                if PurePosixPath(part.filename).suffix.lower() in (*_INNER, *WORKBOOKS)
            ]
            if "xl/workbook.xml" in archive.namelist():
                raise KzooError(f"{name!r} is a workbook. Rename it to end in .xlsx.")
            if len(tables) != 1:
                held = (
                    listed((repr(part.filename) for part in (tables or files)), _SHOWN)
                    or "no files"
                )
                what = f"{len(tables)} tables" if tables else "no table"
                raise KzooError(
                    f"{name!r} holds {what}: {held}. Unpack it, and pass one file, or a pattern in quotes."
                )
            if tables[0].file_size > most:  # no more than this is read
                raise too_long(name, most, _FIX)
            return archive.read(tables[0]), tables[0].filename
    except KzooError:
        raise
    except RuntimeError:  # NotImplementedError too: a method of compression
        raise KzooError(
            f"{name!r} is protected by a password, or compressed by another method. Unpack it."
        ) from None
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, ValueError) as error:
        raise KzooError(
            f"Cannot unpack {name!r}: {str(error).rstrip('.')}. Make the archive again."
        ) from None


def _is_hidden(name: str) -> bool:
    return name.startswith("__MACOSX/") or PurePosixPath(name).name.startswith(".")
