"""`check` and `train auto` name smoothing as the first choice where a linear model is clearly worse on validation rows.

The faults to prevent: a network is trained on few short series although a forecast without training is better, or the
line is printed for data on which it is not true, or with a call that does not work.
"""

import json

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.data.options import DataOptions
from kzoo.training.suggestions import preset_with_window, suggested_preset

OPTIONS = dict(target="nights", time="quarter", series_id="town", test=0.0)
WORDS = [
    "--target",
    "nights",
    "--time",
    "quarter",
    "--series-id",
    "town",
    "--test",
    "0",
    "--set",
    "horizon=4",
]


def panel(series, steps, paths):
    """Return a table of quarterly series from their values (series, steps)."""
    times = pd.date_range("2004-01-01", periods=steps, freq="QS")
    towns = np.repeat([f"town {i}" for i in range(series)], steps)
    return pd.DataFrame(dict(town=towns, quarter=np.tile(times, series), nights=paths.ravel()))


@pytest.fixture
def few():
    """Few short series with a season and a level that wanders: too few windows for weights to be learned."""
    random = np.random.default_rng(1)
    level = np.exp(random.normal(0, 0.01, (8, 40)).cumsum(axis=1))
    season = np.tile(random.uniform(0.6, 1.4, (8, 4)), 10)
    return panel(8, 40, 100 * level * season * np.exp(random.normal(0, 0.1, (8, 40))))


@pytest.fixture
def alternating():
    """Series that follow the negative of the value five steps before, which no smoothing can."""
    random = np.random.default_rng(2)
    values = np.zeros((12, 80))
    for step in range(5, 80):
        values[:, step] = random.normal(0, 1, 12) - 0.9 * values[:, step - 5]
    return panel(12, 80, 50 + values)


@pytest.mark.parametrize("quantiles", [None, [0.1, 0.5, 0.9]])
def test_smoothing_is_suggested_with_its_scores_and_a_call_that_trains_it(few, quantiles):
    options = OPTIONS | ({} if quantiles is None else {"quantiles": quantiles})
    suggested = kzoo.check(data=few, deep=False, horizon=4, **options).suggested_baseline
    reader = preset_with_window("series_linear", {"horizon": 4})
    data = kzoo.load_data(few, preset=reader, **OPTIONS)
    scores = {each.name: each.value for each in kzoo.baselines.score(data, split="validation")}
    assert scores[suggested.name] == min(scores["ets"], scores["theta_method"])
    assert scores["ridge_windows"] > 1.1 * scores[suggested.name]
    assert_mentions(
        suggested.why, f"{scores[suggested.name]:.3f}", f"{scores['ridge_windows']:.3f}"
    )
    run = eval(suggested.call, {"kzoo": kzoo, "data": few})
    assert run.spec.config["horizon"] == 4 and run.spec.preset == suggested.name
    predictions = kzoo.predict(run, few)
    forecasts = predictions.values if quantiles is None else predictions.quantiles
    assert forecasts.shape[:2] == (8, 4)


def test_train_auto_and_the_command_line_say_the_same(few, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")
    few.to_csv("few.csv", index=False)
    suggested = kzoo.check("few.csv", deep=False, horizon=4, **OPTIONS).suggested_baseline
    name, line = suggested_preset("few.csv", DataOptions(**OPTIONS), window={"horizon": 4})
    assert name == "series_linear"
    assert_mentions(line, suggested.why, f"kzoo.baselines.train({suggested.name!r}, data)")
    assert main(["check", "--data", "few.csv", "--quick", *WORDS]) == 0
    assert suggested.call in capsys.readouterr().out
    assert main(["check", "--data", "few.csv", "--quick", "--json", *WORDS]) == 0
    assert json.loads(capsys.readouterr().out)["suggested_baseline"]["call"] == suggested.call
    assert "'few.csv'" in suggested.call and "horizon=4" in suggested.call


def test_nothing_is_said_where_the_linear_model_is_better_or_there_are_no_forecasts(alternating):
    findings = kzoo.check(data=alternating, deep=False, horizon=4, **OPTIONS)
    assert findings.suggested_baseline is None and "first choice" not in repr(findings)
    options = DataOptions(**OPTIONS)
    assert "first choice" not in suggested_preset(alternating, options, window={"horizon": 4})[1]
    assert kzoo.check("iris", deep=False).suggested_baseline is None


def test_the_horizon_of_a_baseline_is_refused_where_it_has_no_effect(few):
    data = kzoo.load_data(
        few, preset=preset_with_window("series_linear", {"horizon": 4}), **OPTIONS
    )
    with refuses("horizon=4", "Dataset"):
        kzoo.baselines.train("ets", data, horizon=4)
    with refuses("horizon", "0"):
        kzoo.baselines.train("ets", few, horizon=0, **OPTIONS)
