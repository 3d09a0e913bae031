"""Platt scaling: the logit of two classes, or of each label, becomes a line in it, fitted to validation rows.

Platt, 1999, Probabilistic outputs for support vector machines.
"""

from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.calibration import (
    binary_logits,
    fitted_binary,
    has_both,
    outputs_from_binary,
)
from kzoo.inference.postprocessors.threshold import line_of_logits
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


STAGE = "calibrate"
FACTS = frozenset({"probabilities"})
CLASSES = (2, 2)
FEWEST = 50  # rows with and without a label; labels with fewer keep their logits


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
    """Return intercept and slope of each line (see `kzoo.inference.postprocessors.temperature_scaling.learn`)."""
    lines = fitted_binary(_line, outputs, truth, fewest=FEWEST, logits=logits, weight=weight)
    lines = [(0.0, 1.0) if line is None else line for line in lines]
    return {"lines": np.round(lines, 6).tolist(), "labels": truth.ndim == 2}


def _line(z: np.ndarray, flag: np.ndarray, weight: np.ndarray) -> tuple[float, float]:
    return line_of_logits(z, flag == 1, weight)


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool) -> np.ndarray:
    """Return outputs with changed logits."""
    labels = learned["labels"]
    intercepts, slopes = np.array(learned["lines"]).T
    z = intercepts + slopes * binary_logits(outputs, logits=logits, labels=labels)
    return outputs_from_binary(z, outputs, logits=logits, labels=labels)


def describe(learned: "Learned") -> list[str]:
    """Return a line about the fitted lines."""
    if learned["labels"]:
        fitted = sum(line != [0.0, 1.0] for line in learned["lines"])
        return [
            f"Platt scaling: the logits of {fitted} of {len(learned['lines'])} labels are shifted and scaled."
        ]
    intercept, slope = learned["lines"][0]
    if (intercept, slope) == (0.0, 1.0):
        return [
            f"Platt scaling needs {FEWEST} validation rows of each class: probabilities are unchanged."
        ]
    return [f"Platt scaling: the logit becomes {intercept:.3g} + {slope:.3g} times itself."]
