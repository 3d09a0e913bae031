"""Means of models: weights by greedy selection on answers for rows that no member was trained on.

Caruana et al. 2004, doi:10.1145/1015330.1015432: members are added one after another, with replacement, each time the
one with which the mean has the smallest loss; from bags of the members.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from kzoo.auto.scoring import Answers
from kzoo.data.dataset import Dataset

_STEPS = 20
_BAGS = 20
_FEWEST_BAGGED = 6  # members
_LEAST_WEIGHT = 0.05  # of a member; smaller ones are left out
MOST_MEMBERS = 5  # of a mean, those of the largest weights


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
    """Return the weights (members,) of a mean with a small loss on the answers of all parts; their sum is 1.

    Members are selected from several bags, each a random half of them, and their weights averaged: a member that is the
    best by chance on these rows is then not in all selections. Of a few members, there is one selection from all.
    """
    parts = [Answers.together(member) for member in members]
    losses_of = _losses_of_candidates(data, parts)
    count = len(parts)
    bags = [np.arange(count)]
    if count >= _FEWEST_BAGGED:
        rng = np.random.default_rng(0)
        bags = [np.sort(rng.permutation(count)[: (count + 1) // 2]) for _ in range(_BAGS)]
    weights = np.mean([_selected(losses_of, bag, count) for bag in bags], axis=0)
    smallest_kept = np.sort(weights)[::-1][:MOST_MEMBERS][-1]
    weights = np.where((weights >= _LEAST_WEIGHT) & (weights >= smallest_kept), weights, 0)
    return weights / weights.sum()


def _selected(
    losses_of: Callable[[np.ndarray, np.ndarray], np.ndarray], bag: np.ndarray, count: int
) -> np.ndarray:
    """Return the share (count,) of each member in the greedy selection from a bag of them."""
    counts = np.zeros(count)
    for _ in range(_STEPS):
        counts[bag[int(np.argmin(losses_of(counts, bag)))]] += 1
    return counts / _STEPS


def _losses_of_candidates(
    data: Dataset, members: Sequence[Answers]
) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
    """Return a function of (counts, candidates): the loss of the mean of counted members with each candidate added."""
    truth, weight = members[0].truth, members[0].weight
    outputs = np.stack([member.outputs for member in members]).astype("float64")
    losses = losses_of_rows(data, truth)
    if data.problem.gives_probabilities:
        # the probability of the truth in a mean is the mean of those of its members
        of_truth = data.problem.true_probabilities(truth, np.moveaxis(outputs, 0, -1))
        outputs, losses = np.moveaxis(of_truth, -1, 0), _log_losses

    def losses_of(counts: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        total = np.tensordot(counts, outputs, axes=1)
        step = counts.sum() + 1
        means = ((total + outputs[candidate]) / step for candidate in candidates)
        return np.array([np.average(losses(mean), weights=weight) for mean in means])

    return losses_of


def _log_losses(p: np.ndarray) -> np.ndarray:
    """Return the log loss (N,) of the probabilities (N,) or (N, labels) of the truth; NaN for unknown labels."""
    log_p = np.where(np.isnan(p), 0.0, -np.log(np.clip(p, 1e-6, None)))
    return log_p.reshape(len(p), -1).sum(axis=1)


def mean_of(answers: Sequence[Answers], weights: np.ndarray) -> Answers:
    """Return the weighted mean of answers for the same rows."""
    outputs = sum(
        weight * part.outputs.astype("float64")
        for weight, part in zip(weights, answers, strict=True)
    )
    return replace(answers[0], outputs=np.asarray(outputs, np.float32))


def loss_of(
    data: Dataset, truth: np.ndarray, weight: np.ndarray | None = None
) -> Callable[[np.ndarray], float]:
    """Return the function of outputs that returns their mean loss.

    Args:
        data: the `Dataset`, for its task and target.
        truth: (N, ...).
        weight: (N,) sample weights, or None.
    """
    losses = losses_of_rows(data, truth)
    return lambda outputs: float(np.average(losses(outputs), weights=weight))


def losses_of_rows(data: Dataset, truth: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of outputs that returns their losses (N,): log loss of probabilities, else the task's error.

    Args:
        data: the `Dataset`, for its task and target.
        truth: (N, ...).
    """
    problem, target = data.problem, data.target

    def losses(outputs: np.ndarray) -> np.ndarray:
        if problem.gives_probabilities:
            return _log_losses(problem.true_probabilities(truth, outputs[..., None])[..., 0])
        return np.asarray(problem.task.scoring.judge(truth, outputs, target).error)

    return losses
