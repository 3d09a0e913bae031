"""Labelled series that cannot be learned from or predicted: one line each, with what is wrong and how to fix it."""

import numpy as np
import pandas as pd
import pytest
from made_series import LENGTHS, OPTIONS, long_table
from messages import refuses, warns

import kzoo
from kzoo.cli import main
from kzoo.data import load_data

FRAME = long_table()
X = np.random.default_rng(0).normal(size=(30, 12, 2)).astype("float32")
Y = np.arange(30) % 3


def where(column, rows, value):
    """Return the table with another value in some rows of a column."""
    return FRAME.assign(**{column: FRAME[column].astype(object).where(~rows, value)})


def with_file(folder, text):
    """Return a folder of two classes of series, with this text in the first file."""
    for label in "ab":
        (folder / label).mkdir()
        for number in range(6):
            (folder / label / f"{number}.csv").write_text("step,x0\n0,1\n1,2\n2,4\n")
    (folder / "a" / "0.csv").write_bytes(text)
    return folder


TABLES = {
    "duplicate id and time": (
        pd.concat([FRAME, FRAME[:1]]),
        {},
        ("two rows", "'step'", "rows 1 and 481"),
    ),
    "label changes": (
        where("state", (FRAME.sensor == "a0") & (FRAME.step > 9), "b"),
        {},
        ("'a0'", "segment="),
    ),
    "one class": (FRAME[FRAME.state == "a"], {}, ("'a'", "two classes")),
    "class with one series": (
        FRAME[(FRAME.state == "a") | (FRAME.sensor == "b3")],
        {},
        ("'b'", "Add examples"),
    ),
    "one series": (FRAME[FRAME.sensor == "a0"], {}, ("'a'", "two classes")),
    "texts for times": (FRAME.assign(step="later"), {}, ("'step'", "row 1", "'later'")),
    "a text among times": (
        where("step", FRAME.index == 7, "soon"),
        {},
        ("'step'", "row 8", "'soon'"),
    ),
    "a missing time": (
        FRAME.assign(step=FRAME.step.where(FRAME.index != 7)),
        {},
        ("'step'", "row 8."),
    ),
    "a missing id": (
        where("sensor", FRAME.index == 8, None),
        {},
        ("'sensor'", "row 9", "Fill it in"),
    ),
    "a list as an id": (FRAME.assign(sensor=[[1]] * len(FRAME)), {}, ("'sensor'", "[1]")),
    "another id in each row": (
        FRAME.assign(sensor=range(len(FRAME))),
        {},
        ("'sensor'", "single row", "480"),
    ),
    "unknown id column": (FRAME, dict(series_id="sensr"), ("'sensr'", "'sensor'")),
    "id twice": (FRAME, dict(series_id=["sensor", "sensor"]), ("series_id=", "repeat")),
    "id is the time": (FRAME, dict(series_id="step"), ("time='step'", "series_id=")),
    "id is the target": (FRAME, dict(series_id="state"), ("target='state'", "series_id=")),
    "time is the target": (FRAME, dict(time="state"), ("time='state'", "target")),
    "the id is dropped": (FRAME, dict(drop=["sensor"]), ("drop='sensor'", "id")),
    "no numbers": (FRAME, dict(drop=["x0", "x1"]), ("no numeric column",)),
    "a series without numbers": (
        where("x1", FRAME.sensor == "b3", np.nan),
        {},
        ("'b3'", "'x1'", "drop="),
    ),
    "no labels": (FRAME.assign(state=None), {}, ("'state'", "Fill it in")),
    "no rows": (FRAME[:0], {}, ("no rows",)),
    "values that are texts": (FRAME, dict(task="regression"), ("task='regression'", "'a'")),
    "segment too long": (FRAME, dict(segment=21), ("segment=21", "20 steps")),
    "segment of a half": (FRAME, dict(segment=1.5), ("segment=1.5", "whole number")),
    "stride of nothing": (FRAME, dict(segment=10, stride=0), ("stride=0", "1 or more")),
    "stride alone": (FRAME, dict(stride=4), ("stride=4", "segment=")),
    "a group within series": (
        FRAME,
        dict(group="step", time=None),
        ("group='step'", "not constant", "whole series"),
    ),
    "one group": (
        FRAME.assign(subject="s"),
        dict(group="subject", drop=()),
        ("group=", "at least 3"),
    ),
    "a missing group": (
        where("subject", FRAME.index == 4, None),
        dict(group="subject", drop=()),
        ("row 5", "group="),
    ),
    "known columns": (
        FRAME,
        dict(known_covariates="x0"),
        ("known_covariates='x0'", "labelled series"),
    ),
    "test without a column": (FRAME, dict(test=FRAME.drop(columns="x1")), ("'x1'",)),
    "test without ids": (FRAME, dict(test=FRAME.drop(columns="sensor")), ("'sensor'",)),
    "test of another class": (FRAME, dict(test=FRAME.assign(state="c")), ("'c'", "training")),
}


@pytest.mark.parametrize("case", TABLES)
def test_tables(case):
    frame, options, parts = TABLES[case]
    options = OPTIONS | options
    if "group" in options:
        options["drop"] = ()
    with refuses(*parts):
        load_data(frame, preset="series_rocket", **options)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"", ("'0.csv'", "empty")),
        (b"step,x0\n", ("'0.csv'", "no rows")),
        (b"step,x9\n1,2\n", ("'1.csv'", "'x9'", "'a/0.csv'")),
        (b"\x00\x01\x02\xff", ("'0.csv'", "UTF-8")),
        (b"step,x0\n0,red\n1,blue\n", ("'a/0.csv'", "'x0'")),
        (b"file,x0\n0,1\n1,2\n", ("'file'",)),
    ],
)
def test_files_of_a_folder(text, parts, tmp_path):
    with refuses(*parts):
        load_data(with_file(tmp_path, text), preset="series_rocket")


def test_folders(tmp_path):
    for classes in ("none", "empty/a", "empty/b", "one/a"):
        (tmp_path / classes).mkdir(parents=True)
    FRAME[:20].to_csv(tmp_path / "one" / "a" / "0.csv", index=False)
    for name in ("none", "empty"):
        with refuses(f"'{name}'", ".csv files"):
            load_data(tmp_path / name, preset="series_rocket")
    with refuses("'one'", "at least two"):
        load_data(tmp_path / "one", preset="series_rocket")


@pytest.mark.parametrize(
    ("x", "y", "parts"),
    [
        ([X[0], X[1][:, :1], X[2]], Y[:3], ("Series 2", "1 column", "2")),
        ([X[0], X[1][:0], *X[2:]], Y, ("Series 2", "no steps")),
        ([[["a"], ["b"]], [["c"], ["d"], ["e"]]], [0, 1], ("Series 1", "numbers")),
        (np.concatenate([X[:1] * np.nan, X[1:]]), Y, ("Series 1", "no steps")),
        (np.where(X > 2, np.nan, X), Y, ("x contains", "NaN")),
        (X[..., None], Y, ("(N, T, F)",)),
        ([values[: 5 + i % 3] for i, values in enumerate(X)], Y[1:], ("x: 30", "y: 29")),
        (X, np.zeros(30, int), ("'0'", "two classes")),
    ],
)
def test_arrays(x, y, parts):
    with refuses(*parts):
        load_data((x, y), preset="series_rocket")


def test_series_of_one_step_are_refused_before_training(tmp_path):
    with refuses("one step", "two or more"):
        kzoo.train(
            "series_rocket", (X[:, :1], Y), out=tmp_path / "run", progress=False, baselines=False
        )


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    small = dict(progress=False, baselines=False, shares=84, groups=2, kernels_per_group=2)
    return {
        name: kzoo.train(
            "series_rocket", long_table(40, lengths), **OPTIONS, out=folder / name, **small
        )
        for name, lengths in (("equal", (20,)), ("unequal", LENGTHS))
    }


NEW = long_table(6, seed=1).drop(columns=["state", "subject"])


@pytest.mark.parametrize(
    ("new", "parts"),
    [
        (NEW[:0], ("No inputs",)),
        (NEW.drop(columns="x1"), ("'x1'",)),
        (NEW.assign(x1="red"), ("no number", "'x1'", "Remove the series.")),
        (NEW[NEW["step"] < 19], ("19 steps", "20")),
        (long_table(6, (25,)), ("25 steps", "20")),
        (pd.concat([NEW, NEW]), ("two rows", "'step'")),
        (NEW.drop(columns="sensor"), ("Without an id column", "two rows")),
        (NEW.assign(step="later"), ("'step'", "'later'")),
        (np.zeros((3, 20, 3)), ("2 columns", "got 3")),
        (np.zeros((3, 10, 2)), ("10 steps", "20")),
        (np.full((2, 20, 2), np.nan), ("Series 1", "no steps")),
        ([[["a", "b"]] * 20], ("Series 1", "numbers")),
    ],
)
def test_new_series(runs, new, parts):
    with refuses(*parts):
        kzoo.predict(runs["equal"], new)


def test_new_labelled_series(runs):
    new = long_table(6, seed=1)
    with refuses("'c'", "training"):
        kzoo.evaluate(runs["equal"], new.assign(state="c"))
    with refuses("'state'", "not constant"):
        kzoo.evaluate(runs["equal"], new.assign(state=np.where(new["step"] > 3, "a", "b")))
    with refuses("'sensor'"):
        kzoo.evaluate(runs["equal"], new.drop(columns="sensor"))
    with warns("6 series", "20 steps", "cut"):
        assert len(kzoo.predict(runs["unequal"], long_table(6, (25,)))) == 6


def test_commands_end_with_a_line(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pd.concat([FRAME, FRAME[:1]]).to_csv("twice.csv", index=False)
    NEW[NEW["step"] < 19].to_csv("short.csv", index=False)
    (tmp_path / "none").mkdir()
    options = ["--series-id", "sensor", "--time", "step", "--target", "state"]
    run = str(runs["equal"].path)
    for words in (
        ["train", "series_rocket", "--data", "twice.csv", *options],
        ["check", "--data", "twice.csv", *options],
        ["train", "series_rocket", "--data", "twice.csv", *options, "--segment", "0"],
        ["train", "series_rocket", "--data", "none"],
        ["predict", run, "short.csv"],
        ["predict", run, "short.csv", "--make-future", "future.csv"],
        ["evaluate", run, "--data", "short.csv", "--backtest", "3"],
    ):
        assert main(words) == 2, words
        error = capsys.readouterr().err
        assert "Traceback" not in error and len(error.strip().splitlines()) <= 2, (words, error)


def test_what_labelled_series_do_not_have_is_refused():
    with refuses("series_id='sensor'", "wrong_labels"):
        kzoo.check("series_rocket", data=FRAME, wrong_labels=True, **OPTIONS)
    values = FRAME.assign(state=FRAME.groupby("sensor")["x0"].transform("max"))
    with refuses("quantiles", "series_rocket", "series_gru"):
        kzoo.train("series_rocket", values, **OPTIONS, quantiles=(0.1, 0.9), progress=False)
