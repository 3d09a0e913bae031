"""`max_time`: the epochs that fit into a clock, the stop when time is up, and resumed and repeated calls."""

import re
import sys
import time
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from messages import assert_mentions, refuses

import kzoo
from kzoo.cli import main
from kzoo.training import max_time
from kzoo.training.max_time import Clock, Length, Speed, TimeLimit
from kzoo.utils.errors import KzooError

pytestmark = pytest.mark.usefixtures("untraced_module")

SPEED = Speed(compilation=2.0, step=0.01, validation=0.5, epoch=None, finish=3.0)


@pytest.fixture
def frozen_clock(monkeypatch):
    """Let no time pass for the clocks of trainings."""
    monkeypatch.setattr(max_time, "time", SimpleNamespace(monotonic=lambda: 100.0))


@pytest.fixture
def measured(monkeypatch):
    """Replace the probe by a function that sets the speed of trainings."""

    def set_speed(**seconds):
        speed = Speed(
            **dict(compilation=0.0, step=0.001, validation=0.001, epoch=0.5, finish=1.0) | seconds
        )
        monkeypatch.setattr(sys.modules["kzoo.training.train"], "measure", lambda *_, **__: speed)

    return set_speed


def fit(out, **options):
    return kzoo.train(
        "iris_fnn", out=out, **{"callbacks": "quick", "check": False, "progress": False} | options
    )


def same_weights(a, b):
    pairs = zip(a.model.get_weights(), b.model.get_weights(), strict=True)
    return all(np.array_equal(x, y) for x, y in pairs)


# ---------------------------------------------------------------- the choice


@pytest.mark.parametrize(
    ("limit", "chosen"),
    [
        ("1h", Length(epochs=60, max_steps=None)),
        ("90s", Length(epochs=52, max_steps=None)),  # 0.93 * (90 - 2 - 3) / (100 * 0.01 + 0.5)
        (6.5, Length(epochs=1, max_steps=89)),  # (0.93 * (6.5 - 2 - 3) - 0.5) / 0.01
    ],
)
def test_epochs_and_steps_that_fit(frozen_clock, limit, chosen):
    assert Clock(limit).choose(SPEED, Length(epochs=60, max_steps=None), steps=100) == chosen


def test_measured_epochs_count_with_their_files(frozen_clock):
    speed = Speed(compilation=0.0, step=0.001, validation=0.0, epoch=2.0, finish=0.0)
    # 0.93 * 20 / 2
    assert Clock(20).choose(speed, Length(epochs=60, max_steps=None), steps=10).epochs == 9


def test_a_clock_that_is_too_short_is_refused_with_the_time_needed(frozen_clock):
    with refuses("max_time='5s'", "7 s", "max_time='7s'"):
        Clock("5s").choose(SPEED, Length(epochs=60, max_steps=None), steps=100)
    assert Clock(7).choose(SPEED, Length(epochs=60, max_steps=None), steps=100).epochs == 1


def test_time_before_the_training_counts(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(max_time, "time", SimpleNamespace(monotonic=lambda: now[0]))
    with max_time.counted_from(90.0):
        clock = Clock("1m")
    now[0] = 110.0
    assert clock.left == 40.0


# ---------------------------------------------------------------- runs


def test_the_run_is_that_of_the_chosen_epochs(measured, tmp_path, capsys):
    measured(epoch=65)
    run = fit(tmp_path / "clock", max_time="10m", progress=True)
    chosen = run.spec.training["epochs"]
    assert (
        6 <= chosen <= 8
        and chosen == run.summary["epochs"]
        and run.config["max_time"]["seconds"] == 600.0
    )
    assert_mentions(
        capsys.readouterr().err, "max_time='10m'", f"{chosen} of {run.config['max_time']['epochs']}"
    )
    repeated = fit(tmp_path / "epochs", epochs=chosen)
    assert same_weights(run, repeated) and run.summary["test"] == repeated.summary["test"]
    assert "max_time" not in repeated.config and f"epochs={chosen}" in run.config["command"]


def test_a_call_ends_within_its_clock(tmp_path):
    limit = 10
    started = time.monotonic()
    try:
        run = fit(tmp_path / "run", max_time=limit, epochs=10_000)
    except KzooError as error:  # a busy machine, or a backend that compiles for long: the time that the message names
        limit = int(re.findall(r"max_time=(\d+)", str(error))[-1])
        started = time.monotonic()
        run = fit(tmp_path / "run", max_time=limit, epochs=10_000)
    assert time.monotonic() - started < 1.5 * limit  # other tests share the processors
    assert run.spec.training["epochs"] < 10_000 and run.config["max_time"] == {
        "seconds": limit,
        "epochs": 10_000,
    }


def test_a_real_probe_leaves_no_trace(tmp_path):
    run = fit(tmp_path / "clock", max_time="10m", epochs=5, dropout=0.3)
    assert run.summary["epochs"] == 5
    assert same_weights(run, fit(tmp_path / "epochs", epochs=5, dropout=0.3))


def test_a_few_steps_of_an_epoch(measured, tmp_path):
    measured(step=120, epoch=None)
    run = fit(tmp_path / "run", max_time="10m", batch_size=16)
    steps = run.spec.training["max_steps"]
    assert run.spec.training["epochs"] == 1 and 1 <= steps <= 4
    repeated = fit(tmp_path / "steps", epochs=1, max_steps=steps, batch_size=16)
    assert same_weights(run, repeated)


def test_epochs_is_an_upper_bound(measured, tmp_path):
    measured()
    assert fit(tmp_path / "run", max_time="1h", epochs=2).spec.training["epochs"] == 2


def test_a_slow_training_is_stopped_and_scored(measured, tmp_path, capsys, monkeypatch):
    measured(epoch=0.001)
    monkeypatch.setattr(
        Clock, "limit", lambda clock, **_: TimeLimit(clock.max_time, end=time.monotonic() + 1.0)
    )

    class Slow(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            time.sleep(0.3)

    run = fit(tmp_path / "run", max_time=60, epochs=1_000, callbacks=[Slow()], progress=True)
    assert (
        run.summary["epochs"] <= 5
        and run.spec.training["epochs"] == 1_000
        and run.summary["test"]
        and not run.summary["interrupted"]
    )
    assert_mentions(run.summary["stopped_because"], "the time was up", "max_time=60")
    assert_mentions(capsys.readouterr().err, "Stopped after", "the time was up")


def test_the_same_call_returns_the_run_and_others_are_refused(measured, tmp_path):
    measured(epoch=100)
    run = fit(tmp_path / "run", max_time="10m")
    measured(epoch=200)  # would choose fewer epochs
    assert fit(tmp_path / "run", max_time=600).config["created"] == run.config["created"]
    for other in (dict(), dict(max_time=700), dict(max_time=600, epochs=3)):
        with refuses("different run", "epochs" if "epochs" in other else "max_time"):
            fit(tmp_path / "run", **other)
    fit(tmp_path / "plain", epochs=1)
    with refuses("different run", "max_time: stored None, now 600.0"):
        fit(tmp_path / "plain", epochs=1, max_time="10m")


def test_a_stopped_run_keeps_its_epochs(measured, tmp_path, monkeypatch):
    class Interrupt(keras.callbacks.Callback):
        armed = True

        def on_epoch_end(self, epoch, logs=None):
            if epoch == 1 and Interrupt.armed:
                Interrupt.armed = False
                raise KeyboardInterrupt

    measured(epoch=65)
    with pytest.raises(kzoo.Interrupted):
        fit(tmp_path / "run", max_time="10m", callbacks=[Interrupt()], journal_steps=1)
    chosen = kzoo.Run(tmp_path / "run").spec.training["epochs"]
    monkeypatch.delattr(sys.modules["kzoo.training.train"], "measure")  # a second probe would fail
    run = fit(tmp_path / "run", max_time="10m", callbacks=[Interrupt()], journal_steps=1)
    assert (
        run.summary["resumed"] == 1
        and run.summary["epochs"] == run.spec.training["epochs"] == chosen
    )


def test_a_custom_model_is_set_back_after_its_probe(tmp_path):
    x = np.random.default_rng(0).normal(size=(400, 4)).astype("float32")
    y = np.arange(400) % 2

    def model():
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(4, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        network = keras.Sequential([keras.Input((4,)), *layers], name="mine")
        network.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        return network

    options = dict(check=False, progress=False, baselines=False, callbacks="quick")
    run = kzoo.train(model(), (x, y), out=tmp_path / "clock", max_time="10m", epochs=3, **options)
    assert same_weights(
        run, kzoo.train(model(), (x, y), out=tmp_path / "epochs", epochs=3, **options)
    )


def test_a_table_that_is_not_in_memory(tmp_path, monkeypatch):
    rows = np.random.default_rng(0).normal(size=(40_000, 8)).round(3)
    text = "".join(",".join(map(str, row)) + f",{'ab'[int(row[0] > 0)]}\n" for row in rows)
    (tmp_path / "large.csv").write_text("a,b,c,d,e,f,g,h,y\n" + text)
    monkeypatch.setenv("KZOO_MEMORY", "1MiB")
    options = dict(
        target="y", epochs=2, units=(4,), out=tmp_path / "run", baselines=False, progress=False
    )
    run = kzoo.train(
        "tabular_fnn",
        tmp_path / "large.csv",
        max_time="10m",
        callbacks="quick",
        check=False,
        **options,
    )
    assert run.summary["test"] and run.config["max_time"] == {"seconds": 600.0, "epochs": 2}


# ---------------------------------------------------------------- refusals


def test_bad_values_and_several_trainings_are_refused(tmp_path, capsys):
    for value in ("soon", 0, -1, True, float("nan"), [5]):
        with refuses("max_time"):
            fit(tmp_path / "run", max_time=value)
    with refuses("max_time=60", "folds", "epochs="):
        kzoo.cross_validate("iris_fnn", "iris", max_time=60, out=tmp_path / "cross", progress=False)
    for option in (["--folds", "3"], ["--ensemble", "2"]):
        assert main(["train", "iris_fnn", "--max-time", "1m", *option]) == 2
        assert_mentions(capsys.readouterr().err, "--max-time 1m", option[0], "--epochs")
    assert main(["train", "iris_fnn", "--max-time", "soon"]) == 2
    assert_mentions(capsys.readouterr().err, "--max-time 'soon'")
    assert not list(tmp_path.iterdir())
