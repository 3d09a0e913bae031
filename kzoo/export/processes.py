"""Steps in a child process, so that a converter that crashes or hangs fails one step only."""

import json
import os
import queue
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line

# Absolute folders in error messages: these are stored in `kzoo.json`, which must not reveal paths of this machine.
_FOLDERS = re.compile(r"(?:[A-Za-z]:)?(?<![\w.])[/\\](?:[^\s/\\'\":]+[/\\])+")
_IMPORT_SECONDS = 120  # seconds to import TensorFlow on a busy machine


def run_steps(
    module: str,
    arguments: Sequence[object],
    steps: Iterable[str],
    *,
    timeout: float,
    begin: Callable[[str], object] = lambda step: None,
) -> Generator[tuple[str, JsonObject], None, None]:
    """Run steps one after the other in a child process and yield (step, outcome) for each.

    The process gets `arguments` and the steps on its command line and reports outcomes on its standard output (see
    `serve_steps`). If it dies or times out, the current step fails, and a new process runs the remaining steps.

    Args:
        module: name of the module to run with `python -m`.
        arguments: first arguments of the command line.
        steps: names of the steps.
        timeout: seconds per step.
        begin: called with the name of each step before it runs.

    Yields:
        (step, outcome); the outcome is a dict reported by the step, or `{"error": one line}`.
    """
    steps = list(steps)
    while steps:
        with _Child(module, [*arguments, *steps]) as child:
            first = True
            while steps:
                begin(steps[0])
                outcome = child.read(timeout + _IMPORT_SECONDS if first else timeout, limit=timeout)
                first = False
                if "error" in outcome:
                    outcome["error"] = _FOLDERS.sub("", outcome["error"])
                yield steps.pop(0), outcome
                if child.ended:
                    break


class _Child:
    def __init__(self, module: str, arguments: Sequence[object]) -> None:
        # Output of libraries; its last line is reported only if the process dies.
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115
        self._process: Any = subprocess.Popen(
            [sys.executable, "-P", "-W", "ignore", "-m", module, *map(str, arguments)],
            # never written to; it closes when this process ends, which ends the child
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=_environment(),
            encoding="utf-8",
        )
        self._lines: queue.Queue[Any] = queue.Queue()
        self.ended = False
        threading.Thread(target=self._collect, daemon=True).start()

    def __enter__(self) -> "_Child":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
        self._process.stdin.close()
        self._stderr.close()

    def _collect(self) -> None:
        try:
            for line in self._process.stdout:
                self._lines.put(line)
        except ValueError:  # closed by `__exit__`
            pass
        self._lines.put(None)

    def read(self, seconds: float, *, limit: float) -> JsonObject:
        """Return the outcome of the next step, or an error if the process timed out or ended."""
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            self.ended = True
            return {"error": f"timed out after {limit:g} seconds"}
        if line is not None:
            return json.loads(line)
        self.ended = True
        code = self._process.wait()
        if code < 0:
            return {"error": f"the process was killed by {signal.Signals(-code).name}"}
        self._stderr.seek(0)
        output = self._stderr.read().decode("utf-8", "replace").strip().splitlines()
        return {
            "error": f"the process ended with code {code}"
            + (f": {output[-1][:300]}" if output else "")
        }


def _environment() -> dict[str, str]:
    """Return the environment of the child process: this copy of kzoo, TensorFlow, one thread and no GPU.

    On a GPU, its kernels (LSTM of cuDNN) would become part of the exported file.
    """
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


def serve_steps(steps: Iterable[str], do: Callable[[str], JsonObject]) -> None:
    """Run the steps of a child process and report each outcome to `run_steps` in the parent.

    Args:
        steps: names of the steps.
        do: function of a step's name that returns JSON data. If it raises, the exception is reported as the error.
    """
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Libraries print to the standard output too: redirect it to stderr, and report on a copy of the original.
    sys.stdout.flush()
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as out:
        os.dup2(2, 1)
        for step in steps:
            try:
                outcome = do(step)
            except Exception as error:
                outcome = {"error": _one_line_error(error)}
            print(json.dumps(outcome, allow_nan=False), file=out, flush=True)


def _end_with_parent() -> None:
    """Exit when the parent process has ended, even if it was killed."""
    try:
        while os.read(0, 1):
            pass
    except OSError:
        return  # no standard input: the module was started by hand
    os._exit(1)


def _one_line_error(error: Exception) -> str:
    if isinstance(error, KzooError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"{type(error).__name__}: {first_line(error)}"
