"""Scores of classes, by NumPy from the answers, not by Keras' metrics.

SciPy has the interval and the ranks, too, and takes half a second to import: as long as all else at the end of a small
training. The tests hold both to its answers.
"""

import math

import numpy as np

from kzoo.predictions import probabilities, scores_of
from kzoo.tasks import Judged, Scored
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import number, percent, plural

_AT_A_TIME = 2**22  # scores that are ranked
_RARE = 0.1  # share of one of two classes, below which accuracy says little
_Z = 1.959963984540054  # of a normal distribution, 95 % lie between this and its opposite


def score(batches, target, *, logits=None, weight=None) -> Scored:
    """Score answers.

    Args:
        batches: pairs (outputs, truth): (B, classes) or (B, 1), and class numbers (B,).
        target: the `Target`; `majority` is what naming its `common` class gets, or that of these examples.
        logits: whether outputs are logits, or else probabilities; None: neither, and then there is no log loss.
        weight: (N,) how much each example counts; None where all count alike. The interval is that of as many equal
            examples as the weights are worth (Kish's effective sample size).

    Raises:
        KzooError: labels outside the classes that the network answers.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    p = scores_of(outputs) if logits is None else probabilities(outputs, logits)
    if truth.min() < 0 or truth.max() >= p.shape[1]:
        raise KzooError(f"The labels run from {truth.min()} to {truth.max()}, and the model has {p.shape[1]} classes.")
    guess, n = p.argmax(-1), len(truth)
    right, worth = int((guess == truth).sum()), n
    if weight is not None:
        worth = weight.sum(dtype="float64") ** 2 / (weight.astype("float64") ** 2).sum()
        right = worth * float(np.average(guess == truth, weights=weight))
    present, common = np.unique(truth), getattr(target, "common", None)
    auc = None
    if len(present) == p.shape[1]:
        drawn = np.array([1]) if p.shape[1] == 2 else present
        some = np.array_split(drawn, min(len(drawn), 1 + p.size // _AT_A_TIME))
        auc = float(np.concatenate([_areas(truth, p, classes, weight) for classes in some]).mean())
    scores = dict(
        accuracy=right / worth,
        accuracy_interval=list(wilson(right, worth)),
        **_of_rare_class(truth, p, weight),
        f1=_f1(truth, guess, weight),
        auc=auc,
        loss=None if logits is None else _mean(-np.log(np.clip(p[np.arange(n), truth], 1e-7, 1)), weight),
        majority=_mean(truth == (_counts(truth, weight).argmax() if common is None else common), weight),
        examples=n,
    )
    return Scored(scores=scores, truth=truth, answers=p)


def _mean(values, weight) -> float:
    return float(values.mean() if weight is None else np.average(values, weights=weight))


def _counts(numbers, weight, size=0) -> np.ndarray:
    """Return how many rows each number has, or their weights."""
    return np.bincount(numbers, weight, minlength=size)


def _of_rare_class(truth, p, weight) -> dict:
    """Return the average precision of the rarer of two classes where it is rare; nothing of other data."""
    if p.shape[1] != 2:
        return {}
    rarer = int(_mean(truth == 1, weight) < 0.5)
    positive = truth == rarer
    if not 0 < _mean(positive, weight) < _RARE or np.isnan(p).any():
        return {}
    return dict(average_precision=average_precision(positive, p[:, rarer], weight))


def average_precision(positive, scores, weight=None) -> float:
    """Return the mean precision over the positive rows, at the score of each (doi:10.1145/1143844.1143874).

    Args:
        positive: (N,) booleans, of which one is true at least.
        scores: (N,) of which the positive rows should have the higher ones; equals are taken together.
        weight: (N,) how much each row counts; None where all count alike.
    """
    order = np.argsort(-scores, kind="stable")
    positive, scores = positive[order], scores[order]
    weight = np.ones(len(scores)) if weight is None else weight[order].astype("float64")
    last = np.append(np.flatnonzero(scores[1:] != scores[:-1]), len(scores) - 1)  # of each run of equals
    right, named = (np.cumsum(part)[last] for part in (weight * positive, weight))
    precision = right / np.where(named > 0, named, 1)
    return float((np.diff(right, prepend=0) * precision).sum() / right[-1])


def _f1(truth, guess, weight=None) -> float:
    """Return the mean F1 of all classes that occur, as scikit-learn's macro average: a tenth of its time."""
    size, hits = max(truth.max(), guess.max()) + 1, truth == guess
    named = _counts(truth, weight, size) + _counts(guess, weight, size)
    right = _counts(truth[hits], None if weight is None else weight[hits], size)
    return float((2 * right[named > 0] / named[named > 0]).mean())


def _areas(truth, p, classes, weight=None) -> np.ndarray:
    """Return the area under the ROC curve of each class against the others, (classes,).

    That is a sum of ranks (doi:10.1148/radiology.143.1.7063747): only the order of scores counts, and ties count half.
    scikit-learn takes a call for each class, and its own mean over them wants rows that sum to 1.

    Raises:
        ValueError: a score is not a number.
    """
    if weight is not None:
        return np.array([_weighted_area(truth == one, p[:, one], weight) for one in classes])
    of_class = truth[:, None] == classes
    count, n = of_class.sum(axis=0), len(truth)
    ranks = np.stack([_ranks(p[:, one]) for one in classes], axis=1)
    return ((ranks * of_class).sum(axis=0) - count * (count + 1) / 2) / (count * (n - count))


def _weighted_area(positive, scores, weight) -> float:
    """Return the area under the ROC curve of rows that do not count alike: the chance that a positive one is higher.

    Raises:
        ValueError: a score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("A score is nan, and has no rank.")
    _, place = np.unique(scores, return_inverse=True)
    of_positive, of_negative = (np.bincount(place, weight * which) for which in (positive, ~positive))
    below = np.cumsum(of_negative) - of_negative
    return float((of_positive * (below + of_negative / 2)).sum() / (of_positive.sum() * of_negative.sum()))


def _ranks(scores) -> np.ndarray:
    """Return the place of each score among all, from 1; equals have the mean of theirs.

    Raises:
        ValueError: a score is not a number.
    """
    if np.isnan(scores).any():
        raise ValueError("A score is nan, and has no rank.")
    order = np.argsort(scores)
    ordered = scores[order]
    begins = np.append(True, ordered[1:] != ordered[:-1])
    edges = np.append(np.flatnonzero(begins), len(scores))  # of runs of equals
    run, ranks = np.cumsum(begins), np.empty(len(scores))
    ranks[order] = (edges[run - 1] + edges[run] + 1) / 2
    return ranks


def wilson(right, n) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share, `right` of `n` (doi:10.1080/01621459.1927.10502953)."""
    share, twice = right / n, 2 * (n + _Z**2)
    center, reach = (2 * right + _Z**2) / twice, _Z * math.sqrt(4 * right * (1 - share) + _Z**2) / twice
    return 0.0 if right == 0 else center - reach, 1.0 if right == n else center + reach


def judge(truth, answers, target, *, metric=None) -> Judged:
    """Say of each row how good its answer is: the probability or score of the truth; and whether it is right."""
    return Judged(quality=answers[np.arange(len(truth)), truth], right=answers.argmax(-1) == truth)


def headline(scores, target, *, split, answers=None, outputs=None) -> dict:
    """Return the accuracy with its interval, and a sentence beside what the most frequent class gets.

    Of a rare class it is the average precision, beside that of chance.

    Args:
        scores: of one split.
        split: "test " or another word before "examples".
        answers: `truth` and `answers`, where they were kept; not needed here.
        outputs: of the network; not needed here.
    """
    n, accuracy, majority = scores["examples"], scores["accuracy"], scores["majority"]
    low, high = scores["accuracy_interval"]
    here = " of these examples" if target.common is None else ""
    sentence = (
        f"It answers {number(round(accuracy * n))} of {plural(n, f'{split}example')} correctly; always naming "
        f"the most frequent class{here} would get {number(round(majority * n))} right ({percent(majority)})."
    )
    if (precision := scores.get("average_precision")) is not None:
        chance = _share_of_rare(scores)
        return dict(
            value=f"{precision:.4f}",
            label=f"average precision on {plural(n, f'{split}example')}",
            interval=None,
            scale=None,
            sentence=f"Chance has an average precision of {chance:.4f}. {sentence}",
            useless="Its average precision is that of chance: it may have learned nothing."
            if precision <= chance
            else None,
        )
    return dict(
        value=percent(accuracy),
        label=f"accuracy on {plural(n, f'{split}example')}",
        interval=[percent(low), percent(high)],
        scale=dict(low=100 * low, high=100 * high, score=100 * accuracy, baseline=100 * majority),
        sentence=sentence,
        useless=f"The interval reaches down to what the most frequent class{here} gets: it may have learned nothing."
        if low <= majority
        else None,
    )


def doubts(scores) -> list[str]:
    """Return a sentence where one of two classes is rare: what accuracy does not show, and what decides a label."""
    if scores.get("average_precision") is None:
        return []
    share = _share_of_rare(scores)
    return [
        f"{percent(share)} of these examples have the rarer class, and accuracy says little of it: compare average "
        f"precision (of chance: {share:.2g}). A label is decided at a probability of 0.5; another threshold is applied "
        "to the probabilities."
    ]


def _share_of_rare(scores):
    return min(scores["majority"], 1 - scores["majority"])
