"""Each fault that gradients show is reported; a network without it has no finding."""

import os
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers
from messages import assert_mentions
from small_models import DIABETES, IRIS, dense, find, finding_of, net

import kzoo

X, Y = IRIS
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def sound():
    """The names of the checks that report a network without a fault."""
    return {finding.check for finding in kzoo.check(dense(), (X, Y), deep=True)}


@pytest.fixture
def one_step(monkeypatch, untraced):
    """Try one step to learn a few rows by heart: networks with a fault of gradients would take dozens, in vain."""
    monkeypatch.setattr("kzoo.checks.steps._STEPS", 1)


def deep(name, model, data=(X, Y), **options):
    return find(name, model, data, deep=True, **options)


def test_a_network_without_gradients(one_step):
    cut = layers.Lambda(lambda x: keras.ops.stop_gradient(x))
    finding = finding_of(
        "gradients", net((4,), layers.Dense(8), cut, layers.Softmax()), (X, Y), deep=True
    )
    assert finding.level == "error"
    assert_mentions(finding.what, "weight", "gradient")


def test_weights_that_do_not_affect_the_loss(one_step):
    inputs = keras.Input((4,))
    idle = layers.Dense(8, name="idle")(inputs)
    joined = layers.Concatenate()(
        [layers.Dense(8)(inputs), layers.Lambda(keras.ops.stop_gradient)(idle)]
    )
    model = keras.Model(inputs, layers.Dense(3, "softmax")(joined))
    model.compile("adam", "sparse_categorical_crossentropy")
    finding = finding_of("gradients", model, (X, Y), deep=True)
    assert finding.level == "warning"
    assert_mentions(finding.where, "idle/kernel")  # on JAX without the bias


def test_gradients_that_vanish(sound, one_step):
    faint = keras.initializers.RandomNormal(stddev=1e-7, seed=0)
    layers_ = [layers.Dense(4, kernel_initializer=faint, use_bias=False) for _ in range(2)]
    finding = finding_of(
        "gradients", net((4,), *layers_, layers.Dense(3, "softmax")), (X, Y), deep=True
    )
    assert finding.level == "warning"
    assert_mentions(finding.what, "gradient", "1")
    assert "/kernel" in finding.where  # the weight, not the network
    assert "gradients" not in sound


def test_gradients_that_explode(one_step):
    loud = keras.initializers.RandomNormal(stddev=3, seed=0)
    inside = [layers.Dense(32, kernel_initializer=loud) for _ in range(6)] + [layers.Dense(1)]
    finding = finding_of(
        "gradients", net((10,), *inside, loss="mse", metrics=()), DIABETES, deep=True
    )
    assert re.search(r"\b\d\.?\d*e\+\d+", finding.what)  # the norm
    assert_mentions(finding.what, "gradient", "norm")
    assert_mentions(finding.fix, "global_clipnorm=1")
    clipped = net(
        (10,), *inside, loss="mse", metrics=(), optimizer=keras.optimizers.Adam(global_clipnorm=1.0)
    )
    assert deep("gradients", clipped, DIABETES) == []


def test_a_gradient_that_is_nan(one_step):
    inside = [
        layers.Lambda(lambda x: keras.ops.sqrt(keras.ops.abs(x) * 0)),
        layers.Dense(3, "softmax"),
    ]
    model = net((4,), layers.Dense(4), *inside)
    finding = finding_of("gradients", model, (X, Y), deep=True)
    assert finding.level == "error"
    assert_mentions(finding.what, "gradient", "NaN")
    assert "/kernel" in finding.where


def test_a_network_that_cannot_memorise_a_few_rows(sound):
    model = net((4,), layers.Rescaling(0.0), layers.Dense(3, "softmax"))
    finding = finding_of("few_rows_by_heart", model, (X, Y), deep=True)
    assert finding.level == "warning"
    assert_mentions(finding.what, "8", "60", "1.1", "1.08")
    assert "few_rows_by_heart" not in sound


def test_the_check_does_not_change_the_model():
    model = net(
        (4,),
        layers.Dense(16, "relu"),
        layers.Dropout(0.5),
        layers.BatchNormalization(),
        layers.Dense(3, "softmax"),
    )
    before = [keras.ops.convert_to_numpy(v.value).copy() for v in model.variables]
    kzoo.check(model, (X, Y))
    assert all(
        np.array_equal(a, keras.ops.convert_to_numpy(v.value))
        for a, v in zip(before, model.variables, strict=True)
    )
    assert int(model.optimizer.iterations) == 0


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_other_backends(backend):
    pytest.importorskip(backend)
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", "not slow"]
    files = [
        str(ROOT / "tests" / "checks" / name) for name in ("test_steps.py", "test_check_start.py")
    ]
    done = subprocess.run(
        [*command, *files], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout[-3000:]
