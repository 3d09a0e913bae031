"""Resource check of an exported file: a trial run in a child process with limits on memory and time.

The memory and time that a file needs show only when it runs: a few bytes may describe a tensor of any size or an
endless loop. The child process opens the file and runs it on two examples, one of zeros and one of ones.
"""

import contextlib
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.formats import formats
from kzoo.utils import child_process as child
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

if TYPE_CHECKING:
    from kzoo.export.format import Session


_MEMORY = 320 << 20  # memory limit: so many bytes plus a multiple of the file's size
_TIMES = 100
_LARGE_MEMORY = 2 << 30  # upper bound of that limit, which matters for large files
_LARGE_TIMES = 8
# CPU time limit: a multiple of the process' start-up time, and its minimum
_START_FACTOR, _MIN_SECONDS = 10, 2
_BYTES_PER_SECOND = 2 << 20  # bytes of the file that allow one more second
_WALL_CLOCK_FACTOR = 10  # wall-clock limit as a multiple of the CPU time: the machine may be busy
# sizes of axes without a fixed length; the second is tried if the first fails
_FREE_SIZES = (16, 256)
# written by the child process once the packages are imported and the limits set
_READY = b"ready\n"

_passed: set[str] = set()  # checksums of the files that passed in this process


def check_cost(
    content: bytes, format: str, *, name: str, shape: Sequence[int | None], dtype: str
) -> None:
    """Raise KzooError if a file crashes, or needs far more memory or CPU time than its size justifies.

    If no child process can be started, nothing is checked. On systems without resource limits (Windows), only the time
    is checked.

    Args:
        content: the bytes of the file.
        format: a name in `kzoo.export.formats`.
        name: name of the file in error messages.
        shape, dtype: of one example, as in `kzoo.json`; None is an axis of any length.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest in _passed or not _is_python():
        return
    try:
        process = child.start(__name__, stderr=subprocess.DEVNULL)
    except OSError:
        return
    request = {"format": format, "name": name, "shape": list(shape), "dtype": str(dtype)}
    output = b""
    timed_out = False
    with process:
        assert process.stdin and process.stdout
        with contextlib.suppress(OSError):  # the child has ended; the reason is found below
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.write(content)
        try:
            output = process.communicate(
                timeout=_WALL_CLOCK_FACTOR * (_MIN_SECONDS + len(content) / _BYTES_PER_SECOND) + 60
            )[0]
        except subprocess.TimeoutExpired:
            timed_out = True
            process.kill()
            output = process.communicate()[0]
    if not output.startswith(_READY):
        return  # the child process did not start, which is not the file's fault
    if problem := _problem(
        output.removeprefix(_READY),
        name,
        len(content),
        timed_out or _is_out_of_time(process.returncode),
    ):
        raise KzooError(problem)
    _passed.add(digest)


def _is_python() -> bool:
    """Return True if the executable is Python: a frozen application would start itself instead."""
    return not getattr(sys, "frozen", False) and Path(sys.executable or "").stem.startswith(
        ("python", "pypy")
    )


def _is_out_of_time(code: int) -> bool:
    """Return True if an exit code says that the process exceeded its CPU time limit; False on Windows."""
    number = getattr(signal, "SIGXCPU", None)
    return number is not None and code == -number


def _problem(output: bytes, name: str, size: int, timed_out: bool) -> str:
    """Return why a file must not be opened, or an empty string."""
    outcome = json.loads(output) if output.endswith(b"\n") else {}
    if timed_out or not outcome:
        problem = "does not process one input in time" if timed_out else "crashes its runtime"
    elif outcome.get("memory"):
        problem = f"needs more than {_memory_limit(size):,} bytes of memory for one input"
    else:
        return outcome.get("error", "")
    return f"{name} ({size:,} bytes) {problem}. It is not opened. Export again."


def _memory_limit(size: int) -> int:
    """Return the memory limit in bytes for a file of `size` bytes."""
    return min(_MEMORY + _TIMES * size, _LARGE_MEMORY + _LARGE_TIMES * size)


def main() -> None:
    """Run the child process: read a request and an exported file from stdin, run the file, write the outcome to stdout.

    The outcome is a JSON object with `answers` (it ran), `memory` (it needs too much), or `error` (a message).
    """
    source, out = sys.stdin.buffer, sys.stdout.buffer
    request = json.loads(source.readline())
    content = source.read()
    format = formats()[request["format"]]
    for package in format.packages:
        import_module(package)
    _set_limits(len(content))
    out.write(_READY)
    out.flush()
    try:
        session = format.open(content, name=request["name"], threads=1)
        _run_examples(session, request["shape"], request["dtype"])
        outcome: dict[str, Any] = {"answers": True}
    except Exception as error:
        if _is_out_of_memory(error) or _is_out_of_memory(error.__context__):
            outcome = {"memory": True}
        else:
            outcome = {
                "error": str(error)
                if isinstance(error, KzooError)
                else f"{request['name']}: {first_line(error)}"
            }
    out.write(json.dumps(outcome).encode() + b"\n")
    out.flush()


def _run_examples(session: "Session", shape: Sequence[int | None], dtype: str) -> None:
    """Run a session on an example of zeros and on one of ones, since a file may compute more for one of them."""
    sizes = [[size or free for size in shape] for free in _FREE_SIZES]
    try:
        session(np.zeros((session.batch or 1, *sizes[0]), dtype))
        sizes = sizes[:1]
    except KzooError as error:
        if sizes[0] == sizes[1] or _is_out_of_memory(error.__context__):
            raise
        session(np.zeros((session.batch or 1, *sizes[1]), dtype))
    session(np.ones((session.batch or 1, *sizes[-1]), dtype))


def _is_out_of_memory(error: BaseException | None) -> bool:
    """Return True if memory ran out; runtimes raise their own exceptions, recognised by their message."""
    return isinstance(error, MemoryError) or "alloc" in str(error).lower()


def _set_limits(size: int) -> None:
    """Limit the memory that this process may allocate from now on, and its CPU time."""
    try:
        resource = import_module("resource")
    except ImportError:
        return
    seconds = int(
        max(_MIN_SECONDS, _START_FACTOR * time.process_time())
        + time.process_time()
        + size / _BYTES_PER_SECOND
    )
    with contextlib.suppress(OSError, ValueError):  # a stricter limit is already set
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status", encoding="ascii") as status:
            data = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
        limit = data + _memory_limit(size)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
