"""Files that released versions stored open, and give the same answers as then. README.md lists them.

Answers are compared with tolerances: processors and later versions of Keras round differently.
"""

import json
import zipfile

import numpy as np
import pytest
import released_files as files

import kzoo
from kzoo.zoo.registry import catalogue

VERSIONS = sorted(path.stem for path in files.HERE.glob("*.zip"))
NEAR = dict(rtol=1e-3, atol=1e-4)
pytestmark = pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")


def answers(version):
    return json.loads((files.HERE / f"{version}.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module", params=VERSIONS)
def version(request):
    return request.param


@pytest.fixture(scope="module")
def unpacked(version, tmp_path_factory):
    home = tmp_path_factory.mktemp("released")
    with zipfile.ZipFile(files.HERE / f"{version}.zip") as archive:
        archive.extractall(home)
    return home


@pytest.fixture(autouse=True)
def _in_the_folder(unpacked, monkeypatch):
    monkeypatch.chdir(unpacked)
    kzoo.list_presets()  # which reads the catalogue
    for name in ("_presets", "_owners"):  # the stored preset is registered for one test
        monkeypatch.setattr(catalogue, name, dict(getattr(catalogue, name)))


def assert_same(answer, expected, where):
    """Compare plain data: numbers nearly, all else exactly. A dict may have more entries today."""
    if isinstance(expected, dict):
        assert isinstance(answer, dict) and expected.keys() <= answer.keys(), where
        for name, value in expected.items():
            assert_same(answer[name], value, f"{where} > {name}")
    elif isinstance(expected, list):
        assert isinstance(answer, list) and len(answer) == len(expected), (where, answer, expected)
        for number, value in enumerate(expected):
            assert_same(answer[number], value, f"{where} [{number}]")
    elif isinstance(expected, float) and isinstance(answer, int | float):
        np.testing.assert_allclose(answer, expected, **NEAR, err_msg=where)
    else:
        assert answer == expected, (where, answer, expected)


@pytest.mark.parametrize("question", files.questions())
def test_answers_are_those_of_then(version, question):
    asked = files.questions()[question]
    assert_same(files.plain(asked()), answers(version)[question], question)


def test_every_question_has_an_answer(version):
    assert ".".join(kzoo.__version__.split(".")[:2]) in VERSIONS
    assert sorted(answers(version)) == sorted(files.questions())


def test_the_same_training_returns_the_finished_run(version):
    """A changed default, or another name of a setting, would be another run."""
    for name in files.RUNS:
        assert files.train(name, f"runs/{name}").summary == kzoo.Run(f"runs/{name}").summary
