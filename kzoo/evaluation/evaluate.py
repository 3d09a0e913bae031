"""`evaluate`: scores on data, computed by scikit-learn and NumPy from the model's answers."""

import math

import numpy as np
from sklearn import metrics as sk

from kzoo.data import Dataset, load_data
from kzoo.data.pipeline import Batches
from kzoo.errors import KzooError
from kzoo.registry import Preset, spec_of
from kzoo.training.run import Run


def evaluate(run_or_model, data=None, *, split="test", target=None, batch_size=128) -> dict:
    """Score a run or a model.

    Args:
        run_or_model: a run, its path, or a model with the head that the data needs.
        data: anything `kzoo.load_data` takes. The default is the run's own named data set. A file or folder
            is taken whole, not split, and encoded as the run's training data was; a `Dataset` gives `split`.
        split: "train", "validation" or "test" of the run's own set, or of a `Dataset`.
        target: the target column of a table.
        batch_size: examples in a step.

    Returns:
        Classification: accuracy, f1 (macro), auc, loss, examples and the 95 % interval of the accuracy.
        Regression and forecasting, in the target's own unit: mae, rmse, r2, and mse of the standardised targets.
        Language models: loss in nats per token, bits per token, perplexity, accuracy.

    Raises:
        KzooError: the run has no such split, or the data does not fit the model.
    """
    if split not in ("train", "validation", "test"):
        raise KzooError(f"split={split!r} must be train, validation or test.")
    if isinstance(run_or_model, str) or hasattr(run_or_model, "__fspath__"):
        run_or_model = Run(run_or_model)
    model, loaded = (
        _for_run(run_or_model, data, target) if isinstance(run_or_model, Run) else _for_model(run_or_model, data, target)
    )
    part = getattr(loaded, split)
    if part is None:
        raise KzooError(f"{loaded.name} has no {split} split.")
    return score_split(model, part, loaded, batch_size=batch_size)


def _for_run(run, data, target):
    from kzoo.data.load import load_like

    return run.model, data if isinstance(data, Dataset) else load_like(run, data, target=target)


def _for_model(model, data, target):
    if data is None:
        raise KzooError("Say what to evaluate on: data= takes a named set, a file, a folder or arrays.")
    try:
        spec = spec_of(model)
        preset = Preset(
            name=spec["preset"], family=spec["family"], task=spec["task"], summary="", config=spec["config"],
            training=spec["training"],
        )  # fmt: skip
    except KzooError:
        preset = None
    return model, load_data(data, preset=preset, target=target)


def score_split(model, part, data, *, batch_size=128):
    """Score one split of a data set with a model whose answers are in the targets' own unit."""
    batches = Batches(part, batch_size=batch_size)
    answers, truth = [], []
    for step in range(len(batches)):
        x, y = batches.batch(0, step)
        answers.append(np.asarray(model.predict_on_batch(x), dtype="float32"))
        truth.append(np.asarray(y))
    answers, truth = np.concatenate(answers), np.concatenate(truth)
    if data.task == "language_modeling":
        return _score_language(answers, truth)
    if data.class_names:
        return _score_classes(probabilities(answers), truth)
    return _score_values(answers, truth, data.config.get("target_scale"))


def probabilities(answers):
    """Return one column per class from sigmoid, softmax or logit answers."""
    if answers.ndim == 2 and answers.shape[-1] == 1:
        p = answers if answers.min() >= 0 and answers.max() <= 1 else 1 / (1 + np.exp(-answers))
        return np.concatenate([1 - p, p], axis=-1)
    sums = answers.sum(-1)
    if answers.min() >= 0 and np.abs(sums - 1).max() < 1e-2:
        return answers
    shifted = np.exp(answers - answers.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


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


def wilson(share, n, z=1.96):
    """Return the 95 % Wilson interval of a share of `n` (doi:10.1080/01621459.1927.10502953)."""
    middle = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, middle - half), min(1.0, middle + half)


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


def _score_language(answers, truth):
    p = probabilities(answers).reshape(-1, answers.shape[-1])
    truth = truth.reshape(-1)
    loss = float(-np.log(np.clip(p[np.arange(len(truth)), truth], 1e-9, 1)).mean())
    return dict(
        loss=loss,
        bits_per_token=loss / math.log(2),
        perplexity=math.exp(min(loss, 700)),
        accuracy=float((p.argmax(-1) == truth).mean()),
        majority=float(np.bincount(truth).max() / len(truth)),
        tokens=len(truth),
    )
