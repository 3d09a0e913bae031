"""Which quantile counts as the forecast where the median is not among them, and that it is said."""

import json

import numpy as np
import pytest
from messages import assert_mentions
from shortcuts import undrawn, untraced

import kzoo
from kzoo.cli import main
from kzoo.inference.predictions import Predictions
from kzoo.problems.tasks import Target, problem
from kzoo.training.scores.quantiles import score

TRUTH = np.random.default_rng(0).uniform(50, 150, (40, 3, 1))
# The quantiles of a normal distribution around the truth, so that the errors of the median are known.
Z = {0.1: -1.2816, 0.2: -0.8416, 0.25: -0.6745, 0.5: 0.0, 0.9: 1.2816, 0.95: 1.6449}


def scores_of(levels, sd=10.0):
    outputs = np.concatenate([TRUTH + sd * Z[level] for level in levels], axis=-1)
    target = Target(names=("y",), config={"quantiles": levels, "target_scale": [1.0]})
    return score([(outputs, TRUTH)], target).scores


@pytest.mark.parametrize("levels", [(0.1, 0.5, 0.9), (0.5, 0.9, 0.95), (0.1, 0.2, 0.25, 0.5)])
def test_the_median_is_scored_wherever_it_is(levels):
    scores = scores_of(levels)
    assert scores["wape"] == pytest.approx(0, abs=1e-9) and "median_between" not in scores
    assert not problem("quantile_forecasting").task.score_warnings(scores)


def test_without_a_median_it_is_interpolated_and_that_is_said():
    scores = scores_of((0.1, 0.9))
    assert scores["wape"] == pytest.approx(0, abs=1e-9)
    # between 0.25 and 0.9, linearly in the level
    share = (0.5 - 0.25) / (0.9 - 0.25)
    error = 10 * ((1 - share) * Z[0.25] + share * Z[0.9])
    expected = scores_of((0.1, 0.25, 0.9))
    assert expected["bias"] == pytest.approx(error / TRUTH.mean(), rel=1e-6)
    (line,) = problem("quantile_forecasting").task.score_warnings(expected)
    assert_mentions(line, "0.5", "0.25", "0.9", "WAPE", "interpolated")


def test_quantiles_on_one_side_have_no_scores_of_a_forecast():
    scores = scores_of((0.9, 0.95))
    assert not {"wape", "bias", "mase"} & set(scores) and scores["pinball"] > 0
    (line,) = problem("quantile_forecasting").task.score_warnings(scores)
    assert_mentions(line, "one side", "0.9", "left out")


def test_a_trained_run_says_it(tmp_path, capsys):
    steps = np.arange(200)
    (tmp_path / "load.csv").write_text(
        "hour,load\n" + "".join(f"{i},{10 + np.sin(i * np.pi / 12):.3f}\n" for i in steps)
    )
    folder = str(tmp_path / "run")
    command = ["train", "series_linear", "--data", str(tmp_path / "load.csv"), "--out", folder]
    options = ["--target", "load", "--time", "hour", "--quantiles", "0.1,0.9", "--no-baselines"]
    settings = ["--set", "horizon=3", "input_shape=24", "epochs=1"]
    with untraced(), undrawn():
        assert main([*command, *options, *settings, "--quiet"]) == 0
        assert_mentions(capsys.readouterr().out, "0.5 is not among", "0.1 and 0.9")
        assert main(["evaluate", folder, "--data", command[3], "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)["scores"]
    predictions = kzoo.predict(folder, str(tmp_path / "load.csv"))
    figure = kzoo.plots.forecasts(predictions)
    (line,) = [
        line for line in figure.axes[0].lines if line.get_label() == "between quantiles 0.1 and 0.9"
    ]
    assert np.allclose(line.get_ydata(), predictions.quantiles[0, :, 0].mean(axis=-1))
    assert scores["median_between"] == [0.1, 0.9]


def test_a_plot_names_the_quantile_that_it_draws():
    quantiles = np.sort(np.random.default_rng(1).normal(size=(1, 3, 1, 2)), axis=-1)
    history = np.zeros((1, 5, 1))
    for levels, label, index in (((0.5, 0.9), "forecast", 0), ((0.8, 0.9), "quantile 0.8", 0)):
        predictions = Predictions(
            quantiles=quantiles, levels=levels, history=history, target_names=("y",), inputs=(0,)
        )
        lines = kzoo.plots.forecasts(predictions).axes[0].lines
        (line,) = [line for line in lines if line.get_label() == label]
        assert np.array_equal(line.get_ydata(), quantiles[0, :, 0, index])
