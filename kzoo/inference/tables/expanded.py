"""Limits of files that are small as stored and large once they are expanded. Standard library only.

A few kilobytes may describe a gigabyte, or a million objects. What a file may become goes with its stored size, and is
never more than fits into memory; names of parts say nothing about their content.
"""

import zipfile
from io import BytesIO
from typing import IO, Any, Literal

from kzoo.inference.tables.written import most_text, too_long
from kzoo.utils.errors import KzooError

_FREE = 64 << 20  # bytes once expanded: always allowed, and per stored byte
_RATIO = 150
_PIECE = 2 << 20  # bytes
# Signs of XML elements and attributes ("<" and "="): always allowed, and per stored byte. Workbooks have up to 1.1 per
# byte outside of sheets and 3.6 in sheets, where each costs openpyxl up to 100 and some 2 microseconds.
_TABLES = (50_000, 4)
_SHEETS = (4_000_000, 16)
_ATTRIBUTE = 80  # bytes of text that take as much memory as an attribute outside of sheets
# cells between those of a sheet that are filled: always allowed, and per filled cell
_POSITIONS = (20_000_000, 8)


def most_expanded(stored: int) -> int:
    """Return how many bytes a compressed table of `stored` bytes may have once it is expanded."""
    return min(most_text(), _FREE + _RATIO * stored)


class _LargeReads:
    """A file that is read in large pieces: XML parsers begin a long tag anew with each piece."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.close = file.close

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size if size < 0 else max(size, _PIECE))

    def __enter__(self) -> "_LargeReads":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class WorkbookArchive(zipfile.ZipFile):
    """The parts of a workbook, which are counted when they are opened.

    Args:
        content: the file.
        name: of it, for messages.
        fix: sentence for a workbook that is too large.

    Attributes:
        refused: the error for a part that was too large; openpyxl reports it as one of its own.
    """

    def __init__(self, content: bytes, name: str, fix: str) -> None:
        super().__init__(BytesIO(content))
        self._name = name
        self._fix = fix
        self._stored = len(content)
        self._checked: set[str] = set()
        self._bytes = self._signs = self._attributes = self._positions = self._filled = 0
        self._limit = _TABLES
        self.refused: KzooError | None = None

    def begin_sheets(self) -> None:
        """Count the parts that are opened from now on as sheets."""
        self._signs = 0
        self._limit = _SHEETS

    def open(
        self,
        name: str | zipfile.ZipInfo,
        mode: Literal["r", "w"] = "r",
        pwd: bytes | None = None,
        *,
        force_zip64: bool = False,
    ) -> Any:
        part = name.filename if isinstance(name, zipfile.ZipInfo) else name
        if part not in self._checked:
            try:
                self._check(part)
            except KzooError as error:
                self.refused = error
                raise
            self._checked.add(part)
        return _LargeReads(super().open(name, mode, pwd, force_zip64=force_zip64))

    def _check(self, part: str) -> None:
        """Raise `KzooError` if a part is too large, or has too many elements to be read soon."""
        # A cell has some 30 bytes besides its text; texts are stored once and may repeat (see `CsvWriter`).
        most = min(2 * most_text(), _FREE + _RATIO * self._stored)
        self._bytes += self.getinfo(part).file_size  # no more than this is read
        free, per_byte = self._limit
        with super().open(part) as file:
            while self._bytes <= most and (piece := file.read(_PIECE)):
                self._signs += piece.count(b"<") + piece.count(b"=")
                self._attributes += piece.count(b"=") if self._limit is _TABLES else 0
        if self._bytes + _ATTRIBUTE * max(0, self._attributes - free) > most:
            raise too_long(self._name, most, self._fix)
        if self._signs > free + per_byte * self._stored:
            raise KzooError(
                f"{self._name!r} has far more elements than a workbook of {self._stored:,} bytes should, and would "
                f"take very long to read. {self._fix}"
            )

    def count_row(self, cells: int, filled: int) -> None:
        """Count a row of a sheet.

        Args:
            cells: their number, with those that the file does not have.
            filled: number of cells that have a value.

        Raises:
            KzooError: the cells lie so far apart that going through the sheets takes very long.
        """
        self._positions += cells + 1
        self._filled += filled
        free, per_cell = _POSITIONS
        if self._positions > free + per_cell * self._filled:
            raise KzooError(
                f"{self._name!r} has cells far apart, and {self._positions:,} empty ones between them. {self._fix}"
            )
