"""The deviance of the rates."""

import numpy as np

from kzoo.tasks import Judged, Scored


def deviance(truth, rate):
    """Return twice the loss beyond that of a perfect model, per row, as scikit-learn's `mean_poisson_deviance` does."""
    of_logs = np.where(truth > 0, truth * np.log(np.where(truth > 0, truth, 1) / rate), 0)
    return 2 * (of_logs - truth + rate)


def score(batches, target, *, logits=None):
    outputs, truth = (
        np.concatenate(column).astype("float64") for column in zip(*batches, strict=True)
    )
    rates = outputs.reshape(truth.shape)
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    scores = dict(
        deviance=float(deviance(truth, np.maximum(rates, 1e-9)).mean()),
        deviance_of_mean=float(deviance(truth, mean).mean()),
    )
    return Scored(scores=scores, truth=truth, answers=rates)


def judge(truth, answers, target, *, metric=None):
    error = deviance(truth, np.maximum(answers.astype("float64"), 1e-9)).mean(axis=-1)
    return Judged(quality=-error, error=error, of="deviance")


def headline(scores, target, *, split, answers=None, outputs=None):
    return dict(
        value=f"{scores['deviance']:.3f}",
        label=f"deviance on {split}rows",
        interval=None,
        scale=None,
        useless=None,
        sentence=f"Its deviance is {scores['deviance']:.3f}; the mean has {scores['deviance_of_mean']:.3f}.",
    )
