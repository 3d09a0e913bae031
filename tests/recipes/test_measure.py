"""What `recipes/measure.py` says of measuring: the hours before, the pairs after."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import pytest

import kzoo

FILE = Path(__file__).parents[2] / "recipes" / "measure.py"


@pytest.fixture(scope="module")
def measure():
    spec = importlib.util.spec_from_file_location("measure", FILE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(**options):
    return SimpleNamespace(**dict(data=None, target=None, set=[], folds=None, splits=None, seeds=1) | options)


def test_long_runs_are_repeated_less_often(measure):
    assert [measure.repeats_of(seconds) for seconds in (10, 180, 181, 1200, 1201)] == [5, 5, 3, 3, 1]


def test_the_hours_come_before_the_training(measure, capsys, monkeypatch):
    monkeypatch.setattr(kzoo, "train", None)  # nothing is trained where the preset was measured on this data
    measure.plan(asked(names=["iris_fnn", "adding_gru"], splits="auto"))
    said = capsys.readouterr().out.splitlines()
    rows = {row["preset"]: row["seconds"] for row in kzoo.results.rows() if row["data"] in ("iris", "adding")}
    assert f"iris_fnn on iris: {rows['iris_fnn']:.0f} s a run (measured" in said[1] and "5 splits" in said[1]
    assert f"adding_gru on adding: {rows['adding_gru']:.0f} s a run (measured" in said[0] and "3 splits" in said[0]
    assert said[2] == f"{(3 * rows['adding_gru'] + 5 * rows['iris_fnn']) / 3600:.2f} hours in all"


def test_the_hours_are_those_of_the_epochs_that_few_examples_get(measure):
    settings = ["units=4", "batch_size=40", "min_steps=300"]  # three steps an epoch
    assert measure.seconds_of("tabular_fnn", "iris", asked(set=settings))[1] == "two epochs timed, 100 at the most"


def run(preset, seed, score, trees, epochs=9):
    data = dict(
        name="shop.csv", task="tabular_classification", data_seed=seed, options={"test": None}, train=80, test=20
    )
    beside = dict(label="gradient-boosted trees", split="test", scores={"accuracy": trees})
    summary = {"test": {"accuracy": score}, "baselines": [beside, dict(label="slow", split="test", scores=None)]}
    spec = dict(preset=preset, seed=seed, config={}, training=dict(epochs=epochs))
    return SimpleNamespace(path=f"runs/{preset}-{epochs}/{seed}", config=dict(data=data, spec=spec), summary=summary)


def test_candidates_are_compared_split_by_split(measure):
    trees = [0.90, 0.80, 0.85]
    runs = [
        run("tabular_fnn", i, t + gain, t) for i, (t, gain) in enumerate(zip(trees, (0.01, 0.02, 0.03), strict=True))
    ]
    runs.append(run("tabular_once", 0, 0.5, 0.9))
    head, *lines = measure.pairs_on("shop.csv", "accuracy", runs)
    assert head == "shop.csv, accuracy; differences to gradient-boosted trees, 95 %, corrected for splits that overlap"
    assert [line.split()[0] for line in lines] == ["tabular_fnn", "gradient-boosted", "tabular_once"]
    assert lines[0].endswith("0.8700  +0.0200 (-0.0129 to +0.0529), 3 pairs")  # 4.303 * 0.01 * sqrt(1 / 3 + 20 / 80)
    assert lines[2].split(maxsplit=1)[1] == "0.5000  once  -0.4000, 1 pairs"
    against = measure.pairs_on("shop.csv", "accuracy", runs, "tabular_fnn")
    assert "-0.0200" in against[2]
    longer = [run("tabular_fnn", i, t, t, epochs=99) for i, t in enumerate(trees)]
    labels = "\n".join(measure.pairs_on("shop.csv", "accuracy", [*runs, *longer]))
    assert "tabular_fnn (tabular_fnn-9)" in labels and "tabular_fnn (tabular_fnn-99)" in labels
    with pytest.raises(kzoo.KzooError, match="repeats another run of tabular_fnn: the same split, seed and settings"):
        measure.pairs_on("shop.csv", "accuracy", [*runs, runs[0]])
    with pytest.raises(kzoo.KzooError, match="--against 'tree' is not among: tabular_fnn"):
        measure.pairs_on("shop.csv", "accuracy", runs, "tree")


def test_a_rows_splits_are_loaded_as_its_command_did(measure):
    row = next(row for row in kzoo.results.rows() if row["preset"] == "iris_fnn")
    first, second, *_ = measure.splits_of(row, Path())
    assert first.fingerprint == kzoo.load_data("iris", preset="iris_fnn", seed=0).fingerprint != second.fingerprint
    row = next(row for row in kzoo.results.rows() if row["preset"] == "adding_gru")
    (data,) = measure.splits_of(row, Path())
    assert data.input_shape == (100, 2) and len(data.test) == row["examples"]
    (data,) = measure.splits_of(row | {"command": f"{row['command']} --set input_shape=50,2"}, Path())
    assert data.input_shape == (50, 2) and len(data.test) == row["examples"]


@pytest.mark.parametrize("name", ["series_rnn", "adding_rnn", "text_gru", "iris_fnn", "digits_cnn", "diabetes_fnn"])
def test_the_speed_of_a_preset_is_measured_on_data_that_it_takes(measure, name):
    preset = kzoo.get_preset(name)
    data = kzoo.load_data(measure.random_data(preset, 500), preset=preset, test=0.1)
    assert data.inputs == preset.config["inputs"] and data.task == preset.task
    assert len(data.train) > 200 and len(data.test) > 10
