"""These tests on the other backends, and several steps in a single call."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from small import Weights, fit, network, same

import kzoo


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="Keras has no steps_per_execution for PyTorch"
)
@pytest.mark.parametrize("name", ["standard", "long", "debug", "teaching"])
def test_several_steps_in_a_single_call(name, tmp_path):
    optimizer = keras.optimizers.SGD(0.1, use_ema=True)
    model = network(optimizer, steps_per_execution=4)
    seen = Weights()
    history = fit(model, [*getattr(kzoo.callbacks, name)(tmp_path / "run"), seen], epochs=3).history
    assert same(model.get_weights(), seen.ends[int(np.argmin(history["val_loss"]))])
    assert same(
        keras.saving.load_model(tmp_path / "run" / "best.keras").get_weights(), model.get_weights()
    )


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_other_backends(backend):
    pytest.importorskip(backend, reason=f"pip install 'kzoo[{backend}]'")
    here = Path(__file__).parent
    environment = os.environ | {"KERAS_BACKEND": backend, "PYTHONPATH": str(here.parents[1])}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        "-m",
        "not slow",
        str(here),
    ]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=here.parents[1]
    )
    assert done.returncode == 0, done.stdout[-3000:]
