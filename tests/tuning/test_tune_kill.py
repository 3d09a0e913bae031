"""Searches that are killed at random moments and resumed by the same call lose nothing and repeat nothing."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from messages import missing_from
from searching import OPTIONS

import kzoo
from kzoo.tuning.records import read_trials

JOB = Path(__file__).with_name("searching.py")
ROOT = str(Path(kzoo.__file__).parents[1])
VARYING = ("seconds",)

pytestmark = pytest.mark.slow


def start(case, folder):
    return subprocess.Popen(
        [sys.executable, str(JOB), case, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
    )


def ended(process):
    out, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(out.splitlines()[-1])


def begun(folder, process):
    """Wait for the first trial of this process: before it there is nothing to lose."""
    since = time.time()
    while process.poll() is None:
        if any(file.stat().st_mtime > since for file in folder.glob("trials/*/trial.json")):
            return
        time.sleep(0.05)


def outcome(folder):
    return [{k: v for k, v in record.items() if k not in VARYING} for record in read_trials(folder)]


@pytest.mark.parametrize("case", list(OPTIONS))
def test_2_a_search_killed_five_times_at_random_moments_resumes(case, tmp_path):
    if case == "optuna":
        pytest.importorskip("optuna")
    assert ended(start(case, tmp_path / "whole"))[0]
    whole = outcome(tmp_path / "whole")
    moments = random.Random(case)
    stored = 0
    folder = tmp_path / "killed"
    for _ in range(5):
        process = start(case, folder)
        begun(folder, process)
        time.sleep(moments.uniform(0, 1.5))
        assert process.poll() is None, "it was over before it was killed five times"
        process.send_signal(signal.SIGKILL)
        process.communicate()
        done = [r["trial"] for r in read_trials(folder) if r["status"] == "completed"]
        assert done == list(range(len(done))) and len(done) >= stored
        stored = len(done)
    finished, count = ended(start(case, folder))
    assert finished and count == len(whole)
    assert outcome(folder) == whole
    assert (folder / "leaderboard.csv").read_text().count("\n") == count + 1
    points = [json.dumps([r["hyperparameters"], r.get("hyperband")]) for r in whole]
    assert len(set(points)) == len(points)


def test_the_process_that_trains_ends_with_the_one_that_searches(tmp_path):
    process = start("random", tmp_path / "search")
    begun(tmp_path / "search", process)
    children = subprocess.run(
        ["pgrep", "-P", str(process.pid)], capture_output=True, text=True
    ).stdout.split()
    assert children
    process.send_signal(signal.SIGKILL)
    process.communicate()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in children) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)


@pytest.mark.parametrize(
    ("number", "code", "cause"),
    [(signal.SIGINT, None, "interrupted"), (signal.SIGTERM, 143, "SIGTERM")],
)
def test_ctrl_c_and_sigterm_end_the_step_and_lose_nothing(tmp_path, number, code, cause):
    folder = tmp_path / "search"
    process = start("random", folder)
    begun(folder, process)
    time.sleep(1.0)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode not in (0, -signal.SIGKILL) and (
        code is None or process.returncode == code
    )
    assert any(not missing_from(line, (str(folder), cause, "call")) for line in errors.splitlines())
    assert read_trials(folder)[-1]["status"] in ("interrupted", "completed")
    assert ended(start("random", folder)) == [True, 6]
