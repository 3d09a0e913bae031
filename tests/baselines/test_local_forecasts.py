"""Exponential smoothing and the Theta method: equal to other implementations, free of scale, baselines of forecasts."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import kzoo
import kzoo.runtime
from kzoo.baselines import exponential_smoothing as ets
from kzoo.baselines import theta
from kzoo.training.suggestions import preset_with_window

# statsforecast 2.1.1 on `series_of_many_kinds()`: `ets_f(y, 12, model="ZZZ")`; `thetamodel` with the level y[0] / 2,
# alpha .4, and theta 2.5 where it is not 2.
REFERENCE = json.loads(Path(__file__).with_name("statsforecast.json").read_text(encoding="utf-8"))


LEVELS = (0.1, 0.5, 0.9)


def series_of_many_kinds(count=40, longest=90, season=12, seed=3):
    rng = np.random.default_rng(seed)
    series = []
    for number in range(count):
        steps = np.arange(int(rng.integers(30, longest)))
        scale = 10 ** rng.uniform(-2, 4)
        y = 1 + rng.uniform(-0.005, 0.02) * steps * rng.integers(0, 2)
        seasonal = rng.normal(0, rng.uniform(0, 0.4), season)
        seasonal -= seasonal.mean()
        if number % 3 == 1:
            y = y + seasonal[steps % season]
        if number % 3 == 2:
            y = y * np.exp(seasonal[steps % season])
        walk = np.cumsum(rng.normal(0, rng.uniform(0, 0.05), len(steps)))
        y = (y + walk + rng.normal(0, rng.uniform(0.01, 0.3), len(steps))) * scale
        if number % 3 and rng.random() < 0.7:
            y = np.maximum(y, 0.05 * scale)
        series.append(y)
    return series


def as_columns(series):
    y = np.full((max(map(len, series)), len(series)), np.nan)
    for number, values in enumerate(series):
        y[: len(values), number] = values
    return y


def forecasts_by_the_book(form, y, parameters, level, slope, seasonal, horizon):
    """Return point forecasts: table 2.1 and the recursions of Hyndman et al. (2008), one number at a time."""
    seasonal = list(seasonal)
    phi = parameters.get("phi", 1.0)
    for value in [*y, *[None] * horizon]:
        trend = level + (phi * slope if form.trend != "N" else 0)
        forecast = {
            "N": trend,
            "A": trend + (seasonal or [0])[0],
            "M": trend * (seasonal or [1])[0],
        }[form.season]
        if value is None:
            yield forecast
            value = forecast
        error = value - forecast
        if form.season == "M":
            error_of_trend, error_of_season = error / seasonal[0], error / trend
        else:
            error_of_trend = error_of_season = error
        level = trend + parameters["alpha"] * error_of_trend
        if form.trend != "N":
            slope = phi * slope + parameters["beta"] * error_of_trend
        if form.season != "N":
            seasonal.append(seasonal.pop(0) + parameters["gamma"] * error_of_season)


@pytest.mark.parametrize("form", ets.FORMS, ids=lambda form: form.error + form.trend + form.season)
def test_forms_compute_what_the_book_says(form):
    rng = np.random.default_rng(1)
    y = 10 + rng.normal(0, 1, 30)
    values = {"alpha": 0.4, "beta": 0.1, "gamma": 0.2, "phi": 0.9}
    parameters = {name: values[name] for name in form.smoothing()}
    seasonal = {"N": [], "A": [-1.0, 0.5, 0.2, 0.3], "M": [0.9, 1.05, 1.0, 1.05]}[form.season]
    fitted = ets.Smoothing(
        form=form,
        season=4,
        parameters={name: np.array([value]) for name, value in parameters.items()},
        start=ets.State(
            level=np.array([9.0]), slope=np.array([0.1]), seasonal=[np.array([s]) for s in seasonal]
        ),
        sigma=np.ones(1),
        criterion=np.zeros(1),
    )
    *_, last = fitted.states(y[:, None])
    expected = list(forecasts_by_the_book(form, y, parameters, 9.0, 0.1, seasonal, 6))
    assert fitted.paths(last, np.zeros((6, 1, 1)))[:, 0, 0] == pytest.approx(expected, rel=1e-9)


def test_likelihoods_are_those_of_statsforecast_or_better():
    y = as_columns(series_of_many_kinds())
    known = np.isfinite(y).sum(axis=0)
    scale = np.nanmean(np.abs(y), axis=0)
    fits = ets.fit(y, 12)
    worse = 0
    by_form = {fit.form.error + fit.form.trend + fit.form.season: fit for fit in fits}
    for number, reference in enumerate(REFERENCE):
        fit = by_form[reference["form"]]
        n, k = known[number], fit.form.parameters(12)
        # AICc of a series of scale 1 -> the log-likelihood, without its constant, of the series
        deviance = fit.criterion[number] - 2 * k - 2 * k * (k + 1) / (n - k - 1)
        likelihood = -0.5 * (deviance + 2 * n * np.log(scale[number]))
        worse += likelihood < reference["loglik"] - 1e-3 * abs(reference["loglik"])
    assert worse <= 0.05 * len(REFERENCE)


@pytest.mark.parametrize("name", ["STM", "OTM", "DSTM", "DOTM"])
def test_theta_computes_what_statsforecast_does(name):
    form = theta.Form(dynamic=name.startswith("D"), optimised="OTM" in name)
    for y, reference in zip(series_of_many_kinds(), REFERENCE, strict=True):
        if "theta" not in reference:
            continue
        y = y[:, None]
        steps = np.arange(1, len(y) + 1)
        slope, intercept = np.polyfit(steps, y[:, 0], 1)
        fitted = theta.Theta(
            form=form,
            alpha=np.array([0.4]),
            theta=np.array([2.5 if form.optimised else 2.0]),
            start=y[0] / 2,
            line=(y.mean(axis=0), np.array([intercept]), np.array([slope])),
            seasonal=np.ones((1, 1)),
            multiplicative=np.array([True]),
            relative=np.array([False]),
            sigma=np.ones(1),
            criterion=np.zeros(1),
        )
        *_, last = fitted.states(y)
        forecast = fitted.paths(last, np.zeros((6, 1, 1)))[:, 0, 0]
        assert forecast == pytest.approx(reference["theta"][name], abs=1e-6 * np.abs(y).mean())


def best_forecasts(method, y, horizon=12, season=12):
    fits = method.fit(y, season)
    best = np.stack([fit.criterion for fit in fits]).argmin(axis=0)
    forecasts = np.empty((horizon, y.shape[1]))
    for number, fit in enumerate(fits):
        *_, last = fit.states(y)
        forecasts[:, best == number] = fit.paths(last, np.zeros((horizon, 1, 1)))[
            :, 0, best == number
        ]
    return forecasts


@pytest.mark.parametrize("method", [ets, theta], ids=["ets", "theta"])
def test_forecasts_are_free_of_scale(method):
    y = as_columns([values[:30] for values in series_of_many_kinds(12)])
    forecasts = best_forecasts(method, y)
    for k in (1e-3, 1e3):
        difference = np.abs(best_forecasts(method, y * k) / k - forecasts)
        assert (difference <= 1e-3 * np.abs(y).mean(axis=0)).all()


@pytest.mark.parametrize("method", [ets, theta], ids=["ets", "theta"])
def test_missing_steps_leave_the_season_where_it_was(method):
    rng = np.random.default_rng(0)
    steps = np.arange(96)
    whole = 100 + 30 * np.sin(2 * np.pi * steps / 12)[:, None] + rng.normal(0, 2, (96, 8))
    holes = np.where(rng.random(whole.shape) < 0.1, np.nan, whole)
    holes[-5:] = whole[-5:]
    truth = 100 + 30 * np.sin(2 * np.pi * np.arange(96, 108) / 12)[:, None]
    error_whole = np.abs(best_forecasts(method, whole) - truth).mean()
    error_holes = np.abs(best_forecasts(method, holes) - truth).mean()
    assert error_whole < 3
    assert error_holes < 4


def monthly_table(shops=6, months=96):
    rng = np.random.default_rng(5)
    dates = pd.date_range("2015-01-01", periods=months, freq="MS")
    rows = []
    for shop in range(shops):
        level = 10 ** rng.uniform(0, 4)
        season = 1 + 0.4 * np.sin(2 * np.pi * (np.arange(months) + shop) / 12)
        sales = level * (1 + 0.01 * np.arange(months)) * season * rng.normal(1, 0.05, months)
        rows.append(pd.DataFrame({"shop": f"shop {shop}", "month": dates, "sales": sales}))
    return pd.concat(rows)


@pytest.fixture(scope="module")
def panel_options():
    return dict(target="sales", time="month", series_id="shop", preset="series_linear")


def test_growing_seasonal_series_are_forecast_better_than_by_the_season_before(panel_options):
    data = kzoo.load_data(monthly_table(), **panel_options)
    scores = {
        result.name: result.scores["mae"]
        for result in kzoo.baselines.score(data, seconds=60)
        if result.scores
    }
    assert scores["auto_ets"] < 0.8 * scores["seasonal"]
    assert scores["auto_theta"] < scores["seasonal"]


def test_quantiles_cover_and_are_not_negative_where_the_series_is_not(panel_options):
    data = kzoo.load_data(monthly_table(12, 180), quantiles=[0.1, 0.5, 0.9], **panel_options)
    for name in ("ets", "auto_ets", "theta_method", "auto_theta"):
        outputs, truth = kzoo.baselines.fit(data, name, seconds=60).predict(data.test)
        assert outputs.shape == (*truth.shape, 3)
        assert (np.diff(outputs, axis=-1) >= 0).all()
        assert outputs.min() >= 0
        covered = (truth >= outputs[..., 0]) & (truth <= outputs[..., 2])
        assert 0.65 <= covered.mean() <= 0.95


def mean_of_seasons(values, ahead, season=12, most=4):
    """Return the mean of up to `most` last values of the same month, for each of the `ahead` months after them."""
    means = []
    for step in range(ahead):
        same = values[step - season * (1 + step // season) :: -season][:most]
        means.append(np.mean(same))
    return np.array(means)


def test_the_mean_of_the_last_four_seasons_is_that_of_as_many_as_there_are(panel_options):
    whole, young = monthly_table(2, 96), monthly_table(3, 96)
    young = young[young["shop"] == "shop 2"].tail(54)  # 30 rows before the test rows
    table = pd.concat([whole, young])
    data = kzoo.load_data(table, **panel_options)
    predicted, truth = kzoo.baselines.fit(data, "seasonal_mean").predict(data.test)
    assert len(predicted) == 3 and predicted.shape == truth.shape
    for (_, sales), forecast in zip(table.groupby("shop")["sales"], predicted, strict=True):
        expected = mean_of_seasons(sales.to_numpy()[:-24], 24)
        assert forecast[:, 0] == pytest.approx(expected, rel=1e-5)


def test_quantiles_of_the_mean_of_seasons_are_those_of_its_errors():
    table = monthly_table(1, 180).drop(columns="shop")
    data = kzoo.load_data(
        table,
        target="sales",
        time="month",
        quantiles=list(LEVELS),
        preset=preset_with_window("series_linear", {"horizon": 12}),
    )
    fitted = kzoo.baselines.fit(data, "seasonal_mean")
    outputs, truth = fitted.predict(data.test)
    assert outputs.shape == (*truth.shape, 3) and (np.diff(outputs, axis=-1) > 0).all()
    sales = table["sales"].to_numpy()
    errors = []
    for start, future in zip(data.train.y.starts, data.train.y[:], strict=True):
        errors.append(future[:, 0] - mean_of_seasons(sales[:start], 12))
    start = int(data.test.y.starts[0])
    expected = mean_of_seasons(sales[:start], 12)[:, None] + np.quantile(errors, LEVELS, axis=0).T
    assert outputs[0, :, 0] == pytest.approx(expected, rel=1e-4)


def test_the_mean_of_the_last_four_seasons_is_a_run_that_forecasts_and_exports(tmp_path):
    table = monthly_table(3, 180)
    run = kzoo.baselines.train(
        "seasonal_mean",
        table,
        target="sales",
        time="month",
        series_id="shop",
        preset="series_linear",
        out=tmp_path / "run",
        baselines=False,
    )
    forecast = kzoo.predict(run, table)
    for (_, sales), values in zip(table.groupby("shop")["sales"], forecast.values, strict=True):
        assert values[:, 0] == pytest.approx(mean_of_seasons(sales.to_numpy(), 24), rel=1e-4)
    exported = kzoo.export(run, tmp_path / "exported", ["onnx"])
    again = kzoo.runtime.load(exported).predict(table)
    assert again.values == pytest.approx(forecast.values, rel=1e-5)


def test_a_run_says_that_there_is_no_network(panel_options, tmp_path):
    data = kzoo.load_data(monthly_table(2), **panel_options)
    with pytest.raises(
        kzoo.KzooError, match=r"exponential smoothing .* cannot be written as a network"
    ):
        kzoo.baselines.train("auto_ets", data, out=tmp_path / "run", baselines=False)


def test_few_seconds_fit_fewer_forms(panel_options):
    data = kzoo.load_data(monthly_table(40, 180), **panel_options)
    fitted = kzoo.baselines.fit(data, "auto_ets", seconds=1.25)
    assert any("3 forms for all series" in note for note in fitted.notes)
    outputs, truth = fitted.predict(data.test)
    assert np.abs(outputs - truth).mean() < np.abs(truth - truth.mean()).mean()
