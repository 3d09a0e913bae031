"""Scores of classes, by scikit-learn and NumPy from the answers, not by Keras' metrics."""

import numpy as np
from scipy.stats import binomtest
from sklearn import metrics as sk

from kzoo.errors import KzooError
from kzoo.predictions import probabilities, scores_of
from kzoo.tasks import Judged, Scored
from kzoo.words import number, percent, plural


def score(batches, target, *, logits=None) -> Scored:
    """Score answers.

    Args:
        batches: pairs (outputs, truth): (B, classes) or (B, 1), and class numbers (B,).
        target: the `Target`.
        logits: whether outputs are logits, or else probabilities; None: neither, and then there is no log loss.

    Raises:
        KzooError: labels outside the classes that the network answers.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    p = scores_of(outputs) if logits is None else probabilities(outputs, logits)
    if truth.min() < 0 or truth.max() >= p.shape[1]:
        raise KzooError(f"The labels run from {truth.min()} to {truth.max()}, and the model has {p.shape[1]} classes.")
    guess, n = p.argmax(-1), len(truth)
    right = int((guess == truth).sum())
    present = np.unique(truth)
    auc = None
    if len(present) == p.shape[1]:
        # Of scores only the order counts; scikit-learn's own mean over the classes wants rows that sum to 1.
        drawn = [1] if p.shape[1] == 2 else present
        auc = float(np.mean([sk.roc_auc_score(truth == c, p[:, c]) for c in drawn]))
    scores = dict(
        accuracy=right / n,
        accuracy_interval=list(wilson(right, n)),
        f1=float(sk.f1_score(truth, guess, average="macro", zero_division=0)),
        auc=auc,
        loss=None if logits is None else float(-np.log(np.clip(p[np.arange(n), truth], 1e-7, 1)).mean()),
        majority=float(np.bincount(truth).max() / n),
        examples=n,
    )
    return Scored(scores=scores, truth=truth, answers=p)


def wilson(right, n) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a share, `right` of `n` (doi:10.1080/01621459.1927.10502953)."""
    low, high = binomtest(right, n).proportion_ci(method="wilson")
    return float(low), float(high)


def judge(truth, answers, target, *, metric=None) -> Judged:
    """Say of each row how good its answer is: the probability or score of the truth; and whether it is right."""
    return Judged(quality=answers[np.arange(len(truth)), truth], right=answers.argmax(-1) == truth)


def headline(scores, target, *, split, answers=None, outputs=None) -> dict:
    """Return the accuracy with its interval, and a sentence beside what the most frequent class gets.

    Args:
        scores: of one split.
        split: "test " or another word before "examples".
        answers: `truth` and `answers`, where they were kept; not needed here.
        outputs: of the network; not needed here.
    """
    n, accuracy, majority = scores["examples"], scores["accuracy"], scores["majority"]
    low, high = scores["accuracy_interval"]
    return dict(
        value=percent(accuracy),
        label=f"accuracy on {plural(n, f'{split}example')}",
        interval=[percent(low), percent(high)],
        scale=dict(low=100 * low, high=100 * high, score=100 * accuracy, baseline=100 * majority),
        sentence=f"It answers {number(round(accuracy * n))} of {plural(n, f'{split}example')} correctly; always naming "
        f"the most frequent class would get {number(round(majority * n))} right ({percent(majority)}).",
        useless="The interval reaches down to what the most frequent class gets: it may have learned nothing."
        if low <= majority
        else None,
    )
