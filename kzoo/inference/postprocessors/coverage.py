"""Numbers about coverage and risk: corrected ranks, and bounds from binomial, beta and beta-binomial distributions.

Of n exchangeable calibration rows, a set at the k-th smallest score covers a new row with a probability that is
distributed as Beta(k, n + 1 - k), and m new rows as the beta-binomial (Vovk, 2012, arXiv:1209.2673). NumPy only.
"""

import math
from collections.abc import Callable

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import percent, plural

FEW_ROWS = 100  # with fewer calibration rows, the coverage may be far from the level
_INTERVAL = 0.9  # probability of the intervals of the coverage
_ROUNDING = 1e-9  # of products such as 10 * 0.9, which must not exceed the whole number 9


def corrected_rank(count: int, confidence: float) -> int:
    """Return the rank, from 1, of the score that promises a level: ceil((n + 1) confidence); above n if none does."""
    return max(math.ceil((count + 1) * confidence - _ROUNDING), 1)


def rows_needed(confidence: float) -> int:
    """Return the smallest number of calibration rows that can promise a level, such as 19 for 0.95."""
    return max(math.ceil(confidence / (1 - confidence) - _ROUNDING), 1)


def checked_rank(count: int, confidence: float, rows: str) -> int:
    """Return `corrected_rank`.

    Args:
        count: number of rows.
        confidence: the level.
        rows: what they are called, such as "calibration row", for the message.

    Raises:
        KzooError: there are too few rows for the level.
    """
    rank = corrected_rank(count, confidence)
    if rank > count:
        highest = math.floor(1000 * count / (count + 1)) / 1000
        raise KzooError(
            f"needs at least {plural(rows_needed(confidence), rows)}, and the model has "
            f"{count:,}. Use at most confidence={highest:g}, or train with more rows (calibration=).",
            argument="confidence",
            value=confidence,
        )
    return rank


def log_factorials(n: int) -> np.ndarray:
    """Return the logarithms of 0! to n!."""
    return np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, n + 1)))])


def binomial_below(successes: int, n: int, p: float) -> float:
    """Return the probability of at most `successes` of n draws that succeed with probability p."""
    if successes >= n or p <= 0:
        return 1.0
    if p >= 1 or successes < 0:
        return 0.0
    log = log_factorials(n)
    k = np.arange(successes + 1)
    terms = log[n] - log[k] - log[n - k] + k * math.log(p) + (n - k) * math.log1p(-p)
    return float(min(np.exp(terms).sum(), 1.0))


def upper_bound(errors: int, n: int, level: float) -> float:
    """Return the upper bound of an error rate that is exceeded with a probability of at most `level`.

    It is the exact one of Clopper and Pearson (1934).

    Args:
        errors: number of errors.
        n: number of rows.
        level: probability that the error rate is higher.
    """
    if errors >= n:
        return 1.0
    return bisection(lambda p: binomial_below(errors, n, p) > level)


def coverage_interval(count: int, confidence: float) -> tuple[float, float]:
    """Return the interval that holds the coverage of new rows with 90 % probability, of sets from `count` rows."""
    rank = min(corrected_rank(count, confidence), count)
    tail = (1 - _INTERVAL) / 2
    # P(Beta(k, n + 1 - k) <= x) = P(Binomial(n, x) >= k)

    def quantile(p: float) -> float:
        return bisection(lambda x: 1 - binomial_below(rank - 1, count, x) < p)

    return quantile(tail), quantile(1 - tail)


def observed_interval(count: int, tested: int, confidence: float) -> tuple[float, float]:
    """Return the interval that holds the coverage on `tested` rows with at least 90 % probability (beta-binomial)."""
    below = np.cumsum(coverage_probabilities(count, tested, confidence))
    tail = (1 - _INTERVAL) / 2
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return min(low, tested) / tested, min(high, tested) / tested


def coverage_probabilities(count: int, tested: int, confidence: float) -> np.ndarray:
    """Return the probability (tested + 1,) of each number of covered rows among `tested` ones (beta-binomial)."""
    rank = min(corrected_rank(count, confidence), count)
    log, covered = log_factorials(count + tested), np.arange(tested + 1)

    def choose(n: np.ndarray | int, k: np.ndarray | int) -> np.ndarray:
        return log[n] - log[k] - log[n - k]

    # C(m, j) B(j + k, m - j + n + 1 - k) / B(k, n + 1 - k), with whole numbers
    terms = choose(covered + rank - 1, covered) + choose(
        tested - covered + count - rank, tested - covered
    )
    return np.exp(terms - choose(count + tested, tested))


def bisection(is_below: Callable[[float], bool]) -> float:
    """Return the number between 0 and 1 up to which a condition holds."""
    low, high = 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if is_below(middle) else (low, middle)
    return high


def range_text(interval: tuple[float, float]) -> str:
    """Return an interval of shares as text, such as `82 % to 97 %`."""
    return f"{percent(interval[0])} to {percent(interval[1])}"
