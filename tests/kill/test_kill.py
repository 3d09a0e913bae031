"""A training that is killed at random moments and started again ends in the same bits. All jobs: `-m slow`."""

import random
import sys
from pathlib import Path

import keras
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from job import JOBS, Killer, run
from killing import disturbed, ended, loadable, same, start, undisturbed


def kill(name, folder, *, backend, kills):
    whole = undisturbed(name, folder / "whole", backend=backend)
    # It has several steps to a call; in the undisturbed training the watcher makes them single steps.
    result, killed_in = disturbed(
        name,
        folder / "killed",
        kills=kills,
        whole=whole,
        backend=backend,
        seed=1,
        look=loadable,
        options=("--steps-per-call", 4),
    )
    assert killed_in, "it was over before it was killed"
    assert same(result, whole)


@pytest.mark.usefixtures("undrawn", "warm_children")
@pytest.mark.parametrize(("name", "last_step"), [("fnn", 30), ("rocket", 5)])
def test_a_killed_training_ends_in_the_same_bits(name, last_step, tmp_path):
    """Killed at a random step and, resumed, in a random write. The last trainings run in this process."""

    def in_this_process(folder):
        folder.mkdir(exist_ok=True)
        run(name, folder, Killer(folder, None))
        return ended(folder)

    whole = in_this_process(tmp_path / "whole")
    folder = tmp_path / "killed"
    moments = [
        ("step", random.randint(min(4, last_step), last_step)),
        ("save", random.randint(1, 12)),
    ]
    for moment in moments:
        assert start(name, folder, backend=keras.backend.backend(), moment=moment), moment
        loadable(folder)
    assert same(in_this_process(folder), whole), moments


@pytest.mark.slow
@pytest.mark.parametrize("name", JOBS)
def test_every_family_survives_kills(name, tmp_path):
    kill(name, tmp_path, backend="tensorflow", kills=8)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.parametrize(
    "name",
    [
        "fnn",
        "fnn_large",
        "members",
        "cnn_ema",
        "lstm",
        "transformer",
        "pretrained",
        "speed",
        "ngrams",
        "gpt",
        "linear",
    ],
)
def test_other_backends(name, backend, tmp_path):
    pytest.importorskip(backend)
    kill(name, tmp_path, backend=backend, kills=3)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_a_training_killed_at_the_start_of_an_epoch(backend, tmp_path):
    """The journal is the one of the epoch before: 45 steps make an epoch of this job, and three a journal."""
    pytest.importorskip(backend)
    whole = undisturbed("transformer", tmp_path / "whole", backend=backend)
    assert start("transformer", tmp_path / "killed", backend=backend, moment=("step", 47))
    start("transformer", tmp_path / "killed", backend=backend)
    assert same(ended(tmp_path / "killed"), whole)
