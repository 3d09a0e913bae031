"""The previous model beside the winner of `auto` on newer data: thresholds of labels, and rows that it was trained on.

The faults to prevent: advice to keep a model whose score is too high, because it was trained on the test rows; and
labels that are decided by other thresholds than those of the models.
"""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_wine

import kzoo
from kzoo import baselines
from kzoo.auto.previous import options_of, previous_of
from kzoo.auto.scoring import PrimaryScore
from kzoo.data.options import DataOptions

LABELS = ["calm", "sad", "loud"]


def wine():
    frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=0, ignore_index=True)
    return frame.assign(target=frame.target.map({0: "a", 1: "b", 2: "c"}))


def moods(rows, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, 4))
    labels = {
        name: (x[:, i] + x[:, 3] + random.normal(0, 2, rows) > 1.5).astype(int)
        for i, name in enumerate(LABELS)
    }
    return pd.DataFrame(x, columns=list("abcd")).assign(**labels)


def update(previous, winner, source):
    """Return what `auto` states of two models on newer data."""
    options = options_of(previous, DataOptions())
    data = kzoo.load_data(source, target=list(previous.data.target_names))
    model = previous_of(previous, source, options, data)
    return model.compared_with(winner, SimpleNamespace(score=PrimaryScore(data), data=data))


def test_rows_that_the_previous_model_was_trained_on_are_named_and_it_is_not_advised_to_keep_it(
    tmp_path,
):
    frame = wine()
    previous = baselines.train("logistic", frame[:140], target="target", out=tmp_path / "old")
    winner = baselines.train("majority", frame, target="target", out=tmp_path / "new")
    trained = np.asarray(kzoo.load_data(frame[:140], target="target").train.rows)
    test = np.asarray(kzoo.load_data(frame, target="target").test.rows)
    shared = int(np.isin(test, trained).sum())
    assert shared > 10
    told = update(previous, winner, frame)
    assert (
        f"trained on about {shared} of these rows, so its score is too optimistic" in told["update"]
    )
    assert told["update"].endswith("Advice: none; compare on newer rows alone, with test=.")
    assert told["change"] is False and told["previous"]["high"] < 0
    newer = frame[140:].reset_index(drop=True)
    told = update(
        previous, baselines.train("majority", newer, target="target", out=tmp_path / "newer"), newer
    )
    assert (
        "trained on" not in told["update"] and "Advice: keep the previous model" in told["update"]
    )


def test_the_previous_models_own_data_in_another_split_is_refused(tmp_path):
    previous = baselines.train("logistic", wine(), target="target", out=tmp_path / "old")
    other = kzoo.load_data(wine(), target="target", seed=1)
    with pytest.raises(kzoo.KzooError, match="was trained on this data, split in another way"):
        previous_of(previous, wine(), options_of(previous, DataOptions(seed=1)), other)


def test_models_are_compared_by_the_objective_of_the_previous_one(tmp_path, capsys):
    frame = wine()
    costs = dict(cost={("a", "b"): 9}, decision="default")
    for settings, metric in ((dict(objective="auc"), "auc"), ({}, "accuracy"), (costs, "accuracy")):
        previous = baselines.train(
            "logistic", frame, target="target", out=tmp_path / metric, overwrite=True, **settings
        )
        plan = kzoo.tune("auto", frame, previous=previous, dry_run=True)
        assert plan.metric == metric
        assert ("trained for expected_cost" in capsys.readouterr().err) == (settings is costs)
    assert (
        kzoo.tune("auto", frame, previous=tmp_path / "auc", objective="f1", dry_run=True).metric
        == "f1"
    )


def test_labels_are_decided_by_the_thresholds_of_each_model(tmp_path):
    previous = baselines.train("logistic", moods(300, 0), target=LABELS, out=tmp_path / "old")
    newer = moods(400, 1)
    winner = baselines.train("trees", newer, target=LABELS, out=tmp_path / "new")
    assert previous.target.thresholds != pytest.approx(winner.target.thresholds)
    test = newer.iloc[np.asarray(kzoo.load_data(newer, target=LABELS).test.rows)]
    old = kzoo.evaluate(previous, test)["f1_macro"]
    told = update(previous, winner, newer)
    assert (
        f"f1 macro {old:.4f}; new model: {winner.summary['test']['f1_macro']:.4f}" in told["update"]
    )
    assert told["previous"]["mean"] == pytest.approx(
        winner.summary["test"]["f1_macro"] - old, abs=1e-6
    )
