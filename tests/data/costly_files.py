"""Small table files that would take gigabytes or minutes to read: databases, workbooks, archives and Parquet files.

`COSTLY` has name -> function of a folder that writes the file and returns what is passed to `load_data`.
"""

import gzip
import io
import random
import sqlite3
import zipfile

import numpy as np
import pytest

COSTLY = {}
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
REL = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
STRINGS = "xl/sharedStrings.xml"
STYLES = "xl/styles.xml"
BOOK = "xl/workbook.xml"
BOOK_RELS, TYPES = "xl/_rels/workbook.xml.rels", "[Content_Types].xml"
# what a workbook may be grows with its size
PADDING = {"padding.bin": random.Random(0).randbytes(650_000)}


def costly(function, suffix, cases):
    """Register a function of the path of a file and of a value of these cases: name -> value."""
    for name, value in cases.items():

        def write(folder, name=name, value=value):
            path = folder / f"{name.replace(' ', '-')}{suffix}"
            return str(function(path, value) or path)

        COSTLY[f"{function.__name__}: {name}"] = write


# --- databases ------------------------------------------------------------------------------------------------------

ENDLESS = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x)"
ZEROS = "hex(zeroblob(8000000))"
VIEWS = {
    "endless count": f"{ENDLESS} SELECT count(*) AS a, 1 AS b FROM x",
    "endless rows": f"{ENDLESS} SELECT n AS a, n % 2 AS b FROM x",
    "slow rows": f"{ENDLESS} SELECT n AS a, n % 2 AS b FROM x WHERE n % 3000000 = 0",
    "endless order": f"{ENDLESS} SELECT n AS a, n % 2 AS b FROM x ORDER BY n DESC",
    "endless distinct": f"{ENDLESS} SELECT DISTINCT n AS a, n % 2 AS b FROM x LIMIT -1 OFFSET 999999999",
    "endless text": f"{ENDLESS} SELECT group_concat(n) AS a, 1 AS b FROM x",
    "endless JSON": f"{ENDLESS} SELECT json_group_array(n) AS a, 1 AS b FROM x",
    "endless groups": f"{ENDLESS} SELECT n AS a, count(*) AS b FROM x GROUP BY n ORDER BY b",
    "endless search": f"{ENDLESS} SELECT sum(instr(text, '01')) AS a, 1 AS b FROM (SELECT {ZEROS} AS text), x",
    "two large cells": "SELECT hex(zeroblob(400000000)) AS a, hex(zeroblob(400000000)) AS b",
    "many large cells": f"SELECT {', '.join(f'{ZEROS} AS c{n}' for n in range(1000))}",
    "large cells in many rows": f"{ENDLESS} SELECT hex(zeroblob(5000000)) AS a, n AS b FROM x",
    "text that grows": f"SELECT replace(replace({ZEROS}, '0', {ZEROS}), '0', {ZEROS}) AS a, 1 AS b",
    "long pattern": f"SELECT {ZEROS} LIKE '{'%0' * 20_000}%1' AS a, 1 AS b",
    "products": f"SELECT count(*) AS a, 1 AS b FROM {', '.join(f't AS t{n}' for n in range(30))}",
    "sorted products": f"SELECT t0.a, t1.b FROM {', '.join(f't AS t{n}' for n in range(8))} ORDER BY t7.a",
    "views of views": ("SELECT x.a, y.b FROM {0} x JOIN {0} y", 40),
    "unions of unions": (" UNION ALL ".join(["SELECT * FROM {0}"] * 20), 30),
}


def database(path, view):
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(n, n % 2) for n in range(200)])
        select, levels = view if isinstance(view, tuple) else (view, 1)
        for level in range(levels):
            before = "t" if level == 0 else f"v{level - 1}"
            connection.execute(f"CREATE VIEW v{level} AS {select.format(before)}")
    connection.close()
    return f"sqlite:{path}?v{levels - 1}"


costly(database, ".db", VIEWS)


# --- workbooks ------------------------------------------------------------------------------------------------------

TEXT_CELL = '<c r="{0}" t="inlineStr"><is><t>{1}</t></is></c>'
ROWS = f"<row r='1'>{TEXT_CELL.format('A1', 'a')}{TEXT_CELL.format('B1', 'b')}</row>" + "".join(
    f'<row r="{n}"><c r="A{n}"><v>{n}</v></c><c r="B{n}"><v>{n % 2}</v></c></row>'
    for n in range(2, 40)
)


def sheet_of(rows=ROWS, before="", after=""):
    return f'<worksheet xmlns="{MAIN}">{before}<sheetData>{rows}</sheetData>{after}</worksheet>'


def strings_of(inner="<si><t>x</t></si>"):
    return f'<sst xmlns="{MAIN}">{inner}</sst>'


def styles_of(formats="<xf/>", fonts="<font/>", before=""):
    fixed = "<fills><fill><patternFill/></fill></fills><borders><border/></borders><cellStyleXfs><xf/></cellStyleXfs>"
    inner = f"{before}<fonts>{fonts}</fonts>{fixed}<cellXfs>{formats}</cellXfs>"
    return f'<styleSheet xmlns="{MAIN}">{inner}</styleSheet>'


def parts_of(sheets=1, sheet=None, strings=STRINGS, names="", types="", relations=""):
    """Return the parts of a workbook by their names."""
    numbers = range(1, sheets + 1)
    override = '<Override PartName="/{}" ContentType="{}"/>'.format
    relation = '<Relationship Id="{}" Type="{}" Target="{}"/>'.format
    listed = [
        override(BOOK, f"{TYPE}.sheet.main+xml"),
        override(STYLES, f"{TYPE}.styles+xml"),
        override(strings, f"{TYPE}.sharedStrings+xml"),
        *(override(f"xl/worksheets/sheet{n}.xml", f"{TYPE}.worksheet+xml") for n in numbers),
    ]
    default = '<Default Extension="{}" ContentType="application/{}"/>'.format
    defaults = default("rels", "vnd.openxmlformats-package.relationships+xml") + default(
        "xml", "xml"
    )
    relations += "".join(
        relation(f"rId{n}", f"{REL}/worksheet", f"worksheets/sheet{n}.xml") for n in numbers
    )
    tabs = "".join(f'<sheet name="s{n}" sheetId="{n}" r:id="rId{n}"/>' for n in numbers)
    book = f'<workbook xmlns="{MAIN}" xmlns:r="{REL}"><sheets>{tabs}</sheets>{names}</workbook>'
    root = f'<Relationships xmlns="{PACKAGE}/relationships">{{}}</Relationships>'.format
    return {
        TYPES: f'<Types xmlns="{PACKAGE}/content-types">{defaults}{"".join(listed)}{types}</Types>',
        "_rels/.rels": root(relation("rId1", f"{REL}/officeDocument", BOOK)),
        BOOK: book,
        BOOK_RELS: root(relations),
        strings: strings_of(),
        STYLES: styles_of(),
        **{f"xl/worksheets/sheet{n}.xml": sheet or sheet_of() for n in numbers},
    }


def laughs(text):
    """Return XML whose entity of a few bytes is ten billion characters."""
    entities = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
    return f'<!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">{entities}]>{text}'


WORKBOOKS = {
    "formats": lambda: parts_of() | {STYLES: styles_of("<xf/>" * 400_000)},
    "formats just allowed": lambda: parts_of() | {STYLES: styles_of("<xf/>" * 55_000)},
    "fonts": lambda: (
        parts_of() | {STYLES: styles_of(fonts="<font><b/><sz val='1'/></font>" * 100_000)}
    ),
    "strings named .bin": lambda: (
        parts_of(strings="xl/sharedStrings.bin")
        | {"xl/sharedStrings.bin": strings_of(f"<si><t>{'x' * 150_000_000}</t></si>")}
    ),
    "strings named .XML": lambda: (
        parts_of(strings="xl/sharedStrings.XML")
        | {"xl/sharedStrings.XML": strings_of("<si/>" * 8_000_000)}
    ),
    "strings just allowed": lambda: (
        parts_of() | {STRINGS: strings_of("<si/>" * 2_500_000)} | PADDING
    ),
    "one long string": lambda: (
        parts_of() | {STRINGS: strings_of(f"<si><t>{'x' * 60_000_000}</t></si>")}
    ),
    "runs of a string": lambda: (
        parts_of() | {STRINGS: strings_of(f"<si>{'<r><t>x</t></r>' * 400_000}</si>")} | PADDING
    ),
    "attributes": lambda: (
        parts_of()
        | {STRINGS: strings_of("<si " + " ".join(f"a{n}=''" for n in range(1_000_000)) + "/>")}
    ),
    "depth": lambda: (
        parts_of() | {STRINGS: strings_of("<a>" * 100_000 + "</a>" * 100_000)} | PADDING
    ),
    "entities in strings": lambda: (
        parts_of() | {STRINGS: laughs(strings_of("<si><t>&a9;</t></si>"))}
    ),
    "entities in a sheet": lambda: parts_of(
        sheet=laughs(sheet_of(ROWS.replace("<t>a<", "<t>&a9;<")))
    ),
    "sheets": lambda: parts_of(sheets=3_000),
    "sheets of one far row": lambda: parts_of(sheets=1_000, sheet=sheet_of('<row r="1048576"/>')),
    "one far cell": lambda: parts_of(
        sheet=sheet_of(f'{ROWS}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>')
    ),
    "far cells": lambda: parts_of(
        sheet=sheet_of(
            ROWS
            + "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(40, 90_000))
        )
    ),
    "empty cells": lambda: parts_of(sheet=sheet_of(ROWS + f"<row>{'<c/>' * 1_000}</row>" * 10_000)),
    "empty rows": lambda: parts_of(sheet=sheet_of(ROWS + "<row/>" * 900_000)),
    "one row many times": lambda: parts_of(sheet=sheet_of(ROWS + "<row r='50'/>" * 2_000_000)),
    "text in a sheet": lambda: parts_of(
        sheet=sheet_of(ROWS.replace("<t>a<", f"<t>{'a' * 100_000_000}<"))
    ),
    "merged cells": lambda: parts_of(
        sheet=sheet_of(
            after="<mergeCells>" + "<mergeCell ref='A2:A1048576'/>" * 1_000_000 + "</mergeCells>"
        )
    ),
    "hidden columns": lambda: parts_of(
        sheet=sheet_of(
            before="<cols>" + "<col min='1' max='16384' hidden='1'/>" * 800_000 + "</cols>"
        )
    ),
    "formulas": lambda: parts_of(
        sheet=sheet_of(
            ROWS
            + "".join(f"<row r='{n}'><c r='A{n}'><f>1</f></c></row>" for n in range(40, 200_000))
        )
    ),
    "names": lambda: parts_of(
        names="<definedNames>"
        + "<definedName name='a'>1</definedName>" * 100_000
        + "</definedNames>"
    ),
    "content types": lambda: parts_of(types="<Override PartName='/x' ContentType='y'/>" * 300_000),
    "relations": lambda: parts_of(relations="<Relationship Id='a' Type='b' Target='c'/>" * 100_000),
}


def zip_of(parts, method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method, compresslevel=5) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def workbook(path, parts):
    path.write_bytes(zip_of(parts()))


costly(workbook, ".xlsx", WORKBOOKS)


# --- archives -------------------------------------------------------------------------------------------------------


def rows_of(count, row="1,0\n", header="a,b\n"):
    return (header + row * count).encode()


def gzipped(path, content):
    path.write_bytes(gzip.compress(content(), 5))


def zipped(path, content):
    path.write_bytes(zip_of(*content()))


costly(
    gzipped,
    ".csv.gz",
    {
        "one cell": lambda: rows_of(1, f"{'x' * 200_000_000},0\n"),
        "rows": lambda: rows_of(30_000_000),
        "rows just allowed": lambda: rows_of(8_500_000),
        "empty rows": lambda: rows_of(60_000_000, "\n"),
        "columns": lambda: rows_of(
            1, ",".join("0" * 200_000) + "\n", ",".join(f"c{n}" for n in range(200_000)) + "\n"
        ),
        "quotes": lambda: rows_of(1, '"' * 40_000_001),
        "zeros": lambda: bytes(200_000_000),
    },
)
costly(
    gzipped,
    ".jsonl.gz",
    {
        "objects": lambda: b'{"a":1}\n' * 20_000_000,
        "objects just allowed": lambda: b'{"a":1,"b":0}\n' * 2_400_000,
        "keys": lambda: (
            ("{" + ",".join(f'"c{n}":0' for n in range(1_000_000)) + "}\n").encode() * 2
        ),
        "depth": lambda: b"[" * 40_000_000,
    },
)
costly(
    zipped,
    ".zip",
    {
        "one cell": lambda: ({"a.csv": rows_of(1, f"{'x' * 200_000_000},0\n")},),
        "one cell by bzip2": lambda: (
            {"a.csv": rows_of(1, f"{'x' * 200_000_000},0\n")},
            zipfile.ZIP_BZIP2,
        ),
        "one cell by LZMA": lambda: (
            {"a.csv": rows_of(1, f"{'x' * 60_000_000},0\n")},
            zipfile.ZIP_LZMA,
        ),
        "workbook": lambda: ({"a.xlsx": zip_of(WORKBOOKS["formats"]())},),
        "long workbook": lambda: ({"a.xlsx": bytes(200_000_000)},),
        "many files": lambda: ({f"{n}.csv": b"" for n in range(30_000)},),
    },
)


# --- Parquet --------------------------------------------------------------------------------------------------------


def parquet(path, table):
    pq = pytest.importorskip("pyarrow.parquet")
    pq.write_table(
        table(pytest.importorskip("pyarrow")), path, compression="zstd", row_group_size=1 << 30
    )


costly(
    parquet,
    ".parquet",
    {
        "constant numbers": lambda pa: pa.table(
            {"a": np.zeros(60_000_000), "b": np.zeros(60_000_000, "int8")}
        ),
        "empty cells": lambda pa: pa.table(
            {"a": pa.nulls(80_000_000, pa.float64()), "b": pa.nulls(80_000_000, pa.int8())}
        ),
        "many columns": lambda pa: pa.table(
            {f"c{n}": np.zeros(100_000, "int8") for n in range(400)}
        ),
        "one text in each row": lambda pa: pa.table(
            {
                "a": pa.DictionaryArray.from_arrays(
                    np.zeros(100_000, "int32"), pa.array(["x" * 1_000_000])
                ),
                "b": np.zeros(100_000, "int8"),
            }
        ),
        "long text": lambda pa: pa.table({"a": ["x" * 150_000_000] * 2, "b": [0, 1]}),
        "lists": lambda pa: pa.table(
            {
                "a": pa.FixedSizeListArray.from_arrays(pa.array(np.zeros(40_000_000)), 20_000_000),
                "b": [0, 1],
            }
        ),
    },
)
