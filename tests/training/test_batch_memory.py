"""Memory of networks with many branches, which goes with the rows that are computed at once."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest

import kzoo
from kzoo.data.batch_memory import rows_at_once
from kzoo.training.ridge import _most_rows

TRAINS = """
import numpy as np
import kzoo


def peak():  # in kilobytes
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


kzoo.build("iris_fnn", seed=0).predict(np.zeros((2, 4)), verbose=0)
before = peak()
x = np.random.default_rng(0).normal(size=(12, 1460, 1)).astype("float32")
run = kzoo.train("series_rocket", (x, np.arange(12) % 2), out="run", progress=False)
kzoo.predict(run, x)
print(run.summary["test"]["examples"], peak() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_long_series_are_trained_on_and_predicted_in_little_memory(tmp_path):
    child = subprocess.run(
        [sys.executable, "-c", TRAINS],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"KZOO_MEMORY": "1GiB"},
    )
    assert child.returncode == 0, child.stderr
    examples, kilobytes = map(int, child.stdout.split()[-2:])
    assert examples == 2
    assert kilobytes < 1 << 20  # 3 GB, if all rows are computed at once


def test_fewer_rows_have_the_same_outputs(monkeypatch):
    model = kzoo.build("digits_cnn", seed=0)
    x = np.random.default_rng(0).random((50, 8, 8, 1)).astype("float32") * 16
    data = (x, np.arange(50) % 10)
    whole = rows_at_once(model, 50)
    before = kzoo.evaluate(model, data, batch_size=50)
    monkeypatch.setattr("kzoo.utils.memory._NEGLIGIBLE", 0)
    monkeypatch.setenv("KZOO_MEMORY", "1MiB")
    few = rows_at_once(model, 50)
    after = kzoo.evaluate(model, data, batch_size=50)
    assert whole == 50 and 1 <= few < 25
    assert after["accuracy"] == before["accuracy"] and after["loss"] == pytest.approx(
        before["loss"], rel=1e-5
    )


def test_outputs_of_nested_networks_count():
    inner = keras.Sequential(
        [keras.Input((100,)), keras.layers.Dense(1 << 20), keras.layers.Dense(1)]
    )
    outer = keras.Sequential([keras.Input((100,)), inner])
    for model in (inner, outer):
        assert rows_at_once(model, 1000) == pytest.approx((1 << 30) // ((1 << 20) * 4), rel=0.01)


def test_a_ridge_regression_has_fewer_rows_where_memory_is_short(monkeypatch):
    monkeypatch.setenv("KZOO_MEMORY", "8GiB")
    assert (_most_rows(26_000, unit=False), _most_rows(400, unit=True)) == (4_000, 50_000)
    monkeypatch.setenv("KZOO_MEMORY", "400MiB")
    assert _most_rows(26_000, unit=False) == pytest.approx(680, abs=30)
    assert _most_rows(400, unit=True) == pytest.approx(13_100, abs=100)
