"""`kzoo.tune("auto", one_network=True)`: a mean is distilled into a network, whose run is like any other."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from in_process import auto_in_process
from sklearn.datasets import load_wine
from sklearn.metrics import accuracy_score, log_loss

import kzoo
from kzoo import runtime
from kzoo.auto import conclusion
from kzoo.auto.distillation import SHARE, with_soft_targets
from kzoo.auto.scoring import Answers
from kzoo.problems.tasks import problems
from kzoo.utils.errors import KzooWarning

pytestmark = pytest.mark.usefixtures("untraced_module")


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("wine") / "wine.csv"
    frame = load_wine(as_frame=True).frame.sample(frac=1, random_state=0)
    frame.assign(target=frame.target.map({0: "a", 1: "b", 2: "c"})).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def search(file, tmp_path_factory):
    """A search whose choice is the networks of all folds."""

    def choose(scores, complexity, difference):
        number = max((n for n in scores if complexity[n] == 1), key=scores.__getitem__)
        return number, number

    out = tmp_path_factory.mktemp("search") / "search"
    with auto_in_process("tabular_fnn", epochs=20), pytest.MonkeyPatch.context() as patch:
        patch.setattr(conclusion, "choose", choose)
        return kzoo.tune(
            "auto",
            file,
            target="target",
            folds=2,
            test=0.3,
            max_time="10m",
            one_network=True,
            progress=False,
            out=out,
        )


def test_the_winner_is_one_network_and_the_verdict_compares_it_with_the_mean(search):
    winner, mean = search.winner, kzoo.Run(search.path / "mean")
    assert winner.spec.preset == "tabular_fnn" and not winner.spec.members
    count = len(mean.spec.members)
    assert count in (2, 4) and mean.answers["split"] == "test"  # of one or two divisions
    assert winner.config["distilled"] == {
        "share": SHARE,
        "members": [{"preset": "tabular_fnn", "run": "run"}] * count,
    }
    assert winner.data.train == mean.data.train  # not the number of weighted targets
    verdict = search.verdict
    assert verdict.startswith("tabular_fnn, distilled: ")
    for words in ("It is one network", "in place of", "the mean", "networks of the folds"):
        assert words in verdict
    result = json.loads((search.path / "auto.json").read_text())
    assert result["label"] == "tabular_fnn, distilled"


def test_it_predicts_exports_and_is_reported_as_other_runs(search, file, tmp_path, capsys):
    winner = search.winner
    answers = winner.answers
    accuracy = accuracy_score(answers["truth"], answers["answers"].argmax(1))
    assert accuracy > 0.8
    assert winner.summary["test"]["accuracy"] == pytest.approx(accuracy)
    assert kzoo.evaluate(winner, file)["accuracy"] == pytest.approx(accuracy)
    rows = pd.read_csv(file).drop(columns="target")[:5]
    with pytest.warns(KzooWarning, match="rests on 13 validation rows"):
        sets = kzoo.predict(winner, rows, confidence=0.9)
    kzoo.export(winner, tmp_path / "export", formats=["onnx"])
    again = runtime.load(tmp_path / "export").predict(rows.to_dict("list"))
    assert list(again.labels) == list(sets.labels)
    assert again.probabilities == pytest.approx(sets.probabilities, abs=1e-4)
    page = kzoo.report(winner, out=tmp_path / "report.html").read_text(encoding="utf-8")
    assert "tabular_fnn" in page


def test_soft_targets_of_classes_have_the_cross_entropy_of_the_mixed_distribution():
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=50)
    teacher, student = rng.dirichlet([2, 2, 2], size=(2, 50))
    rows, classes, weight = problems()["tabular_classification"].soft_targets(truth, teacher, 0.4)
    mixed = 0.4 * teacher + 0.6 * np.eye(3)[truth]
    mixed[mixed < 0.01] = 0
    mixed /= mixed.sum(axis=1, keepdims=True)
    expected = -(mixed * np.log(student)).sum(axis=1).mean()
    loss = log_loss(classes, student[rows], sample_weight=weight, labels=[0, 1, 2])
    assert loss == pytest.approx(expected, rel=1e-5)
    assert np.bincount(rows, weight) == pytest.approx(1)


def test_soft_targets_are_those_of_the_training_rows(file):
    data = kzoo.load_data(file, target="target", test=0.3)
    count, together = len(data.train), len(data.train) + len(data.validation)
    rng = np.random.default_rng(1)
    truth = np.concatenate([data.train.y, data.validation.y])
    outputs = rng.dirichlet([1, 1, 1], together)
    order = rng.permutation(together)
    answers = Answers(outputs=outputs[order], truth=truth[order], rows=order)
    soft = with_soft_targets(data, answers)
    rows, classes, weight = data.problem.soft_targets(truth[:count], outputs[:count], SHARE)
    np.testing.assert_array_equal(soft.train.x, data.train.x[rows])
    np.testing.assert_array_equal(soft.train.y, classes)
    np.testing.assert_allclose(soft.train.weight, weight)
    assert soft.validation is data.validation
    assert with_soft_targets(data, answers.select(np.flatnonzero(order != 3))) is None
    others = replace(answers, truth=truth[::-1])
    assert with_soft_targets(data, others) is None  # answers for other rows
    values = rng.normal(size=(5, 1))
    assert problems()["tabular_regression"].soft_targets(values, values, 0.5) is None
