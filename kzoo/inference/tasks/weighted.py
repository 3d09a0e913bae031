"""Scores of rows that have weights: weighted, and beside them without weights.

Standard library only, as `kzoo show` works without NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kzoo.problems.objectives import Objective, score_of_values
from kzoo.problems.tasks import Pairs, Scored
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    import numpy as np

UNWEIGHTED = "unweighted"  # name of the scores without weights, among the weighted ones


def effective_rows(weight: np.ndarray) -> float:
    """Return Kish's effective sample size: the number of equally weighted rows whose mean is as precise.

    Args:
        weight: (N,) sample weights.
    """
    return float(weight.sum(dtype="float64") ** 2 / (weight.astype("float64") ** 2).sum())


def score_weighted(
    score: Callable[..., Scored],
    batches: Pairs,
    *arguments: Any,
    weight: np.ndarray | None = None,
    objective: Objective | str | None = None,
    **options: Any,
) -> Scored:
    """Return the scores of a task; of weighted rows also those without weights, under the name "unweighted".

    Args:
        score: the task's `score` (see `kzoo.problems.tasks`).
        batches: pairs (outputs, truth).
        arguments, options: of `score`.
        weight: (N,) sample weights, or None.
        objective: the `kzoo.problems.objectives.Objective`; a user's function of values is scored too.
    """
    if weight is None:
        return _with_function(score(batches, *arguments, **options), objective)
    batches = list(batches)
    scored = _with_function(score(batches, *arguments, weight=weight, **options), objective, weight)
    unweighted = _with_function(score(batches, *arguments, **options), objective)
    return replace(scored, scores=scored.scores | {UNWEIGHTED: unweighted.scores})


def _with_function(
    scored: Scored, objective: Objective | str | None, weight: np.ndarray | None = None
) -> Scored:
    """Return scores with that of a user's function, if the task has not computed it from its labels."""
    if (
        not isinstance(objective, Objective)  # None, or the name that a run has stored
        or objective.function is None
        or objective in scored.scores
        or scored.answers is None
    ):
        return scored
    value = score_of_values(objective, scored.truth, scored.answers, weight)
    return replace(scored, scores=scored.scores | {str(objective): value})


def by_weighting(scores: JsonObject) -> dict[str, dict[str, Any]]:
    """Return "weighted" and "unweighted" -> scores of a split whose rows have weights; "" -> scores of another."""
    if UNWEIGHTED not in scores:
        return {"": scores}
    weighted = {name: value for name, value in scores.items() if name != UNWEIGHTED}
    return {"weighted": weighted, UNWEIGHTED: scores[UNWEIGHTED]}
