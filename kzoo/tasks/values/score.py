"""Scores of values, by scikit-learn and NumPy, in the targets' own unit."""

import numpy as np
from sklearn import metrics as sk

from kzoo.tasks import Judged, Scored
from kzoo.words import number, plural


def score(batches, target, *, logits=None) -> Scored:
    """Score answers.

    Args:
        batches: pairs (outputs, truth) of the same sizes, (B, ..., targets).
        target: the `Target`; its `target_scale` standardises.
        logits: not needed here.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    answers = outputs.reshape(truth.shape)
    error = (answers - truth).astype("float64")
    flat_truth, flat_answers = (a.reshape(len(truth), -1).astype("float64") for a in (truth, answers))
    scores = dict(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        r2=float(sk.r2_score(flat_truth, flat_answers)) if len(truth) > 1 else None,
        mse_standardised=float(((error / _spread(target, truth)) ** 2).mean()),
        mae_standardised=float(np.abs(error / _spread(target, truth)).mean()),
        examples=len(truth),
    )
    return Scored(scores=scores, truth=truth, answers=answers)


def judge(truth, answers, target, *, metric=None) -> Judged:
    """Say of each row by how much its answer is off, as the metric counts it."""
    error = answers.reshape(truth.shape).astype("float64") - truth
    quality = -np.abs(error).reshape(len(truth), -1).mean(axis=1)
    metric = metric or "mse"
    if metric.endswith("_standardised"):
        error = error / _spread(target, truth)
    absolute = metric.startswith("mae")
    error = (np.abs(error) if absolute else error**2).reshape(len(truth), -1).mean(axis=1)
    name = ("mae" if absolute else "mse") + ("_standardised" if metric.endswith("_standardised") else "")
    return Judged(quality=quality, error=error, of=name)


def headline(scores, target, *, split, answers=None, outputs=None) -> dict:
    """Return the mean absolute error, and a sentence beside what the mean of the training data gets.

    Args:
        scores: of one split.
        split: "test " or another word before "examples".
        answers: `truth` and `answers`, where they were kept; without them only R² says what the mean would get.
        outputs: of the network; not needed here.
    """
    several = " over all targets" if len(target.names) > 1 else ""
    others = f"RMSE {number(scores['rmse'])}" + ("" if scores["r2"] is None else f", R² {scores['r2']:.3f}")
    if answers is not None:
        beside = (
            f"always answering the mean of the training data would be off by {number(_mean_error(answers, target))}"
        )
    else:
        beside = "always answering the mean has an R² of 0"
    return dict(
        value=number(scores["mae"]),
        label=f"mean absolute error on {plural(scores['examples'], f'{split}example')}, in the target's own unit",
        interval=None,
        scale=None,
        sentence=f"Its answers are off by {number(scores['mae'])} on average{several}; {beside}. {others}.",
        useless="It is no better than always answering the mean (R² is not above 0)."
        if scores["r2"] is not None and scores["r2"] <= 0
        else None,
    )


def _spread(target, truth):
    scale = target.config.get("target_scale")
    return np.ones(truth.shape[-1]) if scale is None else np.asarray(scale, "float64")


def _mean_error(kept, target):
    truth = kept["truth"].astype("float64")
    mean = target.config.get("target_offset")
    mean = truth.mean(tuple(range(truth.ndim - 1))) if mean is None else np.asarray(mean)
    return float(np.abs(truth - mean).mean())
