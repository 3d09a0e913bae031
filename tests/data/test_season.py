"""How long a window is where nobody says it: two seasons at least, of the calendar or of the training rows."""

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo import KzooError, get_preset, load_data
from kzoo.kinds.series.season import season_of
from kzoo.registry import resolve, with_settings


def series(rows, step, start="2021-01-01", period=24):
    random = np.random.default_rng(0)
    load = np.sin(2 * np.pi * np.arange(rows) / period) + random.normal(0, 0.1, rows)
    return pd.DataFrame({"when": pd.date_range(start, periods=rows, freq=step), "load": load, "heat": 2 * load + 1})


def about(data):
    """Return the steps of its windows and the line about them."""
    lines = [note for note in data.notes if note.startswith("A window is")]
    return data.input_shape[0], *lines


def with_window(preset, **settings):
    return with_settings(get_preset(preset), *resolve(get_preset(preset), settings))


@pytest.mark.parametrize(
    ("rows", "step", "steps", "line"),
    [
        (3000, "h", 336, "336 steps (2 weeks): 2 times the longest season, 168 steps (1 week)."),
        (3000, "30min", 672, "672 steps (2 weeks): 2 times the longest season, 336 steps (1 week)."),
        (5000, "15min", 192, "192 steps (2 days): 2 times the longest season, 96 steps (1 day) that fits: 1,344 steps "
                             "would be more than 1,000 steps. For that, use input_shape=1344."),
        (1000, "D", 98, "98 steps (14 weeks): 14 times the longest season, 7 steps (1 week)."),
        (1000, "B", 100, "100 steps (100 days): 20 times the longest season, 5 steps (5 days)."),
        (400, "MS", 96, "96 steps (8 years): 8 times the longest season, 12 steps (1 year)."),
        (400, "h", 96, "96 steps (4 days): 4 times the longest season, 24 steps (1 day) that fits: 336 steps would "
                       "be more than half of 280 training rows. For that, use input_shape=336."),
        (260, "MS", 72, "72 steps (6 years): 6 times the longest season, 12 steps (1 year)."),
        (1000, "7h", 96, "96 steps: 4 times the season, 24 steps, which the training rows show."),
    ],
)  # fmt: skip
def test_two_of_the_longest_season_that_fits(rows, step, steps, line):
    data = load_data(series(rows, step), preset="series_linear", target="load")
    assert about(data) == (steps, f"A window is {line}")
    assert len(data.train) >= data.train.x.length / 2 and data.train.x.length == steps


def test_a_window_that_is_asked_for_wins_and_says_nothing():
    frame = series(3000, "h")
    for asked in (48, (48, 1)):
        data = load_data(frame, preset=with_window("series_gru", input_shape=asked))
        assert about(data) == (48,)
    assert about(load_data(frame, preset=with_window("series_gru", input_shape=(None, 1))))[0] == 336
    assert about(load_data(frame, time="when")) == (96,)  # without a preset, as ever


def test_later_rows_have_no_say():
    one, two = series(1000, "h").drop(columns="when"), series(1000, "h").drop(columns="when")
    two.loc[701:] = np.random.default_rng(1).normal(size=(299, 2))
    line = "A window is 96 steps: 4 times the season, 24 steps, which the training rows show."
    for frame in (one, two):
        assert about(load_data(frame, preset="series_gru", target="load")) == (96, line)


def test_opening_hours_are_counted_in_rows():
    """Nine rows a day: an hour a step, and no row at the same hour is 24 rows before."""
    frame = series(6000, "h", period=24)
    frame = frame[frame["when"].dt.hour.between(8, 16)]
    frame = frame.assign(load=frame["when"].dt.hour.to_numpy() + np.random.default_rng(0).normal(0, 0.5, len(frame)))
    steps, line = about(load_data(frame, preset="series_gru", target="load"))
    assert steps == 99 and "11 times the season, 9 steps, which the training rows show" in line


def test_without_a_season_it_is_as_before():
    walk = pd.DataFrame({"price": np.random.default_rng(0).normal(size=1000).cumsum()})
    assert about(load_data(walk, preset="series_gru")) == (
        96, "A window is 96 steps: the training rows show no season.",
    )  # fmt: skip
    steps, line = about(load_data(walk[:240], preset="series_gru"))
    assert steps == 72 and "and 96 steps would be more than half of 168 training rows" in line


@pytest.mark.parametrize("period", [5, 12, 24, 169])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_the_period_of_a_noisy_wave_with_a_trend(period, noise):
    t, random = np.arange(3000), np.random.default_rng(period)
    wave = np.sin(2 * np.pi * t / period) + 0.002 * t + random.normal(0, noise, len(t))
    found = season_of(np.stack([wave, np.ones(len(t)), -3 * wave], axis=1), 500)
    assert found is not None and abs(found / period - round(found / period)) < 0.1


@pytest.mark.parametrize("rows", [40, 300, 3000])
def test_noise_and_walks_have_no_season(rows):
    random = np.random.default_rng(0)
    for _ in range(20):
        noise = random.normal(size=(rows, 1))
        assert season_of(noise, rows // 6) is None and season_of(noise.cumsum(axis=0), rows // 6) is None
    assert season_of(np.ones((rows, 2)), rows // 6) is None


def test_a_second_series_to_test_on_is_not_too_short_for_it():
    frame = series(3000, "h")
    data = load_data(frame, preset="series_gru", test=series(200, "h", "2022-01-01"))
    steps, line = about(data)
    assert steps == 96 and "336 steps would be more than the test series has" in line
    assert len(data.test) == 200 - 96 - 24 + 1
    with pytest.raises(KzooError, match="The test part of 'table' has 30 rows"):
        load_data(frame, preset="series_transformer", test=series(30, "h", "2022-01-01"))


def test_a_window_of_many_columns_is_no_longer_than_memory_bears():
    wide = pd.DataFrame(np.random.default_rng(0).normal(size=(1500, 300)), columns=[f"c{i}" for i in range(300)])
    wide.insert(0, "when", pd.date_range("2024-01-01", periods=1500, freq="h"))
    steps, line = about(load_data(wide, preset="series_linear", target="c0"))
    assert steps == 96 and "336 steps would be more than 50,000 numbers. For that, use input_shape=336" in line


def test_windows_are_long_enough_for_patches():
    data = load_data(series(100, "h"), preset=with_window("series_transformer", horizon=3, patch_size=40))
    assert data.input_shape[0] == 40
    assert kzoo.build("series_transformer", data=data, patch_size=40, horizon=3, compile=False).input_shape[1] == 40


def test_a_network_without_data_and_what_else_may_not_be_left_open():
    assert kzoo.build("series_gru", compile=False).input_shape == (None, 96, 1)
    spec = kzoo.spec_of(kzoo.build("series_gru", compile=False, input_shape=(None, 2), outputs=2))
    assert spec["config"]["input_shape"] == (96, 2)
    for preset, shape in (("digits_cnn", (None, 8, 1)), ("tabular_fnn", (None,)), ("series_gru", (None,))):
        with pytest.raises(KzooError, match="leaves open what is not the steps of a series"):
            kzoo.build(preset, input_shape=shape)
    with pytest.raises(KzooError, match="input_shape=None has the wrong type"):
        kzoo.build("series_gru", input_shape=(96, None))
    with pytest.raises(KzooError, match="Did you mean 'input_shape'"):
        kzoo.build("series_gru", window=48)
