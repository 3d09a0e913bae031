"""The hand-written loops and the backends, each in a process of its own: one backend per process."""

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

RECIPES = Path(__file__).parents[2] / "recipes"
LOOPS = {"gradient_tape": "tensorflow", "jax_loop": "jax", "torch_loop": "torch"}


def play(name, *words, without=None, tmp_path):
    """Run a recipe in a process; `without` hides a package from it."""
    environment = dict(os.environ)
    environment.pop("KERAS_BACKEND", None)
    if without:
        hidden = tmp_path / "hidden"
        hidden.mkdir()
        (hidden / f"{without}.py").write_text("raise ModuleNotFoundError('hidden')\n")
        environment["PYTHONPATH"] = str(hidden)
    command = [sys.executable, str(RECIPES / f"{name}.py"), *words, "--out", str(tmp_path / "out")]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=300)


def need(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_loop_by_hand_learns(loop, tmp_path):
    need(LOOPS[loop])
    done = play(f"frameworks/{loop}", "--seeds", "1", "--epochs", "30", tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    (row,) = json.loads((tmp_path / "out" / f"{loop}.json").read_text())["rows"]
    assert row["accuracy"] >= 0.8  # of 30 flowers; a third by chance
    assert row["seeds"] == 1 and row["epochs"] == 30 and row["ms_per_epoch"] > 0


@pytest.mark.parametrize("backend", LOOPS.values())
def test_iris_runs_on_each_backend(backend, tmp_path):
    need(backend)
    done = play("iris_fnn", "--smoke", "--backend", backend, tmp_path=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    (row,) = json.loads((tmp_path / "out" / "iris_fnn.json").read_text())["rows"]
    assert row["backend"] == backend
    assert (tmp_path / "out" / "iris_fnn.png").stat().st_size > 5000


@pytest.mark.parametrize("name", ["iris_fnn", "frameworks/torch_loop"])
def test_a_missing_backend_is_one_line(name, tmp_path):
    words = ("--backend", "torch") if name == "iris_fnn" else ()
    done = play(name, "--smoke", *words, without="torch", tmp_path=tmp_path)
    assert done.returncode == 2
    assert done.stderr.strip().splitlines()[-1] == "kzoo: error: This needs torch: python -m pip install torch"
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "out").exists()


def test_compare_lists_what_is_not_installed(tmp_path, monkeypatch, capfd):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: find_spec(name) if name == "tensorflow" else None)
    script = RECIPES / "frameworks" / "compare.py"
    monkeypatch.setattr(sys, "argv", [str(script), "--seeds", "2", "--epochs", "2", "--out", str(tmp_path / "out")])
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    said = runpy.run_path(str(script), run_name="__main__")
    ran = [row["framework"] for row in said["rows"] if row["accuracy"] is not None]
    assert ran == ["kzoo.train, tensorflow", "GradientTape"]
    absent = [row["framework"] for row in said["rows"] if row["accuracy"] is None]
    assert len(absent) == 4 and all(name.endswith("not installed") for name in absent)
    assert "largest difference" in capfd.readouterr().out
    first, second = said["right"].values()
    assert said["difference"] == pytest.approx(abs(sum(first) - sum(second)) / 60)
    assert said["standard_error"] == pytest.approx(abs((first - second)[0] - (first - second)[1]) / 60)
