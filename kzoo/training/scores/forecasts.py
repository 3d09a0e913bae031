"""Scores of forecasts that do not depend on the unit of a series, so that series of different size can be compared.

MASE and RMSSE: Hyndman and Koehler, 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001; and the M5 competition.
"""

from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent

# series of each row (N,), absolute and squared seasonal differences (S, targets), names of the series
SeasonalScales: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[str]]
MOST_SERIES = 1_000  # whose scores are stored


def forecast_scores(
    truth: np.ndarray,
    point: np.ndarray,
    scales: SeasonalScales | None = None,
    beside: Iterable[tuple[str, np.ndarray]] = (),
) -> JsonObject:
    """Return scores of point forecasts relative to the size of the series.

    Args:
        truth: (N, horizon, targets).
        point: (N, horizon, targets) forecasts.
        scales: what `kzoo.data.inputs.series.simple_forecasts.seasonal_scales` returns, or None.
        beside: pairs (name, forecasts (N, horizon, targets)) of simple forecasts.

    Returns:
        `wape`, the sum of absolute errors over that of absolute true values, and `bias`, the sum of errors over it;
        None where the truth is 0 throughout. With `scales` also `mase` and `rmsse`, the mean over series and targets of
        the mean absolute, and of the root of the mean squared, error over that of seasonal differences in training;
        `constant_series`, how many have no differences and are left out; and of several series `series`, name -> their
        own. With simple forecasts of a single target, `simple_forecasts`: name -> `mae`, in its unit, and `wape` of
        each that covers all rows, and under "forecast" those of the forecasts themselves.
    """
    error = (point - truth).astype("float64")
    total = float(np.abs(truth).sum(dtype="float64"))
    scores: dict = dict(
        wape=float(np.abs(error).sum()) / total if total else None,
        bias=float(error.sum()) / total if total else None,
    )
    simple = {
        name: _in_units(values, truth, total)
        for name, values in beside
        if truth.shape[-1] == 1 and np.isfinite(values).all()
    }
    if simple:
        scores["simple_forecasts"] = {"forecast": _in_units(point, truth, total)} | simple
    if scales is None:
        return scores
    codes, absolute, squared, names = scales
    present, members = np.unique(codes, return_inverse=True)
    counts = np.bincount(members)[:, None]
    # (S, targets)
    mae, mse = (_means(power.mean(axis=1), members, counts) for power in (np.abs(error), error**2))
    with np.errstate(divide="ignore", invalid="ignore"):
        mase = np.where(absolute[present] > 0, mae / absolute[present], np.nan)
        rmsse = np.where(squared[present] > 0, np.sqrt(mse / squared[present]), np.nan)
    scores |= dict(mase=_mean(mase), rmsse=_mean(rmsse))
    if constant := int(np.isnan(mase).any(axis=1).sum()):
        scores["constant_series"] = constant
    if len(names) > 1 and len(present) <= MOST_SERIES:
        scores["series"] = {
            names[code]: dict(
                mae=float(mae[i].mean()), mase=_mean(mase[i]), examples=int(counts[i, 0])
            )
            for i, code in enumerate(present.tolist())
        }
    return scores


def _in_units(point: np.ndarray, truth: np.ndarray, total: float) -> JsonObject:
    """Return the mean absolute error in the unit of the target, and as a share of all true values."""
    error = np.abs((point - truth).astype("float64"))
    return dict(mae=float(error.mean()), wape=float(error.sum()) / total if total else None)


def in_units(scores: Scores, target: Target) -> str:
    """Return how far forecasts are off, in the unit of their target and in percent, beside the best simple forecast.

    It is empty for scores without simple forecasts.
    """
    simple = dict(scores.get("simple_forecasts") or {})
    if not simple:
        return ""
    own = _error_text(simple.pop("forecast"), " on average")
    best = min(simple, key=lambda name: float(simple[name]["mae"]))
    subject = f"Forecasts of {target.names[0]!r}" if target.names else "Forecasts"
    return (
        f"{subject} are off by {own}; the best simple forecast, {best}, by "
        f"{_error_text(simple[best])}."
    )


def _error_text(error: JsonObject, after: str = "") -> str:
    return f"{number(error['mae'])}{after}" + (
        "" if error["wape"] is None else f", {percent(error['wape'])} of the total"
    )


def _means(values: np.ndarray, members: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean of values (N, targets) over the members of each series (S, targets)."""
    return np.stack([np.bincount(members, column) for column in values.T], axis=1) / counts


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
