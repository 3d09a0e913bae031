"""Bad input: one clear line before anything is trained, and nothing is left behind."""

import json
import os
import shlex
import sys

import numpy as np
import pandas as pd
import pytest
from stand_in import StandIn

import kzoo
from kzoo.callbacks import direction
from kzoo.cli import main, make_parser
from kzoo.cli.common import parse_settings, show_value
from kzoo.tuning.plan import settle_objective
from kzoo.utils.argument_checks import checked_seconds
from kzoo.utils.errors import KzooError


def narrow(**ranges):
    return kzoo.space("iris_fnn").narrow(**ranges)


BAD = {
    "objective": (dict(objective="val_acc"), "objective='val_acc' is not reported. Did you mean 'val_accuracy'?"),
    "objective of training": (dict(objective="accuracy"), "on the training data.*Use 'val_accuracy'"),
    "objective without meaning": (dict(objective="val_f1_score"), "not reported. Use one of: val_loss, val_accuracy"),
    "wrong direction": (dict(objective=("val_accuracy", "min")), "has the direction 'max', not 'min'"),
    "no objective": (dict(objective=7), "must be a name, or a pair"),
    "parameter": (dict(lr=0.1), "Unknown argument 'lr' for iris_fnn. Did you mean 'learning_rate'?"),
    "value": (dict(dropout=2.0), "dropout=2.0 is out of range"),
    "validation data": (dict(validation=0), "needs validation data. Set validation=0.1, or folds=5"),
    "trials": (dict(trials=0), "trials=0 must be a whole number of at least 1"),
    "half a trial": (dict(trials=2.5), "trials=2.5 must be a whole number"),
    "engine": (dict(engine="bayes"), "Unknown engine 'bayes'. Did you mean 'bayesian'?"),
    "space": (dict(space="huge"), "Unknown size 'huge'"),
    "no space": (dict(space=7), "space=7 must be 'quick', 'standard', 'full'"),
    "space of another preset": (dict(space=kzoo.space("wine_fnn")), "space= is of 'wine_fnn', and 'iris_fnn' is tuned"),
    "time": (dict(max_time="soon"), "max_time='soon' must be a number of seconds"),
    "no time": (dict(max_time=0), "max_time=0 must be"),
    "folds": (dict(folds=1), "folds=1 must be a whole number of at least 2"),
    "more folds than rows": (dict(folds=90), "folds=90 is more than the 40 rows of the smallest class"),
    "hyperband and folds": (dict(engine="hyperband", folds=3), "Choose one of them"),
    "prune": (dict(prune="hard"), "prune='hard' must be 'median' or None"),
    "seed": (dict(seed=-1), "seed=-1 must be a whole number"),
    "baseline": (dict(baseline="yes"), "baseline='yes' must be True or False"),
    "resume": (dict(resume="please"), "resume='please' is unknown"),
    "preset": (dict(preset="iris_fn"), "Unknown preset 'iris_fn'. Did you mean 'iris_fnn'?"),
    "data": (dict(data="digits"), "gives image, but iris_fnn takes rows"),
    "no file": (dict(data="nowhere.csv"), "No file, folder or data set 'nowhere.csv'"),
    "small hyperband": (
        dict(engine="hyperband", space=kzoo.space("iris_fnn").only("norm"), epochs=9),
        "needs 17 different points to begin with, and the space has 3",
    ),
    "monitor": (dict(monitor="val_loss"), "monitor='val_loss': what a search watches is its objective=, such as"),
    "mode": (dict(mode="max"), "mode='max': what a search watches is its objective="),
    "limit": (dict(space=kzoo.space("iris_fnn").limit(params=10)), "less than the preset's own"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_before_training(search, tmp_path, case):
    options, says = BAD[case]
    with pytest.raises(KzooError, match=says) as caught:
        search(**options)
    assert "\n" not in str(caught.value)
    assert StandIn.asked == () and list(tmp_path.iterdir()) == []


def test_the_winner_is_trained_on_the_data_of_the_search(stand_in, tmp_path, monkeypatch, capsys):
    """The command that is printed says all that the search was told of its data; it named the preset's own set."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    (tmp_path / "my data").mkdir()
    for name in ("old.csv", "new.csv"):
        frame = pd.DataFrame({"age": random.normal(50, 9, 60), "code": random.integers(1, 4, 60), "shop": "a"})
        frame.assign(stays=np.where(frame.age > 50, "yes", "no")).to_csv(tmp_path / "my data" / name, index=False)
    asked = "--target stays --drop shop --column code=category --validation 0.2 --data-seed 3 --set batch_size=16"
    places = ["--data", "my data/old.csv", "--test", "my data/new.csv"]
    words = ["tabular_fnn", *places, *asked.split()]
    assert main(["tune", *words, "--trials", "3", "--epochs", "4", "--space", "quick", "--json", "--quiet"]) == 0
    document = json.loads(capsys.readouterr().out)
    command, searched = shlex.split(document["command"]), document["best"]["overrides"]
    assert command[:2] == ["kzoo", "train"] and searched
    said, meant = (vars(make_parser({"train"}).parse_args(given)) for given in (command[1:], ["train", *words]))
    settings, fixed = parse_settings(said.pop("set")), parse_settings(meant.pop("set"))
    assert said == meant and settings == {"epochs": 4} | fixed | parse_settings(
        f"{name}={show_value(value)}" for name, value in searched.items()
    )
    assert main(["check", *words[1:-2], "--quick", "--json"]) == 0
    command = shlex.split(json.loads(capsys.readouterr().out)["command"])
    said, meant = (vars(make_parser({"train"}).parse_args(given)) for given in (command[1:], ["train", *words[:-2]]))
    assert said | {"preset": ""} == meant | {"preset": ""}


def test_an_empty_range_is_refused():
    with pytest.raises(KzooError, match="dropout"):
        narrow(dropout=(0.4, 0.1))


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written(search, tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    with pytest.raises(KzooError, match="may not be written"):
        search("mine/search")


def test_a_folder_that_may_not_be_written_whoever_we_are(search, tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(KzooError, match="may not be written"):
        search("mine/search")


def test_a_space_the_model_cannot_be_built_from():
    """Through the real process: the default point itself does not fit the data."""
    x = np.zeros((40, 4, 4, 1), "float32")
    with pytest.raises(KzooError) as caught:
        kzoo.tune("cifar_cnn", (x, np.arange(40) % 2), trials=2, epochs=1, progress=False, padding="valid")
    assert "\n" not in str(caught.value)


def test_folds_of_rows_that_have_an_order_or_belong_together(search, tmp_path):
    frame = pd.DataFrame({"load": np.sin(np.arange(400) / 5), "date": pd.date_range("2024", periods=400, freq="h")})
    with pytest.raises(KzooError, match="has an order"):
        search(preset="series_gru", data=frame, target="load", time="date", folds=3)
    rows = pd.DataFrame({"a": np.arange(60.0), "who": np.arange(60) // 3, "sold": ["yes", "no"] * 30})
    with pytest.raises(KzooError, match="tear the groups"):
        search(preset="tabular_fnn", data=rows, target="sold", group="who", folds=3)
    with pytest.raises(KzooError, match="tear the groups"):
        search(preset="tabular_fnn", data=kzoo.load_data(rows, target="sold", group="who"), folds=3)


def test_6_every_objective_has_its_direction():
    data = kzoo.load_data("iris", preset="iris_fnn")
    preset = kzoo.get_preset("iris_fnn")
    for name, way in (("val_loss", "min"), ("val_accuracy", "max"), ("val_top5", "max")):
        assert settle_objective(name, preset.config, preset.training, data) == (name, way)
    assert settle_objective(None, preset.config, preset.training, data) == ("val_accuracy", "max")
    # What KerasTuner takes for "min" without a word:
    for name in ("val_f1_score", "val_r2_score", "val_cosine_similarity", "val_binary_io_u", "val_mean_io_u"):
        assert direction(name) == "max"
    values = kzoo.load_data("diabetes", preset="diabetes_fnn")
    preset = kzoo.get_preset("diabetes_fnn")
    assert settle_objective("val_rmse", preset.config, preset.training, values) == ("val_rmse", "min")


@pytest.mark.parametrize(
    ("said", "seconds"), [(5, 5), ("90s", 90), ("30m", 1800), ("2h", 7200), ("1h30m", 5400), ("10 min", 600), ("7", 7)]
)
def test_times(said, seconds):
    assert checked_seconds("max_time", said) == seconds


def test_optuna_is_an_extra(search, monkeypatch):
    monkeypatch.setattr("kzoo.utils.optional.find_spec", lambda name: None)
    monkeypatch.delitem(sys.modules, "kzoo.tuning.engines.optuna", raising=False)
    with pytest.raises(KzooError, match=r'pip install "kzoo\[optuna\]"'):
        search(engine="optuna")
