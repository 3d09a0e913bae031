"""Cells that a reader of files could turn into numbers too early: codes with zeros in front, decimal commas, `NA`.

If `01067` became 1067 in training alone, a dict or another file would give the network another input. The same cells
go through every reader here: training, prediction, evaluation and checks, from files, DataFrames, dicts and bytes.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, warns

import kzoo
from kzoo.data import load_data
from kzoo.inference.encode import encode
from kzoo.problems.kinds import kind_of

N = 120


def labelled(reader, file, target="answer"):
    """Return rows and answers as `kzoo.evaluate` reads them."""
    return kind_of(reader).fitting.labelled(reader, file, targets=[target], config={})


def fresh(reader, file):
    """Return rows as `kzoo check RUN` reads new data."""
    return kind_of(reader).fitting.fresh(reader, file, targets=["answer"])


CODES = [["01067", "1067", "01099", "20095"][i % 4] for i in range(N)]
SIZES = np.arange(N) + 40.5


def flats(**more):
    return pd.DataFrame(
        {"plz": CODES, "size": SIZES, "answer": ["yes", "no", "no"] * (N // 3)} | more
    )


def written(frame, name="flats.csv", **options):
    frame.to_csv(name, index=False, **options)
    return name


def test_codes_keep_their_zeros_in_every_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = written(flats().rename(columns={"plz": " plz "}))
    data = load_data(file, target="answer", columns={"plz": "category"}, validation=0)
    reader = data.preprocessing
    assert reader["columns"][-1] == {
        "name": "plz",
        "kind": "category",
        "values": ["01067", "01099", "1067", "20095"],
    }
    rows = np.concatenate([data.train.x, data.test.x])[
        np.argsort(np.concatenate([data.train.rows, data.test.rows]))
    ]
    frame = flats()
    np.testing.assert_array_equal(encode(reader, file), rows)
    np.testing.assert_array_equal(encode(reader, frame), rows)
    np.testing.assert_array_equal(encode(reader, frame.to_dict("records")), rows)
    # Evaluation and checks read with pandas, and no cell of this file shows that it is a code.
    figures = written(frame[frame["plz"].str.startswith("0")], "figures.csv")
    np.testing.assert_array_equal(labelled(reader, figures).x, encode(reader, figures))
    np.testing.assert_array_equal(fresh(reader, figures).x, encode(reader, figures))


def test_notes_name_columns_of_numbers_with_zeros_in_front(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"month": "03", "none": "000", "share": "0.50", "day": "07.05.2024", "minus": "-012"}
    frame = flats(
        **{name: [cell] * 60 + ["1"] * 60 for name, cell in names.items() if name != "day"},
        hole="0099",
    )
    frame = frame.assign(
        hole=[None, "0099", "100"] * (N // 3), day="07.05.2024", late=[*map(str, range(119)), "007"]
    )

    def notes(source, **options):
        return notes_with(load_data(source, target="answer", **options).notes, "'category'")

    file = written(frame)
    expected = notes(file)
    for note, (name, cell) in zip(
        expected, (("plz", "01067"), ("hole", "0099"), ("late", "007")), strict=True
    ):
        assert_mentions(
            note, repr(name), repr(cell), str(int(cell)), f"columns={{{name!r}: 'category'}}"
        )
    assert notes(frame) == notes(written(frame, "semicolons.csv", sep=";")) == expected
    columns = {"plz": "category", "hole": "number", "late": {"decimal": "."}}
    assert notes(file, columns=columns) == notes(frame, columns=columns) == []
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        assert notes(file) == expected


def test_line_breaks_in_cells_are_the_same_categories_in_every_source(tmp_path, monkeypatch):
    """A large table kept carriage returns that a new file of the same cells lost."""
    monkeypatch.chdir(tmp_path)
    streets = ["Am Markt 1\r\nBern", "Am Markt 1\nChur", "Genf"] * (N // 3)
    frame = flats(plz=streets)
    (tmp_path / "flats.csv").write_bytes(frame.to_csv(index=False).encode())
    data = load_data("flats.csv", target="answer", validation=0, test=0)
    values = ["Am Markt 1\nBern", "Am Markt 1\nChur", "Genf"]
    assert data.preprocessing["columns"][-1]["values"] == values
    of_frame = load_data(frame, target="answer", validation=0, test=0)
    assert of_frame.preprocessing == data.preprocessing
    readers = [data.preprocessing]
    if importlib.util.find_spec("pyarrow"):
        with monkeypatch.context() as little:
            little.setenv("KZOO_MEMORY", "1KiB")
            little.setenv("KZOO_CACHE", str(tmp_path / "cache"))
            readers.append(
                load_data("flats.csv", target="answer", validation=0, test=0).preprocessing
            )
        assert readers[1]["columns"][-1]["values"] == values
    for reader in readers:
        content = kind_of(reader).inference.received(reader, (tmp_path / "flats.csv").read_bytes())
        for rows in ("flats.csv", frame, frame.to_dict("records"), content):
            np.testing.assert_array_equal(encode(reader, rows), data.train.x)
        np.testing.assert_array_equal(labelled(reader, "flats.csv").x, data.train.x)
    old = json.loads(json.dumps(data.preprocessing))
    # of a large table, as an earlier version stored it
    old["columns"][-1]["values"][0] = streets[0]
    np.testing.assert_array_equal(encode(old, "flats.csv"), data.train.x)


def test_categories_that_training_has_not_seen_are_warned_of(recwarn):
    reader = load_data(flats(), target="answer", columns={"plz": "category"}).preprocessing
    assert not recwarn  # though rows of validation and test alone may have a category
    cells = ["01067", "99999", None, "", "1o67"]
    with warns("'plz'", "2 of 5", "categories", "row 2", "'99999'", "row 5", "'1o67'"):
        codes = encode(reader, [{"plz": cell, "size": 50.0} for cell in cells])[:, -1]
    assert codes.tolist() == [1, 0, 0, 0, 0]


def test_a_test_file_is_read_as_the_training_file_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    mixed = flats(plz=["07", "7", "B"] * (N // 3))
    tested = mixed[mixed["plz"] != "B"]
    data = load_data(
        written(mixed), target="answer", test=written(tested, "tested.csv"), validation=0
    )
    np.testing.assert_array_equal(data.test.x, encode(data.preprocessing, tested))
    assert set(data.test.x[:, -1]) == {1, 2}


def test_whole_numbers_with_missing_values_are_the_same_categories(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = flats(plz=[None, *(np.arange(N - 1) % 3 + 8001.0)])  # as pandas has it
    reader = load_data(frame, target="answer", columns={"plz": "category"}).preprocessing
    assert reader["columns"][-1]["values"] == ["8001", "8002", "8003"]
    for cell in (8002, 8002.0, "8002", np.float32(8002)):
        assert encode(reader, [{"plz": cell, "size": 50.0}])[0, -1] == 2
    reader["columns"][-1]["values"] = ["8001.0", "8002.0", "8003.0"]  # stored by an earlier version
    assert encode(reader, [{"plz": 8002, "size": 50.0}])[0, -1] == 2


def test_numbers_such_as_20260101_with_missing_values_are_days():
    days = [None, *(20260101.0 + np.arange(N - 1) % 28)]
    reader = load_data(flats(day=days), target="answer", columns={"day": "date"}).preprocessing
    column = next(column for column in reader["columns"] if column["name"] == "day")
    assert column["kind"] == "date" and "day" in column["medians"]


def test_names_of_classes_keep_their_zeros(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["011", "11", "020"] * (N // 3)
    file = written(flats(plz=range(N), answer=names))
    data = load_data(file, target="answer", columns={"answer": "category"}, validation=0)
    assert data.class_names == ("011", "020", "11")
    again = labelled(data.preprocessing, file)
    assert list(again.y["answer"]) == names
    texts = written(
        pd.DataFrame({"text": [f"so many words, {i}" for i in range(N)], "Label": names}),
        "texts.csv",
    )
    data = load_data(texts, preset="text_cnn", validation=0)
    assert data.class_names == ("011", "020", "11")
    assert list(labelled(data.preprocessing, texts, "Label").y["Label"]) == names
    unlabelled = written(
        pd.DataFrame({"text": ["so many words"], "Label": [None]}), "unlabelled.csv"
    )
    assert not len(
        kind_of(data.preprocessing)
        .fitting.fresh(data.preprocessing, unlabelled, targets=["Label"])
        .answers
    )
    tested = load_data(texts, preset="text_cnn", validation=0, test=texts)
    assert (np.bincount(tested.test.y) == [40, 40, 40]).all()
    whole = written(
        pd.DataFrame(
            {"text": [f"so many words, {i}" for i in range(N)], "label": [1.0, 0.0] * (N // 2)}
        )
    )
    assert load_data(whole, preset="text_cnn", validation=0).class_names == ("0", "1")


@pytest.mark.parametrize("cell", ["90,5", "90.5", 90.5])
def test_new_numbers_are_read_with_the_decimal_commas_of_training(cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = load_data(written(flats(), sep=";", decimal=","), target="answer").preprocessing
    size = next(column for column in reader["columns"] if column["name"] == "size")
    assert size["writing"] == {"decimal": ","}
    assert encode(reader, [{"plz": 1067, "size": cell}])[0, list(flats()).index("size")] == 90.5


def test_new_files_may_write_numbers_in_another_way(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    reader = load_data(
        written(flats(plz=range(N)), sep=";", decimal=","), target="answer"
    ).preprocessing

    def size(lines, name="new.csv"):
        (tmp_path / name).write_text("\n".join(lines))
        return [round(value, 3) for value in encode(reader, name)[:, 1].tolist()]

    with warns("'size'", "'1.234'", "1234", "1,234"):
        # as where training sees both
        assert size(["plz;size", "3;90,5", "4;1.234"]) == [90.5, 1234]
    # the first lines show no sign
    assert size(["plz;size", *["3;90"] * 9, "4;90,5", "5;90.5"])[-2:] == [90.5, 90.5]
    assert size(["plz,size", "3,90.5", "4,1.234"]) == [90.5, 1.234]
    assert size(["plz;size", "3;90.5", "4;1.234"]) == [90.5, 1.234]
    assert size(["plz\tsize", "3\t90.5", "4\t1.234"], "new.tsv") == [90.5, 1.234]


def test_targets_are_read_where_a_file_shows_decimal_commas_late(
    tmp_path, monkeypatch, untraced, undrawn
):
    monkeypatch.chdir(tmp_path)
    frame = flats(answer=np.arange(N) / 2)
    file = written(frame, sep=";", decimal=",")
    run = kzoo.train(
        "tabular_fnn", file, target="answer", epochs=1, callbacks="quick", progress=False, out="run"
    )
    whole = frame.assign(size=frame["size"].astype(int), answer=[*range(20), *frame["answer"][20:]])
    late = whole.assign(answer=[f"{value:g}".replace(".", ",") for value in whole["answer"]])
    assert kzoo.evaluate(run, written(late, "late.csv", sep=";")) == kzoo.evaluate(run, whole)


def test_a_series_with_decimal_commas(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    days = pd.date_range("2026-01-01", periods=300).strftime("%Y-%m-%d")
    waves = pd.DataFrame({"day": days, "value": np.round(np.sin(np.arange(300)), 3) + 2})
    data = load_data(
        written(waves, sep=";", decimal=","), preset="series_linear", target="value", time="day"
    )
    steps = data.preprocessing["steps"]
    rows = waves.tail(steps).to_dict("records")
    texts = [row | {"value": str(row["value"]).replace(".", ",")} for row in rows]
    np.testing.assert_array_equal(
        encode(data.preprocessing, texts), encode(data.preprocessing, rows)
    )


def test_requested_signs_apply_to_numbers_that_look_plain(tmp_path, monkeypatch):
    """Without them, `1.234` in every row is a plain number to a reader of files."""
    monkeypatch.chdir(tmp_path)
    file = written(flats(size=[f"{1 + i % 9}.{i % 10}34" for i in range(N)]))
    columns = {"size": {"decimal": ",", "thousands": "."}}
    reader = load_data(file, target="answer", columns=columns).preprocessing
    assert encode(reader, [{"plz": 1, "size": "1.234"}])[0, 1] == 1234
    assert encode(reader, file)[1, 1] == 2134
    assert fresh(reader, file).x[1, 1] == 2134


# of which all but two stand for a missing value in a CSV file
WORDS = ["NA", "None", "Rome", "null", "Bern", "n/a"]


def towns(n=N):
    return pd.DataFrame(
        {
            "town": [WORDS[i % 6] for i in range(n)],
            "size": np.arange(n) % 7 + 0.5,
            "day": "2024-02-03",
        }
    )


@pytest.mark.parametrize("suffix", ["frame", "parquet"])
def test_words_such_as_na_stay_categories_in_every_source(suffix, tmp_path, monkeypatch):
    """Where training has learned `NA` as a category, a file with `NA` has it too."""
    monkeypatch.chdir(tmp_path)
    frame = towns().assign(answer=[["None", "mild", "severe"][i % 3] for i in range(N)])
    source = frame
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(source := "towns.parquet")
    data = load_data(source, target="answer", validation=0, test=0)
    reader = data.preprocessing
    assert reader["columns"][-1]["values"] == sorted(WORDS) and data.class_names == (
        "None",
        "mild",
        "severe",
    )
    file = written(frame, "towns.csv")
    for rows in (file, (tmp_path / file).read_bytes(), frame, frame.to_dict("records")):
        raw = kind_of(reader).inference.received(reader, rows) if isinstance(rows, bytes) else rows
        np.testing.assert_array_equal(encode(reader, raw), data.train.x)
    scored = labelled(reader, file)
    np.testing.assert_array_equal(scored.x, data.train.x)
    assert list(scored.y["answer"]) == list(frame["answer"])
    renamed = written(frame.rename(columns={"answer": "truth"}), "truth.csv")
    assert list(labelled(reader, renamed, "truth").y["truth"]) == list(frame["answer"])
    np.testing.assert_array_equal(fresh(reader, file).x, data.train.x)
    tested = load_data(source, target="answer", validation=0, test=file)
    np.testing.assert_array_equal(tested.test.x, data.train.x)
    np.testing.assert_array_equal(tested.test.y, data.train.y)
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        np.testing.assert_array_equal(labelled(reader, file).x, data.train.x)
    if suffix == "parquet":
        large = load_data(source, target="answer", validation=0, test=file)
        assert np.bincount(large.test.x[:][:, -1].astype(int)).tolist() == [0, *[N // 6] * 6]
        assert np.bincount(large.test.y[:]).tolist() == [N // 3] * 3
    # What is empty stays so, and so do words of columns in which training has seen none.
    empty = [{"town": "", "size": "NA", "day": "null"}, {"town": None, "size": None, "day": None}]
    written(pd.DataFrame(empty), "empty.csv")
    with warns("'size'", "2 of 2", "median"):
        np.testing.assert_array_equal(*(encode(reader, rows) for rows in (empty, "empty.csv")))
        assert encode(reader, "empty.csv")[:, -1].tolist() == [0, 0]


def test_blank_cells_are_missing_in_every_source(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = towns().assign(
        town=["", "Rome", "Bern", " "] * (N // 4), answer=["a", "b", "a", ""] * (N // 4)
    )
    file = written(frame)
    sources = [frame, frame.to_dict("records"), file]
    if importlib.util.find_spec("pyarrow"):
        frame.to_parquet("flats.parquet")
        sources.append("flats.parquet")
    for source in sources:
        data = load_data(source, target="answer", validation=0, test=0)
        assert data.preprocessing["columns"][-1]["values"] == [
            "Bern",
            "Rome",
        ] and data.class_names == ("a", "b")
        assert data.train.x[:3, -1].tolist() == [0, 2, 1] and notes_with(
            data.notes, "30 rows without a target"
        )
        assert not notes_with(data.notes, "Read as")
    assert encode(data.preprocessing, file)[:, -1].tolist() == [0, 2, 1, 0] * (N // 4)
    assert len(labelled(data.preprocessing, frame).x) == N - 30
    if importlib.util.find_spec("pyarrow"):
        monkeypatch.setenv("KZOO_MEMORY", "1KiB")
        monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
        for source in (file, "flats.parquet"):
            large = load_data(source, target="answer", validation=0, test=source)
            assert large.preprocessing["columns"][-1] == data.preprocessing["columns"][-1]
            assert np.bincount(large.test.x[:][:, -1].astype(int)).tolist() == [N // 4] * 3
            assert large.class_names == ("a", "b")


def test_blank_categories_of_earlier_versions_are_still_read(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = towns().assign(town=["", "Rome", "Bern", ""] * (N // 4), answer=["a", "b"] * (N // 2))
    file = written(frame)
    reader = load_data(frame, target="answer").preprocessing
    for of_file, codes in (({}, [1, 3, 2, 1]), ({"blank": True}, [0, 3, 2, 0])):
        reader["columns"][-1] |= {"values": ["", "Bern", "Rome"]} | of_file
        assert encode(reader, file)[:4, -1].tolist() == codes
        assert encode(reader, frame)[:4, -1].tolist() == [1, 3, 2, 1]


def test_a_note_names_words_that_a_file_reads_as_missing_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = towns().assign(
        size=["NA", *range(N - 1)], answer=["none", "None", "mild", "mild", "none"] * (N // 5)
    )
    data = load_data(written(frame), target="answer", validation=0, test=0)
    parts = (
        "'None' in 'answer'",
        "'NA', 'None', 'n/a'",
        "1 more in 'town'",
        "keep_default_na=False",
    )
    assert notes_with(data.notes, *parts)
    assert data.preprocessing["columns"][-1]["values"] == ["Bern", "Rome"]
    np.testing.assert_array_equal(
        encode(data.preprocessing, frame[frame["answer"] != "None"]), data.train.x
    )
    monkeypatch.setenv("KZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("KZOO_MEMORY", "1KiB")
    if importlib.util.find_spec("pyarrow"):
        assert notes_with(load_data("flats.csv", target="answer").notes, *parts)
    plain = written(
        frame.assign(town=[None, "Rome", "Bern"] * (N // 3), answer=["a", "b"] * (N // 2)),
        na_rep="",
    )
    assert not notes_with(load_data(plain, target="answer").notes, "keep_default_na=False")


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_a_note_names_labels_that_a_file_reads_as_missing_values(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    frame = pd.DataFrame(
        {
            "text": [f"so many words, {i}" for i in range(N)],
            "label": ["None", "mild", "null"] * (N // 3),
        }
    )
    file = written(frame.replace("null", "severe"), "texts.csv")
    data = load_data(frame.replace("null", "severe"), preset="text_cnn", validation=0, test=file)
    assert (np.bincount(data.test.y) == [40, 40, 40]).all()
    parts = ("'None' in 'label'", "keep_default_na=False")
    with warns(*parts):
        labelled(data.preprocessing, file, "label")
    assert notes_with(load_data(file, preset="text_cnn").notes, *parts)
    # as written, in a frame and in a file
    texts = frame.assign(text=["null", "so many"] * (N // 2))[["text"]]
    written(texts, "new.csv")
    with warns("60 of 120", "texts", "rows 1, 3, 5"):
        np.testing.assert_array_equal(
            *(encode(data.preprocessing, rows) for rows in ("new.csv", texts))
        )


def test_column_names_that_look_like_numbers_do_not_change_how_cells_are_read(
    tmp_path, monkeypatch
):
    """A column called `2.5` does not make the point the decimal sign of a file with decimal commas."""
    monkeypatch.chdir(tmp_path)
    sizes = np.arange(N) / 8 + 300
    frame = pd.DataFrame(
        {"2.5": sizes, "b": np.arange(N) % 7, "answer": ["u", "v", "v"] * (N // 3)}
    )
    reader = load_data(written(frame, sep=";", decimal=","), target="answer").preprocessing
    # three decimals each: 300,125
    new = frame[frame["2.5"].round(3).astype(str).str[-4:].str.startswith(".")]
    file = written(new, "new.csv", sep=";", decimal=",")
    np.testing.assert_array_equal(encode(reader, file)[:, 0], new["2.5"].astype("float32"))
    mac = Path("flats.csv").read_bytes().replace(b"\n", b"\r")
    Path("mac.csv").write_bytes(mac)
    for name in (file, "flats.csv", "mac.csv"):
        data = load_data(name, target="answer", validation=0, test=0, task="classification")
        rows = new if name == file else frame
        np.testing.assert_array_equal(data.train.x[:, 0], rows["2.5"].astype("float32"))
