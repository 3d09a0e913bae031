"""Scores of quantiles, by NumPy, in the targets' own units."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from kzoo.inference.postprocessors import conformal
from kzoo.inference.postprocessors.clustered import Clusters, coverage_range
from kzoo.inference.postprocessors.series_scale import series_of
from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks.central import central, central_levels, nearest
from kzoo.inference.tasks.quantiles import levels_of
from kzoo.inference.tasks.weighted import effective_rows
from kzoo.inference.tasks.wilson import wilson
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.training.scores.forecasts import SeasonalScales, forecast_scores, in_units
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent, plural
from kzoo.zoo.results.coverage import coverage_warnings


def score(
    batches: Pairs,
    target: Target,
    *,
    logits: bool | None = None,
    beside: Iterable[tuple[str, np.ndarray]] = (),
    weight: np.ndarray | None = None,
    scales: SeasonalScales | None = None,
) -> Scored:
    """Return the scores of quantiles over all targets, and of each target if there are several.

    Args:
        batches: pairs (outputs, truth): (B, ..., targets * levels) or (B, ..., targets, levels), and (B, ..., targets).
        target: the `Target`, with the levels.
        logits: not used here.
        beside: of forecasts: pairs (name, forecasts) of simple ones, with which the medians are compared.
        weight: (N,) sample weights; None: all rows have the same weight.
        scales: of forecasts: see `kzoo.training.scores.forecasts.forecast_scores`; they score the medians
            (see `kzoo.inference.tasks.central`).

    Raises:
        KzooError: the number of outputs does not fit the levels and the targets.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    levels = levels_of(target)
    if outputs.size != truth.size * len(levels):
        expected, predicted = (math.prod(values.shape[1:]) for values in (truth, outputs))
        raise KzooError(
            f"Each row has {plural(expected, 'true value')} with {plural(len(levels), 'quantile')} each, but the model "
            f"predicts {predicted}."
        )
    truth = truth if truth.ndim > 1 else truth[:, None]
    quantiles = np.sort(outputs.reshape(*truth.shape, len(levels)), axis=-1)
    losses = pinball(truth, quantiles, levels)
    inside = _inside(truth, quantiles)
    width = (quantiles[..., -1] - quantiles[..., 0]).astype("float64")
    scale = target.config.get("target_scale")
    scores = _scores(losses, inside, width, weight)
    scores["pinball_standardised"] = None
    if scale is not None:
        scores["pinball_standardised"] = _mean(
            losses / np.asarray(scale, "float64")[:, None], weight
        )
    if truth.ndim == 3:
        total = float(np.abs(truth).sum(dtype="float64"))
        scores["wql"] = 2 * float(losses.sum()) / len(levels) / total if total else None
        scores |= _scores_of_median(truth, quantiles, levels, scales, beside)
    scores["examples"] = len(truth)
    if truth.shape[-1] > 1:
        names = target.names or tuple(f"y{i + 1}" for i in range(truth.shape[-1]))
        scores["targets"] = {
            name: _scores(losses[..., i, :], inside[..., i], width[..., i], weight)
            for i, name in enumerate(names)
        }
    return Scored(scores=scores, truth=truth, answers=quantiles)


def pinball(truth: np.ndarray, quantiles: np.ndarray, levels: ArrayLike) -> np.ndarray:
    """Return the pinball loss of each quantile, in the shape of the quantiles.

    Args:
        truth: (..., targets).
        quantiles: (..., targets, levels).
        levels: of the quantiles.
    """
    error = truth[..., None].astype("float64") - quantiles
    shares = np.asarray(levels)
    return np.maximum(shares * error, (shares - 1) * error)


def _scores_of_median(
    truth: np.ndarray,
    quantiles: np.ndarray,
    levels: Sequence[float],
    scales: SeasonalScales | None,
    beside: Iterable[tuple[str, np.ndarray]],
) -> JsonObject:
    """Return the scores of the medians, and, without the level 0.5, the levels nearest to it as `median_between`.

    If all levels are on one side of 0.5, these have one level, and there are no scores.
    """
    medians = central(quantiles, levels)
    between = central_levels(levels) if medians is not None else [levels[nearest(levels)]]
    scores = {} if medians is None else forecast_scores(truth, medians, scales, beside)
    return scores | ({"median_between": list(between)} if between else {})


def doubts(scores: Scores) -> list[str]:
    """Return warnings if the quantiles have no median, and if the outer ones cover another share than expected."""
    lines = coverage_warnings([scores["band"]] if "band" in scores else [])
    between = scores.get("median_between")
    if not between:
        return lines
    if len(between) == 1:
        return [
            *lines,
            f"All quantiles are on one side of the median, the nearest is {between[0]:g}: scores of a single forecast "
            "(MASE, RMSSE, WAPE, bias) are left out. Train with 0.5 among the quantiles to get them.",
        ]
    return [
        *lines,
        f"0.5 is not among the quantiles: MASE, RMSSE, WAPE and bias are those of values interpolated between the "
        f"quantiles {between[0]:g} and {between[1]:g}. Train with 0.5 among the quantiles for the median itself.",
    ]


def _inside(truth: np.ndarray, quantiles: np.ndarray) -> np.ndarray:
    """Return which true values are between the outer quantiles, or equal to one of them."""
    return (quantiles[..., 0] <= truth) & (truth <= quantiles[..., -1])


def _scores(
    losses: np.ndarray, inside: np.ndarray, width: np.ndarray, weight: np.ndarray | None
) -> JsonObject:
    coverage = _mean(inside.astype("float64"), weight)
    # Rows are independent, the steps and targets of a row are not.
    rows = len(inside) if weight is None else effective_rows(weight)
    return dict(
        pinball=_mean(losses, weight),
        coverage=coverage,
        coverage_interval=list(wilson(coverage * rows, rows)),
        band_width=_mean(width, weight),
    )


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the mean of values (N, ...), with sample weights (N,) if they are not None."""
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def judged(scored: Scored, target: Target, predictions: Predictions, moments: np.ndarray) -> Scored:
    """Return scores of forecasts with the coverage of the outer quantiles judged: see `conformal.judged`.

    Args:
        scored: the result of `score`.
        target: the `Target`, with the levels.
        predictions: with the names of the series as `inputs`, and their `error_scale`.
        moments: (N,) number of the first step of each forecast.
    """
    levels = levels_of(target)
    if len(levels) < 2:
        return scored
    predictions = replace(predictions, quantiles=scored.answers, levels=levels)
    covered = _inside(scored.truth, scored.answers)
    nominal = float(levels[-1] - levels[0])
    clusters = Clusters.of(series_of(predictions)[0], moments, covered.shape[1])
    entry: JsonObject = {"confidence": nominal, "method": "quantiles", "rows": "training"}
    entry |= {"coverage": scored.scores["coverage"]} | conformal.judged(
        covered, nominal, predictions, moments
    )
    # `coverage_interval`, as for independent rows, stays what it was in runs of before
    entry["interval"] = list(coverage_range(covered, clusters))
    return replace(scored, scores=scored.scores | {"band": entry})


def judge(
    truth: np.ndarray, answers: np.ndarray, target: Target, *, metric: str | None = None
) -> Judged:
    """Return the pinball loss of each row, of standardised targets if their scale is known."""
    levels = levels_of(target)
    truth = truth if truth.ndim > 1 else truth[:, None]
    losses = pinball(truth, answers.reshape(*truth.shape, len(levels)), levels)
    scale = target.config.get("target_scale")
    name = "pinball"
    if scale is not None and (truth.shape[-1] > 1 or metric == "pinball_standardised"):
        losses = losses / np.asarray(scale, "float64")[:, None]
        name = "pinball_standardised"
    error = losses.reshape(len(truth), -1).mean(axis=1)
    return Judged(quality=-error, error=error, of=name)


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the pinball loss, and a sentence about the share of the truth between the outer quantiles.

    Args:
        scores: of one split.
        split: a word before "examples", such as "test ".
        answers, outputs: not used here.
    """
    levels = levels_of(target)
    low, high = scores["band"]["interval"] if "band" in scores else scores["coverage_interval"]
    nominal = levels[-1] - levels[0]
    several = len(target.names) > 1
    first = f"{sentence} " if (sentence := in_units(scores, target)) else ""
    return dict(
        value=number(scores["pinball"]),
        label=f"pinball loss on {plural(scores['examples'], f'{split}example')}, "
        + ("the mean over all targets" if several else "in the target's own unit"),
        interval=None,
        scale=None,
        sentence=first
        + f"The mean pinball loss of the {len(levels)} quantiles, their distance from "
        f"the truth weighted by their levels, is {number(scores['pinball'])}. "
        f"{percent(scores['coverage'])} of the true values are between the quantiles {levels[0]:g} and {levels[-1]:g} "
        f"(95 % interval: {percent(low)} to {percent(high)}), where {percent(nominal)} are expected; the mean distance "
        f"of the two is {number(scores['band_width'])}.",
        useless=None,
    )
