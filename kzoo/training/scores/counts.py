"""Scores of predicted rates, by scikit-learn and NumPy."""

import math
from collections.abc import Mapping

import numpy as np
from sklearn import metrics as sk

from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.training.scores.values import joined
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, plural

_SMALLEST = 1e-9  # rate that replaces 0, for which the deviance is infinite


def score(
    batches: Pairs, target: Target, *, logits: bool | None = None, weight: np.ndarray | None = None
) -> Scored:
    """Return the scores of predicted rates over all targets, and of each target if there are several.

    Args:
        batches: pairs (outputs, truth) of the same sizes, (B, targets).
        target: the `Target`.
        logits: not used here.
        weight: (N,) sample weights; None: all rows have the same weight.

    Raises:
        KzooError: the number of values per row differs between truth and outputs.
    """
    rates, truth = joined(batches)
    true_columns, rate_columns = (
        array.reshape(len(array), -1).astype("float64").T for array in (truth, rates)
    )
    each = [
        _scores(column, rate, weight)
        for column, rate in zip(true_columns, rate_columns, strict=True)
    ]
    scores = {
        name: float(np.mean([scores[name] for scores in each]))
        for name in ("poisson_deviance", "mae")
    }
    scores["rmse"] = math.sqrt(np.mean([scores["rmse"] ** 2 for scores in each]))
    names = target.names or tuple(f"y{i + 1}" for i in range(len(each)))
    several = {"targets": dict(zip(names, each, strict=True))} if len(each) > 1 else {}
    return Scored(scores=scores | {"examples": len(truth)} | several, truth=truth, answers=rates)


def _scores(truth: np.ndarray, rate: np.ndarray, weight: np.ndarray | None) -> JsonObject:
    """Return the scores of one target: truth and rate (N,)."""
    r2 = sk.r2_score(truth, rate, sample_weight=weight) if truth.min() < truth.max() else None
    return dict(
        poisson_deviance=float(
            sk.mean_poisson_deviance(truth, np.maximum(rate, _SMALLEST), sample_weight=weight)
        ),
        mae=float(sk.mean_absolute_error(truth, rate, sample_weight=weight)),
        rmse=float(sk.root_mean_squared_error(truth, rate, sample_weight=weight)),
        r2=None if r2 is None else float(r2),
        beside={},
    )


def deviances(truth: np.ndarray, rates: np.ndarray) -> np.ndarray:
    """Return the Poisson deviance of each value, in the shape of the truth (McCullagh and Nelder, 1989)."""
    truth, rates = (
        truth.astype("float64"),
        np.maximum(rates.reshape(truth.shape).astype("float64"), _SMALLEST),
    )
    logs = np.where(truth > 0, truth * np.log(np.where(truth > 0, truth, 1) / rates), 0)
    return 2 * (logs - truth + rates)


def judge(
    truth: np.ndarray, answers: np.ndarray, target: Target, *, metric: str | None = None
) -> Judged:
    """Return the error of each row: the squared error if the metric is `rmse`, the absolute one if it is `mae`, else
    the deviance.
    """
    deviance = deviances(truth, answers).reshape(len(truth), -1).mean(axis=1)
    if metric in ("mae", "rmse", "mse"):
        error = np.abs(answers.reshape(truth.shape).astype("float64") - truth).reshape(
            len(truth), -1
        )
        name = "mae" if metric == "mae" else "mse"
        return Judged(
            quality=-deviance, error=(error if name == "mae" else error**2).mean(axis=1), of=name
        )
    return Judged(quality=-deviance, error=deviance, of="poisson_deviance")


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the Poisson deviance, and a sentence that compares it with always predicting the training mean.

    Args:
        scores: of one split.
        split: a word before "examples", such as "test ".
        answers: `truth` and `answers`, if they were kept; without them there is no comparison.
        outputs: of the network; not used here.
    """
    deviance = scores["poisson_deviance"]
    useless = None
    comparison = ""
    if answers is not None and (mean := target.config.get("target_offset")) is not None:
        truth = answers["truth"]
        rates = np.broadcast_to(
            np.asarray(mean, "float64"), truth.shape if truth.ndim > 1 else (len(truth), 1)
        )
        of_mean = float(deviances(truth, rates).mean())
        comparison = f"; always predicting the mean of the training data gives {number(of_mean)}"
        if deviance >= of_mean:
            useless = "The model is no better than always predicting the mean of the training data."
    return dict(
        value=number(deviance),
        label=f"Poisson deviance on {plural(scores['examples'], f'{split}example')}",
        interval=None,
        scale=None,
        sentence=f"The model has a Poisson deviance of {number(deviance)}{comparison}. Mean absolute error "
        f"{number(scores['mae'])}, RMSE {number(scores['rmse'])}.",
        useless=useless,
    )
