"""Temperature scaling: one number divides the logits, so that probabilities are neither too sure nor too unsure.

The class with the highest probability stays the same (https://arxiv.org/abs/1706.04599). Where all validation rows are
answered correctly, the lowest temperature would fit best; targets are smoothed for the number of rows, as Platt does it
(Probabilistic outputs for support vector machines, 1999), so that a few rows do not make a model sure.
"""

import math

import numpy as np

from kzoo.predictions import probabilities

STAGE = "calibrate"
FACTS = frozenset({"classes", "probabilities", "kept"})

_LOW, _HIGH = math.log(0.05), math.log(20.0)  # of the temperatures that are tried
_TINY = 1e-12  # a probability of 0 has no logarithm
_GOLDEN = (math.sqrt(5) - 1) / 2


def learn(outputs, truth, *, target, logits) -> dict:
    """Return the temperature of the lowest log loss of smoothed targets, found by golden-section search.

    Outputs that are no probabilities, such as those of hinge, have no log loss: their temperature is 1.
    """
    if logits is None:
        return {"temperature": 1.0}
    z, rows = _logits(outputs, logits), np.arange(len(truth))
    classes = max(z.shape[-1], 2)
    of_others = 1 / (len(truth) + classes)

    def loss(log_temperature):
        logs = np.log(np.clip(probabilities(z / math.exp(log_temperature), True), _TINY, 1))
        return -(
            (1 - classes * of_others) * logs[rows, truth] + of_others * logs.sum(axis=-1)
        ).mean()

    low, high = _LOW, _HIGH
    for _ in range(40):
        left = high - _GOLDEN * (high - low)
        right = low + _GOLDEN * (high - low)
        low, high = (low, right) if loss(left) <= loss(right) else (left, high)
    return {"temperature": float(math.exp((low + high) / 2))}


def apply(learned, outputs, *, logits):
    """Return outputs in the form that they had, logits or probabilities."""
    if logits is None:
        return outputs
    z = (_logits(outputs, logits) / learned["temperature"]).astype(np.float32)
    if logits:
        return z
    p = probabilities(z, True)
    return (p[:, 1:] if outputs.shape[-1] == 1 else p).astype(np.float32)


def _logits(outputs, logits):
    outputs = outputs.astype(np.float64)
    if logits:
        return outputs
    p = np.clip(outputs, _TINY, 1)
    return np.log(p / np.clip(1 - outputs, _TINY, 1)) if outputs.shape[-1] == 1 else np.log(p)
