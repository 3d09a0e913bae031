"""Scores of classes against scikit-learn's, which takes many times as long."""

import numpy as np
import pytest
from sklearn import metrics

from kzoo import tasks

CLASSES = tasks.problem("tabular_classification").task


@pytest.mark.parametrize(("rows", "classes"), [(40, 2), (300, 3), (500, 10)])
def test_f1_and_auc_are_those_of_scikit_learn(rows, classes, monkeypatch):
    """With ties among the scores, some classes at a time, and where one is never answered or does not occur."""
    monkeypatch.setattr(CLASSES.scoring, "_AT_A_TIME", 2_000)
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


def test_scores_that_are_not_numbers_are_no_answer():
    p = np.array([[0.5, 0.5], [0.5, np.nan]])
    with pytest.raises(ValueError, match="nan"):
        CLASSES.scoring.score([(p, np.array([0, 1]))], None, logits=False)
