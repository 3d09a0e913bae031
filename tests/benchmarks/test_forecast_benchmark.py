"""The command of `forecasts.py`: two ways on two simulated panels, resumed, and its scores computed again."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from forecast_panels import SIMULATED, grid, simulated
from forecast_scores import LEVELS, interval, log_ratios, regrets, scores, summary
from forecasts import cells_of

SCRIPT = Path(__file__).with_name("forecasts.py")
PANELS = "short", "sizes"
WORDS = ["--panels", *PANELS, "--ways", "seasonal_naive", "seasonal_mean", "--origins", "2"]


def command(name, folder):
    words = [sys.executable, str(SCRIPT), name, str(folder), *WORDS]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=300).stdout


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    folder = tmp_path_factory.mktemp("forecasts")
    return folder, command("run", folder)


def test_the_command_computes_each_cell_once(measured):
    folder, printed = measured
    assert "8 cells, " in printed and "0 are finished" in printed
    cells = {path: path.read_bytes() for path in (folder / "cells").glob("*.json")}
    assert len(cells) == 8
    assert "0 cells, 0.00 h in total; 8 are finished" in command("run", folder)
    assert {path: path.read_bytes() for path in cells} == cells


def test_the_table_has_a_row_for_each_way_and_each_panel(measured):
    folder, _ = measured
    printed = command("table", folder)
    result = json.loads((folder / "forecasts.json").read_text())
    rows = {row["way"]: row for row in result["rows"]}
    assert rows["seasonal_naive"]["wql"] == 1 and rows["seasonal_mean"]["panels"] == 2
    assert all(f"| {name} |" in printed for name in (*rows, *PANELS))
    head, rule, first = printed.splitlines()[:3]
    assert head.count("|") == rule.count("|") == first.count("|") == 14
    assert {"machine", "versions", "date", "command"} <= result["cells"][0].keys()


def test_a_cell_is_scored_as_its_stored_quantiles_are(measured):
    folder, _ = measured
    panel = simulated("sizes")
    history, future = panel.parts(panel.end(1))
    truth = grid(future).to_numpy()
    assert history["time"].max() < future["time"].min() and truth.shape == (36, 6)
    path = folder / "cells" / "sizes-0-1-seasonal_naive.json"
    row = json.loads(path.read_text())
    quantiles = np.load(path.with_suffix(".npz"))["quantiles"].astype(float)
    loss = sum(
        2 * max(level * (y - q), (level - 1) * (y - q))
        for y, of_levels in zip(truth.ravel(), quantiles.reshape(-1, 9), strict=True)
        for q, level in zip(of_levels, LEVELS, strict=True)
    )
    assert row["wql"] == pytest.approx(loss / 9 / np.abs(truth).sum(), rel=1e-4)
    past = grid(history).to_numpy()
    scale = np.abs(past[:, 12:] - past[:, :-12]).mean(axis=1)
    mase = (np.abs(truth - quantiles[..., 4]).mean(axis=1) / scale).mean()
    assert row["mase"] == pytest.approx(mase, rel=1e-4)
    inside = (truth >= quantiles[..., 0]) & (truth <= quantiles[..., 8])
    assert row["coverage"] == pytest.approx(inside.mean(), abs=0.02)


@pytest.mark.parametrize("name", SIMULATED)
def test_a_seed_makes_the_same_panel(name):
    panel = simulated(name)
    assert panel.frame.equals(simulated(name).frame)
    assert not panel.frame.equals(simulated(name, 1).frame)
    history, future = panel.parts(panel.end(4))
    assert future.groupby("id")["value"].count().eq(panel.horizon).all()
    assert history.groupby("id")["value"].first().notna().all()


def test_totals_and_series_without_information_are_scored():
    truth = np.array([[1.0, 2.0], [0.0, 0.0]])
    quantiles = np.repeat(np.array([[[1.0], [2.0]], [[0.0], [0.0]]]), 9, axis=2)
    totals = np.tile([0.0, *range(1, 8), 9.0], (2, 1))
    row = scores([np.array([1.0, 2.0, 4.0]), np.zeros(3)], truth, quantiles, 1, totals=totals)
    assert row["wql"] == 0 and row["mase"] == 0 and row["coverage"] == 1 and row["bias"] == 0
    assert (row["totals"], row["totals_inside"]) == (2, 2)
    assert sum(row["cells_of_fifth"]) == row["cells"] == 4


def test_regret_is_that_to_the_way_which_was_best_at_the_origin_for_validation():
    losses = {"a": (4.0, 1.0), "b": (1.0, 2.0), "auto": (2.0, 9.0)}
    cells = {
        ("panel", origin, way): dict(wql=losses[way][origin]) for way in losses for origin in (0, 1)
    }
    assert regrets(cells, "auto", ["a", "b"], 1) == {"panel": (pytest.approx(-0.5), "a")}


def test_the_bias_beside_that_of_a_rival_is_of_the_cells_that_both_have():
    biases = {"a": (0.1, -0.4, 0.3, 0.9), "AutoETS": (-0.2, 0.1, 0.1, None)}
    cells = {
        ("panel", origin, way): dict(bias=values[origin], coverage=0.8, inside_of_fifth=[1] * 5)
        | dict(cells_of_fifth=[1] * 5, negative=0, seconds=1.0, missing=0)
        | (dict(totals=50, totals_inside=40 - origin) if way == "a" else {})
        for way, values in biases.items()
        for origin in range(4)
    }
    row, rival = summary(cells, [*biases], 4)
    assert row["bias_over_rival"] == pytest.approx(0.3 - 0.1)
    assert "bias_over_rival" not in rival and "totals" not in rival
    assert (row["totals"], row["totals_coverage"]) == (200, pytest.approx(154 / 200))
    printed = cells_of(row | dict(wql=1.0, mase=1.0))
    assert "+20.0 points" in printed and "77 % of 200" in printed


def test_the_interval_of_ratios_over_panels_contains_their_geometric_mean():
    rng = np.random.default_rng(0)
    cells = {}
    for panel in range(12):
        for origin in range(4):
            cells[str(panel), origin, "a"] = dict(wql=float(np.exp(-0.1 + rng.normal(0, 0.1))))
            cells[str(panel), origin, "b"] = dict(wql=1.0)
    low, high = interval(log_ratios(cells, "a", "b", "wql", range(4)))
    assert low < np.exp(-0.1) < high < 1
