"""A run is compared by the score that decides: its objective, its costs or its decision, wherever it is compared."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from messages import assert_mentions, missing_from

import kzoo
from kzoo import baselines
from kzoo.cli import main
from kzoo.problems.tasks import problem
from kzoo.zoo.results import baselines as sentences
from kzoo.zoo.results import deciding_score
from kzoo.zoo.results.score_facts import score_facts

pytestmark = pytest.mark.usefixtures("untraced_module")

QUICK = dict(
    target="answer",
    batch_size=256,
    learning_rate=0.03,
    units=(16,),
    callbacks="quick",
    check=False,
    progress=False,
)
COST = {("yes", "no"): 20, ("no", "yes"): 1}


def table(rows=1200):
    """Return rows of two classes that logistic regression separates; one in eight is "yes"."""
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, rows))
    yes = random.uniform(size=rows) < 1 / (1 + np.exp(2.6 - 1.4 * a - b))
    return pd.DataFrame(
        {"a": a, "b": b, "answer": np.where(yes, "yes", "no"), "size": np.exp(a) + b}
    )


@pytest.fixture(scope="module")
def data():
    return table()[["a", "b", "answer"]]


@pytest.fixture(scope="module")
def cost_run(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("runs") / "cost"
    longer = dict(epochs=4, batch_size=64, learning_rate=0.01)
    return kzoo.train("tabular_fnn", data, out=out, cost=COST, **QUICK | longer)


@pytest.fixture(scope="module")
def auc_run(tmp_path_factory, data):
    out = tmp_path_factory.mktemp("runs") / "auc"
    return kzoo.train("tabular_fnn", data, out=out, epochs=1, objective="auc", **QUICK)


def plain(page):
    return " ".join(re.sub(r"<[^>]*>", " ", page.read_text(encoding="utf-8")).split())


def test_a_run_with_costs_is_compared_by_its_cost(cost_run, capsys):
    scores, rows = cost_run.summary["test"], cost_run.summary["baselines"]
    assert {(row["metric"], row["best"]) for row in rows} == {("expected_cost", "min")}
    costs = [row["scores"]["expected_cost"] for row in rows]
    constant = next(row["scores"]["expected_cost"] for row in rows if row["name"] == "majority")
    assert costs == sorted(costs)
    # More rows are wrong than by always predicting "no", on purpose, and the cost is far lower.
    assert scores["accuracy"] < scores["majority"] and scores["expected_cost"] < 0.8 * constant
    warning = sentences.beaten(cost_run.summary)
    assert warning is None or not missing_from(warning, ["cost", f"{scores['expected_cost']:.0f}"])
    page = plain(kzoo.report(cost_run))
    assert_mentions(page, "expected cost per 1,000 rows on", "lower is better", "90 % interval")
    assert "may have learned nothing" not in page and "correctly; always predicting" not in page
    worse = cost_run.summary | {"test": scores | {"expected_cost": costs[-1] + 1, "accuracy": 1.0}}
    assert_mentions(sentences.beaten(worse), "not better", "cost", rows[0]["label"])


def test_a_run_with_an_objective_is_compared_by_it(auc_run):
    rows = auc_run.summary["baselines"]
    areas = [row["scores"]["auc"] for row in rows]
    assert {row["metric"] for row in rows} == {"auc"} and areas == sorted(areas, reverse=True)
    assert sentences.line(auc_run.summary).startswith("AUC: ")
    page = plain(kzoo.report(auc_run))
    assert_mentions(page, f"{auc_run.summary['test']['auc']:.4f} AUC on", f"{areas[0]:.4f}")
    assert "may have learned nothing" not in page


@pytest.mark.parametrize("name", ["cost", "auc"])
def test_every_view_names_the_same_score(name, cost_run, auc_run, tmp_path, capsys):
    run, metric, short = (
        (cost_run, "expected_cost", "expected cost") if name == "cost" else (auc_run, "auc", "AUC")
    )
    best, level = ("min", 90) if name == "cost" else ("max", 95)
    exported = kzoo.export(run, tmp_path / "export", formats=["onnx"], progress=False)
    manifest = exported.manifest
    facts = score_facts(manifest.spec, manifest.metrics, manifest.baselines)
    assert (facts["name"], facts["best"], facts["level"]) == (metric, best, level)
    assert facts["value"] == pytest.approx(run.summary["test"][metric])
    by_label = {row["label"]: row["scores"][metric] for row in run.summary["baselines"]}
    beside = {row["label"]: row["value"] for row in facts["beside"]}
    assert all(beside[label] == pytest.approx(value) for label, value in by_label.items())
    assert_mentions((exported.path / "README.md").read_text(encoding="utf-8"), f"{short}:")
    assert_mentions(run._repr_html_(), metric.replace("_", " "), "most frequent class")
    assert main(["show", str(run.path)]) == 0
    assert_mentions(capsys.readouterr().out, f"{short}:")


def test_the_command_line_names_the_score_that_decides(data, capsys):
    data.to_csv("answers.csv", index=False)
    words = [
        "train",
        "tabular_fnn",
        "--data",
        "answers.csv",
        "--target",
        "answer",
        "--epochs",
        "1",
        "--quiet",
    ]
    costs = ["--cost", "yes:no=20", "--cost", "no:yes=1"]
    for number in "12":
        assert main([*words, *costs, "--out", f"runs/{number}", "--seed", number]) == 0
        printed = capsys.readouterr().out
        assert_mentions(printed, "expected cost:")
        assert "majority" not in printed
    assert main(["compare", "runs"]) == 0
    assert_mentions(
        capsys.readouterr().out, "lower is better", "expected cost", "90 %", "most frequent class"
    )
    table().drop(columns="size").iloc[::3].to_csv("new.csv", index=False)
    assert main(["compare", "runs/1", "runs/2", "--data", "new.csv"]) == 0
    printed = capsys.readouterr().out
    assert_mentions(printed, "expected cost", "paired bootstrap")


def test_scores_that_look_the_same_are_a_tie():
    def of(network, baseline, metric="accuracy"):
        row = dict(
            name="logistic", label="logistic regression", split="test", metric=metric, notes=[]
        )
        return sentences.beaten(
            {"test": {metric: network}, "baselines": [row | dict(scores={metric: baseline})]}
        )

    for network, baseline in ((1.0, 1.0), (0.8504, 0.8501 + 4e-4)):
        tie = of(network, baseline)
        assert_mentions(tie, "equally good", "logistic regression")
        assert "not better" not in tie
    assert_mentions(of(0.85, 0.888), "not better", "85.0%", "88.8%")
    assert of(0.9, 0.888) is None and of(300.0, 900.0, "expected_cost") is None
    assert_mentions(of(900.0, 300.0, "expected_cost"), "not better", "900", "300")


def mean_error(truth, predictions):
    return float(np.abs(truth - predictions).max())


def test_a_function_of_the_user_decides_in_its_direction(data):
    for name, target, frame in (
        ("values", "size", table()[["a", "b", "size"]]),
        ("classes", "answer", data),
    ):
        objective = kzoo.objective(
            mean_error if name == "values" else wrong, best="min", name="worst"
        )
        options = QUICK | dict(target=target, objective=objective, epochs=1)
        runs = [
            kzoo.train("tabular_fnn", frame, out=f"{name}/{seed}", seed=seed, **options)
            for seed in (0, 1)
        ]
        rows = runs[0].summary["baselines"]
        values = [row["scores"]["worst"] for row in rows]
        assert {(row["metric"], row["best"]) for row in rows} == {
            ("worst", "min")
        } and values == sorted(values)
        compared = kzoo.compare(runs)
        assert set(compared["metric"]) == {"worst"} and list(compared["score"]) == sorted(
            compared["score"]
        )
        assert_mentions(plain(kzoo.report(runs[0])), "worst on", "lower is better")
        assert kzoo.compare(runs, metric="worst")["score"].is_monotonic_increasing


def wrong(truth, guess):
    return float((truth != guess).mean())


def test_labels_of_baselines_have_learned_thresholds_with_an_objective_too():
    random = np.random.default_rng(0)
    x = random.normal(size=(900, 3))
    labels = {
        f"is_{name}": (x[:, i] + random.normal(size=900) > 1.4).astype(int)
        for i, name in enumerate("ab")
    }
    frame = pd.DataFrame(x, columns=list("xyz")).assign(**labels)
    data = kzoo.load_data(frame, target=list(labels), task="labels")
    usual, by_micro = (
        {each.name: each for each in baselines.score(data, settings=settings)}
        for settings in ({}, {"objective": "f1_micro"})
    )
    assert {each.metric for each in by_micro.values()} == {"f1_micro"}
    assert by_micro["logistic"].scores["f1_macro"] == pytest.approx(
        usual["logistic"].scores["f1_macro"]
    )


def test_the_order_of_what_decides():
    classes = problem("tabular_classification")
    scores = dict(accuracy=0.9, auc=0.8, expected_cost=300.0, f1=0.7)
    for settings, name, best in (
        ({}, "accuracy", "max"),
        (dict(decision="f1"), "f1", "max"),
        (dict(objective="top5"), "accuracy", "max"),
        (dict(cost=[[0, 1], [9, 0]], decision="f1"), "expected_cost", "min"),
        (dict(cost=[[0, 1], [9, 0]], objective="auc"), "auc", "max"),
        (dict(objective="brier"), "accuracy", "max"),
    ):
        decides = deciding_score(settings, scores, classes)
        assert (decides, decides.best) == (name, best)
    named = json.loads(json.dumps(dict(objective="worst", mode="min")))
    assert deciding_score(named, scores | dict(worst=3.0), classes).best == "min"
