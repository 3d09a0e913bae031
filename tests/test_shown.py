"""What functions return is printed in a few lines that say what a person looks for."""

import json

import numpy as np
import pandas as pd
import pytest
from shortcuts import undrawn, untraced

import kzoo
from kzoo.predictions import Predictions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    with undrawn(), untraced():
        return kzoo.train("iris_fnn", "iris", epochs=1, progress=False, out=folder / "run", callbacks="quick")


def test_predictions_show_a_head_and_a_count(run):
    answers = kzoo.predict(run, np.random.default_rng(0).uniform(0, 7, (1000, 4)))
    lines = repr(answers).splitlines()
    assert lines[0] == "Predictions of 1,000 inputs, 3 classes"
    assert lines[1].split() == ["input", "label", "probability"]
    for row, line in enumerate(lines[2:12]):
        assert line.split() == [str(row), answers.labels[row], f"{answers.probabilities[row].max():.4f}"]
    assert lines[12:] == ["  ... 990 more rows; to_frame() has all"]
    assert len(repr(kzoo.predict(run, np.ones((3, 4)))).splitlines()) == 5


def test_predictions_of_values_and_forecasts():
    wide = Predictions(values=np.arange(40.0).reshape(4, 10), inputs=["a\x1b[31m", "b" * 99, "c", "d"])
    lines = repr(wide).splitlines()
    assert lines[0] == "Predictions of 4 inputs, 10 targets" and len(lines) == 6
    assert "..." in lines[1] and "\x1b" not in repr(wide) and max(map(len, lines)) < 130
    times = list(pd.date_range("2024-01-01", periods=24, freq="h").to_pydatetime())
    one = Predictions(values=np.full((1, 24, 2), 0.5), target_names=("load", "heat"), times=[times])
    lines = repr(one).splitlines()
    assert lines[0] == "Predictions of 1 input, 24 steps ahead"
    assert lines[1].split() == ["step", "time", "load", "heat"]
    assert lines[2].split() == ["1", "2024-01-01", "00:00", "0.5", "0.5"]
    assert lines[-1] == "  ... 14 more rows; to_frame() has all"
    assert repr(Predictions(class_names=("a", "b"))) == "Predictions of 0 inputs, 2 classes"


def test_a_preset_a_space_and_a_split():
    preset = repr(kzoo.get_preset("iris_fnn"))
    assert preset.startswith("<Preset iris_fnn: fnn, tabular_classification, 2,499 parameters. ") and len(preset) < 200
    space = kzoo.space("iris_fnn", "quick").fix(batch_size=16)
    assert repr(space) == str(space) and "learning_rate" in repr(space) and "fixed: batch_size=16" in repr(space)
    assert repr(kzoo.load_data("iris").train) == "<Split: 108 rows>"


def test_findings_are_lines(run):
    y = np.random.default_rng(0).normal(size=400)
    table = pd.DataFrame({"a": np.arange(400.0), "leak": 2 * y, "y": y})
    found = kzoo.check("tabular_fnn", table, target="y", deep=False)
    lines = repr(found).splitlines()
    assert lines[0] == "1 finding" and lines[1].startswith("  warning: ") and "'leak'" in lines[1]
    assert lines[2].startswith("    fix: ")
    assert repr(found[0]).startswith("<warning: ") and len(repr(found[0])) < 200
    assert repr(kzoo.check("iris_fnn", deep=False)) == "No findings."
    lines = repr(kzoo.check("iris", deep=False)).splitlines()
    assert lines[1].startswith("  without a network: ") and "most frequent class 0.3333 (accuracy, valid" in lines[1]
    assert lines[2].startswith("  presets to try: ") and "_fnn" in lines[2]


def test_comparisons_are_tables_and_still_lists(run, tmp_path):
    with undrawn(), untraced():
        kzoo.train("iris_fnn", "iris", units=(5,), epochs=1, progress=False, out=tmp_path / "b", callbacks="quick")
    rows = kzoo.compare([run, tmp_path / "b"])
    lines = repr(rows).splitlines()
    assert lines[0].split() == ["run", "preset", "data", "metric", "score", "parameters", "seconds"]
    assert len(lines) == 1 + len(rows) and max(map(len, lines)) < 150
    assert isinstance(rows, list) and json.loads(json.dumps(rows)) == rows
    assert {line.split()[1] for line in lines[1:] if "(no network)" not in line} == {"iris_fnn"}


def test_cross_validation_and_the_range_test_are_printed_short_and_still_dicts():
    result = kzoo.cross_validate("iris_fnn", "iris", folds=3, epochs=1, progress=False, callbacks="quick")
    lines = repr(result).splitlines()
    assert lines[0] == "Cross-validation, 3 folds, in runs/cross-iris_fnn" and len(lines) < 12
    assert lines[2].split()[:2] == ["accuracy", f"{result['mean']['accuracy']:.4g}"]
    assert isinstance(result, dict) and len(result["folds"]) == 3
    rates = kzoo.learning_rate_range("iris_fnn")
    assert f"suggested {rates['suggested']:.2g}" in repr(rates) and len(repr(rates)) < 120


def test_baselines_and_trials():
    with undrawn(), untraced():
        search = kzoo.tune("iris_fnn", "iris", trials=2, epochs=1, progress=False)
    assert repr(search.trials[0]).endswith("; the preset itself>") and len(repr(search.trials[1])) < 500
    scored = kzoo.baselines.score("iris", names="majority")
    assert repr(scored).startswith("[<baseline most frequent class: accuracy 0.3333 on the test split, ")
