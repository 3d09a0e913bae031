"""CSV files that spreadsheets open: a text that begins with a sign such as = is run there as a formula."""

import csv
from collections.abc import Iterable, Iterator
from typing import IO, Any

from kzoo.utils.errors import warn
from kzoo.utils.formatting import csv_cell, plural, shown


def write_rows(stream: IO[str], rows: Iterable[Iterable[object]], spreadsheet_safe: bool) -> None:
    """Write the rows of a CSV file.

    Args:
        stream: a text stream.
        rows: of cells, with the header; numbers are never changed.
        spreadsheet_safe: whether texts that a spreadsheet would run get an apostrophe in front. Otherwise they are
            written as they are, with a warning.
    """
    formulas: list[str] = []
    csv.writer(stream, lineterminator="\n").writerows(_checked(rows, spreadsheet_safe, formulas))
    if formulas:
        warn(
            f"{plural(len(formulas), 'cell')} such as {shown(formulas[0])} would be run as formulas by a spreadsheet. "
            "spreadsheet_safe=True puts an apostrophe in front of them."
        )


def _checked(rows: Iterable[Iterable[Any]], safe: bool, formulas: list[str]) -> Iterator[list[Any]]:
    """Yield rows, made safe or with their formulas appended to a list."""
    for row in rows:
        cells = list(row)
        checked = [csv_cell(cell) for cell in cells]
        if not safe:
            formulas += [cell for cell, other in zip(cells, checked, strict=True) if cell != other]
        yield checked if safe else cells
