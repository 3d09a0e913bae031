"""Scores of the forecasts of a cell, and their comparison over panels, for `forecasts.py`. NumPy only."""

import numpy as np

LEVELS = np.arange(1, 10) / 10
THREE = [0, 4, 8]  # of `LEVELS`
LOW, MIDDLE, HIGH = THREE
FIFTHS = 5


def season_of(history, season):
    """Return the season if a series is long enough for its differences, else 1."""
    return season if np.isfinite(history).sum() > season + 1 else 1


def own_scale(history, season):
    """Return the mean absolute seasonal difference of a series; NaN if there is none, or it is 0."""
    steps = season_of(history, season)
    if len(history) <= steps:
        return np.nan
    differences = np.abs(history[steps:] - history[:-steps])
    differences = differences[np.isfinite(differences)]
    return differences.mean() if differences.any() else np.nan


def pinball(truth, quantiles, levels=LEVELS):
    """Return the losses (series, steps, levels)."""
    error = truth[..., None] - quantiles
    return np.maximum(levels * error, (levels - 1) * error)


def scores(histories, truth, quantiles, season, *, mean=None, totals=None):
    """Return the scores of a panel's forecasts.

    Args:
        histories: an array of past values for each series.
        truth: (series, steps), NaN where it is unknown.
        quantiles: (series, steps, levels).
        season: in steps.
        mean: (series, steps) means; None for the medians.
        totals: (series, levels) of each series' sum over the steps, or None.
    """
    known = np.isfinite(truth)
    scale = np.array([own_scale(history, season) for history in histories])
    loss = pinball(truth, quantiles)
    size = np.nansum(np.abs(truth))
    error = np.abs(truth - quantiles[..., MIDDLE])
    inside = (truth >= quantiles[..., LOW]) & (truth <= quantiles[..., HIGH])
    levels = [np.nanmean(np.abs(history)) for history in histories]
    fifth = np.argsort(np.argsort(levels, kind="stable")) * FIFTHS // len(levels)
    of_fifth = [known[fifth == number] for number in range(FIFTHS)]
    point = quantiles[..., MIDDLE] if mean is None else mean
    sums = np.where(known, truth, 0).sum(), np.where(known, point, 0).sum()

    def wql(some):
        return float(2 * np.nansum(loss[..., some].mean(-1)) / size) if size else None

    result = dict(
        wql=wql(slice(None)),
        wql3=wql(THREE),
        mase=_mean(np.nanmean(error, axis=1) / scale),
        scaled_loss=_mean(2 * np.nanmean(loss.mean(-1), axis=1) / scale),
        coverage=float(inside[known].mean()),
        cells=int(known.sum()),
        inside_of_fifth=[
            int((inside[fifth == number] & part).sum()) for number, part in enumerate(of_fifth)
        ],
        cells_of_fifth=[int(part.sum()) for part in of_fifth],
        bias=float((sums[1] - sums[0]) / size) if size else None,
        negative=int((quantiles < 0).sum()) if min(map(np.nanmin, histories)) >= 0 else 0,
    )
    if totals is not None:
        whole = known.all(axis=1) & np.isfinite(totals).all(axis=1)
        total = truth[whole].sum(axis=1)
        right = (total >= totals[whole, LOW]) & (total <= totals[whole, HIGH])
        result |= dict(totals=int(whole.sum()), totals_inside=int(right.sum()))
    return result


def _mean(values):
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None


# Over panels


def log_ratios(cells, way, other, metric, origins):
    """Return the logarithm of a way's score over that of another for each origin of each panel with both.

    Args:
        cells: (panel, origin, way) -> scores.
        origins: numbers of the origins that count.
    """
    ratios = {}
    for panel, origin, name in cells:
        pair = [cells.get((panel, origin, each), {}).get(metric) for each in (way, other)]
        if name == way and origin in origins and all(pair):
            ratios.setdefault(panel, []).append(float(np.log(pair[0] / pair[1])))
    return ratios


def geometric_mean(ratios):
    """Return the geometric mean over panels, each of the geometric mean over its origins."""
    return float(np.exp(np.mean([np.mean(values) for values in ratios.values()])))


def interval(ratios, draws=2000, seed=0):
    """Return the 95 % interval of the geometric mean: panels are drawn, and origins within them."""
    rng = np.random.default_rng(seed)
    panels = [np.array(values) for values in ratios.values()]
    means = np.empty(draws)
    for draw in range(draws):
        drawn = [panels[number] for number in rng.integers(len(panels), size=len(panels))]
        means[draw] = np.mean(
            [values[rng.integers(len(values), size=len(values))].mean() for values in drawn]
        )
    low, high = np.exp(np.quantile(means, [0.025, 0.975]))
    return float(low), float(high)


def bias_over_rival(cells, way, rival, origins):
    """Return the median of abs(bias) of a way minus that of a rival, over the cells that both have; None without any.

    Args:
        cells: (panel, origin, way) -> scores.
        way, rival: the ways.
        origins: numbers of the origins that count.
    """
    pairs = [
        (abs(score["bias"]), abs(other["bias"]))
        for (panel, origin, name), score in cells.items()
        if name == way
        and origin in origins
        and score["bias"] is not None
        and (other := cells.get((panel, origin, rival), {})).get("bias") is not None
    ]
    if not pairs:
        return None
    own, others = np.median(pairs, axis=0)
    return float(own - others)


def regrets(cells, way, others, validation, metric="wql"):
    """Return panel -> how much worse a way is than that of `others` with the best score at the origin `validation`.

    It is that on the origins after it, which have smaller numbers.
    """
    result = {}
    for panel in sorted({panel for panel, _, _ in cells}):
        first = {
            other: score
            for other in others
            if (score := cells.get((panel, validation, other), {}).get(metric)) is not None
        }
        if not first:
            continue
        best = min(first, key=first.__getitem__)
        if values := log_ratios(cells, way, best, metric, range(validation)).get(panel):
            result[panel] = (float(np.expm1(np.mean(values))), best)
    return result


def summary(cells, ways, validation, *, naive="seasonal_naive", rival="AutoETS"):
    """Return a row for each way: ratios to the seasonal naive forecast and to a rival, coverage, bias, regret.

    Args:
        cells: (panel, origin, way) -> scores; only panels that all the ways have are compared.
        validation: number of the origin for validation; those with smaller numbers count.
    """
    rows, origins = [], range(validation)
    for way in ways:
        of_way = [
            (panel, score)
            for (panel, origin, name), score in cells.items()
            if name == way and origin in origins
        ]
        if not of_way:
            continue
        row = dict(way=way, panels=len({panel for panel, _ in of_way}), cells=len(of_way))
        for metric in ("wql", "wql3", "mase", "scaled_loss"):
            if ratios := log_ratios(cells, way, naive, metric, origins):
                row[metric] = geometric_mean(ratios)
            if way != rival and (ratios := log_ratios(cells, way, rival, metric, origins)):
                row[f"{metric}_over_rival"] = [geometric_mean(ratios), *interval(ratios)]
        coverage = {}
        for panel, score in of_way:
            coverage.setdefault(panel, []).append(score["coverage"])
        covered = {panel: float(np.mean(values)) for panel, values in coverage.items()}
        inside, counts = (
            np.sum([score[name] for _, score in of_way], axis=0)
            for name in ("inside_of_fifth", "cells_of_fifth")
        )
        row |= dict(
            coverage=float(np.mean([*covered.values()])),
            coverage_error=float(np.mean([abs(value - 0.8) for value in covered.values()])),
            least_coverage=min(covered.items(), key=lambda item: item[1]),
            coverage_of_fifth=(inside / np.maximum(counts, 1)).tolist(),
            bias=float(
                np.median([abs(score["bias"]) for _, score in of_way if score["bias"] is not None])
            ),
            negative=int(sum(score["negative"] for _, score in of_way)),
            seconds=float(np.mean([score["seconds"] for _, score in of_way])),
            missing=int(sum(score["missing"] for _, score in of_way)),
        )
        if way != rival and (bias := bias_over_rival(cells, way, rival, origins)) is not None:
            row["bias_over_rival"] = bias
        if totals := sum(score.get("totals", 0) for _, score in of_way):
            row |= dict(
                totals=totals,
                totals_coverage=sum(s.get("totals_inside", 0) for _, s in of_way) / totals,
            )
        others = [other for other in ways if other != way]
        if regret := regrets(cells, way, others, validation):
            values = {panel: value for panel, (value, _) in regret.items()}
            row |= dict(
                regret=float(np.mean([*values.values()])),
                largest_regret=max(values.items(), key=lambda i: i[1]),
            )
        rows.append(row)
    return rows
