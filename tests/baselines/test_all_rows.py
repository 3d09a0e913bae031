"""Baselines that are fitted again to the training and validation rows, with the choices of their first fit."""

from types import SimpleNamespace

import numpy as np
import pytest

import kzoo
from kzoo import baselines
from kzoo.auto.candidates import Candidate
from kzoo.auto.contender import Contender
from kzoo.auto.final_fit import FinalFit
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.data.store.pooled import Rows
from kzoo.utils.optional import is_installed


@pytest.mark.parametrize(
    ("source", "name", "preset"),
    [
        ("wine", "majority", "wine_fnn"),
        ("wine", "logistic", "wine_fnn"),
        ("wine", "trees", "wine_fnn"),
        ("wine", "lightgbm", "wine_fnn"),
        ("wine", "catboost", "wine_fnn"),
        ("diabetes", "ridge", "diabetes_fnn"),
        ("sine", "ridge_windows", "series_linear"),
    ],
)
def test_choices_are_kept_and_all_rows_are_learned_from(source, name, preset):
    if not is_installed(name) and name in ("lightgbm", "catboost"):
        name = "trees"
    data = kzoo.load_data(source, preset=preset)
    first = baselines.fit(data, name)
    again = baselines.fit(data, name, all_rows=True)
    assert again.choices == first.choices and set(first.notes) <= set(again.notes)
    assert (
        len(again.data.train) == len(data.train) + len(data.validation)
        and again.data.validation is None
    )
    before, after = first.predict(data.test)[0], again.predict(data.test)[0]
    assert before.shape == after.shape and not np.array_equal(before, after)
    network = np.asarray(again.network()(np.asarray(data.test.x[:]))).reshape(after.shape)
    assert network == pytest.approx(after, rel=1e-3, abs=1e-4 * float(np.abs(after).max()))


def test_shares_of_classes_are_those_of_all_rows():
    data = kzoo.load_data("wine", validation=0.3)
    y = np.concatenate([np.asarray(data.train.y), np.asarray(data.validation.y)])
    shares = baselines.fit(data, "majority", all_rows=True).predict(data.test)[0][0]
    assert shares == pytest.approx(np.bincount(y) / len(y))


def test_the_baseline_that_auto_chooses_is_fitted_to_all_rows(tmp_path):
    data = kzoo.load_data("wine", validation=0.3)
    development = len(data.train) + len(data.validation)
    truth = np.concatenate([np.asarray(data.train.y), np.asarray(data.validation.y)])
    outputs = np.full((development, 3), 1 / 3, "float32")
    judged = Answers(outputs=outputs, truth=truth, rows=np.arange(development))
    presets = [Candidate(name="wine_fnn", label="wine_fnn")]
    schedule = SimpleNamespace(
        folder=tmp_path, data=data, score=PrimaryScore(data), presets=presets, seed=0
    )
    contender = Contender(
        Candidate(name="majority", label="most frequent class", is_baseline=True), None
    )
    run = FinalFit(schedule, data, None, 0).fit_baseline(
        contender, data, tmp_path / "run", [judged, judged]
    )
    assert np.asarray(run.model(np.asarray(data.test.x[:1])))[0] == pytest.approx(
        np.bincount(truth) / development
    )
    assert "validation" not in run.summary  # it was fitted to these rows
    step = run.postprocessing[-1]
    assert (step["name"], step["rows"], step["learned"]["count"]) == (
        "conformal",
        "out of fold",
        development,
    )
    assert run.config["statistics"] is not None and kzoo.report(run).is_file()


def test_no_rows_of_two_splits_are_an_empty_array():
    parts = [np.ones((3, 2), "float32"), np.zeros((2, 2), "float32")]
    assert Rows(parts, [4, 0])[:].tolist() == [[0, 0], [1, 1]]
    for empty in (Rows(parts, np.zeros(0, int))[:], Rows(parts, [4, 0])[:0]):
        assert (empty.shape, empty.dtype) == ((0, 2), "float32")
