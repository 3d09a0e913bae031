"""The probability from which on a label is predicted, for each label: the one with the best F1 on validation rows.

A label with at least 50 validation rows gets a threshold of its own. The others share one, because thresholds from a
few rows are noise: the one with the best mean F1 of these labels.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.tasks.labels import decided, names_of, probabilities_of
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned
    from kzoo.inference.predictions import Predictions


STAGE = "decide"
FACTS = frozenset({"labels"})
ENOUGH = 50  # validation rows with a label, from which on it gets a threshold of its own
_HALF = 0.5
_MOST = 400  # candidates for the shared threshold


def learn(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return the threshold of each label, and how many validation rows have it.

    Args:
        outputs: (N, labels) logits or probabilities.
        truth: (N, labels) 0, 1, or NaN if unknown.
        target: the `Target`.
        logits: whether outputs are logits.
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    p = probabilities_of(outputs, logits).astype(np.float64)
    known = ~np.isnan(truth)
    positive = truth == 1
    counts = (positive & known).sum(axis=0)
    rare = np.flatnonzero(counts < ENOUGH)
    thresholds = np.full(
        truth.shape[1], _shared_threshold(p[:, rare], positive[:, rare], known[:, rare], weight)
    )
    for label in np.flatnonzero(counts >= ENOUGH):
        rows = known[:, label]
        thresholds[label] = best_threshold(p[rows, label], positive[rows, label], weight[rows])
    return {
        "thresholds": [round(float(threshold), 6) for threshold in thresholds],
        "positives": counts.tolist(),
        "shared": [bool(count < ENOUGH) for count in counts],
    }


def best_threshold(p: np.ndarray, positive: np.ndarray, weight: np.ndarray) -> float:
    """Return the threshold with the best F1: halfway between two probabilities, nearest to a half if several tie.

    Args:
        p: (N,) probabilities.
        positive: (N,) booleans.
        weight: (N,) sample weights.
    """
    order = np.argsort(-p, kind="stable")
    p = p[order]
    hits = np.cumsum((weight * positive)[order])
    named = np.cumsum(weight[order])
    if not hits.size or not hits[-1]:
        return _HALF
    last = np.append(np.flatnonzero(p[1:] < p[:-1]), len(p) - 1)  # of each run of ties
    f1 = 2 * hits[last] / (named[last] + hits[-1])
    middles = (p[last] + np.append(p[last[:-1] + 1], 0.0)) / 2
    best = middles[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - _HALF).argmin()])


def _shared_threshold(
    p: np.ndarray, positive: np.ndarray, known: np.ndarray, weight: np.ndarray
) -> float:
    """Return the threshold with the best mean F1 of several labels, (N, labels) each, with weights (N,)."""
    has_rows = weight @ (positive & known) > 0
    p, positive, known = p[:, has_rows], positive[:, has_rows], known[:, has_rows]
    if not p.size:
        return _HALF
    values = np.unique(p[known])
    if len(values) > _MOST:
        values = np.unique(np.quantile(values, np.linspace(0, 1, _MOST)))
    candidates = np.append((values[1:] + values[:-1]) / 2, _HALF)
    actual = weight @ (positive & known)
    f1 = []
    for threshold in candidates:
        chosen = (p >= threshold) & known
        f1.append((2 * (weight @ (chosen & positive)) / (weight @ chosen + actual)).mean())
    best = candidates[np.array(f1) >= max(f1) - 1e-12]
    return float(best[np.abs(best - _HALF).argmin()])


def combine(learned: Sequence[JsonObject]) -> JsonObject:
    """Return the mean thresholds of several models, for an ensemble of them without validation data.

    Args:
        learned: what each of them has learned.
    """
    means = np.mean([model["thresholds"] for model in learned], axis=0)
    return learned[0] | {"thresholds": [round(float(threshold), 6) for threshold in means]}


def decide(learned: "Learned", target: Target) -> Target:
    """Return the target with the thresholds, for scores and per-row errors."""
    return replace(target, thresholds=tuple(learned["thresholds"]))


def apply(learned: "Learned", predictions: "Predictions") -> "Predictions":
    """Return predictions with the labels whose probability reaches their threshold."""
    assert predictions.probabilities is not None
    chosen = decided(predictions.probabilities, learned["thresholds"])
    return replace(predictions, labels=names_of(chosen, predictions.class_names))
