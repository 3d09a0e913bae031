"""Exponential smoothing and the Theta method of windows: what they compute; their runs forecast and export."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from test_local_forecasts import forecasts_by_the_book, monthly_table

import kzoo
import kzoo.runtime
from kzoo.baselines import exponential_smoothing as ets
from kzoo.baselines.window_smoothing import WindowSmoothing
from kzoo.cli import main

OPTIONS = dict(target="sales", time="month", series_id="shop", preset="series_linear")


def one_step_errors(form, y, parameters, start):
    """Return the errors of the forecasts of each step from the steps before, by the book."""
    level, slope, seasonal = start[0], 0.0, ()
    if form.trend != "N":
        slope = start[1]
    if form.season != "N":
        seasonal = start[1 + (form.trend != "N") :]
    forecasts = [
        next(forecasts_by_the_book(form, y[:t], parameters, level, slope, seasonal, 1))
        for t in range(len(y))
    ]
    ahead = [*forecasts_by_the_book(form, y, parameters, level, slope, seasonal, 6)]
    return y - np.array(forecasts), np.array(ahead)


def akaike_mean(y, season, horizon=6):
    """Return the mean forecast with Akaike weights: starting values by least squares, all else by the book."""
    scale = np.abs(y - y.mean()).mean()
    criteria, ahead = [], []
    for trend, kind, alpha in product("NAD", "NA" if season > 1 else "N", (0.05, 0.2, 0.5, 0.9)):
        form = ets.Form(error="A", trend=trend, season=kind)
        count = 1 + (trend != "N") + (season if kind != "N" else 0)
        for gamma in (0.001, 0.15) if kind != "N" else (0.0,):
            values = dict(alpha=alpha, beta=0.1 * alpha, gamma=gamma * (1 - alpha), phi=0.98)
            parameters = {name: values[name] for name in form.smoothing()}
            for logarithms in (False, True):
                series = np.log(y) if logarithms else y
                at_zero, _ = one_step_errors(form, series, parameters, np.zeros(count))
                columns = [
                    one_step_errors(form, series, parameters, start)[0] - at_zero
                    for start in np.eye(count)
                ]
                start = np.linalg.lstsq(np.array(columns).T, -at_zero, rcond=1e-8)[0]
                errors, forecast = one_step_errors(form, series, parameters, start)
                n, k = len(y), form.parameters(season)
                penalty = 2 * k + 2 * k * (k + 1) / (n - k - 1)
                floor = (1e-3 * scale / (y.mean() if logarithms else 1)) ** 2
                deviance = n * np.log((errors**2).mean() + floor) + logarithms * 2 * np.log(y).sum()
                criteria.append(deviance + penalty)
                ahead.append(np.exp(forecast) if logarithms else forecast)
                if not logarithms:
                    relative = errors / (y - errors)
                    floor = (1e-3 * scale / y.mean()) ** 2
                    deviance = n * np.log((relative**2).mean() + floor)
                    criteria.append(deviance + 2 * np.log(y - errors).sum() + penalty)
                    ahead.append(forecast)
    weights = np.exp((min(criteria) - np.array(criteria)) / 2)
    return np.average(ahead, axis=0, weights=weights)


@pytest.mark.parametrize("season", [1, 4])
def test_forecasts_are_means_with_akaike_weights(season):
    rng = np.random.default_rng(2)
    steps = np.arange(24)
    y = 20 + 0.3 * steps + 3 * np.sin(2 * np.pi * steps / 4) * (season > 1) + rng.normal(0, 1, 24)
    smoothing = WindowSmoothing.of(24, 6, season)
    forecast = smoothing.predict(y[None, :, None], 1)[0, :, 0]
    assert forecast == pytest.approx(akaike_mean(y, season), rel=1e-6)


def test_the_theta_method_adds_half_of_the_slope_of_a_line():
    """With the weight on one alpha: simple exponential smoothing with drift (Hyndman and Billah, 2003)."""
    rng = np.random.default_rng(3)
    y = 30 + 0.5 * np.arange(40) + rng.normal(0, 2, 40)
    smoothing = WindowSmoothing.of_theta(40, 6, 1)
    slope = np.polyfit(np.arange(40), y, 1)[0]
    ahead = np.einsum("t,gth->gh", y, smoothing.ahead)
    for alpha, forecast in zip((0.05, 0.2, 0.5, 0.9), ahead, strict=True):
        steps = np.diff(forecast)
        assert steps == pytest.approx(np.full(5, slope / 2), rel=1e-6)
        if alpha == 0.9:  # the start hardly matters
            level = y[0]
            for value in y[1:]:
                level += alpha * (value - level - slope / 2)
                level += slope / 2
            assert forecast[0] == pytest.approx(level + slope / 2, rel=0.02)
    assert smoothing.predict(y[None, :, None], 1)[0, :, 0] == pytest.approx(
        ahead[-1], abs=0.2 * np.abs(y).mean()
    )


def windows(steps=36, count=5):
    rng = np.random.default_rng(4)
    season = 1 + 0.3 * np.sin(2 * np.pi * np.arange(steps) / 12)
    return 50 * season[None, :, None] * rng.normal(1, 0.1, (count, steps, 1))


def test_forecasts_are_free_of_scale_and_follow_shifts():
    smoothing = WindowSmoothing.of(36, 12, 12)
    x = windows()
    expected = smoothing.predict(x, 1, (0.1, 0.5, 0.9))
    for k in (1e-3, 1e3):
        assert smoothing.predict(k * x, 1, (0.1, 0.5, 0.9)) / k == pytest.approx(expected, rel=1e-6)
    below = x - 1e4  # not positive: additive errors only
    shifted = smoothing.predict(below - 500, 1, (0.1, 0.5, 0.9)) + 500
    assert shifted == pytest.approx(smoothing.predict(below, 1, (0.1, 0.5, 0.9)), abs=1e-3)


def test_constant_series_stay_constant_and_none_becomes_negative():
    smoothing = WindowSmoothing.of(36, 12, 12)
    for value in (0.0, 7.0, -3.0):
        forecast = smoothing.predict(np.full((1, 36, 1), value), 1, (0.1, 0.5, 0.9))
        assert forecast == pytest.approx(np.full((1, 12, 1, 3), value), abs=1e-4)
    rare = np.random.default_rng(0).poisson(0.3, (8, 36, 1)).astype(float)
    assert smoothing.predict(rare, 1, (0.01, 0.5)).min() >= 0


def test_a_short_series_is_forecast_from_its_own_rows():
    smoothing = WindowSmoothing.of(60, 12, 12)
    long, short = WindowSmoothing.of(36, 12, 12), windows(36)
    padded = np.concatenate([np.repeat(short[:, :1], 24, axis=1), short], axis=1)
    difference = np.abs(smoothing.predict(padded, 1) - long.predict(short, 1))
    assert difference.mean() < 0.05 * short.mean()


@pytest.fixture(scope="module")
def table():
    return monthly_table(4, 180)


@pytest.fixture(scope="module", params=["ets", "theta_method"])
def run(table, tmp_path_factory, request):
    out = tmp_path_factory.mktemp("run") / "run"
    return kzoo.baselines.train(request.param, table, out=out, quantiles=[0.1, 0.5, 0.9], **OPTIONS)


def test_a_run_has_longer_windows_and_the_scores_of_the_baseline(run, table):
    assert run.spec.config["input_shape"][0] == 120
    assert kzoo.evaluate(run, table) == run.summary["test"]
    preset = kzoo.get_preset("series_linear")
    longer = replace(preset, config={**preset.config, "input_shape": (120, 1)})
    data = kzoo.load_data(table, quantiles=[0.1, 0.5, 0.9], **{**OPTIONS, "preset": longer})
    (result,) = kzoo.baselines.score(data, names=run.spec.preset)
    assert result.scores["pinball"] == pytest.approx(run.summary["test"]["pinball"], rel=1e-4)
    names = {baseline["name"] for baseline in run.summary["baselines"]}
    assert names >= {"auto_ets", "seasonal_mean"} and run.spec.preset not in names


@pytest.mark.filterwarnings(
    "ignore::kzoo.utils.errors.KzooWarning"
)  # the series is not in training
def test_a_run_forecasts_new_series_and_is_exported(run, tmp_path):
    new = monthly_table(6, 140).query("shop == 'shop 5'")
    expected = kzoo.predict(run, new)
    assert expected.quantiles.shape == (1, 24, 1, 3)
    assert (np.diff(expected.quantiles, axis=-1) >= 0).all()
    for k in (1e-2, 1e2):
        scaled = kzoo.predict(run, new.assign(sales=new["sales"] * k))
        assert scaled.quantiles / k == pytest.approx(expected.quantiles, rel=1e-3)
    exported = kzoo.export(run, tmp_path / "exported", ["onnx", "litert"])
    for name in ("onnx", "litert"):
        again = kzoo.runtime.load(exported, name).predict(new)
        assert again.quantiles == pytest.approx(expected.quantiles, rel=1e-4)


def test_commands_take_a_run_of_one_series(tmp_path, capsys):
    file = tmp_path / "sales.csv"
    monthly_table(1, 420).drop(columns="shop").to_csv(file, index=False)
    run = kzoo.baselines.train(
        "ets", file, target="sales", time="month", out=tmp_path / "run", baselines=False
    )
    again = kzoo.baselines.train(
        "ets", file, target="sales", time="month", out=tmp_path / "run", baselines=False
    )
    assert again.config["created"] == run.config["created"]
    for arguments in (
        ["predict", str(run.path), str(file), "--confidence", "0.8"],
        ["evaluate", str(run.path), "--data", str(file)],
        ["report", str(run.path), "--out", str(tmp_path / "report.html")],
        ["show", str(run.path)],
    ):
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out


def test_quantiles_without_a_preset_have_the_windows_of_values(tmp_path, table):
    options = {name: value for name, value in OPTIONS.items() if name != "preset"}
    values, quantiles = (
        kzoo.baselines.train("ets", table, out=tmp_path / name, baselines=False, **options, **more)
        for name, more in (("values", {}), ("quantiles", dict(quantiles=[0.1, 0.5, 0.9])))
    )
    assert quantiles.spec.config["input_shape"] == values.spec.config["input_shape"]
    assert kzoo.predict(quantiles, table).levels == (0.1, 0.5, 0.9)


def test_the_mean_of_runs_with_many_quantiles_is_opened(tmp_path, table):
    """Loading refuses small files with hundreds of layers: their number must not grow with that of the levels."""
    levels = np.arange(1, 20) / 20
    runs = [
        kzoo.baselines.train(
            name, table, out=tmp_path / name, baselines=False, quantiles=levels.tolist(), **OPTIONS
        )
        for name in ("ets", "theta_method")
    ]
    mean = kzoo.ensemble(runs, data=table, out=tmp_path / "mean")
    quantiles = [kzoo.predict(run, table).quantiles for run in runs]
    expected = np.mean(quantiles, axis=0)
    assert kzoo.predict(mean, table).quantiles == pytest.approx(expected, rel=1e-4)


def test_windows_that_a_preset_sets_stay_as_they_are(tmp_path, table):
    data = kzoo.load_data(table, **OPTIONS)
    run = kzoo.baselines.train("ets", data, out=tmp_path / "run", baselines=False)
    assert run.spec.config["input_shape"][0] == data.input_shape[0] == 48
    assert run.summary["baseline"]["notes"] == ["windows of 48 steps, a season of 12 steps"]
