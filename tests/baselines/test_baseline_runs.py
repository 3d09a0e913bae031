"""Baselines as runs: they predict, score, export, explain and combine like networks, and refuse what needs a preset.

The faults to prevent: a run whose scores are not those of the baseline that won, and a command that fails in the middle
because there is no preset.
"""

import json
import zipfile
from importlib import import_module

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from test_baselines import BOOSTERS, EACH, shop, small_data, texts
from test_fitted import MORE, NO_FORM, close, emotions, grades

import kzoo
import kzoo.runtime
from kzoo import baselines
from kzoo.cli import main


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    file = tmp_path_factory.mktemp("table") / "shop.csv"
    shop().drop(columns="rent").to_csv(file, index=False)
    return file


@pytest.fixture(scope="module")
def trees(table):
    return baselines.train(
        "trees", table, target="kind", out=table.parent / "trees", baselines=False
    )


# One baseline of each form of network.
RUNS = {
    "breast_cancer": "trees",
    "wine": "logistic",
    "diabetes": "ridge",
    "labels": "label_forest",
    "counts": "poisson_regression",
    "quantiles": "quantile_trees",
    "quantiles of forecasts": "seasonal_quantiles",
    "texts_classes": "texts_logistic",
    "zh": "tfidf",
    "en": "nbsvm",
    "forecast": "ridge_windows",
    "photos": "pixels",
    "labelled": "nearest_series",
    "arrays": "summary_ridge",
}


@pytest.mark.parametrize("source", RUNS)
def test_a_run_has_the_scores_and_the_predictions_of_the_baseline(source, tmp_path):
    name = RUNS[source]
    data = MORE[source]() if source in MORE else small_data(source, tmp_path)
    data = baselines.fit(data, name).data  # with windows as long as the baseline asks for
    run = kzoo.Run(baselines.train(name, data, out=tmp_path / "run", baselines=False).path)
    (result,) = baselines.score(data, names=name)
    stored = run.summary[result.split]
    # of a run of quantiles, that of its means, which the baseline has not
    of_means = {"bias"} if "error_vectors" in [s["name"] for s in run.postprocessing] else set()
    for metric, value in result.scores.items():
        if isinstance(value, float) and metric not in of_means:
            # Ranks of tied rows may differ in float32.
            assert stored[metric] == pytest.approx(
                value, rel=2e-3 if "precision" in metric else 1e-4, abs=1e-6
            ), metric
    expected, truth = baselines.fit(data, name).predict(data.test)
    assert np.array_equal(run.answers["truth"], truth[run.answers["rows"]])
    if result.scores.get("loss") is not None or "classes" not in data.problem.facts:
        assert close(run.answers["answers"], expected[run.answers["rows"]])
    assert kzoo.evaluate(run, data) == stored
    x = np.asarray(data.test.x[:3])
    assert len(kzoo.predict(run, x[..., :-1] if data.config.get("padded") else x)) == 3
    assert kzoo.report(run, out=tmp_path / "report.html").stat().st_size > 10_000


def test_every_form_of_network_is_tested():
    assert {*EACH} | {*MORE} >= {*RUNS} and not {*RUNS.values()} & NO_FORM


def test_nothing_is_pickled(trees):
    assert {file.suffix for file in trees.path.iterdir() if file.is_file()} <= {
        ".json",
        ".keras",
        ".npz",
    }
    with np.load(trees.path / "answers.npz", allow_pickle=False) as arrays:
        assert "answers" in arrays
    with zipfile.ZipFile(trees.model_file) as archive:
        assert {*archive.namelist()} == {"config.json", "metadata.json", "model.weights.h5"}
        classes = json.loads(archive.read("config.json"))
    assert "pickle" not in json.dumps(classes)
    assert kzoo.load_model(trees.model_file).name == "trees"  # checked class by class


def test_the_same_call_returns_the_run_and_another_one_is_refused(table, trees):
    again = baselines.train("trees", table, target="kind", out=trees.path, baselines=False)
    assert again.config["created"] == trees.config["created"]
    with refuses("different run", "overwrite=True"):
        baselines.train("logistic", table, target="kind", out=trees.path)


def test_commands_take_the_run(table, trees, tmp_path, capsys):
    run = str(trees.path)
    data = ["--data", str(table)]
    for arguments in (
        ["show", run],
        ["evaluate", run, *data],
        ["predict", run, str(table)],
        ["explain", run, *data],
        ["check", run, *data],
        ["report", run, "--out", str(tmp_path / "r.html")],
    ):
        assert main(arguments) == 0, arguments
        assert capsys.readouterr().out
    assert "kzoo.baselines.train(" in (tmp_path / "r.html").read_text(encoding="utf-8")


def test_exports_agree_and_run_without_keras(trees, tmp_path):
    exported = kzoo.export(trees, tmp_path / "exported", ["keras", "onnx", "litert", "saved_model"])
    assert {entry["status"] for entry in exported.exports.values()} == {"ok"}
    rows = shop(40, seed=1).drop(columns=["kind", "rent"])
    expected = kzoo.predict(trees, rows)
    predicted = kzoo.runtime.load(exported).predict(rows)
    assert predicted.labels == expected.labels and np.allclose(
        predicted.probabilities, expected.probabilities
    )


@pytest.mark.parametrize("name", ["rounded_ridge", "most_probable"])
def test_a_run_of_ordered_classes_predicts_one_class_and_is_exported(name, tmp_path):
    data = grades()
    run = baselines.train(name, data, out=tmp_path / "run", baselines=False)
    expected, _ = baselines.fit(data, name).predict(data.test)
    assert {*np.unique(expected)} == {0, 1} and len(np.unique(expected.argmax(axis=1))) > 2
    assert np.array_equal(run.answers["answers"], expected[run.answers["rows"]])
    exported = kzoo.export(run, tmp_path / "exported", ["onnx", "litert", "saved_model"])
    assert {entry["status"] for entry in exported.exports.values()} == {"ok"}
    rows = pd.DataFrame({"size": np.linspace(20, 90, 42), "kind": [*"abc"] * 14})
    predicted = kzoo.predict(run, rows)
    assert len(set(predicted.labels)) > 2
    for format in ("onnx", "litert"):
        answers = kzoo.runtime.load(exported, format).predict(rows)
        assert answers.labels == predicted.labels
        assert np.array_equal(answers.probabilities, predicted.probabilities)


def test_quantized_exports_are_refused(table, trees, tmp_path):
    with refuses("quantize='int8'", "trees"):
        kzoo.export(trees, tmp_path / "exported", ["onnx"], quantize=["int8"], data=table)


def test_a_decision_is_learned_on_validation_rows(tmp_path):
    run = baselines.train(
        "trees", "breast_cancer", decision="f1", out=tmp_path / "run", baselines=False
    )
    (step,) = (step for step in run.postprocessing if step["name"] == "threshold")
    assert step["rows"] == "validation" and run.spec.training["decision"] == "f1"
    assert "f1_positive_default" in run.summary["test"]
    with refuses("decision='f9'", "f1"):
        baselines.train("trees", "breast_cancer", decision="f9", out=tmp_path / "other")


def test_thresholds_of_labels_are_those_of_score(tmp_path):
    run = baselines.train("trees", data := emotions(), out=tmp_path / "run", baselines=False)
    assert [step["name"] for step in run.postprocessing] == ["label_thresholds"]
    (result,) = baselines.score(data, names="trees")
    assert run.summary["test"]["f1_macro"] == pytest.approx(result.scores["f1_macro"])


def test_a_baseline_is_a_member_of_an_ensemble(table, trees, tmp_path):
    network = kzoo.train(
        "tabular_fnn", table, target="kind", out=tmp_path / "network", epochs=2, progress=False
    )
    both = kzoo.ensemble([network, trees], out=tmp_path / "both", data=table)
    mean = (network.answers["answers"] + trees.answers["answers"]) / 2
    assert np.allclose(both.answers["answers"], mean, atol=1e-5)


def test_the_other_baselines_are_scored_too(tmp_path):
    run = baselines.train("logistic", "wine", out=tmp_path / "run")
    scored = {baseline["name"] for baseline in run.summary["baselines"]}
    assert scored - BOOSTERS == {"trees", "majority"}
    assert run.summary["baseline"]["label"] == "logistic regression"


def test_what_needs_a_preset_refuses_in_one_line(table, trees, tmp_path, capsys):
    with refuses("weights=", "trees", "is a baseline", "Use a run of a preset"):
        kzoo.train(
            "tabular_fnn", table, target="kind", weights=trees, out=tmp_path / "a", progress=False
        )
    with refuses("weights=", "is a baseline"):
        kzoo.build("tabular_fnn", weights=trees)
    with refuses("'trees'", "no preset"):
        kzoo.sklearn.Classifier.from_run(trees)
    for arguments in (
        ["tune", str(trees.path)],
        [
            "train",
            "tabular_fnn",
            "--data",
            str(table),
            "--target",
            "kind",
            "--weights",
            str(trees.path),
        ],
        [
            "train",
            "tabular_fnn",
            "--data",
            str(table),
            "--target",
            "kind",
            "--out",
            str(trees.path),
        ],
    ):
        assert main(arguments) == 2
        (line,) = capsys.readouterr().err.splitlines()[-1:]
        assert_mentions(line, "kzoo: error:")


def test_baselines_without_a_network_leave_no_folder(tmp_path):
    (tmp_path / "data").mkdir()
    data = small_data("language", tmp_path / "data")
    with refuses("n-grams", "cannot be written as a network"):
        baselines.train("ngrams", data, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_network_that_differs_is_refused(tmp_path, monkeypatch):
    networks = import_module("kzoo.baselines.networks")
    monkeypatch.setattr(networks, "clipped", lambda x, limit: x + 0.5)
    with refuses("logistic regression on wine", "predictions differ by up to"):
        baselines.train("logistic", "wine", out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_unknown_settings_are_refused(tmp_path):
    data = kzoo.load_data("wine")
    with refuses("'decisoin'", "Did you mean 'decision'"):
        baselines.train("trees", data, decisoin="f1", out=tmp_path / "run")
    with refuses("Unknown baseline 'tree'", "Did you mean 'trees'"):
        baselines.train("tree", data, out=tmp_path / "run")


def test_data_that_is_read_for_a_preset_is_read_for_it_again(tmp_path):
    (tmp_path / "texts.csv").write_text(texts("en").to_csv(index=False), encoding="utf-8")
    source = tmp_path / "texts.csv"
    run = baselines.train(
        "tfidf", source, target="mood", preset="text_ngrams", out=tmp_path / "run", baselines=False
    )
    assert run.preprocessing["ngrams"] == 2
    assert kzoo.evaluate(run, source) == run.summary["test"]
    data = kzoo.load_data(source, target="mood", preset="text_ngrams")
    again = baselines.train(
        "tfidf", data, preset="text_ngrams", out=tmp_path / "run", baselines=False
    )
    assert again.config["created"] == run.config["created"]
    with refuses("Unknown preset 'text_ngram'"):
        baselines.train("tfidf", data, preset="text_ngram", out=tmp_path / "other")


def test_the_data_is_split_by_data_seed_and_unknown_options_are_refused(tmp_path):
    run = baselines.train("logistic", "iris", data_seed=1, out=tmp_path / "run", baselines=False)
    expected = kzoo.load_data("iris", seed=1).test
    assert run.data.data_seed == 1 and np.array_equal(run.answers["truth"], expected.y)
    with refuses("Unknown argument 'data_sed'", "Did you mean 'data_seed'"):
        baselines.train("logistic", "iris", data_sed=1, out=tmp_path / "none")
