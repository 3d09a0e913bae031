"""The default length of a window: two seasons at least, of the calendar or of the training rows."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from, refuses

import kzoo
from kzoo import get_preset, load_data
from kzoo.data.inputs.series.season import detect_season
from kzoo.zoo.registry import resolve, with_settings


def series(rows, step, start="2021-01-01", period=24):
    random = np.random.default_rng(0)
    load = np.sin(2 * np.pi * np.arange(rows) / period) + random.normal(0, 0.1, rows)
    return pd.DataFrame(
        {"when": pd.date_range(start, periods=rows, freq=step), "load": load, "heat": 2 * load + 1}
    )


def about(data):
    """Return the steps of its windows and the notes about them."""
    steps = data.input_shape[0]
    return steps, *(note for note in data.notes if not missing_from(note, [f"{steps} steps"]))


def with_window(preset, **settings):
    return with_settings(get_preset(preset), *resolve(get_preset(preset), settings))


@pytest.mark.parametrize(
    ("rows", "step", "steps", "parts"),
    [
        (3000, "h", 336, ("2 weeks", "2", "168 steps", "1 week")),
        (3000, "30min", 672, ("2 weeks", "2", "336 steps", "1 week")),
        (
            5000,
            "15min",
            192,
            ("2 days", "2", "96 steps", "1 day", "1,344 steps", "1,000 steps", "input_shape=1344"),
        ),
        (1000, "D", 98, ("14 weeks", "14", "7 steps", "1 week")),
        (1000, "B", 100, ("100 days", "20", "5 steps", "5 days")),
        (400, "MS", 96, ("8 years", "8", "12 steps", "1 year")),
        (400, "h", 96, ("4 days", "4", "24 steps", "1 day", "336 steps", "280", "input_shape=336")),
        (260, "MS", 72, ("6 years", "6", "12 steps", "1 year")),
        (1000, "7h", 96, ("4", "24 steps", "training")),
    ],
)
def test_two_of_the_longest_season_that_fits(rows, step, steps, parts):
    data = load_data(series(rows, step), preset="series_linear", target="load")
    length, note = about(data)
    assert length == steps
    assert_mentions(note, f"{steps} steps", "season", *parts)
    assert ("input_shape=" in note) == ("input_shape=" in parts[-1])
    assert len(data.train) >= data.train.x.length / 2 and data.train.x.length == steps


@pytest.mark.parametrize(
    ("rows", "horizon", "steps"),
    [(60, 6, 24), (60, 8, 24), (60, 9, 16), (60, 10, 15), (72, 12, 24), (72, 14, 15)],
)
@pytest.mark.parametrize("count", [1, 5])
def test_two_seasons_of_few_rows_if_windows_begin_in_each_month(rows, horizon, steps, count):
    """Training rows are those before two horizons at the end; half of them, less the horizon, are too few."""
    shops = pd.concat([series(rows, "MS").assign(shop=f"s{i}") for i in range(count)])
    data = load_data(
        shops,
        preset=with_window("series_linear", horizon=horizon),
        time="when",
        series_id="shop",
        target="load",
        test=0.1,
    )
    length, note = about(data)
    assert length == steps
    training = rows - 2 * horizon
    begins = len(np.unique(data.train.y.moments))
    assert begins == training - horizon - steps + 1
    if steps == 24:
        assert begins >= 12
        assert_mentions(note, "2 times the season", "12 steps")
    else:
        assert training - horizon - 24 + 1 < 12


def test_a_window_of_the_user_wins_and_has_no_note():
    frame = series(3000, "h")
    for shape in (48, (48, 1)):
        data = load_data(frame, preset=with_window("series_gru", input_shape=shape))
        assert about(data) == (48,)
    assert (
        about(load_data(frame, preset=with_window("series_gru", input_shape=(None, 1))))[0] == 336
    )
    assert about(load_data(frame, time="when")) == (96,)  # without a preset


def test_the_season_is_that_of_the_training_rows():
    one = series(1000, "h").drop(columns="when")
    two = series(1000, "h").drop(columns="when")
    two.loc[701:] = np.random.default_rng(1).normal(size=(299, 2))
    for frame in (one, two):
        steps, note = about(load_data(frame, preset="series_gru", target="load"))
        assert steps == 96
        assert_mentions(note, "season", "4", "24 steps", "training")


def test_opening_hours_are_counted_in_rows():
    """With nine rows a day of an hour each, the row of the same hour is 9 rows before, not 24."""
    frame = series(6000, "h", period=24)
    frame = frame[frame["when"].dt.hour.between(8, 16)]
    frame = frame.assign(
        load=frame["when"].dt.hour.to_numpy() + np.random.default_rng(0).normal(0, 0.5, len(frame))
    )
    steps, note = about(load_data(frame, preset="series_gru", target="load"))
    assert steps == 99
    assert_mentions(note, "season", "11", "9 steps", "training")


def test_without_a_season_a_window_has_the_usual_length():
    walk = pd.DataFrame({"price": np.random.default_rng(0).normal(size=1000).cumsum()})
    steps, note = about(load_data(walk, preset="series_gru"))
    assert steps == 96
    assert_mentions(note, "no season", "training")
    steps, note = about(load_data(walk[:240], preset="series_gru"))
    assert steps == 72
    assert_mentions(note, "no season", "96 steps", "168", "training")


@pytest.mark.parametrize("period", [5, 12, 24, 169])
@pytest.mark.parametrize("noise", [0.05, 0.5])
def test_the_period_of_a_noisy_wave_with_a_trend(period, noise):
    t = np.arange(3000)
    random = np.random.default_rng(period)
    wave = np.sin(2 * np.pi * t / period) + 0.002 * t + random.normal(0, noise, len(t))
    season = detect_season(np.stack([wave, np.ones(len(t)), -3 * wave], axis=1), 500)
    assert season is not None and abs(season / period - round(season / period)) < 0.1


@pytest.mark.parametrize("rows", [40, 300, 3000])
def test_noise_and_walks_have_no_season(rows):
    random = np.random.default_rng(0)
    for _ in range(20):
        noise = random.normal(size=(rows, 1))
        assert (
            detect_season(noise, rows // 6) is None
            and detect_season(noise.cumsum(axis=0), rows // 6) is None
        )
    assert detect_season(np.ones((rows, 2)), rows // 6) is None


def test_a_second_series_to_test_on_is_not_too_short_for_it():
    frame = series(3000, "h")
    data = load_data(frame, preset="series_gru", test=series(200, "h", "2022-01-01"))
    steps, note = about(data)
    assert steps == 96
    assert_mentions(note, "336 steps", "test", "input_shape=336")
    assert len(data.test) == 200 - 96 - 24 + 1
    with refuses("test", "'table'", "30 rows", "16 steps", "24"):
        load_data(frame, preset="series_transformer", test=series(30, "h", "2022-01-01"))


def test_a_window_of_many_columns_is_limited_by_memory():
    wide = pd.DataFrame(
        np.random.default_rng(0).normal(size=(1500, 300)), columns=[f"c{i}" for i in range(300)]
    )
    wide.insert(0, "when", pd.date_range("2024-01-01", periods=1500, freq="h"))
    steps, note = about(load_data(wide, preset="series_linear", target="c0"))
    assert steps == 96
    assert_mentions(note, "336 steps", "50,000", "input_shape=336")


def test_windows_are_long_enough_for_patches():
    data = load_data(
        series(100, "h"), preset=with_window("series_transformer", horizon=3, patch_size=40)
    )
    assert data.input_shape[0] == 40
    assert (
        kzoo.build(
            "series_transformer", data=data, patch_size=40, horizon=3, compile=False
        ).input_shape[1]
        == 40
    )


def test_only_the_steps_of_a_series_may_be_none():
    assert kzoo.build("series_gru", compile=False).input_shape == (None, 96, 1)
    spec = kzoo.spec_of(kzoo.build("series_gru", compile=False, input_shape=(None, 2), outputs=2))
    assert spec["config"]["input_shape"] == (96, 2)
    for preset, shape in (
        ("digits_cnn", (None, 8, 1)),
        ("tabular_fnn", (None,)),
        ("series_gru", (None,)),
    ):
        with refuses(f"input_shape={shape}", "(steps, features)"):
            kzoo.build(preset, input_shape=shape)
    with refuses("input_shape=None", "type", "1"):
        kzoo.build("series_gru", input_shape=(96, None))
    with refuses("'window'", "series_gru", "'input_shape'"):
        kzoo.build("series_gru", window=48)
