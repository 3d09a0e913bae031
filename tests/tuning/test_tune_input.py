"""Bad input is refused on a single line before training, and no files are written."""

import json
import os
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
from messages import refuses
from stand_in import StandIn

import kzoo
from kzoo.callbacks import direction
from kzoo.cli import main, make_parser
from kzoo.cli.shared import parse_settings, show_value
from kzoo.tuning.plan import resolve_objective
from kzoo.utils.argument_checks import checked_seconds


def narrow(**ranges):
    return kzoo.space("iris_fnn").narrow(**ranges)


BAD = {
    "objective": (
        dict(objective="val_acc"),
        ("objective='val_acc'", "'val_accuracy'", "val_loss, val_accuracy"),
    ),
    "objective of other tasks": (
        dict(objective="rmse"),
        ("objective='rmse'", "tabular_classification", "accuracy"),
    ),
    "objective without meaning": (
        dict(objective="val_f1_score"),
        ("objective='val_f1_score'", "val_loss, val_accuracy"),
    ),
    "wrong direction": (
        dict(objective=("val_accuracy", "min")),
        ("objective='val_accuracy'", "'max'", "'min'"),
    ),
    "no objective": (dict(objective=7), ("objective=7", "('val_accuracy', 'max')")),
    "parameter": (dict(lr=0.1), ("'lr'", "iris_fnn", "'learning_rate'")),
    "value": (dict(dropout=2.0), ("dropout=2.0", "0", "1")),
    "validation data": (
        dict(validation=0),
        ("objective='val_accuracy'", "validation=0.1", "folds=5"),
    ),
    "trials": (dict(trials=0), ("trials=0", "whole number", "1")),
    "half a trial": (dict(trials=2.5), ("trials=2.5", "whole number", "1")),
    "engine": (dict(engine="bayes"), ("engine", "'bayes'", "'bayesian'")),
    "space": (dict(space="huge"), ("size", "'huge'", "quick, standard, full")),
    "no space": (dict(space=7), ("space=7", "'quick', 'standard', 'full'", "kzoo.space")),
    "space of another preset": (
        dict(space=kzoo.space("wine_fnn")),
        ("space=", "'wine_fnn'", "'iris_fnn'", "kzoo.space('iris_fnn')"),
    ),
    "time": (dict(max_time="soon"), ("max_time='soon'", "seconds", "'30m'")),
    "no time": (dict(max_time=0), ("max_time=0", "seconds", "'30m'")),
    "folds": (dict(folds=1), ("folds=1", "whole number", "2")),
    "more folds than rows": (dict(folds=90), ("folds=90", "40", "class")),
    "hyperband and folds": (dict(engine="hyperband", folds=3), ("engine='hyperband'", "folds=")),
    "prune": (dict(prune="hard"), ("prune='hard'", "'median'", "None")),
    "seed": (dict(seed=-1), ("seed=-1", "whole number", "0", "4294967295")),
    "baseline": (dict(baseline="yes"), ("baseline='yes'", "True", "False")),
    "resume": (dict(resume="please"), ("resume='please'", "auto, must, never")),
    "preset": (dict(preset="iris_fn"), ("preset", "'iris_fn'", "'iris_fnn'")),
    "data": (dict(data="digits"), ("'digits'", "image", "iris_fnn", "rows", "digits_cnn")),
    "no file": (dict(data="nowhere.csv"), ("'nowhere.csv'", "file", "iris, wine")),
    "small hyperband": (
        dict(engine="hyperband", space=kzoo.space("iris_fnn").only("norm"), epochs=9),
        ("engine='hyperband'", "17", "3", "engine='grid'"),
    ),
    "monitor": (dict(monitor="val_loss"), ("monitor='val_loss'", "objective=", "'val_loss',")),
    "mode": (dict(mode="max"), ("mode='max'", "objective=", "('val_gain', 'max')")),
    "limit": (
        dict(space=kzoo.space("iris_fnn").limit(params=10)),
        ("limit(params=10)", "100 parameters"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_on_a_single_line_before_training(search, tmp_path, case):
    options, parts = BAD[case]
    with refuses(*parts) as caught:
        search(**options)
    assert "\n" not in str(caught.value)
    assert StandIn.trained == () and list(tmp_path.iterdir()) == []


def parsed(arguments):
    """Return the options of a `kzoo train` command."""
    return vars(make_parser({"train"}).parse_args(arguments))


def test_the_winner_is_trained_on_the_data_of_the_search(stand_in, tmp_path, monkeypatch, capsys):
    """The printed command has all data options of the search; it used to name the default data of the preset."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "my data").mkdir()
    for name in ("old.csv", "new.csv"):
        frame = pd.DataFrame(
            {"age": random.normal(50, 9, 60), "code": random.integers(1, 4, 60), "shop": "a"}
        )
        frame.assign(stays=np.where(frame.age > 50, "yes", "no")).to_csv(
            tmp_path / "my data" / name, index=False
        )
    options = "--target stays --drop shop --column code=category --validation 0.2 --data-seed 3 --set batch_size=16"
    sources = ["--data", "my data/old.csv", "--test", "my data/new.csv"]
    arguments = ["tabular_fnn", *sources, *options.split()]
    assert (
        main(
            [
                "tune",
                *arguments,
                "--trials",
                "3",
                "--epochs",
                "4",
                "--space",
                "quick",
                "--json",
                "--quiet",
            ]
        )
        == 0
    )
    document = json.loads(capsys.readouterr().out)
    command = shlex.split(document["command"])
    searched = document["best"]["overrides"]
    assert command[:2] == ["kzoo", "train"] and searched
    printed = parsed(command[1:])
    expected = parsed(["train", *arguments])
    settings = parse_settings(printed.pop("set"))
    fixed = parse_settings(expected.pop("set"))
    assert printed == expected and settings == {"epochs": 4} | fixed | parse_settings(
        f"{name}={show_value(value)}" for name, value in searched.items()
    )
    assert main(["check", *arguments[1:-2], "--quick", "--json"]) == 0
    command = shlex.split(json.loads(capsys.readouterr().out)["command"])
    printed = parsed(command[1:])
    expected = parsed(["train", *arguments[:-2]])
    assert printed | {"preset": ""} == expected | {"preset": ""}


def test_an_empty_range_is_refused():
    with refuses("narrow(dropout=(0.4, 0.1))"):
        narrow(dropout=(0.4, 0.1))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_refused(search, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    with refuses("out='mine/search'", repr(str(tmp_path / "mine")), "folder"):
        search("mine/search")


def test_an_unwritable_folder_is_refused_for_every_user(search, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with refuses("out='mine/search'", repr(str(tmp_path / "mine")), "folder"):
        search("mine/search")


def test_data_that_the_preset_cannot_be_built_for():
    """Through the real process: the default point itself does not fit the data."""
    x = np.full((40, 4, 4, 1), 255, "float32")
    with refuses("cifar_cnn", "padding='same'") as caught:
        kzoo.tune(
            "cifar_cnn", (x, np.arange(40) % 2), trials=2, epochs=1, progress=False, padding="valid"
        )
    assert "\n" not in str(caught.value)


def test_folds_are_refused_for_ordered_or_grouped_rows(search, tmp_path):
    frame = pd.DataFrame(
        {"load": np.sin(np.arange(400) / 5), "date": pd.date_range("2024", periods=400, freq="h")}
    )
    with refuses("folds=3", "order", "folds=None"):
        search(preset="series_gru", data=frame, target="load", time="date", folds=3)
    rows = pd.DataFrame(
        {"a": np.arange(60.0), "person": np.arange(60) // 3, "sold": ["yes", "no"] * 30}
    )
    with refuses("folds=", "group=", "folds=None"):
        search(preset="tabular_fnn", data=rows, target="sold", group="person", folds=3)
    with refuses("folds=", "group=", "folds=None"):
        search(
            preset="tabular_fnn", data=kzoo.load_data(rows, target="sold", group="person"), folds=3
        )


def test_6_every_objective_has_its_direction():
    data = kzoo.load_data("iris", preset="iris_fnn")
    preset = kzoo.get_preset("iris_fnn")
    for name, expected in (("val_loss", "min"), ("val_accuracy", "max"), ("val_top5", "max")):
        assert resolve_objective(name, preset.config, preset.training, data) == (name, expected)
    assert resolve_objective(None, preset.config, preset.training, data) == ("val_accuracy", "max")
    # KerasTuner silently uses "min" for these:
    for name in (
        "val_f1_score",
        "val_r2_score",
        "val_cosine_similarity",
        "val_binary_io_u",
        "val_mean_io_u",
    ):
        assert direction(name) == "max"
    values = kzoo.load_data("diabetes", preset="diabetes_fnn")
    preset = kzoo.get_preset("diabetes_fnn")
    assert resolve_objective("val_rmse", preset.config, preset.training, values) == (
        "val_rmse",
        "min",
    )


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [(5, 5), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("10 min", 600), ("7", 7)],
)
def test_durations(duration, seconds):
    assert checked_seconds("max_time", duration) == seconds


def test_optuna_is_an_extra(search, monkeypatch):
    monkeypatch.setattr("kzoo.utils.optional.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "kzoo.tuning.engines.optuna", raising=False)
    with refuses("optuna", 'pip install "kzoo[optuna]"'):
        search(engine="optuna")
