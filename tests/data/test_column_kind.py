"""What a column of cells is does not depend on the door, nor on whether the table fits into memory.

Random tables have columns of numbers, dates, codes and words, of which 0 to 20 % of the cells are other texts, empty,
words such as `NA`, or too large for a float. Each door must give the features and splits of the CSV file, or a line
that names the column, its cells and the reason.
"""

import csv
import json
import math
import sqlite3

import numpy as np
import openpyxl
import pandas as pd
import pytest

import kzoo
from kzoo.problems.kinds import kind_of
from tests.messages import assert_mentions, notes_with, refuses, warns

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
TABLES, FEW, BLOCKS = 200, 6, 10
ROW, TARGET = "row", "answer"
NA_LIKE = ("NA", "N/A", "null", "None", "NaN", "#N/A")
EMPTY = ("", " ", "  ")
HUGE = ("1e400", "-1e999", "9" * 400, "inf")
WORDS = ("unknown", "<5", "?", "n.v.", "12b", "A12", "-", "see note")
OTHERS = {
    "text": lambda draw, n: draw.choice(draw.choice(WORDS, draw.integers(1, 4)), n),
    "notes": lambda draw, n: [f"about {i}" for i in draw.integers(0, 10**6, n)],
    "empty": lambda draw, n: draw.choice(EMPTY, n),
    "NA-like": lambda draw, n: draw.choice(NA_LIKE, n),
    "huge": lambda draw, n: draw.choice(HUGE, n),
}
OTHERS["mixed"] = lambda draw, n: [
    OTHERS[name](draw, 1)[0] for name in draw.choice(list(OTHERS)[:5], n)
]
COLUMNS = {
    "decimals": lambda draw, n: [
        str(value) for value in (draw.normal(0, 50, n).round(2) + 0.001).round(3)
    ],
    "integers": lambda draw, n: [str(value) for value in draw.integers(-500, 500, n)],
    "digits": lambda draw, n: [str(value) for value in draw.integers(0, 6, n)],
    "amounts": lambda draw, n: [f"${value:,.2f}" for value in draw.uniform(0, 9000, n)],
    "dates": lambda draw, n: [
        str(day) for day in np.datetime64("2024-01-01") + draw.integers(0, 700, n)
    ],
    "months": lambda draw, n: [f"2024-0{month}-01" for month in draw.integers(1, 7, n)],
    "words": lambda draw, n: draw.choice(["red", "green", "Blue sky", "größer"], n),
    "codes": lambda draw, n: [
        f"{'ABC'[i % 3]}{i % 40}" if i % 3 else str(i) for i in draw.integers(0, 90, n)
    ],
    "texts": lambda draw, n: [
        f"they said it was {value} or so" for value in draw.integers(0, 10**6, n)
    ],
}


def random_table(seed):
    """Return name -> texts of a random table, with the number of each row, and a target."""
    draw = np.random.default_rng([seed, 58])
    rows = int(
        draw.choice([draw.integers(20, 60), draw.integers(60, 300), draw.integers(300, 700)])
    )
    table = {ROW: list(map(str, range(1000, 1000 + rows)))}
    for number in range(draw.integers(2, 6)):
        kind, other = draw.choice(list(COLUMNS)), draw.choice(list(OTHERS))
        cells = np.array(list(COLUMNS[kind](draw, rows)), object)
        at = draw.permutation(rows)[: round(float(draw.uniform(0, 0.2)) * rows)]
        cells[at] = list(OTHERS[other](draw, len(at)))
        table[f"{kind} {number}"] = cells.tolist()
    answers = [draw.choice(["yes", "no"], rows), draw.normal(0, 9, rows).round(3).astype(str)][
        draw.integers(2)
    ]
    answers = answers.astype(object)
    answers[: draw.integers(0, 4)] = ""
    table[TARGET] = answers.tolist()
    return table


def typed(text):
    """Return a cell as programs have it: a number if it is plain, None for an empty cell, else a text."""
    if text == "":
        return None
    try:
        number = int(text) if text.removeprefix("-").isdecimal() else float(text)
    except ValueError:
        return text
    return number if isinstance(number, int) or math.isfinite(number) or text == "inf" else text


def finite(value):
    """Return a value that files of JSON, workbooks and databases can have."""
    is_huge = isinstance(value, int | float) and not -1e300 < value < 1e300
    return str(value) if is_huge else value


def rows_of(table):
    return [dict(zip(table, row, strict=True)) for row in zip(*table.values(), strict=True)]


def as_csv(table, path, separator=","):
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=separator).writerows([table, *zip(*table.values(), strict=True)])
    return path


def as_workbook(table, path):
    book = openpyxl.Workbook()
    for row in (list(table), *zip(*table.values(), strict=True)):
        book.active.append([finite(cell) for cell in row])
    book.save(path)
    return path


def as_database(table, path):
    path.unlink(missing_ok=True)
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE t ({})".format(", ".join(f'"{name}"' for name in table)))
        rows = [list(map(finite, row)) for row in zip(*table.values(), strict=True)]
        connection.executemany(
            "INSERT INTO t VALUES ({})".format(", ".join("?" * len(table))), rows
        )
    connection.close()
    return f"sqlite:{path}?t"


def as_jsonl(table, path):
    lines = [
        json.dumps({name: finite(cell) for name, cell in row.items()}) for row in rows_of(table)
    ]
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def as_parquet(table, path):
    parquet.write_table(
        pa.table({name: pa.array(cells, pa.string()) for name, cells in table.items()}), path
    )
    return path


def object_frame(table):
    return pd.DataFrame({name: pd.Series(cells, dtype=object) for name, cells in table.items()})


ANY = {  # doors of texts, and of cells of several types
    "xlsx": lambda table, folder: as_workbook(table, folder / "t.xlsx"),
    "SQLite": lambda table, folder: as_database(table, folder / "t.db"),
    "JSONL": lambda table, folder: as_jsonl(table, folder / "t.jsonl"),
    "DataFrame of objects": lambda table, folder: object_frame(table),
    "dict of lists": lambda table, folder: dict(table),
    "list of dicts": lambda table, folder: rows_of(table),
    "list of lists": lambda table, folder: [
        list(table),
        *map(list, zip(*table.values(), strict=True)),
    ],
}
TEXTS = {
    "TSV": lambda table, folder: as_csv(table, folder / "t.tsv", "\t"),
    "Parquet": lambda table, folder: as_parquet(table, folder / "t.parquet"),
    "DataFrame of strings": lambda table, folder: object_frame(table).astype("string"),
    "DataFrame of categories": lambda table, folder: object_frame(table).astype("category"),
    "Arrow": lambda table, folder: pa.table(
        {name: pa.array(cells, pa.string()) for name, cells in table.items()}
    ),
}


def features(data):
    """Return name of a feature -> its values in the training, validation and test rows, in the order of the table."""
    parts = [part for part in (data.train, data.validation, data.test) if part is not None]
    x, y = (np.concatenate([np.asarray(getattr(part, name)[:]) for part in parts]) for name in "xy")
    split = np.repeat(np.arange(len(parts)), list(map(len, parts)))
    order = np.argsort(x[:, data.feature_names.index(ROW)], kind="stable")
    named = dict(zip(data.feature_names, x[order].T, strict=True))
    return named | {"the target": y.reshape(len(y), -1)[order].ravel(), "the splits": split[order]}


def learned(data):
    """Return name of a column -> what is learned of it, without how its numbers and dates are written."""
    ignored = ("writing", "zoned", "day_first", "unreadable")
    columns = data.preprocessing["columns"]
    return {
        c["name"]: {key: value for key, value in c.items() if key not in ignored} for c in columns
    }


def lines_of(data, name):
    """Return the notes that say which words of a column are missing values, or are not."""
    return [note for note in data.notes if f"in {name!r}" in note and note.startswith("Read as ")]


def differences(where, data, expected):
    """Yield a line for each column that is read differently and of which no note says so."""
    columns, others = learned(data), learned(expected)
    actual, wanted = features(data), features(expected)
    for name in {**columns, **others}:
        if columns.get(name) != others.get(name) and not (
            lines_of(data, name) or lines_of(expected, name)
        ):
            yield f"{where}: {name!r} is {columns.get(name)}, not {others.get(name)}"
    for name in {**actual, **wanted}:
        column = name.removesuffix(" is missing")
        if (
            lines_of(data, column)
            or lines_of(expected, column)
            or column not in (*columns, "the target", "the splits")
        ):
            continue
        if (
            name not in actual
            or name not in wanted
            or not np.array_equal(actual[name], wanted[name])
        ):
            yield f"{where}: {name!r} differs"


def compare(seed, folder, monkeypatch):
    """Return the differences of a table between the doors."""
    table = random_table(seed)
    found = []
    path = as_csv(table, folder / "t.csv")
    whole, split = (
        kzoo.load_data(path, target=TARGET, **options)
        for options in ({"test": 0, "validation": 0}, {})
    )
    as_typed = {name: list(map(typed, cells)) for name, cells in table.items()}
    sources = {name: door(table, folder) for name, door in (TEXTS | ANY).items()}
    for name, source in sources.items():
        found += differences(f"table {seed}, {name}", kzoo.load_data(source, target=TARGET), split)
    for name, door in ANY.items():
        data = kzoo.load_data(door(as_typed, folder), target=TARGET)
        found += differences(f"table {seed}, {name} with numbers", data, split)
    with monkeypatch.context() as little:
        little.setenv("KZOO_MEMORY", "1KiB")
        little.setenv("KZOO_CACHE", str(folder / "cache"))
        for source in (path, sources["Parquet"]):
            data = kzoo.load_data(source, target=TARGET, test=0, validation=0)
            found += differences(f"table {seed}, large {source.suffix}", data, whole)
    return found


def check(found):
    assert not found, f"{len(found)} differences:\n" + "\n".join(found[:30])


def test_a_few_tables_with_mixed_columns_are_the_same_through_every_door(tmp_path, monkeypatch):
    check([line for seed in range(FEW) for line in compare(seed, tmp_path, monkeypatch)])


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_two_hundred_tables_with_mixed_columns_are_the_same_through_every_door(
    block, tmp_path, monkeypatch
):
    check(
        [
            line
            for seed in range(block, TABLES, BLOCKS)
            for line in compare(seed, tmp_path, monkeypatch)
        ]
    )


N = 1000
X = np.random.default_rng(0).normal(0, 50, N).round(2)


def numbers_with(share, words, **more):
    """Return a table of texts in whose column `x` words stand in place of a share of the numbers."""
    draw = np.random.default_rng(1)
    cells = X.astype(str).astype(object)
    at = draw.permutation(N)[: round(share * N)]
    cells[at] = [words[i % len(words)] for i in range(len(at))]
    return (
        {"x": cells.tolist(), "z": draw.normal(0, 1, N).round(3).astype(str).tolist()}
        | {"y": (2 * X).tolist()}
        | more
    )


def column_of(data, name="x"):
    return next(column for column in data.preprocessing["columns"] if column["name"] == name)


@pytest.mark.parametrize("share", [0.04, 0.06, 0.2, 0.45])
@pytest.mark.parametrize("words", [["unknown"], ["<5", "> 90", "12b"]])
def test_a_column_of_numbers_stays_one_with_any_minority_of_texts(share, words, capsys):
    """Above 5 % it became a category of 900 numbers, without a note."""
    table = numbers_with(share, words)
    data = kzoo.load_data(table, target="y", validation=0, test=0)
    count = round(share * N)
    column = column_of(data)
    assert column["kind"] == "number" and column["missing"]
    is_word = np.array([cell in words for cell in table["x"]])
    np.testing.assert_array_equal(
        data.train.x[:, data.feature_names.index("x is missing")], is_word
    )
    np.testing.assert_array_equal(
        data.train.x[~is_word, data.feature_names.index("x")], X[~is_word].astype("float32")
    )
    (note,) = notes_with(data.notes, "'x'")
    assert_mentions(
        note, f"{count} of 1,000 values", f"{100 * share:.1f}", "columns={'x': 'category'}"
    )
    assert any(repr(word) in note for word in words)
    (found,) = [one for one in kzoo.check(table, target="y", deep=False) if "'x'" in one.what]
    assert_mentions(found.what, f"{count} of 1000", f"{100 * share:.1f}", *map(repr, words))
    assert "columns={'x': 'category'}" in found.fix
    requested = kzoo.load_data(table, target="y", columns={"x": "category"})
    assert column_of(requested)["kind"] == "category" and not notes_with(requested.notes, "'x':")


def test_new_rows_of_a_column_with_many_texts_are_not_refused():
    data = kzoo.load_data(numbers_with(0.4, ["unknown"]), target="y")
    with warns("'x'", "6 of 9 values", "'unknown'"):
        x = kzoo.inference.encode.encode(
            data.preprocessing, [{"x": "unknown" if i % 3 else "1.5", "z": 0} for i in range(9)]
        )
    assert x[:, data.feature_names.index("x is missing")].tolist() == [0, 1, 1] * 3


@pytest.mark.parametrize("words", [["3+"], ["A", "B"]])
def test_few_different_numbers_and_texts_are_categories_with_a_finding(words):
    """Codes such as 0, 1, 2 and 3+ lose nothing as categories; a line says how to read them as numbers."""
    table = numbers_with(
        0, words, x=[words[i // 10 % len(words)] if i % 10 == 0 else str(i % 3) for i in range(N)]
    )
    data = kzoo.load_data(table, target="y", validation=0, test=0)
    assert column_of(data)["values"] == sorted(["0", "1", "2", *words])
    (note,) = notes_with(data.notes, "'x'")
    assert_mentions(
        note, "900 of 1,000 cells", "90.0", *map(repr, words), "columns={'x': 'number'}"
    )
    (found,) = [one for one in kzoo.check(table, target="y", deep=False) if "'x'" in one.what]
    assert_mentions(found.what, "of 720 cells", "are numbers", *map(repr, words))
    assert "columns={'x': 'number'}" in found.fix
    numbers = kzoo.load_data(table, target="y", columns={"x": "number"}, validation=0, test=0)
    assert column_of(numbers)["kind"] == "number"


def test_columns_that_are_not_mostly_numbers_have_no_finding():
    cells = {
        "codes": [f"A{i % 40}" if i % 3 else str(i % 40) for i in range(N)],
        "truths": [["True", "False", "True", "unknown"][i % 4] for i in range(N)],
        "gaps": ["" if i % 3 else "NA" if i % 2 else "red" if i % 5 else "blue" for i in range(N)],
    }
    data = kzoo.load_data(numbers_with(0, ["-"], **cells), target="y")
    assert {column_of(data, name)["kind"] for name in cells} == {"category"} and not data.seen[
        "doubts"
    ]


def test_dates_beside_other_cells_follow_the_same_rule():
    days = [str(np.datetime64("2020-01-01") + i) for i in range(N)]
    cells = [["unknown", "NA", ""][i % 3] if i % 10 < 3 else day for i, day in enumerate(days)]
    data = kzoo.load_data(numbers_with(0, ["-"], x=cells), target="y")
    assert column_of(data)["kind"] == "date" and notes_with(
        data.notes, "'x'", "100 of 1,000", "as a date", "'unknown'"
    )


def test_rows_of_a_csv_reader_are_read_like_the_file(tmp_path):
    """`csv.DictReader` gives texts, and empty texts for empty cells."""
    rows = [
        {"x": "" if i % 5 == 0 else str(i * 0.5), "y": "pq"[i % 2], "v": str(i * 0.25)}
        for i in range(400)
    ]
    path = as_csv({name: [row[name] for row in rows] for name in rows[0]}, tmp_path / "t.csv")
    for target in ("y", "v"):
        data, expected = (kzoo.load_data(source, target=target) for source in (rows, path))
        assert data.task == expected.task and learned(data) == learned(expected)
        assert column_of(data)["kind"] == "number"
        np.testing.assert_array_equal(data.train.x, expected.train.x)
        np.testing.assert_array_equal(data.test.y, expected.test.y)


def test_targets_that_are_mostly_numbers_are_not_classes():
    table = numbers_with(
        0, ["-"], y=["unknown" if i % 9 == 0 else str(value) for i, value in enumerate(X)]
    )
    with refuses(
        "'y' contains numbers, except in 112 of 1000 rows", "'unknown'", "columns={'y': 'category'}"
    ):
        kzoo.load_data(table, target="y")
    for word in ("", "NA"):
        answers = [word if cell == "unknown" else cell for cell in table["y"]]
        data = kzoo.load_data(table | {"y": answers}, target="y")
        assert data.task == "tabular_regression" and notes_with(
            data.notes, "112 rows without a target were dropped"
        )


def test_words_for_missing_values_that_are_categories_are_named():
    table = numbers_with(
        0, ["-"], x=["nan" if i % 9 == 0 else "red" if i % 2 else "blue" for i in range(N)]
    )
    data = kzoo.load_data(table, target="y")
    assert column_of(data)["values"] == ["blue", "nan", "red"]
    assert notes_with(data.notes, "Read as categories: 'nan' in 'x'", "replace them by None")


def test_targets_of_texts_follow_the_same_rule(tmp_path):
    texts = [f"a long sentence number {i} about {'cats' if i % 2 else 'dogs'}" for i in range(120)]
    for answers in (
        [["a", "b", ""][i % 3] for i in range(120)],
        ["" if i % 7 == 0 else f"{i}.5" for i in range(120)],
    ):
        table = {"text": texts, "label": answers}
        path = as_csv(table, tmp_path / "t.csv")
        data, expected = (
            kzoo.load_data(source, preset="text_ngrams") for source in (rows_of(table), path)
        )
        assert (data.task, data.class_names, data.notes) == (
            expected.task,
            expected.class_names,
            expected.notes,
        )
        np.testing.assert_array_equal(data.train.y, expected.train.y)
        labelled = kind_of(data.preprocessing).fitting.labelled
        with warns("without text or label"):
            scored = labelled(data.preprocessing, object_frame(table), targets=["label"], config={})
        assert len(scored.x) == len(answers) - answers.count("")


def test_known_columns_of_series_follow_the_same_rule(tmp_path):
    """An empty text made a column of numbers that is known ahead a category of its numbers."""
    days = [str(np.datetime64("2024-01-01") + i) for i in range(100)]
    rows = [
        {
            "shop": shop,
            "day": day,
            "sales": str(10 + i % 7),
            "temp": ["", "NA"][i % 2] if i % 11 == 0 else f"{i}.5",
        }
        for shop in "ab"
        for i, day in enumerate(days)
    ]
    path = as_csv({name: [row[name] for row in rows] for name in rows[0]}, tmp_path / "t.csv")
    options = dict(
        preset="series_fnn", target="sales", time="day", series_id="shop", known_covariates="temp"
    )
    data, expected = (kzoo.load_data(source, **options) for source in (rows, path))
    assert (
        data.preprocessing["covariates"][0].get("categories", []) == []
        and data.notes == expected.notes
    )
    np.testing.assert_array_equal(data.train.x[:8], expected.train.x[:8])
