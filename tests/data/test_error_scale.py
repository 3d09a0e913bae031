"""The size of the errors of a series by itself, beside a loop in NumPy: in training, of new rows, and of arrays."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.inference.encode import encode_named
from kzoo.inference.kinds.series.error_scale import EMPTY, FLOOR, error_scale
from kzoo.problems.kinds import kind_of
from kzoo.training.conformal import error_scale_of
from kzoo.zoo.registry import get_preset


def reference(values, season, real=None):
    """Return the scale of a window (steps,) of one target, computed pair by pair."""
    real = [True] * len(values) if real is None else real

    def differences(lag):
        return [
            abs(values[i] - values[i - lag])
            for i in range(lag, len(values))
            if real[i] and real[i - lag]
        ]

    chosen = (
        differences(season)
        if len(differences(season)) >= max(4, 3 / 4 * season)
        else differences(1)
    )
    size = np.mean([abs(value) for value, known in zip(values, real, strict=True) if known] or [0])
    scale = max(np.mean(chosen) if chosen else 0, FLOOR * size)
    return scale if scale > 0 else EMPTY


def windows(count=5, steps=30, targets=2, seed=0):
    return np.random.default_rng(seed).normal(50, 9, (count, steps, targets))


@pytest.mark.parametrize("season", [1, 7, 12, 17, 18, 40])
def test_it_is_the_mean_absolute_seasonal_difference(season):
    x = windows()
    expected = [[reference(column, season) for column in window.T] for window in x]
    np.testing.assert_allclose(error_scale(x, season), expected)
    np.testing.assert_allclose(error_scale(x, season, targets=1), np.array(expected)[:, :1])
    if season > 17:  # too few pairs
        np.testing.assert_allclose(error_scale(x, season), error_scale(x, 1))


def test_filled_values_do_not_count():
    x = windows()
    real = np.random.default_rng(1).random(x.shape) > 0.3
    changed = np.where(real, x, 1e9)
    expected = [
        [reference(*pair) for pair in zip(window.T, [7] * 2, known.T, strict=True)]
        for window, known in zip(x, real, strict=True)
    ]
    np.testing.assert_allclose(error_scale(changed, 7, real=real), expected)


def test_repeated_first_rows_do_not_count():
    x = windows(steps=20)
    padded = np.concatenate([np.repeat(x[:, :1], 15, axis=1), x], axis=1)
    np.testing.assert_allclose(error_scale(padded, 7), error_scale(x, 7))
    # a row that differs in another column is one of the series
    phase = np.arange(35.0)[None, :, None].repeat(len(x), axis=0)
    both = np.concatenate([padded, phase], axis=2)
    assert (error_scale(both, 7, targets=2) < error_scale(padded, 7)).all()


@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e3, 1e6])
def test_it_follows_the_scale_and_not_the_level(factor):
    x = windows()
    np.testing.assert_allclose(error_scale(factor * x, 7), factor * error_scale(x, 7), rtol=1e-9)
    np.testing.assert_allclose(error_scale(x - 40, 7), error_scale(x, 7))


def test_constant_windows_have_a_floor():
    assert error_scale(np.full((1, 9, 1), 40.0), 3).item() == pytest.approx(40 * FLOOR)
    assert error_scale(np.zeros((1, 9, 1)), 3).item() == EMPTY
    nothing = error_scale(np.ones((1, 9, 1)), 3, real=np.zeros((1, 9, 1), bool))
    assert nothing.item() == EMPTY
    # far above its changes, a series has the floor of its level
    assert error_scale(windows() + 1e6, 7).min() == pytest.approx(FLOOR * 1e6, rel=1e-3)


def test_many_windows_are_computed_in_parts(monkeypatch):
    x, real = windows(count=11), np.random.default_rng(2).random((11, 30, 2)) > 0.2
    whole = error_scale(x, 7, real=real)
    monkeypatch.setattr("kzoo.inference.kinds.series.error_scale._AT_ONCE", 4 * 60)
    np.testing.assert_array_equal(error_scale(x, 7, real=real), whole)


def table(lengths=(90, 80, 25), missing=True, seed=0):
    """Return daily rows of shops of different size; some sales are missing."""
    random = np.random.default_rng(seed)
    frames = []
    for number, days in enumerate(lengths):
        sales = 10.0 ** (2 * number) * (10 + random.normal(0, 1, days))
        if missing:
            sales[[2, 3, -21]] = np.nan
        times = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        frames.append(pd.DataFrame(dict(shop=f"s{number}", day=times, sales=sales)))
    return pd.concat(frames)


OPTIONS = dict(target="sales", series_id="shop", time="day")


@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
@pytest.mark.parametrize("missing", [False, True])
def test_training_rows_and_new_rows_have_the_same_scale(missing):
    frame = table(missing=missing)
    preset = get_preset("series_linear")
    preset = replace(preset, config={**preset.config, "horizon": 3, "input_shape": (28, 1)})
    data = kzoo.load_data(frame, preset=preset, **OPTIONS)
    part = data.test
    trained = error_scale_of(data, part)
    codes, starts = part.y.series.codes, part.y.starts
    assert len(set(codes.tolist())) == 3  # of a short one, too
    for row in range(len(part)):
        shop = data.test.y.series.names[codes[row]]
        before = int(starts[row] - part.y.series.firsts[codes[row]])
        rows = frame[frame["shop"] == shop].iloc[:before]
        encoded = encode_named(data.preprocessing, rows)
        inference = kind_of(data.preprocessing).inference
        new = inference.error_scale(data.preprocessing, encoded.x)
        np.testing.assert_allclose(new, trained[row : row + 1], rtol=1e-5)
        values = rows["sales"].to_numpy("float32").astype("float64")[-28:]
        known = np.isfinite(values)
        expected = reference(np.nan_to_num(values), 7, known)
        assert new.item() == pytest.approx(expected, rel=1e-6)
        if not missing:  # an array has no other knowledge of its rows than its values
            own = inference.error_scale(data.preprocessing, encoded.x.copy())
            np.testing.assert_allclose(own, new)


def test_many_windows_of_one_series_are_read_in_parts(monkeypatch):
    values = windows(count=7)
    whole = error_scale(values, 4, real=np.ones(1, bool))
    assert whole == pytest.approx(error_scale(values, 4, real=np.ones(values.shape, bool)))
    module = import_module("kzoo.inference.kinds.series.error_scale")
    monkeypatch.setattr(module, "_AT_ONCE", 2 * values[0].size)
    assert np.array_equal(error_scale(values, 4, real=np.ones(1, bool)), whole)
