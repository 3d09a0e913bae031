"""Comparison of two data sets that came from one table by different sources."""

import numpy as np


def assert_same_data(data, expected):
    """Fail unless two `Dataset`s have the same columns, preprocessing, fingerprint and splits."""
    assert data.feature_names == expected.feature_names
    assert data.preprocessing == expected.preprocessing
    assert data.fingerprint == expected.fingerprint
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(data, split).x, getattr(expected, split).x)
        np.testing.assert_array_equal(getattr(data, split).y, getattr(expected, split).y)
