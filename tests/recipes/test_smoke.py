"""Every recipe runs with --smoke, without a download, in less than a minute, and leaves its picture."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest
from processor import in_units

RECIPES = Path(__file__).parents[2] / "recipes"
TOOLS = ("measure.py", "tables.py", "weights.py")
SCRIPTS = sorted(p for p in RECIPES.rglob("*.py") if p.name not in TOOLS)
UNITS, SECONDS = 6000, 60  # units of `processor`; seconds that only a hang takes


def first_imports(script):
    """Return the imports of a script before it reads its command line, as code."""
    lines = []
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines.append(ast.unparse(node))
        elif "recipes.arguments" in ast.unparse(node):
            return lines
    raise AssertionError(f"{script.name} does not call kzoo.recipes.arguments")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.relative_to(RECIPES).as_posix())
def test_a_recipe_runs_with_smoke(script, smoke):
    made = smoke(script.relative_to(RECIPES).with_suffix("").as_posix())
    assert in_units(made.seconds) < UNITS
    pictures = list(made.folder.rglob(f"{script.stem}.png"))
    assert pictures and pictures[0].stat().st_size > 5000
    assert list(made.folder.rglob(f"{script.stem}.json")), (
        "kzoo.recipes.finish writes the table of measurements"
    )
    assert {p.name for p in made.folder.iterdir()} <= {"out"}, (
        "everything a recipe writes belongs into --out"
    )


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.relative_to(RECIPES).as_posix())
def test_a_recipe_is_short_and_opens_as_a_notebook(script):
    text = script.read_text(encoding="utf-8")
    assert (
        text.startswith('"""')
        and f"python recipes/{script.relative_to(RECIPES).as_posix()}" in text
    )
    assert text.count("\n# %% ") >= 3
    assert "__main__" not in text
    assert sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(text))) <= 80
    assert ".show()" not in text


def test_keras_is_imported_by_the_arguments_of_recipes():
    """They choose the backend and hide the messages of TensorFlow; an earlier import would do neither."""
    code = "\n".join(dict.fromkeys(line for script in SCRIPTS for line in first_imports(script)))
    code += "\nimport sys\nassert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=5 * SECONDS)
