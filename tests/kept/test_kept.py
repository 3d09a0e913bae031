"""Runs, exports, searches, an estimator and interrupted calls of version 0.1.0 open, answer and resume as then.

`make_kept.py` made them, and says why they are not made again. Predictions of machines differ in their last digits.
"""

import json
import shutil
from pathlib import Path

import kept
import numpy as np
import pytest
import tensorflow as tf

import kzoo

# A new row has a town that training has not seen, series are not cut into whole segments, few rows are for calibration,
# and arrays have no name by which their test rows could be told from the others.
pytestmark = [
    pytest.mark.filterwarnings(f"ignore:{message}:kzoo.utils.errors.KzooWarning")
    for message in (
        "Column 'town'",
        ".* in no segment",
        "confidence=0.8 rests on",
        ".* too optimistic",
        "This model was trained before version 0.2",
    )
]
QUESTIONS = kept.questions()
ASKED = [(file, question) for file, questions in QUESTIONS.items() for question in questions]
# Relative and absolute differences; a training that resumes on another machine repeats its rounding errors.
NEAR, RESUMED = dict(rtol=1e-4, atol=1e-5), dict(rtol=5e-3, atol=1e-3)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return kept.unpack(tmp_path_factory.mktemp("kept"))


@pytest.fixture(autouse=True)
def _in_the_folder(home, monkeypatch):
    monkeypatch.chdir(home)


def stored(file):
    return json.loads((kept.STORED / f"{file}.json").read_text(encoding="utf-8"))


def assert_same(answer, expected, near=NEAR, where=""):
    """Compare plain data: numbers nearly, all else exactly. There may be more entries of a dict today."""
    if isinstance(expected, dict):
        assert isinstance(answer, dict) and expected.keys() <= answer.keys(), (
            where,
            answer,
            expected,
        )
        for name, value in expected.items():
            assert_same(answer[name], value, near, f"{where} > {name}")
    elif isinstance(expected, list):
        assert isinstance(answer, list) and len(answer) == len(expected), (where, answer, expected)
        for number, value in enumerate(expected):
            assert_same(answer[number], value, near, f"{where} [{number}]")
    elif isinstance(expected, float) and isinstance(answer, int | float):
        np.testing.assert_allclose(answer, expected, **near, err_msg=where)
    else:
        assert answer == expected, where


def test_every_stored_file_is_asked():
    assert {file.stem for file in kept.STORED.glob("*.json")} == {*QUESTIONS, "ends"}
    for name, questions in QUESTIONS.items():
        assert sorted(stored(name)) == sorted(questions)


@pytest.mark.parametrize(("file", "question"), ASKED)
def test_answers_are_the_same_as_then(file, question):
    assert_same(kept.plain(QUESTIONS[file][question]()), stored(file)[question])


@pytest.mark.parametrize("name", kept.RUNS)
def test_the_same_training_returns_the_finished_run(name):
    """Every option and setting of then is compared with those of now, and the data with the data of then."""
    folder = Path("runs", name)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    assert kept.train(name, folder).path == folder
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before


@pytest.mark.parametrize("name", [*kept.RUNS, *kept.MORE])
def test_a_run_has_a_report(name, tmp_path):
    page = kzoo.report(Path("runs", name), out=tmp_path / "report.html").read_text(encoding="utf-8")
    assert kzoo.Run(Path("runs", name)).problem.name.replace("_", " ") in page


@pytest.mark.parametrize("name", [*kept.SEARCHES, "auto"])
def test_a_search_has_a_report(name, tmp_path):
    assert kzoo.report(Path("searches", name), out=tmp_path / "report.html").stat().st_size > 5000


@pytest.mark.parametrize("name", kept.EXPORTS)
def test_an_export_opens_with_keras_and_with_tensorflow(name):
    export, run = Path("exports", name), stored(kept.file_name("run", name))
    model = kzoo.load_model(export)
    sums = [float(np.abs(weight.astype("float64")).sum()) for weight in model.get_weights()]
    assert_same(sums, [total for _, _, total in run["weights"]])
    if "saved_model" in kept.EXPORTS[name]:
        x = np.ones((2, *model.input_shape[1:]), model.input.dtype)
        loaded = tf.saved_model.load(export / "saved_model" / "1")
        (served,) = tf.nest.flatten(loaded.serve(x))
        np.testing.assert_allclose(served, model(x), **NEAR)


def test_a_killed_training_resumes(tmp_path):
    """It goes on in the epoch in which it was killed, and ends as the training that was not killed."""
    run = shutil.copytree("stopped/training", tmp_path / "training")
    assert kzoo.Run(run).stopped and not kzoo.Run(run).finished
    preset, source, options = kept.KILLED_TRAINING
    kzoo.train(preset, source, out=run, **options | dict(resume="must"))
    assert_same(kept.plain(kept.weights(run)), stored("ends")["weights"], RESUMED)
    assert_same(kept.plain(kept.facts(run)), stored("ends")["facts"], RESUMED)


@pytest.mark.usefixtures("warm_children")
def test_a_killed_search_resumes(tmp_path):
    """Finished trials are not trained again, and it ends as the search that was not killed."""
    search = shutil.copytree("stopped/search", tmp_path / "search")
    finished = [
        file for file in sorted(search.glob("trials/*/trial.json")) if "0002" not in file.parts
    ]
    before = [file.read_bytes() for file in finished]
    assert len(before) == 2 and not kzoo.Search(search).finished
    preset, source, options = kept.KILLED_SEARCH
    kzoo.tune(preset, source, out=search, **options | dict(resume="must"))
    assert [file.read_bytes() for file in finished] == before
    assert_same(kept.plain(kept.search_facts(search)), stored("ends")["search"], RESUMED)


@pytest.mark.parametrize("name", kept.SEARCHES)
def test_the_same_search_returns_the_finished_search(name):
    folder = Path("searches", name)
    before = {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}
    preset, source, options = kept.SEARCHES[name]
    assert kzoo.tune(preset, source, out=folder, **options).finished
    assert {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()} == before
