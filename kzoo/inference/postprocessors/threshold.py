"""The decision: which class is predicted, by a threshold of the probability of one of two classes, or by least cost.

The threshold is the best one for a score or for costs on validation rows. With its own labels, the best of many
thresholds is partly luck: of a few hundred rows, or dozens of a rare class, the curve is rough and its maximum
accidental. So the curve is that of the expected score, in which each row is positive with its probability, after these
probabilities were recalibrated by two numbers on the validation labels (Platt, 1999; of rows in order,
doi:10.1007/978-3-662-44851-9_15 finds the threshold of F1 likewise). Where the curve is flat, the middle is chosen.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import Predictions, probabilities
from kzoo.inference.tasks.classes import choose as most_probable
from kzoo.inference.tasks.confusion import label_scores
from kzoo.inference.tasks.weighted import effective_rows
from kzoo.problems.objectives import Objective, call_score
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Target, score_named
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, plural

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


STAGE = "decide"
FACTS = frozenset({"classes", "probabilities", "kept"})
FEWEST = 50  # rows of either class: with fewer, the best threshold is accidental
# Scores of labels, from which a threshold can be chosen; those of probabilities do not depend on it.
SCORES = ("accuracy", "balanced_accuracy", "expected_cost", "f1", "f1_positive", "recall@precision")
_FLAT = 1e-3  # thresholds whose score is within this share of the best one are equally good
_DRAWS = 2_000
_TINY = 1e-7


@dataclass(frozen=True, kw_only=True)
class Decision:
    """How probabilities become labels, and what is scored of labels besides.

    Args:
        positive: number of the positive class of two; None if there are more, or none was named.
        threshold: the lowest probability of the positive class with which it is predicted; None for `choose`.
        cost: (classes, classes) cost of each pair (actual, predicted), or None.
        by_cost: whether the class with the least expected cost is predicted.
        objective: the `kzoo.problems.objectives.Objective` that is scored too, or None.
        choose: function of probabilities that returns the predicted class numbers where no rule was learned.
    """

    positive: int | None = None
    threshold: float | None = None
    cost: Any = None
    by_cost: bool = False
    objective: Any = None
    choose: Callable[[np.ndarray], np.ndarray] = most_probable

    @property
    def is_default(self) -> bool:
        """Whether no rule was learned."""
        return self.threshold is None and not self.by_cost

    def numbers(self, p: np.ndarray) -> np.ndarray:
        """Return the predicted class numbers (N,) for probabilities (N, classes)."""
        if self.by_cost:
            return (p @ np.asarray(self.cost, p.dtype)).argmin(axis=-1)
        if self.threshold is None:
            return self.choose(p)
        positive: Any = self.positive
        return np.where(p[:, positive] >= self.threshold, positive, 1 - positive)


def decision(
    learned: "Learned", classes: Sequence[str], objective: str | Objective | None = None
) -> Decision:
    """Return the `Decision` that `learn` has learned.

    Args:
        learned: its return value.
        classes: names of the classes.
        objective: see `Decision`.
    """
    positive = learned.get("positive")
    return Decision(
        positive=None if positive is None else list(classes).index(positive),
        threshold=learned.get("threshold"),
        cost=learned.get("cost"),
        by_cost=learned["rule"] == "cost",
        objective=objective,
    )


def learn(
    outputs: np.ndarray,
    truth: np.ndarray,
    *,
    target: Target,
    logits: bool,
    settings: TrainingSettings,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return the rule: a threshold, or costs.

    Args:
        settings: training settings, with `positive` (name of a class), `cost` (matrix) and `decision` (the `Objective`
            or its name).
        weight: (N,) sample weights, or None.
    """
    p = probabilities(outputs, logits)
    cost = settings.get("cost")
    name = _objective(settings["decision"])
    cost = None if cost is None else [list(map(float, row)) for row in cost]
    if p.shape[1] > 2:
        return dict(rule="cost", cost=cost, objective=str(name))
    positive = list(target.classes).index(settings["positive"])
    counts = [int((truth == number).sum()) for number in (positive, 1 - positive)]
    learned: JsonObject = dict(
        rule="threshold",
        positive=settings["positive"],
        threshold=0.5,
        objective=str(name),
        cost=cost,
        positives=counts[0],
        negatives=counts[1],
    )
    if min(counts) < FEWEST:
        if (
            cost is not None and str(name) == "expected_cost"
        ):  # the costs alone determine it, if probabilities are right
            learned["threshold"] = _threshold_of_costs(cost, positive)
        return learned | dict(few=True)
    score = p[:, positive].astype("float64")
    threshold = best_threshold(
        score, truth == positive, name, positive=positive, cost=cost, weight=weight
    )
    if threshold is None:
        return learned | dict(unreached=True)
    gain = gain_over_default(
        score, truth, threshold, name, positive=positive, cost=cost, weight=weight
    )
    return learned | dict(threshold=threshold, **gain)


def _objective(name: str | Objective) -> Objective:
    """Return the objective of a stored name, or itself.

    Raises:
        KzooError: it is the name of a user's function.
    """
    if isinstance(name, Objective):
        return name
    score = score_named(name)
    if score is None:
        raise KzooError(
            "is a function, of which only the name is stored. Set decision='f1'.",
            argument="decision",
            value=name,
        )
    best: Any = score.best
    return Objective(name, best=best)


def _threshold_of_costs(cost: Sequence[Sequence[float]], positive: int) -> float:
    missed = cost[positive][1 - positive]
    false_alarm = cost[1 - positive][positive]
    return false_alarm / (missed + false_alarm)


def best_threshold(
    score: np.ndarray,
    is_positive: np.ndarray,
    name: Objective,
    *,
    positive: int = 1,
    cost: Sequence[Sequence[float]] | None = None,
    weight: np.ndarray | None = None,
) -> float | None:
    """Return the threshold of the best expected score; None if none reaches the precision of recall@precision.

    Args:
        score: (N,) probabilities of the positive class.
        is_positive: (N,) booleans.
        name: the `Objective`, whose `score` is one of `SCORES`, or that has a function of labels.
        positive: number of the positive class.
        cost: (2, 2) cost of each pair, for "expected_cost".
        weight: (N,) sample weights, or None.
    """
    is_weighted = weight is not None
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, "float64")
    order = np.argsort(score, kind="stable")
    score, is_positive, weight = score[order], is_positive[order], weight[order]
    # The number of rows below each threshold; first and last, those that predict a single class.
    edges = np.concatenate([[0], np.flatnonzero(score[1:] > score[:-1]) + 1, [len(score)]])
    padded = np.concatenate([[0], score, [1]])
    thresholds = (padded[edges] + padded[edges + 1]) / 2
    if name.function is not None:
        curve = _curve_of_function(
            name, is_positive.astype(int), edges, weight if is_weighted else None
        )
    else:
        curve = _curve(
            name,
            recalibrated(score, is_positive, weight),
            weight,
            edges,
            positive=positive,
            cost=cost,
        )
        if name.level is not None and not curve.max() > 0:
            return None
    curve = curve if name.best == "max" else -curve
    best = int(curve.argmax())
    flat = curve >= curve[best] - _FLAT * max(abs(curve[best]), _TINY)
    if name.level is not None:  # below the level, precision falls short: the middle is not as good
        return float(thresholds[best])
    low = (
        best
        - int((~flat[: best + 1][::-1]).argmax() if not flat[: best + 1].all() else best + 1)
        + 1
    )
    high = best + int((~flat[best:]).argmax() if not flat[best:].all() else len(flat) - best) - 1
    middle = _logit(thresholds[[low, high]]).mean()
    return float(_sigmoid(middle))


def _curve(
    name: Objective,
    p: np.ndarray,
    weight: np.ndarray,
    edges: np.ndarray,
    *,
    positive: int,
    cost: Sequence[Sequence[float]] | None,
) -> np.ndarray:
    """Return the score (M,) if rows below each of M edges are predicted as negative."""
    # (negative, positive), N
    parts = np.stack([weight * (1 - p), weight * p])
    start = np.zeros((2, 1))
    below = np.concatenate([start, np.cumsum(parts, axis=1)], axis=1)[:, edges]
    # Not the total minus those below: rounding would leave fractions of a row above the last edge.
    above = np.concatenate([start, np.cumsum(parts[:, ::-1], axis=1)], axis=1)[:, len(p) - edges]
    counts = np.stack([below, above], axis=-1).transpose(1, 0, 2)  # M, actual, predicted
    if positive == 0:
        counts = counts[:, ::-1, ::-1]
    return label_scores(counts, positive=positive, cost=cost, level=name.level)[name.score]


def _curve_of_function(
    name: Objective, truth: np.ndarray, edges: np.ndarray, weight: np.ndarray | None
) -> np.ndarray:
    """Return the same of a user's function, at no more than 200 edges; between them it is that of the next one."""
    chosen = np.unique(np.linspace(0, len(edges) - 1, 200).round().astype(int))
    rows = np.arange(len(truth))
    values = np.array(
        [call_score(name, truth, (rows >= edges[i]).astype(int), weight) for i in chosen]
    )
    return values[np.searchsorted(chosen, np.arange(len(edges)))]


def recalibrated(score: np.ndarray, is_positive: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Return probabilities (N,) whose logit is a line in that of the score, fitted to the labels.

    See `line_of_logits`.
    """
    intercept, slope = line_of_logits(_logit(score), is_positive, weight)
    return _sigmoid(intercept + slope * _logit(score))


def line_of_logits(
    z: np.ndarray, is_positive: np.ndarray, weight: np.ndarray
) -> tuple[float, float]:
    """Return intercept and slope, above 0, of the line in logits (N,) that fits the labels best.

    The line is drawn to the identity with the weight of one row, so that labels that it separates do not make it steep.
    """
    x, signs = np.stack([np.ones(len(z)), z]), np.where(is_positive, 1.0, -1.0)
    line = start = np.array([0.0, 1.0])

    def loss(line: np.ndarray) -> float:
        return (weight * np.logaddexp(0, -signs * (line @ x))).sum() + (
            (line - start) ** 2
        ).sum() / 2

    # Newton's method on a convex loss; halved steps where a whole one overshoots
    for _ in range(50):
        p = _sigmoid(line @ x)
        gradient = x @ (weight * (p - is_positive)) + (line - start)
        step = np.linalg.solve((x * (weight * p * (1 - p))) @ x.T + np.eye(2), gradient)
        size = next(
            (size for size in 0.5 ** np.arange(30) if loss(line - size * step) < loss(line)), 0.0
        )
        line = line - size * step
        if np.abs(size * step).max() < 1e-9:
            break
    return float(line[0]), max(float(line[1]), _TINY)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-np.clip(z, -30, 30)))


def _logit(p: np.ndarray) -> np.ndarray:
    p = np.clip(p, _TINY, 1 - _TINY)
    return np.log(p / (1 - p))


def gain_over_default(
    score: np.ndarray,
    truth: np.ndarray,
    threshold: float,
    name: Objective,
    *,
    positive: int,
    cost: Sequence[Sequence[float]] | None = None,
    weight: np.ndarray | None = None,
) -> JsonObject:
    """Return the score of a threshold and of 0.5 on some rows, and the 90 % bootstrap interval of the gain.

    Args:
        score: (N,) probabilities of the positive class.
        truth: (N,) class numbers.
        threshold: the threshold.
        name, positive, cost, weight: see `best_threshold`.

    Returns:
        `score`, `score_default` and `gain`, above 0 where the threshold is better; empty for a user's function.
    """
    if name.function is not None:
        return {}
    guesses = [np.where(score >= edge, positive, 1 - positive) for edge in (threshold, 0.5)]
    pairs = np.bincount(4 * truth + 2 * guesses[0] + guesses[1], weight, minlength=8).astype(
        "float64"
    )
    rows = len(truth) if weight is None else effective_rows(np.asarray(weight))
    draws = np.random.default_rng(0).multinomial(int(rows), pairs / pairs.sum(), _DRAWS)
    values = []
    for part in (pairs[None], draws):
        table = part.reshape(-1, 2, 2, 2).astype("float64")  # actual, by the threshold, by 0.5
        both = (
            label_scores(counts, positive=positive, cost=cost, level=name.level)[name.score]
            for counts in (table.sum(axis=3), table.sum(axis=2))
        )
        values.append(list(both))
    gain = (values[1][0] - values[1][1]) * (1 if name.best == "max" else -1)
    return dict(
        score=float(values[0][0][0]),
        score_default=float(values[0][1][0]),
        gain=[float(edge) for edge in np.quantile(gain, [0.05, 0.95])],
    )


def apply(learned: "Learned", predictions: Predictions) -> Predictions:
    """Return predictions with the labels that the rule decides on."""
    if predictions.probabilities is None or not len(predictions.probabilities):
        return predictions
    numbers = decision(learned, predictions.class_names).numbers(
        np.asarray(predictions.probabilities)
    )
    return replace(
        predictions, labels=[predictions.class_names[index] for index in numbers.tolist()]
    )


def describe(learned: "Learned") -> list[str]:
    """Return a line about the rule."""
    if learned["rule"] == "cost":
        return ["The class with the least expected cost is predicted."]
    positive = learned["positive"]
    threshold = learned["threshold"]
    name = learned["objective"]
    rule = f"The class {positive!r} is predicted from a probability of {threshold:.3g}"
    if learned.get("few"):
        fewer = "positives" if learned["positives"] <= learned["negatives"] else "negatives"
        why = f"{plural(learned[fewer], 'validation row')} of {'it' if fewer == 'positives' else 'the other class'}"
        follows = " (what follows from the costs)" if name == "expected_cost" else ""
        return [f"{rule}{follows}: {why} are too few to learn a threshold from; it takes {FEWEST}."]
    if learned.get("unreached"):
        return [f"{rule}: no threshold reaches the precision of {name} on the validation rows."]
    rule += f", chosen for {name} on validation rows"
    if "gain" not in learned:
        return [f"{rule}."]
    rule += f" ({number(learned['score'])}; with 0.5: {number(learned['score_default'])})"
    low, high = learned["gain"]
    if low <= 0 <= high:
        return [f"{rule}. On these rows it cannot be told from 0.5."]
    return [f"{rule}."]
