"""`kzoo tune --scheduler`: the workers of a real Dask cluster on this machine, with and without TLS, also killed."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

import kzoo
from kzoo.cli import main

distributed = pytest.importorskip("distributed", reason="pip install 'kzoo[dask]'")

REAL = dict(trials=6, epochs=2, space="quick", parallel=2, progress=False, units=(8,), batch_size=32, min_steps=0)


@contextmanager
def cluster(workers, **options):
    """Lend a cluster on this machine, a process for each worker."""
    quiet = dict(dashboard_address=None, silence_logs=50)
    with distributed.LocalCluster(n_workers=workers, threads_per_worker=1, **quiet | options) as made:
        yield made


@pytest.fixture
def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def board(found):
    return [(t.number, t.status, t.score, t.seed, dict(t.hyperparameters)) for t in found.trials]


def test_a_scheduler_that_is_not_there_is_one_line(capsys, tmp_path):
    asked = ["tune", "iris_fnn", "--scheduler", "tcp://127.0.0.1:9", "--parallel", "2", "--out", str(tmp_path / "s")]
    from kzoo.workers import cluster as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PATIENCE", 0.5)
        assert main(asked) == 2
    said = capsys.readouterr().err
    assert "--scheduler tcp://127.0.0.1:9: no scheduler lets us in" in said and said.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["bayesian", "optuna", "random", "grid", pytest.param("hyperband", id="hyperband")])
def test_leaderboards_are_equal_whoever_trains_and_dies(engine, tmp_path):
    """On 1, 2 and 4 workers, with one killed at five moments, and after everything was killed."""
    asked = REAL | dict(engine=engine)
    if engine == "hyperband":
        asked |= dict(epochs=4)
    boards = {}
    for workers in (1, 2, 4):
        with cluster(workers) as made, distributed.Client(made, set_as_default=False) as client:
            found = kzoo.tune(
                "wine_fnn", out=tmp_path / f"{workers}", executor=client.get_executor(pure=False), **asked
            )
            boards[workers] = board(found)
    assert boards[1] == boards[2] == boards[4]
    assert {row[1] for row in boards[1]} <= {"completed", "pruned"}
    chance = random.Random(engine)
    with cluster(2) as made, distributed.Client(made, set_as_default=False) as client:
        over = threading.Event()

        def kill():
            for _ in range(5):
                if over.wait(chance.uniform(3, 12)):
                    return
                pids = client.run(os.getpid)
                if pids:
                    os.kill(chance.choice(sorted(pids.values())), signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            found = kzoo.tune("wine_fnn", out=tmp_path / "killed", executor=client.get_executor(pure=False), **asked)
        finally:
            over.set()
            killer.join()
    assert board(found) == boards[1]


@pytest.mark.slow
def test_a_search_that_was_killed_with_all_its_workers_goes_on_elsewhere(tmp_path):
    """The search and the cluster die at three moments; the same command on this machine ends it."""
    settings = ["units=8", "batch_size=32", "min_steps=0"]
    command = [sys.executable, "-m", "kzoo", "tune", "wine_fnn", "--trials", "8", "--epochs", "2", "--space", "quick",
               "--parallel", "2", "--quiet", "--set", *settings]  # fmt: skip
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    for seconds in (9, 12, 15):
        with cluster(2) as made:
            process = subprocess.Popen(
                [*command, "--out", str(tmp_path / "torn"), "--scheduler", made.scheduler_address],
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            time.sleep(seconds)
            process.kill()
            process.wait()
    subprocess.run([*command, "--out", str(tmp_path / "torn")], check=True, capture_output=True)
    rows = [json.loads((tmp_path / name / "leaderboard.json").read_text()) for name in ("whole", "torn")]
    for found in rows:
        for row in found:
            del row["seconds"]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_every_trial_of_a_worker_that_dies_of_it_has_failed_at_the_fourth_death(tmp_path, monkeypatch):
    """What kills each process that tries it ends as a failed trial with its reason; the others are trained."""
    folder = tmp_path / "deadly"
    folder.mkdir()
    (folder / "deadly.py").write_text(
        "import os, signal\n"
        "import keras\n"
        "def build(hp):\n"
        "    units = hp.Choice('units', [2, 3, 4])\n"
        "    if units == 3 and 'spawn_main' in open(f'/proc/{os.getppid()}/cmdline').read():\n"
        "        os.kill(os.getppid(), signal.SIGKILL)\n"
        "    model = keras.Sequential([keras.Input((4,)), *map(keras.layers.Dense, (units, 3))])\n"
        "    model.compile('adam', keras.losses.SparseCategoricalCrossentropy(True), metrics=['accuracy'])\n"
        "    return model\n"
    )
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), *sys.path]))
    import deadly

    with cluster(2) as made, distributed.Client(made, set_as_default=False) as client:
        found = kzoo.tune(
            deadly.build, "iris", engine="grid", trials=3, epochs=2, parallel=2, progress=False, out=tmp_path / "s",
            executor=client.get_executor(pure=False),
        )  # fmt: skip
    assert [t.status for t in found.trials] == ["completed", "failed", "completed"]
    assert "KilledWorker" in found.trials[1].error


def certificates(folder):
    """Make an authority and a certificate of it, and return Dask's settings for them."""
    folder.mkdir()
    authority, own = (["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"] for name in ("ca", "own"))
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
    subprocess.run([*make, "/CN=authority", *authority], check=True, capture_output=True)
    signed = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"]
    subprocess.run([*make, "/CN=kzoo", *signed, *own], check=True, capture_output=True)
    both = {"CERT": folder / "own.pem", "KEY": folder / "own.key"}
    each = {f"{who}__{what}": path for who in ("SCHEDULER", "WORKER", "CLIENT") for what, path in both.items()}
    each["CA_FILE"] = folder / "ca.pem"
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(path) for name, path in each.items()}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the whole of 127.0.0.0/8 is this machine on Linux alone")
def test_two_addresses_with_tls_train_for_who_has_a_certificate(tmp_path, capsys, free_port):
    """A scheduler, a worker on each of two addresses; three presets are tuned, and a stranger is turned away."""
    settings = certificates(tmp_path / "tls")
    trusted, stranger = os.environ | settings, {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    address = f"tls://127.0.0.1:{free_port}"
    dask = [sys.executable, "-m", "dask"]
    began = [
        subprocess.Popen([*dask, *command], env=trusted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for command in (
            ["scheduler", "--host", address, "--no-dashboard"],
            *(["worker", address, "--host", f"127.0.0.{i}", "--nthreads", "1", "--no-dashboard"] for i in (2, 3)),
        )
    ]
    try:
        small = {"digits_cnn": "filters=(4,)", "tabular_fnn": "units=(8,)", "text_cnn": "filters=(4,)"}
        for preset, setting in small.items():
            command = [sys.executable, "-m", "kzoo", "tune", preset, "--trials", "3", "--epochs", "1", "--quiet"]
            command += ["--parallel", "2", "--set", "min_steps=0", setting]
            place = tmp_path / preset
            subprocess.run([*command, "--scheduler", address, "--out", place], check=True, env=trusted, cwd=tmp_path)
            assert [t.status for t in kzoo.Search(place).trials] == ["completed"] * 3
            assert (place / "trials/0000/best.keras").exists()
        for other in (stranger, os.environ | certificates(tmp_path / "other")):
            refused = subprocess.run(
                [*command, "--scheduler", address, "--out", str(tmp_path / "no")], env=other, cwd=tmp_path,
                capture_output=True, text=True,
            )  # fmt: skip
            assert refused.returncode == 2 and f"--scheduler {address}: no scheduler lets us in" in refused.stderr
            assert refused.stderr.strip().count("\n") == 0 and not (tmp_path / "no").exists()
    finally:
        for process in began:
            process.terminate()
        for process in began:
            process.wait()
