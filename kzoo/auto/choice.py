"""Comparison of candidates on the same rows, and the choice of the simplest that is not worse.

The networks of folds share training rows, so the variance of a mean over folds is larger than that of as many
independent rows. It is corrected as by Nadeau and Bengio (2003, doi:10.1023/A:1024068626366). The variance itself is
estimated from the rows, as that of a few folds is known too poorly.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import stats

from kzoo.evaluation.comparison import clustered_mean

# of the interval by which candidates tie: one standard error, as of Breiman et al. (1984)
TIE_LEVEL = 0.68


@dataclass(frozen=True, kw_only=True)
class Difference:
    """How much better one model is than another; positive is better.

    Args:
        mean: the difference of the primary score.
        error: its standard error.
    """

    mean: float
    error: float

    def interval(self, level: float) -> tuple[float, float]:
        """Return the ends of its normal interval."""
        half = float(stats.norm.ppf((1 + level) / 2)) * self.error
        return self.mean - half, self.mean + half

    def is_tie(self) -> bool:
        """Return whether the interval of one standard error contains 0."""
        low, high = self.interval(TIE_LEVEL)
        return low <= 0 <= high

    def corrected(self, folds: int, judged_share: float) -> "Difference":
        """Return the difference with a standard error that is corrected for shared training rows.

        Args:
            folds: number of folds; 1 for one validation split.
            judged_share: rows of a fold divided by the rows that are trained on: 1/4 for 5 folds.
        """
        return Difference(
            mean=self.mean, error=self.error * float(np.sqrt(1 + folds * judged_share))
        )


def mean_difference(gains: np.ndarray, groups: np.ndarray) -> Difference:
    """Return the mean of the gains of rows, with the standard error for groups of dependent rows.

    Args:
        gains: (N,) of the first model over the second.
        groups: (N,) the group of each row: forecasts of the same time belong together.
    """
    mean, error, _ = clustered_mean(gains, groups)
    return Difference(mean=mean, error=error)


def bootstrap_difference(
    difference: Callable[[np.ndarray], float], groups: np.ndarray, *, resamples: int, seed: int = 0
) -> Difference:
    """Return a difference of scores, with the standard error of a paired bootstrap.

    Args:
        difference: function of weights (N,), how often each row was drawn, that returns the difference.
        groups: (N,) the group of each row; groups are drawn as a whole.
        resamples: number of draws.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    _, members = np.unique(groups, return_inverse=True)
    count = int(members.max()) + 1
    draws = [
        difference(np.bincount(rng.integers(count, size=count), minlength=count)[members])
        for _ in range(resamples)
    ]
    error = float(np.nanstd(draws, ddof=1)) if count > 1 else np.inf
    return Difference(mean=difference(np.ones(len(members), int)), error=error)


def choose(
    scores: Mapping[int, float],
    complexity: Mapping[int, int],
    difference: Callable[[int, int], Difference],
) -> tuple[int, int]:
    """Return the number of the chosen model, and that of the model with the highest score.

    The best models of the degrees of complexity are compared, the simplest first: it is chosen if it ties with the
    highest score. Within a degree the highest score wins: ties between baselines chose worse ones where rows are few.

    Args:
        scores: number of a model -> its score; higher is better.
        complexity: number -> its degree of complexity; smaller is simpler.
        difference: function of two numbers: how much better the first is.
    """
    best = max(scores, key=lambda number: (scores[number], -complexity[number]))
    for degree in sorted(set(complexity.values())):
        simpler = max(
            (n for n in scores if complexity[n] == degree), key=scores.__getitem__, default=best
        )
        if simpler == best or (degree < complexity[best] and difference(best, simpler).is_tie()):
            return simpler, best
    return best, best
