"""Startup time: `import kzoo; kzoo.list_presets()` relative to bare Python, `kzoo list` as a process, and processor
seconds (all cores, user and system) of whole processes: commands without Keras, and a small training at its second run.

    python tests/benchmarks/startup.py             all
    python tests/benchmarks/startup.py --rounds 3  fewer rounds, on a busy machine

Keras on JAX is measured if JAX is installed.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

TRAIN = "train digits_cnn --epochs 2"
# Process -> command, parts of its stderr where it is refused, bar in processor seconds, backend, most rounds
PROCESSES = {
    "kzoo show": ("show cifar_cnn", None, 0.3, "tensorflow", 15),
    "refused: preset": ("train digit_cnn", ("digit_cnn", "digits_cnn"), 0.5, "tensorflow", 15),
    "refused: setting": (
        "train digits_cnn --set fliters=2",
        ("fliters", "filters"),
        0.5,
        "tensorflow",
        15,
    ),
    "refused: path": (
        "train tabular_fnn --data nowhere.csv",
        ("nowhere.csv", "iris"),
        0.5,
        "tensorflow",
        15,
    ),
    "refused: run": ("predict nowhere x.png", ("nowhere", "kzoo.train"), 0.5, "tensorflow", 15),
    f"second kzoo {TRAIN}": (TRAIN, None, 6, "tensorflow", 4),
    f"second kzoo {TRAIN}, on JAX": (TRAIN, None, 7, "jax", 4),
}


def seconds(command):
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


def processor_seconds(words, refused, backend, folder):
    """Return the processor seconds of a `kzoo` process on all cores. A run that it writes is deleted."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-m", "kzoo", *words.split()],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"KERAS_BACKEND": backend, "KZOO_CACHE": str(Path(folder) / "cache")},
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == (0 if refused is None else 2), done.stderr
    assert all(part in done.stderr for part in refused or ()), done.stderr
    shutil.rmtree(Path(folder) / "runs", ignore_errors=True)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    python = [sys.executable, "-c"]
    beside = Path(sys.executable).parent / ("kzoo.exe" if os.name == "nt" else "kzoo")
    command = [str(beside) if beside.exists() else shutil.which("kzoo"), "list"]
    bare, listed, whole = [], [], []
    for _ in range(rounds):
        bare.append(seconds([*python, "pass"]))
        listed.append(seconds([*python, "import kzoo; kzoo.list_presets()"]))
        whole.append(seconds(command))
    ms = round(1e3 * (min(listed) - min(bare)), 1)
    print(json.dumps({"what": "import and list over bare Python", "ms": ms, "bar": 60}))
    print(json.dumps({"what": "kzoo list, whole process", "s": round(min(whole), 3), "bar": 0.35}))
    with tempfile.TemporaryDirectory() as folder:
        for what, (words, refused, bar, backend, most) in PROCESSES.items():
            if find_spec(backend) is None:
                continue
            taken = [
                processor_seconds(words, refused, backend, folder)
                for _ in range(min(rounds, most) + 1)
            ]
            first = round(taken[0], 2)
            best = round(min(taken[1:]), 2)
            print(json.dumps({"what": what, "cpu_s": best, "first": first, "bar": bar}))


if __name__ == "__main__":
    main()
