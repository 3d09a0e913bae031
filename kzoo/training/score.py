"""Scores of a split, computed by scikit-learn and NumPy from the model's answers, not by Keras' metrics."""

import math

import keras
import numpy as np
from scipy import stats
from sklearn import metrics as sk

from kzoo.data.pipeline import Batches
from kzoo.errors import KzooError
from kzoo.predictions import probabilities

_CONFIDENCE = 0.9500042097035591  # what lies within 1.96 standard deviations, as tables have it


def score_split(model, part, data, *, batch_size=128):
    """Score one split of a data set with a model whose answers are in the targets' own unit."""
    if data.task == "language_modeling":
        return score_language(_answers(model, part, batch_size), gives_logits(model))
    return scores_of(*answers_of(model, part, data, batch_size=batch_size), data)


def answers_of(model, part, data, *, batch_size=128):
    """Return (truth, answers) of a split: class numbers and probabilities (N, classes), or values in their own unit."""
    answers, truth = (np.concatenate(column) for column in zip(*_answers(model, part, batch_size), strict=True))
    if data.class_names:
        return truth, probabilities(answers, gives_logits(model))
    return truth, answers.reshape(truth.shape)


def scores_of(truth, answers, data):
    """Score what `answers_of` returned."""
    if data.class_names:
        return _score_classes(answers, truth)
    return _score_values(answers, truth, data.config.get("target_scale"))


def gives_logits(model):
    """Say whether a model's answers are logits (True) or probabilities (False); None where its last layer is silent."""
    activation = getattr(model.layers[-1], "activation", None)
    return {"linear": True, "sigmoid": False, "softmax": False}.get(getattr(activation, "__name__", None))


def _score_classes(p, truth):
    if truth.min() < 0 or truth.max() >= p.shape[1]:
        raise KzooError(f"The labels run from {truth.min()} to {truth.max()}, and the model has {p.shape[1]} classes.")
    guess, n = p.argmax(-1), len(truth)
    accuracy = float((guess == truth).mean())
    present = np.unique(truth)
    auc = None
    if len(present) == p.shape[1]:
        auc = float(sk.roc_auc_score(truth, p[:, 1] if p.shape[1] == 2 else p, multi_class="ovr", labels=present))
    return dict(
        accuracy=accuracy,
        accuracy_interval=list(wilson(accuracy, n)),
        f1=float(sk.f1_score(truth, guess, average="macro", zero_division=0)),
        auc=auc,
        loss=float(-np.log(np.clip(p[np.arange(n), truth], 1e-7, 1)).mean()),
        majority=float(np.bincount(truth).max() / n),
        examples=n,
    )


def wilson(share, n):
    """Return the 95 % Wilson interval of a share of `n` (doi:10.1080/01621459.1927.10502953)."""
    low, high = stats.binomtest(round(share * n), n).proportion_ci(_CONFIDENCE, method="wilson")
    return float(low), float(high)


def _score_values(answers, truth, scale):
    error = (answers.reshape(truth.shape) - truth).astype("float64")
    spread = np.ones(truth.shape[-1]) if scale is None else np.asarray(scale, dtype="float64")
    flat_truth, flat_guess = (a.reshape(len(truth), -1).astype("float64") for a in (truth, answers))
    return dict(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        r2=float(sk.r2_score(flat_truth, flat_guess)) if len(truth) > 1 else None,
        mse_standardised=float(((error / spread) ** 2).mean()),
        mae_standardised=float(np.abs(error / spread).mean()),
        examples=len(truth),
    )


def forward(model, x, size):
    """Return the answers to at most `size` rows, filled up to `size`: one shape, so that nothing is traced twice."""
    rows = len(x)
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x)), dtype="float32")[:rows]


def _answers(model, part, batch_size):
    """Yield (answers, truth) a batch at a time."""
    batches = Batches(part, batch_size=batch_size)
    for step in range(len(batches)):
        x, y = batches.batch(0, step)
        answers = forward(model, x, min(batch_size, len(part)))
        if not np.isfinite(answers).all():
            raise KzooError("The model's answers are not finite: its weights went to NaN or infinity in training.")
        yield answers, np.asarray(y)


def score_language(pairs, logits):
    """Add up per batch: the answers of a whole split, one column per word, would not fit in memory."""
    loss, right, tokens, counts = 0.0, 0, 0, 0
    for answers, truth in pairs:
        p, truth = probabilities(answers, logits).reshape(-1, answers.shape[-1]), truth.reshape(-1)
        loss -= float(np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).sum(dtype="float64"))
        right += int((p.argmax(-1) == truth).sum())
        counts = counts + np.bincount(truth, minlength=p.shape[-1])
        tokens += len(truth)
    loss /= tokens
    return dict(
        loss=loss,
        bits_per_token=loss / math.log(2),
        perplexity=math.exp(min(loss, 700)),
        accuracy=right / tokens,
        majority=float(counts.max() / tokens),
        tokens=tokens,
    )
