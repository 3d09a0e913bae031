"""The range in which the coverage of forecasts is to be expected, although their errors depend on each other.

Steps of a forecast, forecasts of a series, and forecasts of all series at the same time miss together, so that a share
of covered steps is far less certain than that of as many independent draws. Its variance is clustered two ways, by
series and by blocks of origins (Cameron, Gelbach and Miller, 2011, https://doi.org/10.1198/jbes.2010.07.136). A block
is a horizon long, so that forecasts of neighbouring ones share steps; their correlation widens the range, and so does
Student's distribution where there are few. NumPy only.
"""

import math
from dataclasses import dataclass

import numpy as np

from kzoo.inference.postprocessors.coverage import bisection

PROBABILITY = 0.95  # of the range, if the level holds
_MOST_CORRELATED = 0.6  # neighbouring blocks
_LOST = 1.5  # blocks that share steps count as this many fewer degrees of freedom
# Degrees of freedom at the least: with one, two blocks would allow for any coverage. In simulated panels of two to four
# blocks, ranges with two hold 88 to 97 % of the coverages at half the width.
_LEAST_FREEDOM = 2.0
_MOST_FREEDOM = 200  # degrees, from which on Student's distribution is as good as normal
FEWEST_BLOCKS = 2
FEWEST_SERIES = 10  # from which on the coverage is judged by size
PARTS = 5  # of the series by size


@dataclass(frozen=True, kw_only=True)
class Clusters:
    """The clusters of forecasts.

    Args:
        series: (N,) number of the series of each.
        blocks: (N,) number of the block of origins of each.
    """

    series: np.ndarray
    blocks: np.ndarray

    @classmethod
    def of(cls, series: np.ndarray, moments: np.ndarray, horizon: int) -> "Clusters":
        """Return the clusters of forecasts.

        Args:
            series: (N,) numbers of series.
            moments: (N,) number of the first step of each forecast.
            horizon: steps of a forecast.
        """
        steps = np.asarray(moments) - np.min(moments)
        return cls(series=np.asarray(series), blocks=(steps // horizon).astype(int))

    def part(self, rows: np.ndarray) -> "Clusters":
        """Return the clusters of some of the forecasts."""
        return Clusters(series=self.series[rows], blocks=self.blocks[rows])


def latest_apart(moments: np.ndarray, distance: int) -> list[int]:
    """Return the moments (M,) that are at least `distance` apart, counted back from the last one, in ascending order.

    No other choice has more of them.
    """
    chosen: list[int] = []
    for moment in np.unique(moments)[::-1].tolist():
        if not chosen or moment <= chosen[-1] - distance:
            chosen.append(moment)
    return chosen[::-1]


def expected_range(
    covered: np.ndarray,
    clusters: Clusters,
    level: float,
    *,
    effective: float | None = None,
    comparisons: int = 1,
) -> tuple[float, float] | None:
    """Return the range that holds the coverage with 95 % probability if the level holds.

    Args:
        covered: (N, ...) whether each truth is inside.
        clusters: of the N forecasts.
        level: the share that should be covered.
        effective: number of independent rows that the band was learned on; None if it is not known.
        comparisons: number of ranges that hold their coverages together (Bonferroni).

    Returns:
        None if all origins are within a horizon: whether that was a good time or a bad one is not known then.
    """
    variance, freedom = _variance(covered, clusters, level)
    if freedom is None:
        return None
    if effective is not None:
        variance += level * (1 - level) / max(effective, 1)
    half = student(1 - (1 - PROBABILITY) / comparisons, freedom) * math.sqrt(variance)
    return max(level - half, 0.0), min(level + half, 1.0)


def coverage_range(covered: np.ndarray, clusters: Clusters) -> tuple[float, float]:
    """Return the 95 % interval of a coverage; see `expected_range`. Within one horizon of origins it is very wide."""
    mean = float(covered.mean())
    least = 1 / (len(covered) + 2)
    variance, freedom = _variance(covered, clusters, min(max(mean, least), 1 - least))
    half = student(PROBABILITY, freedom or 1.0) * math.sqrt(variance)
    return max(mean - half, 0.0), min(mean + half, 1.0)


def effective_rows(covered: np.ndarray, clusters: Clusters, level: float) -> float:
    """Return the number of independent draws that say as much of a coverage as these forecasts (N, ...)."""
    variance, _ = _variance(covered, clusters, level)
    return level * (1 - level) / variance


def _variance(covered: np.ndarray, clusters: Clusters, level: float) -> tuple[float, float | None]:
    """Return the variance of a coverage at a level, and its degrees of freedom, None with a single block."""
    shares = covered.reshape(len(covered), -1).mean(axis=1)
    mean = float(shares.mean())
    of_series, of_blocks, of_both, series, blocks = _two_way(shares - mean, clusters)
    # the mean of few blocks that share steps is closer to each of them than the level is
    widening = blocks / max(blocks - 1, 1)
    of_blocks, of_both = of_blocks * widening, of_both * widening
    freedoms = [(of_series, series - 1.0), (of_blocks, max((blocks - 1) / _LOST, _LEAST_FREEDOM))]
    binomial = level * (1 - level)
    seen = mean * (1 - mean)
    variance = max(of_series + of_blocks - of_both, of_series, of_blocks)
    if seen > 1e-12 and variance > 0:
        spread = sum(part**2 / number for part, number in freedoms if part > 0)
        freedom = max(variance**2 / spread, _LEAST_FREEDOM)
        # its size at the level, not at the coverage that was seen; at least that of independent forecasts
        variance = max(variance * binomial / seen, binomial / covered.size)
    else:  # all or none are covered: clusters may as well be single draws
        smallest = min([count for count in (series, blocks) if count > 1], default=1)
        variance, freedom = binomial / smallest, float(max(smallest - 1, 1))
    return variance, freedom if blocks >= FEWEST_BLOCKS else None


def ratio_interval(
    errors: np.ndarray, sizes: np.ndarray, clusters: Clusters
) -> tuple[float, float] | None:
    """Return the 95 % interval of the sum of errors over that of sizes, such as a bias.

    Args:
        errors: (N,) of forecasts.
        sizes: (N,) what they are relative to, such as the sum of the true values.
        clusters: of the N forecasts.

    Returns:
        None if all origins are within a horizon, or all sizes are 0.
    """
    size = float(np.mean(sizes))
    if len(np.unique(clusters.blocks)) < FEWEST_BLOCKS or not size:
        return None
    ratio = float(np.mean(errors)) / size
    deviations = errors - ratio * sizes
    of_series, of_blocks, of_both, series, blocks = _two_way(deviations, clusters)
    variance = max(of_series + of_blocks - of_both, of_series, of_blocks)
    freedom = min(count - 1 for count in (series, blocks) if count > 1)
    half = student(PROBABILITY, freedom) * math.sqrt(variance) / size
    return ratio - half, ratio + half


def _two_way(errors: np.ndarray, clusters: Clusters) -> tuple[float, float, float, int, int]:
    """Return the variances of the mean of errors (N,) by series, blocks and both, and the numbers of series and blocks.

    Those by blocks are wider by the correlation of neighbouring ones.
    """
    both = clusters.series * (int(clusters.blocks.max()) + 1) + clusters.blocks
    of_series, series = _of_clusters(errors, clusters.series)
    of_blocks, blocks = _of_clusters(errors, clusters.blocks)
    of_both, _ = _of_clusters(errors, both)
    neighbours = _correlation(errors, clusters.blocks)
    widening = (1 + neighbours) / (1 - neighbours)
    return of_series, of_blocks * widening, of_both * widening, series, blocks


def _correlation(errors: np.ndarray, blocks: np.ndarray) -> float:
    """Return the correlation of the sums of errors (N,) in neighbouring blocks, corrected for their number."""
    sums = np.bincount(blocks, errors)
    total = float((sums**2).sum())
    seen = float((sums[1:] * sums[:-1]).sum()) / total if len(sums) > 2 and total > 0 else 0.0
    return min(max(seen + 1 / len(sums), 0.0), _MOST_CORRELATED)


def _of_clusters(errors: np.ndarray, codes: np.ndarray) -> tuple[float, int]:
    """Return the variance of the mean of errors (N,) that are independent between clusters, and their number."""
    _, numbers = np.unique(codes, return_inverse=True)
    sums = np.bincount(numbers.reshape(-1), errors)
    count = len(sums)
    return (
        0.0 if count < 2 else count / (count - 1) * float((sums**2).sum()) / len(errors) ** 2,
        count,
    )


def student(probability: float, freedom: float) -> float:
    """Return the number that Student's t exceeds in size with probability 1 - `probability`.

    Args:
        probability: between 0 and 1.
        freedom: degrees of freedom, of which the whole ones count, 200 at most.
    """
    n = min(int(freedom), _MOST_FREEDOM)

    def inside(angle: float) -> float:  # Abramowitz and Stegun, 1964, 26.7.3 and 26.7.4
        cosine, sine = math.cos(angle), math.sin(angle)
        total, term = 0.0, cosine if n % 2 else 1.0
        for k in range(2 + n % 2, n + 1, 2):
            total += term
            term *= cosine**2 * (k - 1) / k
        return (angle + sine * total) * 2 / math.pi if n % 2 else sine * total

    angle = bisection(lambda share: inside(share * math.pi / 2) < probability)
    return math.sqrt(n) * math.tan(angle * math.pi / 2)
