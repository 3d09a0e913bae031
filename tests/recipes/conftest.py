"""The smoke run of a recipe, once in a session, for all tests that look at it."""

import gc
import importlib.util
import json
import os
import runpy
import socket
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
from shortcuts import in_this_process, undrawn, untraced

RECIPES = Path(__file__).parents[2] / "recipes"
# A backend is chosen once in a process, and takes seconds to start: its recipes run in a single process.
ON_OTHER_BACKENDS = {
    "jax": {
        "iris_fnn": ["--smoke", "--backend", "jax"],
        "frameworks/jax_loop": ["--smoke"],
        "frameworks/jax_loop, longer": ["--seeds", "1", "--epochs", "30"],
    },
    "torch": {
        "iris_fnn": ["--smoke", "--backend", "torch"],
        "frameworks/torch_loop": ["--smoke"],
        "frameworks/torch_loop, longer": ["--seeds", "1", "--epochs", "30"],
    },
}
# Smoke runs of many networks and few steps, whose tracing by TensorFlow takes longer than the steps as they come.
UNTRACED = {
    "adding_problem",
    "cifar_cnn",
    "cifar_speed",
    "imdb_lstm",
    "imdb_rnn",
    "imdb_transformer",
    "mnist_cnn",
    "practice/batch_norm",
    "practice/batch_size",
    "practice/calibration",
    "practice/class_imbalance",
    "practice/clipping",
    "practice/cross_validation",
    "practice/ensemble",
    "practice/regularization",
    "practice/sample_weights",
    "practice/scikit_learn",
    "practice/thresholds",
    "tabular_counts",
    "tabular_fnn",
    "tabular_quantiles",
    "text_reviews",
    "tune_digits",
    "tune_reviews",
    "tune_tabular",
}
CHILD = """
import json, os, runpy, sys
for folder, *words in json.loads(sys.argv[1]):
    began = sum(os.times()[:4])
    os.chdir(folder)
    sys.argv = words
    runpy.run_path(words[0], run_name="__main__")
    with open("../seconds", "a") as file:
        print(sum(os.times()[:4]) - began, file=file)
"""


run_process = subprocess.run


def refuse(*args, **kwargs):
    raise OSError("the smoke run of a recipe uses the network")


@pytest.fixture(autouse=True)
def _presets_of_recipes_end_with_the_test(registry_as_it_was):
    """A recipe may register presets, which must not reach later tests of this process."""


@pytest.fixture(scope="session")
def on_backend(tmp_path_factory):
    """Run the recipes of JAX or PyTorch; return each `folder`, its `seconds`, and the `stderr` of the process."""
    runs = {}

    def run(backend):
        if importlib.util.find_spec(backend) is None:
            pytest.skip(f"{backend} is not installed")
        if backend not in runs:
            runs[backend] = play_on(backend, tmp_path_factory.mktemp(backend))
        return runs[backend]

    return run


def play_on(backend, folder):
    recipes = ON_OTHER_BACKENDS[backend]
    cases = []
    folders = [folder / str(number) for number in range(len(recipes))]
    for path, (name, words) in zip(folders, recipes.items(), strict=True):
        path.mkdir()
        cases.append(
            [
                str(path),
                str(RECIPES / f"{name.split(',')[0]}.py"),
                *words,
                "--out",
                str(path / "out"),
            ]
        )
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    words = [sys.executable, "-c", CHILD, json.dumps(cases)]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-2000:]
    seconds = map(float, (folder / "seconds").read_text().split())
    return {
        name: SimpleNamespace(left={}, seconds=its, folder=path, stderr=done.stderr)
        for name, its, path in zip(recipes, seconds, folders, strict=True)
    }


@pytest.fixture(scope="session")
def smoke(tmp_path_factory, on_backend):
    """Run a recipe; return its variables as `left`, its `folder`, and its `seconds` of processor time."""
    runs = {}

    def run(name):
        for backend in ON_OTHER_BACKENDS:
            if name == f"frameworks/{backend}_loop":
                return on_backend(backend)[name]
        if name not in runs:
            with untraced(name in UNTRACED):
                runs[name] = play(
                    RECIPES / f"{name}.py", tmp_path_factory.mktemp("smoke"), "--smoke"
                )
            keras.utils.clear_session(free_memory=False)
            gc.collect()
            # a recipe collects garbage after each training, and would look through all that others left
            gc.freeze()
        return runs[name]

    return run


@pytest.fixture
def recipe(tmp_path):
    """Run a recipe with other arguments, in the folder of the test; the result is like that of `smoke`."""
    return lambda name, *words: play(RECIPES / f"{name}.py", tmp_path, *words)


def processor_seconds():
    """Return the seconds of this process and its children: other tests may run at the same time."""
    return sum(os.times()[:4])


def play(script, folder, *words):
    """Run a recipe in this process, with the recipes that it would run in another process."""
    began = processor_seconds()
    out = ["--out", str(folder / "out")]
    with in_this_process(), undrawn(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket, "create_connection", refuse)
        patch.setattr(socket, "getaddrinfo", refuse)
        patch.setattr(subprocess, "run", another_recipe)
        patch.setattr(sys, "argv", [str(script), *words, *out])
        patch.setattr(sys, "excepthook", sys.excepthook)
        patch.setenv("KERAS_BACKEND", "tensorflow")
        left = runpy.run_path(str(script), run_name="__main__")
        keras.utils.enable_interactive_logging()  # scikit_learn.py turns it off
    return SimpleNamespace(left=left, seconds=processor_seconds() - began, folder=folder)


def another_recipe(command, **options):
    """Stand in for `subprocess.run` of one recipe by another, which would take seconds to import Keras."""
    if str(command[0]) != sys.executable:  # other packages ask the system how many cores it has
        return run_process(command, **options)
    _, script, *words = map(str, command)
    assert options["check"] and all(type(value) is str for value in options["env"].values())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script, *words])
        runpy.run_path(script, run_name="__main__")
