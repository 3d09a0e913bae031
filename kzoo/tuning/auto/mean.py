"""Means of models: weights by greedy selection on answers for rows that no member was trained on.

Caruana et al. 2004, doi:10.1145/1015330.1015432: members are added one after another, with replacement, each time the
one with which the mean has the smallest loss.
"""

from collections.abc import Callable, Sequence

import numpy as np

from kzoo.dataset.dataset import Dataset
from kzoo.tuning.auto.scoring import Answers

_STEPS = 20
_LEAST_WEIGHT = 0.1  # of a member; smaller ones are left out


def cross_fitted(members: Sequence[Sequence[Answers]], data: Dataset) -> list[Answers]:
    """Return the answers of the mean for each part, with the weights that the other parts give.

    Args:
        members: for each member, its answers for the same parts.
        data: the `Dataset`, for its task and target.
    """
    parts = list(range(len(members[0])))
    if len(parts) == 1:  # two halves of the rows in turn
        half = len(members[0][0].truth) // 2
        halves = np.arange(half), np.arange(half, len(members[0][0].truth))
        split = [[member[0].select(indices) for indices in halves] for member in members]
        means = cross_fitted(split, data)
        joined = {
            name: np.concatenate([getattr(mean, name) for mean in means]) for name in ("outputs", "truth", "rows")
        }
        return [Answers(**joined)]
    means = []
    for part in parts:
        others = [other for other in parts if other != part]
        weights = fitted_weights([[member[other] for other in others] for member in members], data)
        means.append(mean_of([member[part] for member in members], weights))
    return means


def fitted_weights(members: Sequence[Sequence[Answers]], data: Dataset) -> np.ndarray:
    """Return the weights (members,) of the mean with the smallest loss on the answers of all parts; their sum is 1."""
    outputs = [np.concatenate([part.outputs for part in member]) for member in members]
    loss = loss_of(data, np.concatenate([part.truth for part in members[0]]))
    counts, total = np.zeros(len(outputs)), np.zeros_like(outputs[0], dtype="float64")
    for step in range(1, _STEPS + 1):
        losses = [loss((total + candidate) / step) for candidate in outputs]
        best = int(np.argmin(losses))
        counts[best] += 1
        total = total + outputs[best]
    weights = np.where(counts / _STEPS >= _LEAST_WEIGHT, counts, 0)
    return weights / weights.sum()


def mean_of(answers: Sequence[Answers], weights: np.ndarray) -> Answers:
    """Return the weighted mean of answers for the same rows."""
    outputs = sum(weight * part.outputs.astype("float64") for weight, part in zip(weights, answers, strict=True))
    return Answers(outputs=np.asarray(outputs, np.float32), truth=answers[0].truth, rows=answers[0].rows)


def loss_of(data: Dataset, truth: np.ndarray) -> Callable[[np.ndarray], float]:
    """Return the function of outputs that returns their mean loss: log loss of probabilities, the task's error else."""
    facts = data.problem.facts
    if "labels" in facts:
        known = ~np.isnan(truth)

        def labels_loss(outputs: np.ndarray) -> float:
            p = np.where(truth == 1, outputs, 1 - outputs)[known]
            return float(-np.log(np.clip(p, 1e-6, None)).mean())

        return labels_loss
    if "classes" in facts:
        indices = np.arange(len(truth)), truth.astype(int)
        return lambda outputs: float(-np.log(np.clip(outputs[indices], 1e-6, None)).mean())
    judge, target = data.problem.task.scoring.judge, data.target
    return lambda outputs: float(judge(truth, outputs, target).error.mean())
