"""The smoke run of a recipe, once in a session, for all tests that look at it."""

import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest

RECIPES = Path(__file__).parents[2] / "recipes"


def refuse(*args, **kwargs):
    raise OSError("a recipe's smoke run asked for the network")


@pytest.fixture(autouse=True)
def _presets_of_recipes_end_with_the_test(registry_as_it_was):
    """A recipe may register presets, which the tests after it in this process know nothing of."""


@pytest.fixture(scope="session")
def smoke(tmp_path_factory):
    """Run a recipe; return what it `left` in its names, its `folder`, and its `seconds` of processor time."""
    runs = {}

    def run(name):
        if name not in runs:
            runs[name] = play(RECIPES / f"{name}.py", tmp_path_factory.mktemp("smoke"))
        return runs[name]

    return run


def processor_seconds():
    """Return what this process and its children have used: other tests may be running beside it."""
    return sum(os.times()[:4])


def play(script, folder):
    text, began = script.read_text(encoding="utf-8"), processor_seconds()
    words, left = [str(script), "--smoke", "--out", str(folder / "out")], {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        # A backend is chosen once in a process: a script for another than TensorFlow gets its own.
        if 'backend="jax"' in text or 'backend="torch"' in text:
            done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=os.environ, timeout=300)
            if done.returncode == 2 and "pip install" in done.stderr:
                pytest.skip(done.stderr.strip().splitlines()[-1])
            assert done.returncode == 0, done.stderr[-2000:]
        else:
            patch.setattr(socket, "create_connection", refuse)
            patch.setattr(socket, "getaddrinfo", refuse)
            patch.setattr(sys, "argv", words)
            patch.setattr(sys, "excepthook", sys.excepthook)
            patch.setenv("KERAS_BACKEND", "tensorflow")
            left = runpy.run_path(str(script), run_name="__main__")
            keras.utils.enable_interactive_logging()  # scikit_learn.py turns it off
    return SimpleNamespace(left=left, seconds=processor_seconds() - began, folder=folder)
