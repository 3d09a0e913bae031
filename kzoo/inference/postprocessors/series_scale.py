"""Scores of forecasts over the size of the errors of their series, pooled over series and shrunk to each. NumPy only.

A score is divided by `Predictions.error_scale`, the size of the errors that a series makes by itself, so that scores of
small and large series can be pooled: the width of a band is a pooled quantile times the scale of the series. Where the
scores of a series are higher or lower than those of the others in early and in late origins alike, its widths follow
its own: by a factor (of residuals, which are positive) or by a summand (of quantiles, whose scores are not). It is that
of its mean score, times the share of the differences between series that persists: the covariance between early and
late origins over the variance, as in empirical Bayes (Efron and Morris, 1975, https://doi.org/10.2307/2285814).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

FEWEST_SERIES = 10  # with early and late origins, from which on series have widths of their own
_LARGEST = 10.0  # factor between the mean scores of a series and the median series, at most
_MOST_STORED = 10_000  # series


def learned_scale(
    scores: np.ndarray,
    predictions: Predictions,
    moments: np.ndarray | None,
    *,
    positive: bool,
) -> tuple[np.ndarray, JsonObject]:
    """Return the scaled scores (N, horizon, targets), and what is stored of series.

    The scores of early origins are scaled by what late ones say of the series, and the other way round: otherwise the
    pooled scores would be too small.

    Args:
        scores: (N, horizon, targets) in the unit of the targets.
        predictions: with `error_scale`; `inputs` are the names of the series if there are several.
        moments: (N,) number of the first step of each forecast, the same for all series at the same time; None if it is
            not known, so that series have no widths of their own.
        positive: whether scores are residuals, else those of quantiles.
    """
    stored: dict[str, Any] = {"rule": "factor" if positive else "summand", "series": {}}
    assert predictions.error_scale is not None
    scaled = scores / predictions.error_scale[:, None]
    codes, names = series_of(predictions)
    if moments is None or len(names) < FEWEST_SERIES:
        return scaled, stored
    halves = _halves(moments, scores.shape[1])
    if halves is None:
        return scaled, stored
    own = np.zeros((len(names), scores.shape[2]))
    crossed = np.zeros((len(scores), scores.shape[2]))
    is_late = moments >= (moments.min() + moments.max() + 1) / 2
    for target in range(scores.shape[2]):
        mean = scaled[..., target].mean(axis=1)
        early, late, whole = (
            _levels(mean[rows], codes[rows], len(names), positive=positive)
            for rows in (*halves, np.ones(len(mean), bool))
        )
        both = np.isfinite(early) & np.isfinite(late)
        if both.sum() < FEWEST_SERIES:
            continue
        persistent = max(float(np.cov(early[both], late[both])[0, 1]), 0.0)
        own[:, target] = np.where(both, _shrunk(whole, both, persistent), 0)
        from_early, from_late = (
            np.where(both, _shrunk(half, both, persistent), 0) for half in (early, late)
        )
        crossed[:, target] = np.where(is_late, from_early[codes], from_late[codes])
    if own.any() and len(names) <= _MOST_STORED:
        values = np.exp(own) if positive else own
        stored["series"] = {
            name: np.round(row, 9).tolist()
            for name, row in zip(names, values, strict=True)
            if (row != (1 if positive else 0)).any()
        }
        scaled = scaled / np.exp(crossed)[:, None] if positive else scaled - crossed[:, None]
    return scaled, stored


def series_of(predictions: Predictions) -> tuple[np.ndarray, list[str]]:
    """Return the number of the series of each prediction (N,), and the names of the series; one without names."""
    inputs = list(predictions.inputs)
    if not inputs or not all(isinstance(name, str) for name in inputs):
        return np.zeros(len(predictions), int), [""]
    names, codes = np.unique(np.array(inputs, object).astype(str), return_inverse=True)
    return codes.reshape(-1), names.tolist()


def _halves(moments: np.ndarray, horizon: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Return which origins are early and which are late (N,), at least a horizon apart; None if there is no room."""
    first, last = int(moments.min()), int(moments.max())
    length = (last - first + 2 - horizon) // 2
    if length < 1:
        return None
    return moments < first + length, moments > last - length


def _levels(mean: np.ndarray, codes: np.ndarray, count: int, *, positive: bool) -> np.ndarray:
    """Return the mean score of each series (S,), of residuals its logarithm; NaN without any."""
    rows = np.bincount(codes, minlength=count)
    with np.errstate(divide="ignore", invalid="ignore"):
        levels = np.bincount(codes, mean, minlength=count) / rows
    if not positive:
        return levels
    median = float(np.nanmedian(levels)) or float(np.nanmean(levels)) or 1.0
    return np.log(np.clip(levels / median, 1 / _LARGEST, _LARGEST))


def _shrunk(levels: np.ndarray, both: np.ndarray, persistent: float) -> np.ndarray:
    """Return the difference of each series from the mean of all, times the share of the variance that persists."""
    variance = float(np.var(levels[both], ddof=1))
    share = min(persistent / variance, 1.0) if variance > 0 else 0.0
    return share * (levels - levels[both].mean())


def _of_series(
    stored: Mapping[str, Any], predictions: Predictions
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scale (N, 1, targets), and the factor or summand of the series of each prediction."""
    scale = predictions.error_scale
    if scale is None:
        raise KzooError(
            "needs the windows that the forecasts are made from, because the band follows the errors of each series, "
            "and these predictions do not have them.",
            argument="confidence",
        )
    neutral = [1.0 if stored["rule"] == "factor" else 0.0] * scale.shape[-1]
    own: Sequence[Any] = [stored["series"].get(name, neutral) for name in predictions.inputs]
    if not stored["series"] or len(own) != len(scale):
        own = [neutral] * len(scale)
    return np.asarray(scale, np.float64)[:, None], np.array(own, np.float64)[:, None]


def scaled_scores(
    stored: Mapping[str, Any], scores: np.ndarray, predictions: Predictions
) -> np.ndarray:
    """Return scores (N, horizon, targets) as they were pooled."""
    scale, own = _of_series(stored, predictions)
    return scores / (scale * own) if stored["rule"] == "factor" else scores / scale - own


def widths(stored: Mapping[str, Any], sizes: np.ndarray, predictions: Predictions) -> np.ndarray:
    """Return pooled scores (horizon, targets), or (N, horizon, targets), in the unit of the target, for each series."""
    scale, own = _of_series(stored, predictions)
    return sizes * (scale * own) if stored["rule"] == "factor" else (sizes + own) * scale
