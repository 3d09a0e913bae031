"""Faults in the times of a series: each is planted and found, and its neighbour without the fault is not."""

import numpy as np
import pandas as pd
from small_models import find, one


def hourly(rows=1200):
    time = pd.date_range("2024-01-01", periods=rows, freq="h")
    noise = np.random.default_rng(0).normal(size=rows)
    return pd.DataFrame({"time": time, "load": 10 + np.sin(np.arange(rows) / 4) + 0.1 * noise})


def test_uneven_times():
    frame = hourly()
    gaps = frame[np.random.default_rng(0).random(len(frame)) > 0.2]
    found = one("uneven_times", "series_gru", gaps)
    assert found.level == "warning" and "3600 seconds" in found.what and found.where == "column 'time'"
    assert find("uneven_times", "series_gru", frame) == []
    assert find("uneven_times", "series_gru", frame.drop(index=[50, 51, 600])) == []


def test_times_that_start_again():
    shuffled = hourly().sample(frac=1, random_state=0)
    assert "come before" in one("times_out_of_order", "series_gru", shuffled).what
    two = pd.concat([hourly(700), hourly(700)])
    assert any("repeat a time" in found.what for found in find("times_out_of_order", "series_gru", two))
    assert find("times_out_of_order", "series_gru", hourly()) == []


def test_months_are_even_enough():
    frame = hourly(1200).assign(time=pd.date_range("1900-01-01", periods=1200, freq="MS"))
    assert find("uneven_times", "series_gru", frame) == []
