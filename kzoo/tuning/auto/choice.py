"""Comparison of candidates on the same parts, and the choice of the simplest that is not worse.

The variance of a mean over folds is corrected for their shared training rows (Nadeau and Bengio 2003,
doi:10.1023/A:1024068626366): repeating folds does not make it as small as that of independent parts.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.8  # of the interval by which candidates tie
_RESAMPLES = 200  # of rows, where there is only one part


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better one model is than another; positive is better.

    Args:
        mean: the difference of the primary score.
        low, high: its interval.
    """

    mean: float
    low: float
    high: float

    @property
    def is_tie(self) -> bool:
        """Whether the interval contains 0."""
        return self.low <= 0 <= self.high


def corrected_difference(differences: Sequence[float], judged_share: float, level: float = LEVEL) -> Difference:
    """Return the mean of differences over folds, with the corrected interval.

    Args:
        differences: of the score, one for each fold, of all repeats.
        judged_share: rows of a fold divided by the rows that are trained on: 1/4 for 5 folds.
        level: of the interval.
    """
    values = np.asarray(differences, float)
    mean = float(values.mean())
    if len(values) < 2:
        return Difference(mean=mean, low=-np.inf, high=np.inf)
    half = stats.t.ppf((1 + level) / 2, len(values) - 1) * values.std(ddof=1) * np.sqrt(1 / len(values) + judged_share)
    return Difference(mean=mean, low=mean - half, high=mean + half)


def bootstrap_difference(
    score: Callable[[np.ndarray], float], groups: np.ndarray, level: float, *, seed: int = 0,
    resamples: int = _RESAMPLES,
) -> Difference:  # fmt: skip
    """Return a difference of scores on the same rows, with the interval of a paired bootstrap.

    Args:
        score: function of row numbers that returns the difference on these rows.
        groups: (N,) the group of each row, which are drawn together: windows of the same time.
        level: of the interval.
        seed: of the draws.
        resamples: number of draws.
    """
    rng = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=groups[order][0] - 1))
    members = np.split(order, starts[1:])
    mean = score(np.arange(len(groups)))
    if len(members) < 2:
        return Difference(mean=mean, low=-np.inf, high=np.inf)
    single = len(members) == len(groups)
    draws = []
    for _ in range(resamples):
        drawn = rng.integers(len(members), size=len(members))
        draws.append(score(order[drawn] if single else np.concatenate([members[i] for i in drawn])))
    # Normal, with the bootstrap's standard error: the ends of percentiles need many more draws.
    half = stats.norm.ppf((1 + level) / 2) * float(np.nanstd(draws, ddof=1))
    return Difference(mean=mean, low=mean - half, high=mean + half)


def choose(
    scores: Mapping[int, float], complexity: Mapping[int, tuple], difference: Callable[[int, int], Difference]
) -> tuple[int, int]:
    """Return the number of the simplest candidate that ties with the best, and that of the best.

    Args:
        scores: number of a candidate -> its mean score; higher is better.
        complexity: number -> its rank by complexity; smaller is simpler.
        difference: function of two numbers: how much better the first is.
    """
    best = max(scores, key=lambda number: (scores[number], [-value for value in complexity[number]]))
    ties = [n for n in scores if n == best or (complexity[n] < complexity[best] and difference(best, n).is_tie)]
    return min(ties, key=lambda number: complexity[number]), best
