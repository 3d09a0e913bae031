"""Returned objects are printed in a few lines with their main numbers and names."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from shortcuts import undrawn, untraced

import kzoo
from kzoo.inference.predictions import Predictions


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shown")
    with undrawn(), untraced():
        return kzoo.train(
            "iris_fnn", "iris", epochs=1, progress=False, out=folder / "run", callbacks="quick"
        )


def test_predictions_show_a_head_and_a_count(run):
    answers = kzoo.predict(run, np.random.default_rng(0).uniform(0, 7, (1000, 4)))
    lines = repr(answers).splitlines()
    assert_mentions(lines[0], "predictions", "1,000", "3 classes")
    assert lines[1].split() == ["input", "label", "probability"]
    for row, line in enumerate(lines[2:12]):
        assert line.split() == [
            str(row),
            answers.labels[row],
            f"{answers.probabilities[row].max():.4f}",
        ]
    (rest,) = lines[12:]
    assert_mentions(rest, "990", "to_frame()")
    assert len(repr(kzoo.predict(run, np.ones((3, 4)))).splitlines()) == 5


def test_predictions_of_values_and_forecasts():
    wide = Predictions(
        values=np.arange(40.0).reshape(4, 10), inputs=["a\x1b[31m", "b" * 99, "c", "d"]
    )
    lines = repr(wide).splitlines()
    assert_mentions(lines[0], "predictions", "4", "10 targets")
    assert len(lines) == 6
    assert "..." in lines[1] and "\x1b" not in repr(wide) and max(map(len, lines)) < 130
    times = list(pd.date_range("2024-01-01", periods=24, freq="h").to_pydatetime())
    forecast = Predictions(
        values=np.full((1, 24, 2), 0.5), target_names=("load", "heat"), times=[times]
    )
    lines = repr(forecast).splitlines()
    assert_mentions(lines[0], "predictions", "1", "24 steps")
    assert lines[1].split() == ["step", "time", "load", "heat"]
    assert lines[2].split() == ["1", "2024-01-01", "00:00", "0.5", "0.5"]
    assert_mentions(lines[-1], "14", "to_frame()")
    (empty,) = repr(Predictions(class_names=("a", "b"))).splitlines()
    assert_mentions(empty, "predictions", "0", "2 classes")


def test_a_preset_a_space_and_a_split():
    preset = repr(kzoo.get_preset("iris_fnn"))
    assert_mentions(preset, "Preset", "iris_fnn", "fnn", "tabular_classification", "2,499")
    assert len(preset) < 200
    space = kzoo.space("iris_fnn", "quick").fix(batch_size=16)
    assert repr(space) == str(space)
    assert_mentions(repr(space), "learning_rate", "batch_size=16")
    (split,) = repr(kzoo.load_data("iris").train).splitlines()
    assert_mentions(split, "Split", "108")


def test_findings_are_printed_line_by_line(run):
    y = np.random.default_rng(0).normal(size=400)
    table = pd.DataFrame({"a": np.arange(400.0), "leak": 2 * y, "y": y})
    findings = kzoo.check("tabular_fnn", table, target="y", deep=False)
    lines = repr(findings).splitlines()
    assert_mentions(lines[0], "1")
    assert_mentions(lines[1], "warning", "'leak'")
    assert_mentions(lines[2], "fix", "drop=")
    assert_mentions(repr(findings[0]), "warning", "'leak'")
    assert len(repr(findings[0])) < 200
    assert_mentions(repr(kzoo.check("iris_fnn", deep=False)), "no problems")
    lines = repr(kzoo.check("iris", deep=False)).splitlines()
    assert_mentions(lines[1], "most frequent class 0.3333", "accuracy", "validation")
    assert_mentions(lines[2], "presets", "tabular_tabm")


def test_a_comparison_is_a_dataframe(run, tmp_path):
    with undrawn(), untraced():
        kzoo.train(
            "iris_fnn",
            "iris",
            units=(5,),
            epochs=1,
            progress=False,
            out=tmp_path / "b",
            callbacks="quick",
        )
    table = kzoo.compare([run, tmp_path / "b"])
    assert isinstance(table, pd.DataFrame)
    assert list(table.columns[:5]) == ["run", "preset", "data", "metric", "score"]
    assert table.score.dtype == float and table.score.is_monotonic_decreasing
    assert set(table.preset) == {"iris_fnn"} and not table.baseline.any()


def test_cross_validation_and_the_range_test_are_short_and_still_dicts():
    result = kzoo.cross_validate(
        "iris_fnn", "iris", folds=3, epochs=1, progress=False, callbacks="quick"
    )
    lines = repr(result).splitlines()
    assert_mentions(lines[0], "3 folds", "runs/cross-iris_fnn")
    # where they are installed
    optional = [line for line in lines if "catboost" in line or "lightgbm" in line]
    assert len(lines) - len(optional) < 12
    assert lines[2].split()[:2] == ["accuracy", f"{result['mean']['accuracy']:.4g}"]
    assert isinstance(result, dict) and len(result["folds"]) == 3
    rates = kzoo.learning_rate_range("iris_fnn")
    assert_mentions(repr(rates), f"suggested {rates['suggested']:.2g}")
    assert len(repr(rates)) < 120


def test_baselines_and_trials():
    with undrawn(), untraced():
        search = kzoo.tune("iris_fnn", "iris", trials=2, epochs=1, progress=False)
    trial, other = (repr(trial) for trial in search.trials)
    assert_mentions(trial, "Trial 0", "preset")
    assert "preset" not in other and len(other) < 500
    scored = kzoo.baselines.score("iris", names="majority")
    assert_mentions(repr(scored), "baseline", "most frequent class", "accuracy 0.3333", "test")
