"""Gradient-boosted trees stop by validation rows, and a fit to all rows has as many more rounds as it has rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

import kzoo
from kzoo import baselines

OPTIONS = dict(learning_rate=0.05, max_leaf_nodes=15, l2_regularization=10.0, random_state=0)


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    rows = 1_200
    size = rng.normal(size=rows)
    town = rng.integers(0, 40, rows)
    chance = size + 0.8 * (town % 3 == 0) + rng.normal(0, 1.5, rows)
    frame = pd.DataFrame(
        {"size": size, "town": [f"t{n}" for n in town], "y": np.where(chance > 0.5, "yes", "no")}
    )
    return kzoo.load_data(frame, target="y", validation=0.2)


def test_rounds_are_those_with_the_smallest_loss_on_validation_rows(data):
    fitted = baselines.fit(data, "trees")
    ((rounds, learned_from, _),) = fitted.choices
    assert learned_from == len(data.train)
    model = HistGradientBoostingClassifier(
        **OPTIONS, max_iter=rounds + 50, early_stopping=False, categorical_features=[False, True]
    ).fit(data.train.x, data.train.y)
    losses = [log_loss(data.validation.y, p) for p in model.staged_predict_proba(data.validation.x)]
    assert losses[rounds - 1] == pytest.approx(min(losses), abs=1e-5)
    stages = list(model.staged_predict_proba(data.test.x))
    assert fitted.predict(data.test)[0] == pytest.approx(stages[rounds - 1], abs=1e-6)


def test_a_fit_to_all_rows_has_more_rounds(data):
    again = baselines.fit(data, "trees", all_rows=True)
    ((rounds, learned_from, _),) = again.choices
    x, y = (
        np.concatenate([getattr(data.train, name)[:], getattr(data.validation, name)[:]])
        for name in ("x", "y")
    )
    more = round(rounds * len(x) / learned_from)
    assert more > rounds
    model = HistGradientBoostingClassifier(
        **OPTIONS, max_iter=more, early_stopping=False, categorical_features=[False, True]
    ).fit(x, y)
    outputs = again.predict(data.test)[0]
    assert outputs == pytest.approx(model.predict_proba(data.test.x), abs=1e-6)
    network = again.network().predict(data.test.x, verbose=0)
    assert network == pytest.approx(outputs, abs=1e-5)


def test_few_validation_rows_stop_nothing(data):
    few = kzoo.load_data("iris")
    fitted = baselines.fit(few, "trees")
    assert fitted.choices == ((None, 0, None),)
    model = HistGradientBoostingClassifier(max_iter=100, early_stopping=False, random_state=0)
    model.fit(few.train.x, few.train.y)
    assert fitted.predict(few.test)[0] == pytest.approx(model.predict_proba(few.test.x), abs=1e-6)
    # rows that were all learned from at once have no validation rows either
    assert baselines.fit(few, "trees", all_rows=True).choices == ((None, 0, None),)


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_categories_are_splits_of_the_network(data, name):
    pytest.importorskip(name)
    fitted = baselines.fit(data, name, all_rows=True)
    outputs = fitted.predict(data.test)[0]
    assert fitted.network().predict(data.test.x, verbose=0) == pytest.approx(outputs, abs=1e-5)
    others = np.array(data.test.x[:60])
    others[:, 1] = np.resize(np.arange(data.config["categories"][0]), 60)
    networks = fitted.network().predict(others, verbose=0)
    assert np.ptp(networks[:, 1]) > 0.05
