"""Whether an exported file answers within bounds: tried in a process of its own before it is opened in this one.

How much memory a file takes, and how long, shows only when it runs: it may compute a tensor of any size from a few
bytes, and a loop need not end. The process opens it and gives it two examples, one of zeros and one of ones.
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
from typing import Any

import numpy as np

from kzoo.export.formats import formats
from kzoo.utils import child_process as child
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

_MEMORY, _TIMES = 320 << 20, 100  # bytes that any file may take, and how often its own size
_MOST, _MOST_TIMES = 2 << 30, 8  # the same of a large one
_STARTS, _FEWEST = 10, 2  # processor time: as often as starting the process took; at least so many seconds
_BYTES_A_SECOND = 2 << 20  # of the file, for which there is one more
_WALL = 10  # times the processor time: others use the machine too
_FREE = (16, 256)  # steps along an axis that the network leaves open; the second where it does not take the first
_READY = b"ready\n"

_passed: set[str] = set()  # checksums of what this process has tried


def check_cost(content: bytes, format: str, *, name: str, shape: Sequence[Any], dtype: Any) -> None:
    """Refuse a file that does not answer, or is out of all proportion to its size: in memory, in processor time.

    Where no process can be started, nothing is tried; where the system has no limits (Windows), time alone is.

    Args:
        content: the file's bytes.
        format: a name in `kzoo.export.formats`.
        name: what errors call the file.
        shape, dtype: of one example, as `kzoo.json` has them; None is an axis of any length.

    Raises:
        KzooError: one line that says what it does.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest in _passed or not _is_python():
        return
    try:
        process = child.start(__name__, stderr=subprocess.DEVNULL)
    except OSError:
        return
    asked = {"format": format, "name": name, "shape": list(shape), "dtype": str(dtype)}
    said, late = b"", False
    with process:
        assert process.stdin and process.stdout
        with contextlib.suppress(OSError):  # it has ended; why, shows below
            process.stdin.write(json.dumps(asked).encode() + b"\n")
            process.stdin.write(content)
        try:
            said = process.communicate(timeout=_WALL * (_FEWEST + len(content) / _BYTES_A_SECOND) + 60)[0]
        except subprocess.TimeoutExpired:
            late = True
            process.kill()
            said = process.communicate()[0]
    if not said.startswith(_READY):
        return  # this Python cannot be started once more, which says nothing of the file
    if why := _fault(said.removeprefix(_READY), name, len(content), late or _is_out_of_time(process.returncode)):
        raise KzooError(why)
    _passed.add(digest)


def _is_python() -> bool:
    """Say whether this is Python: a program that has it inside would start itself."""
    return not getattr(sys, "frozen", False) and Path(sys.executable or "").stem.startswith(("python", "pypy"))


def _is_out_of_time(code: int) -> bool:
    """Say whether a process was ended by its limit of processor time, which Windows does not have."""
    number = getattr(signal, "SIGXCPU", None)
    return number is not None and code == -number


def _fault(said: bytes, name: str, size: int, late: bool) -> str:
    """Return why a file is not opened; nothing where it is."""
    outcome = json.loads(said) if said.endswith(b"\n") else {}
    if late or not outcome:
        does = "does not answer one input in time, if at all" if late else "crashes what runs it"
    elif outcome.get("memory"):
        does = f"wants more than {_memory(size):,} of memory for one input"
    else:
        return outcome.get("error", "")
    return f"{name} has {size:,} bytes and {does}; it is not opened. Export again."


def _memory(size: int) -> int:
    return min(_MEMORY + _TIMES * size, _MOST + _MOST_TIMES * size)


def main() -> None:
    """Be that process."""
    source, out = sys.stdin.buffer, sys.stdout.buffer
    asked = json.loads(source.readline())
    content = source.read()
    format = formats()[asked["format"]]
    for package in format.packages:
        import_module(package)
    _limit(len(content))
    out.write(_READY)
    out.flush()
    try:
        session = format.open(content, name=asked["name"], threads=1)
        _answer(session, asked["shape"], asked["dtype"])
        outcome: dict[str, Any] = {"answers": True}
    except Exception as error:
        if _is_of_memory(error) or _is_of_memory(error.__context__):
            outcome = {"memory": True}
        else:
            outcome = {"error": str(error) if isinstance(error, KzooError) else f"{asked['name']}: {first_line(error)}"}
    out.write(json.dumps(outcome).encode() + b"\n")
    out.flush()


def _answer(session: Any, shape: Sequence[Any], dtype: str) -> None:
    """Have it answer an example of zeros, and one of ones: a file may do more for one than for the other."""
    sizes = [[size or free for size in shape] for free in _FREE]
    try:
        session(np.zeros((session.batch or 1, *sizes[0]), dtype))
        sizes = sizes[:1]
    except KzooError as error:
        if sizes[0] == sizes[1] or _is_of_memory(error.__context__):
            raise
        session(np.zeros((session.batch or 1, *sizes[1]), dtype))
    session(np.ones((session.batch or 1, *sizes[-1]), dtype))


def _is_of_memory(error: BaseException | None) -> bool:
    """Say whether there was no memory: runtimes raise exceptions of their own, whose text tells."""
    return isinstance(error, MemoryError) or "alloc" in str(error).lower()


def _limit(size: int) -> None:
    """Bound the memory that this process may take from now on, and its processor time."""
    try:
        resource = import_module("resource")
    except ImportError:
        return
    seconds = int(max(_FEWEST, _STARTS * time.process_time()) + time.process_time() + size / _BYTES_A_SECOND)
    with contextlib.suppress(OSError, ValueError):  # a stricter limit holds already
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status", encoding="ascii") as status:
            data = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
        limit = data + _memory(size)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
