"""Differences over the same splits or seeds: their interval where pairs are independent, and where splits overlap."""

import numpy as np
import pytest
from messages import refuses
from scipy import stats

from kzoo.recipes.paired import paired

NEW, OLD = [0.91, 0.94, 0.90, 0.95, 0.92], [0.90, 0.91, 0.91, 0.93, 0.90]


def test_without_overlap_it_is_the_paired_t_test_of_scipy():
    for confidence in (0.9, 0.95):
        result = paired(NEW, OLD, confidence=confidence)
        expected = stats.ttest_rel(NEW, OLD).confidence_interval(confidence)
        assert result["interval"] == pytest.approx([expected.low, expected.high], rel=1e-12)
    assert result["difference"] == pytest.approx(0.014) and (result["pairs"], result["better"]) == (
        5,
        4,
    )


def test_with_overlap_the_interval_is_wider():
    """On random splits of one data set the truth lies too rarely in the plain interval."""
    random = np.random.default_rng(0)
    inside = {0.0: 0, 0.25: 0}
    for _ in range(400):
        # the difference on each row; a split's is that on its test rows
        rows = random.normal(0.1, 1.0, 100)
        of_data = random.normal(0, 1 / np.sqrt(80))  # of the rows that all training sets share
        each = [random.choice(rows, 20, replace=False).mean() + of_data for _ in range(5)]
        for overlap in inside:
            low, high = paired(each, [0.0] * 5, overlap=overlap)["interval"]
            inside[overlap] += low <= 0.1 <= high
    assert inside[0.0] < 340 and inside[0.25] > inside[0.0]


def test_one_pair_has_no_interval_and_none_is_refused():
    assert paired([1.0], [0.5]) == dict(difference=0.5, interval=None, pairs=1, better=1)
    for new, old in (([], []), ([1.0, 2.0], [1.0])):
        with refuses(f"{len(new)}", f"{len(old)}", "scores"):
            paired(new, old)
