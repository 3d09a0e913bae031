"""Where only NumPy, Pillow and a runtime are installed, as README says for those who run exported models.

The class of faults: what is not installed counts as broken, or is told in the words of Python's import. Python itself
hides the packages here, from the command and from the processes that it starts.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "golden"))
import golden_answers

HIDING = """
import sys
from importlib.machinery import PathFinder

HIDDEN = set({hidden!r})

class Hiding(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in HIDDEN else PathFinder.find_spec(name, path, target)

sys.meta_path = [Hiding if finder is PathFinder else finder for finder in sys.meta_path]
"""
LIGHT = [
    "keras", "tensorflow", "keras_tuner", "tensorboard", "matplotlib", "sklearn", "scipy", "pandas", "jinja2", "rich",
    "shtab", "h5py", "jax", "torch", "onnx", "tf2onnx",
]  # fmt: skip


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    home = tmp_path_factory.mktemp("light")
    golden_answers.unpack(home / "golden")
    return home


def kzoo(place, *words, hidden=LIGHT):
    """Run a command without the hidden packages; return its exit code, stdout and stderr."""
    (place / "hiding").mkdir(exist_ok=True)
    (place / "hiding" / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    paths = [str(place / "hiding"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from kzoo.cli import main; sys.exit(main())", *words], cwd=place,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "80"}, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_what_cannot_be_checked_has_not_failed(place):
    code, out, err = kzoo(place, "check", "golden/table/export", "--json")
    exports = json.loads(out)["exports"]
    assert {key: entry["status"] for key, entry in exports.items()} == {
        "keras": "unchecked", "litert": "ok", "onnx": "ok"
    }  # fmt: skip
    assert exports["keras"]["note"] == "This needs keras, which is not installed: pip install kzoo"
    assert code == 0, err
    code, out, _ = kzoo(place, "check", "golden/table/export")
    assert code == 0 and "unchecked" in out and "pip install kzoo" in out and max(map(len, out.splitlines())) <= 80


def test_an_altered_file_fails_there_too(place):
    shutil.copytree(place / "golden" / "table" / "export", place / "altered")
    file = place / "altered" / "onnx" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code, out, _ = kzoo(place, "check", "altered")
    assert code == 1 and "its bytes are not those of the export" in " ".join(out.split())


def test_without_any_runtime_nothing_can_be_said(place):
    code, out, err = kzoo(place, "check", "golden/table/export", hidden=[*LIGHT, "onnxruntime", "ai_edge_litert"])
    assert (code, out) == (2, "") and "is not installed: pip install" in err


@pytest.mark.parametrize("words", [
    "train iris_fnn", "tune iris_fnn", "check iris_fnn", "evaluate golden/table/run", "report golden/table/run",
    "predict golden/table/run golden/table/new.csv", "export golden/table/run", "show iris_fnn --code",
    "compare golden/table/run golden/table/run_2 --plot curves.png", "--print-completion bash",
])  # fmt: skip
def test_a_command_that_needs_more_says_what_installs_it(place, words):
    code, out, err = kzoo(place, *words.split())
    lines = [line for line in err.splitlines() if "that training has not seen" not in line]  # said of the rows, before
    assert (code, out, len(lines)) == (2, "", 1), err
    assert "which is not installed: pip install kzoo" in lines[0], err
