"""Scores of rows that have weights: weighted, and beside them without weights.

Standard library only, as `kzoo show` works without NumPy.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kzoo.tasks import Scored

if TYPE_CHECKING:
    import numpy as np

UNWEIGHTED = "unweighted"  # name of the scores without weights, among the weighted ones


def effective_rows(weight: np.ndarray) -> float:
    """Return Kish's effective sample size: the number of equally weighted rows whose mean is as precise.

    Args:
        weight: (N,) sample weights.
    """
    return float(weight.sum(dtype="float64") ** 2 / (weight.astype("float64") ** 2).sum())


def score_weighted(score: Any, batches: Any, *arguments: Any, weight: Any = None, **options: Any) -> Scored:
    """Return the scores of a task; of weighted rows also those without weights, under the name "unweighted".

    Args:
        score: the task's `score` (see `kzoo.tasks`).
        batches: pairs (outputs, truth).
        arguments, options: of `score`.
        weight: (N,) sample weights, or None.
    """
    if weight is None:
        return score(batches, *arguments, **options)
    batches = list(batches)
    scored, unweighted = score(batches, *arguments, weight=weight, **options), score(batches, *arguments, **options)
    return replace(scored, scores=scored.scores | {UNWEIGHTED: unweighted.scores})


def by_weighting(scores: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return "weighted" and "unweighted" -> scores of a split whose rows have weights; "" -> scores of another."""
    if UNWEIGHTED not in scores:
        return {"": scores}
    weighted = {name: value for name, value in scores.items() if name != UNWEIGHTED}
    return {"weighted": weighted, UNWEIGHTED: scores[UNWEIGHTED]}
