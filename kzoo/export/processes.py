"""Steps that run in a process of their own: a converter that crashes or hangs costs its step and nothing else."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

# Absolute folders in an error: it goes into `kzoo.json`, which names none of this machine.
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?<![\w.])[/\\](?:[^\s/\\'\":]+[/\\])+")
_START = 120  # seconds to import TensorFlow on a busy machine


def run_steps(module, words, steps, *, timeout, begin=lambda step: None):
    """Run steps one after the other in a fresh process; yield (step, outcome) for each.

    The process takes `words` and the steps as arguments, and reports on its standard output (`report`). If it dies or
    is silent for too long, the step it was at has failed, and a fresh one takes the rest.

    Args:
        module: what `python -m` runs.
        words: its first arguments.
        steps: names.
        timeout: seconds for a step.
        begin: called with the name of a step that begins.

    Yields:
        The outcome is what the step reported, or `{"error": one line}`.
    """
    steps = list(steps)
    while steps:
        with _Child(module, [*words, *steps]) as child:
            first = True
            while steps:
                begin(steps[0])
                outcome = child.read(timeout + _START if first else timeout, limit=timeout)
                first = False
                if "error" in outcome:
                    outcome["error"] = _FOLDERS.sub("", outcome["error"])
                yield steps.pop(0), outcome
                if child.ended:
                    break


class _Child:
    def __init__(self, module, words):
        # What libraries say; it is told only if the process dies.
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: Any = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", module, *map(str, words)],
            stdin=subprocess.PIPE,  # nothing is written to it: its end is ours, however it comes
            stdout=subprocess.PIPE,
            stderr=self._noise,
            env=_environment(),
            encoding="utf-8",
        )
        self._lines: queue.Queue[Any] = queue.Queue()
        self.ended = False
        threading.Thread(target=self._collect, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stdin.close()
        self._noise.close()

    def _collect(self):
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except ValueError:  # closed under it
            pass
        self._lines.put(None)

    def read(self, seconds, *, limit):
        """Return what the next step reports, or how the process ended."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.ended = True
            return {"error": f"no answer within {limit:g} seconds; it was stopped"}
        if line is not None:
            return json.loads(line)
        self.ended = True
        code = self._process.wait()
        if code < 0:
            return {"error": f"the process was killed by {signal.Signals(-code).name}"}
        self._noise.seek(0)
        said = self._noise.read().decode("utf-8", "replace").strip().splitlines()
        return {"error": f"the process ended with code {code}" + (f": {said[-1][:300]}" if said else "")}


def _environment():
    """Return the environment of a child: this kzoo, TensorFlow, one thread, and no GPU, whose kernels (cuDNN's LSTM)
    would be baked into the file."""
    home = str(Path(__file__).parents[2])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(paths),
        "PYTHONIOENCODING": "utf-8",
        "KERAS_BACKEND": "tensorflow",
        "CUDA_VISIBLE_DEVICES": "-1",
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "OMP_NUM_THREADS": "1",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
    }


def serve_steps(steps, do):
    """Do the steps of a child process and report each; the other end is `run_steps`.

    Args:
        steps: names.
        do: function of a name that returns plain JSON data. What it raises is the step's error.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Libraries print to the standard output too: it becomes theirs, and reports go to a copy of the old one.
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for step in steps:
            try:
                outcome = do(step)
            except Exception as error:
                outcome = {"error": _in_one_line(error)}
            print(json.dumps(outcome, allow_nan=False), file=out, flush=True)


def _end_with_parent():
    """End this process when the one that started it has ended, be it killed: nobody would read the reports."""
    try:
        while os.read(0, 1):
            pass
    except OSError:
        return  # there is no standard input: somebody runs this by hand
    os._exit(1)


def _in_one_line(error):
    if isinstance(error, KzooError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {first_line(error)}"
