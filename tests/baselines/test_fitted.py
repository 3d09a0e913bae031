"""Fitted baselines: what they predict, and their networks, which compute the same from built-in layers.

The faults to prevent: a network that differs from the baseline that won, and one that looks exact because the rows do
not reach its special cases (categories that training has not seen, unknown pairs of words, padding).
"""

from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
from messages import refuses
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from test_baselines import EACH, small_data, texts, window

import kzoo
from kzoo import baselines
from kzoo.baselines import networks
from kzoo.baselines.data import BaselineData
from kzoo.baselines.trees import Tree, rounded_down, trees_of_boosting, trees_of_forest
from kzoo.data.dataset import Split
from kzoo.inference.postprocessors import quantile_widths

NO_FORM = {"frequency", "ngrams", "most_frequent_set", "auto_ets", "auto_theta"}
BEYOND_WINDOW = {("forecast", "seasonal_mean")}  # these windows have fewer than four seasons
TOLERANCE = 1e-5  # of the largest output


def emotions(rows=300):
    """Rows with three labels, one of which is unknown in some rows."""
    random = np.random.default_rng(0)
    x = random.normal(size=(rows, 4))
    frame = pd.DataFrame(x, columns=list("abcd"))
    for i, name in enumerate(("calm", "sad", "loud")):
        frame[name] = (x[:, i] + x[:, 3] + random.normal(0, 0.5, rows) > 0.3 * i).astype(int)
    return kzoo.load_data(frame, target=["calm", "sad", "loud"])


def visits(rows=300):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"age": random.normal(40, 9, rows), "kind": random.choice(list("abc"), rows)}
    )
    frame["visits"] = random.poisson(np.exp((frame["age"] - 40) / 20) + 2 * (frame["kind"] == "a"))
    return kzoo.load_data(frame, target="visits", task="count")


def prices(rows=300):
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.normal(50, 9, rows), "kind": random.choice(list("abc"), rows)}
    )
    frame["price"] = frame["size"] * random.uniform(0.5, 1.5, rows) + 10 * (frame["kind"] == "b")
    return kzoo.load_data(frame, target="price", quantiles=(0.1, 0.5, 0.9))


def loads(rows=6_000):
    hours = np.arange(rows)
    load = 10 + np.sin(hours * np.pi / 12) + np.random.default_rng(0).normal(0, 0.1, rows)
    frame = pd.DataFrame(
        {"hour": pd.date_range("2024-01-01", periods=rows, freq="h"), "load": load}
    )
    preset = window("series_gru", input_shape=(1_300, 1), horizon=6)
    return kzoo.load_data(
        frame, time="hour", target="load", quantiles=(0.1, 0.5, 0.9), preset=preset
    )


def grades(rows=300):
    """Rows with four ordered classes, and a class without a row."""
    random = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"size": random.normal(50, 9, rows), "kind": random.choice(list("abc"), rows)}
    )
    ranks = frame["size"] + 10 * (frame["kind"] == "b") + random.normal(0, 5, rows)
    frame["grade"] = np.clip((ranks - 20) // 15, 0, 3).astype(int)
    dtype = pd.CategoricalDtype(range(5), ordered=True)
    return kzoo.load_data(frame.astype({"grade": dtype}), target="grade", task="ordinal")


MORE = {
    "ordered": grades,
    "labels": emotions,
    "counts": visits,
    "quantiles": prices,
    "quantiles of forecasts": loads,
    "breast_cancer": lambda: kzoo.load_data("breast_cancer"),
    "wine": lambda: kzoo.load_data("wine"),
    "diabetes": lambda: kzoo.load_data("diabetes"),
}


def close(outputs, expected):
    """Return whether outputs of a network, flat for quantiles, are those of a baseline."""
    return (
        np.abs(outputs.reshape(expected.shape) - expected).max()
        <= TOLERANCE * np.abs(expected).max()
    )


@pytest.mark.parametrize("name", [*EACH, *MORE])
def test_a_network_computes_what_the_baseline_predicts(name, tmp_path):
    data = MORE[name]() if name in MORE else small_data(name, tmp_path)
    found = baselines.list_baselines(data.problem)
    for baseline in (b for b in found if not b.setting or data.config.get(b.setting)):
        fitted = baselines.fit(data, baseline.name)
        expected, truth = fitted.predict(data.test)
        assert len(expected) == len(truth) >= len(data.test)
        if baseline.name in NO_FORM or (name, baseline.name) in BEYOND_WINDOW:
            with refuses("cannot be written as a network"):
                fitted.network()
            continue
        network = fitted.network()
        assert {type(layer).__module__.split(".")[0] for layer in network.layers} == {"keras"}
        outputs = network.predict(np.asarray(fitted.data.test.x[:]), verbose=0)
        if fitted.widths is not None:  # a step of its run, as of other networks
            outputs = quantile_widths.apply(fitted.widths.learned, outputs, logits=None)
        assert close(outputs, expected), baseline.name


def test_predictions_give_the_scores_of_score():
    data = kzoo.load_data("breast_cancer")
    for result in baselines.score(data):
        p, truth = baselines.fit(data, result.name).predict(data.test)
        assert result.scores["accuracy"] == (p.argmax(axis=1) == truth).mean()


def test_the_network_of_trees_is_that_of_scikit_learn_also_beyond_the_training_rows():
    """Categories that training has not seen, and numbers at a threshold."""
    random = np.random.default_rng(0)
    x = np.stack(
        [random.normal(size=600), random.integers(0, 9, 600), random.integers(0, 5, 600)], axis=1
    )
    x[:, 1] = np.where(x[:, 1] == 3, 4, x[:, 1])  # code 3 is never seen
    x = x.astype("float32")
    y = ((x[:, 0] > 0.3) ^ np.isin(x[:, 1], (1, 4, 8)) ^ (x[:, 2] == 2)).astype(int)
    model = HistGradientBoostingClassifier(
        max_iter=20, categorical_features=[1, 2], random_state=0
    ).fit(x, y)
    (trees,) = trees_of_boosting(model, dict(enumerate((10, 6), start=model.n_features_in_ - 2)))
    assert any(tree.categorical for tree in trees)
    thresholds = np.concatenate([tree.threshold[tree.feature == 0] for tree in trees])
    new = np.stack(
        [
            np.resize(thresholds.astype("float32"), 600),
            np.arange(600) % 10,
            np.arange(600) // 10 % 6,
        ],
        axis=1,
    )
    for rows in (x, new.astype("float32")):
        total = model._baseline_prediction[0, 0] + sum(descended(tree, rows) for tree in trees)
        assert np.allclose(1 / (1 + np.exp(-total)), model.predict_proba(rows)[:, 1], atol=1e-6)
    network = network_of([trees], 3)
    assert np.allclose(
        network.predict(new, verbose=0)[:, 0],
        sum(descended(tree, new) for tree in trees),
        atol=1e-5,
    )


def network_of(groups, features):
    inputs = keras.Input((features,))
    return keras.Model(inputs, networks.forest(inputs, groups))


def descended(tree, x):
    """Return the values of the leaves that rows reach, a row at a time."""
    values = []
    for row in x:
        node = 0
        while tree.feature[node] >= 0:
            value = row[tree.feature[node]]
            table = tree.categorical.get(node)
            right = value > tree.threshold[node] if table is None else table[int(value)]
            node = tree.right[node] if right else tree.left[node]
        values.append(tree.value[node])
    return np.array(values)


def test_groups_with_fewer_trees_and_trees_of_a_single_leaf_add_nothing():
    leaf = Tree(
        feature=np.array([-1]),
        threshold=np.zeros(1),
        left=np.zeros(1, int),
        right=np.zeros(1, int),
        value=np.array([2.0]),
    )
    step = Tree(
        feature=np.array([1, -1, -1]),
        threshold=np.array([0.5, 0, 0]),
        left=np.array([1, 0, 0]),
        right=np.array([2, 0, 0]),
        value=np.array([0, -1.0, 1.0]),
    )
    x = np.array([[0, 0.5], [0, 0.6]], "float32")
    assert network_of([[leaf, step], [step], [leaf]], 2).predict(x, verbose=0).tolist() == [
        [1, -1, 2],
        [3, 1, 2],
    ]


def test_a_deep_tree_opens_as_an_untrusted_file(tmp_path):
    """The files of strangers may have so many layer calls only; trees of 31 leaves are at most 30 deep."""
    depth = 40
    feature = np.repeat([0, -1], [depth, depth + 1])  # a chain of inner nodes, and their leaves
    chain = Tree(
        feature=feature,
        threshold=np.arange(2 * depth + 1) / 1.0,
        left=np.r_[depth + np.arange(depth), np.zeros(depth + 1)].astype(int),
        right=np.r_[1 + np.arange(depth - 1), 2 * depth, np.zeros(depth + 1)].astype(int),
        value=np.arange(2 * depth + 1) * 1.0,
    )
    network_of([[chain] * 3], 1).save(tmp_path / "deep.keras")
    x = np.arange(-1, depth + 2, dtype="float32")[:, None] + 0.5
    y = kzoo.load_model(tmp_path / "deep.keras").predict(x, verbose=0)[:, 0]
    assert np.array_equal(y, 3 * descended(chain, x))


def test_thresholds_are_rounded_down_to_float32():
    thresholds = np.array([0.1, -0.1, 1e-50, 16777217.0, 2.0])
    rounded = rounded_down(thresholds)
    assert rounded.dtype == np.float32 and (rounded <= thresholds).all()
    assert (np.nextafter(rounded, np.float32(np.inf)) > thresholds).all()


def test_the_trees_of_a_random_forest_average_its_probabilities():
    x = np.random.default_rng(0).normal(size=(200, 3)).astype("float32")
    y = np.arange(200) % 3
    model = RandomForestClassifier(7, random_state=0, min_samples_leaf=3).fit(x, y)
    total = sum(descended(tree, x) for tree in trees_of_forest(model, output=2))
    assert np.allclose(total, model.predict_proba(x)[:, 2])


def test_columns_far_from_zero_keep_their_digits():
    """Timestamps: float32 has seven digits, and standardising them as x * scale + offset would keep none."""
    random = np.random.default_rng(0)
    x = (1.6e9 + 128 * random.integers(0, 1000, (400, 1))).astype("float32")
    data = kzoo.load_data((x, (x[:, 0] > 1.6e9 + 64_000).astype(int)))
    fitted = baselines.fit(data, "logistic")
    assert close(fitted.network().predict(data.test.x, verbose=0), fitted.predict(data.test)[0])


def test_a_class_without_training_rows_has_the_probability_0():
    data = kzoo.load_data("wine")
    rows = np.flatnonzero(data.train.y != 1)
    data = replace(data, train=data.train.select(rows))
    for name in ("logistic", "trees"):
        p = baselines.fit(data, name).network().predict(data.test.x, verbose=0)
        assert (p[:, 1] == 0).all() and np.allclose(p.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["tfidf", "nbsvm"])
def test_repeated_and_unknown_words_and_padding_count_as_in_scikit_learn(name):
    data = kzoo.load_data(texts("en"), target="mood", preset=window("text_cnn", input_shape=(16,)))
    fitted = baselines.fit(data, name)
    random = np.random.default_rng(0)
    size = data.config["vocabulary_size"]
    x = random.integers(0, size, (64, 16)).astype("int32")
    x[:20, 4:] = 0  # padding
    x[20:30] = x[20:30, :1]  # one word, many times
    x[30] = 0
    x[31:40, 1::2] = 0  # no pairs
    rows = Split(x=x, y=np.zeros(64, int))
    assert close(fitted.network().predict(x, verbose=0), fitted.predict(rows)[0])


def test_long_texts_are_compared_in_blocks():
    random = np.random.default_rng(0)
    x = random.integers(1, 30, (60, 600)).astype("int32")
    y = (np.count_nonzero(x == 5, axis=1) > 20).astype(int)
    data = kzoo.load_data((x, y), preset=window("text_cnn", input_shape=(600,)))
    fitted = baselines.fit(data, "tfidf")
    assert close(fitted.network().predict(data.test.x, verbose=0), fitted.predict(data.test)[0])


def test_logistic_regression_of_the_network_is_that_of_scikit_learn():
    data = kzoo.load_data("breast_cancer")
    x = data.train.x.astype("float64")
    y = data.train.y
    middle, spread = x.mean(axis=0), x.std(axis=0)
    fitted = baselines.fit(data, "logistic")
    (c,) = (float(note.split("C=")[1].split(",")[0]) for note in fitted.notes if "C=" in note)
    model = LogisticRegression(C=c, max_iter=200).fit(np.clip((x - middle) / spread, -5, 5), y)
    p = fitted.network().predict(data.test.x, verbose=0)
    assert np.allclose(
        p, model.predict_proba(np.clip((data.test.x - middle) / spread, -5, 5)), atol=1e-4
    )


def test_a_season_beyond_the_window_has_no_network():
    hours = np.arange(2000)
    frame = pd.DataFrame(
        {
            "hour": pd.date_range("2024-01-01", periods=2000, freq="h"),
            "load": np.sin(hours * np.pi / 84) + (hours // 24 % 7 == 6),
        }
    )
    data = kzoo.load_data(
        frame,
        time="hour",
        target="load",
        preset=window("series_gru", input_shape=(24, 1), horizon=3),
    )
    fitted = baselines.fit(data, "seasonal")
    assert any("168" in note or "week" in note for note in fitted.notes)
    with refuses("needs the value", "steps ago", "a window has 24 steps"):
        fitted.network()


def test_fit_refuses_what_score_leaves_out():
    data = kzoo.load_data("wine")
    with refuses("Unknown baseline 'treees'", "Did you mean 'trees'"):
        baselines.fit(data, "treees")
    with refuses("seconds=-1", "number >= 0"):
        baselines.fit(data, "trees", seconds=-1)
    single = replace(data, train=data.train.select(np.flatnonzero(data.train.y == 1)))
    with refuses("logistic regression cannot be fitted to wine", "single class"):
        baselines.fit(single, "logistic")


def test_little_time_means_fewer_rows():
    random = np.random.default_rng(0)
    x = random.normal(size=(6_000, 4)).astype("float32")
    data = kzoo.load_data((x, (x[:, 0] > 0).astype(int)))
    (trees,) = (b for b in baselines.list_baselines(data.problem) if b.name == "trees")
    few = trees.seconds(BaselineData(data, most=1_000))
    all_rows = trees.seconds(BaselineData(data))
    fitted, whole = (
        baselines.fit(data, "trees", seconds=limit) for limit in ((few + all_rows) / 2, all_rows)
    )
    assert whole.rows is None and 1_000 < fitted.rows < len(data.train)
    assert any("training rows" in note for note in fitted.notes)
    with refuses("takes about", "seconds="):
        baselines.fit(data, "trees", seconds=0)


def test_image_features_are_those_of_the_split(tmp_path):
    """They are cached by split; one that no longer exists must not lend its features to another."""
    data = small_data("photos", tmp_path)
    fitted = baselines.fit(data, "colors")
    everything, _ = fitted.predict(data.train)
    for row in range(20):
        assert np.allclose(
            fitted.predict(data.train.select(np.arange(row, row + 1)))[0], everything[row : row + 1]
        )
