"""New rows are read as those of the training, or a message names the difference: the same rule for every source.

The classes of faults: a column or a key with another name is filled with medians without a message, a point among
decimal commas is a decimal sign in a cell and stands between thousands in the next, and a column that cannot be read is
answered all the same.
"""

import json
import re
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses, warns
from shortcuts import undrawn, untraced
from small_exports import write_exported

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.inference.tables.raw import check_keys, rows_of
from kzoo.problems.kinds import kind_of
from kzoo.utils.errors import KzooWarning

N = 120
RANDOM = np.random.default_rng(0)
SIZES = RANDOM.uniform(0.5, 9.5, N).round(3)


def flats(sizes=SIZES):
    rows = pd.DataFrame(
        {"rooms": np.arange(N) % 5, "size": sizes, "town": ["Bern", "Chur", "Genf"] * (N // 3)}
    )
    return rows.assign(
        seen=pd.date_range("2024-01-01", periods=N).astype(str),
        open=np.where(SIZES > 5, "yes", "no"),
    )


def commas(sizes):
    return [f"{size:.3f}".replace(".", ",") for size in sizes]


def points(sizes):
    return [f"{size:.3f}" for size in sizes]


class Pair:
    """A run on a file with decimal commas and nothing between thousands, and its exported model."""

    def __init__(self, home):
        self.data, self.exported = home / "flats.csv", home / "exported"
        flats().to_csv(self.data, index=False, sep=";", decimal=",")
        settings = dict(target="open", units=(8,), epochs=1, callbacks="quick", progress=False)
        with undrawn(), untraced():
            self.run = kzoo.train("tabular_fnn", self.data, out=home / "run", **settings)
        write_exported(self.run, self.exported)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return Pair(tmp_path_factory.mktemp("flats"))


def written(frame, path, **options):
    frame.to_csv(path, index=False, **{"sep": ";"} | options)
    return path


def uploaded(pair, path):
    reader = pair.run.preprocessing
    return kzoo.runtime.load(pair.exported).predict(
        kind_of(reader).inference.received(reader, path.read_bytes())
    )


# door -> how it answers rows of texts
DOORS = {
    "a file": lambda pair, rows, path: kzoo.predict(pair.run, written(rows, path)),
    "a frame": lambda pair, rows, path: kzoo.predict(pair.run, rows),
    "dicts": lambda pair, rows, path: kzoo.predict(pair.run, rows.to_dict("records")),
    "evaluate": lambda pair, rows, path: kzoo.evaluate(pair.run, written(rows, path)),
    "evaluate a frame": lambda pair, rows, path: kzoo.evaluate(pair.run, rows),
    "the runtime": lambda pair, rows, path: kzoo.runtime.load(pair.exported).predict(
        written(rows, path)
    ),
    "the runtime, dicts": lambda pair, rows, path: kzoo.runtime.load(pair.exported).predict(
        rows.to_dict("records")
    ),
    "an upload": lambda pair, rows, path: uploaded(pair, written(rows, path)),
    "test=": lambda pair, rows, path: load_data(pair.data, target="open", test=rows),
    "test= a file": lambda pair, rows, path: load_data(
        pair.data, target="open", test=written(rows, path)
    ),
}


def notes_on_columns(notes):
    """Return those notes that name a column of the table."""
    return [note for note in notes if any(f"'{name}'" in note for name in flats().columns)]


def messages(door, pair, rows, path):
    """Return warnings and notes on columns of rows that come through a door, or its refusal."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        try:
            answer = DOORS[door](pair, rows, path)
        except kzoo.KzooError as error:
            return [str(error)]
    lines = [
        str(warning.message) for warning in caught if issubclass(warning.category, KzooWarning)
    ]
    # some rows are those of the training
    lines = [line for line in lines if "too optimistic" not in line]
    return lines + notes_on_columns(getattr(answer, "notes", ()))


@pytest.mark.parametrize("door", DOORS)
def test_a_column_that_training_could_read_and_now_cannot_be_read_is_refused(door, pair, tmp_path):
    rows = flats(["?"] * 100 + commas(SIZES[100:]))
    (line,) = messages(door, pair, rows, tmp_path / "new.csv")
    assert_mentions(line, "'size'", "number", "100 of 120", "row 1", "'?'")
    assert (missing_from(line, ["test"]) == []) == door.startswith("test=") and "\n" not in line
    (line,) = messages(door, pair, flats(commas(SIZES)).assign(seen="soon"), tmp_path / "new.csv")
    assert_mentions(line, "'seen'", "date", "120 of 120", "'soon'")


@pytest.mark.parametrize("door", DOORS)
def test_a_few_cells_that_cannot_be_read_are_named_and_answered(door, pair, tmp_path):
    rows = flats([*commas(SIZES[:-2]), "?", "big"])
    (line,) = messages(door, pair, rows, tmp_path / "new.csv")
    assert_mentions(line, "'size'", "2 of", "'?'", "'big'")
    assert messages(door, pair, flats(commas(SIZES)), tmp_path / "new.csv") == []


@pytest.mark.parametrize("door", DOORS)
def test_a_column_that_is_missing_is_refused_with_the_nearest_name(door, pair, tmp_path):
    rows = flats(commas(SIZES))
    (line,) = messages(door, pair, rows.rename(columns={"size": "Size_"}), tmp_path / "new.csv")
    assert_mentions(line, "'size'", "missing", "rooms", "town", "seen", "'Size_'")
    (line,) = messages(door, pair, rows.drop(columns="town"), tmp_path / "new.csv")
    assert_mentions(line, "'town'", "missing", "rooms", "size", "seen")
    assert re.findall("'(.*?)'", line) == ["town"]  # no other name is suggested


@pytest.mark.parametrize("door", DOORS)
def test_a_column_that_is_empty_now_and_was_not_in_training_has_a_warning(door, pair, tmp_path):
    rows = flats([None] * 70 + commas(SIZES[70:]))
    parts = ("'size'", "70 of 120", "missing", "median")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        answer = DOORS[door](pair, rows, tmp_path / "new.csv")
    lines = [*getattr(answer, "notes", ()), *(str(warning.message) for warning in caught)]
    assert len([line for line in lines if not missing_from(line, parts)]) == 1
    assert messages(door, pair, flats([None] * 60 + commas(SIZES[60:])), tmp_path / "new.csv") == []
    (line,) = messages(door, pair, flats([None, *commas(SIZES[1:])])[:1], tmp_path / "new.csv")
    assert_mentions(line, "'size'", "1 of 1", "is missing", "median")


@pytest.mark.parametrize("door", DOORS)
def test_points_among_decimal_commas_that_may_mean_two_numbers_have_a_warning(door, pair, tmp_path):
    """`3.5` was 3.5 and `4.455` was 4455."""
    sizes = ["3.5", "4.455", *commas(SIZES[2:])]
    (line,) = messages(door, pair, flats(sizes), tmp_path / "new.csv")
    assert_mentions(line, "'size'", "1 of", "'4.455'", "4455", "4,455")


@pytest.mark.parametrize("door", DOORS)
def test_points_alone_are_refused_where_no_file_shows_its_decimal_sign(door, pair, tmp_path):
    (line,) = messages(door, pair, flats(["1.234"] * N), tmp_path / "new.csv")
    assert_mentions(line, "'size'", "120 of 120", "'1.234'", "1234")


def test_points_that_can_mean_a_single_number_are_read(pair, tmp_path):
    reader = pair.run.preprocessing
    rows = flats(
        ["3.5", "0.455", "3,5", "1.234,5", "1.234.567", "4,455", "12.3456", "1e3"] * (N // 8)
    )
    wanted = np.float32([3.5, 0.455, 3.5, 1234.5, 1234567, 4.455, 12.3456, 1000])
    for source in (rows, rows.to_dict("records"), written(rows, tmp_path / "new.csv")):
        np.testing.assert_array_equal(encode(reader, source)[:8, 1], wanted)
    # The other cells follow the decimal sign of the file.
    sizes = ["3,5", "4.455"] * (N // 2)
    with warns("'size'", "'4.455'", "4455", "4,455"):
        assert encode(reader, written(flats(sizes), tmp_path / "new.csv"))[:2, 1].tolist() == [
            3.5,
            4455,
        ]
    sizes = ["3.5", "4.455"] * (N // 2)
    numbers = encode(reader, written(flats(sizes), tmp_path / "new.csv"))[:2, 1]
    np.testing.assert_array_equal(numbers, np.float32([3.5, 4.455]))


def test_answers_are_read_by_the_same_rule(tmp_path):
    """A score of answers that are a thousand times too large means nothing."""
    home = written(flats().assign(open=SIZES[::-1]), tmp_path / "flats.csv", decimal=",")
    reader = load_data(home, target="open", validation=0, test=0).preprocessing

    def answers(cells, **options):
        rows = flats().head(2).assign(open=cells)
        source = written(rows, tmp_path / "new.csv", **options) if options else rows
        return (
            kind_of(reader)
            .fitting.labelled(reader, source, targets=["open"], config={})
            .y["open"]
            .tolist()
        )

    with refuses("'open'", "row 1", "'4.455'", "4455", "4,455"):
        answers(["4.455", "1.234"])
    assert answers(["4,455", "1,234"]) == [4.455, 1.234]
    assert answers(["4.455", "0.5"]) == [4.455, 0.5]
    assert answers(["4.455", "1.234"], sep=",") == [4.455, 1.234]


def test_a_column_of_texts_is_read_by_the_same_rule(tmp_path):
    frame = flats([f"{size} €" for size in commas(SIZES)])
    reader = load_data(frame, target="open").preprocessing
    rows = frame.head(4).assign(size=["4,455 €", "4.455 €", "1.234,50 €", "12 €"])
    with warns("'size'", "1 of 4", "row 2", "'4.455 €'", "4455", "4,455"):
        numbers = encode(reader, rows)[:, 1]
    np.testing.assert_array_equal(numbers[[0, 2, 3]], np.float32([4.455, 1234.5, 12]))
    shown = written(
        rows.assign(size=["4,5 €", "4.455 €", "1.234,50 €", "12 €"], height="1,5"),
        tmp_path / "new.csv",
    )
    with warns("'size'", "'4.455 €'", "4455", "4,455"):
        assert encode(reader, shown)[1, 1] == 4455


ROWS = flats().drop(columns="open").to_dict("records")[:4]


def renamed(old, new, row=2):
    return [
        {new if number == row and name == old else name: cell for name, cell in cells.items()}
        for number, cells in enumerate(ROWS)
    ]


@pytest.mark.parametrize("by", ["run", "runtime", "upload", "check"])
def test_a_misspelt_key_of_a_row_is_named(by, pair):
    def answer(rows):
        if by == "check":
            return kzoo.check(pair.run, rows)
        model = pair.run if by == "run" else kzoo.runtime.load(pair.exported)
        if by == "upload":
            reader = pair.run.preprocessing
            rows = kind_of(reader).inference.received(reader, json.loads(json.dumps(rows)))
        return kzoo.predict(model, rows) if by == "run" else model.predict(rows)

    for name in ("siez", "Size", "sizes"):
        with refuses("row 3", "'size'", "rooms", "town", "seen") as caught:
            answer(renamed("size", name))
        assert f"'{name}'" in str(caught.value)
    with warns("row 3", "'town'", "missing", "'Ort'"):
        answer(renamed("town", "Ort"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", KzooWarning)
        # a missing value
        answer([*ROWS[:2], {name: cell for name, cell in ROWS[2].items() if name != "size"}])
        # a column that is not read
        answer([ROWS[0] | {"sizes": 3}, {**ROWS[1], "sizes": 4}, {"rooms": 2, "sizes": 4}])


def test_a_misspelt_key_of_a_row_of_texts_is_named():
    texts = pd.DataFrame({"text": ["good words", "bad words"] * 60, "label": ["a", "b"] * 60})
    reader = load_data(texts, preset="text_cnn").preprocessing
    with refuses("row 2", "'text'", "'txt'"):
        encode(reader, [{"text": "good", "label": "a"}, {"txt": "bad", "label": "b"}])


def test_checking_rows_of_very_different_keys_takes_less_time_than_making_a_table_of_them():
    names = [f"c{i}" for i in range(50)]
    dicts = [{f"c{i}": 1 for i in range(50) if i != n % 50} | {f"more {n}": 1} for n in range(1500)]

    def seconds(call, *arguments):
        start = time.process_time()
        call(*arguments)
        return time.process_time() - start

    assert seconds(check_keys, rows_of(dicts), names) < seconds(rows_of, dicts)


def test_the_command_prints_a_line_and_ends_with_2(pair, tmp_path, capsys):
    rows = written(flats(["?"] * N), tmp_path / "new.csv")
    for words in (
        ["predict", pair.run.path, rows],
        ["evaluate", pair.run.path, "--data", rows],
        ["predict", pair.exported, rows],
    ):
        assert main([*map(str, words)]) == 2
        err = capsys.readouterr().err
        assert_mentions(err, "'size'", "number", "120 of 120", "'?'")
        assert err.count("\n") == 1
    lacking = written(flats().drop(columns="size"), tmp_path / "test.csv")
    train = ["train", "tabular_fnn", "--data", str(pair.data), "--target", "open"]
    assert (
        main([*train, "--test", str(lacking), "--out", str(tmp_path / "run"), "--epochs", "1"]) == 2
    )
    assert_mentions(capsys.readouterr().err, "test", "'size'", "missing")


def test_a_check_of_new_data_has_an_error(pair):
    def finding(rows):
        return {finding.check: finding for finding in kzoo.check(pair.run, rows)}[
            "categories_unknown"
        ]

    unreadable = finding(flats(["?"] * 100 + commas(SIZES[100:])))
    assert_mentions(unreadable.what, "83%", "'size'")
    no_dates = finding(flats(commas(SIZES)).assign(seen="soon"))
    assert_mentions(no_dates.what, "'seen'", "dates")
    few = finding(flats(["?"] * 10 + commas(SIZES[10:])))
    assert [result.level for result in (unreadable, no_dates, few)] == ["error", "error", "warning"]


def test_a_column_that_was_mostly_unreadable_in_training_is_read_with_a_warning():
    cells = ["7" if i % 10 == 0 else "9" if i % 10 == 1 else "?" for i in range(N)]
    data = load_data(flats().assign(rooms=cells), target="open", columns={"rooms": "number"})
    with warns("'rooms'", "96 of 120", "number"):
        encode(data.preprocessing, flats().assign(rooms=cells))


@pytest.mark.parametrize("large", [False, True])
def test_other_categories_in_a_test_table_have_a_note(large, tmp_path, monkeypatch):
    home = written(flats(), tmp_path / "flats.csv", decimal=",")
    if large:
        pytest.importorskip("pyarrow")
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    towns = flats()["town"].str.upper()
    notes = load_data(home, target="open", test=flats().assign(town=towns)).notes
    parts = (
        "test",
        "'town'",
        "120 of 120",
        "row 1",
        "'BERN'",
        "row 2",
        "'CHUR'",
        "row 3",
        "'GENF'",
        "117",
    )
    assert [note for note in notes if not missing_from(note, parts)], notes
    empty = load_data(home, target="open", test=flats([np.nan] * 70 + SIZES[70:].tolist())).notes
    assert [
        note for note in empty if not missing_from(note, ["test", "'size'", "70 of 120", "missing"])
    ], empty
    few = flats().assign(town=towns.where(towns == "BERN", flats()["town"]))
    assert not notes_on_columns(load_data(home, target="open", test=few).notes)


def test_a_test_table_may_lack_columns_that_no_network_reads(tmp_path, monkeypatch):
    frame = flats().assign(same=1, empty=np.nan)
    data = load_data(frame, target="open", test=flats())
    whole = load_data(frame, target="open", test=frame)
    np.testing.assert_array_equal(data.test.x, whole.test.x)


def test_a_large_table_is_tested_by_the_same_rule(tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    home = written(flats().assign(same=1), tmp_path / "flats.csv", decimal=",")
    whole = load_data(home, target="open", test=flats())
    assert len(whole.test) == N and not notes_on_columns(whole.notes)
    for rows, parts in (
        (flats().rename(columns={"size": "sizes"}), ("test", "'size'", "missing", "'sizes'")),
        (flats(["?"] * 100 + commas(SIZES[100:])), ("test", "'size'", "number", "100 of 120")),
    ):
        for test in (rows, written(rows, tmp_path / "test.csv")):
            with refuses(*parts):
                load_data(home, target="open", test=test)
