"""Isotonic regression: the probability of two classes, or of each label, becomes a rising function of itself.

Zadrozny and Elkan, 2002, Transforming classifier scores into accurate multiclass probability estimates.
"""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.calibration import (
    binary_logits,
    fitted_binary,
    has_both,
    outputs_from_binary,
)
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


STAGE = "calibrate"
FACTS = frozenset({"probabilities"})
CLASSES = (2, 2)
FEWEST = 200  # rows with and without a label; labels with fewer keep their probabilities


def has_enough_rows(truth: np.ndarray, outputs: np.ndarray) -> bool:
    """Return whether validation rows are enough to learn from: of two classes, or of some labels."""
    return has_both(truth, outputs, FEWEST)


def learn(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return points of each function: logits, and what they become (see `temperature_scaling.learn`)."""
    functions = fitted_binary(_points, outputs, truth, fewest=FEWEST, logits=logits, weight=weight)
    return {"functions": functions, "labels": truth.ndim == 2}


def _points(z: np.ndarray, flag: np.ndarray, weight: np.ndarray) -> list[list[float]]:
    """Return [logits, logits of the isotonic fit], ascending, at both ends of each block."""
    order = np.argsort(z, kind="stable")
    z, flag, weight = z[order], flag[order], weight[order]
    starts = np.flatnonzero(np.diff(z, prepend=-np.inf))  # rows with equal logits are one point
    totals = np.add.reduceat(weight, starts)
    means = np.add.reduceat(weight * flag, starts) / totals
    # of the pool-adjacent-violators algorithm: mean, weight, number of points
    blocks: list[list[float]] = []
    for mean, total in zip(means.tolist(), totals.tolist(), strict=True):
        blocks.append([mean, total, 1])
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (mean, total, points), (last, more, others) = blocks[-2], blocks.pop()
            blocks[-1] = [
                (mean * total + last * more) / (total + more),
                total + more,
                points + others,
            ]
    ends = np.cumsum([block[2] for block in blocks]).astype(int)
    firsts = z[starts][np.append(0, ends[:-1])]
    lasts = z[starts][ends - 1]
    # Neither 0 nor 1: the outermost blocks have few rows.
    outermost = 1 / (weight.sum() / weight.mean() + 2)
    fit = np.clip([block[0] for block in blocks], outermost, 1 - outermost)
    fitted = np.log(fit) - np.log1p(-fit)
    ends_of_blocks = np.stack([firsts, lasts], axis=1).reshape(-1)
    return [ends_of_blocks.tolist(), np.repeat(fitted, 2).tolist()]


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool) -> np.ndarray:
    """Return outputs with changed probabilities; between two points, logits are interpolated."""
    labels = learned["labels"]
    z = binary_logits(outputs, logits=logits, labels=labels)
    for number, points in enumerate(learned["functions"]):
        if points is not None:
            z[:, number] = np.interp(z[:, number], *points)
    return outputs_from_binary(z, outputs, logits=logits, labels=labels)


def describe(learned: "Learned") -> list[str]:
    """Return a line about the functions."""
    if learned["labels"]:
        fitted = sum(points is not None for points in learned["functions"])
        return [
            f"Isotonic regression: the probabilities of {fitted} of {len(learned['functions'])} labels are changed."
        ]
    if learned["functions"][0] is None:
        return [
            f"Isotonic regression needs {FEWEST} validation rows of each class: probabilities are unchanged."
        ]
    return ["Isotonic regression: the probability is a step-like function of the network's."]
