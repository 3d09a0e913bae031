"""All pictures: light imports, the figure class of kzoo, no window."""

import ast
import subprocess
import sys
from pathlib import Path

import matplotlib.figure
import pytest
from messages import refuses

from kzoo import plots

FILES = sorted(Path(plots.__file__).parent.glob("*.py"))
LIGHT = """
import sys
from kzoo.plots import curves, overlay; curves({'loss': [1.0]}); overlay({'a': {'loss': [1.0]}})
from kzoo.plots import confusion_matrix; confusion_matrix([0, 1], [0, 1])
from kzoo.plots import forecast, prediction_grid, worst_mistakes; prediction_grid([[[0.0]]], [1])
heavy = [name for name in ("keras", "tensorflow", "jax", "torch", "matplotlib.pyplot") if name in sys.modules]
assert not heavy, heavy
"""


def test_pictures_of_numbers_need_no_keras():
    subprocess.run([sys.executable, "-c", LIGHT], check=True)


@pytest.mark.usefixtures("warm_children")
def test_the_names_are_functions_also_after_their_modules_are_imported():
    before = "; ".join(
        f"import kzoo.plots.{path.stem}" for path in FILES if path.stem != "__init__"
    )
    check = "import kzoo.plots as p; assert all(callable(getattr(p, name)) for name in p.__all__)"
    code = f"import gc; gc.disable(); {before}; {check}"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_module_has_the_names_of_all_and_no_other():
    assert all(callable(getattr(plots, name)) for name in plots.__all__)
    assert set(dir(plots)) == set(plots.__all__)
    with refuses("kzoo.plots", "'pie'", error=AttributeError):
        plots.pie  # noqa: B018


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_figure_is_of_the_class_that_looks_for_fonts(path):
    calls = [
        node.func
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    made = [
        f
        for f in calls
        if getattr(f, "id", getattr(f, "attr", None)) in ("Figure", "LegibleFigure")
    ]
    assert len(made) == (path.stem == "figure")
    assert isinstance(plots.curves({"loss": [1.0]}), matplotlib.figure.Figure)
