"""Notebooks are made from the recipes' cells, run in two minutes without a download, and show nothing of TensorFlow."""

import json
import re
import runpy
import time
from pathlib import Path

import pytest
from processor import in_units

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "recipes" / "notebooks"
NAMES = ("table", "image", "text", "series")  # one for each kind of data
UNITS, SECONDS = 12_000, 120  # units of `processor`, and seconds on two cores
# Lines that TensorFlow and its libraries print.
OF_TENSORFLOW = re.compile(
    r"tensorflow/|oneDNN|cuda|[IWE]0000|XLA|computation_placer|cpu_feature_guard|WARNING", re.I
)


def executed(cells, folder, seconds=SECONDS):
    """Return the executed cells of a notebook."""
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=cells)
    nbformat.validate(book)
    resources = {"metadata": {"path": str(folder)}}
    nbclient.NotebookClient(
        book, timeout=3 * seconds, kernel_name="python3", resources=resources
    ).execute()
    return book.cells


def code(*sources):
    return [pytest.importorskip("nbformat").v4.new_code_cell(source) for source in sources]


def outputs_of(cells):
    return [output for cell in cells for output in cell.get("outputs", ())]


def text_of(output):
    return output.get("text") or output.data.get("text/plain", "")


def test_notebooks_are_those_of_the_recipes():
    script = runpy.run_path(str(ROOT / ".ci" / "notebooks.py"))
    assert set(script["NOTEBOOKS"]) == set(NAMES) == {path.stem for path in FOLDER.glob("*.ipynb")}
    for name in NAMES:
        assert (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8") == script["notebook"](name), (
            "run: python .ci/notebooks.py"
        )


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_is_code_without_outputs(name):
    book = json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(cells) >= 4 and all(cell["outputs"] == [] for cell in cells)
    for cell in cells:
        compile("".join(cell["source"]), name, "exec")
    words = "".join(book["cells"][0]["source"])
    assert words.startswith("# ") and "python recipes/" not in words


def test_output_of_tensorflow_is_noticed():
    for line in (
        "2026-01-01 10:00:00.1: I tensorflow/core/util/port.cc:153] oneDNN custom operations are on.",
        "I0000 00:00:1700000000.1 123 gpu_device.cc:2020] Created device",
        "E0000 00:00:1 1 cuda_executor.cc:1] INTERNAL",
        "WARNING:tensorflow:5 out of the last 5 calls triggered tf.function retracing.",
    ):
        assert OF_TENSORFLOW.search(line)
    assert not OF_TENSORFLOW.search(
        "An epoch has 34 steps here. Loss and metrics are of standardised targets."
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_runs(name, tmp_path):
    nbformat = pytest.importorskip("nbformat")
    started = time.monotonic()
    cells = executed(nbformat.read(FOLDER / f"{name}.ipynb", as_version=4).cells, tmp_path)
    assert in_units(time.monotonic() - started) < UNITS
    outputs = outputs_of(cells)
    # notebooks show it in red
    assert not [output.text for output in outputs if output.get("name") == "stderr"]
    for output in outputs:
        assert not OF_TENSORFLOW.search(text_of(output)), text_of(output)
    shown = [output.data for output in outputs if "data" in output]
    assert any("image/png" in formats for formats in shown)  # the figure at the end
    # of the training, of its run
    assert sum("kzoo-card" in formats.get("text/html", "") for formats in shown) >= 2


@pytest.mark.slow
def test_progress_is_shown_in_place_and_an_interrupt_keeps_the_run(tmp_path):
    stop = """
import os, signal, keras
class Stop(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)  # the notebook's stop button sends it
"""
    train = "run = kzoo.train('iris_fnn', 'iris', epochs=500, out='run', callbacks=[Stop()])"
    cells = executed(
        code(
            "import kzoo" + stop,
            train,
            "print(run.summary['interrupted'], run.stopped)\nrun",
            "kzoo.train('iris_fnn', 'iris', epochs=5, out='five')",
        ),
        tmp_path,
    )
    bars = [output for output in cells[1].outputs if output.output_type == "display_data"]
    assert len(bars) == 1 and "epoch" in text_of(bars[0])
    assert text_of(cells[2].outputs[0]).split() == ["True", "True"]
    assert "stopped, can be resumed" in cells[2].outputs[1].data["text/html"]
    (bar,) = (output for output in cells[3].outputs if output.output_type == "display_data")
    assert (
        "5/5" in text_of(bar)
        and "5 epochs" in bar.data["text/html"]
        and "<progress" not in bar.data["text/html"]
    )


@pytest.mark.slow
def test_a_search_is_one_table(tmp_path):
    cells = executed(
        code("import kzoo\nkzoo.tune('iris_fnn', 'iris', trials=2, epochs=2)"), tmp_path
    )
    (table,) = (output for output in cells[0].outputs if output.output_type == "display_data")
    assert "2 of 2 trials" in text_of(table) and table.data["text/html"].count("<tr>") == 3
