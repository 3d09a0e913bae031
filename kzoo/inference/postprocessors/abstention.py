"""Abstention: rows whose class is too uncertain are answered with `unsure`. NumPy only.

A threshold of the probability promises an accuracy among the answered rows if the upper bound of the risk, exact for
binomial errors (Clopper and Pearson, 1934), allows it. Thresholds are tested in a fixed order from several starts, so
that the error of all tests together is at most 10 % (fixed-sequence testing; Angelopoulos et al., 2021,
arXiv:2110.01052). That is the probability that a threshold is offered and does not keep the promise. Given that one is
offered, it is higher: where no threshold is true, each that is offered is wrong.
"""

import numpy as np

from kzoo.inference.postprocessors.coverage import upper_bound
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import percent, short_percent

UNSURE = "unsure"  # the label of rows that are not answered
_STEPS = 40  # thresholds, at equal steps of the share of answered rows
_STARTS = (0.1, 0.25, 0.5, 0.75, 1.0)  # shares of answered rows at which a sequence of tests begins
ERROR = 0.1  # probability that a threshold is chosen and does not keep the promise
_LEVEL = ERROR / len(_STARTS)


def learned_curve(confidence: np.ndarray, right: np.ndarray) -> list[list[float]]:
    """Return [threshold, answered rows, wrong ones] for each share of answered rows, from few to all.

    Args:
        confidence: (N,) probabilities of the predicted classes.
        right: (N,) whether these are the true ones.
    """
    order = np.argsort(-np.asarray(confidence, np.float64), kind="stable")
    ordered = np.asarray(confidence, np.float64)[order]
    wrong = np.cumsum(~np.asarray(right, bool)[order])
    curve: list[list[float]] = []
    for share in np.arange(1, _STEPS + 1) / _STEPS:
        threshold = ordered[max(int(np.ceil(share * len(ordered))), 1) - 1]
        answered = int((ordered >= threshold).sum())  # with those of the same probability
        if not curve or answered > curve[-1][1]:
            curve.append([float(threshold), answered, int(wrong[answered - 1])])
    curve[-1][0] = 0.0  # all rows are answered, also those that are less sure than any of these
    return curve


def threshold_for(curve: list[list[float]], accuracy: float) -> tuple[float, float]:
    """Return the lowest threshold that promises an accuracy, and the share of the learned rows that it answers.

    Args:
        curve: the return value of `learned_curve`.
        accuracy: share of the answered rows that has to be right.

    Raises:
        KzooError: no threshold promises it.
    """
    rows = curve[-1][1]
    risk = 1 - accuracy
    best = 1.0
    chosen = None
    for start in _STARTS:
        for number, (threshold, answered, wrong) in enumerate(curve):
            if answered < start * rows - 1e-9:
                continue
            # One row less: given the threshold, which is the probability of a row, those above it are a sample.
            bound = upper_bound(int(wrong), max(int(answered) - 1, 1), _LEVEL)
            best = min(best, bound)
            if bound > risk:
                break
            if chosen is None or number > chosen[0]:
                chosen = number, threshold, answered / rows
    if chosen is None:
        raise KzooError(
            f"cannot be promised: the best that these {int(rows):,} rows allow is "
            f"{max(np.floor(1000 * (1 - best)) / 1000, 0):g}. Lower it, or train with more rows (calibration=).",
            argument="accuracy_when_answered",
            value=accuracy,
        )
    return chosen[1], chosen[2]


def answers_line(accuracy: float, share: float) -> str:
    """Return what a threshold promises, as a sentence."""
    return (
        f"Of the answered rows, at least {short_percent(accuracy)} are right; about {percent(share)} of the rows are "
        f"answered. Of all samples of rows that it may be learned on, at most {100 * ERROR:g}\u00a0% give a threshold "
        "that breaks this. Samples that give none count as kept: if the accuracy is hard to reach, a threshold that is "
        "given breaks it more often."
    )
