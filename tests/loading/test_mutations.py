"""The class of faults: a damaged file ends in an exception of Python's or of a library's, in gigabytes, or in a crash.

Each file of a run, of an export and a `.keras` file is damaged at random and opened by every door that reads it. What
comes out is an answer or one line that names the file. A process of its own opens them, so that a crash of a native
library counts as one, and its memory is bounded.
"""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import kzoo

pytestmark = pytest.mark.usefixtures("warm_children")

HERE = Path(__file__).parent
GOLDEN = HERE.parent / "golden" / "table"
# What is damaged: the doors, the file and its folder; how often at night, and each time.
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
def given(tmp_path_factory):
    """The golden table, its run and its export, unpacked."""
    folder = tmp_path_factory.mktemp("given") / "table"
    shutil.copytree(GOLDEN, folder)
    shutil.unpack_archive(folder / "made.zip", folder)
    (folder / "one").mkdir()
    shutil.copy(folder / "export" / "keras" / "model.keras", folder / "one")
    return folder


def opened(given, what, file, folder, first, last):
    """Return what went wrong, and how many answers and refusals there were."""
    command = [sys.executable, HERE / "mutations.py", what, file, given / folder, first, last]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=4 * 3600, errors="replace")
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    wrong = [line for line in lines if "wrong" in line]
    if done.returncode or not lines[-1:] or "done" not in lines[-1]:
        wrong.append(dict(crash=done.returncode, at=lines[-1:], said=done.stderr[-1000:]))
    return wrong, lines[-1] if lines else {}


needs_linux = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux says how high memory went")


@needs_linux
@pytest.mark.parametrize("name", ["an ONNX file", "a LiteRT file", "kzoo.json"])
def test_a_damaged_file_is_answered_or_refused_in_a_line(given, name):
    *where, _, few = FILES[name]
    wrong, counts = opened(given, *where, 0, few)
    assert wrong == [] and counts["refused"] > few / 4, (wrong, counts)


@needs_linux
def test_a_litert_file_that_wants_a_tensor_out_of_proportion(given):
    """One of the thousands: eight thousand bytes, and an output of 202 million."""
    wrong, counts = opened(given, *FILES["a LiteRT file"][:3], 1902, 1903)
    assert wrong == [] and counts["refused"] == 1


def test_a_run_whose_config_has_lost_its_classes(given, tmp_path):
    """Another: the description of the data without its `class_names`, which not every run has."""
    folder = shutil.copytree(given / "run", tmp_path / "run")
    config = json.loads((folder / "config.json").read_text())
    assert config["data"].pop("class_names")
    (folder / "config.json").write_text(json.dumps(config))
    assert kzoo.Run(folder).class_names == []
    with pytest.raises(kzoo.KzooError, match=r"answers\.npz is damaged"):
        kzoo.Run(folder).answers  # noqa: B018


@needs_linux
@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_thousands_of_damaged_files(given, name):
    *where, many, _ = FILES[name]
    wrong, counts = opened(given, *where, 0, many)
    print(name, counts)
    assert wrong == [], (len(wrong), wrong[:5], counts)
