"""Workbooks as offices write them: read as their export as CSV, or refused in a line that names the cell."""

import zipfile
from datetime import datetime, timedelta

import numpy as np
import openpyxl
import pandas as pd
import pytest

import kzoo
from kzoo.cli import main
from tests.data import workbooks
from tests.data.same_data import assert_same_data
from tests.data.workbooks import ROWS, book, put
from tests.messages import assert_mentions, refuses, warns

# The workbook, the arguments that it needs, and what a note says.
READ = {
    "plain": ({}, ()),
    "title_rows": ({"header_row": 4}, ()),
    "shifted": ({}, ("2 empty rows", "row 14", "1 empty column", "column E")),
    "two_sheets": ({"sheet": "Orders"}, ()),
    "dates": ({}, ()),
    "decimal_commas": ({}, ()),
    "percent": ({}, ()),
    "formulas": ({}, ()),
    "hidden": ({}, ("2 hidden rows", "row 5", "1 hidden column", "'area'")),
    "total": ({}, ("A26", "'Total'", "sum")),
    "merged_cells": ({}, ("merged", "A2:A4")),
    "high_header": ({"header_row": 2}, ()),
    "merged_title": ({"header_row": 2}, ()),
}
# Those that need an argument, and what the refusal without it names.
ASKS = {
    "title_rows": ("A1", "'Sales 2024'", "header_row=4"),
    "two_sheets": ("'Orders', 'Notes'", "sheet='Orders'"),
    "high_header": ("B1:C1", "merged", "header_row=2"),
    "merged_title": ("A1:D1", "merged", "header_row=2"),
}


def load(path, **options):
    return kzoo.load_data(path, target="sold", **options)


@pytest.mark.parametrize("name", READ)
def test_a_workbook_is_read_as_its_export_as_csv(name, tmp_path):
    options, notes = READ[name]
    text = getattr(workbooks, name)(tmp_path / "book.xlsx")
    (tmp_path / "book.csv").write_text(text, encoding="utf-8")
    data = load(tmp_path / "book.xlsx", **options)
    expected = load(tmp_path / "book.csv")
    assert_same_data(data, expected)
    more = [note for note in data.notes if note not in expected.notes]
    if notes:
        assert_mentions("\n".join(more), *notes)
    assert bool(more) == bool(notes), more


@pytest.mark.parametrize("name", ASKS)
def test_a_workbook_that_is_not_a_plain_table_is_refused_with_the_cell_and_the_option(
    name, tmp_path
):
    getattr(workbooks, name)(tmp_path / "book.xlsx")
    with refuses("book.xlsx", *ASKS[name]):
        load(tmp_path / "book.xlsx")


SHEETS = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
SHARED = "application/vnd.openxmlformats-officedocument.spreadsheetml.sharedStrings+xml"
REFUSED = {
    "formula without a result": ("B2", "formula", "save it"),
    "no such sheet": ("'Umsatz'", "'Sheet1'"),
    "empty header row": ("row 90", "header_row=", "empty"),
    "no rows": ("Sheet1", "no rows", "row 25"),
    "unnamed column": ("E1", "column E", "name"),
    "merged across": ("A5:B5", "row 5", "Unmerge"),
    "all empty": ("no cells", "header"),
    "old file": (".xls", "password", ".xlsx"),
    "text": ("not a workbook", ".csv"),
    "damaged": ("Cannot read", "save it"),
    "OpenDocument": ("OpenDocument", ".xlsx"),
    "sheet of a CSV file": ("sheet=", "'Sheet1'", "workbooks", "book.csv"),
    "header row of a frame": ("header_row=", "2", "DataFrame"),
    "row zero": ("header_row=", "0", "from 1"),
    ".ods": ("book.ods", ".xlsx"),
    ".xls": ("book.xls", ".xlsx"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_workbook_that_cannot_be_read_is_refused_in_a_line(case, tmp_path):
    path = tmp_path / "book.xlsx"
    options = {}
    workbook, sheet = book(path)
    if case == "formula without a result":
        sheet["B2"] = "=A2*2"
    elif case == "no such sheet":
        options = {"sheet": "Umsatz"}
    elif case == "empty header row":
        options = {"header_row": 90}
    elif case == "no rows":
        options = {"header_row": 25}
    elif case == "unnamed column":
        sheet["E4"] = "remark"
    elif case == "merged across":
        sheet["A5"] = "North"
        sheet.merge_cells("A5:B5")
    elif case == "all empty":
        sheet.delete_rows(1, 30)
    workbook.save(path)
    if case == "old file":
        path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    elif case == "text":
        path.write_text(workbooks.csv_text())
    elif case == "damaged":
        rewritten(path, "xl/worksheets/sheet1.xml", lambda content: content[: len(content) // 2])
    elif case == "OpenDocument":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("content.xml", "<x/>")
    elif case == "sheet of a CSV file":
        path = tmp_path / "book.csv"
        options = {"sheet": "Sheet1"}
        path.write_text(workbooks.csv_text())
    elif case == "header row of a frame":
        path = pd.DataFrame(ROWS, columns=workbooks.HEADER)
        options = {"header_row": 2}
    elif case == "row zero":
        options = {"header_row": 0}
    elif case in (".ods", ".xls"):
        path = path.rename(path.with_suffix(case))
    with refuses(*REFUSED[case]) as caught:
        load(path, **options)
    assert "\n" not in str(caught.value)


def rewritten(path, part, change):
    """Change the bytes of a part of a workbook."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts[part] = change(parts.get(part, b""))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name, data)


def test_a_workbook_takes_no_more_memory_than_a_table_may(tmp_path, monkeypatch):
    path = tmp_path / "book.xlsx"
    book(path, rows=[])
    # One text of the workbook, in very many rows.
    text = f"<sst xmlns='{SHEETS}'><si><t>{'x' * 30_000}</t></si></sst>"
    rows = "".join(f'<row r="{n}"><c r="A{n}" t="s"><v>0</v></c></row>' for n in range(2, 900))
    part = (
        b'<Override PartName="/xl/sharedStrings.xml" ContentType="%s"/></Types>' % SHARED.encode()
    )
    rewritten(path, "[Content_Types].xml", lambda content: content.replace(b"</Types>", part))
    rewritten(path, "xl/sharedStrings.xml", lambda content: text.encode())
    rewritten(
        path,
        "xl/worksheets/sheet1.xml",
        lambda content: content.replace(b"</sheetData>", f"{rows}</sheetData>".encode()),
    )
    monkeypatch.setenv("KZOO_MEMORY", "100MiB")
    with refuses("book.xlsx", "memory", "CSV"):
        load(path)


@pytest.mark.parametrize("bounds", ["A1:XFD1048576", "A30:A1048576"])
def test_merged_cells_of_a_whole_sheet_take_no_time(bounds, tmp_path):
    path = tmp_path / "book.xlsx"
    book(path)
    merged = f'</sheetData><mergeCells count="1"><mergeCell ref="{bounds}"/></mergeCells>'.encode()
    rewritten(
        path, "xl/worksheets/sheet1.xml", lambda content: content.replace(b"</sheetData>", merged)
    )
    if bounds.startswith("A1"):
        with refuses(bounds):
            load(path)
    else:
        assert len(load(path).train)


def test_a_cell_far_away_costs_no_memory(tmp_path):
    workbook, sheet = book(tmp_path / "book.xlsx")
    sheet["XFD1048576"] = "x"
    workbook.save(tmp_path / "book.xlsx")
    with refuses("XFD1", "name"):
        load(tmp_path / "book.xlsx")
    far = b'<row r="9999999"><c r="A9999999"><v>1</v></c></row></sheetData>'
    book(tmp_path / "more.xlsx")
    rewritten(
        tmp_path / "more.xlsx",
        "xl/worksheets/sheet1.xml",
        lambda content: content.replace(b"</sheetData>", far),
    )
    with refuses("1,048,576 rows"):
        load(tmp_path / "more.xlsx")


def test_errors_and_remarks_are_named_in_notes(tmp_path):
    workbook, sheet = book(tmp_path / "book.xlsx")
    sheet["B3"] = "#DIV/0!"
    sheet["B3"].data_type = "e"
    sheet["A26"] = "Source: sales"
    put(workbook.create_sheet("Lists"), [("a",)])
    workbook["Lists"].sheet_state = "hidden"
    workbook.save(tmp_path / "book.xlsx")
    notes = "\n".join(load(tmp_path / "book.xlsx").notes)
    assert_mentions(
        notes, "B3", "#DIV/0!", "missing", "A26", "'Source: sales'", "Hidden sheets", "'Lists'"
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a workbook of two sheets and titles, and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("trained")
    workbooks.title_rows(folder / "book.xlsx")
    workbook = openpyxl.load_workbook(folder / "book.xlsx")
    workbook.active.title = "Orders"
    put(workbook.create_sheet("Notes"), [("remark",), ("checked",)])
    workbook.save(folder / "book.xlsx")
    (folder / "book.csv").write_text(workbooks.csv_text(), encoding="utf-8")
    run = kzoo.train(
        "tabular_fnn",
        folder / "book.xlsx",
        target="sold",
        sheet="Orders",
        header_row=4,
        epochs=1,
        out=folder / "run",
        units=(4,),
        progress=False,
        baselines=False,
        check=False,
    )
    return folder, run


def test_a_run_finds_the_sheet_and_the_row_of_its_training(trained, capsys):
    folder, run = trained
    expected = kzoo.predict(run, folder / "book.csv").probabilities
    np.testing.assert_array_equal(kzoo.predict(run, folder / "book.xlsx").probabilities, expected)
    # its own test rows, not all rows
    assert kzoo.evaluate(run, folder / "book.xlsx")["examples"] == run.data.test
    assert "--sheet Orders --header-row 4" in run.config["command"]
    assert kzoo.check(run, folder / "book.xlsx") is not None
    assert main(["predict", str(run.path), str(folder / "book.xlsx")]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(ROWS)


def test_another_workbook_names_its_own_sheet_and_row(trained):
    folder, run = trained
    book(folder / "new.xlsx", title="May")
    expected = kzoo.predict(run, folder / "book.csv").probabilities
    predictions = kzoo.predict(run, folder / "new.xlsx", sheet="May", header_row=1)
    np.testing.assert_array_equal(predictions.probabilities, expected)
    with warns("new.xlsx", "trained on"):  # the same rows
        assert kzoo.evaluate(run, folder / "new.xlsx", header_row=1)["examples"] == len(ROWS)
    findings = kzoo.check(run, folder / "new.xlsx", sheet="May", header_row=1)
    assert not [finding for finding in findings if finding.level == "error"]
    assert (
        main(
            [
                "evaluate",
                str(run.path),
                "--data",
                str(folder / "new.xlsx"),
                "--header-row",
                "1",
                "--by",
                "city",
            ]
        )
        == 0
    )
    scores = kzoo.evaluate(run, folder / "book.xlsx", by="city")  # at the sheet of the training
    assert scores["examples"] == run.data.test and len(scores["by"]["groups"]) > 1
    with refuses("header_row=", "2", "workbooks", "book.csv"):
        kzoo.check(run, folder / "book.csv", header_row=2)
    with refuses("sheet=", "'May'", "workbooks", "book.csv"):
        kzoo.predict(run, folder / "book.csv", sheet="May")
    with refuses("header_row=", "2", "workbooks"):
        kzoo.evaluate(run, folder / "book.csv", header_row=2)


def test_a_second_source_is_read_at_the_same_sheet(trained):
    folder, _ = trained
    data = load(
        folder / "book.xlsx",
        sheet="Orders",
        header_row=4,
        test=folder / "book.xlsx",
        validation=0.25,
    )
    assert len(data.test) == len(ROWS) and data.loaded["options"]["sheet"] == "Orders"
    data = load(folder / "book.csv", sheet="Orders", header_row=4, test=folder / "book.xlsx")
    assert len(data.test) == len(ROWS)


def test_other_kinds_of_data_lie_in_workbooks_too(tmp_path):
    header = ("review", "stars")
    rows = [(f"a {['good', 'bad'][i % 2]} film {i}", i % 2) for i in range(20)]
    book(tmp_path / "texts.xlsx", header=header, rows=rows, at=(3, 1), title="T")
    data = kzoo.load_data(
        tmp_path / "texts.xlsx", preset="text_ngrams", target="stars", header_row=3, sheet="T"
    )
    assert len(data.train) + len(data.validation) + len(data.test) == 20
    rows = [(datetime(2024, 1, 1) + timedelta(days=i), i % 7) for i in range(700)]
    book(tmp_path / "series.xlsx", header=("day", "sales"), rows=rows)
    data = kzoo.load_data(
        tmp_path / "series.xlsx", preset="series_linear", target="sales", time="day"
    )
    (tmp_path / "series.csv").write_text(
        workbooks.csv_text(("day", "sales"), [(day.date(), sales) for day, sales in rows]),
        encoding="utf-8",
    )
    expected = kzoo.load_data(
        tmp_path / "series.csv", preset="series_linear", target="sales", time="day"
    )
    assert data.fingerprint == expected.fingerprint


def test_a_workbook_tests_a_table_that_is_larger_than_memory(trained, monkeypatch):
    folder, _ = trained
    monkeypatch.setenv("KZOO_CACHE", str(folder / "cache"))
    monkeypatch.setenv("KZOO_MEMORY", "5KiB")
    book(folder / "test.xlsx", rows=ROWS[:6])
    with refuses("test.xlsx", "memory"):  # a workbook itself is read whole
        load(folder / "test.xlsx")
    monkeypatch.setenv("KZOO_MEMORY", "200KiB")
    large = folder / "large.csv"
    large.write_text(workbooks.csv_text(rows=ROWS * 60), encoding="utf-8")
    data = load(large, test=folder / "test.xlsx")
    assert len(data.test) == 6 and any("does not fit into memory" in note for note in data.notes)


def test_openpyxl_is_named_where_it_is_missing(tmp_path, monkeypatch):
    book(tmp_path / "book.xlsx")
    monkeypatch.setattr("kzoo.utils.optional.is_installed", lambda name: name != "openpyxl")
    with refuses("openpyxl", "pip install"):
        load(tmp_path / "book.xlsx")
