"""Many series in one table: windows, splits, covariates, new rows, scores, and refusals."""

import json
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, notes_with, refuses, warns
from shortcuts import undrawn, untraced

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.utils.errors import KzooError
from kzoo.zoo.registry import get_preset

OPTIONS = dict(target="sales", series_id="shop", time="day")
TRAIN = dict(OPTIONS, horizon=3, input_shape=6, epochs=2, batch_size=32, progress=False)


def shops(sizes=(("a", 80), ("b", 60), ("c", 50)), seed=0):
    """Return daily sales of some shops that all end on the same day, with a promotion that doubles them."""
    random = np.random.default_rng(seed)
    frames = []
    for level, (shop, days) in enumerate(sizes, start=1):
        promo = random.integers(0, 2, days)
        sales = 10 * level * (1 + promo) + random.normal(0, 0.5, days)
        days = pd.date_range("2024-06-30", periods=days, freq="-1D")[::-1]
        frames.append(
            pd.DataFrame(
                dict(
                    shop=shop,
                    day=days,
                    sales=sales,
                    promo=promo,
                    region="north" if level < 3 else "south",
                )
            )
        )
    return pd.concat(frames).sample(frac=1, random_state=seed).reset_index(drop=True)


def load(frame, **options):
    preset = get_preset("series_linear")
    preset = replace(preset, config={**preset.config, "horizon": 3, "input_shape": (6, 1)})
    return kzoo.load_data(frame, preset=preset, **(OPTIONS | options))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    with untraced(), undrawn():
        return kzoo.train(
            "series_linear",
            shops(),
            out=tmp_path_factory.mktemp("panel") / "run",
            known_covariates="promo",
            static_covariates="region",
            **TRAIN,
        )


def test_windows_stay_within_a_series_and_have_its_values():
    frame = shops()
    data = load(frame, known_covariates="promo")
    steps = data.input_shape[0]
    horizon = data.config["horizon"]
    by_shop = {shop: rows.sort_values("day") for shop, rows in frame.groupby("shop")}
    name = data.train.x.series.names
    column = {feature: i for i, feature in enumerate(data.feature_names)}
    for index in range(0, len(data.train), 7):
        rows = by_shop[name[data.train.x.series.codes[index]]]
        sales, promo = (rows[c].to_numpy("float32") for c in ("sales", "promo"))
        x, y = data.train.x[index], data.train.y[index]
        (start,) = [i for i in range(len(sales)) if np.array_equal(sales[i : i + horizon], y[:, 0])]
        own = min(steps, start)
        assert np.array_equal(x[-own:, 0], sales[start - own : start])
        assert np.array_equal(x[-own:, column["promo"]], promo[start - own : start])
        later = x[-horizon:, column[f"promo, {horizon} steps later"]]
        assert np.array_equal(later, promo[start : start + horizon])


def test_the_summary_line_counts_the_roles_of_columns(capsys):
    frame = shops().assign(price=np.arange(190) % 7)
    options = TRAIN | dict(
        progress=True, epochs=1, known_covariates=["promo", "price"], static_covariates="region"
    )
    with untraced(), undrawn():
        kzoo.train("series_linear", frame, out=None, baselines=False, **options)
    printed = capsys.readouterr()
    assert_mentions(printed.out + printed.err, "2 known", "1 static", "1 id", "series 3")
    assert "knowns" not in printed.out + printed.err


def test_splits_begin_at_the_same_moment_for_all_series():
    frame = shops()
    data = load(frame)
    times = {}
    for part in ("train", "validation", "test"):
        split = getattr(data, part)
        values = split.y.values[:, 0]
        position = split.y.starts
        times[part] = position, values
    ordered = frame.sort_values(
        ["shop", "day"], key=lambda c: c if c.name == "day" else c.map({"a": 0, "b": 1, "c": 2})
    )
    day_of = {
        round(float(np.float32(sales)), 4): day
        for sales, day in zip(ordered.sales, ordered.day, strict=True)
    }

    def days(part, offset):
        split = getattr(data, part)
        return [
            day_of[round(float(split.y.values[start + offset, 0]), 4)] for start in split.y.starts
        ]

    last = data.config["horizon"] - 1
    assert max(days("train", last)) < min(days("validation", 0)) and max(
        days("validation", last)
    ) < min(days("test", 0))


def test_a_missing_row_is_a_gap_and_no_window_forecasts_over_it():
    frame = shops((("a", 80), ("b", 80)))
    whole = load(frame)
    day = frame.day.max() - pd.Timedelta(days=40)
    data = load(frame[(frame["shop"] != "a") | (frame.day != day)])
    assert len(data.train) < len(whole.train)
    assert any("excluded" in note for note in data.notes)
    horizon = data.config["horizon"]
    code = data.train.x.series.names.index("a")
    sales = frame[frame["shop"] == "a"].sort_values("day").sales.to_numpy("float32")
    runs = [sales[i : i + horizon] for i in range(len(sales) - horizon + 1)]
    for index in np.flatnonzero(data.train.x.series.codes == code):
        assert any(np.array_equal(values, data.train.y[int(index)][:, 0]) for values in runs)


def test_a_promotion_does_not_last_over_a_gap():
    """Missing rows and empty cells of known events have the usual value of their day of the week."""
    frame = shops((("a", 84), ("b", 84)))
    weekday = frame.day.dt.day_of_week
    frame["promo"] = (weekday == 5).astype(int)
    frame["kind"] = np.where(weekday == 5, "fair", "none")
    frame["price"] = 10.0 + frame.groupby("shop").cumcount() % 5
    gone = frame.day.isin(pd.date_range("2024-05-06", periods=9))  # from Monday to Tuesday
    empty = frame.day.isin(pd.date_range("2024-05-22", periods=2))
    # a promotion on the days before, which would last
    for end in ("2024-05-05", "2024-05-21"):
        frame.loc[frame.day == end, ["promo", "kind"]] = 1, "fair"
    new = frame.assign(kind=frame["kind"].where(~empty), promo=frame["promo"].where(~empty))
    new.loc[empty, "price"] = np.nan
    options = dict(known_covariates=["promo", "kind", "price"], static_covariates=None)
    data = load(new[~gone & (frame.day <= "2024-06-20")], **options)
    assert notes_with(data.notes, "events", "'promo' 4", "'kind' 4", "most frequent")
    assert notes_with(data.notes, "rows are missing", "events", "usual")
    assert notes_with(data.notes, "last value before", "'price' 4")
    names = list(data.feature_names)
    rows = data.train.x
    for name in ("promo", "kind=fair"):
        values = rows.values[:, names.index(name)]
        days = pd.to_datetime(rows.series.numbers, unit="D")
        for dates in (
            pd.date_range("2024-05-06", periods=9),
            pd.date_range("2024-05-22", periods=2),
        ):
            chosen = days.isin(dates)
            np.testing.assert_array_equal(values[chosen], days[chosen].day_of_week == 5)
    before = frame[frame.day == "2024-05-05"].set_index("shop")["price"]
    price = rows.values[:, names.index("price")][days == "2024-05-14"]
    np.testing.assert_allclose(np.sort(price), np.sort(before.to_numpy()))


def test_short_series_are_padded_and_shorter_ones_left_out():
    frame = shops((("a", 120), ("b", 120), ("c", 8), ("d", 3)))
    data = load(frame)
    assert_mentions(" ".join(data.notes), "'d'", "left out", "'c'", "repeated")
    split = next(s for s in (data.test, data.validation, data.train) if 2 in s.x.series.codes)
    index = int(np.flatnonzero(split.x.series.codes == 2)[0])
    x = split.x[index][:, 0]
    assert (
        x[0] == x[1] == frame[frame["shop"] == "c"].sort_values("day").sales.to_numpy("float32")[0]
    )


@pytest.mark.parametrize("preset", ["series_linear", "series_gru"])
def test_a_short_series_has_the_known_values_of_its_steps_in_training_and_in_new_rows(preset):
    frame = shops((("a", 90), ("b", 90), ("c", 9)))
    frame.loc[frame["shop"] == "c", "day"] -= pd.Timedelta(days=60)
    options = OPTIONS | dict(known_covariates="promo")
    network = get_preset(preset)
    network = replace(network, config=network.config | {"horizon": 5, "input_shape": (20, 1)})
    data = kzoo.load_data(frame, preset=network, **options)
    with untraced(), undrawn():
        run = kzoo.train(
            preset, data, out=None, horizon=5, input_shape=20, epochs=1, progress=False
        )
    windows, targets = data.train.x, data.train.y
    (row,) = np.flatnonzero(windows.series.codes == windows.series.names.index("c"))
    rows = frame[frame["shop"] == "c"].sort_values("day")  # 4 rows, and 5 to forecast
    truth = rows.sales.to_numpy("float32")
    assert np.array_equal(targets[row][:, 0], truth[4:])
    known = rows.assign(sales=[*truth[:4], *[None] * 5])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        forecast = kzoo.predict(run, known).values
        np.testing.assert_allclose(kzoo.predict(run, windows[[row]]).values, forecast, rtol=1e-5)
        assert len(set(known.promo[4:])) == 2
        other = known.assign(promo=[*known.promo[:4], 1 - known.promo.iloc[4], *known.promo[5:]])
        change = np.abs(kzoo.predict(run, other).values - forecast)[0, :, 0]
    # the promotion of the first step to forecast, of which a window of four rows has no row
    assert change[0] > 1e-6


def test_the_effect_of_a_known_column_is_learned():
    frame = shops((("a", 200), ("b", 200), ("c", 200)))
    options = dict(TRAIN, epochs=40, learning_rate=0.02, input_shape=28)
    with untraced(False), undrawn():
        maes = [
            kzoo.train("series_linear", frame, out=None, **(options | known)).summary["test"]["mae"]
            for known in (dict(known_covariates="promo"), dict(drop="promo"))
        ]
    assert maes[0] < 0.7 * maes[1]  # about half, depending on the seed


def test_new_rows_give_a_forecast_of_each_series_with_its_times(run):
    frame = shops()
    future = pd.concat(
        [
            pd.DataFrame(
                dict(
                    shop=shop,
                    day=pd.date_range("2024-07-01", periods=3),
                    promo=[1, 0, 1],
                    region=region,
                    sales=None,
                )
            )
            for shop, region in (("a", "north"), ("b", "north"), ("c", "south"))
        ]
    )
    predictions = kzoo.predict(run, pd.concat([frame, future]))
    table = predictions.to_frame()
    assert sorted(set(table["shop"])) == ["a", "b", "c"] and len(table) == 9
    assert table.groupby("shop")["day"].first().astype(str).str[:10].unique().tolist() == [
        "2024-07-01"
    ]
    changed = future.assign(promo=[0, 0, 1] * 3)
    again = kzoo.predict(run, pd.concat([frame, changed])).values
    difference = np.abs(again - predictions.values)[:, :, 0]
    # only the step whose promo changed
    assert (difference[:, 0] > 1e-6).all() and (difference[:, 1:] < 1e-6).all()
    last = kzoo.predict(run, pd.concat([frame, future]).sort_values("day", ascending=False)).values
    order = kzoo.predict(run, pd.concat([frame, future]).sort_values("day", ascending=False)).inputs
    assert np.allclose(
        last[list(order).index("b")], predictions.values[list(predictions.inputs).index("b")]
    )


def test_a_forecast_of_new_rows_is_that_of_the_window_of_training(run):
    frame = shops()
    cut = frame.day.max() - pd.Timedelta(days=3)
    past = frame.assign(sales=frame.sales.where(frame.day <= cut))
    values = kzoo.predict(run, past).values
    answers = run.answers
    for series, name in enumerate(kzoo.predict(run, past).inputs):
        truth = (
            frame[(frame["shop"] == name) & (frame.day > cut)]
            .sort_values("day")
            .sales.to_numpy("float32")
        )
        (row,) = [i for i, y in enumerate(answers["truth"]) if np.allclose(y[:, 0], truth)]
        assert np.allclose(answers["answers"][row], values[series], rtol=1e-4)


def test_scores_are_those_of_a_loop(run):
    frame = shops()
    summary = run.summary["test"]
    answers = run.answers["answers"].astype("float64")
    truth = run.answers["truth"].astype("float64")
    assert summary["wape"] == pytest.approx(
        np.abs(answers - truth).sum() / np.abs(truth).sum(), rel=1e-5
    )
    assert set(summary["series"]) == {"a", "b", "c"}
    mases = [scores["mase"] for scores in summary["series"].values()]
    assert summary["mase"] == pytest.approx(np.mean(mases))
    rows = frame[frame["shop"] == "a"].sort_values("day").sales.to_numpy()
    count = len(rows) - 16  # the last fifth of all rows are test rows, a tenth validation rows
    differences = np.abs(rows[7:] - rows[:-7])
    scale = summary["series"]["a"]["mae"] / summary["series"]["a"]["mase"]
    assert min(differences[:end].mean() for end in range(count - 30, count)) * 0.99 < scale
    assert scale < max(differences[:end].mean() for end in range(count - 30, count)) * 1.01


def test_exports_forecast_panels_without_keras(run, tmp_path):
    exported = kzoo.export(run, tmp_path / "export", formats=["onnx"])
    model = kzoo.runtime.load(exported.path)
    frame = shops()
    past = frame.assign(
        sales=frame.sales.where(frame.day <= frame.day.max() - pd.Timedelta(days=3))
    )
    theirs = model.predict(past, confidence=0.8)
    ours = kzoo.predict(run, past, confidence=0.8)
    assert theirs.promise == ours.promise
    assert_mentions(ours.promise, "size of the errors of each series")
    np.testing.assert_allclose(theirs.error_scale, ours.error_scale, rtol=1e-6)
    np.testing.assert_allclose(theirs.upper, ours.upper, rtol=1e-4)
    # the lower half may end at 0, below which sales never were
    width = (ours.upper - ours.values) / ours.error_scale[:, None]
    np.testing.assert_allclose(width, width[:1].repeat(len(width), axis=0), rtol=1e-5)
    assert (ours.lower >= 0).all()
    assert list(theirs.inputs) == list(ours.inputs) and theirs.times == ours.times
    assert np.allclose(theirs.values, ours.values, rtol=1e-4)


def test_the_example_of_a_served_model_can_be_predicted(run):
    from kzoo.problems.kinds import kind_of

    x = load(shops(), known_covariates="promo", static_covariates="region").train.x[5]
    rows = kind_of(run.preprocessing).inference.example(run.preprocessing, x)
    assert {row["shop"] for row in rows} == {"example"} and [
        row["sales"] is None for row in rows[-3:]
    ] == [True] * 3
    with warns("1 series not in the training rows", "'example'"):
        predictions = kzoo.predict(run, rows)
    assert predictions.values.shape == (1, 3, 1) and np.isfinite(predictions.values).all()


def test_the_command_line_trains_and_predicts(tmp_path, capsys):
    frame = shops()
    frame.to_csv(tmp_path / "shops.csv", index=False)
    arguments = [
        "--data",
        str(tmp_path / "shops.csv"),
        "--target",
        "sales",
        "--series-id",
        "shop",
        "--known",
        "promo",
    ]
    with untraced(), undrawn():
        code = main(
            [
                "train",
                "series_linear",
                *arguments,
                "--static",
                "region",
                "--set",
                "horizon=3",
                "--set",
                "input_shape=6",
                "--epochs",
                "1",
                "--out",
                str(tmp_path / "run"),
            ]
        )
    assert code in (0, None)
    command = json.loads((tmp_path / "run" / "config.json").read_text())["command"]
    assert_mentions(
        command, "--series-id shop", "--known-covariates promo", "--static-covariates region"
    )
    past = frame.assign(
        sales=frame.sales.where(frame.day <= frame.day.max() - pd.Timedelta(days=3))
    )
    past.to_csv(tmp_path / "past.csv", index=False)
    capsys.readouterr()
    main(["predict", str(tmp_path / "run"), str(tmp_path / "past.csv"), "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert [row["input"] for row in rows["predictions"] if "input" in row] or rows


def test_a_backtest_scores_each_of_the_last_moments(run, capsys):
    scores = kzoo.evaluate(run, shops(), n_windows=3)
    assert [row["examples"] for row in scores["windows"]] == [3, 3, 3]  # a window for each shop
    maes = [row["mae"] for row in scores["windows"]]
    assert scores["spread"]["mae"]["mean"] == pytest.approx(np.mean(maes))
    assert scores["spread"]["mae"]["sd"] == pytest.approx(np.std(maes, ddof=1))
    truth, answers = run.answers["truth"], run.answers["answers"]
    frame = shops()
    late = [
        frame[frame["shop"] == s].sort_values("day").sales.to_numpy("float32")[-3:] for s in "abc"
    ]
    rows = [
        i for i, y in enumerate(truth) if any(np.array_equal(y[:, 0], values) for values in late)
    ]
    assert maes[-1] == pytest.approx(np.abs(truth[rows] - answers[rows]).mean(), rel=1e-4)
    with refuses("n_windows=50", "step_size=3"):
        kzoo.evaluate(run, frame, n_windows=50)
    with refuses("step_size=2", "n_windows"):
        kzoo.evaluate(run, frame, step_size=2)


def test_rows_to_forecast_are_written_and_forecast(run, tmp_path, capsys):
    frame = shops()
    frame.to_csv(tmp_path / "shops.csv", index=False)
    main(
        [
            "predict",
            str(run.path),
            str(tmp_path / "shops.csv"),
            "--make-future",
            str(tmp_path / "next.csv"),
        ]
    )
    assert_mentions(capsys.readouterr().out, "9 rows written", "next.csv", "'promo'")
    future = pd.read_csv(tmp_path / "next.csv")
    assert future.day.tolist() == ["2024-07-01", "2024-07-02", "2024-07-03"] * 3
    assert future.promo.isna().all() and set(future[future["shop"] == "c"].region) == {"south"}
    whole = pd.concat([frame.assign(day=frame.day.dt.strftime("%Y-%m-%d")), future.assign(promo=1)])
    assert len(kzoo.predict(run, whole)) == 3


def test_wrong_panels_are_refused():
    frame = shops()
    with refuses("two rows", "2024-06-30", "'a'"):
        load(pd.concat([frame, frame[(frame["shop"] == "a") & (frame.day == frame.day.max())]]))
    with refuses("'town'"):
        load(frame, series_id="town")
    with refuses("'promo'", "known_covariates", "static_covariates"):
        load(frame, known_covariates="promo", static_covariates="promo")
    with refuses("Static column 'promo'", "changes within series"):
        load(frame, static_covariates="promo")
    with refuses("Row 4", "no 'shop'"):
        load(frame.assign(shop=frame["shop"].where(frame.index != 3)))
    with refuses("'sales'", "target"):
        load(frame, known_covariates="sales")
    weekly = frame[frame["shop"] == "c"].assign(
        shop="w", day=pd.date_range("2020-01-05", periods=50, freq="7D")
    )
    with refuses("'w'", "1 week", "1 day"):
        load(pd.concat([frame, weekly]))
    with refuses("known_covariates='promo'", "series_id"):
        kzoo.load_data(
            frame.drop(columns="shop"),
            preset="series_linear",
            target="sales",
            known_covariates="promo",
        )
    many = frame.assign(code=[f"code {i}" for i in range(len(frame))])
    with refuses("'code'", "at most 20"):
        load(many, known_covariates="code")


def test_new_rows_without_a_known_value_are_refused(run):
    frame = shops()
    with refuses("'promo'", "'b'", "2024-07-01", "9 such steps", "--make-future"):
        kzoo.predict(run, frame)
    with refuses("'promo'"):
        kzoo.predict(run, frame.drop(columns="promo"))
    with refuses("'a'", "no row with 'sales'"):
        kzoo.predict(run, frame.assign(sales=frame.sales.where(frame["shop"] != "a")))


def test_new_series_are_forecast_and_named(run):
    frame = shops((("x", 40),))
    past = frame.assign(
        sales=frame.sales.where(frame.day <= frame.day.max() - pd.Timedelta(days=3))
    )
    with warns("1 series not in the training rows", "'x'"):
        assert len(kzoo.predict(run, past)) == 1


def test_unreadable_cells_of_a_known_column_are_refused():
    frame = shops()
    frame["promo"] = frame.promo.astype(object)
    frame.loc[5, "promo"] = "?"
    load(frame, known_covariates="promo")  # two texts are two categories
    with pytest.raises(KzooError):
        load(frame.assign(promo=[*["?"], *range(len(frame) - 1)]), known_covariates="promo")


def sales_of_days(days=1200, shops=("a", "b")):
    """Return daily sales that are mostly 0, with a weekly season."""
    random = np.random.default_rng(3)
    frames = []
    for shop in shops:
        date = pd.date_range("2021-01-04", periods=days)
        rate = np.where(date.day_of_week == 5, 4.0, 0.2)
        frames.append(pd.DataFrame(dict(shop=shop, day=date, sales=random.poisson(rate))))
    return pd.concat(frames)


def test_sales_that_are_often_zero_are_normalised_by_the_logarithm():
    assert load(sales_of_days(300)).config["reversible_norm"] == "log"
    assert load(shops()).config["reversible_norm"] == "last"  # that of the preset
    # the last day may have one
    assert load(shops(), known_covariates="promo").config["reversible_norm"] is True
    assert load(shops(), quantiles=(0.1, 0.9)).config["reversible_norm"] is True
    assert (
        kzoo.load_data(shops(), preset="series_gru", task="forecasting", **OPTIONS).config[
            "reversible_norm"
        ]
        is True
    )
    negative = sales_of_days(300)
    negative["sales"] -= 1
    assert load(negative).config["reversible_norm"] == "last"


def test_windows_of_dense_networks_are_a_year_of_days_where_series_are_long_enough():
    def steps(preset, days):
        data = kzoo.load_data(sales_of_days(days), preset=preset, task="forecasting", **OPTIONS)
        return data.input_shape[0], data.config["calendar"], data.config["covariates"]

    assert steps("series_fnn", 1800)[0] == 364
    assert steps("series_gru", 1800)[0] < 200
    short = steps("series_fnn", 600)
    assert short[0] < 200 and short[1] == short[2] > 0  # all covariates are phases of the calendar


def test_the_quantiles_of_the_same_season_equal_numpy():
    levels = (0.1, 0.5, 0.9)
    frame = sales_of_days(400)
    data = load(frame, quantiles=levels)
    (result,) = kzoo.baselines.score(data, names="season_quantiles", seconds=60)
    count = int(result.notes[0].split()[0])
    assert count in (4, 13, 52) and "chosen on validation data" in result.notes[0]
    windows = data.test.y
    total = 0.0
    truth_total = 0.0
    by_shop = {shop: rows.sales.to_numpy(float) for shop, rows in frame.groupby("shop")}
    for start, code in zip(windows.starts, windows.series.codes, strict=True):
        own = by_shop[windows.series.names[code]]
        day = start - windows.series.firsts[code]
        for step in range(3):
            before = own[day + step - 7 :: -7][:count]
            error = own[day + step] - np.quantile(before, levels)
            total += np.maximum(np.array(levels) * error, (np.array(levels) - 1) * error).mean()
            truth_total += own[day + step]
    assert result.scores["wql"] == pytest.approx(2 * total / truth_total, rel=1e-6)


def test_the_baseline_with_errors_uses_those_of_each_series():
    """One shop sells a hundred times as much as the other: a common spread would fit neither."""
    frame = sales_of_days(400)
    frame.loc[frame["shop"] == "b", "sales"] *= 100
    data = load(frame, quantiles=(0.1, 0.9))
    (result,) = kzoo.baselines.score(data, names="seasonal_quantiles", seconds=60)
    assert result.scores["coverage"] > 0.7
    large, small = (
        data.test.select(np.flatnonzero(data.test.y.series.codes == code)) for code in (1, 0)
    )
    (of_small,) = kzoo.baselines.score(
        replace(data, test=small), names="seasonal_quantiles", seconds=60
    )
    (of_large,) = kzoo.baselines.score(
        replace(data, test=large), names="seasonal_quantiles", seconds=60
    )
    assert of_large.scores["band_width"] > 30 * of_small.scores["band_width"]


def test_ids_of_a_file_stay_as_written(tmp_path):
    frame = shops().replace({"shop": {"a": "007", "b": "7", "c": "08"}})
    frame.to_csv(tmp_path / "shops.csv", index=False)
    with untraced(), undrawn():
        run = kzoo.train(
            "series_linear",
            tmp_path / "shops.csv",
            out=tmp_path / "run",
            **TRAIN | dict(drop="promo"),
        )
    assert sorted(run.summary["test"]["series"]) == ["007", "08", "7"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # no id is new
        predictions = kzoo.predict(run, tmp_path / "shops.csv")
    assert sorted(predictions.inputs) == ["007", "08", "7"]
    scores = kzoo.evaluate(run, tmp_path / "shops.csv", split="test")
    assert sorted(scores["series"]) == ["007", "08", "7"]


def test_a_large_file_of_new_rows_is_read_as_a_small_one(run, tmp_path, monkeypatch):
    from kzoo.inference.kinds.series import inference

    frame = shops().drop(index=[3, 8])
    cut = frame.day.max() - pd.Timedelta(days=3)
    past = frame.assign(
        sales=frame.sales.where(frame.day <= cut), day=frame.day.dt.strftime("%Y-%m-%d")
    )
    past.to_csv(tmp_path / "past.csv", index=False)
    small = kzoo.predict(run, tmp_path / "past.csv")
    monkeypatch.setattr(inference, "_LARGE_FILE", 0)
    large = kzoo.predict(run, str(tmp_path / "past.csv"))
    assert (
        np.array_equal(large.values, small.values)
        and large.inputs == small.inputs
        and large.times == small.times
    )
