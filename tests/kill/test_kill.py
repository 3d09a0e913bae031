"""Killed at random moments and started again, a training ends as if nobody had touched it. All jobs: `-m slow`."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from job import JOBS
from killing import disturbed, loadable, same, undisturbed


def kill(name, folder, *, backend, kills):
    whole = undisturbed(name, folder / "whole", backend=backend)
    found, killed_in = disturbed(
        name, folder / "killed", kills=kills, whole=whole, backend=backend, seed=1, look=loadable
    )
    assert killed_in, "it was over before it was killed"
    assert same(found, whole)


def test_a_killed_training_ends_in_the_same_bits(tmp_path):
    kill("fnn", tmp_path, backend="tensorflow", kills=2)


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_every_family(name, tmp_path):
    kill(name, tmp_path, backend="tensorflow", kills=8)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize("name", ["fnn", "cnn_ema", "lstm", "transformer"])
def test_other_backends(name, backend, tmp_path):
    pytest.importorskip(backend)
    kill(name, tmp_path, backend=backend, kills=3)
