"""An export format is one file: a copy of kzoo with that file has the format, and nothing else was edited."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from messages import refuses

import kzoo
import kzoo.runtime

# without Keras; the other tests of this folder start a Python that has imported it
COLD = sys.executable
FORMAT = Path(__file__).parent / "numbers_format.py"


@pytest.fixture
def run_in_copy(tmp_path):
    """Return a function that runs Python where kzoo has the new file."""
    package = Path(kzoo.__file__).parent
    shutil.copytree(
        package, tmp_path / "copy" / "kzoo", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(FORMAT, tmp_path / "copy" / "kzoo" / "export" / "formats" / "numbers.py")

    def run(*words, python=None):
        return subprocess.run(
            [python or sys.executable, "-P", *map(str, words)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "copy")},
        )

    return run


def test_a_new_format_is_one_file(run_in_copy, tmp_path):
    run = kzoo.train(
        "iris_fnn", "iris", out=tmp_path / "iris", epochs=2, callbacks="quick", progress=False
    )
    assert "numbers" in run_in_copy("-m", "kzoo", "export", "--help").stdout
    words = (
        "export",
        run.path,
        "--out",
        "exported",
        "--formats",
        "numbers",
        "--quantize",
        "float16",
        "--json",
    )
    done = run_in_copy("-m", "kzoo", *words)
    assert done.returncode == 0, done.stderr
    exports = json.loads(done.stdout)["exports"]
    assert {key: (entry["status"], entry["layers"]) for key, entry in exports.items()} == {
        "numbers": ("ok", 11),
        "numbers_float16": ("ok", 11),
    }
    assert exports["numbers_float16"]["bytes"] < exports["numbers"]["bytes"]
    assert "numpy" in (tmp_path / "exported" / "requirements.txt").read_text()
    x = kzoo.load_data("iris").test.x[:20]
    np.save(tmp_path / "x.npy", x)
    code = (
        "import json, sys, numpy, kzoo.runtime\n"
        "model = kzoo.runtime.load('exported')\n"
        "answers = model.predict(numpy.load('x.npy'))\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
        "print(json.dumps([model.format, answers.probabilities.tolist()]))"
    )
    done = run_in_copy("-c", code, python=COLD)
    assert done.returncode == 0, done.stderr
    format, probabilities = json.loads(done.stdout)
    assert format == "numbers"
    np.testing.assert_allclose(probabilities, kzoo.predict(run, x).probabilities, atol=1e-5)
    # Here, where kzoo lacks the file, the folder still opens, and the format is named.
    exported = kzoo.ExportedModel(tmp_path / "exported")
    assert exported.damage() == []
    with refuses("format", "'numbers'"):
        exported.check()
    with refuses("without Keras", "numbers", "numbers_float16", "formats='onnx'"):
        kzoo.runtime.load(exported)
