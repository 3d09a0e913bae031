"""Scores of values, by scikit-learn and NumPy, in the targets' own unit."""

import math

import numpy as np
from sklearn import metrics as sk

from kzoo.tasks import Judged, Scored
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import number, percent, plural

MEAN = "training mean"


def score(batches, target, *, logits=None, beside=(), weight=None) -> Scored:
    """Score answers: all together, and where there are several targets or simple forecasts, each target by itself.

    Args:
        batches: pairs (outputs, truth) of the same sizes, (B, ..., targets).
        target: the `Target`; its `target_scale` standardises. Without it nothing does: these scores are None.
        logits: not needed here.
        beside: pairs (name, answers to the same rows) of what needs no network; NaN where it has no answer.
        weight: (N,) how much each row counts; None where all count alike.

    Returns:
        `targets` of the scores: name -> `mae`, `rmse`, `r2` in the target's own unit, and `beside`: name -> `mae` of
        what needs no network, and `ratio`, how many times that the model's own is, on the same `examples`; None where
        it never errs. `relative_mae` is the mean over the targets of the largest of these ratios. R² is None where the
        truth does not vary, and else the mean over what does.

    Raises:
        KzooError: more or fewer true values to a row than the network answers.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    if outputs.size != truth.size:
        there, answered = (math.prod(values.shape[1:]) for values in (truth, outputs))
        raise KzooError(f"Each row has {plural(there, 'true value')}, and the model answers {answered}.")
    answers = outputs.reshape(truth.shape)
    error = (answers - truth).astype("float64")
    standardised, r2 = _standardised(error, target), _r2(truth, answers, weight)
    scores = dict(
        mae=_mean(np.abs(error), weight),
        rmse=math.sqrt(_mean(error**2, weight)),
        r2=_mean_of_known(r2),
        mse_standardised=None if standardised is None else _mean(standardised**2, weight),
        mae_standardised=None if standardised is None else _mean(np.abs(standardised), weight),
        examples=len(truth),
    )
    beside = list(beside)
    if beside or (truth.ndim > 1 and truth.shape[-1] > 1):
        scores |= _each_target(truth, answers, target, beside, error=error, r2=r2, weight=weight)
    return Scored(scores=scores, truth=truth, answers=answers)


def _mean(values, weight) -> float:
    """Return the mean of values (N, ...), of rows that count as weights (N,) say."""
    if weight is None:
        return float(values.mean())
    return float(np.average(values.reshape(len(values), -1).mean(axis=1), weights=weight))


def _each_target(truth, answers, target, simple, *, error, r2, weight):
    mean, beside = target.config.get("target_offset"), simple
    if mean is not None:
        beside = [*simple, (MEAN, np.broadcast_to(np.asarray(mean, "float64"), truth.shape))]
    names = target.names or tuple(f"y{i + 1}" for i in range(truth.shape[-1]))
    targets = {
        name: dict(
            mae=_mean(np.abs(error[..., i]), weight),
            rmse=math.sqrt(_mean(error[..., i] ** 2, weight)),
            r2=_mean_of_known(r2[..., i]),
            beside={
                said: found
                for said, others in beside
                if (found := _beside(truth[..., i], answers[..., i], others[..., i], weight)) is not None
            },
        )
        for i, name in enumerate(names)
    }
    # Beside the mean alone, any forecast shines.
    return dict(targets=targets) if truth.ndim > 2 and not simple else _relative(targets)


def carried(scores, known) -> dict:
    """Return scores beside what is known of the same examples: what needs no network errs as much as it did.

    Args:
        scores: of other answers to the same examples, without any beside them.
        known: `targets` of scores that have.
    """
    whole = {name: scores[name] for name in ("mae", "rmse", "r2")}
    own = scores.get("targets") or dict.fromkeys(known, whole)
    targets = {
        name: {score: one[score] for score in whole}
        | dict(
            beside={
                said: found | dict(ratio=one["mae"] / found["mae"] if found["mae"] else None)
                for said, found in known[name]["beside"].items()
                if found["examples"] == scores["examples"]
            }
        )
        for name, one in own.items()
    }
    return scores | _relative(targets)


def _relative(targets):
    """Return the scores of the targets, and how they are beside the best of what needs no network."""
    ratios = [[other["ratio"] for other in one["beside"].values()] for one in targets.values()]
    told = all(ratios) and not any(None in of for of in ratios)
    return dict(targets=targets) | (dict(relative_mae=float(np.mean([max(of) for of in ratios]))) if told else {})


def _beside(truth, answers, simple, weight):
    """Compare the mean absolute errors where the simple answers have one; None where they have none."""
    there = np.isfinite(simple).reshape(len(simple), -1).all(axis=1)
    if not there.any():
        return None
    weight = None if weight is None else weight[there]
    ours, theirs = (_mean(np.abs(a[there].astype("float64") - truth[there]), weight) for a in (answers, simple))
    # What never errs cannot be beaten: where it is matched, that is neither better nor worse.
    ratio = ours / theirs if theirs > 0 else 1.0 if ours == 0 else None
    return dict(mae=float(theirs), ratio=None if ratio is None else float(ratio), examples=int(there.sum()))


def _r2(truth, answers, weight=None):
    """Return R² of each column, in the shape of a row; NaN of what does not vary: beside it R² has no meaning."""
    shape = truth.shape[1:]
    truth, answers = (a.reshape(len(truth), -1).astype("float64") for a in (truth, answers))
    varies, each = truth.min(axis=0) < truth.max(axis=0), np.full(truth.shape[1], np.nan)
    if varies.any():
        each[varies] = sk.r2_score(truth[:, varies], answers[:, varies], sample_weight=weight, multioutput="raw_values")
    return each.reshape(shape)


def _mean_of_known(r2):
    """Return the mean over the columns that vary; None where none does."""
    known = r2[~np.isnan(r2)]
    return float(known.mean()) if known.size else None


def judge(truth, answers, target, *, metric=None) -> Judged:
    """Say of each row by how much its answer is off, as the metric counts it.

    Of several targets, whose units may differ, the errors are standardised unless the metric is in their own units, or
    nothing is known to standardise them by.
    """
    error = answers.reshape(truth.shape).astype("float64") - truth
    standardised = _standardised(error, target)
    quality = -np.abs(error if standardised is None else standardised).reshape(len(truth), -1).mean(axis=1)
    metric = metric or "mse_standardised"
    several, own = truth.ndim > 1 and truth.shape[-1] > 1, metric in ("mae", "mse", "rmse")
    is_standardised = standardised is not None and (metric.endswith("_standardised") or (several and not own))
    error, absolute = standardised if is_standardised else error, metric.startswith("mae")
    error = (np.abs(error) if absolute else error**2).reshape(len(truth), -1).mean(axis=1)
    name = ("mae" if absolute else "mse") + ("_standardised" if is_standardised else "")
    return Judged(quality=quality, error=error, of=name)


def headline(scores, target, *, split, answers=None, outputs=None) -> dict:
    """Return the mean absolute error, and a sentence beside what needs no network.

    Of several targets, whose units may differ, it is the error beside that of the best simple answer to each.

    Args:
        scores: of one split.
        split: "test " or another word before "examples".
        answers: `truth` and `answers`, where they were kept; without them only R² says what the mean would get.
        outputs: of the network; not needed here.
    """
    targets, examples = scores.get("targets") or {}, plural(scores["examples"], f"{split}example")
    if targets and (len(targets) > 1 or "relative_mae" in scores):
        return _of_targets(scores, targets, examples)
    several = " over all targets" if len(target.names) > 1 else ""
    others = f"RMSE {number(scores['rmse'])}" + ("" if scores["r2"] is None else f", R² {scores['r2']:.3f}")
    if answers is not None:
        beside = (
            f"; always answering the mean of the training data would be off by {number(_mean_error(answers, target))}"
        )
    else:
        beside = "" if scores["r2"] is None else "; always answering the mean has an R² of 0"
    return dict(
        value=number(scores["mae"]),
        label=f"mean absolute error on {examples}, in the target's own unit",
        interval=None,
        scale=None,
        sentence=f"Its answers are off by {number(scores['mae'])} on average{several}{beside}. {others}.",
        useless="It is no better than always answering the mean (R² is not above 0)."
        if scores["r2"] is not None and scores["r2"] <= 0
        else None,
    )


def _of_targets(scores, targets, examples):
    said = [
        f"{'Its answers are' if len(targets) == 1 else f'{name!r} is'} off by {number(one['mae'])} on average; "
        + ", ".join(f"{other} would be off by {number(found['mae'])}" for other, found in one["beside"].items())
        for name, one in targets.items()
    ]
    if len(targets) > 1 and scores.get("relative_mae") is not None:
        said.append(
            f"Its error is {percent(scores['relative_mae'])} of that of the best simple answer, the mean of "
            f"{len(targets)} targets"
        )
    if len(targets) == 1:
        value = number(next(iter(targets.values()))["mae"])
        label = f"mean absolute error on {examples}, in the target's own unit"
    else:
        value = "–" if scores["r2"] is None else f"{scores['r2']:.3f}"
        varying = sum(one["r2"] is not None for one in targets.values())
        some = "" if varying == len(targets) else f"{varying} of "
        label = f"R², the mean of {some}{plural(len(targets), 'target')} on {examples}"
    return dict(
        value=value,
        label=label,
        interval=None,
        scale=None,
        sentence=". ".join(said) + ".",
        useless=None,  # `doubts` names each target that is no better
    )


def doubts(scores) -> list[str]:
    """Return a sentence for each target for which something that needs no network is as good."""
    found = []
    for name, one in (scores.get("targets") or {}).items():
        worse = {other: by for other, by in one["beside"].items() if by["ratio"] is None or by["ratio"] >= 1}
        if worse:
            best = min(worse, key=lambda other: worse[other]["mae"])
            ratio, theirs = worse[best]["ratio"], number(worse[best]["mae"])
            times = "above" if ratio is None else "as large as" if ratio == 1 else f"{ratio:.3g} times"
            found.append(
                f"{name!r} is answered as well or better without the network: on the same "
                f"{plural(worse[best]['examples'], 'example')} its mean absolute error is {times} that of the {best} "
                f"({theirs})."
            )
    return found


def _standardised(error, target):
    """Return errors in deviations of the training data; None where these are not known, as of a model of one's own."""
    scale = target.config.get("target_scale")
    return None if scale is None else error / np.asarray(scale, "float64")


def _mean_error(kept, target):
    truth = kept["truth"].astype("float64")
    mean = target.config.get("target_offset")
    mean = truth.mean(tuple(range(truth.ndim - 1))) if mean is None else np.asarray(mean)
    return float(np.abs(truth - mean).mean())
