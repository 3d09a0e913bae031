"""A damaged file gives an answer or a KzooError: no other exception, no crash, no gigabytes of memory.

Each file of a run, of an export and a `.keras` file is damaged at random and opened by every function that reads it.
A separate process opens them, so that a crash of a native library is noticed, and its memory is bounded.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from messages import refuses

import kzoo

pytestmark = pytest.mark.usefixtures("warm_children")

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "table"
# Name -> functions that open it, the file and its folder, number of damages in the slow test and in the fast test.
FILES = {
    "a .keras file": ("keras", "model.keras", "one", 10_000, 60),
    "kzoo.json": ("exported", "kzoo.json", "export", 5_000, 20),
    "config.json": ("run", "config.json", "run", 2_000, 20),
    "summary.json": ("run", "summary.json", "run", 2_000, 10),
    "history.csv": ("run", "history.csv", "run", 2_000, 10),
    "answers.npz": ("run", "answers.npz", "run", 2_000, 10),
    "preprocessing.json": ("run", "preprocessing.json", "run", 2_000, 20),
    "best.keras": ("run", "best.keras", "run", 2_000, 0),
    "an ONNX file": ("onnx", "onnx/model.onnx", "export", 2_000, 100),
    "a LiteRT file": ("litert", "litert/model.tflite", "export", 2_000, 100),
}


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """The golden table, its run and its export, unpacked."""
    folder = tmp_path_factory.mktemp("golden") / "table"
    shutil.copytree(GOLDEN, folder)
    shutil.unpack_archive(folder / "made.zip", folder)
    (folder / "one").mkdir()
    shutil.copy(folder / "export" / "keras" / "model.keras", folder / "one")
    return folder


def opened(golden, kind, file, folder, first, last):
    """Return what went wrong, and how many answers and refusals there were."""
    command = [sys.executable, HERE / "mutations.py", kind, file, golden / folder, first, last]
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=4 * 3600, errors="replace"
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [line for line in lines if "wrong" in line]
    if done.returncode or not lines[-1:] or "done" not in lines[-1]:
        wrong.append(dict(crash=done.returncode, at=lines[-1:], stderr=done.stderr[-1000:]))
    return wrong, lines[-1] if lines else {}


needs_linux = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="Linux reports the peak of memory"
)


@needs_linux
@pytest.mark.parametrize("name", ["an ONNX file", "a LiteRT file", "kzoo.json"])
def test_damaged_files_give_an_answer_or_a_kzoo_error(golden, name):
    *where, _, few = FILES[name]
    wrong, counts = opened(golden, *where, 0, few)
    assert wrong == [] and counts["refused"] > few / 4, (wrong, counts)


@needs_linux
def test_a_litert_file_with_a_huge_tensor_is_refused(golden):
    """Damage 1902: a file of eight thousand bytes with an output of 202 million."""
    wrong, counts = opened(golden, *FILES["a LiteRT file"][:3], 1902, 1903)
    assert wrong == [] and counts["refused"] == 1


def test_a_run_without_class_names_in_its_config(golden, tmp_path):
    """A damage of `config.json`: `class_names` is missing, which is legal for a run without classes."""
    folder = shutil.copytree(golden / "run", tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    assert config["data"].pop("class_names")
    (folder / "config.json").write_text(json.dumps(config))
    assert kzoo.Run(folder).class_names == []
    with refuses("answers.npz", "damaged"):
        kzoo.Run(folder).answers  # noqa: B018


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_thousands_of_damaged_files(golden, name):
    *where, many, _ = FILES[name]
    wrong, counts = opened(golden, *where, 0, many)
    print(name, counts)
    assert wrong == [], (len(wrong), wrong[:5], counts)
