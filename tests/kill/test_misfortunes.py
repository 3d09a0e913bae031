"""Other disturbances of a training: another bundle, a stopped process, a folder that moves, clocks, damaged files.

Each training ends in the bits of the undisturbed training, or with an error, and nothing is lost.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from killing import disturbed, ended, loadable, same, start, undisturbed, words_for
from messages import assert_mentions

pytestmark = pytest.mark.slow

NAME, BACKEND = "fnn", "tensorflow"


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return undisturbed(NAME, tmp_path_factory.mktemp("whole"), backend=BACKEND)


def killed(folder, step=20):
    assert start(NAME, folder, backend=BACKEND, moment=("step", step))
    return folder


def begun(name, folder):
    """Start a job in the background, and wait for its first journal."""
    process = subprocess.Popen(
        words_for(name, folder),
        env=os.environ | {"KERAS_BACKEND": BACKEND},
        stderr=subprocess.PIPE,
        text=True,
    )
    while process.poll() is None and not list((folder / "run").glob("journal*")):
        time.sleep(0.01)
    assert process.poll() is None, process.stderr.read()[-2000:]
    return process


@pytest.mark.parametrize("name", ["rnn", "lstm", "gru", "transformer"])
def test_long_training_of_every_sequence_family(name, tmp_path):
    options = ("--bundle", "long")
    expected = undisturbed(name, tmp_path / "whole", backend=BACKEND, options=options)
    result, killed_in = disturbed(
        name,
        tmp_path / "killed",
        kills=5,
        whole=expected,
        backend=BACKEND,
        seed=2,
        look=loadable,
        options=options,
    )
    assert killed_in
    assert same(result, expected)
    checkpoints = [
        sorted(p.name for p in (tmp_path / n / "run" / "checkpoints").iterdir())
        for n in ("whole", "killed")
    ]
    assert checkpoints[0]
    assert all(name.endswith(".keras") for name in checkpoints[1]), checkpoints


def test_a_stopped_process_holds_its_folder_and_continues(whole, tmp_path):
    process = begun("cnn", tmp_path)
    process.send_signal(signal.SIGSTOP)
    other = subprocess.run(
        words_for("cnn", tmp_path),
        env=os.environ | {"KERAS_BACKEND": BACKEND},
        capture_output=True,
        text=True,
    )
    assert other.returncode != 0
    assert_mentions(other.stderr.splitlines()[-1], "process", str(tmp_path / "run"))
    process.send_signal(signal.SIGCONT)
    assert process.wait(timeout=300) == 0
    assert same(ended(tmp_path), undisturbed("cnn", tmp_path / "whole", backend=BACKEND))


def test_a_training_resumes_in_a_moved_folder(whole, tmp_path):
    shutil.move(killed(tmp_path / "there"), tmp_path / "elsewhere" / "deeper")
    start(NAME, tmp_path / "elsewhere" / "deeper", backend=BACKEND)
    assert same(ended(tmp_path / "elsewhere" / "deeper"), whole)


@pytest.mark.parametrize("seconds", [-86400 * 400, 86400 * 400])
def test_a_training_resumes_after_the_clock_jumps(seconds, whole, tmp_path):
    """With the clock set back, all files are from the future."""
    killed(tmp_path)
    assert start(NAME, tmp_path, backend=BACKEND, moment=("step", 20), options=("--clock", seconds))
    start(NAME, tmp_path, backend=BACKEND)
    assert same(ended(tmp_path), whole)


@pytest.mark.parametrize("number", range(6))
def test_a_training_resumes_with_a_damaged_journal(number, whole, tmp_path):
    draw = random.Random(number)
    run = killed(tmp_path, step=draw.randint(5, 30)) / "run"
    files = sorted(
        p for p in run.rglob("*") if p.is_file() and "journal" in str(p.relative_to(run))
    )
    assert files
    for file in files if number == 5 else [draw.choice(files)]:
        content = bytearray(file.read_bytes())
        if number % 2:
            content = content[: draw.randrange(len(content))]
        else:
            content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        file.write_bytes(content)
    start(NAME, tmp_path, backend=BACKEND)
    assert same(ended(tmp_path), whole) or ended(tmp_path)["end"] == whole["end"]


READ_ONLY = """
set -e
mkdir disk && mount -t tmpfs -o size=60m tmpfs disk
cp -r {folder}/. disk/
mount -o remount,ro disk
code=0; {command} || code=$?
echo $code > code
"""


def may_mount():
    command = ["unshare", "-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(command, capture_output=True).returncode == 0
    )


@pytest.mark.skipif(
    not may_mount(), reason="needs to mount a file system (unshare -rm mount -t tmpfs)"
)
def test_a_read_only_folder_is_refused(tmp_path):
    """An error with exit code 2, without a traceback."""
    (tmp_path / "empty").mkdir()
    command = f"{sys.executable} -m kzoo train iris_fnn --set epochs=2 --out disk/run"
    script = READ_ONLY.format(folder=tmp_path / "empty", command=command)
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", script], cwd=tmp_path, capture_output=True, text=True
    )
    assert (tmp_path / "code").read_text() == "2\n", done.stderr
    assert "Traceback" not in done.stderr
    assert_mentions(done.stderr, "disk/run", repr(str(tmp_path / "disk")), "folder")


# Calls that are killed several times at random moments, and the result that they must print as JSON, to the bit.
CALLS = {
    "cross_validate": """
output = kzoo.cross_validate("iris_fnn", folds=3, epochs=3, out=folder / "cv", progress=False)
printed = {"mean": output["mean"], "rows": output["out_of_fold"]["rows"].tolist()}
""",
    "ensemble": """
runs = [kzoo.train("iris_fnn", epochs=2, seed=s, out=folder / f"run-{s}", progress=False) for s in range(3)]
output = kzoo.ensemble(runs, out=folder / "ensemble")
printed = {"test": output.summary["test"], "members": len(output.config["spec"]["members"])}
printed["weights"] = digest(output.model.get_weights())
""",
    "export": """
run = kzoo.train("iris_fnn", epochs=2, out=folder / "run", progress=False)
there = (folder / "exported" / "kzoo.json").is_file()
exported = kzoo.export(run, folder / "exported", ["keras", "onnx"], overwrite=there, progress=False)
printed = {key: entry["status"] for key, entry in exported.exports.items()}
outputs = runtime.load(exported, "onnx").predict(kzoo.load_data("iris").test.x[:]).probabilities
printed["bits"] = digest([outputs, *kzoo.load_model(exported).get_weights()])
""",
    "explain": """
run = kzoo.train("iris_fnn", epochs=2, out=folder / "run", progress=False)
(folder / "explained").mkdir(exist_ok=True)
printed = {part.name: part.repeats for part in kzoo.explain(run, repeats=20).importances}
page = kzoo.report(run, out=folder / "explained" / "report.html", explain=True)
printed["page"] = "</html>" in page.read_text(encoding="utf-8")
""",
    "learning_curve": """
curve = kzoo.check("iris_fnn", learning_curve=True, epochs=1, out=folder / "curve").learning_curve
printed = {"sizes": curve.sizes, "scores": curve.scores, "forecast": curve.forecast(400)}
""",
    "tune": """
search = kzoo.tune("iris_fnn", trials=4, epochs=2, out=folder / "search", progress=False, max_time=None)
printed = {"best": search.best_trial().score, "points": [trial.hyperparameters for trial in search.trials]}
""",
}
CALL = """
import hashlib, json, sys
from pathlib import Path
import kzoo
import numpy as np
from kzoo import runtime
folder = Path(sys.argv[1])
def digest(arrays):
    return hashlib.sha256(b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)).hexdigest()
print("begun", flush=True)
{call}
print(json.dumps(printed, sort_keys=True, default=float))
"""


def call(name, folder):
    script = CALL.format(call=CALLS[name])
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(folder)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"KERAS_BACKEND": BACKEND},
    )
    assert process.stdout.readline() == "begun\n"
    return process


def result(process):
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-2000:]
    return json.loads(out.splitlines()[-1])


def processes_of(folder):
    """Return the command lines that mention a folder."""
    commands = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in words:
            commands.append(words)
    return commands


@pytest.mark.parametrize("name", CALLS)
def test_other_calls_killed_at_random_moments(name, tmp_path):
    began = time.monotonic()
    expected = result(call(name, tmp_path / "whole"))
    seconds = time.monotonic() - began
    draw = random.Random(name)
    folder = tmp_path / "killed"
    kills = 0
    for _ in range(5):
        process = call(name, folder)
        try:
            process.wait(timeout=draw.uniform(0.1, seconds / 2))
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        process.communicate()
    assert kills, "it was over before it was killed"
    for _ in range(100):
        if not processes_of(folder):
            break
        time.sleep(0.1)
    assert processes_of(folder) == [], "a child process is still running"
    assert result(call(name, folder)) == expected
    left = [path for path in folder.rglob(".*") if path.is_dir()]
    assert left == [], "temporary folders of a killed process remain"
