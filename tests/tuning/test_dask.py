"""`kzoo tune --scheduler` with a real Dask cluster on this machine: with and without TLS, and with killed workers."""

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
from messages import assert_mentions

import kzoo
from kzoo.cli import main

distributed = pytest.importorskip("distributed", reason="pip install 'kzoo[dask]'")

REAL = dict(
    trials=6,
    epochs=2,
    space="quick",
    parallel=2,
    progress=False,
    units=(8,),
    batch_size=32,
    min_steps=0,
)


@contextmanager
def cluster(workers, **options):
    """Lend a cluster on this machine, a process for each worker."""
    quiet = dict(dashboard_address=None, silence_logs=50)
    with distributed.LocalCluster(
        n_workers=workers, threads_per_worker=1, **quiet | options
    ) as cluster:
        yield cluster


@pytest.fixture
def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def board(search):
    return [(t.number, t.status, t.score, t.seed, dict(t.hyperparameters)) for t in search.trials]


def test_an_unreachable_scheduler_is_an_error_on_a_single_line(capsys, tmp_path):
    command = [
        "tune",
        "iris_fnn",
        "--scheduler",
        "tcp://127.0.0.1:9",
        "--parallel",
        "2",
        "--out",
        str(tmp_path / "s"),
    ]
    from kzoo.utils import dask_cluster as module

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PATIENCE", 0.5)
        assert main(command) == 2
    message = capsys.readouterr().err
    assert_mentions(message, "--scheduler tcp://127.0.0.1:9", "OSError")
    assert message.count("\n") == 1
    assert not (tmp_path / "s").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    "engine", ["bayesian", "optuna", "random", "grid", pytest.param("hyperband", id="hyperband")]
)
def test_leaderboards_do_not_depend_on_the_workers_or_their_deaths(engine, tmp_path):
    """On 1, 2 and 4 workers, and on 2 of which a random worker is killed five times."""
    options = REAL | dict(engine=engine)
    if engine == "hyperband":
        options |= dict(epochs=4)
    boards = {}
    for workers in (1, 2, 4):
        with cluster(workers) as lent, distributed.Client(lent, set_as_default=False) as client:
            search = kzoo.tune(
                "wine_fnn",
                out=tmp_path / f"{workers}",
                executor=client.get_executor(pure=False),
                **options,
            )
            boards[workers] = board(search)
    assert boards[1] == boards[2] == boards[4]
    assert {row[1] for row in boards[1]} <= {"completed", "pruned"}
    chance = random.Random(engine)
    with cluster(2) as lent, distributed.Client(lent, set_as_default=False) as client:
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
            search = kzoo.tune(
                "wine_fnn",
                out=tmp_path / "killed",
                executor=client.get_executor(pure=False),
                **options,
            )
        finally:
            over.set()
            killer.join()
    assert board(search) == boards[1]


@pytest.mark.slow
def test_a_search_killed_with_all_its_workers_resumes_on_this_machine(tmp_path):
    """The search and the cluster die at three moments; the same command on this machine ends it."""
    settings = ["units=8", "batch_size=32", "min_steps=0"]
    command = [
        sys.executable,
        "-m",
        "kzoo",
        "tune",
        "wine_fnn",
        "--trials",
        "8",
        "--epochs",
        "2",
        "--space",
        "quick",
        "--parallel",
        "2",
        "--quiet",
        "--set",
        *settings,
    ]
    subprocess.run([*command, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    for seconds in (9, 12, 15):
        with cluster(2) as lent:
            process = subprocess.Popen(
                [*command, "--out", str(tmp_path / "torn"), "--scheduler", lent.scheduler_address],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(seconds)
            process.kill()
            process.wait()
    subprocess.run([*command, "--out", str(tmp_path / "torn")], check=True, capture_output=True)
    rows = [
        json.loads((tmp_path / name / "leaderboard.json").read_text()) for name in ("whole", "torn")
    ]
    for leaderboard in rows:
        for row in leaderboard:
            del row["seconds"]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_trial_that_kills_four_workers_fails(tmp_path, monkeypatch):
    """A trial that kills every process ends as failed, with the reason; the others are trained."""
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

    with cluster(2) as lent, distributed.Client(lent, set_as_default=False) as client:
        search = kzoo.tune(
            deadly.build,
            "iris",
            engine="grid",
            trials=3,
            epochs=2,
            parallel=2,
            progress=False,
            out=tmp_path / "s",
            executor=client.get_executor(pure=False),
        )
    assert [t.status for t in search.trials] == ["completed", "failed", "completed"]
    assert_mentions(search.trials[1].error, "KilledWorker")


def certificates(folder):
    """Make an authority and a certificate of it, and return Dask's settings for them."""
    folder.mkdir()
    authority, client = (
        ["-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"]
        for name in ("ca", "kzoo")
    )
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
    subprocess.run([*make, "/CN=authority", *authority], check=True, capture_output=True)
    signed = ["-CA", folder / "ca.pem", "-CAkey", folder / "ca.key"]
    subprocess.run([*make, "/CN=kzoo", *signed, *client], check=True, capture_output=True)
    files = {"CERT": folder / "kzoo.pem", "KEY": folder / "kzoo.key"}
    each = {
        f"{role}__{name}": path
        for role in ("SCHEDULER", "WORKER", "CLIENT")
        for name, path in files.items()
    }
    each["CA_FILE"] = folder / "ca.pem"
    return {f"DASK_DISTRIBUTED__COMM__TLS__{name}": str(path) for name, path in each.items()}


@pytest.mark.slow
@pytest.mark.skipif(
    sys.platform != "linux", reason="the whole of 127.0.0.0/8 is this machine on Linux alone"
)
def test_workers_with_tls_train_only_for_clients_with_a_certificate(tmp_path, capsys, free_port):
    """A scheduler and a worker on each of two addresses tune three presets; a client without certificate is refused."""
    settings = certificates(tmp_path / "tls")
    trusted = os.environ | settings
    stranger = {k: v for k, v in os.environ.items() if not k.startswith("DASK_")}
    address = f"tls://127.0.0.1:{free_port}"
    dask = [sys.executable, "-m", "dask"]
    began = [
        subprocess.Popen(
            [*dask, *command], env=trusted, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        for command in (
            ["scheduler", "--host", address, "--no-dashboard"],
            *(
                ["worker", address, "--host", f"127.0.0.{i}", "--nthreads", "1", "--no-dashboard"]
                for i in (2, 3)
            ),
        )
    ]
    try:
        small = {
            "digits_cnn": "filters=(4,)",
            "tabular_fnn": "units=(8,)",
            "text_cnn": "filters=(4,)",
        }
        for preset, setting in small.items():
            command = [
                sys.executable,
                "-m",
                "kzoo",
                "tune",
                preset,
                "--trials",
                "3",
                "--epochs",
                "1",
                "--quiet",
            ]
            command += ["--parallel", "2", "--set", "min_steps=0", setting]
            folder = tmp_path / preset
            subprocess.run(
                [*command, "--scheduler", address, "--out", folder],
                check=True,
                env=trusted,
                cwd=tmp_path,
            )
            assert [t.status for t in kzoo.Search(folder).trials] == ["completed"] * 3
            assert (folder / "trials/0000/best.keras").exists()
        for other in (stranger, os.environ | certificates(tmp_path / "other")):
            refused = subprocess.run(
                [*command, "--scheduler", address, "--out", str(tmp_path / "no")],
                env=other,
                cwd=tmp_path,
                capture_output=True,
                text=True,
            )
            assert refused.returncode == 2
            assert_mentions(refused.stderr, f"--scheduler {address}")
            assert "HOST:PORT" not in refused.stderr  # the address itself is right
            assert refused.stderr.strip().count("\n") == 0 and not (tmp_path / "no").exists()
    finally:
        for process in began:
            process.terminate()
        for process in began:
            process.wait()
