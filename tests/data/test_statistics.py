"""Statistics of the training data that a run stores: correct, small, and valid JSON for all data."""

import json

import numpy as np
import pandas as pd

import kzoo
from kzoo.data.dataset import Dataset, Split
from kzoo.data.statistics import shares_between, statistics


def test_a_table():
    frame = pd.DataFrame(
        {"size": np.arange(100.0) / 3, "town": ["Bern", "Genf"] * 50, "sold": ["no", "yes"] * 50}
    )
    data = kzoo.load_data(frame, target="sold")
    stored = statistics(data)
    x = data.train.x
    (size,) = stored["features"]
    assert (
        size["name"] == "size"
        and np.isclose(size["mean"], x[:, 0].mean())
        and np.isclose(size["sd"], x[:, 0].std())
    )
    assert (size["low"], size["high"], size["count"]) == (x[:, 0].min(), x[:, 0].max(), len(x))
    assert np.allclose(size["shares"], 0.1, atol=0.02) and np.isclose(sum(size["shares"]), 1)
    (town,) = stored["categories"]
    assert town["name"] == "town" and town["shares"][0] == 0 and np.isclose(sum(town["shares"]), 1)
    assert np.isclose(sum(stored["classes"]), 1) and stored["columns"] == ["size", "town", "sold"]


def test_only_the_training_rows_of_a_series_count():
    frame = pd.DataFrame({"a": np.where(np.arange(1000) < 700, 1.0, 50.0)})
    (a,) = statistics(kzoo.load_data(frame, preset="series_gru"))["features"]
    assert a["high"] == 1.0


def test_kinds_of_inputs():
    names = [f["name"] for f in statistics(kzoo.load_data("shapes"))["features"]]
    assert names == ["brightness", "contrast", "red", "green", "blue"]
    names = [f["name"] for f in statistics(kzoo.load_data("opinions"))["features"]]
    assert names == ["tokens", "unknown share"]
    assert len(statistics(kzoo.load_data("diabetes"))["targets"]) == 1


def test_equal_values_share_an_edge():
    edges = np.array([0.0, 1.0])
    assert shares_between(edges, np.array([0, 0, 1, 2])).tolist() == [0.5, 0.25, 0.25]


def test_nan_and_one_hot_labels_do_not_break_the_file():
    x = np.array([[1.0, np.nan], [2.0, np.nan], [np.inf, np.nan]], "float32")
    data = Dataset(
        name="mine",
        task="tabular_classification",
        inputs="rows",
        train=Split(x=x, y=np.eye(3)[[0, 2, 2]]),
        class_names=("a", "b", "c"),
    )
    stored = statistics(data)
    assert json.dumps(stored, allow_nan=False)
    assert [f["mean"] for f in stored["features"]] == [1.5] and np.allclose(
        stored["classes"], [1 / 3, 0, 2 / 3]
    )
