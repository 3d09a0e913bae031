"""The score by which `kzoo.tune("auto")` compares models of two classes, and the scores that it states beside it.

The fault to prevent: at 89 to 11 accuracy cannot tell a model from the most frequent class.
"""

import json

import numpy as np
import pandas as pd
import pytest
from in_process import auto_in_process
from sklearn.metrics import accuracy_score, log_loss, roc_auc_score

import kzoo
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.auto.winner import write_mean
from kzoo.baselines.data import comparison_objective
from kzoo.cli import main
from kzoo.data.options import DataOptions

pytestmark = pytest.mark.usefixtures("untraced_module")


def bank(rows=400, share=0.15, seed=0):
    rng = np.random.default_rng(seed)
    age = rng.normal(size=rows)
    job = rng.choice(list("abcd"), rows)
    chance = age + (job == "a") + rng.normal(0, 1, rows)
    return pd.DataFrame(
        {
            "age": age,
            "job": job,
            "y": np.where(chance > np.quantile(chance, 1 - share), "yes", "no"),
        }
    )


def probabilities(rng, rows, sharpness, truth):
    p = 1 / (1 + np.exp(-sharpness * (truth - 0.5) - rng.normal(size=rows)))
    return np.stack([1 - p, p], axis=1).round(2)  # with ties


def test_the_difference_of_two_areas_is_that_of_delong():
    rng = np.random.default_rng(0)
    rows = 300
    truth = (rng.random(rows) < 0.2).astype(int)
    both = [probabilities(rng, rows, sharpness, truth) for sharpness in (2.0, 0.5)]
    answers = [Answers(outputs=p, truth=truth, rows=np.arange(rows)) for p in both]
    score = PrimaryScore(kzoo.load_data(bank(), target="y"), "auc")
    difference = score.difference(answers[:1], answers[1:], np.arange(rows))
    areas = [roc_auc_score(truth, p[:, 1]) for p in both]
    assert difference.mean == pytest.approx(areas[0] - areas[1], abs=1e-9)
    # the covariances of DeLong et al., from all pairs of a positive and a negative row
    wins = []
    for p in both:
        positive, negative = p[truth == 1, 1][:, None], p[truth == 0, 1][None]
        wins.append((positive > negative) + (positive == negative) / 2)
    gain = wins[0] - wins[1]
    of_rows, of_columns = gain.mean(axis=1), gain.mean(axis=0)
    variance = of_rows.var(ddof=1) / len(of_rows) + of_columns.var(ddof=1) / len(of_columns)
    assert difference.error == pytest.approx(np.sqrt(variance), rel=0.02)
    # with weights there is no such formula: the areas are drawn again
    weight = np.ones(rows)
    weighted = [Answers(outputs=p, truth=truth, rows=np.arange(rows), weight=weight) for p in both]
    drawn = score.difference(weighted[:1], weighted[1:], np.arange(rows))
    assert drawn.mean == pytest.approx(difference.mean, abs=1e-6)
    assert drawn.error == pytest.approx(difference.error, rel=0.35)


def texts(share):
    rng = np.random.default_rng(0)
    words = [" ".join(rng.choice(["good", "bad", "film", "plot", "it"], 6)) for _ in range(400)]
    return pd.DataFrame({"text": words, "y": np.where(np.arange(400) < share * 400, "yes", "no")})


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (bank(share=0.11), "auc"),
        (bank(share=0.5), "auc"),
        (bank(rows=100, share=0.05), None),  # five rows of a class: no area in each fold
        (bank().assign(y=np.resize(["a", "b", "c"], 400)), None),
        (bank().assign(y=np.arange(400) / 7), None),
        (texts(0.5), None),
        (texts(0.11), "auc"),
    ],
)
def test_two_classes_are_compared_by_the_area_under_the_curve(frame, expected):
    options = {"preset": "text_ngrams"} if "text" in frame else {}
    assert comparison_objective(kzoo.load_data(frame, target="y", **options)) == expected


def test_the_plan_says_which_score_and_why(tmp_path, capsys):
    file = tmp_path / "bank.csv"
    bank().to_csv(file, index=False)
    call = ["tune", "auto", "--data", str(file), "--target", "y", "--dry-run"]
    assert main(call) == 0
    assert "auto: auc (of two classes; --objective sets another score)" in capsys.readouterr().out
    assert main([*call, "--objective", "accuracy"]) == 0
    assert "auto: accuracy, judged on" in capsys.readouterr().out


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    file = tmp_path_factory.mktemp("objective") / "bank.csv"
    bank().to_csv(file, index=False)
    return file


OPTIONS = dict(target="y", max_time="10m", folds=3, test=0.3, progress=False)


def test_the_result_states_several_scores_of_two_classes(file):
    with auto_in_process("tabular_fnn"):
        search = kzoo.tune("auto", file, out=file.parent / "search", **OPTIONS)
    result = json.loads((search.path / "auto.json").read_text())
    assert search.objective.name == result["metric"] == "auc"
    answers = search.winner.answers
    truth, p = answers["truth"], answers["answers"]
    area = roc_auc_score(truth, p[:, 1])
    accuracy = accuracy_score(truth, p.argmax(1))
    (line,) = (line for line in result["lines"] if line.startswith("On 120 test rows"))
    loss = log_loss(truth, p.astype("float64"))
    assert f"{result['label']} AUC {area:.3f}, loss " in line and f"accuracy {accuracy:.1%}" in line
    assert float(line.split("loss ")[1].split(",")[0]) == pytest.approx(loss, abs=6e-4)
    # the run of the winner knows the score by which it was chosen
    assert search.winner.spec.training["objective"] == "auc"
    assert kzoo.evaluate(search.winner, file)["auc"] == pytest.approx(area, abs=1e-6)


def test_a_search_of_before_keeps_its_score(file):
    with auto_in_process("tabular_fnn"):
        before = kzoo.tune(
            "auto", file, objective="accuracy", out=file.parent / "before", **OPTIONS
        )
        again = kzoo.tune("auto", file, out=before.path, **OPTIONS)
        assert again.objective.name == "accuracy" and again.verdict == before.verdict
        with pytest.raises(kzoo.KzooError, match="contains a different search"):
            kzoo.tune("auto", file, out=before.path, **OPTIONS | dict(folds=4))


def test_check_shows_the_scores_of_two_classes_side_by_side(file, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # lines are not broken
    findings = kzoo.check(file, target="y")
    (first, *_) = findings.baselines
    assert first.metric == "auc" and first.shown == ("auc", "loss", "accuracy")
    assert first.values == [first.scores[name] for name in first.shown]
    values = [each.scores["auc"] for each in findings.baselines]
    assert values == sorted(values, reverse=True)
    assert f"{first.value:.4g} / {first.scores['loss']:.4g}" in repr(findings)
    assert main(["check", "--data", str(file), "--target", "y", "--quick"]) == 0
    heading = next(line for line in capsys.readouterr().out.splitlines() if "seconds" in line)
    assert heading.split() == ["AUC", "loss", "accuracy", "seconds"]


def test_a_mean_keeps_the_score_by_which_it_was_chosen(file, tmp_path):
    data = kzoo.load_data(file, target="y")
    names = ("trees", "logistic")
    members = [
        kzoo.baselines.train(name, data, out=tmp_path / name, baselines=False) for name in names
    ]
    truth = np.asarray(data.validation.y)
    rows = np.arange(len(truth))
    p = probabilities(np.random.default_rng(0), len(truth), 2.0, truth).astype("float32")
    mean = write_mean(
        tmp_path / "mean",
        data,
        members,
        [0.5, 0.5],
        [Answers(outputs=p, truth=truth, rows=rows)],
        description=DataOptions().describe(data),
        backend="tensorflow",
        settings=PrimaryScore(data, "auc").settings,
    )
    assert mean.spec.training["objective"] == "auc"
    assert kzoo.evaluate(mean, file)["auc"] == pytest.approx(mean.summary["test"]["auc"], abs=1e-6)
    assert kzoo.tune("auto", bank(seed=1), previous=mean, dry_run=True).metric == "auc"
    assert PrimaryScore(data, "accuracy").settings == {}
