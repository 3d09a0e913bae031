"""Bands of forecasts that follow the errors of the forecasts before: adaptive conformal inference. NumPy only.

Errors of forecasts change with time, so that a promise from earlier rows does not hold. The size of the band is the
quantile of the latest known scores, and its level moves after each forecast whose truth has become known: down a little
if the band covered it, up a lot if not (Gibbs and Candès, 2021, arXiv:2106.00170). In the long run, the band covers its
share whatever the errors do. A forecast h steps ahead is known h steps later: nothing later is used.
"""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.conformal import ends, interval_coverage, intervals, judged
from kzoo.inference.postprocessors.conformal_scores import StoredScores, quantile_scores
from kzoo.inference.postprocessors.series_scale import scaled_scores, widths
from kzoo.inference.predictions import Predictions
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


LATEST = 200  # scores from which the size of the band is taken
RATE = 0.005  # how far the level moves after a forecast
FEWEST = 20  # known forecasts from which on a band adapts


def adaptive_sizes(
    scores: np.ndarray,
    starts: np.ndarray,
    confidence: float,
    initial: np.ndarray,
    *,
    latest: int = LATEST,
    rate: float = RATE,
) -> np.ndarray:
    """Return the size of the band (N, horizon, targets) of each forecast, from the scores that are known before it.

    Args:
        scores: (N, horizon, targets) of forecasts in order of time; NaN where the truth is unknown.
        starts: (N,) time step of the first value of each forecast, ascending.
        confidence: the level.
        initial: (latest, horizon, targets) scores to begin with.
        latest: number of scores that are kept.
        rate: how far the level moves.
    """
    count, horizon, targets = scores.shape
    pool = np.array(initial.transpose(1, 2, 0), np.float64)  # horizon, targets, latest
    position = np.zeros(horizon, int)  # in the pool, of the oldest score
    tail = np.full((horizon, targets), 1 - confidence)
    known = np.zeros(horizon, int)  # number of forecasts whose truth is known at each step
    ordered = np.sort(pool, axis=-1)
    sizes = np.empty(scores.shape)
    steps = np.arange(horizon)
    for number in range(count):
        # Step h of forecast i is known if its time, starts[i] + h, is before the start of this forecast.
        until = np.searchsorted(starts, starts[number] - steps)
        for step in np.flatnonzero(until > known):
            for earlier in range(known[step], until[step]):
                new, size = scores[earlier, step], sizes[earlier, step]
                seen = np.isfinite(new)
                tail[step] += np.where(seen, rate * (1 - confidence - (new > size)), 0)
                pool[step, :, position[step]] = np.where(seen, new, pool[step, :, position[step]])
                position[step] = (position[step] + 1) % latest
            ordered[step] = np.sort(pool[step], axis=-1)
        known = np.maximum(known, until)
        ranks = np.ceil((latest + 1) * (1 - tail) - 1e-9).astype(int)
        sizes[number] = np.take_along_axis(
            ordered, np.clip(ranks, 1, latest)[..., None] - 1, axis=-1
        )[..., 0]
    return sizes


def initial_scores(cells: StoredScores, latest: int = LATEST) -> np.ndarray:
    """Return evenly spaced scores (latest, horizon, targets) of those that `stored_cells` returned."""
    values = np.asarray(cells["values"], np.float64)  # horizon, targets, ranks
    ranks = np.asarray(cells.get("ranks") or np.arange(1, cells["count"] + 1))
    wanted = (np.arange(latest) + 0.5) / latest * cells["count"]
    return np.apply_along_axis(
        lambda column: np.interp(wanted, ranks, column), -1, values
    ).transpose(2, 0, 1)


def adaptive_intervals(
    learned: "Learned",
    predictions: Predictions,
    truth: np.ndarray,
    starts: np.ndarray,
    confidence: float,
) -> np.ndarray:
    """Return the sizes (N, horizon, targets) of the adaptive bands of forecasts.

    Args:
        learned: the return value of `kzoo.inference.postprocessors.conformal.learn`.
        predictions: N forecasts in order of time.
        truth: (N, horizon, targets); NaN where it is unknown.
        starts: (N,) see `adaptive_sizes`.
        confidence: the level.
    """
    low, high, pair = ends(learned, predictions, confidence)
    cells = learned["scores"] if pair is None else pair["scores"]
    scores = quantile_scores(low, high, np.asarray(truth, np.float64))
    scale = (learned if pair is None else pair).get("scale")
    if scale is not None:
        scores = scaled_scores(scale, scores, predictions)
    sizes = adaptive_sizes(scores, np.asarray(starts), confidence, initial_scores(cells))
    return sizes if scale is None else widths(scale, sizes, predictions)


def coverage(
    learned: "Learned",
    rows: str,
    predictions: Predictions,
    truth: np.ndarray,
    starts: np.ndarray,
    confidence: float,
    moments: np.ndarray | None = None,
) -> JsonObject:
    """Return the coverage of adaptive bands; see `kzoo.inference.postprocessors.conformal.coverage`."""
    band = adaptive_intervals(learned, predictions, truth, starts, confidence)
    lower, upper = intervals(learned, predictions, confidence, band)
    about: JsonObject = {
        "confidence": float(confidence),
        "rows": rows,
        "expected": None,
        "method": "adaptive",
    }
    truth = np.asarray(truth)
    if moments is not None:
        about |= judged((truth >= lower) & (truth <= upper), confidence, predictions, moments)
    return about | interval_coverage(lower, upper, truth)
