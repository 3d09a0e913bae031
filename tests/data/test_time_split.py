"""Tables in order of time: the last rows are the test split, and rows of one moment stay together."""

import numpy as np
import pandas as pd
import pytest
from messages import notes_with, refuses

import kzoo
from kzoo.cli import main
from kzoo.data.splits import Fold, split_rows

N = 200


def table(rows=N, seed=0):
    draw = np.random.default_rng(seed)
    days = draw.permutation(rows)
    a = draw.normal(size=rows)
    return pd.DataFrame(
        {
            "day": (np.datetime64("2020-01-01") + days).astype(str),
            "step": days,
            "a": a,
            "y": np.where(a + draw.normal(size=rows) > 0, "yes", "no"),
        }
    )


@pytest.mark.parametrize("time", ["day", "step"])
def test_the_last_rows_are_the_test_split(time):
    frame = table()
    data = kzoo.load_data(frame, target="y", time=time, split="time")
    step = frame["step"].to_numpy()
    parts = [step[part.rows] for part in (data.train, data.validation, data.test)]
    assert [len(part) for part in parts] == [144, 16, 40]
    assert parts[0].max() < parts[1].min() <= parts[1].max() < parts[2].min()
    assert notes_with(data.notes, f"in order of {time!r}", "validation from", "test from")
    other_seed = kzoo.load_data(frame, target="y", time=time, split="time", seed=7)
    assert other_seed.fingerprint == data.fingerprint
    assert data.loaded["options"]["split"] == "time"


def test_the_column_is_an_input_unless_it_is_dropped():
    options = dict(target="y", time="day", split="time")
    data = kzoo.load_data(table(), **options)
    dropped = kzoo.load_data(table(), drop="day", **options)
    assert "day month" in data.feature_names and notes_with(data.notes, "is an input too", "drop=")
    assert dropped.feature_names == ("step", "a") and notes_with(dropped.notes, "is not an input")
    assert np.array_equal(data.test.rows, dropped.test.rows)


def test_rows_of_one_moment_stay_together():
    frame = table().assign(month=lambda t: t["step"] // 30)
    data = kzoo.load_data(frame, target="y", time="month", split="time", drop=("day", "step"))
    month = frame["month"].to_numpy()
    parts = [set(month[part.rows]) for part in (data.train, data.validation, data.test)]
    assert not parts[0] & parts[1] and not parts[1] & parts[2] and max(parts[0]) < min(parts[1])
    few = table().assign(half=lambda t: (t["step"] >= 100).astype(int))
    with refuses("time=", "2 different values", "3", "validation="):
        kzoo.load_data(few, target="y", time="half", split="time")
    halves = kzoo.load_data(few, target="y", time="half", split="time", validation=0)
    assert len(halves.test) == 100 and notes_with(halves.notes, "50%", "20%", "one moment")


def test_groups_stay_together_or_contradict():
    frame = table().assign(week=lambda t: t["step"] // 7)
    data = kzoo.load_data(frame, target="y", time="step", split="time", group="week", drop="day")
    week = frame["week"].to_numpy()
    assert not set(week[data.train.rows]) & set(week[np.r_[data.validation.rows, data.test.rows]])
    with refuses("group=", "split='time'", "contradict"):
        kzoo.load_data(
            frame.assign(shop=frame["step"] % 5),
            target="y",
            time="step",
            split="time",
            group="shop",
        )


@pytest.mark.parametrize("seed", range(6))
def test_splits_are_whole_moments_and_groups_whatever_the_sizes(seed):
    draw = np.random.default_rng(seed)
    moments = np.sort(draw.integers(0, 15, 80))
    groups = np.maximum.accumulate(moments // 2)
    parts, _ = split_rows(80, validation=0.2, test=0.3, moments=moments, groups=groups)
    assert sorted(np.concatenate(list(parts.values()))) == list(range(80))
    assert moments[parts["train"]].max() < moments[parts["validation"]].min()
    assert moments[parts["validation"]].max() < moments[parts["test"]].min()
    for values in (moments, groups):
        sets = [set(values[rows]) for rows in parts.values()]
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_a_second_source_leaves_only_validation_to_split():
    frame = table()
    data = kzoo.load_data(frame[:150], target="y", time="step", split="time", test=frame[150:])
    step = frame["step"].to_numpy()[:150]
    assert len(data.test) == 50 and step[data.train.rows].max() < step[data.validation.rows].min()


def test_weights_go_with_it():
    frame = table().assign(w=np.arange(N) % 3)
    data = kzoo.load_data(
        frame, target="y", time="step", split="time", sample_weight="w", drop="day"
    )
    assert "w" not in data.feature_names
    step = frame["step"].to_numpy()
    assert (
        step[data.train.rows].max() < step[data.validation.rows].min()
        and (data.train.weight > 0).all()
    )


@pytest.mark.parametrize(
    ("cell", "parts"),
    [
        (None, ("time='day'", "1 row", "row 4")),
        ("soon", ("time='day'", "not a date", "row 4", "'soon'")),
    ],
)
def test_rows_without_a_time_are_refused(cell, parts):
    frame = table()
    frame.loc[3, "day"] = cell
    with refuses(*parts):
        kzoo.load_data(frame, target="y", time="day", split="time")


def test_words_are_no_times():
    with refuses("time='mood'", "not a date or number", "'calm'"):
        kzoo.load_data(table().assign(mood="calm"), target="y", time="mood", split="time")


@pytest.mark.parametrize(
    ("options", "parts"),
    [
        (dict(split="time"), ("split='time'", "time=")),
        (dict(split="time", time="date"), ("'date'", "not in the table")),
        (dict(split="time", time="y"), ("time='y'", "target")),
        (dict(split="sorted", time="day"), ("split='sorted'", "'random'", "'time'")),
        (dict(split="time", time="day", test=Fold(0, 4)), ("Folds", "split='time'")),
    ],
)
def test_options_that_contradict_are_refused(options, parts):
    with refuses(*parts):
        kzoo.load_data(table(), target="y", **options)


def test_other_sources_refuse_it(tmp_path):
    with refuses("split='time'", "arrays"):
        kzoo.load_data((np.ones((20, 2)), np.arange(20) % 2), split="time")
    with refuses("split='time'", "digits"):
        kzoo.load_data("digits", split="time")
    with refuses("split='time'", "folds"):
        kzoo.cross_validate("tabular_fnn", table(), target="y", time="day", split="time")
    with refuses("folds=", "split='time'"):
        kzoo.tune(
            "tabular_fnn",
            table(),
            target="y",
            time="day",
            split="time",
            folds=3,
            trials=2,
            dry_run=True,
        )


def test_a_class_of_the_latest_rows_only_is_named():
    frame = table().assign(y=lambda t: np.where(t["step"] > 190, "new", t["y"]))
    with refuses("no training rows", "latest", "test="):
        kzoo.load_data(frame, target="y", time="day", split="time")


def test_texts_of_a_table(tmp_path):
    frame = pd.DataFrame(
        {"text": [f"word{i % 7} word{i % 5}" for i in range(60)], "step": np.arange(60)[::-1]}
    )
    frame["label"] = np.where(frame.index % 7 > 2, "up", "down")
    data = kzoo.load_data(frame, preset="text_cnn", target="label", time="step", split="time")
    step = frame["step"].to_numpy()
    assert (
        step[data.train.rows].max() < step[data.validation.rows].min() < step[data.test.rows].min()
    )
    assert notes_with(data.notes, "in order of 'step'")


def test_the_run_is_repeated_by_its_command_and_reloaded(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table().to_csv("t.csv", index=False)
    words = "train tabular_fnn --data t.csv --target y --time day --split time --epochs 1 --no-baselines --quiet"
    assert main([*words.split(), "--out", "run"]) == 0
    run = kzoo.Run("run")
    assert "--time day" in run.config["command"] and "--split time" in run.config["command"]
    assert kzoo.evaluate(run, "t.csv") == run.summary["test"]
