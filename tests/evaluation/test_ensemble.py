"""Ensembles: equal to NumPy's averages of their members, one Keras model on disk, refused where they would mislead."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from messages import refuses, warns
from shortcuts import untraced
from sklearn import metrics
from sklearn.datasets import load_iris
from trained import shops, waves

import kzoo
from kzoo.evaluation.ensemble import combine
from kzoo.inference.predictions import probabilities

QUICK = dict(callbacks="quick", progress=False, epochs=2, batch_size=32)


@pytest.fixture(autouse=True, scope="module")
def _without_graphs():
    with untraced():
        yield


def seeds(preset, data, folder, count=2, **options):
    return [
        kzoo.train(preset, data, out=folder / f"{i}", seed=i, **QUICK | options)
        for i in range(count)
    ]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("members")


@pytest.fixture(scope="module")
def iris(home):
    return seeds("iris_fnn", "iris", home / "iris", 3, units=(8,), learning_rate=0.02)


@pytest.fixture(scope="module")
def cancer(home):
    return seeds("cancer_fnn", "breast_cancer", home / "cancer", units=(4,), epochs=1)


@pytest.fixture(scope="module")
def diabetes(home):
    return seeds("diabetes_fnn", "diabetes", home / "diabetes", units=(8,), learning_rate=0.01)


def answers(run, x):
    predictions = kzoo.predict(run, x)
    return predictions.values if predictions.probabilities is None else predictions.probabilities


def network_outputs(run, x):
    """Return the mean of the members, before the temperature of the ensemble."""
    outputs = np.asarray(run.model.predict(x, verbose=0))
    return probabilities(outputs, logits=False) if run.class_names else outputs


def votes(members):
    """Count by hand: a vote for the likeliest class of each member; the mean probability breaks ties."""
    labels = []
    for row in np.stack(members, axis=1):
        counts = np.bincount(row.argmax(-1), minlength=row.shape[-1])
        labels.append(max(range(len(counts)), key=lambda c: (counts[c], row[:, c].mean())))
    return labels


@pytest.mark.parametrize("kind", ["iris", pytest.param("cancer", marks=pytest.mark.slow)])
def test_mean_and_vote_of_classes(kind, request, tmp_path):
    """Softmax heads, and sigmoid heads of two classes, which stay one column."""
    runs = request.getfixturevalue(kind)
    test = kzoo.load_data(
        runs[0].config["data"]["name"], preset=runs[0].config["spec"]["preset"]
    ).test
    members = [answers(run, test.x) for run in runs]
    assert len({tuple(m.argmax(1)) for m in members}) > 1  # they disagree, or nothing is tested
    mean, vote = (kzoo.ensemble(runs, method=m, out=tmp_path / m) for m in ("mean", "vote"))
    np.testing.assert_allclose(answers(mean, test.x), np.mean(members, axis=0), atol=1e-6)
    assert answers(vote, test.x).argmax(1).tolist() == votes(members)
    share = np.mean([np.eye(m.shape[1])[m.argmax(1)] for m in members], axis=0)
    np.testing.assert_allclose(answers(vote, test.x), share, atol=2e-3)
    assert mean.model.output_shape == vote.model.output_shape == runs[0].model.output_shape

    scores = mean.summary["test"]
    assert (
        scores == kzoo.evaluate(mean)
        and kzoo.evaluate(mean, split="validation") == mean.summary["validation"]
    )
    right = np.mean(members, axis=0).argmax(1) == test.y
    assert scores["accuracy"] == pytest.approx(right.mean())
    details = mean.summary["ensemble"]
    assert [m["test"] for m in details["members"]] == [
        run.summary["test"]["accuracy"] for run in runs
    ]
    assert details["gain"] == pytest.approx(
        right.mean() - max(m["test"] for m in details["members"])
    )
    assert [m["seed"] for m in details["members"]] == list(range(len(runs)))
    np.testing.assert_allclose(mean.answers["answers"], np.mean(members, axis=0), atol=1e-6)


def test_logits_become_probabilities_before_they_are_averaged(iris, tmp_path):
    """Members may differ in their heads; a plain Keras model is a member like others."""
    bare = kzoo.train(
        "iris_fnn", "iris", out=tmp_path / "bare", units=(4,), output_activation=None, **QUICK
    )
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    plain = kzoo.train(model, "iris", out=tmp_path / "plain", **QUICK)
    x = kzoo.load_data("iris").test.x
    logits = np.asarray(plain.model(x))
    softmax = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    members = [answers(iris[0], x), answers(bare, x), softmax]
    run = kzoo.ensemble([iris[0], bare, plain], out=tmp_path / "all")
    np.testing.assert_allclose(answers(run, x), np.mean(members, axis=0), atol=1e-6)
    assert kzoo.evaluate(plain) == plain.summary["test"]


def test_sigmoid_and_softmax_heads_of_two_classes_are_averaged(cancer, tmp_path):
    other = kzoo.train("tabular_fnn", "breast_cancer", out=tmp_path / "two", units=(4,), **QUICK)
    assert [r.model.output_shape[-1] for r in (cancer[0], other)] == [1, 2]
    x = kzoo.load_data("breast_cancer").test.x
    run = kzoo.ensemble([cancer[0], other], out=tmp_path / "both")
    np.testing.assert_allclose(
        network_outputs(run, x), (answers(cancer[0], x) + answers(other, x)) / 2, atol=1e-6
    )


def test_weights_of_two_members_are_those_of_a_search_by_brute_force(
    iris, cancer, diabetes, tmp_path
):
    grid = np.linspace(0, 1, 2001)
    for runs in (iris[1:], cancer, diabetes):
        data = kzoo.load_data(
            runs[0].config["data"]["name"], preset=runs[0].config["spec"]["preset"]
        )
        (a, b), y = (answers(run, data.validation.x) for run in runs), data.validation.y
        if data.class_names:
            losses = [-np.log((w * a + (1 - w) * b)[np.arange(len(y)), y]).mean() for w in grid]
        else:
            losses = [((w * a + (1 - w) * b - y) ** 2).mean() for w in grid]
        run = kzoo.ensemble(runs, method="weighted", out=tmp_path / data.name)
        weights = run.summary["ensemble"]["weights"]
        assert weights == pytest.approx(
            [grid[np.argmin(losses)], 1 - grid[np.argmin(losses)]], abs=2e-3
        )
        x = data.test.x
        blend = weights[0] * answers(runs[0], x) + weights[1] * answers(runs[1], x)
        np.testing.assert_allclose(network_outputs(run, x), blend, rtol=1e-5, atol=1e-5)
        if weights[0] in (0, 1):  # a member of weight 0 is not in the network
            assert run.summary["parameters"] == runs[0].summary["parameters"]


def test_regression_answers_are_averaged_in_the_unit_of_the_target(diabetes, tmp_path):
    data = kzoo.load_data("diabetes", preset="diabetes_fnn")
    run = kzoo.ensemble(diabetes, out=tmp_path / "mean")
    mean = np.mean([answers(m, data.test.x) for m in diabetes], axis=0)
    np.testing.assert_allclose(answers(run, data.test.x), mean, rtol=1e-5)
    best = max(m.summary["test"]["r2"] for m in diabetes)
    assert run.summary["ensemble"]["gain"] == pytest.approx(
        metrics.r2_score(data.test.y, mean) - best, abs=1e-5
    )
    with refuses("method='vote'", "tabular_regression", "'mean'"):
        kzoo.ensemble(diabetes, method="vote")


@pytest.mark.slow
def test_weighted_ensembles_of_forecasts_and_language_models_need_data(tmp_path):
    waves(200).to_csv("waves.csv", index=False)
    settings = dict(input_shape=(8, 1), horizon=3, units=(4,))
    runs = seeds("series_gru", "waves.csv", tmp_path / "series", **settings)
    with refuses("method='weighted'", "validation", "data=", "method='mean'"):
        kzoo.ensemble(runs, method="weighted")
    run = kzoo.ensemble(runs, method="weighted", data="waves.csv", out=tmp_path / "waves")
    weights = run.summary["ensemble"]["weights"]
    x = np.random.default_rng(0).normal(size=(5, 8, 2)).astype("float32")
    assert sum(weights) == pytest.approx(1) and min(weights) >= 0
    blend = sum(w * answers(m, x) for w, m in zip(weights, runs, strict=True))
    np.testing.assert_allclose(answers(run, x), blend, rtol=1e-4, atol=1e-5)

    Path("book.txt").write_text("to be or not to be that is the question\n" * 40)
    runs = seeds(
        "char_gru",
        "book.txt",
        tmp_path / "chars",
        input_shape=(10,),
        units=(8,),
        embedding_dim=4,
        epochs=1,
    )
    run = kzoo.ensemble(runs, method="weighted", data="book.txt", out=tmp_path / "book")
    assert (
        run.summary["validation"]["loss"]
        <= min(m.summary["validation"]["loss"] for m in runs) + 1e-4
    )
    gain = (
        min(m.summary["test"]["bits_per_token"] for m in runs)
        - run.summary["test"]["bits_per_token"]
    )
    assert run.summary["ensemble"]["gain"] == pytest.approx(gain)
    with warns("ensemble", "data="):
        assert kzoo.ensemble(runs, out=tmp_path / "unscored").summary["ensemble"]["gain"] is None


def test_stored_answers_are_scored_without_the_data(tmp_path):
    shops(120).to_csv("shops.csv", index=False)
    runs = seeds("tabular_fnn", "shops.csv", tmp_path / "runs", target="open", units=(8,))
    for method in ("mean", "vote"):
        without = kzoo.ensemble(runs, method=method, out=tmp_path / method)
        scored = kzoo.ensemble(
            runs, method=method, data="shops.csv", out=tmp_path / f"{method}-data"
        )
        assert without.summary["ensemble"] == scored.summary["ensemble"]
        for name in ("accuracy", "f1", "auc", "loss", "majority", "examples"):
            assert without.summary["test"][name] == pytest.approx(
                scored.summary["test"][name], abs=1e-6
            )
        assert (without.answers is None, scored.answers is None) == (True, False)
    assert kzoo.evaluate(without, shops(50, seed=7))["examples"] == 50
    with refuses("data='table'", "members", "Dataset"):
        kzoo.ensemble(runs, data=shops(120, seed=1), method="weighted")


@pytest.mark.usefixtures("warm_children")
def test_the_saved_ensemble_opens_without_kzoo(iris, tmp_path):
    x = kzoo.load_data("iris").test.x[:5]
    np.save("x.npy", x)
    runs = [
        kzoo.ensemble(iris, method=method, out=tmp_path / method)
        for method in ("mean", "vote", "weighted")
    ]
    for run in runs:
        shutil.copyfile(run.path / "best.keras", f"{run.path.name}.keras")
    script = (
        "import sys; sys.modules['kzoo'] = None\n"
        "import keras, numpy; x = numpy.load('x.npy')\n"
        "models = [keras.saving.load_model(f'{m}.keras') for m in ('mean', 'vote', 'weighted')]\n"
        "print([model.predict(x, verbose=0).tolist() for model in models])"
    )
    env = os.environ | {"PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", script], env=env, capture_output=True, text=True, check=True
    )
    np.testing.assert_allclose(
        json.loads(done.stdout), [answers(run, x) for run in runs], atol=1e-6
    )


def test_the_ensemble_folder_is_a_run(iris, tmp_path, monkeypatch):
    run = kzoo.ensemble(iris, out=tmp_path / "first")
    assert (run.finished, run.history, run.config["spec"]["preset"]) == (True, {}, "ensemble")
    assert set(run.summary) == {
        "validation",
        "test",
        "conformal",
        "ensemble",
        "seconds",
        "parameters",
    }
    assert set(run.summary["ensemble"]) == {
        "method",
        "metric",
        "members",
        "weights",
        "split",
        "best_member",
        "gain",
    }
    assert (
        str(tmp_path)
        not in (run.path / "config.json").read_text() + (run.path / "summary.json").read_text()
    )
    written = (run.path / "best.keras").stat().st_mtime_ns
    assert (
        kzoo.ensemble(iris, out=tmp_path / "first").path.joinpath("best.keras").stat().st_mtime_ns
        == written
    )
    with refuses(str(tmp_path / "first"), "method", "mean", "vote", "overwrite=True"):
        kzoo.ensemble(iris, method="vote", out=tmp_path / "first")
    assert kzoo.ensemble(iris).path == Path("runs/ensemble-01")

    # Where writing fails, the earlier run stays as it was.
    before = {f.name: f.read_bytes() for f in run.path.iterdir()}
    monkeypatch.setattr(
        keras.Model, "save", lambda *a, **k: (_ for _ in ()).throw(OSError(28, "full"))
    )
    for out in ("first", "new"):
        with pytest.raises(OSError):
            kzoo.ensemble(iris, method="vote", out=tmp_path / out, overwrite=True)
    assert {f.name: f.read_bytes() for f in run.path.iterdir()} == before and not (
        tmp_path / "new"
    ).exists()


@pytest.mark.slow
def test_ensembles_of_folds_with_the_same_preprocessing(tmp_path):
    options = dict(folds=2, units=(4,), epochs=1, callbacks="quick", progress=False)
    result = kzoo.cross_validate(
        "iris_fnn", load_iris(return_X_y=True), out=tmp_path / "iris", **options
    )
    run = kzoo.ensemble(result["runs"], out=tmp_path / "both")
    x = kzoo.load_data("iris").test.x
    np.testing.assert_allclose(
        answers(run, x), np.mean([answers(r, x) for r in result["runs"]], axis=0), atol=1e-6
    )
    assert "test" not in run.summary and run.summary["ensemble"]["gain"] is None
    with refuses("'arrays", "data="):  # every row of it has been trained on
        kzoo.evaluate(run)
    images = options | dict(units=(), filters=(2,), depth=1)
    folds = kzoo.cross_validate("digits_cnn", "digits", out=tmp_path / "digits", **images)["runs"]
    with warns(str(tmp_path / "all"), "digits", "scores"):
        kzoo.evaluate(kzoo.ensemble(folds, out=tmp_path / "all"), "digits")
    with refuses("data=", "folds", "kzoo.evaluate"):
        kzoo.ensemble(result["runs"], data="iris", out=tmp_path / "scored")
    with refuses("method='weighted'", "validation", "folds", "method='mean'"):
        kzoo.ensemble(result["runs"], method="weighted")

    sentences = [(f"{word} thing {i}", word) for i in range(20) for word in ("good", "bad")]
    Path("texts.csv").write_text(
        "text,label\n" + "".join(f"{text},{label}\n" for text, label in sentences)
    )
    options |= dict(
        input_shape=(4,), embedding_dim=4, filters=(4,), kernel_size=(2,), target="label"
    )
    del options["units"]
    result = kzoo.cross_validate("text_cnn", "texts.csv", out=tmp_path / "texts", **options)
    with refuses("preprocessing", "fold", *(str(run) for run in result["runs"])):
        kzoo.ensemble(result["runs"])


def test_members_that_do_not_fit_together_are_refused(iris, cancer, tmp_path):
    other_split = kzoo.train(
        "iris_fnn", "iris", out=tmp_path / "split", data_seed=1, units=(8,), **QUICK
    )
    ensemble = kzoo.ensemble(iris, out=tmp_path / "ensemble")
    unfinished = shutil.copytree(iris[0].path, tmp_path / "unfinished")
    (unfinished / "summary.json").unlink()
    first = str(iris[0].path)
    second = str(other_split.path)
    for runs, options, parts in (
        ([iris[0], cancer[0]], {}, (first, str(cancer[0].path), "iris, breast_cancer")),
        ([iris[0], other_split], {}, (first, second, "seed", "0, 1")),
        ([iris[0], ensemble], {}, (str(ensemble.path), "members")),
        ([iris[0], unfinished], {}, (str(unfinished), "finished")),
        ([iris[0]], {}, (first, "ensemble", "members")),
        ([iris[0], iris[0].path], {}, (first, "ensemble", "members")),
        ([], {}, ("runs", "kzoo.train")),
        (iris, dict(method="median"), ("method='median'", "mean, vote, weighted")),
        ([iris[0], "nowhere"], {}, ("nowhere", "run")),
    ):
        with refuses(*parts) as caught:
            kzoo.ensemble(runs, **options)
        assert "\n" not in str(caught.value)


def test_rounding_never_lifts_a_probability_above_1():
    """A sigmoid answer above 1 would be read as a logit."""
    drawn = np.random.default_rng(0).dirichlet(np.ones(5), 2000).round(4)
    drawn = [weights / weights.sum() for weights in drawn]
    over = [weights for weights in drawn if sum(weights.astype("float32")) > 1]
    assert over
    for weights in over[:20]:
        assert combine([np.ones((1, 1), "float32")] * 5, "weighted", weights, True) <= 1
