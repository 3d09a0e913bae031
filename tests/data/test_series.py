"""Series: windows, the order of time, and that targets of one split stay out of the others."""

import re
import warnings
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns

import kzoo
from kzoo import get_preset
from kzoo.cli.option_names import with_option_names
from kzoo.cli.shared import parse_settings
from kzoo.data import load_data
from kzoo.data.inputs.series.windows import shorter_sizes
from kzoo.inference.encode import encode, with_times
from kzoo.inference.predictions import Predictions
from kzoo.problems.kinds import kind
from kzoo.utils.errors import KzooWarning
from kzoo.zoo.registry import resolve, with_settings


def preset(steps=12, horizon=3):
    base = get_preset("series_gru")
    return with_settings(
        base, {**base.config, "input_shape": (steps, 1), "horizon": horizon}, base.training
    )


def table(n=200):
    time = pd.date_range("2024-01-01", periods=n, freq="h")
    return pd.DataFrame(
        {
            "date": time.strftime("%Y-%m-%d %H:%M:%S"),
            "load": np.arange(n) * 1.0,
            "oil": np.arange(n) * -2.0,
        }
    )


def test_windows_and_targets(tmp_path):
    table().to_csv(tmp_path / "s.csv", index=False)
    data = load_data(tmp_path / "s.csv", preset=preset(), target="oil")
    assert (
        data.task == "forecasting"
        and data.feature_names == ("oil", "load")
        and data.target_names == ("oil",)
    )
    assert data.input_shape == (12, 2) and data.outputs == 1 and data.config["horizon"] == 3
    x, y = data.train.x[np.array([0, 7])], data.train.y[np.array([0, 7])]
    np.testing.assert_array_equal(x[..., 1], [np.arange(12), np.arange(7, 19)])
    np.testing.assert_array_equal(y[..., 0], [[-24, -26, -28], [-38, -40, -42]])


def test_splits_are_in_order_of_time():
    data = load_data(table(), preset=preset())
    assert data.outputs == 2
    steps = {name: getattr(data, name).y[:][..., 0] for name in ("train", "validation", "test")}
    # 70, 10 and 20 % of 200 rows; every row after the first window is a target of one split only.
    assert (steps["train"].min(), steps["train"].max()) == (12, 139)
    assert (steps["validation"].min(), steps["validation"].max()) == (140, 159)
    assert (steps["test"].min(), steps["test"].max()) == (160, 199)
    assert data.test.x[0][0, 0] == 148  # inputs may reach back


def test_scale_is_learned_on_training_rows():
    frame = table()
    one = load_data(frame, preset=preset())
    assert one.config["target_offset"] == pytest.approx([69.5, -139])
    frame.loc[140:, ["load", "oil"]] = 1e6
    two = load_data(frame, preset=preset())
    assert one.config == two.config and one.preprocessing == two.preprocessing
    assert one.fingerprint != two.fingerprint


def test_gaps_are_filled_in_and_order_is_restored():
    frame = table()
    frame.loc[50:52, "load"] = np.nan
    data = load_data(frame.sample(frac=1, random_state=0), preset=preset())
    # the load counts the hours, and so do the values that are filled in
    x = data.train.x[:][..., 0]
    assert set(np.diff(x).ravel()) == {1} and [49, 50, 51, 52, 53] in x[:, -5:].tolist()
    assert notes_with(data.notes, "3", "missing", "24 steps") and notes_with(
        data.notes, "'date'", "sorted"
    )


@pytest.mark.parametrize("format", ["%d.%m.%Y %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M"])
def test_days_and_months_keep_the_order(format):
    time = pd.date_range("2024-01-01", periods=200, freq="7h")
    frame = table().assign(date=time.strftime(format))
    data = load_data(frame.sample(frac=1, random_state=0), preset=preset())
    np.testing.assert_array_equal(data.train.x[7][:, 0], np.arange(7, 19))


def test_new_rows_are_sorted_by_the_same_column():
    frame = table().assign(typed=lambda f: f["date"][::-1].to_numpy())
    frame = frame[["typed", "date", "load", "oil"]]  # the first dates are not those of `time`
    data = load_data(frame, preset=preset(), time="date")
    x = encode(data.preprocessing, frame.sample(frac=1, random_state=0))
    np.testing.assert_array_equal(x[0, :, 0], np.arange(188, 200))


def test_encode_the_latest_rows():
    frame = table()
    data = load_data(frame, preset=preset(), target="oil")
    x = encode(data.preprocessing, frame)
    np.testing.assert_array_equal(x[0, :, 1], np.arange(188, 200))
    np.testing.assert_array_equal(
        encode(data.preprocessing, data.test.x[np.array([3])]), data.test.x[np.array([3])]
    )
    with refuses("12 rows", "5"):
        encode(data.preprocessing, frame.tail(5))


@pytest.mark.parametrize(
    "frame,options,parts",
    [
        (
            table(20),
            {},
            ("train", "'table'", "14 rows", "12 steps", "3", "input_shape=6, horizon=2"),
        ),
        (table(), {"target": "oli"}, ("'oli'", "'oil'", "load, oil")),
        (table(), {"target": ["load", "load"]}, ("target=", "'load'", "once")),
        (table(), {"time": "when"}, ("'when'", "date, load, oil")),
        (table()[["date"]], {}, ("series", "numeric", "column")),
        (
            table().assign(date=["never", *table()["date"][1:]]),
            {"time": "date"},
            ("'date'", "row 1", "'never'"),
        ),
        (
            table(),
            {"task": "classification"},
            ("task='classification'", "series", "regression", "forecasting"),
        ),
        (table(), {"test": 0.99}, ("validation=0.1", "test=0.99", "train")),
    ],
)
def test_bad_series(frame, options, parts):
    with refuses(*parts):
        load_data(frame, preset=preset(), **options)


def test_second_series_for_test():
    data = load_data(table(), preset=preset(), test=table(60))
    assert len(data.test) == 60 - 12 - 3 + 1


SEVERAL_SERIES = ("'date'", "'shop'", "2 series", "rows repeat a time", "series_id='shop'")


def test_several_series_in_one_table_are_refused(tmp_path):
    one = table(100)
    both = pd.concat(
        [one.assign(shop=shop, load=one["load"] * k) for k, shop in enumerate(("Bern", "Genf"), 1)]
    )
    for frame in (
        both,
        both.sort_values("date"),
        both.assign(shop=both["shop"].map({"Bern": 1, "Genf": 2})),
    ):
        with refuses(*SEVERAL_SERIES):
            load_data(frame, preset=preset(), target="load", drop=["shop"])
    data = load_data(one, preset=preset(), target="load")
    with refuses(*SEVERAL_SERIES[:-1], "Pass the rows of one of them"):
        encode(data.preprocessing, both)
    areas = pd.concat([both.assign(area=area) for area in ("north", "south")])
    with refuses(
        "300 of 400 rows", "'date'", "4 series", "'shop', 'area'", "series_id=['shop', 'area']"
    ) as caught:
        load_data(areas, preset=preset(), target="load")
    assert "--series-id shop area" in with_option_names(str(caught.value), ["--series-id"])
    with refuses("100 of 200 rows", "'date'", "no columns", "mean"):
        load_data(both.drop(columns="shop"), preset=preset(), target="load")
    twice = pd.concat([one, one.iloc[40:43]])  # an hour that a clock shows twice is no other series
    assert notes_with(load_data(twice, preset=preset()).notes, "3 rows", "time", "'date'")


def test_near_names_of_arguments_of_series():
    for wrong, right in (
        ("known", "known_covariates"),
        ("static", "static_covariates"),
        ("serie_id", "series_id"),
    ):
        with refuses(f"'{wrong}'", f"Did you mean '{right}'?"):
            kzoo.train("series_linear", table(), **{wrong: "oil"})


def test_a_check_without_a_preset_and_auto_take_a_horizon():
    findings = kzoo.check(
        table(), time="date", target="load", task="forecasting", horizon=5, deep=False
    )
    assert findings.overview["about"]["ahead"] == 5 and findings.baselines and findings.presets
    with refuses("'word'", "numeric"):
        kzoo.check(table().assign(word="a"), target="word", horizon=5)
    with refuses("units=", "preset"):
        kzoo.check(table(), target="load", units=5)
    options = dict(time="date", target="load", task="forecasting", dry_run=True, progress=False)
    assert kzoo.tune("auto", table(), horizon=5, **options).presets
    with refuses("units=", "'auto'"):
        kzoo.tune("auto", table(), horizon=5, units=5, **options)


HOURS = pd.date_range("2024-01-01", periods=200, freq="h")
INDEXES = {
    "times": HOURS,
    "times with a name": HOURS.rename("date"),
    "times with a zone": HOURS.tz_localize("Asia/Kolkata"),
    "periods": HOURS.to_period("h"),
    "dates that are texts": HOURS.strftime("%d.%m.%Y %H:%M"),
    "numbers that are dates": pd.date_range("2024-01-01", periods=200)
    .strftime("%Y%m%d")
    .astype(int),
    "two levels": pd.MultiIndex.from_product([["Bern"], HOURS], names=["shop", None]),
}


@pytest.mark.parametrize("index", INDEXES)
def test_an_index_of_times_is_the_time_column(index):
    """In every order of the rows, in training and in each door of a trained reader."""
    frame = table().drop(columns="date")
    newest_first = frame.set_axis(INDEXES[index])[::-1]
    data = load_data(newest_first, preset=preset(), target="load")
    np.testing.assert_array_equal(data.train.x.values[:, 0], np.arange(200))
    assert data.preprocessing["calendar"]["column"] == ("date" if "name" in index else "time")
    assert newest_first.index.equals(INDEXES[index][::-1])  # the caller's frame is unchanged
    np.testing.assert_array_equal(
        encode(data.preprocessing, newest_first)[0, :, 0], np.arange(188, 200)
    )
    learn = kind("series").fitting
    split = learn.labelled(data.preprocessing, newest_first, targets=["load"], config=data.config)
    np.testing.assert_array_equal(split.x.values[:, 0], np.arange(200))
    np.testing.assert_array_equal(
        learn.fresh(data.preprocessing, newest_first, targets=[]).x[:, 0], np.arange(200)
    )
    tested = load_data(newest_first, preset=preset(), target="load", test=newest_first).test
    np.testing.assert_array_equal(tested.x.values[:, 0], np.arange(200))


def test_an_index_of_times_next_to_a_column_of_times():
    frame = table().assign(time=1.0)  # a column has the usual name
    data = load_data(
        frame.drop(columns="date").set_axis(HOURS)[::-1], preset=preset(), target="load"
    )
    assert data.preprocessing["time"] == "index" and data.train.x[0][0, 0] == 0
    # as set_index(drop=False) leaves it
    same = frame.set_axis(pd.DatetimeIndex(HOURS, name="date"))
    assert load_data(same, preset=preset(), target="load").preprocessing["time"] == "date"
    by_date = load_data(frame.set_axis(HOURS[::-1]), preset=preset(), target="load", time="date")
    assert by_date.train.x[0][0, 0] == 0
    pair = (frame[["oil"]].set_axis(HOURS)[::-1], frame["load"][::-1])
    assert load_data(pair, preset=preset()).train.y[0][0, 0] == 12
    years = pd.Series(np.arange(200.0), index=pd.Index(range(1800, 2000), name="year"), name="load")
    data = load_data(years[::-1], preset=preset(), time="year")
    assert data.train.x[0][0, 0] == 0 and encode(data.preprocessing, years[::-1])[0, -1, 0] == 199
    assert notes_with(
        load_data(years, preset=preset()).notes, "index", "'year'", "DataFrame.reset_index()"
    )


def test_several_series_in_levels_of_an_index_are_refused():
    one = table().set_index("date")
    with refuses(*SEVERAL_SERIES):
        load_data(
            pd.concat({"Bern": one, "Genf": one * 2}, names=["shop"]),
            preset=preset(),
            target="load",
        )


def test_no_window_has_targets_across_a_gap():
    """The three rows after a gap are not the next three hours, which are filled in in the inputs only."""
    frame = table()
    with_hole = frame.drop(index=[60, 61, 62])
    data = load_data(with_hole, preset=preset())
    targets = data.train.y[:][..., 0]
    assert all(set(np.diff(steps)) == {1} for steps in targets)  # the load counts the hours
    assert not {60, 61, 62} & set(targets.ravel()) and notes_with(
        data.notes, "6 windows", "missing"
    )
    inputs = data.train.x[:][..., 0]
    assert [59, 60, 61, 62, 63] in inputs[:, -5:].tolist() and not {60, 61, 62} & set(inputs[:, -1])
    assert (
        data.fingerprint != load_data(with_hole.drop(columns="date"), preset=preset()).fingerprint
    )
    whole = load_data(frame, preset=preset())
    assert len(whole.train) == 140 - 12 - 3 + 1 and not any(
        "window" in note.casefold() for note in whole.notes
    )
    assert whole.fingerprint == load_data(frame.drop(columns="date"), preset=preset()).fingerprint


def test_a_series_with_many_gaps_is_read_as_it_is_with_a_note():
    opening_hours = table(400)[lambda rows: rows.index % 24 < 4]
    data = load_data(opening_hours, preset=preset())
    assert len(data.train) == len(
        load_data(opening_hours.drop(columns="date"), preset=preset()).train
    )
    assert notes_with(data.notes, "38 windows", "missing", "half")
    with warnings.catch_warnings():  # and new rows like them
        warnings.simplefilter("error")
        encode(data.preprocessing, opening_hours)
        labelled = kind("series").fitting.labelled(
            data.preprocessing, opening_hours, targets=[], config=data.config
        )
    assert len(labelled) == len(opening_hours) - 12 - 3 + 1


def test_new_rows_with_a_gap():
    data = load_data(table(), preset=preset(), target="oil")
    new = table(100).drop(index=[90])
    with pytest.warns(KzooWarning) as caught:
        split = kind("series").fitting.labelled(
            data.preprocessing, new, targets=["oil"], config=data.config
        )
    for message, parts in zip(
        caught, [("1 row", "missing", "24 steps"), ("4 windows", "missing")], strict=True
    ):
        assert_mentions(str(message.message), *parts)
    assert len(split) == 100 - 12 - 3 + 1 - 4 and (np.diff(split.y[:][..., 0]) == -2).all()
    with warns("missing", "12", "2024-01-04 17:00", "2024-01-04 19:00"):
        x = encode(data.preprocessing, new)
    np.testing.assert_array_equal(x[0, :, 1], [88, 89, 89, *range(91, 100)])  # `load` is no target
    np.testing.assert_array_equal(x[0, :, 0], -2 * np.arange(88, 100))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode(data.preprocessing, table(100).drop(index=[60]))  # before the last 12 rows


def test_new_rows_that_come_twice():
    """As where the end of one file is the beginning of the next."""
    data = load_data(table(), preset=preset(), target="oil")
    new = pd.concat([table(100), table(100).tail(4)])
    with warns("12", "4 rows", "time", "2024-01-05 00:00"):
        encode(data.preprocessing, new)
    with warns("4 rows", "time", "'date'"):
        kind("series").fitting.labelled(
            data.preprocessing, new, targets=["oil"], config=data.config
        )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # before the last 12 rows
        encode(data.preprocessing, pd.concat([table(100), table(50).tail(4)]))


@pytest.mark.parametrize("target", ["load", "load,oil"])
@pytest.mark.parametrize("form", ["a DataFrame", "a file", "dicts", "the newest first"])
def test_rows_at_the_end_without_a_target_are_the_future(form, target, tmp_path):
    """The class of faults: a value that was filled in is read as if it was measured, without a warning."""
    reader = load_data(table(), preset=preset(), target=target).preprocessing
    new = table(100).assign(load=lambda f: f["load"].where(f.index < 90))
    if target == "load,oil":
        new.loc[90:, "oil"] = np.nan
    new.to_csv(tmp_path / "new.csv", index=False)
    forms = {
        "a file": str(tmp_path / "new.csv"),
        "dicts": new.to_dict("records"),
        "the newest first": new[::-1],
    }
    raw = forms.get(form, new)
    with pytest.warns(KzooWarning) as caught:
        x = encode(reader, raw)
    np.testing.assert_array_equal(x[0, :, 0], np.arange(78, 90))
    (message,) = (str(warning.message) for warning in caught)
    assert_mentions(message, "10 rows", *map(repr, target.split(",")), "2024-01-04 17:00")
    assert ("columns" in message) == (target == "load")  # the others are not read there
    answers = with_times(
        reader, raw, x, Predictions(values=np.zeros((1, 3, 1)), target_names=("load",), inputs=(0,))
    )
    assert [str(time) for time in (answers.history_times[0][-1], answers.times[0][0])] == [
        "2024-01-04 17:00:00",
        "2024-01-04 18:00:00",
    ]
    # of a run that does not store targets
    old = {name: value for name, value in reader.items() if name != "outputs"}
    with (
        warns("10 rows", "'load'", "'oil'")
        if "," in target
        else warns("24", "10", "missing", "'load' 10")
    ):
        encode(old, raw)


@pytest.mark.parametrize("target", [None, "load", "load,oil"])
def test_rows_at_the_end_without_a_target_are_not_learned_from(target):
    whole = load_data(table(150), preset=preset(), target=target)
    frame = table()
    frame.loc[150:, ["load"] if target == "load" else ["load", "oil"]] = np.nan
    for source in (frame, frame[::-1], frame.drop(columns="date"), frame.set_index("date")):
        data = load_data(source, preset=preset(), target=target)
        assert notes_with(data.notes, "50 rows", *map(repr, target.split(",") if target else ()))
        assert data.fingerprint == whole.fingerprint and data.test.y[-1][-1, 0] == 149
        assert data.seen["time"] is None or data.seen["time"]["last"] == whole.seen["time"]["last"]
    frame.loc[150:189, ["load", "oil"]] = frame.loc[199, "load"] = 1.0
    assert not any(
        re.search(r"\d rows?\b", note)
        for note in load_data(frame, preset=preset(), target=target).notes
    )


def test_missing_inputs_of_a_forecast_are_reported():
    reader = load_data(table(), preset=preset(), target="load").preprocessing
    new = table(100)
    new.loc[[60, 95, 96], "load"], new["oil"] = np.nan, new["oil"].astype(object)
    new.loc[97, "oil"] = "sensor error"
    with pytest.warns(KzooWarning) as caught:
        x = encode(reader, new)
    np.testing.assert_array_equal(x[0, -6:, 0], [94, 95, 96, 97, 98, 99])
    unreadable, missing = (str(warning.message) for warning in caught)
    assert_mentions(unreadable, "'oil'", "1 of 100", "row 98", "'sensor error'")
    assert_mentions(missing, "24", "3", "missing", "'load' 2", "'oil' 1")
    with refuses("12 rows", "'load'", "10"):
        encode(reader, table(40).assign(load=lambda f: f["load"].where(f.index < 10)))
    with refuses("row", "number", "'load'"):
        encode(reader, table(40).assign(load=None))


def test_values_that_were_filled_in_are_not_scored():
    frame = table()
    reader = (data := load_data(frame, preset=preset(), target="load")).preprocessing
    config = data.config
    new = table(100).astype({"load": object})
    new.loc[50, "load"], new.loc[80:, "load"], new.loc[20, "oil"] = "sensor error", None, None
    expected = (
        ("'load'", "1 of 100", "row 51", "'sensor error'"),
        ("22", "missing"),
        ("24 windows", "values are missing"),
    )
    with pytest.warns(KzooWarning) as caught:
        split = kind("series").fitting.labelled(reader, new, targets=["load"], config=config)
    tested = load_data(frame, preset=preset(), target="load", test=new)
    for part in (split, tested.test):
        steps = part.y[:][..., 0]
        assert (
            len(part) == len(part.y) == 86 - 4 - 20
            and 50 not in steps
            and (np.diff(steps) == 1).all()
        )
        # in inputs it is filled in
        assert steps.max() == 79 and [49, 50, 51] in part.x[:][:, -3:, 0].tolist()
    for messages in ([str(warning.message) for warning in caught], tested.notes[-4:-1]):
        for message, parts in zip(messages, expected, strict=True):
            assert_mentions(message, *parts)
    assert (
        tested.fingerprint
        == load_data(frame, preset=preset(), target="load", test=table(100)).fingerprint
    )
    nothing = table(100).assign(load=lambda f: f["load"].where(f.index % 2 > 0))
    with refuses("3 consecutive rows", "targets"):
        kind("series").fitting.labelled(reader, nothing, targets=["load"], config=config)
    for column in ("load", "oil"):
        with refuses(f"'{column}'", "test", "number"):
            load_data(
                frame, preset=preset(), target="load", test=table(100).assign(**{column: None})
            )


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_very_few_new_rows(rows):
    data = load_data(table(), preset=preset())
    seen = kind("series").fitting.fresh(data.preprocessing, table()[:rows], targets=[]).seen
    assert (seen["time"] or {"rows": 0})["rows"] == rows


def test_rows_of_the_hour_that_a_clock_shows_twice_stay_in_order():
    """Times with a zone and without: each quarter of an hour comes after the quarter before it."""
    aware = pd.date_range("2024-10-26", periods=200, freq="15min", tz="Europe/Berlin")
    data = load_data(table().assign(date=aware.strftime("%d.%m.%Y %H:%M")), preset=preset())
    for times in (aware, aware.strftime("%d.%m.%Y %H:%M"), [str(time) for time in aware]):
        frame = table().assign(date=times)
        np.testing.assert_array_equal(
            load_data(frame, preset=preset()).train.x.values[:, 0], np.arange(200)
        )
        expected = warns("'date'", "+01:00", "+02:00", "zone", "training")
        with expected if "+02:00" in str(times[0]) else nullcontext():
            x = encode(data.preprocessing, frame[:112])  # the last hour comes the second time
        np.testing.assert_array_equal(x[0, :, 0], np.arange(100, 112))


@pytest.mark.parametrize("rows", [30, 60, 97, 150])
@pytest.mark.parametrize("preset", ["series_gru", "series_tcn", "series_transformer"])
def test_a_short_series_gets_the_settings_that_work_for_its_length(preset, rows, tmp_path):
    """The class of faults: advice that fails when it is followed, in Python and on the command line."""
    frame = pd.DataFrame({"load": np.sin(np.arange(rows) / 3), "heat": np.cos(np.arange(rows) / 3)})
    with refuses("'table'", "24", "input_shape=", "horizon=") as caught:
        load_data(frame, preset=preset, target="load")
    advice = re.search(r"--set ((?:\w+=\w+ ?)+)", with_option_names(str(caught.value), ["--set"]))
    settings = parse_settings(advice[1].split())
    assert settings.keys() == {"input_shape", "horizon"}
    resolved = with_settings(get_preset(preset), *resolve(get_preset(preset), settings))
    data = load_data(frame, preset=resolved, target="load")
    assert min(len(data.train), len(data.validation), len(data.test)) >= 1
    # its patches are of 16 steps
    assert len(data.train) >= rows // 5 or preset == "series_transformer"
    assert kzoo.build(preset, **settings | data.config, compile=False).input_shape == (
        None,
        *data.input_shape,
    )


def test_a_series_that_is_too_short_for_any_window_gets_no_such_advice():
    with refuses("'table'", "9 rows", "16 steps", "24") as caught:
        load_data(
            pd.DataFrame({"load": np.arange(12.0)}), preset="series_transformer", target="load"
        )
    assert "input_shape=" not in str(caught.value) and "horizon=" not in str(caught.value)


@pytest.mark.parametrize("shape", [(60, 24, 3), (60, 24, 1)])
def test_arrays_of_series_are_scaled_by_column_over_all_steps(shape):
    x = np.random.default_rng(0).normal([5, -2, 100][: shape[-1]], 3, size=shape).astype("float32")
    data = kzoo.load_data((x, x[:, :, 0].mean(axis=1)), preset="adding_gru")
    assert "scale" not in data.config  # its preset does not rescale
    preset = kzoo.get_preset("adding_gru")
    scaled = replace(preset, name="scaled_gru", config=preset.config | {"rescale": True})
    config = kzoo.load_data((x, x[:, :, 0].mean(axis=1)), preset=scaled).config
    train = x[data.train.rows].reshape(-1, shape[-1])
    assert np.allclose(config["scale"], 1 / train.std(axis=0), rtol=1e-4)
    assert np.allclose(config["offset"], -train.mean(axis=0) / train.std(axis=0), rtol=1e-3)


def test_a_single_row_is_singular_in_the_refusal():
    with refuses("'table'", "1 row", "1 step", "horizon of 3"):
        load_data(table(10), preset=preset(1, 3))


def test_sizes_that_fit_a_short_test_series_are_advised():
    advice = shorter_sizes([(0, 700), (700, 800), (0, 30)], 16, 24, None)
    assert_mentions(advice, "input_shape=11", "horizon=7")
    advice = shorter_sizes([(0, 700), (700, 800), (800, 900)], 16, 24, None)
    assert_mentions(advice, "input_shape=16", "horizon=24")
