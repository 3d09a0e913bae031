"""Scores of ordered classes, by NumPy: how many classes a prediction is off."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kzoo.inference.postprocessors.threshold import Decision
from kzoo.inference.tasks.confusion import confusion
from kzoo.inference.tasks.ordinal import MEDIAN
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.problems.tasks.ordinal import TASK
from kzoo.training.scores import classes
from kzoo.utils.formatting import number, plural


def score(
    batches: Pairs,
    target: Target,
    *,
    logits: bool | None = None,
    weight: np.ndarray | None = None,
    decision: Decision | None = None,
) -> Scored:
    """Return the scores of predictions.

    Args:
        batches, target, logits, weight, decision: see `kzoo.training.scores.classes.score`; without a decision, the
            median class is predicted.

    Raises:
        KzooError: labels outside the classes of the model.
    """
    scored = classes.score(
        batches, target, logits=logits, weight=weight, decision=decision or MEDIAN
    )
    truth: Any = scored.truth
    p: Any = scored.answers
    counts = confusion(truth, (decision or MEDIAN).numbers(p), p.shape[1], weight)
    return Scored(
        scores=dict(
            class_distance=_mean_distance(counts),
            class_distance_median=_least_distance(counts.sum(axis=1)),
            quadratic_kappa=_quadratic_kappa(counts),
            **{name: value for name, value in scored.scores.items() if name in TASK.scores},
            examples=scored.scores["examples"],
        ),
        truth=truth,
        answers=p,
    )


def _distances(count: int) -> np.ndarray:
    """Return the distance of each pair (true class, predicted class)."""
    return np.abs(np.subtract.outer(np.arange(count), np.arange(count)))


def _mean_distance(counts: np.ndarray) -> float:
    return float((counts * _distances(len(counts))).sum() / counts.sum())


def _least_distance(rows: np.ndarray) -> float:
    """Return the mean distance of the median class of all rows (classes,): no other class has a smaller one."""
    return float((_distances(len(rows)) @ rows).min() / rows.sum())


def _quadratic_kappa(counts: np.ndarray) -> float | None:
    """Return Cohen's kappa with squared distances (doi:10.1037/h0026256); None if all rows have one class."""
    by_chance = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / counts.sum()
    squares = _distances(len(counts)) ** 2
    expected = (squares * by_chance).sum()
    return float(1 - (squares * counts).sum() / expected) if expected else None


def judge(
    truth: np.ndarray,
    answers: np.ndarray,
    target: Target,
    *,
    metric: str | None = None,
    decision: Decision | None = None,
) -> Judged:
    """Return per-example errors: the distance from the predicted class; quality is the negative expected distance.

    Args:
        metric, decision: see `kzoo.training.scores.classes.judge`.
    """
    if metric in ("expected_cost", "accuracy"):
        return classes.judge(truth, answers, target, metric=metric, decision=decision or MEDIAN)
    guess = (decision or MEDIAN).numbers(answers)
    distances = _distances(answers.shape[1])[truth]
    expected = (answers * distances).sum(axis=1, dtype="float64")
    error = distances[np.arange(len(truth)), guess].astype("float64")
    return Judged(quality=-expected, error=error, of="class_distance")


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the mean class distance, and a sentence that compares it with predicting the median class.

    Args:
        scores: of one split.
        split: a word before "examples", such as "test ".
        answers, outputs: not used here.
    """
    distance = scores["class_distance"]
    median = scores["class_distance_median"]
    return dict(
        value=number(distance),
        label=f"mean class distance on {plural(scores['examples'], f'{split}example')}",
        interval=None,
        scale=None,
        sentence=f"Its predictions are {number(distance)} classes off on average; always predicting the median class "
        f"of these examples is {number(median)} off.",
        useless="It is no better than always predicting the median class: it may have learned nothing."
        if distance >= median
        else None,
    )
