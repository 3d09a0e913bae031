"""Labelled series: tables with a row per step, folders, lists of arrays and segments; and how they are split."""

import re

import numpy as np
import pandas as pd
import pytest
from made_series import LENGTHS, OPTIONS, long_table
from messages import assert_mentions, notes_with, refuses, warns

import kzoo
from kzoo.cli import main
from kzoo.data import load_data
from kzoo.inference.encode import encode

pytestmark = pytest.mark.usefixtures("untraced")


def test_a_long_table_becomes_a_series_per_id():
    frame = long_table()
    data = load_data(frame, **OPTIONS)
    assert data.task == "series_classification" and data.input_shape == (20, 2)
    assert data.class_names == ("a", "b") and data.feature_names == ("x0", "x1")
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 24
    ordered = frame.sort_values(["sensor", "step"]).set_index("sensor")
    names = list(dict.fromkeys(frame["sensor"]))  # in the order of the table
    for part in (data.train, data.test):
        for x, y, row in zip(part.x, part.y, part.rows, strict=True):
            np.testing.assert_allclose(x, ordered.loc[names[row], ["x0", "x1"]], rtol=1e-6)
            assert data.class_names[y] == names[row][0]
    train = np.concatenate(list(data.train.x))
    np.testing.assert_allclose(data.config["scale"], 1 / train.std(axis=0), rtol=1e-4)
    assert data.config["horizon"] is None


def test_a_column_that_numbers_the_steps_is_no_input():
    frame = long_table().sort_values(["sensor", "step"])
    data = load_data(frame, series_id="sensor", target="state", drop="subject")
    assert data.feature_names == ("x0", "x1") and data.preprocessing["time"] == "step"
    assert notes_with(data.notes, "'step'", "time='step'")


def test_numbers_are_values_and_a_few_whole_numbers_are_classes():
    frame = long_table()
    peak = frame.groupby("sensor")["x0"].transform("max")
    data = load_data(frame.assign(state=peak), **OPTIONS)
    assert data.task == "sequence_regression" and data.train.y.shape == (len(data.train), 1)
    codes = frame.assign(state=frame["state"].map({"a": 3, "b": 7}))
    assert load_data(codes, **OPTIONS).class_names == ("3", "7")
    assert load_data(codes, **OPTIONS, task="regression").task == "sequence_regression"


def test_unequal_series_are_padded_and_masked():
    frame = long_table(lengths=LENGTHS)
    data = load_data(frame, **OPTIONS)
    assert data.input_shape == (20, 3) and data.config["padded"] is True
    assert set(data.train.x[..., 2].sum(axis=1)) == set(map(float, LENGTHS))
    assert not data.train.x[data.train.x[..., 2] == 0].any()
    real = data.train.x[data.train.x[..., 2] == 1][:, :2]
    np.testing.assert_allclose(data.config["scale"], 1 / real.std(axis=0), rtol=1e-4)
    assert notes_with(data.notes, "12 to 20 steps", "mask")


def test_lists_of_unequal_arrays_and_arrays_with_trailing_nan_are_the_same():
    random = np.random.default_rng(0)
    series = [random.normal(size=(LENGTHS[i % 3], 2)).astype("float32") for i in range(24)]
    y = np.arange(24) % 2
    data = load_data((series, y))
    padded = np.full((24, 20, 2), np.nan, "float32")
    for row, values in zip(padded, series, strict=True):
        row[: len(values)] = values
    same = load_data((padded, y))
    assert data.fingerprint == same.fingerprint and data.input_shape == (20, 3)
    assert data.task == "series_classification" and notes_with(data.notes, "padded")
    encoded = encode(data.preprocessing, [values[:, :] for values in series])
    np.testing.assert_array_equal(encoded[data.train.rows], data.train.x)
    tested = load_data((series[:12], y[:12]), test=(series[12:], y[12:]))
    assert len(tested.test) == 12 and tested.input_shape == (20, 3)
    with refuses("Series 2", "NaN", "step 3"):
        broken = [values.copy() for values in series]
        broken[1][2] = np.nan
        load_data((broken, y))


def test_arrays_with_class_numbers_say_what_they_are_taken_for():
    x = np.random.default_rng(0).normal(size=(30, 12, 1)).astype("float32")
    data = load_data((x, np.arange(30) % 3))
    assert data.task == "series_classification" and notes_with(
        data.notes, "3 distinct", "classes", "task='regression'"
    )
    assert load_data((x, np.arange(30) % 3), task="regression").task == "sequence_regression"
    assert load_data((x, np.arange(30) / 7)).task == "sequence_regression"
    assert load_data((x, np.array(["up", "down", "flat"])[np.arange(30) % 3])).class_names == (
        "down",
        "flat",
        "up",
    )


def test_groups_stay_in_one_split():
    frame = long_table(count=48)
    data = load_data(frame, series_id="sensor", time="step", target="state", group="subject")
    subject = dict(zip(frame["sensor"], frame["subject"], strict=True))
    names = list(dict.fromkeys(frame["sensor"]))
    sets = [
        {subject[names[row]] for row in part.rows}
        for part in (data.train, data.validation, data.test)
    ]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    frame.loc[frame["sensor"] == "a0", "subject"] = np.where(
        frame.loc[frame["sensor"] == "a0", "step"] < 3, "s0", "s1"
    )
    with refuses("group='subject'", "'a0'", "'s0'", "'s1'"):
        load_data(frame, series_id="sensor", time="step", target="state", group="subject")


def test_segments_of_one_recording_stay_in_one_split():
    frame = long_table(count=30, lengths=(50, 33))
    data = load_data(frame, **OPTIONS, segment=10, stride=5)
    assert data.input_shape == (10, 2) and "padded" not in data.config
    # (50 - 10) / 5 + 1 = 9 and (33 - 10) // 5 + 1 = 5 segments of each two recordings.
    assert sum(len(part) for part in (data.train, data.validation, data.test)) == 15 * (9 + 5)
    recording = np.repeat(
        np.arange(30), [9 if int(n[1:]) % 2 == 0 else 5 for n in dict.fromkeys(frame["sensor"])]
    )
    sets = [set(recording[part.rows]) for part in (data.train, data.validation, data.test)]
    assert not (sets[0] & sets[1] or sets[0] & sets[2] or sets[1] & sets[2])
    assert notes_with(data.notes, "45 steps", "no segment")
    with warns("45 steps"):
        assert len(encode(data.preprocessing, frame)) == 15 * (9 + 5)


def test_a_segment_whose_label_changes_is_left_out():
    frame = long_table(count=30, lengths=(40,))
    frame["state"] = np.where(frame["step"] < 20, "rest", frame["state"])
    with refuses("'state'", "not constant", "'rest'", "segment="):
        load_data(frame, **OPTIONS)
    data = load_data(frame, **OPTIONS, segment=15, stride=5)  # those from steps 10 and 15 change
    assert data.class_names == ("a", "b", "rest")
    assert notes_with(data.notes, "60 segments", "several values")


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (dict(series_id="id"), ("'id'",)),
        (dict(series_id=None), ("series_id=",)),
        (dict(target="subjects"), ("'subjects'",)),
        (dict(segment=0), ("segment=0", "1")),
        (dict(stride=3), ("stride=3", "segment=")),
        (dict(segment=1000), ("segment=1000", "20")),
        (dict(group="x0"), ("group='x0'", "not constant")),
    ],
)
def test_wrong_options_are_refused(change, parts):
    with refuses(*parts):
        load_data(long_table(), **OPTIONS | change, preset="series_rocket")


def test_wrong_rows_are_refused_by_name():
    frame = long_table()
    twice = pd.concat([frame, frame[(frame["sensor"] == "b3") & (frame["step"] == 4)]])
    with refuses("'b3'", "'step'", "4", "series_id="):
        load_data(twice, **OPTIONS)
    missing = frame.assign(sensor=frame["sensor"].where(frame.index != 8))
    with refuses("series_id='sensor'", "row 9"):
        load_data(missing, **OPTIONS)
    empty = frame.assign(x1=frame["x1"].where(frame["sensor"] != "b3"))
    with refuses("'b3'", "'x1'", "drop="):
        load_data(empty, **OPTIONS)
    gap = frame[~((frame["sensor"] == "b3") & frame["step"].between(5, 7))]
    assert notes_with(load_data(gap, **OPTIONS).notes, "'b3'", "consecutive")
    holes = frame.assign(x1=frame["x1"].where(frame["step"] != 5))
    assert notes_with(load_data(holes, **OPTIONS).notes, "24 missing values")
    unlabelled = frame.assign(state=frame["state"].where(frame["sensor"] != "b3"))
    assert notes_with(load_data(unlabelled, **OPTIONS).notes, "'b3'", "without a target")


def test_options_of_labelled_series_are_refused_elsewhere():
    with refuses("series_id='sensor'"):
        load_data(long_table(), preset="tabular_fnn", series_id="sensor", target="state")
    with refuses("series_id='a'"):
        load_data("iris", series_id="a")
    with refuses("segment=3"):
        load_data((np.zeros((9, 4, 1)), np.arange(9) % 3), segment=3)


def test_a_folder_of_files_per_class(tmp_path):
    frame = long_table(count=24, lengths=LENGTHS)
    for name, rows in frame.sort_values("step").groupby("sensor"):
        folder = tmp_path / "recordings" / f"class {name[0]}"
        folder.mkdir(parents=True, exist_ok=True)
        rows[["step", "x0", "x1"]].to_csv(folder / f"{name}.csv", index=False)
    data = load_data(tmp_path / "recordings", preset="series_rocket")
    assert data.class_names == ("class a", "class b") and data.input_shape == (20, 3)
    assert data.feature_names == ("x0", "x1") and data.preprocessing["series_id"] == ["file"]
    table = load_data(frame, **OPTIONS)
    assert len(data.train) == len(table.train)
    with refuses("target='x0'"):
        load_data(tmp_path / "recordings", target="x0")
    (tmp_path / "recordings" / "class b" / "b1.csv").write_text("step,x0\n0,1\n")
    with refuses("'b1.csv'", "'class b'", "'x1'"):
        load_data(tmp_path / "recordings")


def test_tables_that_label_images_are_still_images(tmp_path):
    from PIL import Image

    for number in range(12):
        Image.fromarray(np.full((8, 8, 3), 20 * number, np.uint8)).save(tmp_path / f"{number}.png")
    pd.DataFrame(
        {"file": [f"{n}.png" for n in range(12)], "kind": ["ab"[n % 2] for n in range(12)]}
    ).to_csv(tmp_path / "labels.csv", index=False)
    assert load_data(tmp_path, target="kind").task == "image_classification"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    folder = tmp_path_factory.mktemp("labelled")
    long_table(count=40, lengths=LENGTHS).to_csv(folder / "train.csv", index=False)
    long_table(count=12, lengths=LENGTHS, seed=1).to_csv(folder / "test.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(home):
    return kzoo.train(
        "series_rocket",
        home / "train.csv",
        **OPTIONS,
        test=home / "test.csv",
        out=home / "run",
        progress=False,
        shares=84,
        groups=2,
        kernels_per_group=2,
    )


def test_a_run_predicts_and_scores_new_series_by_name(run, home):
    new = long_table(count=12, lengths=LENGTHS, seed=1)
    predictions = kzoo.predict(run, new.drop(columns=["state", "subject"]))
    names = list(dict.fromkeys(new["sensor"]))
    assert list(predictions.inputs) == names
    assert (
        np.mean([label == name[0] for label, name in zip(predictions.labels, names, strict=True)])
        > 0.9
    )
    assert kzoo.evaluate(run, home / "test.csv")["accuracy"] == run.summary["test"]["accuracy"]
    one = new[new["sensor"] == "a0"].sort_values("step")[["x0", "x1"]]
    with warns("time column 'step'"):
        assert kzoo.predict(run, one).labels == ["a"]  # without ids it is one series
    twice = pd.concat([one, one]).assign(sensor="a0", step=range(40))
    with warns("'a0'", "20", "cut"):
        kzoo.predict(run, twice)
    with refuses("'x1'"):
        kzoo.predict(run, new.drop(columns="x1"))


def test_equal_series_must_stay_equal():
    data = load_data(long_table(), **OPTIONS)
    with refuses("'a0'", "19 steps", "20"):
        frame = long_table()
        encode(data.preprocessing, frame[~((frame["sensor"] == "a0") & (frame["step"] == 19))])


def test_commands(run, home, capsys, monkeypatch):
    monkeypatch.chdir(home)
    assert main(["predict", "run", "test.csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12 and re.match(r"[ab]\d+ ", lines[0])
    assert main(["check", "run", "--data", "test.csv"]) == 0
    capsys.readouterr()
    options = ["--series-id", "sensor", "--time", "step", "--target", "state", "--drop", "subject"]
    assert main(["check", "series_rocket", "--data", "train.csv", *options]) == 0
    assert_mentions(capsys.readouterr().out, "series classification", "40 series")
    assert main(["train", "series_rocket", "--data", "train.csv", "--target", "state"]) == 2
    assert_mentions(capsys.readouterr().err, "--series-id")
    assert (
        main(
            ["train", "series_rocket", "--data", "train.csv", *options, "--set", "learning_rate=1"]
        )
        == 2
    )
    assert_mentions(capsys.readouterr().err, "learning_rate", "ridge regression")


@pytest.mark.parametrize(
    "preset", ["series_lstm", "series_tcn", "series_transformer", "series_linear", "series_fnn"]
)
def test_presets_for_forecasts_read_labelled_series(preset, home, tmp_path):
    run = kzoo.train(
        preset,
        home / "train.csv",
        **OPTIONS,
        task="classification",
        test=home / "test.csv",
        out=tmp_path / "run",
        progress=False,
        epochs=1,
        baselines=False,
    )
    assert run.spec.task == "series_classification" and run.spec.config["horizon"] is None
    assert run.spec.config["padded"] is True and run.model.output_shape == (None, 2)
    predictions = kzoo.predict(run, home / "test.csv")
    np.testing.assert_allclose(predictions.probabilities.sum(axis=1), 1, atol=1e-5)
    # Padding is not read: other values in it change nothing.
    if preset in ("series_lstm", "series_tcn"):
        x = encode(run.preprocessing, home / "test.csv")
        changed = x.copy()
        changed[..., :2] += 5 * (1 - x[..., 2:])
        np.testing.assert_allclose(
            run.model.predict(x, verbose=0), run.model.predict(changed, verbose=0), atol=1e-5
        )


def test_folds_and_ensembles(home, tmp_path):
    result = kzoo.cross_validate(
        "series_rocket",
        home / "train.csv",
        **OPTIONS,
        folds=3,
        out=tmp_path / "folds",
        progress=False,
        shares=84,
        groups=0,
        baselines=False,
    )
    assert result is not None
