"""The forecasting recipe's table: baselines recomputed window by window, networks as `kzoo.evaluate` scores them."""

import json
import runpy
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from messages import refuses

import kzoo

RECIPE = Path(__file__).parents[2] / "recipes" / "series_forecast.py"


def run(monkeypatch, *words):
    monkeypatch.setattr(sys, "argv", [str(RECIPE), *words])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    return runpy.run_path(str(RECIPE), run_name="__main__")


@pytest.mark.slow
def test_every_forecast_is_scored_on_the_same_windows(tmp_path, monkeypatch):
    t = np.arange(500)
    random = np.random.default_rng(0)
    load = 20 + 5 * np.sin(2 * np.pi * t / 24) + random.normal(0, 1, 500)
    time = pd.date_range("2024-01-01", periods=500, freq="h")
    pd.DataFrame({"time": time, "load": load, "heat": load**2}).to_csv(
        tmp_path / "grid.csv", index=False
    )
    words = ["--smoke", "--data", "grid.csv", "--rows", "450", "--test", "0.3", "--out", "out"]
    made = run(monkeypatch, *words)
    table = {row["preset"]: row for row in made["rows"]}
    # of a smoke, the last preset
    assert list(table) == ["last value", "24 steps ago", "linear", "series_transformer"]

    values = np.stack([load, load**2], axis=1)[:450]
    # the training rows' scale: 60 % of 450
    standard = (values - values[:270].mean(0)) / values[:270].std(0)
    starts = range(315, 450 - 12 + 1)
    truth = np.stack([standard[s : s + 12] for s in starts])
    last = np.stack([np.repeat(standard[s - 1 : s], 12, axis=0) for s in starts])
    yesterday = np.stack([standard[s - 24 : s - 12] for s in starts])
    assert made["truth"].shape == truth.shape
    for name, guess in (("last value", last), ("24 steps ago", yesterday)):
        assert table[name]["mse"] == pytest.approx(((guess - truth) ** 2).mean(), rel=1e-4)
        assert table[name]["mae"] == pytest.approx(np.abs(guess - truth).mean(), rel=1e-4)
    assert table["linear"]["mse"] < table["last value"]["mse"]
    for name, trained in made["runs"].items():
        scores = kzoo.evaluate(trained, made["data"])
        assert table[name]["mse"] == pytest.approx(scores["mse_standardised"], rel=1e-4)
        assert table[name]["rmse_own_unit"] == pytest.approx(scores["rmse"], rel=1e-4)
        assert table[name]["mae_own_unit"] == pytest.approx(scores["mae"], rel=1e-4)
        scores = kzoo.evaluate(trained, made["data"], split="validation")
        assert table[name]["validation_mse"] == pytest.approx(scores["mse_standardised"], rel=1e-4)
    truth = np.stack([standard[s : s + 12] for s in range(270, 315 - 12 + 1)])
    last = np.stack([np.repeat(standard[s - 1 : s], 12, axis=0) for s in range(270, 315 - 12 + 1)])
    assert table["last value"]["validation_mse"] == pytest.approx(
        ((last - truth) ** 2).mean(), rel=1e-4
    )

    took = trained.summary["seconds"]
    (Path("out") / "series_transformer" / "summary.json").write_text(
        json.dumps(trained.summary | {"seconds": took + 99_999})  # more than this process has run
    )
    run(monkeypatch, *words)  # trains nothing again, and prints the earlier seconds
    assert json.loads((Path("out") / "series_forecast.json").read_text())[
        "seconds"
    ] == pytest.approx(took + 99_999, abs=0.1)


def test_a_season_longer_than_the_window_is_refused(monkeypatch):
    with refuses("--season 400", "336 steps", "--steps"):
        run(monkeypatch, "--season", "400", "--out", "out")


def test_no_validation_data_is_refused(monkeypatch):
    with refuses("--validation 0", "0.1"):
        run(monkeypatch, "--validation", "0", "--out", "out")
