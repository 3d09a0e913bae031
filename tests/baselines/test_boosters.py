"""LightGBM and CatBoost as baselines: their networks compute the same, with categories, classes, labels and counts.

The faults to prevent: a split of categories that is read the wrong way round, and an optional package that kzoo needs.
"""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from messages import assert_mentions
from test_baselines import shop
from test_fitted import close, emotions, visits

import kzoo
from kzoo import baselines
from kzoo.baselines import boosters
from kzoo.data.store.pooled import with_all_rows

DATA = {
    "binary": lambda: kzoo.load_data("breast_cancer"),
    "classes": lambda: kzoo.load_data(shop(), target="kind", drop="rent"),
    "values": lambda: kzoo.load_data(shop(), target=["price", "rent"]),
    "labels": emotions,
    "counts": visits,
}


@pytest.mark.parametrize("source", DATA)
@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_network_computes_what_the_library_predicts(name, source):
    pytest.importorskip(name)
    fitted = baselines.fit(data := DATA[source](), name)
    network = fitted.network()
    for part in (data.test, data.train):
        assert close(network.predict(part.x, verbose=0), fitted.predict(part)[0])


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_categories_that_training_has_not_seen_go_the_same_way(name):
    pytest.importorskip(name)
    random = np.random.default_rng(0)
    frame = shop(600).drop(columns=["price", "rent"])
    frame["colour"] = random.choice(list("abcdefghij"), 600)
    frame["sold"] = np.where(
        (frame["size"].fillna(0) > 50) ^ frame["colour"].isin(["a", "d", "g"]), "yes", "no"
    )
    data = kzoo.load_data(frame, target="sold")
    fitted = baselines.fit(data, name)
    p, truth = fitted.predict(data.test)
    assert (p.argmax(axis=1) == truth).mean() > 0.8  # the categories are read
    x = np.resize(data.test.x, (400, data.test.x.shape[1])).copy()
    counts = data.config["categories"]
    for i, count in enumerate(counts, start=x.shape[1] - len(counts)):
        x[:, i] = random.integers(0, count, len(x))
    rows = replace(data.test, x=x, y=np.zeros(len(x), int), rows=None)
    assert close(fitted.network().predict(x, verbose=0), fitted.predict(rows)[0])


def test_a_fit_of_catboost_to_all_rows_has_the_learning_rate_of_the_fit_that_stopped():
    """Its own learning rate depends on the number of rounds: with few, the trees would fit the training rows."""
    catboost = pytest.importorskip("catboost")
    data = kzoo.load_data("breast_cancer")
    fitted = baselines.fit(data, "catboost", all_rows=True)
    ((rounds, learned_from, rate),) = fitted.choices
    whole = with_all_rows(data).train
    x, y = np.asarray(whole.x[:]), np.asarray(whole.y[:])
    model = catboost.CatBoostClassifier(
        iterations=round(rounds * len(x) / learned_from),
        learning_rate=rate,
        random_seed=0,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
    ).fit(x, y)
    expected = model.predict_proba(np.asarray(data.test.x[:]))
    assert fitted.predict(data.test)[0] == pytest.approx(expected, abs=1e-5)
    assert 0 < rate < 0.1


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_without_validation_rows_the_number_of_trees_is_fixed(name):
    pytest.importorskip(name)
    data = kzoo.load_data("wine", validation=0)
    fitted = baselines.fit(data, name)
    assert close(fitted.network().predict(data.test.x, verbose=0), fitted.predict(data.test)[0])


@pytest.mark.parametrize("name", ["lightgbm", "catboost"])
def test_a_run_of_it_scores_and_exports(name, tmp_path):
    pytest.importorskip(name)
    run = baselines.train(name, "wine", out=tmp_path / "run", baselines=False)
    (result,) = baselines.score(kzoo.load_data("wine"), names=name)
    assert run.summary["test"]["accuracy"] == result.scores["accuracy"]
    exported = kzoo.export(run, tmp_path / "exported", ["onnx"])
    assert exported.exports["onnx"]["status"] == "ok"


def test_they_are_listed_only_where_they_are_installed():
    """In another process, in which nothing of either name can be imported."""
    code = (
        "import sys, importlib.util as util; find = util.find_spec\n"
        "util.find_spec = lambda name, *more: None if name in ('lightgbm', 'catboost') else find(name, *more)\n"
        "import kzoo.baselines; names = {b.name for b in kzoo.baselines.list_baselines()}\n"
        "assert 'trees' in names and not names & {'lightgbm', 'catboost'}, names\n"
        "assert not {'lightgbm', 'catboost'} & {*sys.modules}\n"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stderr == ""


def test_what_they_bring_is_said_where_none_is_installed(monkeypatch):
    data = kzoo.load_data("breast_cancer")
    monkeypatch.setattr(boosters, "is_installed", lambda name: name == "catboost")
    assert boosters.missing_boosters(data) is None
    monkeypatch.setattr(boosters, "is_installed", lambda name: False)
    line = boosters.missing_boosters(data)
    assert_mentions(line, "not installed", "points", "20,000 rows", "pip install lightgbm catboost")
    many = replace(data, train=data.train.select(np.resize(np.arange(len(data.train)), 30_000)))
    assert boosters.missing_boosters(many) is None  # nothing was measured
    assert boosters.missing_boosters(kzoo.load_data("digits")) is None  # no table


def test_auto_says_it_once(monkeypatch, capsys):
    monkeypatch.setattr(boosters, "is_installed", lambda name: False)
    kzoo.tune("auto", "breast_cancer", dry_run=True)
    assert capsys.readouterr().err.count("pip install lightgbm catboost") == 1
