"""Scores of values, by scikit-learn and NumPy, in the targets' own units."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from sklearn import metrics as sk

from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.training.scores.forecasts import SeasonalScales, forecast_scores, in_units
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent, plural

MEAN = "training mean"


def score(
    batches: Pairs,
    target: Target,
    *,
    logits: bool | None = None,
    beside: Iterable[tuple[str, np.ndarray]] = (),
    weight: np.ndarray | None = None,
    scales: SeasonalScales | None = None,
) -> Scored:
    """Return the scores of predictions over all targets, and of each target if there are several targets or baselines.

    Args:
        batches: pairs (outputs, truth) of the same sizes, (B, ..., targets).
        target: the `Target`; its `target_scale` standardises errors. Without it, standardised scores are None.
        logits: not used here.
        beside: pairs (name, predictions of the same rows) of baselines; NaN for rows without a prediction.
        weight: (N,) sample weights; None: all rows have the same weight.
        scales: of forecasts: see `kzoo.training.scores.forecasts.forecast_scores`.

    Returns:
        `Scored`. Its `targets` map each name to `mae`, `rmse`, `r2` in the target's own unit, and `beside`: baseline ->
        `mae` of the baseline, and `ratio`, the model's mae divided by it, on the same `examples`; the ratio is None if
        the baseline has no error but the model has. `relative_mae` is the mean over the targets of the largest of these
        ratios. R² is None if the truth is constant, else the mean over the columns that vary.

    Raises:
        KzooError: the number of values per row differs between truth and outputs.
    """
    answers, truth = joined(batches)
    error = (answers - truth).astype("float64")
    standardised = _standardised(error, target)
    r2 = _r2(truth, answers, weight)
    scores = dict(
        mae=_mean(np.abs(error), weight),
        rmse=math.sqrt(_mean(error**2, weight)),
        r2=_mean_of_varying(r2),
        mse_standardised=None if standardised is None else _mean(standardised**2, weight),
        mae_standardised=None if standardised is None else _mean(np.abs(standardised), weight),
        examples=len(truth),
    )
    beside = list(beside)
    if truth.ndim == 3:
        scores |= forecast_scores(truth, answers, scales, beside)
    if beside or (truth.ndim > 1 and truth.shape[-1] > 1):
        scores |= _each_target(truth, answers, target, beside, error=error, r2=r2, weight=weight)
    return Scored(scores=scores, truth=truth, answers=answers)


def joined(batches: Pairs) -> tuple[np.ndarray, np.ndarray]:
    """Return the predictions and the true values of all batches, in the shape of the true values.

    Args:
        batches: pairs (outputs, truth) of the same sizes.

    Raises:
        KzooError: the number of values per row differs.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    if outputs.size != truth.size:
        expected, predicted = (math.prod(values.shape[1:]) for values in (truth, outputs))
        raise KzooError(
            f"Each row has {plural(expected, 'true value')}, but the model predicts {predicted}."
        )
    return outputs.reshape(truth.shape), truth


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the mean of values (N, ...), with sample weights (N,) if they are not None."""
    if weight is None:
        return float(values.mean())
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def _each_target(
    truth: np.ndarray,
    answers: np.ndarray,
    target: Target,
    extra_baselines: Sequence[tuple[str, np.ndarray]],
    *,
    error: np.ndarray,
    r2: np.ndarray,
    weight: np.ndarray | None,
) -> JsonObject:
    mean = target.config.get("target_offset")
    baselines = extra_baselines
    if mean is not None:
        baselines = [
            *extra_baselines,
            (MEAN, np.broadcast_to(np.asarray(mean, "float64"), truth.shape)),
        ]
    names = target.names or tuple(f"y{i + 1}" for i in range(truth.shape[-1]))
    targets = {
        name: dict(
            mae=_mean(np.abs(error[..., i]), weight),
            rmse=math.sqrt(_mean(error[..., i] ** 2, weight)),
            r2=_mean_of_varying(r2[..., i]),
            beside={
                baseline: comparison
                for baseline, baseline_predictions in baselines
                if (
                    comparison := _compare_with(
                        truth[..., i], answers[..., i], baseline_predictions[..., i], weight
                    )
                )
                is not None
            },
        )
        for i, name in enumerate(names)
    }
    # Without other baselines, comparing a forecast with the mean alone would be misleading.
    return dict(targets=targets) if truth.ndim > 2 and not extra_baselines else _relative(targets)


def carried(scores: Scores, known: Mapping[str, Mapping[str, Any]]) -> JsonObject:
    """Return scores with the baseline scores of other predictions of the same examples attached.

    Args:
        scores: scores of predictions, without baselines.
        known: `targets` of the scores of the other predictions, which have baselines.
    """
    overall = {name: scores[name] for name in ("mae", "rmse", "r2")}
    per_target = scores.get("targets") or dict.fromkeys(known, overall)
    targets = {}
    for name, target_scores in per_target.items():
        beside = {}
        for baseline, comparison in known[name]["beside"].items():
            if comparison["examples"] == scores["examples"]:
                ratio = target_scores["mae"] / comparison["mae"] if comparison["mae"] else None
                beside[baseline] = comparison | dict(ratio=ratio)
        targets[name] = {score: target_scores[score] for score in overall} | dict(beside=beside)
    return {**scores, **_relative(targets)}


def _relative(targets: JsonObject) -> JsonObject:
    """Return the scores of the targets, and the relative MAE if each target is compared with a baseline.

    It is the mean over the targets of the largest ratio of a target's error to that of a baseline.
    """
    ratios = [
        [comparison["ratio"] for comparison in target_scores["beside"].values()]
        for target_scores in targets.values()
    ]
    # [] without a baseline
    if not all(ratios) or any(None in target_ratios for target_ratios in ratios):
        return dict(targets=targets)
    return dict(
        targets=targets,
        relative_mae=float(np.mean([max(target_ratios) for target_ratios in ratios])),
    )


def _compare_with(
    truth: np.ndarray, answers: np.ndarray, baseline: np.ndarray, weight: np.ndarray | None
) -> JsonObject | None:
    """Return the comparison of mean absolute errors on the rows that a baseline predicts; None if it predicts none."""
    predicted = np.isfinite(baseline).reshape(len(baseline), -1).all(axis=1)
    if not predicted.any():
        return None
    weight = None if weight is None else weight[predicted]
    model_mae, baseline_mae = (
        _mean(np.abs(predictions[predicted].astype("float64") - truth[predicted]), weight)
        for predictions in (answers, baseline)
    )
    # A baseline without error cannot be beaten: if the model has no error either, it is neither better nor worse.
    ratio = model_mae / baseline_mae if baseline_mae > 0 else 1.0 if model_mae == 0 else None
    return dict(
        mae=float(baseline_mae),
        ratio=None if ratio is None else float(ratio),
        examples=int(predicted.sum()),
    )


def _r2(truth: np.ndarray, answers: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """Return R² of each column, in the shape of a row; NaN for constant columns, whose R² is undefined."""
    shape = truth.shape[1:]
    truth, answers = (array.reshape(len(truth), -1).astype("float64") for array in (truth, answers))
    varies = truth.min(axis=0) < truth.max(axis=0)
    scores = np.full(truth.shape[1], np.nan)
    if varies.any():
        scores[varies] = sk.r2_score(
            truth[:, varies], answers[:, varies], sample_weight=weight, multioutput="raw_values"
        )
    return scores.reshape(shape)


def _mean_of_varying(r2: np.ndarray) -> float | None:
    """Return the mean over the columns that vary; None if none does."""
    varying = r2[~np.isnan(r2)]
    return float(varying.mean()) if varying.size else None


def judge(
    truth: np.ndarray, answers: np.ndarray, target: Target, *, metric: str | None = None
) -> Judged:
    """Return the error of each row, as the metric counts it.

    For several targets, whose units may differ, errors are standardised, unless the metric is in the targets' own units
    or the scale is unknown.
    """
    error = answers.reshape(truth.shape).astype("float64") - truth
    standardised = _standardised(error, target)
    quality = (
        -np.abs(error if standardised is None else standardised)
        .reshape(len(truth), -1)
        .mean(axis=1)
    )
    metric = metric or "mse_standardised"
    several = truth.ndim > 1 and truth.shape[-1] > 1
    own_unit = metric in ("mae", "mse", "rmse")
    is_standardised = standardised is not None and (
        metric.endswith("_standardised") or (several and not own_unit)
    )
    if standardised is not None and is_standardised:
        error = standardised
    absolute = metric.startswith("mae")
    error = (np.abs(error) if absolute else error**2).reshape(len(truth), -1).mean(axis=1)
    name = ("mae" if absolute else "mse") + ("_standardised" if is_standardised else "")
    return Judged(quality=quality, error=error, of=name)


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the mean absolute error, and a sentence that compares it with baselines.

    For several targets, whose units may differ, it is the R², and the sentence compares each error with the best
    baseline.

    Args:
        scores: of one split.
        split: a word before "examples", such as "test ".
        answers: `truth` and `answers`, if they were kept; without them, the mean is compared by R² only.
        outputs: of the network; not used here.
    """
    targets = scores.get("targets") or {}
    examples = plural(scores["examples"], f"{split}example")
    if targets and (len(targets) > 1 or "relative_mae" in scores):
        parts = _of_targets(scores, targets, examples)
        return parts | {"sentence": f"{in_units(scores, target)} {parts['sentence']}".lstrip()}
    several = " over all targets" if len(target.names) > 1 else ""
    other_scores = f"RMSE {number(scores['rmse'])}" + (
        "" if scores["r2"] is None else f", R² {scores['r2']:.3f}"
    )
    if answers is not None:
        comparison = f"; always predicting the mean of the training data gives {number(_mean_error(answers, target))}"
    else:
        comparison = "" if scores["r2"] is None else "; always predicting the mean has an R² of 0"
    return dict(
        value=number(scores["mae"]),
        label=f"mean absolute error on {examples}, in the target's own unit",
        interval=None,
        scale=None,
        sentence=f"The model has a mean absolute error of {number(scores['mae'])}{several}{comparison}. "
        f"{other_scores}.",
        useless="The model is no better than always predicting the mean (R² is not above 0)."
        if scores["r2"] is not None and scores["r2"] <= 0
        else None,
    )


def _of_targets(
    scores: Scores, targets: Mapping[str, Mapping[str, Any]], examples: str
) -> Headline:
    sentences = [
        f"The mean absolute error{'' if len(targets) == 1 else f' of {name!r}'} is {number(target_scores['mae'])}"
        + ("; baselines: " if target_scores["beside"] else "")
        + ", ".join(
            f"{baseline} {number(comparison['mae'])}"
            for baseline, comparison in target_scores["beside"].items()
        )
        for name, target_scores in targets.items()
    ]
    if len(targets) > 1 and scores.get("relative_mae") is not None:
        sentences.append(
            f"Its error is {percent(scores['relative_mae'])} of that of the best baseline (mean of {len(targets)} "
            "targets)"
        )
    if len(targets) == 1:
        value = number(next(iter(targets.values()))["mae"])
        label = f"mean absolute error on {examples}, in the target's own unit"
    else:
        value = "–" if scores["r2"] is None else f"{scores['r2']:.3f}"
        varying = sum(target_scores["r2"] is not None for target_scores in targets.values())
        prefix = "" if varying == len(targets) else f"{varying} of "
        label = f"R², the mean of {prefix}{plural(len(targets), 'target')} on {examples}"
    return dict(
        value=value,
        label=label,
        interval=None,
        scale=None,
        sentence=". ".join(sentences) + ".",
        useless=None,  # `doubts` names each target without an improvement
    )


def doubts(scores: Scores) -> list[str]:
    """Return a warning for each target that a baseline predicts as well as the model or better."""
    warnings = []
    for name, target_scores in (scores.get("targets") or {}).items():
        no_worse = {
            baseline: comparison
            for baseline, comparison in target_scores["beside"].items()
            if comparison["ratio"] is None or comparison["ratio"] >= 1
        }
        if no_worse:
            best = min(no_worse, key=lambda baseline: no_worse[baseline]["mae"])
            ratio = no_worse[best]["ratio"]
            baseline_mae = number(no_worse[best]["mae"])
            relation = (
                "above" if ratio is None else "as large as" if ratio == 1 else f"{ratio:.3g} times"
            )
            warnings.append(
                f"A baseline predicts {name!r} as well as the model or better: on the same "
                f"{plural(no_worse[best]['examples'], 'example')}, the model's mean absolute error is {relation} that "
                f"of the {best} ({baseline_mae})."
            )
    return warnings


def _standardised(error: np.ndarray, target: Target) -> np.ndarray | None:
    """Return errors divided by the standard deviations of the training data; None if these are unknown."""
    scale = target.config.get("target_scale")
    return None if scale is None else error / np.asarray(scale, "float64")


def _mean_error(stored: Mapping[str, np.ndarray], target: Target) -> float:
    truth = stored["truth"].astype("float64")
    mean = target.config.get("target_offset")
    mean = truth.mean(tuple(range(truth.ndim - 1))) if mean is None else np.asarray(mean)
    return float(np.abs(truth - mean).mean())
