"""Scores of classes against scikit-learn's, which takes many times as long."""

import numpy as np
import pytest
from messages import assert_mentions, refuses
from sklearn import metrics

from kzoo.problems import tasks
from kzoo.problems.tasks import Target
from kzoo.zoo.results import displayed_metric

CLASSES = tasks.problem("tabular_classification").task


@pytest.mark.parametrize(("rows", "classes"), [(40, 2), (300, 3), (500, 10)])
def test_f1_and_auc_are_those_of_scikit_learn(rows, classes, monkeypatch):
    """With ties among the scores, some classes at a time, and where a class is never answered or does not occur."""
    monkeypatch.setattr(CLASSES.scoring, "_RANKED_AT_ONCE", 2_000)
    random = np.random.default_rng(rows)
    truth = np.concatenate([np.arange(classes), random.integers(0, classes, rows)])
    p = random.random((len(truth), classes)).round(1) + 0.01
    p[:, -1] /= 20
    p /= p.sum(axis=1, keepdims=True)
    drawn = [1] if classes == 2 else range(classes)
    auc = np.mean([metrics.roc_auc_score(truth == c, p[:, c]) for c in drawn])
    for truth_of_some, area in ((truth, auc), (np.where(truth == classes - 1, 0, truth), None)):
        scores = CLASSES.scoring.score([(p, truth_of_some)], None, logits=False).scores
        f1 = metrics.f1_score(truth_of_some, p.argmax(-1), average="macro", zero_division=0)
        assert scores["f1"] == pytest.approx(f1, abs=1e-12)
        assert scores["auc"] == (area if area is None else pytest.approx(area, abs=1e-12))


def test_scores_that_are_nan_are_refused():
    p = np.array([[0.5, 0.5], [0.5, np.nan]])
    with refuses("nan", error=ValueError):
        CLASSES.scoring.score([(p, np.array([0, 1]))], None, logits=False)


def rare(share, rows=3_000, decimals=2):
    random = np.random.default_rng(1)
    truth = (np.arange(rows) < share * rows).astype(int)
    sure = np.clip(random.normal(0.3 + 0.3 * truth, 0.2), 0, 1).round(decimals)  # with ties
    return truth, np.stack([1 - sure, sure], axis=1)


@pytest.mark.parametrize("turned", [False, True])
def test_average_precision_of_a_rare_class_is_that_of_scikit_learn_and_is_displayed(turned):
    truth, p = rare(0.006)
    expected = metrics.average_precision_score(truth, p[:, 1])
    if turned:  # the rare class may come first
        truth = 1 - truth
        p = p[:, ::-1]
    scores = CLASSES.scoring.score([(p, truth)], None, logits=False).scores
    assert (
        scores["average_precision"] == pytest.approx(expected, abs=1e-12)
        and scores["accuracy"] > 0.8
    )
    assert (
        displayed_metric("accuracy", scores, CLASSES) == "average_precision"
        and displayed_metric("f1", scores, CLASSES) == "f1"
    )
    (sentence,) = CLASSES.scoring.doubts(scores)
    assert_mentions(sentence, "0.6 %", "accuracy", "average precision", "0.5")
    parts = CLASSES.scoring.headline(scores, Target(), split="test ")
    assert_mentions(parts["label"], "average precision", "3,000 test examples")
    assert_mentions(parts["sentence"], "average precision", "0.0060")
    assert parts["scale"] is None and parts["useless"] is None


def test_of_other_data_accuracy_is_displayed():
    truth, p = rare(0.2)
    three = np.concatenate([p, np.zeros((len(p), 1))], axis=1)
    for answers, truth_of_some in ((p, truth), (three, truth), (p, np.zeros_like(truth))):
        scores = CLASSES.scoring.score([(answers, truth_of_some)], None, logits=False).scores
        assert (
            "average_precision" not in scores
            and displayed_metric("accuracy", scores, CLASSES) == "accuracy"
        )
        assert CLASSES.scoring.doubts(scores) == []
