"""Tables of any source written as the text of a CSV file, so that their cells are read by the rules of CSV files.

A workbook, a database or a file of JSON objects thus gives the same columns, cells and splits as its export as CSV.
Standard library only.
"""

import csv
import io
from collections.abc import Sequence
from typing import Any, NamedTuple

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import in_bytes, shown
from kzoo.utils.memory import SHARE, free_memory

_MEMORY_FACTOR = 6.0  # memory of a table as a multiple of its text; more of narrow ones
_MOST_FILLED = 20_000_000  # cells of a table most of whose cells are empty


class CsvText(NamedTuple):
    """The text of a CSV file.

    Args:
        text: separated by commas, with decimal points, unless it is that of a file.
        name: of the source, for messages.
        notes: on how it was read.
    """

    text: str
    name: str
    notes: tuple = ()


def most_text() -> int:
    """Return how many characters of a table fit into memory."""
    return int(SHARE * free_memory() / _MEMORY_FACTOR)


def too_long(name: str, most: int, fix: str) -> KzooError:
    """Return the error for a table that is longer than memory allows once it is expanded."""
    return KzooError(
        f"{name!r} holds more than {in_bytes(most)} of text once it is read, more than fits into memory. {fix}"
    )


class CsvWriter:
    """Writes rows of texts as CSV, up to the size that fits into memory.

    Args:
        name: of the source, for messages.
        fix: sentence for a table that is too large.

    Attributes:
        length: characters written.
    """

    def __init__(self, name: str, fix: str) -> None:
        self._name, self._fix = name, fix
        self._stream = io.StringIO()
        self._most = most_text()
        self.length = 0
        self._header = csv.writer(self._stream, quoting=csv.QUOTE_ALL, lineterminator="\n")
        self._rows = csv.writer(self._stream, lineterminator="\n")

    def header(self, names: Sequence[str]) -> None:
        """Write the column names, all in quotes: a sign in a name is then not taken for a separator."""
        self._write(self._header, names)

    def row(self, cells: Sequence[str]) -> None:
        """Write a row.

        Raises:
            KzooError: the table does not fit into memory.
        """
        self._write(self._rows, cells)

    def _write(self, writer: Any, cells: Sequence[str]) -> None:
        self.length += sum(map(len, cells)) + len(cells)
        if self.length > self._most:
            raise too_long(self._name, self._most, self._fix)
        writer.writerow(cells)

    def text(self) -> str:
        """Return what was written.

        Raises:
            KzooError: a cell has a character that no text file has.
        """
        text = self._stream.getvalue()
        if "\0" in text:
            raise KzooError(f"{self._name!r} has a cell with a NUL character. Remove it.")
        try:
            text.encode("utf-8")
        except UnicodeEncodeError as error:
            raise KzooError(
                f"{self._name!r} has a cell with {shown(text[error.start])}, half of a character. Repair it."
            ) from None
        return text.replace("\r\n", "\n")


def check_filled(name: str, rows: int, columns: int, cells: int) -> None:
    """Raise `KzooError` if a table would mostly consist of cells that its rows do not have.

    Args:
        name: of the source.
        rows: their number.
        columns: their number.
        cells: number of cells that are not empty.
    """
    if rows * columns > max(_MOST_FILLED, 4 * cells):
        raise KzooError(
            f"{name!r} has {columns:,} columns, but most of its {rows:,} rows have few of them: a table of "
            f"{rows * columns:,} cells. Write rows with the same columns."
        )
