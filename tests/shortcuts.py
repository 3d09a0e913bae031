"""Ways to train faster in tests: untraced steps, no picture and no baselines, trials in this process.

`conftest.py` has fixtures of these for a test (`untraced`, `undrawn`). A fixture that trains for a module or a session
uses these context managers.
"""

import os
import subprocess
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import pytest

import kzoo
from kzoo.training.fit import Fit
from kzoo.training.workers.worker import Stop, TrialFailed, error_line
from kzoo.tuning import plan, tune
from kzoo.tuning.trial import Trainer

# Steps of a training and of its validations: for this many of a small network, tracing takes as long as it saves.
FEW_STEPS = 20


@contextmanager
def untraced(eagerly=True):
    """Let TensorFlow run each step as it comes: for a few steps of a small network, tracing takes most of the time.

    Trainings of kzoo with more than `FEW_STEPS` are traced. `eagerly=False` lets TensorFlow trace all, inside of
    another `untraced`.
    """
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow as tf

    with running_eagerly(tf, eagerly):
        if not eagerly:
            yield
            return
        with cheap_steps(tf), long_trainings_traced(tf):
            yield


@contextmanager
def running_eagerly(tf, eagerly):
    """Let TensorFlow run its functions eagerly, or trace them."""
    before = tf.config.functions_run_eagerly()
    tf.config.run_functions_eagerly(eagerly)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(before)


@contextmanager
def long_trainings_traced(tf):
    """Let TensorFlow trace the steps of a training of kzoo that has more than `FEW_STEPS`.

    The parts of an interrupted training count as the whole, which must end in the same bits.
    """
    original = Fit.train_until_end

    def train_until_end(fit, signals):
        steps = fit.job.training["epochs"] * (len(fit.train) + len(fit.validation or ()))
        with running_eagerly(tf, tf.config.functions_run_eagerly() and steps <= FEW_STEPS):
            return original(fit, signals)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fit, "train_until_end", train_until_end)
        yield


@contextmanager
def cheap_steps(tf):
    """Let untraced steps use the faster kernels of traced steps, which halves the time of recurrent layers and of Adam.

    Outside of a graph, custom gradients need tensors but get variables.
    """
    from kzoo.training import kernels

    original = kernels.ops.custom_gradient

    def custom_gradient(function):
        return lambda *values: original(function)(
            *(map(tf.identity, values) if tf.executing_eagerly() else values)
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "_compiled_for_a_processor", lambda: True)
        patch.setattr(kernels.ops, "custom_gradient", custom_gradient)
        yield


class Blank:
    """A figure as `kzoo.train` needs it."""

    def savefig(self, path, **options):
        open(path, "wb").close()


@contextmanager
def drawn():
    """Let `kzoo.train` draw its curves, which it does not in most tests (`conftest.py`)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_module("kzoo.training.train"), "curves", kzoo.plots.curves)
        yield


@contextmanager
def undrawn():
    """Let `kzoo.train` write an empty file for its curves, and score no baselines: a third of a small run's time."""
    training = import_module("kzoo.training.train")  # its name in the package is the function's
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "curves", lambda *arguments, **options: Blank())
        patch.setattr(training, "score_baselines", lambda *arguments, **options: [])
        yield


class Here:
    """The interface of `Worker` without a new process, which would first import Keras for seconds."""

    def __init__(self, log, *, trainer, threads, **setup):
        self.stop = Stop()
        self.on_epoch = None
        self.trainer = Trainer(
            **setup, stop=self.stop, tell=lambda *values: self.on_epoch and self.on_epoch(*values)
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def call(self, name, *, signals=None, deadline=None, on_epoch=None, tick=None, **arguments):
        self.stop.deadline, self.on_epoch = deadline, on_epoch
        try:
            return getattr(self.trainer, name)(**arguments)
        except Exception as error:
            raise TrialFailed(error_line(error)) from error


@contextmanager
def in_this_process():
    """Let a search train its trials in this process, and build few networks only to count their parameters."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tune, "Worker", Here)
        patch.setattr(plan, "_SAMPLES", 2)
        yield


def tune_here(*arguments, **options):
    """Return `kzoo.tune`'s search, trained in this process."""
    with in_this_process():
        return kzoo.tune(*arguments, **options)


def pass_on_jax(file):
    """Run the tests of a file, but for the slow ones, on Keras' JAX backend."""
    pytest.importorskip("jax", reason="pip install 'kzoo[jax]'")
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        file,
    ]
    root = Path(__file__).parents[1]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stdout[-3000:]
