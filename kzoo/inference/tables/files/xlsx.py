"""Workbooks of Excel and other spreadsheets: a sheet is read as its export as CSV. Needs openpyxl.

Cells are written as texts that the rules of CSV files read: dates as `2024-01-31`, percentages as `15%`, durations in
seconds, formulas by the results that the spreadsheet has stored. The first row with cells must hold the column names,
unless `header_row` says which row does.
"""

import re
import warnings
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from importlib import import_module
from io import BytesIO
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias
from xml.parsers import expat

from kzoo.inference.sources.files import read_bytes
from kzoo.inference.tables.expanded import WorkbookArchive
from kzoo.inference.tables.written import CsvText, CsvWriter, check_filled
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, plural, shown
from kzoo.utils.optional import require
from kzoo.utils.table_path import WORKBOOKS, name_of_table

SUFFIXES = WORKBOOKS
# openpyxl says nothing of its types
Book: TypeAlias = Any
Sheet: TypeAlias = Any
SheetRows: TypeAlias = dict[int, dict[int, str]]  # row -> column -> text of a cell, from 1
_EXPORT = "Export the sheet as CSV, and pass the .csv file."
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384  # of a sheet of Excel
_HIGH = 50  # rows below the first that may hold the column names
_SHOWN = 12  # sheets named in a message
_KEPT = 32 << 20  # characters of a sheet that are kept for the next call
# first bytes of a file of old Office formats, and of an encrypted new one
_OLD = b"\xd0\xcf\x11\xe0"
_TOTAL = re.compile(
    r"((grand\s+)?(sub)?total(s|e)?|sum|summe|suma|somme|gesamt(summe)?|insgesamt|totaal|合计|总计|合計|總計)(\s+\d+)?",
    re.I,
)
# the last sheet: the command line reads its header before the table
_kept: dict[tuple, CsvText] = {}


def written(path: str | Path) -> CsvText:
    """Return a sheet of a workbook as the text of a CSV file.

    Args:
        path: of the workbook; a `TablePath` says which sheet and which row.

    Raises:
        KzooError: it is no workbook, has several sheets and none is chosen, or its sheet is not a table.
    """
    options = tuple(getattr(path, name, None) for name in ("sheet", "usual_sheet", "header_row"))
    try:
        status = Path(path).stat()
        key = (str(Path(path).absolute()), status.st_mtime_ns, status.st_size, *options)
    except OSError:
        key = ()
    if key not in _kept:
        table = written_content(read_bytes(path), name_of_table(path), *options)
        _kept.clear()
        if not key or len(table.text) > _KEPT:
            return table
        _kept[key] = table
    return _kept[key]


def written_content(
    content: bytes,
    name: str,
    sheet: str | None = None,
    usual_sheet: str | None = None,
    header_row: int | None = None,
) -> CsvText:
    """Return a sheet of a workbook in memory as the text of a CSV file (see `written`)."""
    _check_content(content, name)
    require("openpyxl")
    reader = import_module("openpyxl.reader.excel").ExcelReader(
        BytesIO(content), read_only=True, data_only=True, keep_links=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on parts of a workbook that are not cells
        try:
            with WorkbookArchive(content, name, _EXPORT) as reader.archive:
                reader.read()
                reader.archive.begin_sheets()
                chosen, hidden = _sheet(reader.wb, name, sheet, usual_sheet)
                # openpyxl has no name for it
                marks = _Marks(reader.archive, chosen._worksheet_path)
                return _table(chosen, marks, name, header_row, [*hidden])
        except (KzooError, MemoryError):
            raise
        except Exception as error:  # a damaged file: openpyxl raises errors of many types
            why = " ".join(str(error).split())[:200] or type(error).__name__
            raise getattr(reader.archive, "refused", None) or KzooError(
                f"Cannot read {name!r} as a workbook: {why}. Open it in a spreadsheet and save it."
            ) from None


def _check_content(content: bytes, name: str) -> None:
    """Raise `KzooError` for a file that is no workbook."""
    if content.startswith(_OLD):
        raise KzooError(
            f"{name!r} is an old .xls file, or is protected by a password. Open it in a spreadsheet and save it as "
            ".xlsx without a password."
        )
    try:
        with zipfile.ZipFile(BytesIO(content)) as archive:
            parts = set(archive.namelist())
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError):
        raise KzooError(
            f"{name!r} is not a workbook, whatever its suffix. Rename it if it is another type of file, such as .csv, "
            "or save it as .xlsx again."
        ) from None
    if not any(part.endswith("workbook.xml") for part in parts):
        other = (
            " It is a text document of Office."
            if any(part.startswith("word/") for part in parts)
            else ""
        )
        other = (
            " It is an OpenDocument spreadsheet: save it as .xlsx."
            if "content.xml" in parts
            else other
        )
        raise KzooError(f"{name!r} is not an .xlsx workbook.{other or ' Save it as .xlsx again.'}")


def _sheet(book: Book, name: str, wanted: str | None, usual: str | None) -> tuple[Sheet, list[str]]:
    """Return the sheet to read, and notes on others.

    Raises:
        KzooError: there is no such sheet, or several have cells.
    """
    names = [sheet.title for sheet in book.worksheets]
    wanted = usual if wanted is None and usual in names else wanted
    if wanted is not None:
        if wanted not in names:
            raise KzooError(
                f"is not in {name!r}. {hint(wanted, names)}Its sheets: {_names(names)}.",
                argument="sheet",
                value=wanted,
            )
        return next(sheet for sheet in book.worksheets if sheet.title == wanted), []
    filled = [sheet for sheet in book.worksheets if _has_cells(sheet)]
    visible = [sheet for sheet in filled if sheet.sheet_state == "visible"]
    if not filled:
        raise KzooError(
            f"{name!r} has no cells in any sheet. A table needs a header and at least one row."
        )
    if len(visible or filled) > 1:
        titles = [sheet.title for sheet in visible or filled]
        raise KzooError(
            f"{name!r} has {len(titles)} sheets with cells: {_names(titles)}. Name one: sheet={titles[0]!r}."
        )
    chosen = (visible or filled)[0]
    others = [sheet.title for sheet in filled if sheet is not chosen]
    return chosen, [f"Hidden sheets of {name!r} are not read: {_names(others)}."] if others else []


def _names(titles: Iterable[str]) -> str:
    return listed(map(repr, titles), _SHOWN)


def _has_cells(sheet: Sheet) -> bool:
    archive = sheet.parent._archive
    sheet.reset_dimensions()
    for number, row in enumerate(sheet.iter_rows(values_only=True)):
        if any(value is not None for value in row):
            return True
        archive.count_row(len(row), 0)
        if number >= _MOST_ROWS:
            break
    return False


class _Marks:
    """What openpyxl does not tell of a sheet that it reads row by row.

    Args:
        archive: the workbook.
        part: name of the sheet's file in it.

    Attributes:
        merged: [(first column, first row, last column, last row)] of merged cells, from 1.
        hidden_rows, hidden_columns: their numbers.
        unsolved: the first formula without a result in each row: row -> column.
    """

    def __init__(self, archive: WorkbookArchive, part: str) -> None:
        self.merged: list[tuple[int, int, int, int]] = []
        self.hidden_rows: list[int] = []
        self.hidden_columns: list[tuple[int, int]] = []
        self.unsolved: dict[int, int] = {}
        self._row = self._column = 0
        self._cell: dict[str, str] = {}  # attributes of the cell
        self._formula = self._result = False
        self._parser = expat.ParserCreate()
        self._parser.StartElementHandler, self._parser.EndElementHandler = self._start, self._end
        with archive.open(part) as file:
            while piece := file.read(1):  # more than a byte: see `WorkbookArchive`
                self._parser.Parse(piece)
            self._parser.Parse(b"", True)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        tag = tag.rpartition(":")[2]
        if tag == "c":
            self._cell = attributes
            self._formula = False
            self._result = False
            self._column += 1
        elif tag == "f":
            self._formula = True
        elif tag == "v":
            if self._formula:
                self._parser.CharacterDataHandler = self._found
        elif tag == "row":
            self._row = int(float(attributes.get("r", self._row + 1)))
            self._column = 0
            if attributes.get("hidden") in ("1", "true"):
                self.hidden_rows.append(self._row)
        elif tag == "col" and attributes.get("hidden") in ("1", "true"):
            self.hidden_columns.append(
                (int(attributes.get("min", 1)), int(attributes.get("max", 1)))
            )
        elif tag == "mergeCell" and (bounds := _bounds(attributes.get("ref", ""))):
            self.merged.append(bounds)

    def _found(self, text: str) -> None:
        self._result = True

    def _end(self, tag: str) -> None:
        if not self._formula:
            return
        self._parser.CharacterDataHandler = None
        if tag.rpartition(":")[2] == "c":
            self._formula = False
            # A formula of an empty text has the type "str" and no result.
            if not self._result and self._cell.get("t") != "str":
                bounds = _bounds(self._cell.get("r", ""))
                self.unsolved.setdefault(self._row, bounds[0] if bounds else self._column)


def _bounds(reference: str) -> tuple[int, int, int, int] | None:
    """Return (first column, first row, last column, last row) of a reference such as A1:C3; None if it is none."""
    with suppress(ValueError, TypeError):
        bounds = _cells_module().range_boundaries(reference)
        return None if None in bounds else bounds
    return None


def _column(number: int) -> str:
    """Return the letters of a column, from 1."""
    return _cells_module().get_column_letter(number)


def _cells_module() -> ModuleType:
    return import_module("openpyxl.utils.cell")


def _at(row: int, column: int) -> str:
    return f"{_column(column)}{row}"


def _table(
    sheet: Sheet, marks: _Marks, name: str, header_row: int | None, notes: list[str]
) -> CsvText:
    """Return a sheet as the text of a CSV file.

    Args:
        sheet: a read-only worksheet of openpyxl.
        marks: its `_Marks`.
        name: of the workbook.
        header_row: number of the row with the column names; None for the first with cells.
        notes: on the sheet.

    Raises:
        KzooError: it is not a table.
    """
    where = f"{name!r}, sheet {sheet.title!r}"
    rows, errors = _cells(sheet, where)
    if not rows:
        _check_formulas(marks, 0, where)
        raise KzooError(f"{where} has no cells. A table needs a header and at least one row.")
    first = min(rows)
    head = first if header_row is None else header_row
    if any(first == last and top <= head <= bottom for first, top, last, bottom in marks.merged):
        rows.setdefault(head, {})  # all names may be higher than a row
    if head not in rows:
        raise KzooError(
            f"{where}: row {head} is empty. header_row= is the row with the column names, such as {first}."
        )
    below = [row for row in sorted(rows) if row > head]
    if not below:
        raise KzooError(
            f"{where} has no rows below row {head}. header_row= is the row with the column names."
        )
    used = {column for row in below for column in rows[row]}
    _check_formulas(marks, head, where)
    names = _column_names(rows, marks, head, used, where, explicit=header_row is not None)
    columns = sorted(used | set(names))
    notes += _fill_merged(rows, marks, head, below, set(columns), where)
    cells = sum(len(rows[row]) for row in below)
    check_filled(name, len(below), len(columns), cells)
    writer = CsvWriter(name, _EXPORT)
    writer.header([" ".join(names.get(column, "").split()) for column in columns])
    for row in below:
        writer.row([rows[row].get(column, "") for column in columns])
    notes += _notes(rows, marks, head, below, columns, names, errors, where)
    return CsvText(writer.text(), name, tuple(notes))


def _cells(sheet: Sheet, where: str) -> tuple[SheetRows, list[tuple[int, int, str]]]:
    """Return row -> column -> text of the cells that are not blank, and [(row, column, error)] of cells with errors."""
    rows: dict[int, dict[int, str]] = {}
    errors: list[tuple[int, int, str]] = []
    percent: dict[str, bool] = {}
    sheet.reset_dimensions()
    for number, cells in enumerate(sheet.iter_rows(), start=1):
        if number > _MOST_ROWS:
            raise KzooError(
                f"{where} has more than {_MOST_ROWS:,} rows, more than a sheet can have. {_EXPORT}"
            )
        row: dict[int, str] = {}
        for cell in cells:
            if (value := cell.value) is None:
                continue
            if cell.data_type == "e":
                errors.append((number, cell.column, str(value)))
                continue
            if type(value) in (int, float) and (style := cell.number_format) not in percent:
                percent[style] = _is_percent(style)
            row[cell.column] = _text(value, type(value) in (int, float) and percent[style])
        sheet.parent._archive.count_row(len(cells), len(row))
        if any(not text.isspace() for text in row.values()):
            rows[number] = row
    blank = {column for row in rows.values() for column in row}
    for row in rows.values():
        blank -= {column for column, text in row.items() if not text.isspace()}
        if not blank:
            break
    if blank:
        rows = {
            number: {c: text for c, text in row.items() if c not in blank}
            for number, row in rows.items()
        }
    return rows, errors


def _is_percent(style: str | None) -> bool:
    """Return True if a number format shows percentages; a sign in quotes or after a backslash is a text."""
    return "%" in re.sub(r'"[^"]*"|\\.|\[[^\]]*\]', "", style or "")


def _text(value: Any, percent: bool) -> str:
    """Return a cell as a CSV file has it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return str(value)
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return _plain_number(value.total_seconds())
    if percent:
        return f"{_plain_number(float(Decimal(repr(value)) * 100))}%"
    return _plain_number(value)


def _plain_number(value: float) -> str:
    whole = isinstance(value, float) and value.is_integer() and abs(value) < 1e15
    return str(int(value)) if whole else repr(value)


def _column_names(
    rows: SheetRows, marks: _Marks, head: int, used: set[int], where: str, *, explicit: bool
) -> dict[int, str]:
    """Return column -> name.

    Raises:
        KzooError: the row looks like a title, has merged cells, or lacks names.
    """
    names = dict(rows[head])
    for first, top, last, bottom in marks.merged:
        if not top <= head <= bottom:
            continue
        if last > first and (first in names or any(first <= column <= last for column in used)):
            raise KzooError(
                f"{where}: cells {_at(top, first)}:{_at(bottom, last)} are merged, and row {head} should have a name "
                f"for each column. {_header_fix(rows, marks, head, explicit)}"
            )
        if last == first and (text := rows.get(top, {}).get(first)) is not None:
            names[first] = text  # a name that is as high as two rows
    if bottom_rows := [
        bottom
        for first, top, last, bottom in marks.merged
        if top <= head < bottom and first == last
    ]:
        raise KzooError(
            f"{where}: cells of the header are merged down to row {max(bottom_rows)}. Say where the rows begin: "
            f"header_row={max(bottom_rows)}."
        )
    unnamed = sorted(column for column in used if column not in names or names[column].isspace())
    # row names have none: pandas writes them so
    if unnamed and not explicit and unnamed != [min(used)]:
        if len(names) == 1:
            column, title = next(iter(names.items()))
            raise KzooError(
                f"{where}: {_at(head, column)} ({shown(title)}) is the only cell of row {head}, so it looks like a "
                f"title. {_header_fix(rows, marks, head, explicit)}"
            )
        raise KzooError(
            f"{where}: {_at(head, unnamed[0])} is empty, but column {_column(unnamed[0])} has cells below it. Write "
            f"its name there. {_header_fix(rows, marks, head, explicit)}"
        )
    return names


def _header_fix(rows: SheetRows, marks: _Marks, head: int, explicit: bool) -> str:
    """Return the sentence that names the row of the header, if one is found."""
    merged = [bounds for bounds in marks.merged if bounds[1] <= head + _HIGH]
    wide = {
        row
        for first, top, last, bottom in merged
        if last > first
        for row in range(top, min(bottom, head + _HIGH) + 1)
    }
    high = [bounds for bounds in merged if bounds[0] == bounds[2]]
    below: set[int] = set()
    best = None
    for row in sorted(rows, reverse=True):
        names = set(rows[row]) | {first for first, top, _, bottom in high if top <= row <= bottom}
        if head < row <= head + _HIGH and row not in wide and below and below <= names:
            best = row
        below |= set(rows[row])
    fix = "Unmerge them" if explicit else "Say which row has the column names"
    return (
        f"{fix}: header_row={best}."
        if best and not explicit
        else f"{fix}{'' if explicit else ' with header_row='}."
    )


def _check_formulas(marks: _Marks, head: int, where: str) -> None:
    """Raise `KzooError` for a formula of the table that the spreadsheet has not calculated."""
    for row, column in sorted(marks.unsolved.items()):
        if row >= head:
            raise KzooError(
                f"{where}: {_at(row, column)} is a formula without a stored result. Open the workbook in a spreadsheet "
                "and save it, which stores the results."
            )


def _fill_merged(
    rows: SheetRows, marks: _Marks, head: int, below: list[int], columns: set[int], where: str
) -> list[str]:
    """Write the value of cells that are merged across rows into each of these rows; return a note on them.

    Raises:
        KzooError: cells are merged across columns.
    """
    filled = []
    table_rows = set(below)
    steps = 0
    for first, top, last, bottom in sorted(marks.merged, key=lambda bounds: bounds[1]):
        if top <= head or not table_rows or top > below[-1]:
            continue
        text = rows.get(top, {}).get(first)
        if text is None:
            continue
        if last > first:
            raise KzooError(
                f"{where}: {_at(top, first)}:{_at(bottom, last)} are merged, so row {top} has one cell for several "
                "columns. Unmerge them, or remove the row if it is a heading."
            )
        bottom = min(bottom, below[-1])
        if (steps := steps + bottom - top) > len(columns) * below[-1]:  # a damaged file
            raise KzooError(f"{where}: merged cells overlap. Unmerge them.")
        for row in range(top + 1, bottom + 1):
            if row in table_rows:
                rows[row].setdefault(first, text)
        filled.append(f"{_at(top, first)}:{_at(bottom, last)}")
    if not filled:
        return []
    return [f"{where}: merged cells count for each of their rows: {listed(filled, 5)}."]


def _notes(
    rows: SheetRows,
    marks: _Marks,
    head: int,
    below: list[int],
    columns: list[int],
    names: dict[int, str],
    errors: list[tuple[int, int, str]],
    where: str,
) -> Iterator[str]:
    """Yield notes on what of a sheet is not as in a plain table."""
    table = set(below)
    gaps = [row for row in range(head + 1, below[-1]) if row not in table][:1]
    if gaps:
        missing = below[-1] - head - len(below)
        yield f"{where}: {plural(missing, 'empty row')} left out, the first is row {gaps[0]}."
    if gaps := [column for column in range(columns[0], columns[-1]) if column not in set(columns)]:
        yield f"{where}: {plural(len(gaps), 'empty column')} left out, the first is column {_column(gaps[0])}."
    hidden = [row for row in marks.hidden_rows if row in table]
    if hidden:
        count = plural(len(hidden), "hidden row")
        yield f"{where}: {count} read too, the first is row {hidden[0]}. Delete rows that are no examples."
    hidden = [
        column
        for column in columns
        if any(first <= column <= last for first, last in marks.hidden_columns)
    ]
    if hidden:
        named = listed((repr(names.get(column, _column(column))) for column in hidden), 5)
        yield f"{where}: {plural(len(hidden), 'hidden column')} read too: {named}. drop= leaves columns out."
    inside = [
        (row, column, error)
        for row, column, error in errors
        if row > head and column in set(columns)
    ]
    if inside:
        row, column, error = inside[0]
        count = plural(len(inside), "cell")
        yield f"{where}: {count} with an error read as missing, the first is {_at(row, column)} ({error})."
    last = below[-1]
    texts = {column: text.strip().rstrip(":").strip() for column, text in rows[last].items()}
    total = next((column for column in sorted(texts) if _TOTAL.fullmatch(texts[column])), None)
    if total is not None and len(below) > 1:
        yield (
            f"{where}: {_at(last, total)} is {shown(rows[last][total])}: the last row looks like a sum, but is read as "
            "an example. Remove it from the sheet."
        )
    elif len(rows[last]) == 1 and len(columns) > 2 and len(below) > 1:
        column = next(iter(rows[last]))
        yield (
            f"{where}: {_at(last, column)} ({shown(rows[last][column])}) is the only cell of the last row, which is "
            "read as an example. Remove it if it is a remark."
        )
