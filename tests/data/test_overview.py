"""The overview of how data was read: for every kind of input, as plain data, on a line, and as `kzoo check` prints it.

The class of faults: loading leaves out a column, reads a cell as missing or cuts off a text, and nobody sees it.
"""

import json
import re

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from
from PIL import Image

import kzoo
from kzoo.cli import main
from kzoo.data import Dataset, Split, load_data
from kzoo.data.summary import summary_line
from kzoo.problems.tasks import problem_for

ROWS = 300


def houses():
    """A table with a column of every kind, and one for every reason to leave a column out."""
    random = np.random.default_rng(0)
    prices = [
        f"{value:,.2f} €".translate(str.maketrans(",.", ".,"))
        for value in random.uniform(900, 90_000, ROWS)
    ]
    frame = pd.DataFrame(
        {
            "Id": np.arange(ROWS),
            "area": random.normal(100, 9, ROWS),
            "price": prices,
            "const": 1,
            "empty": np.nan,
            "built": pd.date_range("1990-01-01", periods=ROWS, freq="9D"),
            "lot": random.random(ROWS).round(3).astype(str),
            "alley": random.choice(["gravel", "paved"], ROWS),
            "owner": [f"Mr. {row}" for row in range(ROWS)],
            "agent": random.choice(["Ann", "Bob"], ROWS),
            "street": random.integers(0, 40, ROWS),
            "sold": random.choice(["yes", "no"], ROWS),
        }
    )
    frame.loc[:29, "area"] = np.nan
    frame.loc[40:44, "lot"] = "n/k"
    frame.loc[45:47, "lot"] = "NA"
    frame.loc[:9, "alley"] = None
    return frame


@pytest.fixture(scope="module")
def read():
    return load_data(houses(), target="sold", drop="agent", group="street").overview


def test_columns_of_a_table(read):
    assert json.loads(json.dumps(read)) == read  # plain data
    columns = {column["name"]: column for column in read["columns"]}
    assert list(columns) == list(houses().columns)
    assert {name: column["kind"] for name, column in columns.items()} == {
        "Id": "left out",
        "area": "number",
        "price": "number",
        "built": "date",
        "alley": "category",
        "lot": "number",
        "const": "left out",
        "empty": "left out",
        "owner": "left out",
        "agent": "left out",
        "street": "group",
        "sold": "target",
    }
    reasons = {
        name: column["about"] for name, column in columns.items() if column["kind"] == "left out"
    }
    assert (
        set(reasons) == {"Id", "const", "empty", "agent", "owner"}
        and len(set(reasons.values())) == 5
    )
    for name, word in {
        "Id": "rows",
        "const": "constant",
        "empty": "empty",
        "owner": "text",
    }.items():
        assert_mentions(reasons[name], word)
    lost = {
        name: (column["missing"], column["unreadable"])
        for name, column in columns.items()
        if column["missing"]
    }
    assert lost == {"area": (30, 0), "alley": (10, 0), "lot": (3, 5), "empty": (ROWS, 0)}
    assert columns["price"]["written"].endswith(" €")
    assert_mentions(columns["price"]["about"], columns["price"]["written"])
    assert "written" not in columns["area"] and columns["lot"]["about"] == ""
    assert columns["alley"]["categories"] == 2 and columns["built"]["parts"] == [
        "year",
        "month",
        "day",
        "weekday",
    ]


def test_splits_and_classes(read):
    assert sum(read["splits"].values()) == ROWS == read["rows"]
    assert set(read["splits"]) == {"train", "validation", "test"}
    sold = houses()["sold"].value_counts()
    for row in read["classes"]:
        assert sum(row[split] for split in read["splits"]) == sold[row["name"]]
    assert [row["name"] for row in read["classes"]] == ["no", "yes"]


def test_values_to_predict():
    frame = houses().drop(columns="price").assign(price=np.arange(ROWS) + 0.5)
    read = load_data(frame, target="price").overview
    (target,) = read["targets"]
    assert (
        target["name"] == "price" and 0 <= target["low"] < target["median"] < target["high"] < ROWS
    )
    assert read["classes"] == []
    assert_mentions(read["columns"][-1]["about"], "median")


def test_on_a_line(read):
    line = summary_line(read)
    sold = houses()["sold"].value_counts()
    assert "\n" not in line
    assert_mentions(
        line, "300 rows", *(f"{count} {name}" for name, count in read["splits"].items())
    )
    assert_mentions(
        line,
        "3 numbers",
        "1 date",
        "1 category",
        "2 classes",
        f"no {sold['no']}",
        f"yes {sold['yes']}",
    )
    assert_mentions(line, "Id", "const", "constant")
    assert "agent" not in line  # which drop= names


def test_a_series():
    times = pd.date_range("2024-01-01", periods=400, freq="h").delete(range(100, 110))
    frame = pd.DataFrame(
        {"when": times, "load": np.arange(390.0), "oil": np.arange(390.0) % 7, "station": "A"}
    )
    frame.loc[5:9, "oil"] = np.nan
    data = load_data(frame, preset="series_gru", target="oil")
    read = data.overview
    columns = {column["name"]: (column["kind"], column["missing"]) for column in read["columns"]}
    assert columns == {
        "when": ("time", 0),
        "load": ("number", 0),
        "oil": ("target", 5),
        "station": ("left out", 0),
    }
    assert (
        read["rows"] == 390
        and read["noun"] == "windows"
        and read["splits"]["train"] == len(data.train)
    )
    assert read["about"] == {
        "step": "1 hour",
        "from": "2024-01-01 00:00",
        "to": "2024-01-17 15:00",
        "steps in": 96,
        "ahead": 24,
    }
    assert_mentions(summary_line(read), "windows", "390 rows")
    assert json.dumps(read)


def test_texts(tmp_path):
    for name, word in (("good", "fine"), ("bad", "poor")):
        (tmp_path / f"{name}.txt").write_text(
            "\n".join(f"{word} " * (1 + row % 70) for row in range(140))
        )
    read = load_data(tmp_path, preset="text_cnn").overview
    assert read["noun"] == "texts" and sum(read["splits"].values()) == 280
    assert read["about"]["tokens in a text"] == {"shortest": 1, "median": 36, "longest": 64}
    assert read["about"]["vocabulary"] == 4
    # the share of texts that are cut off there
    assert any(not missing_from(name, ["64"]) for name in read["about"])
    book = tmp_path / "book.txt"
    book.write_text("one line of a book\n" * 400)
    read = load_data(book, preset="char_gru").overview
    assert read["noun"] == "windows" and sum(read["about"]["tokens"].values()) == 19 * 400


def test_images(tmp_path):
    for name in ("ant", "bee"):
        (tmp_path / name).mkdir()
        for row in range(12):
            size = (40 + row, 30) if name == "ant" else (64, 64)
            Image.new("RGB", size, (row, 0, 0)).save(tmp_path / name / f"{row}.png")
    read = load_data(tmp_path, preset="image_cnn").overview
    assert read["noun"] == "images" and [row["name"] for row in read["classes"]] == ["ant", "bee"]
    assert read["about"]["size"] == [96, 96, 3]
    assert (
        read["about"]["files"]["largest"] == [64, 64]
        and read["about"]["files"]["smallest"][1] == 30
    )
    assert_mentions(summary_line(read), "96 x 96 x 3", "2 classes", "ant 12", "bee 12")


@pytest.mark.parametrize("axes, noun", [((5,), "rows"), ((12, 2), "series"), ((8, 8, 1), "images")])
def test_arrays(axes, noun):
    x = np.random.default_rng(0).uniform(2, 200, (60, *axes))
    read = load_data((x, np.arange(60) % 3)).overview
    answers = [row["name"] for row in read["classes"]] or [row["low"] for row in read["targets"]]
    assert read["noun"] == noun and answers in (["0", "1", "2"], [0.0]) and json.dumps(read)
    assert_mentions(summary_line(read), f"60 {noun}")


def test_arrays_without_rows_or_shape_have_an_overview():
    """`kzoo.check` takes arrays for a user's model as they are."""
    for inputs, shape in (
        ("rows", ()),
        ("tokens", (12,)),
        ("series", (12, 2)),
        ("image", (8, 8, 1)),
    ):
        part = Split(x=np.zeros((0, *shape)), y=np.zeros((0, 1)))
        task = problem_for(inputs, "values").name
        read = Dataset(
            name="none", task=task, inputs=inputs, train=part, config={"input_shape": shape}
        ).overview
        assert read["splits"] == {"train": 0}
        assert_mentions(summary_line(read), f"0 {read['noun']}", "0 train")


def test_a_kind_of_input_may_lack_an_overview(monkeypatch):
    monkeypatch.delattr("kzoo.data.inputs.rows.fitting.overview")
    data = load_data("iris")
    assert (
        data.overview["splits"] == {"train": 108, "validation": 12, "test": 30}
        and data.overview["columns"] == []
    )


def test_invalid_labels_are_counted():
    """The checks refuse them later; the overview must not fail before."""
    data = load_data("iris")
    data.train.y[:3] = -1
    assert {row["name"]: row["train"] for row in data.overview["classes"]}["-1"] == 3


def test_python_and_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    frame = houses().rename(columns={"owner": "ow\x1b[31mner", "alley": "a\nlley"})
    frame.to_csv("houses.csv", index=False)
    report = kzoo.check("tabular_fnn", "houses.csv", target="sold", deep=False)
    assert report.overview == load_data("houses.csv", preset="tabular_fnn", target="sold").overview
    arguments = ["check", "tabular_fnn", "--data", "houses.csv", "--target", "sold", "--quick"]
    assert main([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["overview"] == json.loads(
        json.dumps(report.overview)
    )
    assert main(arguments) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0] == "houses.csv" and all(len(line) <= 80 for line in lines)
    assert_mentions(lines[1], "300 rows")
    assert next(line for line in lines if line.strip().startswith("lot")).split() == [
        "lot",
        "number",
        "3",
        "(1%)",
        "5",
        "(2%)",
    ]
    assert "\x1b" not in out and "a\\nlley" in out
    assert any(
        line.split() == ["no", *map(str, list(report.overview["classes"][0].values())[1:])]
        for line in lines
    )


def test_of_a_wide_table_the_first_columns_are_printed_and_those_with_missing_values(capsys):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(100, 200)), columns=[f"c{i:03d}" for i in range(200)])
    frame.loc[:50, "c150"] = np.nan
    frame.assign(y=frame["c000"] + random.normal(size=100)).to_csv("wide.csv", index=False)
    arguments = ["check", "tabular_fnn", "--data", "wide.csv", "--target", "y", "--quick"]
    main(arguments)
    out = capsys.readouterr().out
    assert_mentions(out, "171 more columns", "171 numbers", "--json")
    shown = re.findall(r"^\s+(c\d{3})\b", out, re.M)
    assert len(shown) == 29 and shown[-1] == "c150"
    main([*arguments, "--json"])
    assert len(json.loads(capsys.readouterr().out)["overview"]["columns"]) == 201


def test_training_prints_it_first(capsys, undrawn, untraced):
    kzoo.train("tabular_fnn", houses(), target="sold", epochs=1, callbacks="quick", out="run")
    assert_mentions(
        capsys.readouterr().err.splitlines()[0], "300 rows", "216 train", "24 validation", "60 test"
    )
