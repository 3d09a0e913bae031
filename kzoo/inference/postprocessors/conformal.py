"""Prediction sets, intervals and abstention with a promise (split conformal prediction). NumPy only.

The step is learned in every training, on the calibration rows if there are any, else on the validation rows, whose
promise is approximate because they stopped the training. It stores sorted nonconformity scores, so that any level can
be asked of a prediction; without a question, predictions stay as they are.

Each row counts once, also those with row weights.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.inference.postprocessors import Learned, abstention
from kzoo.inference.postprocessors.clustered import (
    FEWEST_SERIES,
    PARTS,
    PROBABILITY,
    Clusters,
    effective_rows,
    expected_range,
)
from kzoo.inference.postprocessors.conformal_scores import (
    cell_scores_at,
    crossed_residual_scores,
    head_pairs,
    lac_scores,
    learned_spread,
    of_truth,
    quantile_scores,
    raps_scores,
    score_at,
    share_up_to,
    spread_at,
    stored,
    stored_cells,
    tuned_raps,
)
from kzoo.inference.postprocessors.coverage import (
    FEW_ROWS,
    checked_rank,
    coverage_interval,
    observed_interval,
    range_text,
    rows_needed,
)
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.postprocessors.series_scale import learned_scale, series_of
from kzoo.inference.postprocessors.series_scale import widths as widths_of_series
from kzoo.inference.predictions import Predictions
from kzoo.problems.stored_types import APPROXIMATE
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import percent, plural, short_percent

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


PredictionsAndTruth: TypeAlias = tuple[Predictions, np.ndarray]

NAME = "conformal"
STAGE = "intervals"
FACTS = frozenset({"kept"})
LEVELS = (0.8, 0.9, 0.95)  # at which coverage is reported
FEWEST = 10  # rows, with fewer nothing is learned
_MOST_STORED = 10_000  # scores of all classes, or of all steps and targets, together
_FEWEST_STORED, _MOST_OF_CELL = 40, 2_000  # of a class, or of a step and target
_JUDGED = 0.8  # the level at which the number of independent rows of forecasts is estimated
_BELOW = 0.05  # below the level, from which on a class is named
_ROWS = {
    "calibration": "calibration row",
    "validation": "validation row",
    "out of fold": "out-of-fold row",
}


def learn(
    predictions: Predictions,
    truth: np.ndarray,
    *,
    problem: Problem,
    tuning: PredictionsAndTruth | None = None,
    moments: np.ndarray | None = None,
) -> JsonObject | None:
    """Return the sorted scores of rows; None if there are too few, or outputs that are no probabilities.

    Args:
        predictions: of the rows that the promise is learned on, after all other steps.
        truth: (N,) class numbers, or the values (N, targets) or (N, horizon, targets).
        problem: what is predicted.
        tuning: (predictions, truth) of other rows, on which RAPS and the spread of residuals are chosen; None to do
            that on the same rows.
        moments: (N,) number of the first step of forecasts, see `kzoo.inference.postprocessors.series_scale`; or None.
    """
    truth = np.asarray(truth)
    if len(truth) < FEWEST or not problem.has_sets:
        return None
    if predictions.probabilities is not None:
        return _learn_classes(predictions, truth, tuning)
    if predictions.quantiles is None and predictions.values is None:
        return None
    learned = _learn_quantiles if predictions.quantiles is not None else _learn_values
    lowest = {"lowest": 0.0} if problem.predicts_rates else {}
    step = learned(predictions, truth.astype(np.float64), tuning, moments) | lowest
    if truth.ndim == 3 and moments is not None and len(truth) >= rows_needed(_JUDGED):
        lower, upper = intervals(step, predictions, _JUDGED)
        covered = (truth >= lower) & (truth <= upper)
        clusters = Clusters.of(series_of(predictions)[0], moments, truth.shape[1])
        step["effective"] = effective_rows(covered, clusters, _JUDGED)
    return step


def _learn_classes(
    predictions: Predictions, truth: np.ndarray, tuning: PredictionsAndTruth | None
) -> JsonObject:
    p = np.asarray(predictions.probabilities, np.float64)
    raps = (
        tuned_raps(p, truth)
        if tuning is None
        else tuned_raps(np.asarray(tuning[0].probabilities), tuning[1])
    )
    lac = of_truth(lac_scores(p), truth)
    classes = p.shape[1]
    most = max(_MOST_STORED // classes, _FEWEST_STORED)
    names = np.array([str(name) for name in predictions.class_names])
    predicted = np.searchsorted(np.sort(names), [str(label) for label in predictions.labels])
    predicted = np.argsort(names, kind="stable")[predicted]
    return {
        "of": "classes",
        "count": len(truth),
        "lac": stored(lac),
        "raps": stored(of_truth(raps_scores(p, **raps), truth)) | raps,
        "class": [stored(lac[truth == number], most) for number in range(classes)],
        "answered": abstention.learned_curve(p[np.arange(len(p)), predicted], predicted == truth),
    }


def _by_step(values: np.ndarray) -> np.ndarray:
    """Return values (N, targets) as (N, 1, targets); those of forecasts (N, horizon, targets) as they are."""
    return values if values.ndim == 3 else values[:, None]


def _cells(scores: np.ndarray) -> JsonObject:
    """Return the stored scores of each step and target, of scores (N, steps, targets)."""
    return stored_cells(
        scores, min(max(_MOST_STORED // scores[0].size, _FEWEST_STORED), _MOST_OF_CELL)
    )


def _learn_values(
    predictions: Predictions,
    truth: np.ndarray,
    tuning: PredictionsAndTruth | None,
    moments: np.ndarray | None,
) -> JsonObject:
    values = np.asarray(predictions.values, np.float64)
    residuals = np.abs(truth - values)
    spreads: list[Any] = [None] * values.shape[-1]
    scores = residuals
    scale: JsonObject = {}
    if values.ndim == 3 and predictions.error_scale is not None:
        scores, scale["scale"] = learned_scale(residuals, predictions, moments, positive=True)
    if values.ndim == 2:  # each step of a forecast has its own scores instead
        seen, errors = values, residuals
        if tuning is not None:
            seen = np.asarray(tuning[0].values, np.float64)
            errors = np.abs(tuning[1] - seen)
        spreads = [learned_spread(seen[:, i], errors[:, i]) for i in range(values.shape[1])]
        columns = zip(spreads, values.T, residuals.T, strict=True)
        scores = np.stack(
            [_over_spread(*column, crossed=tuning is None) for column in columns], axis=1
        )
    return {
        "of": "values",
        "count": len(truth),
        "spread": spreads,
        "scores": _cells(_by_step(scores)),
        **scale,
    }


def _over_spread(
    spread: JsonObject | None, values: np.ndarray, residuals: np.ndarray, *, crossed: bool
) -> np.ndarray:
    """Return residuals over their spread; `crossed`: over one of other folds, as the spread was learned on them."""
    if spread is None:
        return residuals
    return (
        crossed_residual_scores(values, residuals)
        if crossed
        else residuals / spread_at(spread, values)
    )


def _learn_quantiles(
    predictions: Predictions,
    truth: np.ndarray,
    tuning: PredictionsAndTruth | None,
    moments: np.ndarray | None,
) -> JsonObject:
    heads = np.asarray(predictions.quantiles, np.float64)
    pairs = []
    for confidence, low, high in head_pairs(predictions.levels):
        scores = quantile_scores(heads[..., low], heads[..., high], truth)
        scale: JsonObject = {}
        if truth.ndim == 3 and predictions.error_scale is not None:
            scores, scale["scale"] = learned_scale(scores, predictions, moments, positive=False)
        pairs.append(
            {
                "confidence": confidence,
                "low": low,
                "high": high,
                "scores": _cells(_by_step(scores)),
                **scale,
            }
        )
    return {
        "of": "quantiles",
        "count": len(truth),
        "levels": list(map(float, predictions.levels)),
        "pairs": pairs,
    }


def apply(learned: Learned, predictions: Predictions) -> Predictions:
    """Return predictions unchanged: sets and intervals are made only where they are asked for."""
    return predictions


def describe(learned: Learned) -> list[str]:
    """Return no line: without a question, the step changes nothing."""
    return []


def answered(
    learned: Learned,
    rows: str,
    predictions: Predictions,
    options: PredictionOptions,
    *,
    ordered: bool = False,
    band: np.ndarray | None = None,
) -> Predictions:
    """Return predictions with sets or intervals, and with `unsure` for rows that are not answered.

    Args:
        learned: the return value of `learn`.
        rows: what it was learned on: "calibration", "validation" or "out of fold".
        predictions: after all other steps.
        options: the `PredictionOptions` of the user.
        ordered: whether they are forecasts, whose errors depend on each other.
        band: (horizon, targets) half-widths of an adaptive band of forecasts, which replace the stored scores.

    Raises:
        KzooError: an option that does not suit the predictions, too few rows for the level, or an accuracy that cannot
            be promised.
    """
    if options.confidence is not None:
        predictions = _with_sets(learned, rows, predictions, options, ordered, band)
        if learned["count"] < FEW_ROWS and not ordered:
            interval = range_text(coverage_interval(learned["count"], options.confidence))
            warn(
                f"confidence={options.confidence:g} rests on {plural(learned['count'], _ROWS[rows])}, so that the "
                f"coverage may be anything from {interval}. {FEW_ROWS} rows or more narrow it."
            )
    if options.accuracy_when_answered is not None:
        if learned["of"] != "classes":
            raise _not_for_values("accuracy_when_answered", options.accuracy_when_answered)
        threshold, share = abstention.threshold_for(
            learned["answered"], options.accuracy_when_answered
        )
        line = abstention.answers_line(options.accuracy_when_answered, share)
        predictions = with_unsure(predictions, threshold)
        predictions = replace(
            predictions, promise=_joined(predictions.promise, line + _approximate(rows))
        )
    return predictions


def _not_for_values(name: str, value: object) -> KzooError:
    return KzooError(
        "is for classes, and this model predicts numbers. Use confidence=.",
        argument=name,
        value=value,
    )


def _joined(*sentences: str) -> str:
    return " ".join(filter(None, sentences))


def _approximate(rows: str) -> str:
    why = APPROXIMATE.get(rows)
    return (
        ""
        if why is None
        else f" This is approximate: {why}. Rows set apart by calibration= avoid that."
    )


def with_unsure(predictions: Predictions, threshold: float) -> Predictions:
    """Return predictions of classes whose label is `unsure` where the probability of the predicted class is lower.

    Args:
        predictions: with probabilities.
        threshold: lowest probability of an answered row.

    Raises:
        KzooError: predictions without probabilities of classes, or a class of that name.
    """
    if predictions.separator:
        raise KzooError(
            "is for one class per row, not for labels. Remove it.",
            argument="min_probability",
            value=threshold,
        )
    if predictions.probabilities is None:
        what = "scores that are no probabilities" if predictions.targets == 0 else "numbers"
        raise KzooError(
            f"needs probabilities, and this model predicts {what}. Remove it.",
            argument="min_probability",
            value=threshold,
        )
    if abstention.UNSURE in map(str, predictions.class_names):
        raise KzooError(
            f"A class is named {abstention.UNSURE!r}, the answer for rows below the threshold. Rename the class."
        )
    number = {name: index for index, name in enumerate(predictions.class_names)}
    labels = [
        label if p[number[label]] >= threshold else abstention.UNSURE
        for label, p in zip(
            predictions.labels, np.asarray(predictions.probabilities, np.float64), strict=True
        )
    ]
    return replace(predictions, labels=labels)


def follows_scale(learned: Learned) -> bool:
    """Return whether the widths of a band follow the scale of each series; those of earlier versions do not."""
    return "scale" in (learned if learned["of"] == "values" else learned["pairs"][0])


def _hint(learned: Learned, predictions: Predictions) -> str:
    """Return how the band of forecasts adapts to the series."""
    if len(predictions) == 1:
        return "; a longer table before the forecast adapts the band"
    if follows_scale(learned):
        return "; it follows the size of the errors of each series"
    if predictions.quantiles is None:
        return "; it is as wide for all series, and models with quantiles= have a band for each"
    return ""


def _with_sets(
    learned: Learned,
    rows: str,
    predictions: Predictions,
    options: PredictionOptions,
    ordered: bool,
    band: np.ndarray | None,
) -> Predictions:
    confidence: Any = options.confidence
    check_level(learned, rows, confidence)
    about = f"{short_percent(confidence)} of new rows"
    if learned["of"] == "classes":
        inside, note = class_sets(
            learned, np.asarray(predictions.probabilities), confidence, options.conformal or "lac"
        )
        names = list(predictions.class_names)
        sets = [tuple(names[number] for number in np.flatnonzero(row)) for row in inside]
        if (options.conformal or "lac") != "class":
            about += f", over all classes together{_lowest_class(learned, rows, names, options)}"
        promise = f"The sets contain the class of {about}.{note}"
        return replace(
            predictions, sets=sets, confidence=confidence, promise=promise + _approximate(rows)
        )
    if options.conformal is not None:
        raise _not_for_values("conformal", options.conformal)
    lower, upper = intervals(learned, predictions, confidence, band)
    if band is not None:
        promise = (
            "The band follows the errors of the forecasts before:"
            f" in the long run it covers {short_percent(confidence)}."
        )
    elif ordered:
        promise = (
            f"The band covers {short_percent(confidence)} of the {rows} steps. Errors of forecasts depend on each "
            f"other and change, so that it is approximate{_hint(learned, predictions)}."
        )
        promise += (
            _approximate(rows) if follows_scale(learned) else ""
        )  # those of before stay as they were
    else:
        promise = f"The intervals contain the value of {about}{' for each target' if lower.shape[-1] > 1 else ''}."
        promise += _approximate(rows)
    return replace(predictions, lower=lower, upper=upper, confidence=confidence, promise=promise)


def _lowest_class(
    learned: Learned, rows: str, names: Sequence[Any], options: PredictionOptions
) -> str:
    """Return how often the sets hold the class that they hold least often, if that is well below the level."""
    confidence: Any = options.confidence
    if options.conformal == "raps":  # its scores are not stored by class
        return "; a rare class may have less (conformal='class' promises the level for each class)"
    limit = score_at(learned["lac"], confidence)
    shares = [
        (share_up_to(scores, limit), str(name), scores["count"])
        for scores, name in zip(learned["class"], names, strict=True)
        if scores["count"] >= FEWEST
    ]
    share, name, count = min(shares, default=(1.0, "", 0))
    if share >= confidence - _BELOW:
        return ""
    return (
        f"; of the {plural(count, _ROWS[rows])} of class {name!r}, {percent(share)} (conformal='class' promises the "
        "level for each class)"
    )


def check_level(learned: Learned, rows: str, confidence: float) -> None:
    """Raise `KzooError` if there are too few rows for a level; see `answered`."""
    checked_rank(learned["count"], confidence, _ROWS[rows])


def class_sets(
    learned: Learned, p: np.ndarray, confidence: float, method: str, *, u: "ArrayLike" = 1.0
) -> tuple[np.ndarray, str]:
    """Return which classes are in the set of each row (N, classes), and a note about classes with too few rows.

    Args:
        learned: of classes.
        p: (N, classes) probabilities.
        confidence: the level.
        method: "lac", "raps" or "class".
        u: random numbers of RAPS (see `raps_scores`).
    """
    if method == "raps":
        raps = learned["raps"]
        scores = raps_scores(p, penalty=raps["penalty"], size=raps["size"], u=u)
        return scores <= score_at(raps, confidence), ""
    if method == "lac":
        return lac_scores(p) <= score_at(learned["lac"], confidence), ""
    limits = class_limits(learned, confidence)
    few = int(np.isinf(limits).sum())
    most = max(scores["count"] for scores in learned["class"])
    if few == len(limits):
        raise KzooError(
            f"at confidence={confidence:g} needs at least {rows_needed(confidence)} rows of a class, "
            f"and the largest has {most}. Lower confidence=, use conformal='lac', or train with more rows "
            "(calibration=).",
            argument="conformal",
            value="class",
        )
    note = f" {plural(few, 'class')} with too few rows for this level {'is' if few == 1 else 'are'} in every set."
    return lac_scores(p) <= limits, note if few else ""


def class_limits(learned: Learned, confidence: float) -> np.ndarray:
    """Return the highest score in a set of each class (classes,); infinity for a class with too few rows."""
    return np.array([score_at(scores, confidence) for scores in learned["class"]])


def intervals(
    learned: Learned,
    predictions: Predictions,
    confidence: float,
    band: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the lower and upper ends of intervals, each (N, targets) or (N, horizon, targets).

    Args:
        learned: of values or quantiles.
        predictions: the predictions.
        confidence: the level.
        band: see `answered`; also (N, horizon, targets).
    """
    low, high, pair = ends(learned, predictions, confidence)
    is_forecast = low.ndim == 3
    cells = learned["scores"] if pair is None else pair["scores"]
    # steps (1 of rows), targets
    widths = band
    if widths is None:
        widths = cell_scores_at(cells, confidence)
        if (scale := (learned if pair is None else pair).get("scale")) is not None:
            widths = widths_of_series(scale, widths, predictions)
    if learned["of"] == "values" and not is_forecast:
        spreads = learned["spread"]
        widths = widths * np.stack(
            [spread_at(spread, low[:, i]) for i, spread in enumerate(spreads)], axis=1
        )
    lower = low - widths
    upper = high + widths
    middle = (lower + upper) / 2  # a negative score may cross the ends of an interval of quantiles
    lower, upper = np.minimum(lower, middle), np.maximum(upper, middle)
    if "lowest" in learned:
        lower = np.maximum(lower, learned["lowest"])
        upper = np.maximum(upper, learned["lowest"])
    return lower, upper


def ends(
    learned: Learned, predictions: Predictions, confidence: float
) -> tuple[np.ndarray, np.ndarray, JsonObject | None]:
    """Return the ends of an interval before its correction, and the stored pair of quantiles, or None of values."""
    if learned["of"] == "values":
        values = np.asarray(predictions.values, np.float64)
        return values, values, None
    pair = next(
        (p for p in learned["pairs"] if confidence <= p["confidence"] + 1e-9), learned["pairs"][-1]
    )
    heads = np.asarray(predictions.quantiles, np.float64)
    return heads[..., pair["low"]], heads[..., pair["high"]], pair


def coverage(
    learned: Learned,
    rows: str,
    predictions: Predictions,
    truth: np.ndarray,
    levels: Sequence[float] = LEVELS,
    *,
    ordered: bool = False,
    methods: Sequence[str] = ("lac",),
    moments: np.ndarray | None = None,
) -> list[JsonObject]:
    """Return the coverage of sets or intervals on some rows, a dict for each level that has enough rows.

    Args:
        learned, rows, predictions, ordered: see `answered`.
        truth: see `learn`.
        levels: the levels.
        methods: of sets of classes.
        moments: (N,) number of the first step of forecasts, or None.

    Returns:
        `confidence`, `rows`, `method`, `coverage`, `size` (mean number of classes) or `width` (mean, of each target),
        of classes `classes` (name -> coverage of its rows, of classes that have ten or more), and `expected`, the
        interval that holds the coverage with 90 % probability if the promise holds; of forecasts see `judged`.
    """
    truth = np.asarray(truth)
    results = []
    for level in levels:
        if learned["count"] < level / (1 - level) - 1e-9:
            continue
        expected = None if ordered else list(observed_interval(learned["count"], len(truth), level))
        shared = {"confidence": float(level), "rows": rows, "expected": expected}
        if learned["of"] == "classes":
            for method in methods:
                if method == "class" and np.isinf(class_limits(learned, level)).all():
                    continue
                inside, _ = class_sets(
                    learned, np.asarray(predictions.probabilities), level, method
                )
                covered = inside[np.arange(len(truth)), truth.astype(int)]
                size = float(inside.sum(axis=1).mean())
                of_class = {
                    str(predictions.class_names[number]): float(covered[truth == number].mean())
                    for number in np.flatnonzero(np.bincount(truth.astype(int)) >= FEWEST).tolist()
                }
                result = {
                    "method": method,
                    "coverage": float(covered.mean()),
                    "size": size,
                    "classes": of_class,
                }
                results.append(shared | result)
            continue
        lower, upper = intervals(learned, predictions, level)
        result = shared | interval_coverage(lower, upper, truth)
        if ordered and moments is not None:
            covered = (truth >= lower) & (truth <= upper)
            result |= judged(covered, level, predictions, moments, learned.get("effective"))
        results.append(result)
    return results


def judged(
    covered: np.ndarray,
    level: float,
    predictions: Predictions,
    moments: np.ndarray,
    effective: float | None = None,
) -> JsonObject:
    """Return the range in which a coverage of forecasts is to be expected, also by the size of the series.

    Args:
        covered: (N, horizon, targets) whether each truth is inside the band.
        level: the share that should be.
        predictions: with the names of several series as `inputs`, and their `error_scale`.
        moments: (N,) number of the first step of each forecast.
        effective: see `kzoo.inference.postprocessors.clustered.expected_range`.

    Returns:
        `expected`, a range that holds the coverage with `probability`, 95 %, if the level holds; None if the forecasts
        begin within one horizon. Of ten series or more also `sizes`, for each fifth of the series, those with the
        smallest errors of their own first: `coverage`, `expected` (all five hold together) and `series`, their number.
    """
    codes = series_of(predictions)[0]
    clusters = Clusters.of(codes, moments, covered.shape[1])
    options: Any = dict(level=level, effective=effective)
    expected = expected_range(covered, clusters, **options)
    result: dict[str, Any] = {
        "expected": None if expected is None else list(expected),
        "probability": PROBABILITY,
    }
    scale = predictions.error_scale
    present = np.unique(codes)
    if len(present) < FEWEST_SERIES or scale is None:
        return result
    sums = np.stack([np.bincount(codes, column) for column in np.asarray(scale).T], axis=1)
    size = sums[present] / np.bincount(codes)[present][:, None]
    fifths = np.argsort(np.argsort(size, axis=0, kind="stable"), axis=0) * PARTS // len(present)
    fifth = fifths[np.searchsorted(present, codes)]  # N, targets
    result["sizes"] = []
    for part in range(PARTS):
        rows = np.flatnonzero((fifth == part).any(axis=1))
        # of several targets, a series may be in the fifth by some of them
        own = np.broadcast_to((fifth[rows] == part)[:, None], covered[rows].shape)
        shares = (covered[rows] & own).sum(axis=(1, 2)) / own.sum(axis=(1, 2))
        expected = expected_range(shares, clusters.part(rows), **options, comparisons=PARTS)
        result["sizes"].append(
            {
                "coverage": float(shares.mean()),
                "expected": None if expected is None else list(expected),
                "series": len(np.unique(codes[rows])),
            }
        )
    return result


def interval_coverage(lower: np.ndarray, upper: np.ndarray, truth: np.ndarray) -> JsonObject:
    """Return the `coverage` of intervals, that of each target, and their mean `width`."""
    covered = (truth >= lower) & (truth <= upper)
    axes = tuple(range(lower.ndim - 1))
    of_target = covered.mean(axis=axes).tolist()
    return {
        "coverage": float(covered.mean()),
        "width": (upper - lower).mean(axis=axes).tolist(),
    } | ({"targets": of_target} if len(of_target) > 1 else {})
