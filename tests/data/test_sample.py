"""The sample of rows that scores, baselines and checks read of data on disk."""

import numpy as np
import pytest
from messages import assert_mentions

from kzoo.data import sample
from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.windows import Mapped, Windows


def mapped(tmp_path, values):
    np.save(tmp_path / "values.npy", values)
    return np.load(tmp_path / "values.npy", mmap_mode="r")


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(sample, "MOST", 10)


def test_data_in_memory_is_not_sampled(few):
    series = np.arange(40.0)
    for x in (series, Windows(series, np.arange(20), 3)):
        part = Split(x=x, y=np.arange(len(x)))
        assert sample.sample_split(part) is part
    assert sample.sample_split(None) is None


def test_a_sample_is_the_same_rows_each_time_and_is_read_late(few, tmp_path):
    values = mapped(tmp_path, np.arange(60.0).reshape(30, 2))
    for x in (values, Mapped(values, np.arange(30)), Windows(values, np.arange(30) % 28, 2)):
        part = Split(x=x, y=np.arange(30))
        one, again = sample.sample_split(part), sample.sample_split(part)
        assert (
            len(one) == len(one.y) == 10 and (one.y == again.y).all() and (np.diff(one.y) > 0).all()
        )
        assert (one.rows == one.y).all()
        assert not sample.in_memory(one.x)
        np.testing.assert_array_equal(one.x[:], np.asarray(x[one.y]))


def test_a_line_tells_how_many_rows_a_sample_has(few, tmp_path):
    values = mapped(tmp_path, np.arange(60.0).reshape(30, 2))
    test = Split(x=values[:20], y=np.arange(20))
    small = Split(x=np.zeros((5, 2)), y=np.zeros(5))
    data = Dataset(name="d", task="tabular_regression", inputs="rows", train=small, test=test)
    sampled = sample.sample_dataset(data)
    assert sampled.train is small and len(sampled.test) == 10 and sampled.validation is None
    assert_mentions(sample.sampling_note(data), "10 of 20", "test")
    assert sample.sample_dataset(sampled) is sampled and sample.sampling_note(sampled) is None
