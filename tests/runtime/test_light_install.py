"""Where only NumPy, Pillow and a runtime are installed, as README says for those who run exported models.

The class of faults: a missing package counts as a broken file, or ends in Python's ImportError. Python itself hides the
packages here, from the command and from the processes that it starts.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from messages import assert_mentions

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
    "keras",
    "tensorflow",
    "keras_tuner",
    "tensorboard",
    "matplotlib",
    "sklearn",
    "scipy",
    "pandas",
    "jinja2",
    "rich",
    "openpyxl",
    "shtab",
    "h5py",
    "jax",
    "torch",
    "onnx",
    "tf2onnx",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    home = tmp_path_factory.mktemp("light")
    golden_answers.unpack(home / "golden")
    return home


def kzoo(folder, *words, hidden=LIGHT):
    """Run a command without the hidden packages; return its exit code, stdout and stderr."""
    (folder / "hiding").mkdir(exist_ok=True)
    (folder / "hiding" / "sitecustomize.py").write_text(HIDING.format(hidden=hidden))
    paths = [str(folder / "hiding"), *sys.path]
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from kzoo.cli import main; sys.exit(main())", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths), "COLUMNS": "80"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_format_that_cannot_be_checked_has_not_failed(folder):
    code, out, err = kzoo(folder, "check", "golden/table/export", "--json")
    exports = json.loads(out)["exports"]
    assert {key: entry["status"] for key, entry in exports.items()} == {
        "keras": "unchecked",
        "litert": "ok",
        "onnx": "ok",
    }
    assert_mentions(exports["keras"]["note"], "keras", "pip install kzoo")
    assert code == 0, err
    code, out, _ = kzoo(folder, "check", "golden/table/export")
    assert_mentions(out, "keras", "unchecked", "pip install kzoo")
    assert code == 0 and max(map(len, out.splitlines())) <= 80


def test_an_altered_file_fails_in_a_light_install_too(folder):
    shutil.copytree(folder / "golden" / "table" / "export", folder / "altered")
    file = folder / "altered" / "onnx" / "model.onnx"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    code, out, _ = kzoo(folder, "check", "altered")
    assert_mentions(out, "failed", "onnx/model.onnx", "bytes")
    assert code == 1


def test_without_any_runtime_the_check_is_refused(folder):
    code, out, err = kzoo(
        folder, "check", "golden/table/export", hidden=[*LIGHT, "onnxruntime", "ai_edge_litert"]
    )
    assert_mentions(err, "installed", "pip install")
    assert (code, out) == (2, "")


@pytest.mark.parametrize(
    "words",
    [
        "train iris_fnn",
        "tune iris_fnn",
        "check iris_fnn",
        "evaluate golden/table/run",
        "report golden/table/run",
        "predict golden/table/run golden/table/new.csv",
        "export golden/table/run",
        "show iris_fnn --code",
        "compare golden/table/run golden/table/run_2 --plot curves.png",
        "--print-completion bash",
    ],
)
def test_a_command_that_needs_more_names_what_installs_it(folder, words):
    code, out, err = kzoo(folder, *words.split())
    # of the rows
    lines = [line for line in err.splitlines() if not line.startswith("kzoo: warning: ")]
    assert (code, out, len(lines)) == (2, "", 1), err
    assert_mentions(lines[0], "error", "installed", "pip install kzoo")


@pytest.mark.slow
def test_the_documented_lines_install_a_light_kzoo(tmp_path):
    """In fresh environments, within their bars of size; the script checks what the commands answer there."""
    script = Path(__file__).parents[2] / ".ci" / "light.py"
    if not script.is_file():
        pytest.skip("kzoo is installed, and this is no checkout")
    done = subprocess.run(
        [sys.executable, script], capture_output=True, encoding="utf-8", timeout=900, check=False
    )
    if "No matching distribution" in done.stderr or "ConnectionError" in done.stderr:
        pytest.skip("no package index can be reached")
    assert done.returncode == 0, done.stderr
    assert_mentions(done.stdout, "numpy:", "onnxruntime:", "MB")
