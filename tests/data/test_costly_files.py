"""Small table files that would take gigabytes or minutes are refused in a line, or read, in bounded time and memory."""

import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import openpyxl
import pytest

import kzoo
from kzoo.inference.tables import expanded
from kzoo.inference.tables.files import sqlite
from tests.data.costly_files import COSTLY
from tests.messages import assert_mentions, refuses

ROOT = Path(__file__).parents[2]
SECONDS, MEBIBYTES = 60, 500  # of the processor, and beyond what an honest table takes
SOME = (
    "database: endless count",
    "database: two large cells",
    "database: many large cells",
    "database: views of views",
    "database: text that grows",
    "workbook: formats",
    "workbook: strings named .bin",
    "workbook: strings named .XML",
    "workbook: attributes",
    "workbook: entities in strings",
    "workbook: one far cell",
    "gzipped: one cell",
    "zipped: one cell by bzip2",
    "zipped: workbook",
    "parquet: constant numbers",
)

# Sources and their names, and how many seconds a query may take; the peak of getrusage begins with that of the parent.
MEASURE = """
import json, sys, time
import openpyxl, pandas, pyarrow.parquet
import kzoo
from kzoo.inference.tables.files import sqlite


def memory(name):
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) // 1024


sqlite._SECONDS, *sources = json.loads(sys.argv[1])
kzoo.load_data({"a": [1, 2, 3] * 9, "b": [0, 1, 0] * 9}, target="b")
for source in sources:
    open("/proc/self/clear_refs", "w").write("5")
    before, began = memory("VmRSS"), time.process_time()
    try:
        kzoo.load_data(source, target="b")
        outcome = "read"
    except kzoo.KzooError as error:
        outcome = str(error)
    print(json.dumps([outcome, time.process_time() - began, memory("VmHWM") - before]), flush=True)
"""


@pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux reports the peak of memory"
)
@pytest.mark.parametrize(
    ("names", "seconds"),
    [(SOME, 2), pytest.param(tuple(COSTLY), sqlite._SECONDS, marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_a_costly_file_takes_little_time_and_memory(tmp_path, names, seconds):
    sources = [COSTLY[name](tmp_path) for name in names]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE, json.dumps([seconds, *sources])],
        capture_output=True,
        text=True,
        env=os.environ | {"KZOO_MEMORY": "400MiB", "PYTHONPATH": str(ROOT)},
    )
    results = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(results) == len(names), (names[len(results)], done.stderr[-2000:])
    for name, result in zip(names, results, strict=True):
        print(f"{name:40} {result[1]:6.1f} s {result[2]:5} MiB  {result[0]}")
    bad = {
        name: result
        for name, result in zip(names, results, strict=True)
        if "\n" in result[0] or result[1] > SECONDS or result[2] > MEBIBYTES
    }
    assert bad == {}


def test_there_are_at_least_50_costly_files():
    assert len(COSTLY) >= 50


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("database: two large cells", ("16 MiB", "cell", "SELECT")),
        ("database: many large cells", ("128 MiB", "memory")),
        ("database: unions of unions", ("too many", "table")),
        ("workbook: formats", ("elements", ".csv")),
        ("workbook: strings named .XML", ("elements", ".csv")),
        ("gzipped: zeros", ("memory", "Unpack")),
    ],
)
def test_the_refusal_says_what_is_too_large(tmp_path, name, parts, monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "400MiB")
    with refuses(*parts) as caught:
        kzoo.load_data(COSTLY[name](tmp_path), target="b")
    assert "\n" not in str(caught.value)


def test_a_query_that_takes_too_long_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite, "_SECONDS", 0.0)
    with refuses("0 seconds", "CREATE TABLE"):
        kzoo.load_data(COSTLY["database: endless count"](tmp_path), target="b")


# Ctrl-C while SQLite works: it looks at the clock now and then.
INTERRUPTED = """
import os, signal, sys
from kzoo.inference.tables.files import sqlite
from kzoo.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sqlite._SECONDS, is_over = 1e6, sqlite._Clock.is_over
sqlite._Clock.is_over = lambda clock: os.kill(os.getpid(), signal.SIGINT) or is_over(clock)
sys.exit(main(["check", "--data", {source!r}, "--target", "b"]))
"""


def test_ctrl_c_ends_a_query(tmp_path):
    code = INTERRUPTED.format(source=COSTLY["database: endless count"](tmp_path))
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 130
    assert_mentions(done.stderr, "interrupted")


@pytest.mark.parametrize("lost", [1, 2_000, 4_095, 4_096, 9_000])
def test_a_database_that_is_cut_off_is_refused(tmp_path, lost):
    path = tmp_path / "cut.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t (a, b)")
        connection.executemany(
            "INSERT INTO t VALUES (?, ?)", [(f"text {n}" * 5, n % 2) for n in range(2_000)]
        )
    connection.close()
    assert len(kzoo.load_data(f"sqlite:{path}?t", target="b").train)
    os.truncate(path, path.stat().st_size - lost)
    with refuses("cut.db", "Copy the file again"):
        kzoo.load_data(f"sqlite:{path}?t", target="b")


def test_tables_that_compress_well_are_read(tmp_path):
    """A column of constants, very many styles, and cells far apart are no attack."""
    book = openpyxl.Workbook()
    for row in range(1, 1_001):
        for column, value in enumerate((row, 0, 0, 0, "yes", row % 2) if row > 1 else "abcdef", 1):
            book.active.cell(row, column, value).font = openpyxl.styles.Font(size=row / 100 + 1)
    book.active.cell(9_000, 6, 1), book.active.cell(9_000, 1, 1)
    book.save(tmp_path / "book.xlsx")
    data = kzoo.load_data(tmp_path / "book.xlsx", target="f")
    assert len(data.train) + len(data.validation) + len(data.test) == 1_000
    assert expanded.most_expanded(1_000) > 1 << 20
