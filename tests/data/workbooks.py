"""Workbooks as offices write them, and the CSV text that each should be read as."""

import zipfile
from datetime import datetime

import openpyxl
from openpyxl.styles import numbers

HEADER = ("city", "area", "price", "sold")
ROWS = tuple(
    (["Bonn", "Köln", "Trier"][i % 3], 40 + 3 * i, 100.5 + 7 * i, ["yes", "no"][i % 2])
    for i in range(24)
)


def book(path, *, header=HEADER, rows=ROWS, at=(1, 1), title="Sheet1"):
    """Write a workbook with one table, and return (workbook, sheet); `save` stores changes."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = title
    put(sheet, (header, *rows), at)
    workbook.save(path)
    return workbook, sheet


def put(sheet, rows, at=(1, 1)):
    """Write rows into a sheet, from a cell on."""
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if value is not None:
                sheet.cell(at[0] + i, at[1] + j, value)


def csv_text(header=HEADER, rows=ROWS):
    """Return rows as the text of a CSV file."""
    lines = [header, *rows]
    return (
        "\n".join(",".join("" if cell is None else str(cell) for cell in line) for line in lines)
        + "\n"
    )


def with_results(path, results):
    """Store results of formulas, which openpyxl does not write: cell -> text of the result."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    sheet = parts["xl/worksheets/sheet1.xml"].decode()
    for cell, result in results.items():
        start = sheet.index(f'r="{cell}"')
        end = sheet.index("</c>", start)
        formula = sheet[start:end]
        assert "<v" in formula, formula
        sheet = sheet[:start] + formula[: formula.index("<v")] + f"<v>{result}</v>" + sheet[end:]
    parts["xl/worksheets/sheet1.xml"] = sheet.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def plain(path):
    """A table and nothing else."""
    book(path)
    return csv_text()


def title_rows(path):
    """Two lines above the header; read with header_row=4."""
    workbook, sheet = book(path, at=(4, 1))
    sheet["A1"], sheet["A2"] = "Sales 2024", "Source: sales department"
    workbook.save(path)
    return csv_text()


def shifted(path):
    """The table begins in C3, and an empty column and two empty rows are within it."""
    rows = [(*row[:2], None, *row[2:]) for row in ROWS]
    workbook, sheet = book(path, header=(*HEADER[:2], None, *HEADER[2:]), rows=rows[:10], at=(3, 3))
    put(sheet, rows[10:], (16, 3))
    workbook.save(path)
    return csv_text()


def two_sheets(path):
    """A second sheet with cells; read with sheet="Orders"."""
    workbook, _ = book(path, title="Orders")
    put(workbook.create_sheet("Notes"), [("remark",), ("checked",)])
    workbook.create_sheet("Empty")
    workbook.save(path)
    return csv_text()


def dates(path):
    """Dates, a column of times of day, and durations."""
    moments = [
        datetime(2024, 1, 1 + i, 8, 30) if i % 2 else datetime(2024, 1, 1 + i) for i in range(24)
    ]
    workbook, sheet = book(
        path,
        header=("day", *HEADER),
        rows=[(m, *row) for m, row in zip(moments, ROWS, strict=True)],
    )
    for i in range(24):
        sheet.cell(2 + i, 1).number_format = "DD.MM.YYYY"
    workbook.save(path)
    texts = [f"2024-01-{1 + i:02}" + (" 08:30:00" if i % 2 else "") for i in range(24)]
    return csv_text(("day", *HEADER), [(text, *row) for text, row in zip(texts, ROWS, strict=True)])


def decimal_commas(path):
    """Numbers that somebody typed as texts with a decimal comma."""
    rows = [(city, area, str(price).replace(".", ","), sold) for city, area, price, sold in ROWS]
    book(path, rows=rows)
    return csv_text(rows=[(city, area, f'"{price}"', sold) for city, area, price, sold in rows])


def percent(path):
    """A column of percentages, which a workbook stores as fractions."""
    rows = [(city, area / 200, price, sold) for city, area, price, sold in ROWS]
    workbook, sheet = book(path, rows=rows)
    for i in range(24):
        sheet.cell(2 + i, 2).number_format = numbers.FORMAT_PERCENTAGE_00
    workbook.save(path)
    return csv_text(
        rows=[(city, f"{area / 2:g}%", price, sold) for city, area, price, sold in ROWS]
    )


def formulas(path):
    """A column of formulas, whose results are stored."""
    rows = [(city, f"=20+{area - 20}", price, sold) for city, area, price, sold in ROWS]
    book(path, rows=rows)
    with_results(path, {f"B{2 + i}": ROWS[i][1] for i in range(24)})
    return csv_text()


def hidden(path):
    """A filter hides rows, and a column is hidden."""
    workbook, sheet = book(path)
    sheet.row_dimensions[5].hidden = sheet.row_dimensions[6].hidden = True
    sheet.column_dimensions["B"].hidden = True
    workbook.save(path)
    return csv_text()


def total(path):
    """A total in the last row, which is read and named in a note."""
    rows = [*ROWS, ("Total", sum(row[1] for row in ROWS), None, "no")]
    book(path, rows=rows)
    return csv_text(rows=rows)


def merged_cells(path):
    """Cities merged over three rows each."""
    rows = [
        (["Bonn", "Köln"][i // 3 % 2] if i % 3 == 0 else None, *row[1:])
        for i, row in enumerate(ROWS)
    ]
    workbook, sheet = book(path, rows=rows)
    for i in range(0, 24, 3):
        sheet.merge_cells(start_row=2 + i, end_row=4 + i, start_column=1, end_column=1)
    workbook.save(path)
    return csv_text(rows=[(["Bonn", "Köln"][i // 3 % 2], *row[1:]) for i, row in enumerate(ROWS)])


def high_header(path):
    """A header of two rows: merged down, and merged across; read with header_row=2."""
    workbook, sheet = book(path, at=(2, 1))
    sheet["A1"], sheet["B1"], sheet["D1"] = "city", "Flat", "sold"
    sheet["A2"] = sheet["D2"] = None
    sheet.merge_cells("A1:A2")
    sheet.merge_cells("B1:C1")
    sheet.merge_cells("D1:D2")
    workbook.save(path)
    return csv_text()


def merged_title(path):
    """A title that is merged over the table; read with header_row=2."""
    workbook, sheet = book(path, at=(2, 1))
    sheet["A1"] = "Sales 2024"
    sheet.merge_cells("A1:D1")
    workbook.save(path)
    return csv_text()
