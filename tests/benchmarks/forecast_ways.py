"""The ways of forecasting that `forecasts.py` compares: simple ones, kzoo's, and rivals in another environment."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from forecast_panels import grid
from forecast_scores import LEVELS, season_of

from kzoo.utils.files import read_json

SIMPLE = "seasonal_naive", "seasonal_mean"
RIVALS = "AutoETS", "AutoTheta", "LightGBM"
MEANS = 4  # seasons
FEW = 5  # errors from which quantiles are taken


def filled(y):
    """Return a series from its first value on, with missing values filled in by the one before."""
    y = y[np.flatnonzero(np.isfinite(y))[0] :]
    return y[np.maximum.accumulate(np.where(np.isfinite(y), np.arange(len(y)), 0))]


def simple(way, history, horizon, season):
    """Return the quantiles (steps, levels) of a simple forecast with its own errors in the past."""
    y = filled(history)
    season = season_of(y, season)
    count = 1 if way == "seasonal_naive" else min(MEANS, len(y) // season)

    def forecast(position, step):
        last = position + (step - 1) % season - season
        return np.mean([y[max(last - season * back, 0)] for back in range(count)])

    errors = [y[t] - forecast(t, 1) for t in range(season * count, len(y))]
    # of one season ahead; those of a naive forecast grow with the number of seasons
    steps = np.arange(1, horizon + 1)
    growth = np.sqrt((steps - 1) // season + 1) if count == 1 else np.ones(horizon)
    errors = (
        np.sort(errors) if len(errors) >= FEW else np.array([*errors, *np.negative(errors), 0.0])
    )
    points = np.array([forecast(len(y), step) for step in steps])
    return points[:, None] + growth[:, None] * np.quantile(errors, LEVELS)


def simple_quantiles(way, histories, panel):
    """Return the quantiles (series, steps, levels) of a simple forecast of each series."""
    return np.stack([simple(way, history, panel.horizon, panel.season) for history in histories])


def rival_quantiles(way, histories, panel, known, python):
    """Return the quantiles of a rival, computed by the Python of another environment.

    Args:
        known: for each series, (columns, steps of its past and the horizon).
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = (Path(folder) / name for name in ("source.npz", "target.npy"))
        series = {f"y{number}": history for number, history in enumerate(histories)}
        columns = {f"known{number}": each for number, each in enumerate(known)}
        sizes = dict(horizon=panel.horizon, season=panel.season, series=len(histories))
        np.savez(source, way=way, **sizes, **series, **columns)
        script = Path(__file__).with_name("forecast_rivals.py")
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        words = [python, script, source, target]
        done = subprocess.run(words, capture_output=True, text=True, env=environment)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        return np.load(target)


def kzoo_forecasts(way, history, future, panel, seconds, folder):
    """Return the forecasts of a preset, a baseline or `auto` of kzoo, and the facts of its run.

    Args:
        history: rows before the origin.
        future: rows of the horizon; only known columns are read.
        seconds: limit of `auto`.
        folder: for the run.

    Returns:
        Quantiles (series, steps, levels), NaN for series without any; `mean` (series, steps) and `totals` (series,
        levels), the quantiles of the sums over the steps, where a run has them; and facts.
    """
    import kzoo
    from kzoo.training.suggestions import preset_with_window

    options = dict(
        target="value",
        series_id="id",
        time="time",
        known_covariates=list(panel.known) or None,
        quantiles=[float(level) for level in LEVELS],
    )
    ids = list(grid(future).index)
    settings = dict(horizon=panel.horizon, test=0, progress=False, out=folder, **options)
    facts = {}
    if way == "auto":
        search = kzoo.tune("auto", history, max_time=seconds, **settings)
        run, facts = search.winner, dict(winner=read_json(search.path / "auto.json")["label"])
    elif way in kzoo.list_presets():
        run = kzoo.train(way, history, baselines=False, check=False, **settings)
        facts = dict(parameters=run.summary["parameters"], epochs=run.summary["epochs"])
    else:
        reader = preset_with_window("series_linear", {"horizon": panel.horizon})
        try:
            run = kzoo.baselines.train(
                way, history, preset=reader, baselines=False, test=0, out=folder, **options
            )
        except kzoo.KzooError as error:
            if "as a network" not in str(error):
                raise
            names, quantiles = fitted_quantiles(way, history, future, reader, options)
            return in_order(ids, names, quantiles), None, None, facts
    planned = pd.concat([history, future.assign(value=np.nan)]) if panel.known else history
    predictions = kzoo.predict(run, planned)
    quantiles = in_order(ids, predictions.inputs, predictions.quantiles[:, :, 0])
    if predictions.mean is None:
        return quantiles, None, None, facts
    mean = in_order(ids, predictions.inputs, predictions.mean[:, :, 0])
    try:
        sums = kzoo.predict(run, planned, total="steps")
    except kzoo.KzooError as error:  # too few past origins
        return quantiles, mean, None, facts | dict(no_totals=str(error))
    return quantiles, mean, in_order(ids, sums.inputs, sums.quantiles[:, 0, 0]), facts


def fitted_quantiles(way, history, future, reader, options):
    """Return the series for which a baseline that is no run has forecasts, and their quantiles."""
    import kzoo

    data = kzoo.load_data(history, preset=reader, test=pd.concat([history, future]), **options)
    windows = data.test.y
    last = np.flatnonzero(windows.moments == windows.moments.max())
    fitted = kzoo.baselines.fit(data, way, all_rows=True)
    quantiles, _ = fitted.predict(data.test.select(last))
    names = [windows.series.names[code] for code in windows.series.codes[last]]
    return names, quantiles[:, :, 0]


def in_order(ids, names, quantiles):
    """Return the forecasts (series, ...) in the order of `ids`; NaN for series that are not among `names`."""
    numbers = {str(name): number for number, name in enumerate(names)}
    without = np.full(quantiles.shape[1:], np.nan)
    return np.stack([quantiles[numbers[name]] if name in numbers else without for name in ids])
