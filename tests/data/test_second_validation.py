"""`validation=` as a second source, for each kind of input, as `test=` may be one."""

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses

import kzoo
from kzoo.cli import main
from kzoo.data.splits import Fold

pytestmark = pytest.mark.usefixtures("untraced_module")


def table(rows, seed=0):
    draw = np.random.default_rng(seed)
    a = draw.normal(size=rows)
    frame = pd.DataFrame(
        {"a": a, "kind": draw.choice(list("xyz"), rows), "y": np.where(a > 0, "yes", "no")}
    )
    return frame.assign(value=2 * a)


def test_a_second_table_is_the_validation_split():
    train = table(80)
    validation = table(30, seed=1)
    test = table(20, seed=2)
    data = kzoo.load_data(train, target="y", drop="value", validation=validation, test=test)
    assert [len(part) for part in (data.train, data.validation, data.test)] == [80, 30, 20]
    alone = kzoo.load_data(train, target="y", drop="value", validation=0, test=validation)
    assert np.array_equal(data.validation.x, alone.test.x) and np.array_equal(
        data.validation.y, alone.test.y
    )
    assert data.config == alone.config  # learned on the training rows
    drawn = kzoo.load_data(train, target="y", drop="value", validation=validation)
    assert [len(part) for part in (drawn.train, drawn.validation, drawn.test)] == [64, 30, 16]
    assert data.loaded["options"]["validation"] is None
    assert data.fingerprint != alone.fingerprint


def test_problems_of_the_validation_table_name_it(tmp_path):
    train = table(80)
    with refuses("'y'", "the validation table"):
        kzoo.load_data(train, target="y", validation=table(30).drop(columns="y"))
    with refuses("In the validation table", "'a'"):
        kzoo.load_data(train, target="y", validation=table(30).drop(columns="a"))
    with refuses("target column 'y'", "validation table", "empty"):
        kzoo.load_data(train, target="y", validation=table(30).assign(y=None))
    with refuses("The validation data", "'maybe'", "not in the training data"):
        kzoo.load_data(train, target="y", drop="value", validation=table(30).assign(y="maybe"))
    odd = kzoo.load_data(train, target="y", drop="value", validation=table(30).assign(kind="new"))
    assert notes_with(odd.notes, "In the validation table", "'kind'")


def test_a_file_trains_as_the_frame_does(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "more").mkdir()
    table(80).to_csv("train.csv", index=False)
    table(30, seed=1).to_csv("more/val.csv", index=False)
    words = "train tabular_fnn --data train.csv --target y --drop value --validation more/val.csv --epochs 1 --out run"
    assert main([*words.split(), "--quiet"]) == 0
    run = kzoo.Run("run")
    assert run.data.validation == 30 and run.data.options["validation"] is None
    assert "--validation val.csv" in run.config["command"] and "more" not in run.config["command"]
    capsys.readouterr()
    assert (
        main(
            [
                "train",
                "tabular_fnn",
                "--data",
                "train.csv",
                "--target",
                "y",
                "--validation",
                "gone.csv",
            ]
        )
        == 2
    )
    assert "--validation 'gone.csv': no such file" in capsys.readouterr().err
    assert (
        main(
            ["train", "tabular_fnn", "--data", "train.csv", "--target", "y", "--validation", "1.5"]
        )
        == 2
    )
    assert "--validation" in capsys.readouterr().err


def test_arrays_and_their_weights():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(60, 3))
    y = np.arange(60) % 2
    data = kzoo.load_data((x, y), validation=(x[:20], y[:20]))
    assert [len(part) for part in (data.train, data.validation, data.test)] == [48, 20, 12]
    assert np.array_equal(data.validation.x, x[:20].astype("float32"))
    both = kzoo.load_data((x, y), validation=(x[:20], y[:20]), test=(x[20:30], y[20:30]))
    assert [len(part) for part in (both.train, both.validation, both.test)] == [60, 20, 10]
    weighted = kzoo.load_data((x, y, np.ones(60)), validation=(x[:20], y[:20], np.full(20, 3)))
    assert np.allclose(weighted.validation.weight, 3)
    with refuses("Weights", "validation", "(x, y, weight)"):
        kzoo.load_data((x, y, np.ones(60)), validation=(x, y))
    with refuses("Validation inputs", "(3,)", "(2,)"):
        kzoo.load_data((x, y), validation=(x[:, :2], y))
    with refuses("validation x", "20", "10"):
        kzoo.load_data((x, y), validation=(x[:20], y[:10]))
    with refuses("validation=", "(x, y)"):
        kzoo.load_data((x, y), validation=table(20))


def test_texts(tmp_path):
    frame = pd.DataFrame({"text": [f"word{i % 7} word{i % 5} word{i % 3}" for i in range(60)]})
    frame["label"] = np.where(frame.index % 7 > 2, "up", "down")
    data = kzoo.load_data(frame, preset="text_cnn", target="label", validation=frame[:25])
    assert [len(part) for part in (data.train, data.validation, data.test)] == [48, 25, 12]
    with refuses("Column 'text'", "the validation table"):
        kzoo.load_data(frame, preset="text_cnn", target="label", validation=frame[["label"]])
    for name in ("train", "more"):
        for label, words in (("up", "good fine great"), ("down", "bad poor awful")):
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / f"{label}.txt").write_text(
                "\n".join(f"{words} {i}" for i in range(20))
            )
    folder = kzoo.load_data(tmp_path / "train", validation=tmp_path / "more")
    assert [len(part) for part in (folder.train, folder.validation, folder.test)] == [32, 40, 8]


def test_a_long_text(tmp_path):
    lines = [f"line {i} of a text about number {i * i}" for i in range(300)]
    (tmp_path / "a.txt").write_text("\n".join(lines))
    (tmp_path / "b.txt").write_text("\n".join(lines[:60]))
    alone = kzoo.load_data(
        tmp_path / "a.txt", preset="char_gru", validation=0, test=tmp_path / "b.txt"
    )
    data = kzoo.load_data(
        tmp_path / "a.txt", preset="char_gru", validation=tmp_path / "b.txt", test=0
    )
    assert np.array_equal(data.validation.x[:], alone.test.x[:]) and data.test is None
    both = kzoo.load_data(
        tmp_path / "a.txt",
        preset="char_gru",
        validation=tmp_path / "b.txt",
        test=tmp_path / "b.txt",
    )
    assert np.array_equal(both.validation.x[:], both.test.x[:]) and len(both.train) == len(
        alone.train
    )
    with refuses("validation=", "plain text"):
        kzoo.load_data(tmp_path / "a.txt", preset="char_gru", validation=("a", "b"))


def test_a_series():
    hours = pd.date_range("2024-01-01", periods=400, freq="h")
    frame = pd.DataFrame({"when": hours, "load": np.sin(np.arange(400) / 4)})
    options = dict(preset="series_linear", time="when", target="load")
    later = frame.assign(when=hours + pd.Timedelta(days=40))
    alone = kzoo.load_data(frame, validation=0, test=later[:300], **options)
    data = kzoo.load_data(frame, validation=later[:300], test=0, **options)
    assert np.array_equal(data.validation.x[:], alone.test.x[:]) and data.test is None
    assert np.array_equal(data.train.x[:], alone.train.x[:])
    with refuses("the validation series"):
        kzoo.load_data(frame, validation=later.drop(columns="load"), **options)
    assert (
        kzoo.load_data(frame, split="time", **options).fingerprint
        == kzoo.load_data(frame, **options).fingerprint
    )


def test_a_folder_of_images(tmp_path):
    image = pytest.importorskip("PIL.Image")
    draw = np.random.default_rng(0)
    for folder, count in (("train", 20), ("more", 5)):
        for label in ("cat", "dog"):
            (tmp_path / folder / label).mkdir(parents=True)
            for i in range(count):
                pixels = draw.integers(0, 255, (8, 8, 3), dtype="uint8")
                image.fromarray(pixels).save(tmp_path / folder / label / f"{i}.png")
    data = kzoo.load_data(tmp_path / "train", validation=tmp_path / "more")
    assert [len(part) for part in (data.train, data.validation, data.test)] == [32, 10, 8]
    with refuses("validation=", "training folder itself"):
        kzoo.load_data(tmp_path / "train", validation=tmp_path / "train")
    with refuses("validation=", "folder of images"):
        kzoo.load_data(tmp_path / "train", validation=(draw.normal(size=(3, 8, 8, 3)), [0, 1, 0]))


def test_folds_refuse_it():
    with refuses("validation=", "fraction", "fold"):
        kzoo.load_data(table(80), target="y", validation=table(20), test=Fold(0, 4))
    with refuses("validation=", "fraction", "fold"):
        kzoo.cross_validate("tabular_fnn", table(80), target="y", validation=table(20))
    with refuses("folds=", "validation="):
        kzoo.tune(
            "tabular_fnn",
            table(80),
            target="y",
            validation=table(20),
            folds=3,
            trials=2,
            dry_run=True,
        )


def test_a_data_set_that_is_loaded_refuses_it():
    data = kzoo.load_data(table(80), target="y", drop="value")
    with refuses("validation=", "already read and split"):
        kzoo.train("tabular_fnn", data, validation=table(20))
    with refuses("sample_weight=", "already read and split"):
        kzoo.train("tabular_fnn", data, sample_weight=np.ones(80))


def test_a_second_table_does_not_change_how_the_first_is_read(tmp_path):
    """A cell of it that contradicts the decimal sign of its file casts doubt on its own cells only."""

    def load(prices):
        lines = [f"{price};{row % 7},5;{'ab'[row % 2]}" for row, price in enumerate(prices)]
        (tmp_path / "first.csv").write_text("\n".join(["price;size;y", *lines]), encoding="utf-8")
        return kzoo.load_data(
            tmp_path / "first.csv", target="y", test=tmp_path / "second.csv", validation=0.2
        )

    cells = [f"{row % 9},5 €" for row in range(60)]
    second = [f"{'1234.5' if row == 3 else '2,5'} €;1,5;{'ab'[row % 2]}" for row in range(20)]
    (tmp_path / "second.csv").write_text("\n".join(["price;size;y", *second]), encoding="utf-8")
    row = int(load(cells).validation.rows[0])
    cells[row] = "1.234 €"
    data = load(cells)
    assert data.feature_names[0] == "price"
    assert data.validation.x[data.validation.rows.tolist().index(row), 0] == 1234
