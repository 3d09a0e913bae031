"""Temperature scaling: logits are divided by one number, which makes probabilities more or less extreme.

Guo et al., 2017, https://arxiv.org/abs/1706.04599. The most probable class stays the same.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.postprocessors.calibration import log_softmax, logits_from, outputs_from
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


STAGE = "calibrate"
FACTS = frozenset({"probabilities"})
_LOW = 1 / 20  # temperatures
_HIGH = 20
_SPREAD = 0.5  # standard deviation of the logarithm of temperatures that networks have
_SIZE = 1_000_000  # numbers that the temperature is fitted to: more rows are thinned out evenly
_PRECISION, _STEP = 1e-4, 0.02  # of the logarithm


def learn(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return the temperature with the smallest log loss.

    Args:
        outputs: (N, classes), (N, 1) or (N, labels); of tokens also (N, steps, tokens).
        truth: class numbers (N,) or (N, steps), or labels (N, labels).
        target: the `Target`; not used here.
        logits: whether outputs are logits.
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    labels = truth.ndim == outputs.ndim
    z = logits_from(outputs, logits=logits, labels=labels)
    if outputs.ndim == 3:  # tokens
        weight = None if weight is None else np.repeat(weight, truth.shape[1])
        z = z.reshape(-1, z.shape[-1])
        truth = truth.reshape(-1)
    return {
        "temperature": best_temperature(z[:, None], truth, labels=labels, weight=weight),
        "labels": labels,
    }


def best_temperature(
    z: np.ndarray, truth: np.ndarray, *, labels: bool, weight: np.ndarray | None = None
) -> float:
    """Return the temperature with the smallest log loss of the mean of some members, shrunk to 1 by its uncertainty.

    A normal prior of the logarithm around 0, with the weight of one row, keeps it finite where all rows are right. With
    the positive-part James-Stein factor, a temperature that differs from 1 by less than a standard error is 1: it would
    fit the noise of the rows.

    Args:
        z: (N, members, classes) or (N, members, labels) logits.
        truth: class numbers (N,), or 0, 1 and NaN (N, labels).
        labels: whether each output is a label of its own.
        weight: (N,) sample weights, or None.
    """
    step = -(-z.size // _SIZE)
    z = np.asarray(z[::step], np.float64)
    truth = truth[::step]
    weight = (
        np.ones(len(z))
        if weight is None
        else np.asarray(weight[::step], np.float64) / np.mean(weight[::step])
    )

    def losses(log_temperature: float) -> np.ndarray:
        scaled = z / np.exp(log_temperature)
        # Logarithms of the mean probability of the members: of each class, or of a label and of its absence.
        log_p = _log_mean(-np.logaddexp(0, -scaled) if labels else log_softmax(scaled))
        if not labels:
            return -log_p[np.arange(len(z)), truth.astype(int)]
        log_q = _log_mean(-np.logaddexp(0, scaled))
        known = ~np.isnan(truth)
        return -(np.where(truth == 1, log_p, log_q) * known).sum(-1) / np.maximum(known.sum(-1), 1)

    def loss(log_temperature: float) -> float:
        return weight @ losses(log_temperature) + (log_temperature / _SPREAD) ** 2 / 2

    grid = np.linspace(np.log(_LOW), np.log(_HIGH), 13)
    best = int(np.argmin([loss(value) for value in grid]))
    log_temperature = _minimum(loss, grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    below, at, above = (losses(log_temperature + step) for step in (-_STEP, 0.0, _STEP))
    slopes = (above - below) / (2 * _STEP)
    curvature = weight @ (above - 2 * at + below) / _STEP**2 + _SPREAD**-2
    # the sandwich estimate
    variance = ((weight * slopes) ** 2).sum() / max(curvature, _SPREAD**-2) ** 2
    return float(
        np.exp(log_temperature * max(0.0, 1 - variance / max(log_temperature**2, variance, 1e-30)))
    )


def _log_mean(log_p: np.ndarray) -> np.ndarray:
    """Return the logarithm of the mean over the axis of members (N, members, ...)."""
    highest = log_p.max(1, keepdims=True)
    return (highest + np.log(np.exp(log_p - highest).mean(1, keepdims=True)))[:, 0]


def _minimum(function: Callable[[float], float], low: float, high: float) -> float:
    """Return the minimum of a function with a single one between two numbers, by golden-section search."""
    ratio = (5**0.5 - 1) / 2
    left = high - ratio * (high - low)
    right = low + ratio * (high - low)
    at_left, at_right = function(left), function(right)
    while high - low > _PRECISION:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = function(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = function(right)
    return (low + high) / 2


def combine(learned: Sequence[JsonObject]) -> JsonObject:
    """Return the geometric mean of the temperatures of several models, for an ensemble without validation data."""
    temperatures = [model["temperature"] for model in learned]
    return learned[0] | {"temperature": float(np.exp(np.mean(np.log(temperatures))))}


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool) -> np.ndarray:
    """Return outputs with logits divided by the temperature."""
    if logits:
        return (outputs / learned["temperature"]).astype(outputs.dtype)
    z = logits_from(outputs, logits=logits, labels=learned["labels"])
    return outputs_from(
        z / learned["temperature"], outputs, logits=logits, labels=learned["labels"]
    )


def describe(learned: "Learned") -> list[str]:
    """Return a line about the temperature."""
    return [f"Logits are divided by a temperature of {learned['temperature']:.3g}."]
