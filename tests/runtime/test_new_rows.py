"""New rows are read as training's were, or somebody says so: the same rule at every door.

The classes of faults: a column or a key under another name is filled with medians without a word, a point among decimal
commas is a decimal sign in one cell and stands between thousands in the next, and a column that nobody can read is
answered all the same.
"""

import json
import time
import warnings

import numpy as np
import pandas as pd
import pytest
from shortcuts import undrawn, untraced
from small_exports import write_exported

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.data import encode, load_data
from kzoo.kinds import kind_of
from kzoo.sources.tables.raw import check_keys, rows_of
from kzoo.utils.errors import KzooWarning

N = 120
RANDOM = np.random.default_rng(0)
SIZES = RANDOM.uniform(0.5, 9.5, N).round(3)


def flats(sizes=SIZES):
    rows = pd.DataFrame({"rooms": np.arange(N) % 5, "size": sizes, "town": ["Bern", "Chur", "Genf"] * (N // 3)})
    return rows.assign(seen=pd.date_range("2024-01-01", periods=N).astype(str), open=np.where(SIZES > 5, "yes", "no"))


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
    return kzoo.runtime.load(pair.exported).predict(kind_of(reader).inference.received(reader, path.read_bytes()))


# door -> how it answers rows of texts
DOORS = {
    "a file": lambda pair, rows, path: kzoo.predict(pair.run, written(rows, path)),
    "a frame": lambda pair, rows, path: kzoo.predict(pair.run, rows),
    "dicts": lambda pair, rows, path: kzoo.predict(pair.run, rows.to_dict("records")),
    "evaluate": lambda pair, rows, path: kzoo.evaluate(pair.run, written(rows, path)),
    "evaluate a frame": lambda pair, rows, path: kzoo.evaluate(pair.run, rows),
    "the runtime": lambda pair, rows, path: kzoo.runtime.load(pair.exported).predict(written(rows, path)),
    "the runtime, dicts": lambda pair, rows, path: kzoo.runtime.load(pair.exported).predict(rows.to_dict("records")),
    "an upload": lambda pair, rows, path: uploaded(pair, written(rows, path)),
    "test=": lambda pair, rows, path: load_data(pair.data, target="open", test=rows),
    "test= a file": lambda pair, rows, path: load_data(pair.data, target="open", test=written(rows, path)),
}


def said(door, pair, rows, path):
    """Return the lines that a door says of rows, a refusal included."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        try:
            found = DOORS[door](pair, rows, path)
        except kzoo.KzooError as error:
            return [str(error)]
    lines = [str(one.message) for one in caught if issubclass(one.category, KzooWarning)]
    return lines + [note for note in getattr(found, "notes", ()) if note.startswith("Column")]


@pytest.mark.parametrize("door", DOORS)
def test_what_training_could_read_and_nobody_can_is_refused(door, pair, tmp_path):
    rows = flats(["?"] * 100 + commas(SIZES[100:]))
    (line,) = said(door, pair, rows, tmp_path / "new.csv")
    assert "'size' is a number to the model, and 100 of 120 values cannot be read as one, such as row 1: '?'" in line
    assert line.startswith("In the test table: ") == door.startswith("test=") and "\n" not in line
    (line,) = said(door, pair, flats(commas(SIZES)).assign(seen="soon"), tmp_path / "new.csv")
    assert "Column 'seen' is a date to the model, and 120 of 120 values cannot be read as one" in line


@pytest.mark.parametrize("door", DOORS)
def test_a_few_cells_that_cannot_be_read_are_named_and_answered(door, pair, tmp_path):
    rows = flats([*commas(SIZES[:-2]), "?", "big"])
    (line,) = said(door, pair, rows, tmp_path / "new.csv")
    assert line.startswith("Column 'size': 2 of") and "'big'" in line
    assert said(door, pair, flats(commas(SIZES)), tmp_path / "new.csv") == []


@pytest.mark.parametrize("door", DOORS)
def test_a_column_that_is_missing_is_refused_and_the_nearest_name_said(door, pair, tmp_path):
    rows = flats(commas(SIZES))
    (line,) = said(door, pair, rows.rename(columns={"size": "Size_"}), tmp_path / "new.csv")
    assert "Column 'size' is missing; the columns given are: " in line and line.endswith("Did you mean 'Size_'?")
    (line,) = said(door, pair, rows.drop(columns="town"), tmp_path / "new.csv")
    assert "Column 'town' is missing" in line and "Did you mean" not in line


@pytest.mark.parametrize("door", DOORS)
def test_a_column_that_is_empty_now_and_never_was_is_said(door, pair, tmp_path):
    rows = flats([None] * 70 + commas(SIZES[70:]))
    says = "Column 'size': 70 of 120 values are missing, and none was in training: the median of the training rows "
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", KzooWarning)
        found = DOORS[door](pair, rows, tmp_path / "new.csv")
    lines = [*getattr(found, "notes", ()), *(str(one.message) for one in caught)]
    assert len([line for line in lines if says in line]) == 1
    assert said(door, pair, flats([None] * 60 + commas(SIZES[60:])), tmp_path / "new.csv") == []


@pytest.mark.parametrize("door", DOORS)
def test_points_among_decimal_commas_are_not_one_thing_here_and_another_there(door, pair, tmp_path):
    """`3.5` was 3.5 and `4.455` was 4455."""
    sizes = ["3.5", "4.455", *commas(SIZES[2:])]
    (line,) = said(door, pair, flats(sizes), tmp_path / "new.csv")
    assert "Column 'size': 1 of" in line and "'4.455' may be 4.455 or 4455: write 4,455 or 4455" in line


@pytest.mark.parametrize("door", DOORS)
def test_points_alone_among_decimal_commas_are_refused_where_no_file_tells_what_they_are(door, pair, tmp_path):
    (line,) = said(door, pair, flats(["1.234"] * N), tmp_path / "new.csv")
    assert "120 of 120 values cannot be read" in line and "'1.234' may be 1.234 or 1234" in line


def test_points_that_read_in_one_way_are_read(pair, tmp_path):
    reader = pair.run.preprocessing
    rows = flats(["3.5", "0.455", "3,5", "1.234,5", "1.234.567", "4,455", "12.3456", "1e3"] * (N // 8))
    wanted = np.float32([3.5, 0.455, 3.5, 1234.5, 1234567, 4.455, 12.3456, 1000])
    for source in (rows, rows.to_dict("records"), written(rows, tmp_path / "new.csv")):
        np.testing.assert_array_equal(encode(reader, source)[:8, 1], wanted)
    # A file that shows its decimal sign, and whose cells agree with it, tells what the others are.
    sizes = ["3,5", "4.455"] * (N // 2)
    with pytest.warns(KzooWarning, match=r"'4.455' is read as 4455, for .* commas; .* If it is 4.455, write 4,455\."):
        assert encode(reader, written(flats(sizes), tmp_path / "new.csv"))[:2, 1].tolist() == [3.5, 4455]
    sizes = ["3.5", "4.455"] * (N // 2)
    found = encode(reader, written(flats(sizes), tmp_path / "new.csv"))[:2, 1]
    np.testing.assert_array_equal(found, np.float32([3.5, 4.455]))


def test_answers_are_read_by_the_same_rule(tmp_path):
    """A score of answers that are a thousand times too large says nothing."""
    home = written(flats().assign(open=SIZES[::-1]), tmp_path / "flats.csv", decimal=",")
    reader = load_data(home, target="open", validation=0, test=0).preprocessing

    def answers(cells, **options):
        rows = flats().head(2).assign(open=cells)
        source = written(rows, tmp_path / "new.csv", **options) if options else rows
        return kind_of(reader).fitting.labelled(reader, source, targets=["open"], config={}).y["open"].tolist()

    with pytest.raises(kzoo.KzooError, match=r"Target 'open' cannot be read in row 1\. '4\.455' may be 4\.455 or"):
        answers(["4.455", "1.234"])
    assert answers(["4,455", "1,234"]) == [4.455, 1.234]
    assert answers(["4.455", "0.5"]) == [4.455, 0.5]
    assert answers(["4.455", "1.234"], sep=",") == [4.455, 1.234]


def test_a_column_of_texts_is_read_by_the_same_rule(tmp_path):
    frame = flats([f"{size} €" for size in commas(SIZES)])
    reader = load_data(frame, target="open").preprocessing
    rows = frame.head(4).assign(size=["4,455 €", "4.455 €", "1.234,50 €", "12 €"])
    with pytest.warns(KzooWarning, match=r"row 2: '4.455 €'\)\. '4.455 €' may be 4.455 or 4455: write 4,455 or 4455"):
        found = encode(reader, rows)[:, 1]
    np.testing.assert_array_equal(found[[0, 2, 3]], np.float32([4.455, 1234.5, 12]))
    shown = written(rows.assign(size=["4,5 €", "4.455 €", "1.234,50 €", "12 €"], height="1,5"), tmp_path / "new.csv")
    with pytest.warns(KzooWarning, match="'4.455 €' is read as 4455, for the file writes decimal commas"):
        assert encode(reader, shown)[1, 1] == 4455


ROWS = flats().drop(columns="open").to_dict("records")[:4]


def renamed(old, new, row=2):
    return [
        {new if place == row and name == old else name: cell for name, cell in cells.items()}
        for place, cells in enumerate(ROWS)
    ]


@pytest.mark.parametrize("by", ["run", "runtime", "upload", "check"])
def test_a_key_of_one_row_that_is_misspelt_is_named(by, pair):
    def answer(rows):
        if by == "check":
            return kzoo.check(pair.run, rows)
        model = pair.run if by == "run" else kzoo.runtime.load(pair.exported)
        if by == "upload":
            reader = pair.run.preprocessing
            rows = kind_of(reader).inference.received(reader, json.loads(json.dumps(rows)))
        return kzoo.predict(model, rows) if by == "run" else model.predict(rows)

    for name in ("siez", "Size", "sizes"):
        with pytest.raises(kzoo.KzooError, match=f"^Row 3 has no column 'size'. Did you mean '{name}'. It holds "):
            answer(renamed("size", name))
    with pytest.warns(KzooWarning, match="Row 3 has no column 'town', which counts as missing, and holds 'Ort', which"):
        answer(renamed("town", "Ort"))
    with warnings.catch_warnings():
        warnings.simplefilter("error", KzooWarning)
        answer([*ROWS[:2], {name: cell for name, cell in ROWS[2].items() if name != "size"}])  # nothing is known of it
        answer([ROWS[0] | {"sizes": 3}, {**ROWS[1], "sizes": 4}, {"rooms": 2, "sizes": 4}])  # a column of its own


def test_a_key_of_one_row_of_texts_is_named_too():
    texts = pd.DataFrame({"text": ["good words", "bad words"] * 60, "label": ["a", "b"] * 60})
    reader = load_data(texts, preset="text_cnn").preprocessing
    with pytest.raises(kzoo.KzooError, match=r"^Row 2 has no column 'text'\. Did you mean 'txt'"):
        encode(reader, [{"text": "good", "label": "a"}, {"txt": "bad", "label": "b"}])


def test_rows_of_very_different_keys_cost_less_than_to_make_a_table_of_them():
    names = [f"c{i}" for i in range(50)]
    dicts = [{f"c{i}": 1 for i in range(50) if i != n % 50} | {f"more {n}": 1} for n in range(1500)]

    def seconds(call, *what):
        start = time.process_time()
        call(*what)
        return time.process_time() - start

    assert seconds(check_keys, rows_of(dicts), names) < seconds(rows_of, dicts)


def test_the_command_line_says_it_in_one_line_and_ends_with_2(pair, tmp_path, capsys):
    rows = written(flats(["?"] * N), tmp_path / "new.csv")
    for words in (["predict", pair.run.path, rows], ["evaluate", pair.run.path, "--data", rows],
                  ["predict", pair.exported, rows]):  # fmt: skip
        assert main([*map(str, words)]) == 2
        err = capsys.readouterr().err
        assert err.count("\n") == 1 and "Column 'size' is a number to the model" in err
    lacking = written(flats().drop(columns="size"), tmp_path / "test.csv")
    train = ["train", "tabular_fnn", "--data", str(pair.data), "--target", "open"]
    assert main([*train, "--test", str(lacking), "--out", str(tmp_path / "run"), "--epochs", "1"]) == 2
    assert "In the test table: Column 'size' is missing" in capsys.readouterr().err


def test_new_data_that_is_looked_at_has_an_error(pair):
    found = {one.check: one for one in kzoo.check(pair.run, flats(["?"] * 100 + commas(SIZES[100:])))}
    assert found["categories_unknown"].level == "error" and "83% of column 'size'" in found["categories_unknown"].what
    found = {one.check: one for one in kzoo.check(pair.run, flats(commas(SIZES)).assign(seen="soon"))}
    assert found["categories_unknown"].level == "error" and "'seen' are not dates" in found["categories_unknown"].what
    few = flats(["?"] * 10 + commas(SIZES[10:]))
    assert {one.check: one for one in kzoo.check(pair.run, few)}["categories_unknown"].level == "warning"


def test_a_column_that_training_could_hardly_read_may_be_so_again():
    cells = ["7" if i % 10 == 0 else "9" if i % 10 == 1 else "?" for i in range(N)]
    data = load_data(flats().assign(rooms=cells), target="open", columns={"rooms": "number"})
    with pytest.warns(KzooWarning, match="Column 'rooms': 96 of 120 values cannot be read as a number"):
        encode(data.preprocessing, flats().assign(rooms=cells))


@pytest.mark.parametrize("large", [False, True])
def test_a_test_table_of_other_categories_is_said(large, tmp_path, monkeypatch):
    home = written(flats(), tmp_path / "flats.csv", decimal=",")
    if large:
        pytest.importorskip("pyarrow")
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    towns = flats()["town"].str.upper()
    says = (
        "In the test table: Column 'town': 120 of 120 values are categories that training has not seen and count as "
        "missing (row 1: 'BERN', row 2: 'CHUR', row 3: 'GENF' and 117 more)."
    )
    assert says in load_data(home, target="open", test=flats().assign(town=towns)).notes
    empty = load_data(home, target="open", test=flats([np.nan] * 70 + SIZES[70:].tolist())).notes
    assert [note for note in empty if note.startswith("In the test table: Column 'size': 70 of 120 values are missing")]
    few = flats().assign(town=towns.where(towns == "BERN", flats()["town"]))
    assert not [note for note in load_data(home, target="open", test=few).notes if "test table" in note]


def test_a_test_table_may_lack_what_no_network_reads(tmp_path, monkeypatch):
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
    assert len(whole.test) == N and not [note for note in whole.notes if note.startswith("Column")]
    for rows, says in (
        (flats().rename(columns={"size": "sizes"}), "In the test table: Column 'size' is missing; .* mean 'sizes'"),
        (flats(["?"] * 100 + commas(SIZES[100:])), "In the test table: Column 'size' is a number .* 100 of 120 values"),
    ):
        for test in (rows, written(rows, tmp_path / "test.csv")):
            with pytest.raises(kzoo.KzooError, match=says):
                load_data(home, target="open", test=test)
