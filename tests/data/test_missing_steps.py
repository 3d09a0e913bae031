"""Steps without a row: in training and in new rows, every value stands on the calendar, so that no season moves.

The class of faults: rows around a gap counted as consecutive, which moves the season by the length of the gap.
"""

import warnings
from functools import partial

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.data import load_data
from kzoo.data.load import load
from kzoo.data.options import OptionsOfBefore
from kzoo.data.reload import load_again
from kzoo.inference.encode import encode
from kzoo.inference.kinds.series.calendar import learn_calendar
from kzoo.inference.kinds.series.seasonal_fill import carried
from kzoo.inference.kinds.series.steps import SEVERAL_SEASONS, Steps, fill_targets
from kzoo.inference.kinds.series.times import Moments
from kzoo.utils.errors import KzooWarning

RIDGE = "ridge_windows"


def monthly(years=20, level=500.0):
    """Return sales with a trend and a peak in January."""
    days = pd.date_range("2000-01-01", periods=12 * years, freq="MS")
    noise = np.random.default_rng(0).normal(0, 0.01, len(days))
    sales = (
        level
        * (1 + np.arange(len(days)) / 500)
        * (1 + (days.month == 1) + 0.02 * days.month + noise)
    )
    return pd.DataFrame({"day": days, "sales": sales})


def hourly(days=40):
    times = pd.date_range("2024-01-01", periods=24 * days, freq="h")
    load = (
        100
        + 50 * np.cos(2 * np.pi * (times.hour - 15) / 24)
        + np.random.default_rng(0).normal(0, 1, len(times))
    )
    return pd.DataFrame({"time": times, "load": load})


def preset(steps, horizon):
    base = kzoo.get_preset("series_linear")
    return kzoo.zoo.registry.with_settings(
        base, {**base.config, "input_shape": (steps, 1), "horizon": horizon}, base.training
    )


def fitted(source, folder, steps, horizon, **options):
    with untraced(), undrawn():
        return kzoo.baselines.train(
            RIDGE, load_data(source, preset=preset(steps, horizon), **options), out=folder
        )


@pytest.fixture(scope="module")
def months(tmp_path_factory):
    return fitted(monthly(), tmp_path_factory.mktemp("months") / "run", 24, 12)


def test_a_missing_month_of_new_rows_does_not_move_january(months, tmp_path):
    frame = monthly()
    whole = kzoo.predict(months, frame).values[0, :, 0]
    model = kzoo.runtime.load(kzoo.export(months, tmp_path / "export", formats=["onnx"]).path)
    for row in (-4, -12, -20):  # January is one of them
        new = frame.drop(index=len(frame) + row)
        missing = frame["day"].iloc[row]
        before, after = (f"{missing + pd.DateOffset(months=count):%Y-%m-%d}" for count in (-1, 1))
        for predict in (partial(kzoo.predict, months), model.predict):
            with warns("1 row", "missing", before, after, "12 steps"):
                predictions = predict(new)
            np.testing.assert_allclose(predictions.values[0, :, 0], whole, rtol=0.05)
            history = predictions.history_times[0]
            assert [time.month for time in history] == [1 + i % 12 for i in range(24)]
            assert predictions.times[0][0].month == 1


def test_missing_hours_of_new_rows_do_not_move_the_daily_maximum(tmp_path):
    frame = hourly()
    run = fitted(frame, tmp_path / "run", 48, 24)
    with warns("6 rows", "missing", "24 steps"):
        forecast = kzoo.predict(run, frame.drop(index=range(len(frame) - 20, len(frame) - 14)))
    assert forecast.times[0][int(forecast.values[0, :, 0].argmax())].hour in (14, 15, 16)


def test_a_month_that_is_always_missing_leaves_a_season_of_12(tmp_path):
    frame = monthly()[lambda rows: rows["day"].dt.month != 8]
    run = fitted(frame, tmp_path / "run", 24, 12)
    notes = load_data(frame, preset=preset(24, 12)).notes
    assert notes_with(notes, "20 rows", "missing", "12 steps") and notes_with(
        notes, "filled in", "scoring", "train"
    )
    with pytest.warns(KzooWarning):
        forecast = kzoo.predict(run, frame)
    assert [time.month for time in forecast.times[0]] == list(range(1, 13))
    assert forecast.values[0, :, 0].argmax() == 0
    # the default window, too
    assert load_data(frame, preset="series_linear").config["input_shape"][0] % 12 == 0


def test_rows_are_missing_in_half_of_a_window(months):
    frame = monthly()
    with refuses("13 of the 24", "24 steps", "missing", "half"):
        kzoo.predict(months, frame.drop(index=range(len(frame) - 14, len(frame) - 1)))
    with warns("11 rows", "missing"):
        forecast = kzoo.predict(months, frame.drop(index=range(len(frame) - 12, len(frame) - 1)))
    assert forecast.values[0, :, 0].argmax() == 0


def test_scores_of_rows_with_gaps(months):
    frame = monthly()
    with warns("1 row", "missing"), warns("windows", "excluded"):
        scores = kzoo.evaluate(months, frame.drop(index=200), n_windows=3)
    whole = kzoo.evaluate(months, frame)
    assert scores["mae"] == pytest.approx(whole["mae"], rel=0.2)


def test_training_rows_with_random_gaps_keep_their_season():
    frame = hourly()
    kept = frame[np.random.default_rng(0).random(len(frame)) > 0.03]
    data = load_data(kept, preset=preset(48, 24))
    x, y = data.train.x[:][..., 0], data.train.y[:][..., 0]
    clock = np.cos(2 * np.pi * (np.arange(72) - 15) / 24)
    phases = [np.abs(np.fft.rfft(window)[3]) for window in np.concatenate([x, y], axis=1)]
    assert min(phases) > 30 * 36  # a daily wave of the full size in every window and its horizon
    assert (
        len(clock) == 72
        and notes_with(data.notes, "rows", "missing")
        and notes_with(data.notes, "excluded")
    )


def test_a_gap_that_is_too_long_divides_a_series():
    frame = hourly()
    data = load_data(frame.drop(index=range(400, 650)), preset=preset(48, 24))
    assert notes_with(data.notes, "2024-01-17 15:00", "2024-01-28 02:00", "too long")
    assert len(data.train.x.values) == len(frame) - 250
    starts = data.train.x.starts
    assert not ((starts < 400) & (starts + 72 > 400)).any()
    x = encode(data.preprocessing, frame.drop(index=range(400, 650)))
    np.testing.assert_allclose(x[0, :, 0], frame["load"].iloc[-48:], rtol=1e-6)


def test_a_run_on_rows_with_gaps_reads_them_again(tmp_path):
    """The data of a run is read with the length of its windows, which was found when it was read first."""
    frame = hourly(20).drop(index=range(100, 180))
    with untraced(), undrawn():
        run = kzoo.train(
            "series_linear", frame, out=tmp_path / "run", horizon=6, epochs=1, progress=False
        )
    assert load_again(run.spec, run.data, frame).fingerprint == run.data.fingerprint


def test_rows_of_one_step_are_one_step():
    frame = hourly()
    twice = pd.concat([frame, frame.iloc[[500, -5]].assign(load=0.0)])
    data = load_data(twice, preset=preset(48, 24))
    assert notes_with(data.notes, "2 rows repeat", "'time'", "2024-01-21 20:00", "last")
    assert data.train.x.values.shape == (len(frame), 1) and data.train.x.values[500, 0] == 0
    with warns("1 row repeats", "'time'", "last"):
        x = encode(data.preprocessing, twice)
    assert x[0, -5, 0] == 0 and x[0, 0, 0] == pytest.approx(frame["load"].iloc[-48])
    half_hours = frame.assign(time=pd.date_range("2024-01-01", periods=len(frame), freq="30min"))
    with refuses("1 hour", "30 minutes"):
        encode(data.preprocessing, half_hours)


def panel():
    return pd.concat(
        [
            monthly(level=level).assign(shop=shop)
            for shop, level in (("a", 500), ("b", 50), ("c", 5e4))
        ]
    )


def test_a_missing_month_of_a_panel_moves_no_series(tmp_path):
    frame = panel().reset_index(drop=True)
    run = fitted(frame, tmp_path / "run", 24, 12, target="sales", series_id="shop")
    whole = kzoo.predict(run, frame).values[..., 0]
    model = kzoo.runtime.load(kzoo.export(run, tmp_path / "export", formats=["onnx"]).path)
    new = frame.drop(index=frame.index[(frame["shop"] == "b") & (frame["day"] == "2019-06-01")])
    for predict in (partial(kzoo.predict, run), model.predict):
        with warns("1 row", "'b'", "2019-05-01", "2019-07-01", "12 steps"):
            forecast = predict(new)
        np.testing.assert_allclose(forecast.values[..., 0], whole, rtol=0.05)
        assert [time.month for time in forecast.history_times[1]] == [1 + i % 12 for i in range(24)]
    short = frame.drop(
        index=frame.index[
            (frame["shop"] == "b") & (frame["day"] > "2018-01-01") & (frame["day"] < "2019-09-01")
        ]
    )
    with warns("1 of 3 series", "'b'", "last gap"), warns("rows", "missing"):
        forecast = kzoo.predict(run, short)
    np.testing.assert_allclose(forecast.values[[0, 2], :, 0], whole[[0, 2]], rtol=1e-5)
    without = frame[frame["day"].dt.month != 8]
    data = load_data(without, preset=preset(24, 12), target="sales", series_id="shop")
    januaries = data.train.x.series.numbers[data.train.x.starts] % 12 == 0
    assert januaries.any() and (data.train.x[:][januaries, :, 0].argmax(axis=1) % 12 == 0).all()


def test_values_that_are_filled_in_follow_season_and_trend():
    season = np.tile([5.0, 1, 2, 8], 10)
    trend = np.arange(40) * 0.5
    for missing in ([9], [9, 10, 11], range(9, 20), [0 + 6, 7, 30], [4, 5, 6]):
        values = (season + trend)[:, None].copy()
        values[list(missing)] = np.nan
        filled = fill_targets(values, np.array([0, 40]), 4)
        np.testing.assert_allclose(values[:, 0], season + trend)
        assert np.flatnonzero(filled).tolist() == list(missing)
    first = (season + trend)[:, None].copy()
    first[[1, 2]] = np.nan  # from the season after it
    fill_targets(first, np.array([0, 40]), 4)
    np.testing.assert_allclose(first[:, 0], season + trend)
    line = np.arange(10.0)[:, None]
    line[[3, 4, 8, 9]] = np.nan
    fill_targets(line, np.array([0, 10]), None)
    assert line[:, 0].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 7, 7]


def test_values_that_are_filled_in_from_several_seasons():
    """Season and trend exactly; with noise nearer to the truth than one season; never below 0."""
    season = np.tile([5.0, 1, 2, 8], 10)
    trend = np.arange(40) * 0.5
    for missing in ([9], [9, 10, 11], range(9, 20), [6, 7, 30], [4, 5, 6], [0, 1, 2], [38, 39]):
        values = (season + trend)[:, None].copy()
        values[list(missing)] = np.nan
        filled = fill_targets(values, np.array([0, 40]), 4, SEVERAL_SEASONS)
        np.testing.assert_allclose(values[:, 0], season + trend)
        assert np.flatnonzero(filled).tolist() == list(missing)
    draw = np.random.default_rng(0)
    errors = {"": 0.0, SEVERAL_SEASONS: 0.0}
    for _ in range(30):
        truth = 100 + np.tile([50.0, 0, 10, 20], 15) + draw.normal(0, 10, 60)
        gone = draw.random(60) < 0.1
        for fill in errors:
            values = np.where(gone, np.nan, truth)[:, None]
            fill_targets(values, np.array([0, 60]), 4, fill)
            assert np.isfinite(values).all()
            errors[fill] += np.abs(values[:, 0] - truth).sum()
    assert errors[SEVERAL_SEASONS] < 0.9 * errors[""]
    sales = np.tile([0.0, 0, 0, 9], 6)[:, None]
    sales[12] = 5.0
    sales[14] = np.nan
    sales[20:23] = np.nan
    fill_targets(sales, np.array([0, 24]), 4, SEVERAL_SEASONS)
    assert (sales >= 0).all()
    # several parts are filled in as each by itself, a small one beside one that is a million times as large
    levels = [1.0, 1e6, 1e-3]
    alone = [
        np.where(draw.random(40) < 0.2, np.nan, level * (season + draw.normal(0, 0.1, 40)))[:, None]
        for level in levels
    ]
    together = np.concatenate(alone)
    fill_targets(together, np.array([0, 40, 80, 120]), 4, SEVERAL_SEASONS)
    for index, (level, values) in enumerate(zip(levels, alone, strict=True)):
        fill_targets(values, np.array([0, 40]), 4, SEVERAL_SEASONS)
        np.testing.assert_allclose(
            together[40 * index : 40 * index + 40], values, atol=1e-9 * level
        )
    # two parts, of which one has no whole season: the other's values are not used
    parts = np.concatenate([np.arange(20.0) % 4, [50.0, np.nan, 70]])[:, None]
    parts[9] = np.nan
    fill_targets(parts, np.array([0, 20, 23]), 4, SEVERAL_SEASONS)
    np.testing.assert_allclose(parts[[9, 21], 0], [1, 60])


def test_what_is_carried_into_a_gap_is_the_expectation_of_an_autoregressive_process():
    """Of a known autocorrelation, against the normal distribution of all steps given those around the gap."""
    draw = np.random.default_rng(1)
    values = np.zeros(4000)
    for step in range(1, 4000):
        values[step] = 0.9 * values[step - 1] + draw.normal()
    gone = np.zeros(4000, bool)
    gone[1000:1005] = gone[3998:] = True
    column = np.where(gone, np.nan, values)
    fading = carried(column, np.array([0, 4000]))
    both = ~gone[1:] & ~gone[:-1]
    own = (column[1:] * column[:-1])[both].sum() / (column[:-1] ** 2)[both].sum()
    covariance = own ** np.abs(np.subtract.outer(np.arange(7), np.arange(7)))
    known, inside = [0, 6], slice(1, 6)
    weights = covariance[inside, known] @ np.linalg.inv(covariance[np.ix_(known, known)])
    np.testing.assert_allclose(fading[1000:1005], weights @ values[[999, 1005]], rtol=1e-9)
    np.testing.assert_allclose(fading[3998:], values[3997] * own ** np.array([1, 2]), rtol=1e-9)


def test_rows_that_are_missing_before_the_first_are_filled_in(months, tmp_path):
    """A table of just one window may lack its first rows, too: their season is known from those after them."""
    frame = monthly()
    whole = kzoo.predict(months, frame).values[0, :, 0]
    model = kzoo.runtime.load(kzoo.export(months, tmp_path / "export", formats=["onnx"]).path)
    for predict in (partial(kzoo.predict, months), model.predict):
        with warns("3 rows", "before 2018-04-01", "12 steps"):
            forecast = predict(frame.iloc[-21:])
        np.testing.assert_allclose(forecast.values[0, :, 0], whole, rtol=0.1)
        assert forecast.history_times[0][0].month == 1
        assert len(forecast.history_times[0]) == 24
        with refuses("24 rows", "got 12"):
            predict(frame.iloc[-12:])


def test_holes_cost_little_and_are_rarely_refused(months):
    """1 and 3 % of the rows at random, 10 % in blocks: the error of ten origins, and January where it was."""
    frame = monthly()
    origins = range(len(frame) - 32, len(frame) - 11, 4)
    for share, most in ((0.01, 1.05), (0.03, 1.05), (0.1, 1.15)):
        errors = np.zeros(2)
        for origin in origins:
            draw = np.random.default_rng(origin)
            gone = draw.random(origin) < share
            if share == 0.1:
                gone = np.convolve(draw.random(origin) < share / 4, np.ones(4))[:origin] > 0
            gone[-1] = False
            truth = frame["sales"].to_numpy()[origin : origin + 12]
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", KzooWarning)
                for index, past in enumerate((frame[:origin], frame[:origin][~gone])):
                    forecast = kzoo.predict(months, past).values[0, :, 0]
                    errors[index] += np.abs(forecast - truth).mean()
                    assert forecast.argmax() == truth.argmax()
        assert errors[1] <= most * errors[0]


def test_a_tenth_of_the_training_rows_is_missing_here_and_there(tmp_path):
    """More than a tenth of the intervals are longer than the step, which is still known: no season moves."""
    frame = monthly()
    kept = frame[np.random.default_rng(4).random(len(frame)) > 0.15]
    run = fitted(kept, tmp_path / "run", 24, 12)
    assert run.preprocessing["calendar"]["step"] == "months"
    for new in (frame, kept):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", KzooWarning)
            forecast = kzoo.predict(run, new)
        assert forecast.times[0][int(forecast.values[0, :, 0].argmax())].month == 1
    before = load(kept, preset(24, 12), OptionsOfBefore())
    assert "calendar" not in before.preprocessing
    random = np.random.default_rng(0)
    for freq, step in (("MS", "months"), ("D", "days"), ("h", "seconds"), ("B", "business days")):
        times = pd.date_range("2020-01-01", periods=60, freq=freq).to_numpy("M8[us]")
        rows = times[np.sort(random.permutation(60)[:54])]
        calendar = learn_calendar(Moments(rows, rows), "time")
        assert (calendar.step, calendar.every) == (step, 3600 if freq == "h" else 1)
    hours = pd.date_range("2024-01-01", periods=24 * 30, freq="h")
    opening = hours[(hours.hour >= 9) & (hours.hour < 18)].to_numpy("M8[us]")
    assert learn_calendar(Moments(opening, opening), "time") is None
    noise = hours.to_numpy("M8[us]") + (random.random(720) * 3e9).astype("m8[us]")
    assert learn_calendar(Moments(noise, noise), "time") is None


def test_few_missing_rows_leave_the_windows_to_learn_from():
    """A month that is missing costs the window that it is just before, not the twelve that forecast it."""
    frame = monthly()
    gone = [50, 90, 130]
    whole = load_data(frame, preset=preset(24, 12))
    data = load_data(frame.drop(index=gone), preset=preset(24, 12))
    assert len(data.train) >= len(whole.train) - 3 * 2
    assert notes_with(data.notes, "(train)", "for learning, too.")
    before = load(frame.drop(index=gone), preset(24, 12), OptionsOfBefore())
    assert len(before.train) < len(data.train) - 24


def test_filled_values_are_not_scored():
    """Of a long horizon, most windows have one: the others are enough to score, not to learn from."""
    frame = hourly(120)
    gone = np.random.default_rng(0).random(len(frame)) < 0.02
    gone[-1] = False
    data = load_data(frame[~gone], preset=preset(48, 48), validation=0.2, test=0.2)
    for split, is_scored in ((data.train, False), (data.validation, True), (data.test, True)):
        cells = split.y.starts[:, None] + np.arange(48)
        assert gone[cells].any() != is_scored
        assert len(cells) >= 20
    before = load(frame[~gone], preset(48, 48), OptionsOfBefore())
    assert gone[before.test.y.starts[:, None] + np.arange(48)].any()
    assert "fill" not in before.preprocessing and data.preprocessing["fill"] == "seasons"


def test_steps_between_rows():
    steps = Steps.of(np.array([0, 1, 4, 5, 20, 3, 5]), np.array([0, 5, 7]), 5)
    assert steps.rows.tolist() == [0, 1, 1, 1, 2, 3, 4, 5, 5, 6]
    assert steps.since.tolist() == [0, 0, 1, 2, 0, 0, 0, 0, 1, 0]
    assert steps.parts.tolist() == [0, 6, 7, 10] and steps.of_rows.tolist() == [0, 1, 4, 5, 6, 7, 9]
    assert_mentions(
        " ".join(steps.notes(str, "12 steps")),
        "3 rows",
        "between 1 and 2",
        "12 steps",
        "between 3 and 4",
    )


def test_a_value_far_from_the_training_rows_is_named(tmp_path):
    frame = monthly().assign(price=5.0)
    data = load_data(frame, preset=preset(24, 12), target="sales")
    new = frame.assign(sales=frame["sales"].where(frame.index < len(frame) - 1, 1e9))
    with warns("'sales'", "1e+09", "2019-12-01", "training rows"):
        encode(data.preprocessing, new)
    many = load_data(panel(), preset=preset(24, 12), target="sales", series_id="shop")
    new = panel().reset_index(drop=True)
    new.loc[new.index[-3], "sales"] = -1e9
    with warns("'sales'", "-1e+09", "'c'", "2019-10-01", "training rows"):
        encode(many.preprocessing, new)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(data.preprocessing, frame.assign(sales=frame["sales"] * 1.5))
