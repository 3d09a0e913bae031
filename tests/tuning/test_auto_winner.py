"""A mean of models as the winner of `auto`: its answers, its files, and its export."""

import numpy as np
import pytest
from shortcuts import undrawn, untraced
from sklearn.metrics import accuracy_score

import kzoo
from kzoo import runtime
from kzoo.auto.scoring import Answers
from kzoo.auto.winner import write_mean
from kzoo.dataset.options import DataOptions

WEIGHTS = (0.25, 0.75)


@pytest.fixture(scope="module")
def data():
    return kzoo.load_data("wine")


@pytest.fixture(scope="module")
def members(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    with untraced(), undrawn():
        network = kzoo.train("wine_fnn", data, epochs=3, out=folder / "network", progress=False, calibrate="off")
    return [kzoo.baselines.train("trees", data, out=folder / "trees"), network]


@pytest.fixture(scope="module")
def winner(data, members, tmp_path_factory):
    rng = np.random.default_rng(0)
    truth = np.asarray(data.train.y)
    outputs = np.eye(3)[truth] * 0.6 + rng.dirichlet([1, 1, 1], len(truth)) * 0.4  # too unsure: temperature below 1
    judged = Answers(outputs=outputs.astype("float32"), truth=truth, rows=np.arange(len(truth)))
    return write_mean(
        tmp_path_factory.mktemp("winner") / "run", data, members, WEIGHTS, [judged],
        description=DataOptions().describe(data), backend="tensorflow",
    )  # fmt: skip


def test_its_outputs_are_the_weighted_mean_of_its_members(winner, members, data):
    x = np.asarray(data.test.x)
    each = [np.asarray(member.model(x)) for member in members]
    expected = sum(weight * outputs for weight, outputs in zip(WEIGHTS, each, strict=True))
    assert np.asarray(winner.model(x)) == pytest.approx(expected, abs=1e-5)
    step = winner.postprocessing[0]
    assert (
        step["name"] == "temperature_scaling" and step["rows"] == "out of fold" and step["learned"]["temperature"] < 1
    )
    labels = winner.answers["answers"].argmax(1)
    assert winner.summary["test"]["accuracy"] == pytest.approx(accuracy_score(data.test.y, labels))
    assert "validation" not in winner.summary  # members have seen these rows


def test_it_predicts_and_exports_like_other_runs(winner, data, tmp_path):
    pytest.importorskip("onnxruntime")
    evaluated = kzoo.evaluate(winner)
    assert evaluated["accuracy"] == pytest.approx(winner.summary["test"]["accuracy"])
    kzoo.export(winner, tmp_path / "exported", formats=["onnx"])
    x = np.asarray(data.test.x[:8])
    light = runtime.load(tmp_path / "exported")
    assert light.predict(x).probabilities == pytest.approx(kzoo.predict(winner, x).probabilities, abs=1e-4)
