"""scikit-learn's tools over a preset, and claims of the recipes about validation."""

import keras
import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_wine
from sklearn.model_selection import StratifiedKFold, cross_val_score
from sklearn.preprocessing import StandardScaler


@pytest.fixture
def recipe(smoke):
    return smoke("practice/scikit_learn").left


def test_the_grid_search_is_over_settings_of_the_preset(recipe):
    search, rows = recipe["search"], recipe["rows"]
    best = max(rows, key=lambda row: row["accuracy"])
    chosen = search.best_params_["net__model_kwargs"]
    assert chosen == {name: best[name] for name in ("learning_rate", "dropout")}
    model = search.best_estimator_["net"].model_
    assert model.name == "wine_fnn" and float(model.optimizer.learning_rate) == pytest.approx(
        chosen["learning_rate"]
    )
    rates = [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    assert rates and set(rates) == {chosen["dropout"]}
    assert set(search.predict(recipe["X_test"])) <= {"class_0", "class_1", "class_2"}
    right = search.predict(recipe["X_test"]) == recipe["y_test"]
    assert recipe["test_accuracy"] == pytest.approx(right.mean())


def test_each_fold_is_scaled_by_its_training_rows(recipe):
    x = recipe["X"]
    y = recipe["y"]
    seen = []

    class Watched(StandardScaler):
        def fit(self, X, y=None, sample_weight=None):
            seen.append(np.asarray(X).mean(axis=0))
            return super().fit(X, y, sample_weight)

    pipeline = clone(recipe["pipeline"]).set_params(scale=Watched())
    cross_val_score(pipeline, x, y, cv=recipe["folds"], params=recipe["fit"])
    wanted = [x[train].mean(axis=0) for train, _ in recipe["folds"].split(x, y)]
    np.testing.assert_allclose(seen, wanted)


def test_the_preset_learns_inside_the_pipeline(recipe):
    wine = load_wine()
    pipeline = clone(recipe["pipeline"]).set_params(net__model_kwargs={"learning_rate": 0.01})
    fit = dict(net__epochs=15, net__batch_size=16, net__verbose=0)
    scores = cross_val_score(pipeline, wine.data, wine.target, cv=StratifiedKFold(2), params=fit)
    assert scores.min() > 0.9


def test_the_wrapper_of_keras_has_the_faults_that_the_recipe_works_around():
    """When a check fails, Keras has been repaired and the recipe can be shorter."""
    wrapper = keras.wrappers.SKLearnClassifier(
        lambda X, y: None, fit_kwargs={"epochs": 3}, model_kwargs={"seed": 1}
    )
    assert clone(wrapper).fit_kwargs is None and clone(wrapper).model_kwargs == {"seed": 1}
    assert not hasattr(wrapper, "predict_proba")
    with pytest.raises((AttributeError, ValueError)):
        wrapper.set_params(model__seed=2)


@pytest.mark.slow
def test_the_mean_of_folds_is_that_of_their_scores(smoke):
    names = smoke("practice/cross_validation").left
    rows = {row["what"]: row for row in names["rows"]}
    folds = names["scores"]["wine"]["one fold"]
    assert [row["count"] for row in names["rows"]] == [2, 4, 2]
    assert (
        rows["one fold"]["mean"]
        == pytest.approx(rows["mean of 2 folds"]["mean"])
        == pytest.approx(np.mean(folds))
    )
    assert names["scores"]["wine"]["mean of 2 folds"] == pytest.approx(
        [np.mean(folds[:2]), np.mean(folds[2:])]
    )
    assert names["result"]["out_of_fold"]["rows"].tolist() == list(range(178))
