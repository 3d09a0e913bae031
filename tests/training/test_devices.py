"""Several devices share each batch, on JAX. Here they are parts of a processor, in separate processes."""

import json
import os
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pytest
from messages import assert_mentions

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
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, json.dumps(devices), out, str(batch)]
    return subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, **options
    )


def weights(run):
    return [np.asarray(w) for w in run.model.get_weights()]


@pytest.mark.slow
def test_any_number_of_devices_learns_the_same_and_repeats_its_bits(tmp_path):
    pytest.importorskip("jax", reason="pip install 'kzoo[jax]'")
    printed = {}
    for devices, out in ((None, "none"), (1, "1"), (2, "2"), (4, "4"), (4, "4 again")):
        done = train(tmp_path, devices, out)
        assert done.returncode == 0, done.stderr
        printed[out] = done.stderr
    runs = {out: kzoo.Run(tmp_path / out) for out in printed}
    assert_mentions(printed["4"], "14 rows", "batch")
    losses = {out: np.array(run.history["loss"]) for out, run in runs.items()}
    for out in ("2", "4"):
        np.testing.assert_allclose(losses[out], losses["1"], rtol=1e-3)
        assert runs[out].config["devices"] == int(out)
        assert (
            abs(runs[out].summary["test"]["accuracy"] - runs["1"].summary["test"]["accuracy"])
            < 0.02
        )
    assert all(
        (a == b).all() for a, b in zip(weights(runs["4"]), weights(runs["4 again"]), strict=True)
    )
    assert runs["4"].history["val_loss"] == runs["4 again"].history["val_loss"]
    other = train(tmp_path, 2, "4")
    assert other.returncode == 1
    assert_mentions(
        other.stderr.splitlines()[-1], "KzooError", "devices", "4", "2", "overwrite=True"
    )


@pytest.mark.slow
def test_a_run_killed_on_several_devices_resumes_to_the_same_bits(tmp_path):
    pytest.importorskip("jax", reason="pip install 'kzoo[jax]'")
    assert train(tmp_path, 2, "whole").returncode == 0
    environment = os.environ | {
        "KERAS_BACKEND": "jax",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=4",
    }
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


def test_several_devices_on_another_backend_are_refused_in_a_single_line(capsys, tmp_path):
    if keras.backend.backend() == "jax":
        pytest.skip("this is the backend that can")
    assert main(["train", "digits_cnn", "--devices", "2", "--out", str(tmp_path / "run")]) == 2
    assert_mentions(capsys.readouterr().err.splitlines()[-1], "--devices 2", "--backend jax")
    assert not (tmp_path / "run").exists()
