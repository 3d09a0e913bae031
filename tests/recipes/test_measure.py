"""The plan that `recipes/measure.py` prints before it measures, and the data on which it times presets."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest
from messages import assert_mentions

import kzoo

FILE = Path(__file__).parents[2] / "recipes" / "measure.py"


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("measure", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def arguments(**options):
    return SimpleNamespace(
        **dict(data=None, target=None, set=[], folds=None, splits=None, seeds=1) | options
    )


def test_long_runs_are_repeated_less_often(measure):
    assert [measure.repeats_of(seconds) for seconds in (10, 180, 181, 1200, 1201)] == [
        5,
        5,
        3,
        3,
        1,
    ]


def test_the_hours_come_before_the_training(measure, capsys, monkeypatch):
    # nothing is trained where the preset was measured on this data
    monkeypatch.setattr(kzoo, "train", None)
    measure.plan(arguments(names=["iris_fnn", "adding_gru"], splits="auto"))
    adding, iris, total = capsys.readouterr().out.splitlines()
    rows = {
        row["preset"]: row["seconds"]
        for row in kzoo.zoo.results.rows()
        if row["data"] in ("iris", "adding")
    }
    assert_mentions(iris, "iris_fnn", "iris", f"{rows['iris_fnn']:.0f} s", "measured", "5 splits")
    assert_mentions(
        adding, "adding_gru", "adding", f"{rows['adding_gru']:.0f} s", "measured", "3 splits"
    )
    assert_mentions(total, f"{(3 * rows['adding_gru'] + 5 * rows['iris_fnn']) / 3600:.2f} hours")


def test_the_hours_are_those_of_the_epochs_that_few_examples_get(measure):
    settings = ["units=4", "batch_size=40", "min_steps=300"]  # three steps an epoch
    _, source = measure.seconds_of("tabular_fnn", "iris", arguments(set=settings))
    assert_mentions(source, "epochs", "100")


@pytest.mark.parametrize(
    "name", ["series_rnn", "adding_rnn", "text_gru", "iris_fnn", "digits_cnn", "diabetes_fnn"]
)
def test_the_speed_of_a_preset_is_measured_on_data_that_it_takes(measure, name):
    preset = kzoo.get_preset(name)
    data = kzoo.load_data(measure.random_data(preset, 500), preset=preset, test=0.1)
    assert data.inputs == preset.config["inputs"] and data.task == preset.task
    assert len(data.train) > 200 and len(data.test) > 10
