"""Scores of forecasts that do not depend on the unit of a series, so that series of different size can be compared.

MASE and RMSSE: Hyndman and Koehler, 2006, https://doi.org/10.1016/j.ijforecast.2006.03.001; and the M5 competition.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from kzoo.utils.files import JsonObject

# series of each row (N,), absolute and squared seasonal differences (S, targets), names of the series
SeasonalScales: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray, Sequence[str]]
MOST_SERIES = 1_000  # whose scores are stored


def forecast_scores(
    truth: np.ndarray, point: np.ndarray, scales: SeasonalScales | None = None
) -> JsonObject:
    """Return scores of point forecasts relative to the size of the series.

    Args:
        truth: (N, horizon, targets).
        point: (N, horizon, targets) forecasts.
        scales: what `kzoo.data.inputs.series.simple_forecasts.seasonal_scales` returns, or None.

    Returns:
        `wape`, the sum of absolute errors over that of absolute true values, and `bias`, the sum of errors over it;
        None where the truth is 0 throughout. With `scales` also `mase` and `rmsse`, the mean over series and targets of
        the mean absolute, and of the root of the mean squared, error over that of seasonal differences in training;
        `constant_series`, how many have no differences and are left out; and of several series `series`, name -> their
        own.
    """
    error = (point - truth).astype("float64")
    total = float(np.abs(truth).sum(dtype="float64"))
    scores: dict = dict(
        wape=float(np.abs(error).sum()) / total if total else None,
        bias=float(error.sum()) / total if total else None,
    )
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


def _means(values: np.ndarray, members: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Return the mean of values (N, targets) over the members of each series (S, targets)."""
    return np.stack([np.bincount(members, column) for column in values.T], axis=1) / counts


def _mean(values: np.ndarray) -> float | None:
    return float(np.nanmean(values)) if np.isfinite(values).any() else None
