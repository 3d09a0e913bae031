"""Columns that give the target away are reported; columns that predict it honestly are not."""

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions
from sklearn import datasets
from small_models import CANCER, DIABETES, IRIS, dense, find, finding_of

import kzoo

CLASS, VALUE = "column_gives_class_away", "column_gives_value_away"


def cancer():
    frame = datasets.load_breast_cancer(as_frame=True).frame
    return frame.assign(target=np.where(frame["target"] == 1, "benign", "malignant"))


@pytest.mark.parametrize(
    "leak",
    [
        lambda y: y,  # a code
        lambda y: np.where(y == "benign", "home", "ward"),  # a category
        lambda y: pd.Series(np.where(y == "benign", np.nan, 1.5)),  # filled in for one class only
        # a number along sorted rows
        lambda y: np.argsort(np.argsort(y, kind="stable"), kind="stable") * 10.0,
    ],
)
def test_a_column_made_from_the_class(leak):
    frame = cancer()
    frame.insert(3, "sent to", leak(frame["target"]))
    finding = finding_of(CLASS, "tabular_fnn", frame, target="target")
    assert finding.level == "warning" and "'sent to" in finding.where
    assert_mentions(finding.fix, "drop=")
    assert find(CLASS, "tabular_fnn", frame, target="target", drop=("sent to",)) == []


def test_a_flag_that_is_nearly_always_right():
    random, (x, y) = np.random.default_rng(0), CANCER
    flag = np.where(random.random(len(y)) < 0.002, 1 - y, y)
    assert finding_of(CLASS, dense(31, 2), (np.column_stack([x, flag]), y))
    noisy = np.where(random.random(len(y)) < 0.05, 1 - y, y)
    assert find(CLASS, dense(31, 2), (np.column_stack([x, noisy]), y)) == []


def test_good_predictors_are_not_reported():
    x, y = IRIS
    assert find(CLASS, "iris_fnn") == []
    setosa = (y == 0).astype(int)  # petal length and width both tell it without a mistake
    assert find(CLASS, dense(4, 2), (x, setosa)) == []


def test_classes_that_every_column_predicts():
    x, y = datasets.make_blobs(300, 5, centers=2, cluster_std=0.5, random_state=0)
    assert find(CLASS, dense(5, 2), (x, y)) == []


def test_the_target_in_another_unit():
    x, y = DIABETES
    finding = finding_of(
        VALUE, dense(11, 1, None, loss="mse"), (np.column_stack([x, 2.54 * y + 3]), y)
    )
    assert finding.level == "warning"
    assert_mentions(finding.where, "column 10")
    assert_mentions(finding.fix, "drop=")
    noise = np.random.default_rng(0).normal(size=len(y)) * y.std() * 0.1
    assert find(VALUE, dense(11, 1, None, loss="mse"), (np.column_stack([x, y + noise]), y)) == []
    assert find(VALUE, "diabetes_fnn") == find(VALUE, "line_fnn") == []


def test_the_whole_check_reports_a_leak():
    frame = cancer().assign(code=lambda f: (f["target"] == "benign") * 7)
    assert [f.check for f in kzoo.check("tabular_fnn", frame, target="target", deep=False)] == [
        CLASS
    ]


@pytest.mark.parametrize("text", [True, False])
def test_every_column_that_gives_the_class_away_is_named(text):
    frame = cancer().iloc[:, -6:]
    sick = frame["target"] == "malignant"
    frame.insert(0, "ward", np.where(sick, "a", "b") if text else np.where(sick, 3, 4))
    frame.insert(2, "paid", sick * 1000.0 + np.arange(len(frame)))
    frame.insert(4, "stay", sick * 50.0 + np.arange(len(frame)) / 20)
    finding = finding_of(CLASS, "tabular_fnn", frame, target="target")
    for text in (finding.what, finding.where):
        assert_mentions(text, "'ward'", "'paid'", "'stay'")
    assert_mentions(finding.what, "3 columns")
    assert "worst" not in finding.what  # no name of another column


def test_a_few_leaking_columns_are_named_among_many():
    frame = cancer()
    sick = frame["target"] == "malignant"
    frame.insert(2, "paid", sick * 1000.0 + np.arange(len(frame)))
    frame.insert(4, "stay", sick * 50.0 + np.arange(len(frame)) / 20)
    assert_mentions(finding_of(CLASS, "tabular_fnn", frame, target="target").what, "'paid', 'stay'")


def test_every_column_in_another_unit_is_named():
    x, y = DIABETES
    leaks = np.column_stack([x[:, :2], 2.54 * y + 3, x[:, 2:], -y])
    finding = finding_of(VALUE, dense(12, 1, None, loss="mse"), (leaks, y))
    for text in (finding.what, finding.where):
        assert_mentions(text, "'column 2', 'column 11'")
