"""The process that trains the trials of real searches: its results, its death and its growth in memory."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from messages import refuses

import kzoo
from kzoo.training.workers import worker as process
from kzoo.training.workers.worker import TrialFailed, Worker
from kzoo.tuning import tune as module

SMALL = dict(units=(8,), batch_size=32)


class LastingWorker(Worker):
    """A process that outlives its search: a new process would take seconds to start."""

    def __exit__(self, *_):
        LastingWorker.latest = self


@pytest.fixture(scope="module")
def search(tmp_path_factory, warm_children_of_the_module):
    out = tmp_path_factory.mktemp("real") / "search"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "Worker", LastingWorker)
        options = dict(trials=4, epochs=2, space="quick", engine="random", progress=False, **SMALL)
        search = kzoo.tune("wine_fnn", out=out, **options)
    yield search
    LastingWorker.latest.close()


@pytest.fixture
def worker(search):
    return LastingWorker.latest


def test_a_search_from_end_to_end(search):
    assert search.trials[0]["status"] == "completed" and len(search.trials) == 4 and search.finished
    assert search.trials[0]["baseline"] and all(
        len(r["history"]["val_accuracy"]) for r in search.trials
    )
    assert not [p for p in search.path.rglob("*") if p.name.startswith(".")]


def test_13_only_the_three_best_checkpoints_are_stored(search):
    scored = search.leaderboard().head(3)
    stored = sorted(int(p.parent.name) for p in search.path.glob("trials/*/best.keras"))
    assert stored == sorted(scored.trial)


def test_16_the_best_config_builds_the_checkpoint(search):
    best, config = search.best_trial(), search.best_config()
    built = kzoo.build("wine_fnn", **config)
    assert built.count_params() == best["params"] == search.best_model().count_params()
    assert (
        config["units"] == best["overrides"].get("units", (8,))
        or list(config["units"]) == best["overrides"]["units"]
    )


def test_the_best_model_reproduces_the_score(search):
    data = kzoo.load_data("wine", preset="wine_fnn")
    predicted = np.asarray(search.best_model().predict(data.validation.x, verbose=0)).argmax(-1)
    assert (predicted == data.validation.y).mean() == pytest.approx(search.best_trial()["score"])


def test_the_checkpoint_opens_without_kzoo(search):
    file = next(search.path.glob("trials/*/best.keras"))
    assert keras.saving.load_model(file, compile=False).count_params() > 0


@pytest.mark.parametrize("on", ["train+validation", "train"])
def test_the_winner_is_retrained_and_scored_on_the_test_split(search, on, tmp_path):
    run = kzoo.Search(search.path).retrain(on=on, out=tmp_path / "again", progress=False)
    best = search.best_trial()
    data = search.config["data"]
    assert run.summary["test"]["examples"] == data["test"]
    assert run.config["data"]["train"] == data["train"] + (
        data["validation"] if on != "train" else 0
    )
    epochs = run.summary["epochs"]
    assert (
        best["history"]["val_accuracy"][epochs - 1] == best["score"]
        and run.model.count_params() == best["params"]
    )
    if on == "train":
        assert run.history["val_accuracy"] == best["history"]["val_accuracy"][:epochs]
    with refuses("on='test'", "train, train+validation"):
        search.retrain(on="test")
    with refuses("data='wine'", str(search.path), "Dataset"):
        search.retrain(replace(kzoo.load_data("wine", preset="wine_fnn"), fingerprint="other"))


def test_the_process_that_trains_never_has_the_test_rows(monkeypatch, tmp_path):
    class Look(Exception):
        pass

    def look(log, *, data, **setup):
        assert data.test is None and len(data.train) and len(data.validation)
        raise Look

    monkeypatch.setattr(module, "Worker", look)
    with pytest.raises(Look):
        kzoo.tune("iris_fnn", out=tmp_path / "search", progress=False)


@pytest.mark.parametrize(("grown", "last"), [(30, None), (50, 8), (190, 8), (210, 3)])
def test_22_a_process_that_grows_slowly_is_not_replaced_too_often(monkeypatch, grown, last):
    """A new process takes four seconds. For a small network it came every third trial, 4 % of a trial of 30 s."""
    worker = process.Worker("log")
    ended = []
    worker.reply_count = 0
    monkeypatch.setattr(worker, "close", lambda: ended.append(worker.reply_count))
    for answer in range(1, 12):
        worker._measure(2**20 * (600 + (grown if answer > 2 else 0)))
    assert next(iter(ended), None) == last


def test_an_error_in_the_process_is_reported_on_a_single_line(worker):
    with refuses("'lr'", "wine_fnn", "'learning_rate'"):
        worker.call("count", overrides={"lr": 1})
    with pytest.raises(TrialFailed, match=r"NotADirectoryError|FileNotFoundError"):
        worker.call("train", folder=os.devnull + "/x", overrides={"epochs": 1}, seed=0)


def test_a_dead_process_fails_its_trial_and_is_replaced(worker):
    assert (
        worker.call("count", overrides={"units": (4,)})
        == kzoo.build("wine_fnn", units=(4,)).count_params()
    )
    first = worker.process.pid
    worker.process.kill()
    with refuses("process", "memory", error=TrialFailed):
        worker.call("count", overrides={})
    assert worker.call("count", overrides={}) == kzoo.build("wine_fnn", units=(8,)).count_params()
    assert worker.process.pid != first


def test_22_a_process_that_has_grown_is_replaced(worker, monkeypatch):
    class Started(Exception):
        pass

    def start():
        raise Started

    worker.call("count", overrides={})
    monkeypatch.setattr(process, "_GROWTH", -(2**60))
    answered = worker.reply_count
    pid = worker.process.pid
    while worker.process is not None:
        assert worker.process.pid == pid and worker.reply_count < answered + 3
        worker.call("count", overrides={})
    monkeypatch.setattr(worker, "start", start)
    with pytest.raises(Started):  # the next request starts another process
        worker.call("count", overrides={})


@pytest.mark.slow
def test_18_a_file_of_the_user_does_not_replace_a_standard_module(tmp_path):
    """The script registers a preset, has no main guard, and has a `queue.py` in its folder."""
    (tmp_path / "queue.py").write_text("raise SystemExit('wrong queue')")
    (tmp_path / "script.py").write_text(
        "import kzoo\n"
        "from dataclasses import replace\n"
        "mine = kzoo.register(replace(kzoo.get_preset('iris_fnn'), name='mine', summary='mine'))\n"
        "s = kzoo.tune('mine', trials=2, epochs=1, space='quick', out='s', progress=False)\n"
        "print('trials', len(s.trials), s.finished)\n"
    )
    root = str(Path(kzoo.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-P", "script.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root},
    )
    assert "trials 2 True" in done.stdout, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_20_other_backends(tmp_path, backend):
    code = (
        "import kzoo; s = kzoo.tune('iris_fnn', trials=2, epochs=1, space='quick', out='s', progress=False)\n"
        "print('trials', len(s.trials), s.config['backend'])"
    )
    root = str(Path(kzoo.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": root, "KERAS_BACKEND": backend},
    )
    assert f"trials 2 {backend}" in done.stdout, done.stderr[-2000:]
