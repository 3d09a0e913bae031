"""What steps of calibration share: logits of outputs, scores of probabilities, and the choice of a step. NumPy only.

Probabilities are (N, classes), or (N, labels) if a row has any number of labels; truth is class numbers (N,), or 0, 1
and NaN (N, labels).
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np

from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject

BINS = 15
STEPS = (
    "platt_scaling",
    "vector_scaling",
    "isotonic_regression",
)  # that `choose` compares; temperature is tried before
# the smallest probability whose logarithm is used: float32 has smaller ones, but no softmax of use
_TINY = 1e-30
_LEAST_BELOW_1 = 2.0**-24  # the distance from 1 of probabilities that float32 rounds to 1
_LOSS_TINY = 1e-7  # the same of scores, as in `kzoo.problems.tasks`
# inner folds, and the gain in standard errors from which on a step is chosen (99 %)
_FOLDS = 5
_SIGNIFICANT = 2.58


def logits_from(outputs: np.ndarray, *, logits: bool, labels: bool) -> np.ndarray:
    """Return logits as float64: (N, classes), or (N, labels).

    Args:
        outputs: (N, classes), (N, 1) for two classes, or (N, labels).
        logits: whether outputs are logits.
        labels: whether each output is a label of its own.
    """
    z = np.asarray(outputs, np.float64)
    elementwise = labels or z.shape[-1] == 1
    if not logits:
        log_p = np.log(np.maximum(z, _TINY))
        z = log_p - np.log(np.maximum(1 - z, _LEAST_BELOW_1)) if elementwise else log_p
    return z if labels or z.shape[-1] > 1 else np.concatenate([np.zeros_like(z), z], axis=-1)


def outputs_from(z: np.ndarray, outputs: np.ndarray, *, logits: bool, labels: bool) -> np.ndarray:
    """Return logits (N, classes) or (N, labels) in the form of some outputs."""
    single = not labels and outputs.shape[-1] == 1
    if single:
        z = z[..., 1:] - z[..., :1]
    if not logits:
        z = _sigmoid(z) if labels or single else np.exp(log_softmax(z))
    return z.astype(outputs.dtype)


def probabilities_from(z: np.ndarray, *, labels: bool) -> np.ndarray:
    """Return probabilities of logits (N, classes) or (N, labels)."""
    return _sigmoid(z) if labels else np.exp(log_softmax(z))


def log_softmax(z: np.ndarray) -> np.ndarray:
    """Return the logarithms of the softmax over the last axis."""
    shifted = z - z.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -700, 700)))


def row_losses(z: np.ndarray, truth: np.ndarray, *, labels: bool) -> np.ndarray:
    """Return the log loss (N,) of logits: of the true class, or the mean of the known labels."""
    if not labels:
        return -np.take_along_axis(log_softmax(z), truth.astype(int)[:, None], axis=-1)[:, 0]
    known = ~np.isnan(truth)
    signs = np.where(truth == 1, 1.0, -1.0)
    return (np.logaddexp(0, -signs * z) * known).sum(-1) / np.maximum(known.sum(-1), 1)


def binary_flags(truth: np.ndarray) -> np.ndarray:
    """Return 0, 1 and NaN for each logit of `binary_logits`: (N, 1) of two classes, or (N, labels)."""
    return truth if truth.ndim == 2 else truth[:, None].astype("float64")


def has_both(truth: np.ndarray, outputs: np.ndarray, fewest: int) -> bool:
    """Return whether some logit of `binary_logits` has enough rows on both sides; False for more than two classes."""
    if truth.ndim == 1 and outputs.shape[-1] > 2:
        return False
    return bool(enough(binary_flags(truth), fewest).any())


def enough(flags: np.ndarray, fewest: int) -> np.ndarray:
    """Return whether each column of flags has at least this many rows of 1 and of 0."""
    return np.minimum((flags == 1).sum(0), (flags == 0).sum(0)) >= fewest


def binary_logits(outputs: np.ndarray, *, logits: bool, labels: bool) -> np.ndarray:
    """Return the logit of the second of two classes (N, 1), or of each label (N, labels)."""
    z = logits_from(outputs, logits=logits, labels=labels)
    return z if labels else z[:, 1:] - z[:, :1]


def fitted_binary(
    fit: Callable[[np.ndarray, np.ndarray, np.ndarray], Any],
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    fewest: int,
    logits: bool,
    weight: np.ndarray | None = None,
) -> list[Any]:
    """Return what a function learns of each logit of `binary_logits`; None of those with too few rows.

    Args:
        fit: function of (N,) logits, 0 and 1, and sample weights.
        outputs, truth, weight: see `kzoo.inference.postprocessors.temperature_scaling.learn`.
        fewest: number of rows of 1 and of 0 that are needed.
        logits: whether outputs are logits.
    """
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    z = binary_logits(outputs, logits=logits, labels=truth.ndim == 2)
    flags = binary_flags(truth)
    fitted = []
    for column, flag, has_enough in zip(z.T, flags.T, enough(flags, fewest), strict=True):
        rows = ~np.isnan(flag)
        fitted.append(fit(column[rows], flag[rows], weight[rows]) if has_enough else None)
    return fitted


def outputs_from_binary(
    z: np.ndarray, outputs: np.ndarray, *, logits: bool, labels: bool
) -> np.ndarray:
    """Return the logits of `binary_logits` in the form of some outputs."""
    z = z if labels else np.concatenate([-z, z], axis=1) / 2
    return outputs_from(z, outputs, logits=logits, labels=labels)


def calibration_scores(
    p: np.ndarray, truth: np.ndarray, *, labels: bool, weight: np.ndarray | None = None
) -> JsonObject:
    """Return log loss, Brier score and expected calibration error, and the bins of the reliability diagram.

    The error is that of the most probable class (of labels: of all of them), in 15 bins with the same number of rows
    each (Nixon et al., 2019, https://arxiv.org/abs/1904.01685). The Brier score is that of scikit-learn: half of the
    sum over two classes, the sum over more, the mean over labels.

    Returns:
        `log_loss`, `brier`, `ece`, and `bins`: (mean probability, share that is right, number of rows) of each.
    """
    p = np.asarray(p, np.float64)
    rows = np.ones(len(p)) if weight is None else np.asarray(weight, np.float64)
    if labels:
        known = ~np.isnan(truth)
        each = p[known]
        y = truth[known]
        rows = np.broadcast_to(rows[:, None], known.shape)[known]
        losses = -np.log(np.clip(np.where(y == 1, each, 1 - each), _LOSS_TINY, 1))
        brier = (each - y) ** 2
        confidence = each
        right = y
    else:
        truth = truth.astype(int)
        losses = -np.log(np.clip(p[np.arange(len(p)), truth], _LOSS_TINY, 1))
        brier = ((p - np.eye(p.shape[1])[truth]) ** 2).sum(-1) / (2 if p.shape[1] == 2 else 1)
        confidence = p.max(-1)
        right = p.argmax(-1) == truth
    bins = reliability_bins(confidence, right, rows)
    total = sum(count for *_, count in bins)
    return dict(
        log_loss=float(np.average(losses, weights=rows)),
        brier=float(np.average(brier, weights=rows)),
        ece=sum(abs(share - mean) * count for mean, share, count in bins) / total,
        bins=bins,
    )


def reliability_bins(
    confidence: np.ndarray, right: np.ndarray, weight: np.ndarray
) -> list[tuple[float, float, float]]:
    """Return (mean probability, share that is right, sum of weights) of bins with the same number of rows each."""
    bins = []
    for rows in np.array_split(np.argsort(confidence, kind="stable"), min(BINS, len(confidence))):
        if len(rows) and (total := weight[rows].sum()) > 0:
            mean, share = (
                float(np.average(values[rows], weights=weight[rows]))
                for values in (confidence, right)
            )
            bins.append((mean, share, float(total)))
    return bins


def choose(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    labels: bool,
    weight: np.ndarray | None = None,
) -> str | None:
    """Return the step with the smallest log loss on inner folds, or None if none is significantly better than nothing.

    Args:
        outputs, truth: of validation rows, after temperature scaling.
        target: the `Target`.
        logits, labels: see `logits_from`.
        weight: (N,) sample weights, or None.
    """
    weight = np.ones(len(truth)) if weight is None else np.asarray(weight, np.float64)
    fold = np.random.default_rng(0).permutation(len(truth)) % _FOLDS
    before = row_losses(logits_from(outputs, logits=logits, labels=labels), truth, labels=labels)
    best = None
    smallest = np.inf
    for name in STEPS:
        step: Any = import_module(f"kzoo.inference.postprocessors.{name}")
        if not step.has_enough_rows(truth, outputs):
            continue
        after = np.empty(len(truth))
        for number in range(_FOLDS):
            inner = fold != number
            held_out = fold == number
            learned = step.learn(
                outputs[inner], truth[inner], target=target, logits=logits, weight=weight[inner]
            )
            changed = step.apply(learned, outputs[held_out], logits=logits)
            z = logits_from(changed, logits=logits, labels=labels)
            after[held_out] = row_losses(z, truth[held_out], labels=labels)
        gain = weight * (before - after) / weight.mean()
        if (
            gain.mean() > _SIGNIFICANT * gain.std() / np.sqrt(len(gain))
            and after @ weight < smallest
        ):
            best = name
            smallest = float(after @ weight)
    return best
