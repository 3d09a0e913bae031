"""Every recipe runs with --smoke, without a download, in less than a minute, and leaves its picture."""

import ast
import os
import runpy
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
SCRIPTS = sorted(p for p in RECIPES.rglob("*.py") if p.name != "measure.py")
SECONDS = 60


def needs_process(script):
    """A backend is chosen once in a process: a script for another than TensorFlow gets its own."""
    return any(f'backend="{name}"' in script.read_text(encoding="utf-8") for name in ("jax", "torch"))


def first_imports(script):
    """Return what a script imports before it reads its command line, as code."""
    lines = []
    for node in ast.parse(script.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            lines.append(ast.unparse(node))
        elif "recipe_arguments" in ast.unparse(node):
            return lines
    raise AssertionError(f"{script.name} does not call recipe_arguments")


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError("a recipe's smoke run asked for the network")

    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.relative_to(RECIPES).as_posix())
def test_a_recipe_runs_with_smoke(script, tmp_path, monkeypatch, no_network):
    out = tmp_path / "out"
    began = time.perf_counter()
    if needs_process(script):
        words = [sys.executable, str(script), "--smoke", "--out", str(out)]
        done = subprocess.run(words, capture_output=True, text=True, env=os.environ, timeout=5 * SECONDS)
        if done.returncode == 2 and "pip install" in done.stderr:
            pytest.skip(done.stderr.strip().splitlines()[-1])
        assert done.returncode == 0, done.stderr[-2000:]
    else:
        monkeypatch.setattr(sys, "argv", [str(script), "--smoke", "--out", str(out)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
        runpy.run_path(str(script), run_name="__main__")
    assert time.perf_counter() - began < SECONDS
    pictures = list(tmp_path.rglob(f"{script.stem}.png"))
    assert pictures and pictures[0].stat().st_size > 5000
    assert list(tmp_path.rglob(f"{script.stem}.json")), "recipe_result keeps the table of what was measured"
    assert {p.name for p in tmp_path.iterdir()} <= {"out"}, "everything a recipe writes belongs into --out"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda p: p.relative_to(RECIPES).as_posix())
def test_a_recipe_is_short_and_opens_as_a_notebook(script):
    text = script.read_text(encoding="utf-8")
    assert text.startswith('"""') and f"python recipes/{script.relative_to(RECIPES).as_posix()}" in text
    assert text.count("\n# %% ") >= 3
    assert "__main__" not in text
    assert len(text.splitlines()) <= 120
    assert ".show()" not in text


def test_keras_is_imported_by_recipe_arguments():
    """It chooses the backend and keeps back what TensorFlow writes at its start; an import before it does neither."""
    code = "\n".join(dict.fromkeys(line for script in SCRIPTS for line in first_imports(script)))
    code += "\nimport sys\nassert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=5 * SECONDS)
