"""`kzoo.sklearn`: scikit-learn's checks of estimators, its meta-estimators, tables with holes, runs and messages."""

import io
import os
import pickle
import random
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from importlib import import_module

import joblib
import numpy as np
import pandas as pd
import pytest
from messages import refuses, warns
from scipy import sparse
from shortcuts import undrawn, untraced
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import NotFittedError
from sklearn.inspection import permutation_importance
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import estimator_checks

import kzoo
from kzoo.sklearn import Classifier, Regressor

# A few steps: enough for the scores that scikit-learn's checks expect, 0.83 and an R2 of 0.5.
QUICK = dict(
    units=(32,),
    epochs=8,
    batch_size=64,
    learning_rate=0.1,
    optimizer="sgd",
    schedule="constant",
    dropout=0.0,
    callbacks="quick",
)


def classifier(**options):
    return Classifier("tabular_fnn", **QUICK | {"random_state": 0} | options)


def regressor(**options):
    return Regressor("tabular_fnn", **QUICK | {"random_state": 0} | options)


@pytest.fixture(autouse=True, scope="module")
def _quick():
    with ExitStack() as stack:
        stack.enter_context(untraced())
        stack.enter_context(undrawn())
        yield


def table(rows=120):
    """Return a DataFrame with numbers, whole numbers, a category, texts and booleans, with holes; and its classes."""
    rng = np.random.default_rng(0)
    size = rng.normal(size=rows)
    colour = rng.choice(["red", "green", "blue"], rows).astype(object)
    y = np.where(size + (colour == "red") > 0.5, "yes", "no")
    size[::7], colour[::11] = np.nan, None
    frame = pd.DataFrame(
        {
            "size": size,
            "id": np.arange(rows),
            "colour": colour,
            "shape": pd.Categorical.from_codes(rng.integers(-1, 2, rows), ["round", "square"]),
            "new": rng.random(rows) < 0.5,
            "height, in cm": pd.array(rng.integers(0, 9, rows), dtype="Int64"),
        }
    )
    return frame, y


@pytest.fixture(scope="module")
def fitted():
    """A classifier fitted on the table, with the folder and the temporary folder that it must leave as they were."""
    frame, y = table()
    with tempfile.TemporaryDirectory() as empty, pytest.MonkeyPatch.context() as patch:
        patch.chdir(empty)
        patch.setattr(tempfile, "tempdir", empty)
        yield classifier().fit(frame, y), set(os.listdir(empty))


# scikit-learn's own checks, which train about 90 networks each.
NOT_EQUIVALENT = {
    "check_sample_weight_equivalence_on_dense_data": "A row of weight 2 is a single row of a shuffled batch, two equal "
    "rows are two, and the batches and the validation rows after them are others. (Nor are 9 rows with a weight, as "
    "here, enough to train on.)"
}


@pytest.mark.slow
@estimator_checks.parametrize_with_checks(
    [classifier(random_state=None), regressor(random_state=None)],
    expected_failed_checks=lambda _: NOT_EQUIVALENT,
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
@pytest.mark.parametrize("make", [classifier, regressor])
@pytest.mark.parametrize(
    "name",
    [
        "check_estimator_cloneable",
        "check_estimator_repr",
        "check_no_attributes_set_in_init",
        "check_mixin_order",
        "check_parameters_default_constructible",
        "check_get_params_invariance",
        "check_set_params",
        "check_do_not_raise_errors_in_init_or_set_params",
        "check_estimators_unfitted",
        "check_valid_tag_types",
        "check_estimators_empty_data_messages",
        "check_complex_data",
        "check_estimator_sparse_tag",
        "check_fit1d",
        "check_fit2d_1sample",
        "check_requires_y_none",
        "check_supervised_y_no_nan",
        "check_all_zero_sample_weights_error",
        "check_n_features_in_after_fitting",
        "check_dict_unchanged",
        "check_fit2d_predict1d",
    ],
)
def test_scikit_learn_checks_of_parameters_and_messages(make, name):
    estimator = make(random_state=None, epochs=1)
    getattr(estimator_checks, name)(type(estimator).__name__, estimator)


@pytest.mark.parametrize(
    ("make", "name"),
    [(classifier, "check_classifiers_train"), (regressor, "check_regressors_train")],
)
def test_scikit_learn_checks_of_training(make, name):
    getattr(estimator_checks, name)(type(make()).__name__, make())


# Parameters


def test_settings_are_parameters():
    units = [8]
    estimator = Classifier("tabular_tabm", units=units, random_state=3)
    assert estimator.get_params() == {
        "preset": "tabular_tabm",
        "random_state": 3,
        "validation_fraction": 0.1,
        "columns": None,
        "verbose": False,
        "units": [8],
    }
    assert estimator.units is units and estimator.get_params()["units"] is units
    assert clone(estimator.set_params(dropout=0.5)).dropout == 0.5
    estimator.epochs = 2  # as plain attributes are set
    assert estimator.get_params()["epochs"] == 2 and clone(estimator).epochs == 2
    with pytest.raises(AttributeError, match="patience"):
        estimator.patience  # noqa: B018
    with refuses("learning_rat", "learning_rate", "Classifier"):
        estimator.set_params(learning_rat=1)


def test_settings_reach_the_network(fitted):
    estimator, _ = fitted
    training = estimator.to_run("run").spec.training
    assert training["epochs"] == estimator.n_iter_ == 8
    assert estimator.to_run("again").spec.config["units"] == [32]
    assert training["learning_rate"] == 0.1


# Tables


def test_a_table_with_holes_and_categories(fitted, monkeypatch):
    estimator, files = fitted
    frame, y = table()
    assert files == set()
    assert estimator.score(frame, y) > 0.8
    assert estimator.classes_.tolist() == ["no", "yes"] and estimator.n_features_in_ == 6
    assert estimator.feature_names_in_.tolist() == list(frame)
    probabilities = estimator.predict_proba(frame)
    assert probabilities.shape == (len(frame), 2)
    assert (estimator.classes_[probabilities.argmax(axis=1)] == estimator.predict(frame)).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    rows = [5, 0, 77]  # the other rows, and an index of one's own, change nothing
    assert (estimator.predict_proba(frame.iloc[rows]) == probabilities[rows]).all()
    read = {
        column["name"]: column["kind"]
        for column in estimator.to_run("run").preprocessing["columns"]
    }
    assert read["id"] == read["size"] == "number"  # kzoo.load_data leaves columns of this name out
    assert read["colour"] == read["shape"] == "category"
    sizes, predict = [], import_module("kzoo.evaluation.predict")
    monkeypatch.setattr(
        predict, "forward", lambda model, x, size, views: sizes.append(size) or np.ones((len(x), 2))
    )
    estimator.predict(frame[:3]), estimator.predict(frame)
    assert sizes == [128, 128]  # the last bits depend on the number of rows


def test_a_regression_of_a_table_with_holes_and_categories():
    frame, y = table()
    values = 1000 + 50 * (y == "yes") + 10 * frame["id"]
    estimator = regressor().fit(frame, values)
    expected = estimator.predict(frame)
    assert estimator.score(frame, values) > 0.8 and expected.shape == (len(frame),)
    assert (pickle.loads(pickle.dumps(estimator)).predict(frame[-3:]) == expected[-3:]).all()
    with refuses("infinity", "'size'"):
        estimator.fit(frame.assign(size=np.inf), values)
    with pytest.raises(NotFittedError):  # its columns may no longer be those of the network
        estimator.predict(frame)


def test_rows_of_numbers_and_texts():
    frame, y = table()
    rows = frame[["size", "colour"]].fillna({"colour": "none"}).to_numpy().tolist()
    estimator = classifier().fit(rows, y)
    assert estimator.score(rows, y) > 0.8 and not hasattr(estimator, "feature_names_in_")
    assert (estimator.predict(np.array(rows, dtype=object)) == estimator.predict(rows)).all()


@pytest.mark.parametrize(
    "y",
    [
        np.repeat([-1, 7], 15),
        np.repeat([0.0, 2.0], 15),
        np.repeat([True, False], 15),
        np.array(["b", "a ", "NA"] * 10, dtype=object),
        pd.Series(["x", "nan"] * 15, dtype="category"),
    ],
    ids=str,
)
def test_classes_keep_their_type(y):
    x = np.random.default_rng(0).normal(size=(len(y), 2))
    estimator = classifier(epochs=1).fit(x, y)
    assert estimator.classes_.tolist() == sorted(set(np.asarray(y).tolist()))
    assert set(estimator.predict(x).tolist()) <= set(estimator.classes_.tolist())


def test_a_class_with_a_single_row():
    x, y = load_iris(return_X_y=True)
    estimator = classifier().fit(x[:101], y[:101])
    assert estimator.classes_.tolist() == [0, 1, 2]
    assert estimator.score(x[:100], y[:100]) > 0.9


def test_several_targets():
    x, y = load_diabetes(return_X_y=True, as_frame=True)
    both = pd.DataFrame({"bmi": y, "inverse": -y})  # a column of x has this name
    estimator = regressor().fit(x, both)
    values = estimator.predict(x)
    assert values.shape == both.shape and values.dtype == np.float64
    assert np.corrcoef(values.T)[0, 1] < -0.9
    assert estimator.to_run("run").data.target_names == ("bmi_", "inverse")
    assert estimator.score(x, both) > 0.3


def test_rows_of_weight_zero_are_left_out():
    x, y = load_iris(return_X_y=True)
    weight = np.repeat([1.0, 2.0], 75)
    estimator = classifier().fit(x, y, weight)
    without = None
    more = np.concatenate([x, np.full((40, 4), 1e6)])
    without = classifier().fit(
        more, np.concatenate([y, np.zeros(40)]), np.concatenate([weight, np.zeros(40)])
    )
    assert (estimator.predict_proba(x) == without.predict_proba(x)).all()
    unweighted = classifier().fit(x, y)
    assert (unweighted.predict_proba(x) != estimator.predict_proba(x)).any()


def test_fit_draws_no_curves(monkeypatch):
    # drawing them would fail
    monkeypatch.setattr(sys.modules["kzoo.training.train"], "curves", None)
    Classifier("tabular_fnn", epochs=1, units=4).fit([[0.0], [1.0]] * 20, [0, 1] * 20)


def test_the_same_random_state_gives_the_same_network():
    x, y = load_iris(return_X_y=True)
    random.seed(5)
    np.random.seed(5)
    expected = random.random(), np.random.random()
    random.seed(5)
    np.random.seed(5)
    first = classifier(epochs=2).fit(x, y).predict_proba(x)
    assert (random.random(), np.random.random()) == expected  # those of the caller go on
    assert (classifier(epochs=2).fit(x, y).predict_proba(x) == first).all()
    assert (classifier(epochs=2, random_state=1).fit(x, y).predict_proba(x) != first).any()
    generators = [np.random.RandomState(0) for _ in range(2)]
    one, other = (
        classifier(epochs=2, random_state=generator).fit(x, y).predict_proba(x)
        for generator in generators
    )
    assert (one == other).all()


# Files


def test_pickle_and_joblib(fitted):
    estimator, _ = fitted
    frame, _ = table()
    expected = estimator.predict_proba(frame)
    stored = pickle.dumps(estimator)
    assert b"best.keras" in stored
    file = io.BytesIO()
    joblib.dump(estimator, file)
    file.seek(0)
    for copy in (pickle.loads(stored), joblib.load(file)):
        assert (copy.predict_proba(frame) == expected).all()
        assert copy.get_params() == estimator.get_params()
    code = (
        "import pickle, sys; model = pickle.load(sys.stdin.buffer); assert 'keras' not in sys.modules; "
        "print(model.classes_.tolist())"
    )
    done = subprocess.run([sys.executable, "-c", code], input=stored, capture_output=True)
    assert done.stdout.split() == b"['no', 'yes']".split(), done.stderr[-2000:]


def test_a_damaged_pickle_is_refused(fitted):
    estimator, _ = fitted
    damaged = pickle.loads(pickle.dumps(estimator))
    damaged._run.files["best.keras"] = damaged._run.files["best.keras"][:-100]
    with refuses("the estimator"):
        damaged.predict(table()[0])
    damaged._run.files["config.json"] = b"{"
    with refuses("config.json", "fit it again"):
        pickle.loads(pickle.dumps(damaged)).predict(table()[0])


def test_an_estimator_becomes_a_run_and_the_run_an_estimator(fitted):
    estimator, _ = fitted
    frame, y = table()
    run = estimator.to_run("run")
    expected = estimator.predict_proba(frame)
    predictions = kzoo.predict(run, frame)
    np.testing.assert_allclose(predictions.probabilities, expected, rtol=1e-6)
    assert predictions.labels == estimator.predict(frame).tolist()
    with warns("trained on", "too optimistic"):  # the run knows its rows
        accuracy = kzoo.evaluate(run, (frame, y))["accuracy"]
    assert accuracy == pytest.approx(estimator.score(frame, y))
    again = Classifier.from_run("run")
    assert (again.predict_proba(frame) == expected).all()
    assert again.feature_names_in_.tolist() == list(frame) and again.classes_.tolist() == [
        "no",
        "yes",
    ]
    assert again.get_params() == estimator.get_params() | {"units": [32], "columns": again.columns}
    assert (clone(again).fit(frame, y).predict_proba(frame) == expected).all()
    with refuses("run", "new folder"):
        estimator.to_run("run")


def test_a_run_of_arrays_and_a_regression_become_estimators():
    x, y = load_breast_cancer(return_X_y=True)
    run = kzoo.train("tabular_fnn", (x, y), out="arrays", epochs=1, progress=False)
    estimator = Classifier.from_run(run)
    assert estimator.classes_.tolist() == [0, 1] and estimator.n_features_in_ == 30
    np.testing.assert_allclose(
        estimator.predict_proba(x), kzoo.predict(run, x).probabilities, rtol=1e-5
    )
    data = load_diabetes(as_frame=True).frame
    run = kzoo.train(
        "tabular_fnn", data, target="target", drop="s6", out="table", epochs=1, progress=False
    )
    regression = Regressor.from_run(run)
    x = data[regression.feature_names_in_]
    assert "s6" not in x and "target" not in x
    np.testing.assert_allclose(
        regression.predict(x), kzoo.predict(run, data).values[:, 0], rtol=1e-5
    )
    with refuses("table", "regression", "Classifier", "kzoo.predict"):
        Classifier.from_run(run)


def test_classes_of_a_run_are_in_order():
    """scikit-learn's scorers take the columns of `predict_proba` in the order of sorted classes."""
    x, y = load_iris(return_X_y=True, as_frame=True)
    frame = x.assign(label=np.array(["9", "10", "11"])[y])
    run = kzoo.train("tabular_fnn", frame, target="label", out="run", epochs=1, progress=False)
    estimator = Classifier.from_run(run)
    assert list(run.class_names) == ["10", "11", "9"]
    assert estimator.classes_.tolist() == [9, 10, 11]
    predictions = kzoo.predict(run, x)
    np.testing.assert_allclose(
        estimator.predict_proba(x), predictions.probabilities[:, [2, 0, 1]], rtol=1e-5
    )
    assert list(map(str, estimator.predict(x))) == predictions.labels


# Meta-estimators


def test_a_grid_search_in_a_pipeline_with_a_column_transformer():
    frame, y = table()
    frame = frame[["size", "colour", "shape"]]
    encode = make_column_transformer(
        (StandardScaler(), ["size"]),
        (OneHotEncoder(sparse_output=False), ["colour"]),
        remainder="passthrough",
    )
    encode.set_output(transform="pandas")
    encode.set_params(verbose_feature_names_out=False)
    pipeline = make_pipeline(encode, classifier())
    grid = {"classifier__learning_rate": [1e-6, 0.05], "classifier__weight_decay": [0.0]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(frame, y)
    assert search.best_params_["classifier__learning_rate"] == 0.05
    assert search.best_score_ > 0.8
    best = search.best_estimator_[-1]
    assert {"size", "shape", "colour_red"} <= set(best.feature_names_in_)
    assert pickle.loads(pickle.dumps(search)).score(frame, y) == search.score(frame, y)


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one():
    frame, y = table()
    with untraced(eagerly=False):  # as in the other processes
        one, two = (
            GridSearchCV(classifier(), {"learning_rate": [1e-6, 0.1]}, cv=2, n_jobs=jobs).fit(
                frame, y
            )
            for jobs in (1, 2)
        )
    np.testing.assert_allclose(
        one.cv_results_["mean_test_score"], two.cv_results_["mean_test_score"], atol=0.02
    )
    assert one.best_params_ == two.best_params_ == {"learning_rate": 0.1}


def test_calibration_importance_and_scorers(fitted):
    estimator, _ = fitted
    frame, y = table()
    importance = permutation_importance(
        estimator, frame, y, n_repeats=1, random_state=0
    ).importances_mean
    assert importance.argmax() == 0 and importance[2] > importance[[1, 4]].max()
    calibrated = CalibratedClassifierCV(classifier(), cv=2, ensemble=False).fit(frame, y)
    assert calibrated.score(frame, y) > 0.8
    assert cross_val_score(classifier(), frame, y, cv=2, scoring="roc_auc").mean() > 0.8


# Messages

X = np.random.default_rng(0).normal(size=(12, 3))
Y = np.arange(12) % 2


@pytest.mark.parametrize(
    ("act", "parts"),
    [
        (lambda: Classifier("tabular_tabn").fit(X, Y), ("tabular_tabn", "tabular_tabm")),
        (lambda: Classifier(None).fit(X, Y), ("preset=None", "tabular_tabm")),
        (lambda: Classifier("digits_cnn").fit(X, Y), ("digits_cnn", "tables", "tabular_tabm")),
        (lambda: Classifier("tabular_fnn", epoch=3).fit(X, Y), ("epoch", "epochs")),
        (lambda: Classifier("tabular_fnn", out="runs").fit(X, Y), ("out",)),
        (lambda: Classifier("tabular_fnn", epochs="3").fit(X, Y), ("epochs='3'", "whole number")),
        (
            lambda: Classifier("tabular_fnn", validation_fraction=1.0).fit(X, Y),
            ("validation_fraction=1.0", "below 1"),
        ),
        (lambda: Classifier("tabular_fnn", columns=["x0"]).fit(X, Y), ("columns=['x0']", "dict")),
        (
            lambda: Classifier("tabular_fnn", columns={"x9": "category"}).fit(X, Y),
            ("x9", "x0, x1, x2"),
        ),
        (lambda: Classifier("tabular_fnn", random_state="a").fit(X, Y), ("'a'", "seed")),
        (
            lambda: Classifier().fit(sparse.csr_array(X), Y),
            ("sparse", "toarray()", "sparse_output=False"),
        ),
        (lambda: Classifier().fit(X[:9], Y[:9]), ("9 sample", "10")),
        (lambda: Classifier().fit(pd.DataFrame(X[:9]), Y[:9]), ("9 sample", "10")),
        (lambda: Classifier().fit(X, Y[:9]), ("X: 12", "y: 9")),
        (lambda: Classifier().fit(np.where(X > 1, np.inf, X), Y), ("infinity",)),
        (
            lambda: Classifier().fit(pd.DataFrame({"a": [1, np.inf] * 6}), Y),
            ("'a'", "infinity", "row 2"),
        ),
        (lambda: Classifier().fit(pd.DataFrame(X, columns=["a", "b", "a "]), Y), ("'a'", "unique")),
        (lambda: Classifier().fit(X, np.ones(12)), ("1.0", "two")),
        (lambda: Classifier().fit(X, np.where(Y, 1, None)), ("y", "None", "row 1")),
        (lambda: Classifier().fit(X, np.linspace(0, 1, 12)), ("continuous",)),
        (
            lambda: Classifier().fit(X, np.array(["a", 1] * 6, dtype=object)),
            ("int, str", "one type"),
        ),
        (lambda: Regressor().fit(X, np.array(["a"] * 12)), ("'a'",)),
        (lambda: Regressor().fit(X, np.where(Y, np.nan, 1)), ("y", "NaN")),
        (lambda: Classifier().fit(X, Y, np.ones(3)), ("sample_weight", "12", "(3,)")),
        (lambda: Classifier().fit(X, Y, -np.ones(12)), ("sample_weight", "-1", "row 1")),
        (lambda: Classifier().fit(X, Y, Y), ("class 0", "sample_weight")),
        (lambda: Classifier().fit(X, Y, np.repeat([0, 1], 6)), ("sample_weight", "6", "10")),
        (lambda: Classifier().set_params(unit=3), ("'unit'", "'units'")),
        (lambda: Classifier.from_run("nowhere"), ("nowhere", "does not exist")),
    ],
)
def test_each_wrong_input_is_refused_in_one_line(act, parts):
    with refuses(*parts, error=ValueError) as caught:
        act()
    assert len(str(caught.value).splitlines()) == 1


def test_wrong_inputs_of_a_fitted_estimator(fitted):
    estimator, _ = fitted
    frame, _ = table()
    with refuses("size", error=ValueError):
        estimator.predict(frame.drop(columns="size"))
    with refuses("same order", error=ValueError):
        estimator.predict(frame[frame.columns[::-1]])
    with refuses("'size'", "infinity", "row 1"):
        estimator.predict(frame.assign(size=np.inf))
    with refuses("0 sample"):
        estimator.predict(frame.iloc[:0])
    with pytest.warns(kzoo.utils.errors.KzooWarning, match="purple"):
        estimator.predict(frame.assign(colour="purple"))
    with pytest.raises(NotFittedError):
        classifier().to_run("unfitted")


def test_importing_it_imports_no_keras_and_kzoo_imports_no_scikit_learn():
    code = (
        "import sys, kzoo; assert 'sklearn' not in sys.modules; kzoo.sklearn.Classifier; "
        "assert not {'keras', 'tensorflow', 'matplotlib'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
