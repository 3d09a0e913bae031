"""What is watched (`objective`) and what decides (`decision`, `cost`, `positive`): from training to exports."""

import json
from functools import partial

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, refuses
from shortcuts import tune_here
from sklearn import metrics as sk
from sklearn.linear_model import LogisticRegression

import kzoo
import kzoo.runtime
from kzoo.cli import main
from kzoo.inference.postprocessors.threshold import best_threshold, recalibrated
from kzoo.problems.objectives import Objective

COST = {("yes", "no"): 5, ("no", "yes"): 1}
pytestmark = pytest.mark.usefixtures("untraced_module")

QUICK = dict(
    target="answer",
    epochs=3,
    batch_size=256,
    learning_rate=0.03,
    units=(16,),
    callbacks="quick",
    check=False,
    progress=False,
)


def table(rows=1500, seed=0, shift=1.2):
    random = np.random.default_rng(seed)
    a, b = random.normal(size=(2, rows))
    yes = random.uniform(size=rows) < 1 / (1 + np.exp(shift - 1.5 * a - b))
    level = np.select([a < -0.5, a > 0.5], ["low", "high"], "middle")
    return pd.DataFrame(
        {"a": a, "b": b, "answer": np.where(yes, "yes", "no"), "level": level, "size": 3 * a + 5}
    )


def features(frame):
    return frame[["a", "b"]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("decision")


@pytest.fixture(scope="module")
def data():
    return table()[["a", "b", "answer"]]


@pytest.fixture(scope="module")
def run(folder, data):
    options = dict(objective="f1", decision="objective", positive="yes", cost=COST, validation=0.2)
    return kzoo.train("tabular_fnn", data, out=folder / "f1", **QUICK, **options)


def learned(run):
    return next(step["learned"] for step in run.postprocessing if step["name"] == "threshold")


def test_the_best_epoch_is_that_of_the_whole_validation_split(run, data):
    scores = [value for value in run.history["val_f1_positive"]]
    assert run.summary["monitor"] == "val_f1_positive" and run.summary[
        "best_value"
    ] == pytest.approx(max(scores))
    assert run.summary["best_epoch"] == 1 + scores.index(max(scores))
    validation = kzoo.load_data(data, target="answer", validation=0.2).validation
    p = kzoo.predict(run, features(data.iloc[validation.rows])).probabilities[:, 1]
    guess = p >= learned(run)["threshold"]
    assert run.summary["best_value"] == pytest.approx(
        sk.f1_score(validation.y == 1, guess), abs=1e-6
    )
    assert run.summary["validation"]["f1_positive"] == pytest.approx(
        run.summary["best_value"], abs=1e-6
    )


def test_labels_and_scores_follow_the_threshold(run):
    new = table(seed=1)
    threshold = learned(run)["threshold"]
    assert 0.1 < threshold < 0.49  # one row in three is positive
    predictions = kzoo.predict(run, features(new))
    assert (
        predictions.labels
        == np.where(predictions.probabilities[:, 1] >= threshold, "yes", "no").tolist()
    )
    row = predictions.rows()[
        int(np.argmin(abs(predictions.probabilities[:, 1] - (threshold + 0.5) / 2)))
    ]
    # the label first, not the most probable class
    assert row["label"] == row["classes"][0]["label"] == "yes"
    assert [entry["probability"] for entry in row["classes"]] == pytest.approx(
        sorted(entry["probability"] for entry in row["classes"])
    )
    scores = kzoo.evaluate(run, new[["a", "b", "answer"]])
    truth = new["answer"] == "yes"
    guess = np.array(predictions.labels) == "yes"
    assert scores["f1_positive"] == pytest.approx(sk.f1_score(truth, guess))
    assert scores["accuracy"] == pytest.approx((truth == guess).mean())
    assert scores["f1_positive_default"] == pytest.approx(
        sk.f1_score(truth, predictions.probabilities[:, 1] > 0.5)
    )
    assert scores["expected_cost"] == pytest.approx(
        1000 * np.where(truth, 5 * ~guess, guess).mean()
    )


def test_exports_and_reports_have_the_decision(run, folder):
    exported = kzoo.export(run, folder / "export", formats=["onnx"])
    stored = json.loads((folder / "export" / "kzoo.json").read_text())["postprocessing"]
    assert stored == run.postprocessing
    new = features(table(seed=2))
    assert kzoo.runtime.load(exported).predict(new).labels == kzoo.predict(run, new).labels
    page = kzoo.report(run).read_text(encoding="utf-8")
    assert_mentions(
        page, "score over thresholds", "90 % bootstrap interval", f"{learned(run)['threshold']:.3g}"
    )
    assert_mentions(page, "F1 of the positive class at 0.5", "expected cost per 1,000 rows")


def test_baselines_have_thresholds_of_their_own(run):
    scores = {row["name"]: row["scores"] for row in run.summary["baselines"] if row["scores"]}
    assert all("f1_positive_default" in of_baseline for of_baseline in scores.values())
    assert any(
        scores[name]["f1_positive"] != scores[name]["f1_positive_default"]
        for name in ("logistic", "trees")
    )


def test_runs_with_an_objective_are_ranked_by_it(run, folder, data):
    other = kzoo.train(
        "tabular_fnn",
        data,
        out=folder / "other",
        seed=1,
        objective="f1",
        positive="yes",
        validation=0.2,
        **QUICK,
    )
    rows = kzoo.compare([run, other], baselines=False).to_dict("records")
    assert {row["metric"] for row in rows} == {"f1_positive"} and rows[0]["score"] >= rows[1][
        "score"
    ]
    assert [step["name"] for step in other.postprocessing] == [
        "conformal"
    ] and "f1_positive_default" not in other.summary["test"]
    with refuses("'f1_positve'", "'f1_positive'"):
        kzoo.compare([run, other], metric="f1_positve")


def test_an_ensemble_learns_the_decision_again(folder, data):
    members = [
        kzoo.train(
            "tabular_fnn",
            data,
            out=folder / f"m{seed}",
            seed=seed,
            cost=COST,
            baselines=False,
            **QUICK,
        )
        for seed in (0, 1)
    ]
    with refuses("validation data", "data="):
        kzoo.ensemble(members, out=folder / "none")
    both = kzoo.ensemble(members, data=data, out=folder / "both")
    assert learned(both)["objective"] == "expected_cost" and learned(both)["threshold"] < 0.35
    assert both.summary["test"]["expected_cost"] < both.summary["test"]["expected_cost_default"]


def test_a_function_is_an_objective(folder, data):
    f2 = kzoo.objective(partial(sk.fbeta_score, beta=2), name="f2")
    run = kzoo.train(
        "tabular_fnn",
        data,
        out=folder / "f2",
        objective=f2,
        positive="yes",
        validation=0.2,
        baselines=False,
        **QUICK,
    )
    assert run.summary["monitor"] == "val_f2" and run.spec.training["objective"] == "f2"
    assert run.config["command"] is None and 0 < run.summary["validation"]["f2"] < 1
    assert (
        kzoo.train(
            "tabular_fnn",
            data,
            out=folder / "f2",
            objective=f2,
            positive="yes",
            validation=0.2,
            baselines=False,
            **QUICK,
        ).path
        == run.path
    )  # finished: the same run


def test_few_positive_rows_keep_the_threshold(folder):
    rare = table(rows=1200, shift=5.0)[["a", "b", "answer"]]
    with_score = kzoo.train(
        "tabular_fnn",
        rare,
        out=folder / "rare",
        decision="balanced_accuracy",
        baselines=False,
        **QUICK,
    )
    assert learned(with_score)["threshold"] == 0.5 and learned(with_score)["few"]
    with_cost = kzoo.train(
        "tabular_fnn", rare, out=folder / "rare_cost", cost=COST, baselines=False, **QUICK
    )
    assert learned(with_cost)["threshold"] == pytest.approx(1 / 6)


def test_of_three_classes_the_least_expected_cost_decides(folder):
    data = table()[["a", "b", "level"]]
    options = (
        dict(cost={("high", "low"): 9}, baselines=False) | QUICK | dict(target="level", epochs=1)
    )
    run = kzoo.train("tabular_fnn", data, out=folder / "three", **options)
    cost = np.array([[0, 9, 1], [1, 0, 1], [1, 1, 0]], float)  # high, low, middle
    assert learned(run)["cost"] == cost.tolist()
    predictions = kzoo.predict(run, features(table(seed=3)))
    expected = (predictions.probabilities @ cost).argmin(1)
    assert predictions.labels == [["high", "low", "middle"][number] for number in expected]


def test_a_keras_metric_needs_no_second_prediction(folder, data):
    run = kzoo.train(
        "tabular_fnn", data, out=folder / "accuracy", objective="accuracy", baselines=False, **QUICK
    )
    assert run.summary["monitor"] == "val_accuracy" and run.spec.training["mode"] is None


def test_values_have_objectives_too(folder):
    data = table()[["a", "b", "size"]]
    run = kzoo.train(
        "tabular_fnn",
        data,
        out=folder / "r2",
        objective="r2",
        baselines=False,
        **QUICK | dict(target="size"),
    )
    assert run.summary["best_value"] == pytest.approx(run.summary["validation"]["r2"], abs=1e-5)


@pytest.mark.parametrize(
    "options, parts",
    [
        (dict(decision="best"), ("decision='best'", "default", "f1")),
        (dict(decision="auc"), ("decision='auc'", "threshold", "balanced_accuracy")),
        (dict(decision="objective"), ("decision='objective'", "objective='f1'")),
        (dict(decision="cost"), ("decision='cost'", "cost=")),
        (dict(objective="expected_cost"), ("objective='expected_cost'", "cost=")),
        (dict(positive="maybe"), ("positive='maybe'", "no, yes")),
        (dict(positive=""), ("positive=''",)),
        (dict(cost={("yes", "no"): 5}), ("no:yes=1",)),
        (dict(decision="f1", loss="hinge"), ("decision='f1'", "loss='crossentropy'")),
        (dict(decision="f1", validation=0), ("decision='f1'", "validation=0.1")),
        (dict(objective="f1", validation=0), ("objective='f1'", "validation=0.1")),
        (
            dict(objective="f1", monitor="val_accuracy"),
            ("monitor='val_accuracy'", "objective='f1'"),
        ),
        (dict(postprocess="threshold"), ("postprocess='threshold'", "decision='f1'")),
        (dict(objective=max), ("direction", "kzoo.objective")),
    ],
)
def test_wrong_settings_are_refused_before_the_first_epoch(folder, data, options, parts):
    with refuses(*parts):
        kzoo.train("tabular_fnn", data, out=folder / "refused", **QUICK | options)
    assert not (folder / "refused").exists()


@pytest.mark.parametrize(
    "target, options, parts",
    [
        ("size", dict(cost=COST), ("tabular_regression", "cost=")),
        ("size", dict(decision="f1"), ("tabular_regression", "decision='f1'")),
        ("size", dict(objective="f1"), ("tabular_regression", "mae")),
        ("level", dict(decision="f1"), ("decision='f1'", "3", "cost=")),
        ("level", dict(positive="low"), ("positive='low'", "two classes", "3")),
        ("level", dict(objective="recall@precision=0.9"), ("recall@precision=0.9", "3")),
    ],
)
def test_settings_of_other_targets_are_refused(folder, target, options, parts):
    with refuses(*parts):
        kzoo.train(
            "tabular_fnn", table(), out=folder / "refused", **QUICK | dict(target=target) | options
        )


def test_the_command_line_takes_costs_in_words(folder, data, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    data.to_csv("answers.csv", index=False)
    command = "train tabular_fnn --data answers.csv --target answer --epochs 1 --no-baselines --quiet --out cli"
    words = command.split()
    costs = ["--cost", "yes:no=5", "--cost", "no:yes=1"]
    assert main([*words, *costs, "--positive", "yes"]) == 0
    assert_mentions(capsys.readouterr().out, "expected cost", "90 %", "default")
    run = kzoo.Run("cli")
    assert run.spec.training["cost"] == [[0, 1], [5, 0]] and learned(run)["positive"] == "yes"
    for more, parts in (
        (["--cost", "yes=5"], ("--cost 'yes=5'", "yes:no=5")),
        ([*costs, "--cost", "yes:no=4"], ("yes:no", "twice")),
        (["--cost", "yes:no=-5", "--cost", "no:yes=1"], ("-5",)),
        (["--objective", "recall@precision"], ("recall@precision=0.9",)),
    ):
        assert main([*words[:-1], "refused", *more]) == 2
        assert_mentions(capsys.readouterr().err, *parts)


# ---------------------------------------------------------------- the threshold


def test_the_learned_threshold_costs_less_than_the_best_of_the_sample():
    """Regret of 200 samples with some 60 positives: the best threshold of so few rows is partly luck."""
    random = np.random.default_rng(0)
    regret = []
    name = Objective("f1_positive")
    edges = np.linspace(0.01, 0.9, 300)

    def f1(score, positive):
        order = np.argsort(score)
        named = np.arange(len(score), 0, -1)
        hits = np.cumsum(positive[order][::-1])[::-1]
        return score[order], 2 * hits / (positive.sum() + named)

    def draw(rows):
        z = random.normal(size=rows) - 2.6
        p = 1 / (1 + np.exp(-1.3 * z - 0.4))
        return 1 / (1 + np.exp(-z)), random.uniform(size=rows) < p

    curve = np.interp(edges, *f1(*draw(200_000)))
    for _ in range(200):
        sample, truth = draw(600)
        thresholds, values = f1(sample, truth)
        chosen = best_threshold(sample, truth, name), thresholds[values.argmax()], 0.5
        regret.append([curve.max() - np.interp(t, edges, curve) for t in chosen])
    learned_one, luckiest, default = np.mean(regret, axis=0)
    assert learned_one < 0.6 * luckiest < default


@pytest.mark.parametrize("power", [0, 1, 3])
def test_probabilities_are_recalibrated_as_by_logistic_regression(power):
    """Also where labels do not depend on the scores (0), so that a whole Newton step would overshoot."""
    random = np.random.default_rng(power)
    score = random.uniform(size=4000)
    truth = random.uniform(size=4000) < 0.2 + 0.6 * score**power * (power > 0)
    logit = np.log(score / (1 - score))[:, None]
    reference = LogisticRegression(C=1e6).fit(logit, truth).predict_proba(logit)[:, 1]
    assert recalibrated(score, truth, np.ones(4000)) == pytest.approx(
        reference, abs=5e-3 if power else 0.05
    )


def test_a_weight_of_two_equals_the_row_twice():
    random = np.random.default_rng(3)
    score = random.uniform(size=400)
    truth = random.uniform(size=400) < score**2
    weight = np.ones(400)
    weight[:150] = 2
    twice = np.concatenate([np.arange(400), np.arange(150)])
    for name in ("f1", "balanced_accuracy", "accuracy"):
        once = best_threshold(score, truth, Objective(name), weight=weight)
        assert once == pytest.approx(
            best_threshold(score[twice], truth[twice], Objective(name)), abs=1e-6
        )


def test_predicting_a_single_class_may_be_the_best_decision():
    score = np.full(200, 0.2)
    truth = np.arange(200) < 40
    cheap = [[0, 1], [50, 0]]
    threshold = best_threshold(score, truth, Objective("expected_cost", best="min"), cost=cheap)
    assert threshold <= 0.2
    assert (
        best_threshold(score, truth, Objective("expected_cost", best="min"), cost=[[0, 50], [1, 0]])
        > 0.2
    )


def test_a_search_has_a_score_as_its_objective(folder, data):
    options = QUICK | dict(epochs=1, trials=2, validation=0.2)
    del options["callbacks"], options["check"]
    search = tune_here(
        "tabular_fnn",
        data,
        out=folder / "search",
        objective="f1",
        decision="f1",
        positive="yes",
        **options,
    )
    assert search.objective == ("val_f1_positive", "max")
    best = search.best_trial()
    assert best.score == pytest.approx(max(best.history["val_f1_positive"]))
    with refuses("decision='f1_positive'", "on='train'"):
        search.retrain(data, on="train+validation", out=folder / "all rows", progress=False)
    run = search.retrain(data, on="train", out=folder / "winner", progress=False, baselines=False)
    assert (
        run.summary["monitor"] == "val_f1_positive" and learned(run)["objective"] == "f1_positive"
    )


def test_a_precision_that_no_threshold_reaches_is_said():
    score = np.random.default_rng(0).uniform(size=300)
    truth = np.arange(300) < 90
    assert best_threshold(score, truth, Objective("recall@precision=0.99")) is None
