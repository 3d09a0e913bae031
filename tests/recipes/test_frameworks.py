"""The hand-written loops and the backends: a process for each backend."""

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from messages import assert_mentions
from shortcuts import undrawn

import kzoo

RECIPES = Path(__file__).parents[2] / "recipes"
# Remembers every order that a script draws, and at its end prints how many there were and how many differ.
SPY = """
import atexit, jax
orders, draw = [], jax.random.permutation
def permutation(key, count):
    orders.append(draw(key, count))
    return orders[-1]
jax.random.permutation = permutation
atexit.register(lambda: print("orders", len(orders), len({tuple(order.tolist()) for order in orders})))
"""
LOOPS = {"tensorflow": "gradient_tape", "jax": "jax_loop", "torch": "torch_loop"}


def play(name, *words, without=None, first="", tmp_path):
    """Run a recipe in a process; `without` hides a package from it, `first` is code that runs before it."""
    environment = dict(os.environ)
    environment.pop("KERAS_BACKEND", None)
    if without:
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        (hidden / f"{without}.py").write_text("raise ModuleNotFoundError('hidden')\n")
        environment["PYTHONPATH"] = str(hidden)
    script = str(RECIPES / f"{name}.py")
    start = (
        ["-c", f"import runpy\n{first}\nrunpy.run_path({script!r}, run_name='__main__')"]
        if first
        else [script]
    )
    command = [sys.executable, *start, *words, "--out", str(tmp_path / "out")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def need(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")


@pytest.fixture(scope="module")
def by_fit(tmp_path_factory):
    """A run of `kzoo.train` with the first seed and 30 epochs."""
    out = tmp_path_factory.mktemp("fit") / "run"
    with undrawn():
        return kzoo.train(
            "iris_fnn", "iris", out=out, epochs=30, patience=30, callbacks="quick", progress=False
        )


@pytest.fixture
def by_hand(on_backend, recipe):
    """Play the loop on a backend with one seed and 30 epochs, and return its row."""

    def row(backend):
        loop = LOOPS[backend]
        if backend == "tensorflow":
            played = recipe(f"frameworks/{loop}", "--seeds", "1", "--epochs", "30")
        else:
            played = on_backend(backend)[f"frameworks/{loop}, longer"]
        (row,) = json.loads((played.folder / "out" / f"{loop}.json").read_text())["rows"]
        return row

    return row


@pytest.mark.parametrize("backend", LOOPS)
def test_a_loop_by_hand_trains_the_network_that_fit_trains(backend, by_fit, by_hand):
    row = by_hand(backend)
    assert row["seeds"] == 1 and row["epochs"] == 30 and row["ms_per_epoch"] > 0
    # three flowers of 30
    assert row["accuracy"] == pytest.approx(by_fit.summary["test"]["accuracy"], abs=0.1)
    assert row["accuracy"] == row["right"][0] / 30
    # L2 penalty included: it is most of it
    assert row["loss"] == pytest.approx(by_fit.history["loss"][-1], rel=0.2)


@pytest.mark.slow
def test_the_jax_loop_draws_a_new_order_every_epoch(tmp_path):
    need("jax")
    done = play("frameworks/jax_loop", "--smoke", first=SPY, tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "orders 3 3" in done.stdout


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_iris_runs_on_other_backends(backend, on_backend):
    played = on_backend(backend)["iris_fnn"]
    (row,) = json.loads((played.folder / "out" / "iris_fnn.json").read_text())["rows"]
    assert row["backend"] == backend
    assert "absl" not in played.stderr  # of the start of TensorFlow
    assert (played.folder / "out" / "iris_fnn.png").stat().st_size > 5000
    assert any((played.folder / "out").rglob("events.out*"))  # TensorBoard's, on every backend


@pytest.mark.parametrize("name", ["iris_fnn", "frameworks/kzoo_train", "frameworks/torch_loop"])
def test_a_missing_backend_is_refused_in_a_line(name, tmp_path):
    words = () if name == "frameworks/torch_loop" else ("--backend", "torch")
    done = play(name, "--smoke", *words, without="torch", tmp_path=tmp_path)
    assert done.returncode == 2
    assert_mentions(
        done.stderr.strip().splitlines()[-1], "error", "torch", "python -m pip install torch"
    )
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_compare_lists_frameworks_that_are_not_installed(tmp_path, monkeypatch, capfd):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name: find_spec(name) if name == "tensorflow" else None
    )
    script = RECIPES / "frameworks" / "compare.py"
    monkeypatch.setattr(
        sys, "argv", [str(script), "--seeds", "2", "--epochs", "2", "--out", str(tmp_path / "out")]
    )
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    names = runpy.run_path(str(script), run_name="__main__")
    ran = [row["framework"] for row in names["rows"] if row["accuracy"] is not None]
    assert ran == ["kzoo.train, tensorflow", "GradientTape"]
    absent = [row["framework"] for row in names["rows"] if row["accuracy"] is None]
    assert len(absent) == 4
    for name in absent:
        assert_mentions(name, "installed")
    out = capfd.readouterr().out
    assert_mentions(
        out, "difference", f"{names['difference']:.4f}", f"{names['standard_error']:.4f}"
    )
    first, second = names["right"].values()
    assert names["difference"] == pytest.approx(abs(sum(first) - sum(second)) / 60)
    assert names["standard_error"] == pytest.approx(
        abs((first - second)[0] - (first - second)[1]) / 60
    )
