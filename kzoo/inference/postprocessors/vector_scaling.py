"""Vector scaling: the logit of each class is shifted and scaled, by numbers fitted to validation rows.

Guo et al., 2017, https://arxiv.org/abs/1706.04599.
"""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.calibration import log_softmax, logits_from, outputs_from
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


STAGE = "calibrate"
FACTS = frozenset({"classes", "probabilities"})
CLASSES = (3, None)
FEWEST = 1000  # rows
_MOST = 50  # classes
_STEPS = 50


def has_enough_rows(truth: np.ndarray, outputs: np.ndarray) -> bool:
    """Return whether validation rows are enough to learn from: at least 1,000, and 10 for each number."""
    classes = outputs.shape[-1]
    return truth.ndim == 1 and 3 <= classes <= _MOST and len(truth) >= max(FEWEST, 20 * classes)


def learn(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return factor and shift of each class (see `kzoo.inference.postprocessors.temperature_scaling.learn`).

    They are drawn to 1 and 0 with the weight of one row, which also determines the shift that all classes share.
    """
    z = logits_from(outputs, logits=logits, labels=False)
    rows, classes = z.shape
    weight = np.ones(rows) if weight is None else np.asarray(weight, np.float64) / np.mean(weight)
    y = np.zeros_like(z)
    y[np.arange(rows), truth.astype(int)] = 1
    start = np.concatenate([np.ones(classes), np.zeros(classes)])

    def log_p(parameters: np.ndarray) -> np.ndarray:
        return log_softmax(parameters[:classes] * z + parameters[classes:])

    def loss(parameters: np.ndarray) -> float:
        return -(weight @ (log_p(parameters) * y).sum(-1)) + ((parameters - start) ** 2).sum() / 2

    parameters, current = start, loss(start)
    # Newton's method on a convex loss; halved steps where a whole one overshoots
    for _ in range(_STEPS):
        p = np.exp(log_p(parameters))
        residuals = weight[:, None] * (p - y)
        gradient = np.concatenate([(residuals * z).sum(0), residuals.sum(0)]) + parameters - start
        products = np.concatenate([p * z, p], axis=1)
        weighted = weight[:, None] * p
        squares, cross, single = ((weighted * z**power).sum(0) for power in (2, 1, 0))
        hessian = np.block([[np.diag(squares), np.diag(cross)], [np.diag(cross), np.diag(single)]])
        hessian = hessian - products.T @ (weight[:, None] * products) + np.eye(2 * classes)
        step = np.linalg.solve(hessian, gradient)
        size = next(
            (size for size in 0.5 ** np.arange(30) if loss(parameters - size * step) < current), 0.0
        )
        parameters = parameters - size * step
        current = loss(parameters)
        if np.abs(size * step).max() < 1e-7:
            break
    factors, shifts = np.round(parameters, 6).reshape(2, -1).tolist()
    return {"factors": factors, "shifts": shifts}


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool) -> np.ndarray:
    """Return outputs with changed logits."""
    z = logits_from(outputs, logits=logits, labels=False) * learned["factors"] + learned["shifts"]
    return outputs_from(z, outputs, logits=logits, labels=False)


def describe(learned: "Learned") -> list[str]:
    """Return a line about the factors."""
    factors = learned["factors"]
    return [
        f"Vector scaling: the logits of classes are scaled by {min(factors):.3g} to {max(factors):.3g} and shifted."
    ]
