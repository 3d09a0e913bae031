"""Tables that are no CSV file: the same columns, cells and splits as the CSV file, or a line that says why not."""

import csv
import gzip
import io
import json
import sqlite3
import warnings
import zipfile
from pathlib import Path

import numpy as np
import openpyxl
import pandas as pd
import pytest
from sklearn.datasets import load_iris

import kzoo
from kzoo.cli import main
from kzoo.utils.errors import KzooWarning
from kzoo.utils.table_path import locate
from tests.data.same_data import assert_same_data
from tests.messages import assert_mentions, refuses

pa = pytest.importorskip("pyarrow")
ROWS = load_iris().data.tolist()
SPECIES = load_iris().target_names[load_iris().target].tolist()
HEADER = ["sepal length", "sepal width", "petal length", "petal width", "species"]
TABLE = [[*row, name] for row, name in zip(ROWS, SPECIES, strict=True)]


class Stream:
    """An object of some library that only has the protocol of Arrow, and can be read once."""

    def __init__(self, table):
        self._table = table

    def __arrow_c_stream__(self, requested_schema=None):
        table = self._table
        self._table = None
        return table.__arrow_c_stream__(requested_schema)


def written(rows, header=HEADER):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return stream.getvalue()


def workbook(folder):
    book = openpyxl.Workbook()
    for row in (HEADER, *TABLE):
        book.active.append(row)
    book.save(folder / "iris.xlsx")
    return folder / "iris.xlsx"


def jsonl(folder):
    lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in TABLE]
    return file(folder / "iris.jsonl", "\n\n".join(lines))


def file(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def zipped(folder, **members):
    members = members or {
        "data/iris.csv": written(TABLE),
        "README.txt": "flowers",
        "__MACOSX/._iris.csv": "x",
    }
    with zipfile.ZipFile(folder / "iris.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return folder / "iris.zip"


def gzipped(path, text):
    path.write_bytes(gzip.compress(text.encode()))
    return path


def pattern(folder):
    file(folder / "part-1.csv", written(TABLE[:60]))
    file(folder / "part-2.csv", written(TABLE[60:]))
    return str(folder / "part-*.csv")


def database(folder):
    with sqlite3.connect(folder / "iris.db") as connection:
        connection.execute(
            "CREATE TABLE flowers ({})".format(", ".join(f'"{name}"' for name in HEADER))
        )
        connection.executemany("INSERT INTO flowers VALUES (?, ?, ?, ?, ?)", TABLE)
        connection.execute("CREATE TABLE notes (text, number)")
        connection.execute("INSERT INTO notes VALUES ('a', x'00')")
    connection.close()
    return folder / "iris.db"


def of_duckdb(folder):
    duckdb = pytest.importorskip("duckdb")
    path = file(folder / "iris.csv", written(TABLE))
    return duckdb.read_csv(str(path))


def of_polars(folder):
    return pytest.importorskip("polars").DataFrame(TABLE, schema=HEADER, orient="row")


DOORS = {
    "xlsx": workbook,
    "jsonl": jsonl,
    "csv.gz": lambda folder: gzipped(folder / "iris.csv.gz", written(TABLE)),
    "jsonl.gz": lambda folder: gzipped(folder / "iris.jsonl.gz", jsonl(folder).read_text()),
    "zip": zipped,
    "zip of a workbook": lambda folder: zipped(
        folder, **{"iris.xlsx": workbook(folder).read_bytes()}
    ),
    "pattern": pattern,
    "pattern of gz": lambda folder: (
        gzipped(folder / "a-1.csv.gz", written(TABLE[:9])),
        gzipped(folder / "a-2.csv.gz", written(TABLE[9:])),
        str(folder / "a-[12].csv.gz"),
    )[-1],
    "sqlite table": lambda folder: f"sqlite:{database(folder)}?flowers",
    "sqlite query": lambda folder: (
        f"sqlite:{database(folder)}?SELECT * FROM flowers ORDER BY rowid"
    ),
    "polars": of_polars,
    "duckdb": of_duckdb,
    "pyarrow": lambda folder: pa.table(
        dict(zip(HEADER, map(list, zip(*TABLE, strict=True)), strict=True))
    ),
    "a reader": lambda folder: DOORS["pyarrow"](folder).to_reader(20),
    "a stream": lambda folder: Stream(DOORS["pyarrow"](folder)),
    "pandas": lambda folder: pd.DataFrame(TABLE, columns=HEADER),
    "list of dicts": lambda folder: [dict(zip(HEADER, row, strict=True)) for row in TABLE],
    "list of lists": lambda folder: [HEADER, *TABLE],
    "dict of columns": lambda folder: dict(
        zip(HEADER, map(list, zip(*TABLE, strict=True)), strict=True)
    ),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run that was trained on the CSV file, and the file."""
    folder = tmp_path_factory.mktemp("trained")
    path = file(folder / "iris.csv", written(TABLE))
    run = kzoo.train(
        "tabular_fnn",
        path,
        target="species",
        epochs=1,
        units=(4,),
        out=folder / "run",
        progress=False,
        baselines=False,
        check=False,
    )
    return run, path


@pytest.mark.parametrize("door", DOORS)
def test_a_table_is_the_same_behind_every_door(door, trained, tmp_path):
    _, path = trained
    expected = kzoo.load_data(path, target="species")
    data = kzoo.load_data(DOORS[door](tmp_path), target="species")
    assert_same_data(data, expected)


@pytest.mark.parametrize("door", DOORS)
def test_a_run_predicts_behind_every_door(door, trained, tmp_path):
    run, path = trained
    predictions = kzoo.predict(run, DOORS[door](tmp_path), keep="species")
    np.testing.assert_array_equal(predictions.probabilities, kzoo.predict(run, path).probabilities)
    assert predictions.kept["species"] == SPECIES


@pytest.mark.slow
@pytest.mark.parametrize("door", DOORS)
def test_a_training_scores_the_same_behind_every_door(door, trained, tmp_path):
    run, _ = trained
    options = dict(
        target="species", epochs=1, units=(4,), progress=False, baselines=False, check=False
    )
    summary = kzoo.train(
        "tabular_fnn", DOORS[door](tmp_path), out=tmp_path / "run", **options
    ).summary
    assert (summary["test"], summary["validation"]) == (
        run.summary["test"],
        run.summary["validation"],
    )


@pytest.mark.parametrize("door", ["pattern", "a stream", "list of lists"])
def test_second_sources_and_checks_take_every_door(door, trained, tmp_path):
    run, path = trained
    for folder in "abcde":
        (tmp_path / folder).mkdir()
    data = kzoo.load_data(path, target="species", test=DOORS[door](tmp_path / "a"))
    assert len(data.test) == len(TABLE)
    findings = kzoo.check(DOORS[door](tmp_path / "b"), target="species", deep=False)
    assert findings.presets
    plan = kzoo.tune(
        "tabular_fnn",
        DOORS[door](tmp_path / "c"),
        target="species",
        trials=2,
        epochs=1,
        dry_run=True,
    )
    assert plan is not None
    with warnings.catch_warnings():
        # a file of another name has rows of the training
        warnings.simplefilter("ignore", KzooWarning)
        scores = kzoo.evaluate(run, DOORS[door](tmp_path / "d"))
    assert scores["examples"] in (len(TABLE), run.data.test)  # all rows, or those of its test split
    assert not [
        found
        for found in kzoo.check(run, DOORS[door](tmp_path / "e"), deep=False)
        if found.level == "error"
    ]


def test_the_command_line_reads_patterns_and_databases(trained, tmp_path, capsys, monkeypatch):
    run, _ = trained
    words = [
        "--target",
        "species",
        "--set",
        "units=4",
        "--epochs",
        "1",
        "--no-check",
        "--no-baselines",
    ]
    source = f"sqlite:{database(tmp_path)}?SELECT * FROM flowers ORDER BY rowid"
    assert (
        main(["train", "tabular_fnn", "--data", source, "--out", str(tmp_path / "run"), *words])
        == 0
    )
    trained_here = kzoo.Run(tmp_path / "run")
    assert trained_here.data.fingerprint == run.data.fingerprint
    assert "'sqlite:iris.db?SELECT * FROM flowers ORDER BY rowid'" in trained_here.config["command"]
    assert main(["evaluate", str(tmp_path / "run"), "--data", source]) == 0
    assert "test split" in capsys.readouterr().out  # its own data, again
    assert main(["predict", str(run.path), pattern(tmp_path)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(TABLE)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert (
        main(["predict", str(run.path), str(tmp_path / "part-1.csv"), str(tmp_path / "part-2.csv")])
        == 2
    )


def unwritable_database(folder):
    path = database(folder)
    before = path.read_bytes()
    with refuses("DROP", "SELECT"):
        kzoo.load_data(f"sqlite:{path}?DROP TABLE flowers", target="species")
    assert path.read_bytes() == before
    return f"sqlite:{path}?WITH x AS (SELECT 1) DELETE FROM flowers"


def other_columns(folder, changed=lambda header: header[::-1], separator=","):
    file(folder / "part-1.csv", written(TABLE[:60]))
    file(folder / "part-2.csv", written(TABLE[60:], changed(HEADER)).replace(",", separator))
    return folder / "part-*.csv"


REFUSED = {
    "line that is no JSON": (
        lambda f: file(f / "a.jsonl", '{"a": 1}\n{"a": \n'),
        ("line 2", "JSON"),
    ),
    "array in place of an object": (
        lambda f: file(f / "a.jsonl", "[1, 2]\n"),
        ("line 1", "object"),
    ),
    "nested object": (
        lambda f: file(f / "a.jsonl", '{"a": {"b": 1}}\n'),
        ("line 1", "'a'", "cell"),
    ),
    "key twice": (lambda f: file(f / "a.jsonl", '{"a": 1, "a": 2}\n'), ("line 1", "'a'", "twice")),
    "deeply nested JSON": (lambda f: file(f / "a.jsonl", "[" * 100_000), ("line 1", "JSON")),
    "empty JSON": (lambda f: file(f / "a.jsonl", "\n"), ("a.jsonl", "empty")),
    "very different keys": (
        lambda f: file(f / "a.jsonl", "\n".join(f'{{"k{i}": 1}}' for i in range(6000))),
        ("6,000", "columns"),
    ),
    "half a character": (
        lambda f: file(f / "a.jsonl", '{"a": "\\ud800"}\n'),
        ("half of a character",),
    ),
    "half a character in a category": (
        lambda f: pd.DataFrame(
            {
                "a": pd.Categorical.from_codes([0, 1, 0], pd.Index(["x", "\ud800"], dtype=object)),
                "species": [1, 2, 1],
            }
        ),
        ("Row 2", "'a'", "half of a character"),
    ),
    "gz of another type": (lambda f: gzipped(f / "a.txt.gz", "x"), ("a.txt.gz", ".csv.gz")),
    "gz that is none": (lambda f: file(f / "a.csv.gz", "a,b\n1,2\n"), ("a.csv.gz", "unpack")),
    "gz cut short": (
        lambda f: (path := f / "a.csv.gz", path.write_bytes(gzip.compress(b"a,b\n" * 99)[:-12]))[0],
        ("unpack", "gzip"),
    ),
    "zip that is none": (lambda f: file(f / "a.zip", "a,b"), ("a.zip", "unpack")),
    "zip of two tables": (
        lambda f: zipped(f, **{"a.csv": "a", "b.csv": "b"}),
        ("2 tables", "'a.csv'", "'b.csv'"),
    ),
    "zip of none": (lambda f: zipped(f, **{"a.txt": "a"}), ("no table", "'a.txt'")),
    "zip with a broken table": (
        lambda f: (
            path := zipped(f),
            path.write_bytes(path.read_bytes().replace(b"PK\1\2", b"PK\1\3")),
        )[0],
        ("unpack",),
    ),
    "workbook called zip": (lambda f: workbook(f).rename(f / "a.zip"), ("a.zip", ".xlsx")),
    "workbook called CSV": (lambda f: workbook(f).rename(f / "a.csv"), ("a.csv", ".xlsx")),
    "pattern without files": (lambda f: f / "none-*.csv", ("none-*.csv",)),
    "files with other columns": (other_columns, ("part-2.csv", "'species'", "'sepal length'")),
    "files with more columns": (
        lambda f: other_columns(f, lambda header: [*header, "more"]),
        ("part-2.csv", "6 columns", "5"),
    ),
    "files with another separator": (
        lambda f: other_columns(f, lambda header: header, ";"),
        ("part-2.csv", "separator", "part-1.csv"),
    ),
    "database that is none": (
        lambda f: f"sqlite:{file(f / 'a.db', 'x' * 900)}?a",
        ("a.db", "not a database"),
    ),
    "no such database": (lambda f: f"sqlite:{f / 'none.db'}?a", ("none.db",)),
    "several tables": (lambda f: f"sqlite:{database(f)}", ("2 tables", "'flowers'", "?flowers")),
    "no such table": (lambda f: f"sqlite:{database(f)}?flower", ("'flower'", "'flowers'")),
    "no such column": (
        lambda f: f"sqlite:{database(f)}?SELECT colour FROM flowers",
        ("colour", "name"),
    ),
    "two statements": (lambda f: f"sqlite:{database(f)}?SELECT 1; SELECT 2", ("one", "SELECT")),
    "writing query": (unwritable_database, ("SELECT",)),
    "attached database": (lambda f: f"sqlite:{database(f)}?ATTACH 'x' AS y", ("SELECT",)),
    "bytes": (lambda f: f"sqlite:{database(f)}?notes", ("'number'", "row 1", "bytes")),
    "no rows": (lambda f: f"sqlite:{database(f)}?SELECT * FROM flowers WHERE 0", ("no rows",)),
    "stream that is no table": (lambda f: Stream(pa.chunked_array([[1, 2]])), ("Stream", "table")),
    "stream of lists": (
        lambda f: Stream(pa.table({"a": [[1], [2]], "species": [1, 2]})),
        ("'a'", "list"),
    ),
    "lists without names": (lambda f: TABLE, ("column names", "first")),
    "list that is too short": (lambda f: [HEADER, *TABLE[:4], [1]], ("Row 5", "1 cell", "5")),
    "names twice": (lambda f: [["a", "a "], *[[1, 2]] * 9], ("'a'", "name")),
    "keys twice": (lambda f: [{"a": 1, "a ": 2}] * 9, ("'a'", "name")),
    "columns of different lengths": (lambda f: {"a": [1, 2], "species": [1]}, ("a 2", "species 1")),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_a_line(case, tmp_path):
    make, parts = REFUSED[case]
    with refuses(*parts) as caught:
        kzoo.load_data(make(tmp_path), target="species")
    assert "\n" not in str(caught.value)


def test_an_archive_that_can_be_read_is_not_to_be_made_again(tmp_path):
    with refuses("holds 2 tables", "Unpack it") as caught:
        kzoo.load_data(zipped(tmp_path, **{"a.csv": "a", "b.csv": "b"}), target="species")
    assert "again" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.jsonl", "iris.zip", "b-*.jsonl", "sqlite"])
def test_an_expanded_table_takes_no_more_than_memory(name, tmp_path, monkeypatch):
    text = "a,b\n" + "1,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\n" * 100_000
    monkeypatch.setenv("KZOO_MEMORY", "4MiB")
    if name == "a.csv.gz":
        source = gzipped(tmp_path / name, text)
    elif name == "a.jsonl":
        source = file(tmp_path / name, '{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxx"}\n' * 100_000)
    elif name == "iris.zip":
        source = zipped(tmp_path, **{"a.csv": text})
    elif name == "b-*.jsonl":
        source = tmp_path / name
        file(tmp_path / "b-1.jsonl", '{"a": 1, "b": "xxxxxxxxxxxxxxxxxxxxxxxxxxx"}\n' * 100_000)
    else:
        endless = "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x) SELECT * FROM x"
        source = f"sqlite:{database(tmp_path)}?{endless}"
    with refuses("memory"):
        kzoo.load_data(source, target="b")


def test_a_path_with_a_table_keeps_what_it_reads():
    path = locate("sqlite:folder/shop.db?SELECT a/b FROM t WHERE c = '?'")
    assert (path.query, path.label) == (
        "SELECT a/b FROM t WHERE c = '?'",
        "sqlite:shop.db?SELECT a/b FROM t WHERE c = '?'",
    )
    assert locate("Is this a question? Yes, it is.") == "Is this a question? Yes, it is."
    assert isinstance(path, Path)


def test_a_text_of_a_table_stays_as_written(tmp_path):
    rows = [{"zip": f"0{i % 9}067", "price": "1,5", "species": "ab"[i % 2]} for i in range(40)]
    lines = "\n".join(json.dumps(row) for row in rows)
    data = kzoo.load_data(
        file(tmp_path / "a.jsonl", lines), target="species", columns={"zip": "category"}
    )
    kinds = {column["name"]: column for column in data.preprocessing["columns"]}
    assert (
        "00067" in str(kinds["zip"]) and kinds.get("price", {"kind": "number"})["kind"] == "number"
    )
    assert_mentions(" ".join(data.notes), "classification")
