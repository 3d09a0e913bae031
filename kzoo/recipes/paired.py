"""The difference between two models over the same splits or seeds, with an interval."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import stats

from kzoo.utils.errors import KzooError


def paired(
    new: Sequence[float], old: Sequence[float], *, overlap: float = 0.0, confidence: float = 0.95
) -> dict[str, Any]:
    """Compare scores that belong together pair by pair: of the same splits, or of the same seeds.

    Of few numbers Student's t gives the interval of their mean difference. The training sets of random splits or of
    folds share most of their rows, so that the differences are not independent and the usual interval is too narrow:
    `overlap` widens it by the correction of Nadeau and Bengio (doi:10.1023/A:1024068626366).

    Args:
        new, old: (N,) scores, in the same order.
        overlap: rows of a test split over rows of its training split, where pairs are splits or folds of the same data;
            0 where they are seeds on one split, or draws of data that share nothing.
        confidence: of the interval.

    Returns:
        `difference`, the mean of new - old; `interval`, around it, None of a single pair; `pairs`, how many there are;
        `better`, in how many of them new is larger.

    Raises:
        KzooError: lists of different lengths, or empty ones.
    """
    if len(new) != len(old) or not len(new):
        raise KzooError(f"There are {len(new)} scores and {len(old)}: pairs have one of each.")
    each = np.asarray(new, "float64") - np.asarray(old, "float64")
    count, interval = len(each), None
    if count > 1:
        error = np.sqrt((1 / count + overlap) * each.var(ddof=1))
        reach = float(stats.t.ppf((1 + confidence) / 2, count - 1) * error)
        interval = [float(each.mean()) - reach, float(each.mean()) + reach]
    return dict(difference=float(each.mean()), interval=interval, pairs=count, better=int((each > 0).sum()))
