"""A baseline that asks for longer windows than a network reads gets them, for the same targets."""

import numpy as np
import pandas as pd
import pytest

import kzoo
from kzoo.baselines import fit, score
from kzoo.data.store.longer import longer_windows
from kzoo.training.suggestions import preset_with_window

HORIZON = 6


def months(series=1, rows=120, missing=()):
    """Return monthly values of series with a season and a trend, without some of their rows."""
    rng = np.random.default_rng(0)
    t = np.arange(rows)
    frames = []
    for number in range(series):
        own = t[: rows - 7 * number]
        values = 50 + number + 0.2 * own + 10 * np.sin(2 * np.pi * own / 12)
        frame = {
            "shop": f"s{number}",
            "month": pd.date_range("2010-01-01", periods=len(own), freq="MS"),
        }
        frames.append(pd.DataFrame(frame | {"sales": values + rng.normal(0, 1, len(own))}))
    return pd.concat(frames, ignore_index=True).drop(index=list(missing))


def loaded(frame, steps, **options):
    preset = preset_with_window("series_linear", {"horizon": HORIZON, "input_shape": steps})
    frame = frame if "series_id" in options else frame.drop(columns="shop")
    return kzoo.load_data(frame, preset=preset, time="month", target="sales", **options)


def reference(frame, times, name, first, steps):
    """Return the last values before a step, of the month `first` and later, the first one repeated before it."""
    own = frame[(frame["shop"] == name) & (frame["month"] >= first)]["sales"].to_numpy()
    before = own[:times]
    return np.concatenate([np.full(max(steps - len(before), 0), before[0]), before[-steps:]])


@pytest.mark.parametrize("steps", [20, 60, 200])
def test_longer_windows_end_where_they_did_and_begin_with_their_series(steps):
    frame = months(series=3)
    data = loaded(frame, 12, series_id="shop")
    longer = longer_windows(data, steps)
    for part in ("train", "validation", "test"):
        short, long = getattr(data, part), getattr(longer, part)
        np.testing.assert_array_equal(long.y[:], short.y[:])
        assert long.x.shape == (len(short), steps, short.x.shape[2])
        np.testing.assert_array_equal(long.x[:][:, -12:], short.x[:])
        firsts = short.y.series.firsts
        for row in range(0, len(short), 7):
            code = short.y.series.codes[row]
            name = short.y.series.names[code]
            count = int(short.y.starts[row] - firsts[code])
            expected = reference(frame, count, name, frame["month"].min(), steps)
            np.testing.assert_allclose(long.x[row][:, 0], expected, rtol=1e-6)
    assert longer.input_shape[0] == longer.preprocessing["steps"] == steps
    assert longer_windows(data, 12) is data


def test_longer_windows_are_those_of_data_read_with_such_windows():
    frame = months(series=3, rows=60)
    longer, read = (
        longer_windows(loaded(frame, 12, series_id="shop"), 60).train,
        loaded(frame, 60, series_id="shop").train,
    )
    numbers = {window: i for i, window in enumerate(_windows_of(read))}
    own = [i for i, window in enumerate(_windows_of(longer)) if window in numbers]
    same = [numbers[_windows_of(longer)[i]] for i in own]
    assert len(same) > 20
    # also the calendar of later steps, before the first row
    np.testing.assert_array_equal(longer.x[np.array(own)], read.x[np.array(same)])


def _windows_of(part):
    return list(zip(part.y.series.codes.tolist(), part.y.moments.tolist(), strict=True))


def test_longer_windows_do_not_reach_over_a_long_gap():
    frame = months(rows=480, missing=range(200, 410))  # too many to be filled in
    data = loaded(frame, 12)
    windows = longer_windows(data, 60).test.x
    after = frame["sales"].to_numpy(np.float32)[200:]
    assert np.isin(windows[:][..., 0], after).all()
    assert (windows[:][..., 0] == after[0]).sum(axis=1).max() > 30  # repeated before


def test_a_baseline_that_asks_for_longer_windows_is_scored_on_the_same_targets():
    data = loaded(months(series=4), 12, series_id="shop")
    results = {result.name: result for result in score(data)}
    fitted = fit(data, "ets")
    outputs, truth = fitted.predict(data.test)
    np.testing.assert_array_equal(truth, data.test.y[:])
    steps = fitted.network().input_shape[1]
    assert steps > 48
    assert f"windows of {steps} steps" in " ".join(results["ets"].notes)
    mae = np.mean(np.abs(outputs - truth))
    assert results["ets"].scores["mae"] == pytest.approx(mae, rel=1e-5)
    # as if the data had been read with such windows
    longer = longer_windows(data, steps)
    assert fit(longer, "ets").predict(longer.test)[0] == pytest.approx(outputs, rel=1e-6)
    # a window without a whole season does not show it
    assert results["ets"].value < 0.5 * results["last_value"].value


def test_windows_as_long_as_a_baseline_asks_for_stay():
    data = loaded(months(rows=400), 150)
    assert fit(data, "ets").data is data
