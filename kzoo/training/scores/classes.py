"""Scores of classes, computed by NumPy from the outputs, not by Keras' metrics.

SciPy also has the interval and the ranks, but takes half a second to import, as long as everything else at the end of a
small training. The tests compare both with its results.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import probabilities, scores_of
from kzoo.inference.tasks.confusion import PER, confusion, cost_interval, label_scores
from kzoo.inference.tasks.weighted import effective_rows
from kzoo.inference.tasks.wilson import wilson
from kzoo.problems.objectives import Objective, call_score
from kzoo.problems.stored_types import Scores
from kzoo.problems.tasks import Headline, Judged, Pairs, Scored, Target
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number, percent, plural

if TYPE_CHECKING:
    from kzoo.inference.postprocessors.threshold import Decision


_RANKED_AT_ONCE = 2**22  # scores that are ranked at once
_RARE = 0.1  # of two classes, one with a share below this is rare: accuracy says little about it
_Z = 1.959963984540054  # 97.5 % quantile of the normal distribution


def score(
    batches: Pairs,
    target: Target,
    *,
    logits: bool | None = None,
    weight: np.ndarray | None = None,
    decision: "Decision | None" = None,
) -> Scored:
    """Return the scores of predictions.

    Args:
        batches: pairs (outputs, truth): (B, classes) or (B, 1), and class numbers (B,).
        target: the `Target`; `majority` is the accuracy of always predicting its `common` class, or the most frequent
            class of these examples if that is unknown.
        logits: True if outputs are logits, False if they are probabilities, None if they are other scores; then there
            is no log loss.
        weight: (N,) sample weights; None: all examples have the same weight. The interval is that of Kish's effective
            sample size.
        decision: the `kzoo.inference.postprocessors.threshold.Decision` that labels follow, with the classes, costs and
            objective that are scored too; None: the most probable class is predicted, and nothing else is scored.

    Raises:
        KzooError: labels outside the classes of the model.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    p = scores_of(outputs) if logits is None else probabilities(outputs, logits)
    if truth.min() < 0 or truth.max() >= p.shape[1]:
        raise KzooError(
            f"Labels range from {truth.min()} to {truth.max()}, but the model has {p.shape[1]} classes."
        )
    guess = p.argmax(-1) if decision is None else decision.numbers(p)
    n = len(truth)
    right: float = int((guess == truth).sum())
    effective_n: float = n
    if weight is not None:
        effective_n = effective_rows(weight)
        right = effective_n * float(np.average(guess == truth, weights=weight))
    present = np.unique(truth)
    most_frequent = getattr(target, "common", None)
    auc = None
    if len(present) == p.shape[1]:
        scored_classes = np.array([1]) if p.shape[1] == 2 else present
        class_groups = np.array_split(
            scored_classes, min(len(scored_classes), 1 + p.size // _RANKED_AT_ONCE)
        )
        auc = float(
            np.concatenate([_areas(truth, p, classes, weight) for classes in class_groups]).mean()
        )
    scores = dict(
        accuracy=right / effective_n,
        accuracy_interval=list(wilson(right, effective_n)),
        **_rare_class_scores(truth, p, weight),
        f1=_f1(truth, guess, weight),
        auc=auc,
        loss=None
        if logits is None
        else _mean(-np.log(np.clip(p[np.arange(n), truth], 1e-7, 1)), weight),
        majority=_mean(
            truth == (_counts(truth, weight).argmax() if most_frequent is None else most_frequent),
            weight,
        ),
    )
    if decision is not None:  # the average precision of an objective replaces that of a rare class
        scores |= _decision_scores(truth, p, guess, decision, weight)
    scores["examples"] = n
    return Scored(scores=scores, truth=truth, answers=p)


def _mean(values: np.ndarray, weight: np.ndarray | None) -> float:
    return float(values.mean() if weight is None else np.average(values, weights=weight))


def _decision_scores(
    truth: np.ndarray,
    p: np.ndarray,
    guess: np.ndarray,
    decision: "Decision",
    weight: np.ndarray | None,
) -> JsonObject:
    """Return the scores that a decision adds, those of the most probable class beside them, and its cost."""
    names = ["balanced_accuracy"]
    objective = decision.objective
    names += (
        []
        if decision.positive is None
        else ["f1_positive", "precision_positive", "recall_positive"]
    )
    names += [] if decision.cost is None else ["expected_cost"]
    options = dict(positive=decision.positive, cost=decision.cost)
    tables = [
        confusion(truth, labels, p.shape[1], weight) for labels in (guess, decision.choose(p))
    ]
    scores, default = (label_scores(table, **options) for table in tables)
    added: dict = {name: float(scores[name]) for name in names}
    if decision.cost is not None:
        rows = len(truth) if weight is None else effective_rows(weight)
        effective = tables[0] * rows / tables[0].sum()
        added["expected_cost_interval"] = list(cost_interval(effective, decision.cost))
    if not decision.is_default:
        added |= {f"{name}_default": float(default[name]) for name in ("accuracy", "f1", *names)}
    if objective is None or objective in added:
        return added
    if objective == "average_precision":
        return added | dict(
            average_precision=_mean_average_precision(truth, p, decision.positive, weight)
        )
    if objective.function is not None:
        return added | {
            str(objective): custom_score(objective, truth, p, guess, decision.positive, weight)
        }
    if objective.level is not None and decision.positive is not None:
        positive = truth == decision.positive
        added[str(objective)] = recall_at_precision(
            positive, p[:, decision.positive], objective.level, weight
        )
    return added


def _mean_average_precision(
    truth: np.ndarray, p: np.ndarray, positive: int | None, weight: np.ndarray | None
) -> float | None:
    """Return the average precision of the positive, else the rarer, of two classes; of more, the mean of all."""
    if np.isnan(p).any():
        return None
    classes: Any = np.unique(truth)
    if p.shape[1] == 2:
        classes = [int(_mean(truth == 1, weight) < 0.5) if positive is None else positive]
    values = [
        average_precision(truth == number, p[:, number], weight)
        for number in classes
        if (truth == number).any()
    ]
    return float(np.mean(values)) if values else None


def custom_score(
    objective: Objective,
    truth: np.ndarray,
    p: np.ndarray,
    guess: np.ndarray,
    positive: int | None = None,
    weight: np.ndarray | None = None,
) -> float:
    """Return the value of a user's function (see `kzoo.problems.objectives.objective`).

    Raises:
        KzooError: it raises an error, or does not return a number.
    """
    if p.shape[1] == 2:
        positive = 1 if positive is None else positive
        truth = (truth == positive).astype(int)
        guess = (guess == positive).astype(int)
        p = p[:, positive]
    return call_score(
        objective, truth, p if objective.response_method == "predict_proba" else guess, weight
    )


def recall_at_precision(
    positive: np.ndarray, scores: np.ndarray, level: float, weight: np.ndarray | None = None
) -> float:
    """Return the largest recall of any threshold whose precision is at least `level`; 0 if there is none.

    Args:
        positive, scores, weight: see `average_precision`.
    """
    right, named = _cumulated(positive, scores, weight)
    reached = right >= level * named
    return float(right[reached].max() / right[-1]) if reached.any() and right[-1] > 0 else 0.0


def _counts(numbers: np.ndarray, weight: np.ndarray | None, size: int = 0) -> np.ndarray:
    """Return the number of rows of each class number, or the sum of their weights."""
    return np.bincount(numbers, weight, minlength=size)


def _rare_class_scores(
    truth: np.ndarray, p: np.ndarray, weight: np.ndarray | None
) -> dict[str, float]:
    """Return the average precision of the rarer of two classes if it is rare, else an empty dict."""
    if p.shape[1] != 2:
        return {}
    rarer = int(_mean(truth == 1, weight) < 0.5)
    positive = truth == rarer
    if not 0 < _mean(positive, weight) < _RARE or np.isnan(p).any():
        return {}
    return dict(average_precision=average_precision(positive, p[:, rarer], weight))


def average_precision(
    positive: np.ndarray, scores: np.ndarray, weight: np.ndarray | None = None
) -> float:
    """Return the mean precision at the scores of the positive rows (doi:10.1145/1143844.1143874).

    Args:
        positive: (N,) booleans, at least one of them true.
        scores: (N,) which should be higher for the positive rows; ties are counted together.
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    right, named = _cumulated(positive, scores, weight)
    precision = right / np.where(named > 0, named, 1)
    return float((np.diff(right, prepend=0) * precision).sum() / right[-1])


def _cumulated(
    positive: np.ndarray, scores: np.ndarray, weight: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of the positive rows, and of all rows, with at least each distinct score, highest first."""
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    weight = np.ones(len(scores)) if weight is None else weight[order].astype("float64")
    # of each run of ties
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)
    right, named = (np.cumsum(part)[last] for part in (weight * positive, weight))
    return right, named


def _f1(truth: np.ndarray, guess: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Return the mean F1 of all classes that occur, like scikit-learn's macro average, in a tenth of its time."""
    size = max(truth.max(), guess.max()) + 1
    hits = truth == guess
    named = _counts(truth, weight, size) + _counts(guess, weight, size)
    right = _counts(truth[hits], None if weight is None else weight[hits], size)
    return float((2 * right[named > 0] / named[named > 0]).mean())


def _areas(
    truth: np.ndarray, p: np.ndarray, classes: np.ndarray, weight: np.ndarray | None = None
) -> np.ndarray:
    """Return the area under the ROC curve of each class against the others, (classes,).

    It is computed from ranks (doi:10.1148/radiology.143.1.7063747), so only the order of scores matters, and ties count
    half. scikit-learn needs a call per class, and its own mean over classes requires rows that sum to 1.

    Raises:
        ValueError: a score is NaN.
    """
    if weight is not None:
        return np.array(
            [_weighted_area(truth == number, p[:, number], weight) for number in classes]
        )
    of_class = truth[:, None] == classes
    count = of_class.sum(axis=0)
    n = len(truth)
    ranks = np.stack([_ranks(p[:, number]) for number in classes], axis=1)
    return ((ranks * of_class).sum(axis=0) - count * (count + 1) / 2) / (count * (n - count))


def _weighted_area(positive: np.ndarray, scores: np.ndarray, weight: np.ndarray | None) -> float:
    """Return the weighted area under the ROC curve: the probability that a positive row has the higher score.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError("A score is nan, so it has no rank.")
    _, rank = np.unique(scores, return_inverse=True)
    of_positive, of_negative = (np.bincount(rank, weight * mask) for mask in (positive, ~positive))
    below = np.cumsum(of_negative) - of_negative
    return float(
        (of_positive * (below + of_negative / 2)).sum() / (of_positive.sum() * of_negative.sum())
    )


def _ranks(scores: np.ndarray) -> np.ndarray:
    """Return the rank of each score, from 1; ties get their mean rank.

    Raises:
        ValueError: a score is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError("A score is nan, so it has no rank.")
    order = np.argsort(scores)
    ordered = scores[order]
    is_start = np.append(True, ordered[1:] != ordered[:-1])
    edges = np.append(np.flatnonzero(is_start), len(scores))  # of runs of ties
    run = np.cumsum(is_start)
    ranks = np.empty(len(scores))
    ranks[order] = (edges[run - 1] + edges[run] + 1) / 2
    return ranks


def judge(
    truth: np.ndarray,
    answers: np.ndarray,
    target: Target,
    *,
    metric: str | None = None,
    decision: "Decision | None" = None,
) -> Judged:
    """Return per-example errors: the probability or score of the true class, and whether the prediction is correct.

    Args:
        metric: "expected_cost" returns the cost of each row, per 1,000 rows, as its error.
        decision: see `score`.
    """
    guess = answers.argmax(-1) if decision is None else decision.numbers(answers)
    if metric == "expected_cost" and decision is not None and decision.cost is not None:
        error = PER * np.asarray(decision.cost, np.float64)[truth, guess]
        return Judged(quality=-error, error=error, of=metric)
    return Judged(quality=answers[np.arange(len(truth)), truth], right=guess == truth)


def headline(
    scores: Scores,
    target: Target,
    *,
    split: str,
    answers: Mapping[str, np.ndarray] | None = None,
    outputs: int | None = None,
) -> Headline:
    """Return the accuracy with its interval, and a sentence that compares it with predicting the most frequent class.

    If one of two classes is rare, it is the average precision, compared with chance level.

    Args:
        scores: of one split.
        split: a word before "examples", such as "test ".
        answers: `truth` and `answers`, if they were kept; not used here.
        outputs: of the network; not used here.
    """
    n = scores["examples"]
    accuracy = scores["accuracy"]
    majority = scores["majority"]
    low, high = scores["accuracy_interval"]
    of_examples = " of these examples" if target.common is None else ""
    sentence = (
        f"It predicts {number(round(accuracy * n))} of {plural(n, f'{split}example')} correctly; always predicting the "
        f"most frequent class{of_examples} is correct for {number(round(majority * n))} ({percent(majority)})."
    )
    if (precision := scores.get("average_precision")) is not None:
        chance = _share_of_rare(scores)
        return dict(
            value=f"{precision:.4f}",
            label=f"average precision on {plural(n, f'{split}example')}",
            interval=None,
            scale=None,
            sentence=f"The chance level of average precision is {chance:.4f}. {sentence}",
            useless="Its average precision is not above chance level: it may have learned nothing."
            if precision <= chance
            else None,
        )
    return dict(
        value=percent(accuracy),
        label=f"accuracy on {plural(n, f'{split}example')}",
        interval=[percent(low), percent(high)],
        scale=dict(low=100 * low, high=100 * high, score=100 * accuracy, baseline=100 * majority),
        sentence=sentence,
        useless=f"The interval is not above the share of the most frequent class{of_examples}: it may have learned "
        "nothing."
        if low <= majority
        else None,
    )


def doubts(scores: Scores) -> list[str]:
    """Return a warning if one of two classes is rare: accuracy says little, and 0.5 may be a poor threshold."""
    if scores.get("average_precision") is None or "accuracy_default" in scores:
        return []
    share = _share_of_rare(scores)
    return [
        f"Only {percent(share)} of these examples belong to the rarer class, so accuracy says little about it: compare "
        f"average precision (chance level: {share:.2g}). Labels use a probability threshold of 0.5; decision='f1' or "
        "cost= learns another one."
    ]


def _share_of_rare(scores: Scores) -> float:
    return min(scores["majority"], 1 - scores["majority"])
