"""Several devices that share each batch, on JAX: four of one processor, in processes of their own."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest

import kzoo
from kzoo.cli import main

TRAIN = """
import json, os, sys, time
import kzoo, keras
devices, out, batch = json.loads(sys.argv[1]), sys.argv[2], int(sys.argv[3])
class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, step, logs=None):
        if len(sys.argv) > 4:
            print("step", flush=True)
            time.sleep(0.05)
run = kzoo.train(
    "digits_cnn", "digits", out=out, devices=devices, batch_size=batch, epochs=2, norm=None, units_norm=None,
    dropout=0.0, units_dropout=0.0, filters=(8, 16), seed=1, journal_steps=3, check=False, baselines=False,
    callbacks=[Slow()],
)
"""


def train(folder, devices, out, batch=64, **options):
    environment = os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, json.dumps(devices), out, str(batch)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, **options)


def weights(run):
    return [np.asarray(w) for w in run.model.get_weights()]


@pytest.mark.slow
def test_any_number_of_devices_comes_to_what_one_does_and_to_its_own_bits(tmp_path):
    pytest.importorskip("jax", reason="pip install 'kzoo[jax]'")
    said = {}
    for devices, out in ((None, "none"), (1, "1"), (2, "2"), (4, "4"), (4, "4 again")):
        done = train(tmp_path, devices, out)
        assert done.returncode == 0, done.stderr
        said[out] = done.stderr
    runs = {out: kzoo.Run(tmp_path / out) for out in said}
    assert "14 rows of each epoch's order, less than a batch, cannot be shared out" in said["4"]
    losses = {out: np.array(run.history["loss"]) for out, run in runs.items()}
    for out in ("2", "4"):
        np.testing.assert_allclose(losses[out], losses["1"], rtol=1e-3)
        assert runs[out].config["devices"] == int(out)
        assert abs(runs[out].summary["test"]["accuracy"] - runs["1"].summary["test"]["accuracy"]) < 0.02
    assert all((a == b).all() for a, b in zip(weights(runs["4"]), weights(runs["4 again"]), strict=True))
    assert runs["4"].history["val_loss"] == runs["4 again"].history["val_loss"]
    other = train(tmp_path, 2, "4")
    assert other.returncode == 1 and "devices: 4 there, 2 now" in other.stderr


@pytest.mark.slow
def test_killed_on_several_devices_it_ends_in_the_same_bits(tmp_path):
    pytest.importorskip("jax", reason="pip install 'kzoo[jax]'")
    assert train(tmp_path, 2, "whole").returncode == 0
    environment = os.environ | {"KERAS_BACKEND": "jax", "XLA_FLAGS": "--xla_force_host_platform_device_count=4"}
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, "2", "torn", "64", "slowly"]
    for steps in (5, 20):
        process = subprocess.Popen(command, env=environment, cwd=tmp_path, stdout=subprocess.PIPE)
        for _ in range(steps):
            process.stdout.readline()
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert train(tmp_path, 2, "torn").returncode == 0
    whole, torn = (kzoo.Run(tmp_path / name) for name in ("whole", "torn"))
    assert torn.summary["resumed"] == 2
    assert all((a == b).all() for a, b in zip(weights(whole), weights(torn), strict=True))
    assert whole.history["loss"] == torn.history["loss"]


def test_another_backend_is_refused_in_one_line(capsys, tmp_path):
    if keras.backend.backend() == "jax":
        pytest.skip("this is the one that can")
    assert main(["train", "digits_cnn", "--devices", "2", "--out", str(tmp_path / "run")]) == 2
    said = capsys.readouterr().err
    assert "--devices 2: Keras trains on several devices with JAX alone: --backend jax" in said.splitlines()[-1]
    assert not (tmp_path / "run").exists()
