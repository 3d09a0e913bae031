"""Scores of labels, from counts of (true class, predicted class), and the interval of their cost. NumPy only."""

from collections.abc import Sequence

import numpy as np

PER = 1_000  # rows that an expected cost is for
_DRAWS = 4_000


def confusion(
    truth: np.ndarray, guess: np.ndarray, classes: int, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the number of rows of each pair (true class, predicted class), or the sum of their weights.

    Args:
        truth, guess: (N,) class numbers.
        classes: number of classes.
        weight: (N,) sample weights; None: all rows have the same weight.

    Returns:
        (classes, classes), float64.
    """
    pairs = truth.astype(np.int64) * classes + guess
    return (
        np.bincount(pairs, weight, minlength=classes**2).astype("float64").reshape(classes, classes)
    )


def label_scores(
    counts: np.ndarray,
    *,
    positive: int | None = None,
    cost: Sequence[Sequence[float]] | None = None,
    level: float | None = None,
) -> dict[str, np.ndarray]:
    """Return name -> score (...) of labels; undefined ratios are 0.

    Args:
        counts: (..., classes, classes) as from `confusion`; leading axes are those of the scores.
        positive: the number of the positive class of two; None for none.
        cost: (classes, classes) cost of each pair; None for none.
        level: the precision that `recall@precision` needs; None for none. Below it, that score is 0.
    """
    right = np.diagonal(counts, axis1=-2, axis2=-1)
    actual, named = counts.sum(axis=-1), counts.sum(axis=-2)
    total = np.maximum(actual.sum(axis=-1), 1e-300)
    either = actual + named
    recalls = _ratio(right, actual)
    scores = dict(
        accuracy=right.sum(axis=-1) / total,
        balanced_accuracy=_mean_where(recalls, actual > 0),
        f1=_mean_where(_ratio(2 * right, either), either > 0),
    )
    if positive is not None:
        precision = _ratio(right, named)[..., positive]
        recall = recalls[..., positive]
        f1 = _ratio(2 * right, either)[..., positive]
        scores |= dict(f1_positive=f1, precision_positive=precision, recall_positive=recall)
        if level is not None:
            scores["recall@precision"] = np.where(precision >= level, recall, 0.0)
    if cost is not None:
        scores["expected_cost"] = PER * (counts * np.asarray(cost)).sum(axis=(-2, -1)) / total
    return scores


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(np.broadcast(part, whole).shape), where=whole > 0)


def _mean_where(values: np.ndarray, counted: np.ndarray) -> np.ndarray:
    return _ratio((values * counted).sum(axis=-1), counted.sum(axis=-1).astype("float64"))


def cost_interval(
    counts: np.ndarray,
    cost: Sequence[Sequence[float]],
    *,
    share: float = 0.9,
    rows: int | None = None,
) -> tuple[float, float]:
    """Return the interval of the expected cost per 1,000 rows.

    It is the credible interval of the mean of a Dirichlet posterior over the distinct costs of a row. A bootstrap would
    be too narrow where few rows have a cost: of none it knows nothing. The prior is that of Jeffreys, half a row for
    each cost (doi:10.1214/ss/1009213286), but no more than one and a half rows in total.

    Args:
        counts: (classes, classes) numbers of rows, as from `confusion`.
        cost: (classes, classes) cost of each pair.
        share: of intervals that hold the cost.
        rows: number of new rows whose cost the interval is to hold; None for the expected cost, of very many rows.
    """
    levels, index = np.unique(np.asarray(cost, "float64").reshape(-1), return_inverse=True)
    seen = np.bincount(index.reshape(-1), counts.reshape(-1), minlength=len(levels))
    random = np.random.default_rng(0)  # the same counts give the same interval
    shares = random.dirichlet(seen + min(0.5, 1.5 / len(levels)), _DRAWS)
    if rows is not None:
        shares = np.stack([random.multinomial(rows, share) for share in shares]) / rows
    edges = np.quantile(PER * shares @ levels, [(1 - share) / 2, (1 + share) / 2])
    return float(edges[0]), float(edges[1])
