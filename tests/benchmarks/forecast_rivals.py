"""AutoETS, AutoTheta and LightGBM for `forecasts.py`, in an environment with statsforecast and lightgbm, without kzoo.

It reads a file that `forecasts.py` writes, and writes quantiles (series, steps, levels) to another.
"""

import sys

import numpy as np

LAGS = 13  # last values that LightGBM reads, beside those of seasons before
SEASONS = 4
MOST_ROWS = 60_000
ROUNDS = 150
MARGINS = 20, 40, 60, 80  # per cent; of the quantiles .4 and .6, .3 and .7, ...


def filled(y):
    """Return a series from its first value on, with missing values filled in by the one before."""
    y = y[np.flatnonzero(np.isfinite(y))[0] :]
    return y[np.maximum.accumulate(np.where(np.isfinite(y), np.arange(len(y)), 0))]


def local(way, histories, horizon, season):
    """Return the quantiles of a model of statsforecast that is fitted to each series."""
    from statsforecast import models

    quantiles = np.full((len(histories), horizon, 9), np.nan)
    for number, history in enumerate(histories):
        y = filled(history)
        # a model of statsforecast with a season needs two of them
        own = season if len(y) > 2 * season else 1
        try:
            forecast = getattr(models, way)(season_length=own).forecast(
                y, horizon, level=[*MARGINS]
            )
        except Exception as error:  # such a series counts as one without a forecast
            print(f"series {number}: {error}", file=sys.stderr)
            continue
        quantiles[number, :, 4] = forecast["mean"]
        for back, margin in enumerate(MARGINS, 1):
            quantiles[number, :, 4 - back] = forecast[f"lo-{margin}"]
            quantiles[number, :, 4 + back] = forecast[f"hi-{margin}"]
    return quantiles


def rows_of(y, ends, steps, season, known):
    """Return the inputs (rows, columns) of targets so many steps after positions of a series, and their scales."""
    scale = np.array([np.abs(y[max(end - max(2 * season, LAGS), 0) : end]).mean() for end in ends])
    scale = np.where(scale > 0, scale, 1.0)
    lags = [np.where(ends > lag, y[np.maximum(ends - 1 - lag, 0)], np.nan) for lag in range(LAGS)]
    at = ends + steps - 1
    seasons = []
    for back in range(SEASONS):
        index = at - season * ((steps - 1) // season + 1 + back)
        seasons.append(np.where(index >= 0, y[np.maximum(index, 0)], np.nan))
    past = np.stack([*lags, *seasons], axis=1)
    known_seasons = np.isfinite(past[:, LAGS:])
    total = np.where(known_seasons, past[:, LAGS:], 0).sum(axis=1)
    mean = total / np.maximum(known_seasons.sum(axis=1), 1)
    scaled = np.column_stack([past, mean]) / scale[:, None]
    columns = [steps, at % season, *(column[at] for column in known)]
    return np.column_stack([scaled, *columns]), scale


def boosted(histories, horizon, season, known):
    """Return the quantiles of gradient-boosted trees that are fitted to scaled values of all series."""
    import lightgbm

    rng = np.random.default_rng(0)
    series = [filled(history) for history in histories]
    begins = [len(history) - len(y) for history, y in zip(histories, series, strict=True)]
    known = [[k[begin:] for k in each] for begin, each in zip(begins, known, strict=True)]
    rows, targets = [], []
    share = MOST_ROWS / max(sum(len(y) for y in series) * horizon, 1)
    for y, columns in zip(series, known, strict=True):
        ends, steps = (
            each.ravel() for each in np.meshgrid(np.arange(2, len(y)), np.arange(1, horizon + 1))
        )
        kept = (ends + steps <= len(y)) & (rng.random(len(ends)) < share)
        if kept.any():
            x, scale = rows_of(y, ends[kept], steps[kept], season, columns)
            rows.append(x)
            targets.append(y[ends[kept] + steps[kept] - 1] / scale)
    x, target = np.concatenate(rows), np.concatenate(targets)
    steps = np.arange(1, horizon + 1)
    new = [
        rows_of(y, np.full(horizon, len(y)), steps, season, k)
        for y, k in zip(series, known, strict=True)
    ]
    quantiles = np.empty((len(series), horizon, 9))
    for number in range(9):
        settings = dict(
            objective="quantile",
            alpha=(number + 1) / 10,
            learning_rate=0.05,
            num_leaves=31,
            num_threads=1,
            seed=0,
            verbose=-1,
        )
        data = lightgbm.Dataset(x, target, free_raw_data=False)
        model = lightgbm.train(settings, data, ROUNDS)
        for one, (inputs, scale) in enumerate(new):
            quantiles[one, :, number] = model.predict(inputs) * scale
    return np.sort(quantiles, axis=-1)


def main():
    source, target = sys.argv[1:]
    with np.load(source) as stored:
        way, horizon, season = str(stored["way"]), int(stored["horizon"]), int(stored["season"])
        histories = [stored[f"y{number}"] for number in range(int(stored["series"]))]
        known = [stored[f"known{number}"] for number in range(len(histories))]
    forecast = boosted(histories, horizon, season, known) if way == "LightGBM" else None
    np.save(target, local(way, histories, horizon, season) if forecast is None else forecast)


if __name__ == "__main__":
    main()
