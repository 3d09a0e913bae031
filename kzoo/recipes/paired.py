"""The paired difference between two models over the same splits or seeds, with a confidence interval."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject


def paired(
    new: Sequence[float], old: Sequence[float], *, overlap: float = 0.0, confidence: float = 0.95
) -> JsonObject:
    """Compare paired scores of two models, from the same splits or the same seeds.

    The interval of the mean difference is that of Student's t. Training sets of random splits or folds share most of
    their rows, so the differences are not independent and the standard interval is too narrow: `overlap` widens it by
    the correction of Nadeau and Bengio (doi:10.1023/A:1024068626366).

    Args:
        new, old: (N,) scores, in the same order.
        overlap: test rows divided by training rows, if pairs are splits or folds of the same data; 0 for seeds on one
            split, or for independent data.
        confidence: confidence level of the interval.

    Returns:
        `difference`: the mean of new - old; `interval`: its confidence interval, None for a single pair; `pairs`: the
        number of pairs; `better`: the number of pairs in which new is larger.

    Raises:
        KzooError: sequences of different lengths, or empty ones.
    """
    if len(new) != len(old) or not len(new):
        raise KzooError(
            f"new and old must have the same number of scores, at least one (new: {len(new)}, old: {len(old)})."
        )
    differences = np.asarray(new, "float64") - np.asarray(old, "float64")
    n_pairs = len(differences)
    interval = None
    if n_pairs > 1:
        standard_error = np.sqrt((1 / n_pairs + overlap) * differences.var(ddof=1))
        half_width = float(stats.t.ppf((1 + confidence) / 2, n_pairs - 1) * standard_error)
        interval = [float(differences.mean()) - half_width, float(differences.mean()) + half_width]
    return dict(
        difference=float(differences.mean()),
        interval=interval,
        pairs=n_pairs,
        better=int((differences > 0).sum()),
    )
