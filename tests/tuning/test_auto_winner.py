"""A mean of models as the winner of `auto`: its answers, its files, and its export."""

import shutil

import numpy as np
import pytest
from shortcuts import undrawn, untraced
from sklearn.metrics import accuracy_score

import kzoo
from kzoo import runtime
from kzoo.auto.scoring import Answers
from kzoo.auto.winner import write_mean
from kzoo.cli import main
from kzoo.data.options import DataOptions

WEIGHTS = (0.25, 0.75)


@pytest.fixture(scope="module")
def data():
    return kzoo.load_data("wine")


@pytest.fixture(scope="module")
def members(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("members")
    with untraced(), undrawn():
        network = kzoo.train(
            "wine_fnn", data, epochs=3, out=folder / "network", progress=False, calibrate="off"
        )
    return [kzoo.baselines.train("trees", data, out=folder / "trees"), network]


@pytest.fixture(scope="module")
def winner(data, members, tmp_path_factory):
    rng = np.random.default_rng(0)
    truth = np.asarray(data.train.y)
    # too unsure: temperature below 1
    outputs = np.eye(3)[truth] * 0.6 + rng.dirichlet([1, 1, 1], len(truth)) * 0.4
    judged = Answers(outputs=outputs.astype("float32"), truth=truth, rows=np.arange(len(truth)))
    return write_mean(
        tmp_path_factory.mktemp("winner") / "run",
        data,
        members,
        WEIGHTS,
        [judged],
        description=DataOptions().describe(data),
        backend="tensorflow",
    )


def test_its_outputs_are_the_weighted_mean_of_its_members(winner, members, data):
    x = np.asarray(data.test.x)
    each = [np.asarray(member.model(x)) for member in members]
    expected = sum(weight * outputs for weight, outputs in zip(WEIGHTS, each, strict=True))
    assert np.asarray(winner.model(x)) == pytest.approx(expected, abs=1e-5)
    step = winner.postprocessing[0]
    assert (
        step["name"] == "temperature_scaling"
        and step["rows"] == "out of fold"
        and step["learned"]["temperature"] < 1
    )
    labels = winner.answers["answers"].argmax(1)
    assert winner.summary["test"]["accuracy"] == pytest.approx(accuracy_score(data.test.y, labels))
    assert "validation" not in winner.summary  # members have seen these rows


def test_it_predicts_and_exports_like_other_runs(winner, data, tmp_path):
    pytest.importorskip("onnxruntime")
    evaluated = kzoo.evaluate(winner)
    assert evaluated["accuracy"] == pytest.approx(winner.summary["test"]["accuracy"])
    assert kzoo.report(winner, out=tmp_path / "report.html").is_file()
    kzoo.export(winner, tmp_path / "exported", formats=["onnx"])
    x = np.asarray(data.test.x[:8])
    light = runtime.load(tmp_path / "exported")
    assert light.predict(x).probabilities == pytest.approx(
        kzoo.predict(winner, x).probabilities, abs=1e-4
    )


def test_its_sets_rest_on_the_rows_that_no_member_was_trained_on(winner, data, capsys):
    step = winner.postprocessing[-1]
    assert (step["name"], step["rows"], step["learned"]["count"]) == (
        "conformal",
        "out of fold",
        len(data.train),
    )
    predictions = kzoo.predict(winner, np.asarray(data.test.x[:8]), confidence=0.9)
    assert len(predictions.sets) == 8 and "fewer training rows" in predictions.promise
    assert [entry["rows"] for entry in winner.summary["conformal"]] == ["out of fold"] * 3


def test_rows_that_repeated_folds_predict_again_count_once(data, members, tmp_path):
    truth = np.asarray(data.train.y)
    outputs = np.full((len(truth), 3), 1 / 3, "float32")
    judged = [Answers(outputs=outputs, truth=truth, rows=np.arange(len(truth)))] * 2
    described = DataOptions().describe(data)
    run = write_mean(
        tmp_path / "run",
        data,
        members[:1],
        [1.0],
        judged,
        description=described,
        backend="tensorflow",
    )
    assert run.postprocessing[-1]["learned"]["count"] == len(truth)


def test_a_command_names_the_options_of_training_and_the_model_of_a_search(
    winner, members, tmp_path, capsys
):
    without, file = tmp_path / "without", tmp_path / "wine.csv"
    file.write_text("alcohol\n13\n")
    shutil.copytree(winner.path, without)
    (without / "postprocessing.json").write_text("[]")
    assert main(["predict", str(without), str(file), "--confidence", ".9"]) == 2
    assert "(--calibration 0.1)" in capsys.readouterr().err
    search = tmp_path / "search"
    search.mkdir()
    (search / "search.json").write_text('{"spec": {"preset": "auto"}}')
    assert main(["predict", str(search), str(file)]) == 2
    assert "not finished" in capsys.readouterr().err
    shutil.copytree(winner.path, search / "winner")
    assert main(["predict", str(search), str(file)]) == 2
    assert f"its model is the run {search / 'winner'}" in capsys.readouterr().err
