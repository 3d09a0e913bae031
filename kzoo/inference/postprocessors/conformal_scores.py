"""Nonconformity scores: how unusual a truth is beside a prediction; sets and intervals from their sorted values.

LAC (Sadinle et al., 2019, arXiv:1609.00451), RAPS (Angelopoulos et al., 2021, arXiv:2009.14193), per class (Mondrian;
Vovk, 2012), residuals over their spread (Lei et al., 2018, arXiv:1604.04173) and conformalised quantile regression
(Romano et al., 2019, arXiv:1905.03222). NumPy only.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.inference.postprocessors.coverage import corrected_rank
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


StoredScores: TypeAlias = Mapping[str, Any]  # what `stored` or `stored_cells` returns

PENALTIES = (0.001, 0.01, 0.1, 0.2, 0.5)  # of RAPS, from the article
_TUNED = 0.9  # the level for which the penalty of RAPS is chosen
_KEPT = 2_000  # scores that are stored in full
# of more scores: the share by which the number of larger scores differs between stored ones
_RATIO = 0.02
_DIGITS = 9  # significant digits of stored scores, rounded up
_BINS, _BIN_ROWS, _FOLDS = 20, 30, 5  # of the spread of residuals
_SMALLEST_SPREAD = 0.05  # share of the mean residual below which a spread does not fall


def stored(scores: np.ndarray, most: int = _KEPT) -> JsonObject:
    """Return scores as plain data: `count`, sorted `values`, and, if they are thinned out, the `ranks` of these.

    Of many scores, ranks are kept whose number of larger scores grows by 2 % from one to the next, or more if that
    leaves too many. A rank in between is rounded up, which makes sets larger, never smaller. Values are rounded up.

    Args:
        scores: (n,).
        most: largest number of scores that are stored.
    """
    scores, count = np.sort(np.asarray(scores, np.float64)), len(scores)
    if count <= most:
        return {"count": count, "values": rounded_up(scores)}
    ratio = _RATIO
    kept = np.arange(0)
    while ratio == _RATIO or len(kept) > most:
        # The number of larger scores: 0, 1, 2, ... and from 1 / ratio on in a geometric progression.
        larger = np.exp(np.arange(0, np.log(count) + ratio, ratio)) - 1
        kept = np.unique(np.minimum(np.round(larger), count - 1).astype(int))
        ratio *= 1.5
    ranks = count - kept[::-1]  # from 1
    return {"count": count, "values": rounded_up(scores[ranks - 1]), "ranks": ranks.tolist()}


def stored_cells(scores: np.ndarray, most: int) -> JsonObject:
    """Return scores (n, steps, targets) as plain data: as `stored`, with values of each step and target.

    Args:
        scores: the scores.
        most: largest number of scores that are stored of each step and target.
    """
    columns = [[stored(column, most) for column in step.T] for step in scores.transpose(1, 0, 2)]
    shared = {name: value for name, value in columns[0][0].items() if name != "values"}
    return shared | {"values": [[column["values"] for column in step] for step in columns]}


def rounded_up(values: np.ndarray) -> list[float]:
    """Return numbers rounded up to nine significant digits, as plain data."""
    values = np.asarray(values, np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = _DIGITS - 1 - np.floor(np.log10(np.abs(values)))
    scale = 10.0 ** np.where(np.isfinite(digits), np.clip(digits, -300, 12), 0)
    rounded = np.ceil(values * scale) / scale
    return [
        float(f"{value:.{_DIGITS + 1}g}") if np.isfinite(value) else value
        for value in rounded.tolist()
    ]


def score_at(scores: StoredScores, confidence: float) -> float:
    """Return the score at the corrected rank of a level; infinity if there are too few rows.

    Args:
        scores: the return value of `stored`.
        confidence: the level.
    """
    index = _index_at(scores, confidence)
    return np.inf if index is None else scores["values"][index]


def share_up_to(scores: StoredScores, limit: float) -> float:
    """Return the share of scores (the return value of `stored`) that are at most a limit."""
    index = int(np.searchsorted(scores["values"], limit, side="right"))
    ranks = scores.get("ranks")
    covered = index if ranks is None else ranks[index - 1] if index else 0
    return covered / max(scores["count"], 1)


def _index_at(scores: StoredScores, confidence: float) -> int | None:
    rank = corrected_rank(scores["count"], confidence)
    ranks = scores.get("ranks")
    if rank > scores["count"]:
        return None
    return rank - 1 if ranks is None else int(np.searchsorted(ranks, rank))


def cell_scores_at(scores: StoredScores, confidence: float) -> np.ndarray:
    """Return the score (steps, targets) at the corrected rank of a level, of the return value of `stored_cells`."""
    index = _index_at(scores, confidence)
    values = np.asarray(scores["values"], np.float64)
    return np.full(values.shape[:2], np.inf) if index is None else values[..., index]


# Classes


def lac_scores(p: np.ndarray) -> np.ndarray:
    """Return 1 - p of each class (N, classes)."""
    return 1 - np.asarray(p, np.float64)


def raps_scores(p: np.ndarray, *, penalty: float, size: int, u: "ArrayLike" = 1.0) -> np.ndarray:
    """Return the scores (N, classes) of RAPS.

    That of a class is the sum of the probabilities down to this class, the most probable first, less u times its own,
    plus the penalty for each class beyond `size`. With u = 1, a set has the last class that its sum needs: it is never
    empty, and no random number decides.

    Args:
        p: (N, classes) probabilities.
        penalty, size: lambda and k of the article.
        u: a number, or (N,) random numbers between 0 and 1.
    """
    p = np.asarray(p, np.float64)
    order = np.argsort(-p, axis=1, kind="stable")
    ordered = np.take_along_axis(p, order, axis=1)
    own = np.broadcast_to(np.asarray(u, np.float64).reshape(-1, 1), (len(p), 1)) * ordered
    ranks = np.arange(1, p.shape[1] + 1)
    scores = np.cumsum(ordered, axis=1) - own + penalty * np.maximum(ranks - size, 0)
    result = np.empty_like(scores)
    np.put_along_axis(result, order, scores, axis=1)
    return result


def of_truth(scores: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return the score (N,) of the true class."""
    return scores[np.arange(len(truth)), np.asarray(truth, int)]


def tuned_raps(p: np.ndarray, truth: np.ndarray) -> JsonObject:
    """Return the `penalty` and the `size` of RAPS that give the smallest sets at 90 % (as in the article).

    Args:
        p: (N, classes) probabilities of rows that are not calibration rows.
        truth: (N,) class numbers.
    """
    ranks = (p >= of_truth(p, truth)[:, None]).sum(axis=1)
    size = int(np.sort(ranks)[min(corrected_rank(len(p), _TUNED), len(p)) - 1])
    best = np.inf
    chosen = PENALTIES[0]
    for penalty in PENALTIES:
        scores = raps_scores(p, penalty=penalty, size=size)
        mean = (scores <= score_at(stored(of_truth(scores, truth)), _TUNED)).sum(axis=1).mean()
        if mean < best - 1e-9:
            best, chosen = mean, penalty
    return {"penalty": chosen, "size": size}


# Values


def learned_spread(predicted: np.ndarray, residuals: np.ndarray) -> dict[str, list[float]] | None:
    """Return the mean absolute residual as a function of the prediction; None if a constant is as good.

    It is learned in bins of equal mass and interpolated between their means. It replaces a constant if that makes the
    residuals likelier on inner folds, beyond a standard error.

    Args:
        predicted: (N,) predictions.
        residuals: (N,) absolute residuals.
    """
    predicted = np.asarray(predicted, np.float64)
    residuals = np.asarray(residuals, np.float64)
    if len(predicted) < 3 * _BIN_ROWS or not residuals.any():
        return None
    gains = np.zeros(len(predicted))
    for fold, rest in _folds(len(predicted)):
        spread = _binned_spread(predicted[rest], residuals[rest])
        sizes = np.stack(
            [spread_at(spread, predicted[fold]), np.full(len(fold), residuals[rest].mean())]
        )
        if not (sizes > 0).all():
            return None
        losses = np.log(sizes) + residuals[fold] / sizes  # of a Laplace distribution
        gains[fold] = losses[1] - losses[0]
    if gains.mean() <= gains.std() / np.sqrt(len(gains)):
        return None
    return _binned_spread(predicted, residuals)


def _folds(count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (rows of a fold, the other rows) for each fold; the same for the same number of rows."""
    part = np.random.default_rng(0).permutation(count) % _FOLDS
    return [(np.flatnonzero(part == fold), np.flatnonzero(part != fold)) for fold in range(_FOLDS)]


def _binned_spread(predicted: np.ndarray, residuals: np.ndarray) -> dict[str, list[float]]:
    bins = min(_BINS, max(len(predicted) // _BIN_ROWS, 2))
    parts = np.array_split(np.argsort(predicted, kind="stable"), bins)
    at = np.array([predicted[part].mean() for part in parts])
    size = np.maximum(
        [residuals[part].mean() for part in parts], _SMALLEST_SPREAD * residuals.mean()
    )
    keep = np.concatenate([[True], np.diff(at) > 0])
    return {"at": at[keep].tolist(), "size": size[keep].tolist()}


def spread_at(spread: Mapping[str, Sequence[float]] | None, predicted: np.ndarray) -> np.ndarray:
    """Return the spread at predictions (...); 1 if it is None."""
    predicted = np.asarray(predicted, np.float64)
    return (
        np.ones(predicted.shape)
        if spread is None
        else np.interp(predicted, spread["at"], spread["size"])
    )


def crossed_residual_scores(predicted: np.ndarray, residuals: np.ndarray) -> np.ndarray:
    """Return residuals (N,) over a spread that was learned on the other folds."""
    scores = np.empty(len(predicted))
    for fold, rest in _folds(len(predicted)):
        scores[fold] = residuals[fold] / spread_at(
            _binned_spread(predicted[rest], residuals[rest]), predicted[fold]
        )
    return scores


# Quantiles


def head_pairs(levels: Sequence[float]) -> list[tuple[float, int, int]]:
    """Return (highest confidence, lower head, upper head) for each pair of quantiles that is nearest to some level.

    The lower head of a confidence c is the one below 0.5 that is nearest to (1 - c) / 2, the upper one likewise.
    Without a head on a side, it is the one that is nearest to 0.5.

    Args:
        levels: of the quantiles, ascending.
    """
    grid = np.arange(1, 1000) / 1000
    pairs: list[tuple[float, int, int]] = []
    for confidence in grid.tolist():
        low, high = nearest_heads(levels, confidence)
        if pairs and pairs[-1][1:] == (low, high):
            pairs[-1] = (confidence, low, high)
        else:
            pairs.append((confidence, low, high))
    return pairs


def nearest_heads(levels: Sequence[float], confidence: float) -> tuple[int, int]:
    """Return the indices of the lower and the upper quantile that are nearest to a level; see `head_pairs`."""
    array = np.asarray(levels, np.float64)
    tail = (1 - confidence) / 2
    middle = int(np.abs(array - 0.5).argmin())
    lower = np.flatnonzero(array < 0.5)
    upper = np.flatnonzero(array > 0.5)
    # Rounded, as 0.1 and (1 - 0.8) / 2 differ in the last bit; of equally near ones, the wider.
    low = int(lower[np.round(np.abs(array[lower] - tail), 9).argmin()]) if len(lower) else middle
    distances = np.round(np.abs(array[upper] - (1 - tail)), 9)
    high = int(upper[len(upper) - 1 - distances[::-1].argmin()]) if len(upper) else middle
    return low, high


def quantile_scores(low: np.ndarray, high: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return how far a truth is outside of an interval; negative inside."""
    return np.maximum(np.asarray(low, np.float64) - truth, truth - np.asarray(high, np.float64))
