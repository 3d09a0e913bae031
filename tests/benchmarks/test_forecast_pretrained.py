"""The comparison with a pretrained model of series: its panels, its origins, and its ratios."""

import forecast_pretrained as benchmark
import numpy as np
import pytest

from kzoo.baselines import exponential_smoothing


@pytest.fixture
def panels(monkeypatch):
    monkeypatch.setattr(benchmark, "SERIES", 2)
    return benchmark.simulated(2)


def test_panels_are_short_series_of_many_kinds_and_come_from_a_seed(panels):
    series = [values for _, each in panels.values() for values in each]
    assert len(panels) == 13 and all(26 <= len(values) < 200 for values in series)
    assert all(np.isfinite(values).all() and np.ptp(values) > 0 for values in series)
    again = benchmark.simulated(2)["hourly"][1]
    assert all(np.array_equal(a, b) for a, b in zip(panels["hourly"][1], again, strict=True))


def test_all_ways_see_only_the_past_of_each_origin(panels):
    season, series = panels["growth monthly"]
    windows = benchmark.windows_of(series, season, 12)
    for number, past, future in windows:
        end = len(past)
        assert np.array_equal(series[number][:end], past)
        assert np.array_equal(series[number][end : end + 12], future) and len(future) == 12
    pasts = [past for _, past, _ in windows]
    for quantiles in (
        benchmark.local(pasts, season, 12, exponential_smoothing),
        benchmark.seasonal(pasts, season, 12, 4),
    ):
        assert quantiles.shape == (len(windows), 12, 9)
        assert (np.diff(quantiles, axis=2) >= 0).all()
    point = benchmark.seasonal([np.arange(24.0)], 12, 3, 1)[0]
    assert point == pytest.approx(np.full((3, 9), np.arange(24.0, 27.0)[:, None]))


def test_a_ratio_is_the_geometric_mean_over_series():
    ways = [np.array([1.0, 4.0]), np.array([2.0])], [np.array([1.0, 1.0]), np.array([1.0])]
    mean, low, high, lowest, highest = benchmark.ratio(*ways)
    assert mean == pytest.approx(8 ** (1 / 3))
    assert low < mean < high and lowest <= mean <= highest
    windows = [(0, None, np.array([2.0])), (0, None, np.array([4.0]))]
    quantiles = np.full((2, 1, 9), 3.0)
    assert benchmark.losses(quantiles, windows) == pytest.approx([0.5 + 3e-6])
