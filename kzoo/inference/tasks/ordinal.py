"""Ordered classes: learned and encoded as classes; the prediction is the median of the distribution. NumPy only."""

from typing import Any

import numpy as np

from kzoo.inference.postprocessors.threshold import Decision
from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks import classes
from kzoo.inference.tasks.classes import encode as encode
from kzoo.inference.tasks.classes import learn as learn
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject


def choose(p: np.ndarray) -> np.ndarray:
    """Return the median class of each row (N,), which has the least expected distance, as a number.

    Args:
        p: (N, classes) probabilities; if some are negative, scores, of which the largest decides.
    """
    if (p < 0).any():
        return p.argmax(axis=-1)
    cumulated = np.cumsum(p, axis=-1, dtype="float64")
    return (cumulated < cumulated[:, -1:] / 2).sum(axis=-1)


MEDIAN = Decision(choose=choose)


def answer(target: Target, outputs: np.ndarray, **options: Any) -> Predictions:
    """Return the median class of each row, with the probabilities of all classes (see `classes.answer`)."""
    predictions = classes.answer(target, outputs, **options)
    p = predictions.probabilities if predictions.scores is None else predictions.scores
    predictions.labels = [target.classes[number] for number in choose(np.asarray(p)).tolist()]
    return predictions


def example(
    truth: np.ndarray,
    answer: np.ndarray,
    target: Target,
    *,
    scores: bool,
    decision: Decision | None,
) -> JsonObject:
    """Return the cells of an example (see `Problem.example`)."""
    return classes.example(truth, answer, target, scores=scores, decision=decision or MEDIAN)
