"""Whether an exported file answers within bounds: tried in a process of its own before it is opened in this one.

How much memory a file takes, and how long, shows only when it runs: it may compute a tensor of any size from a few
bytes, and a loop need not end. The process opens it and gives it two examples, one of zeros and one of ones.
"""

import contextlib
import hashlib
import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from kzoo import child
from kzoo.errors import KzooError
from kzoo.export.formats import formats

_MEMORY, _TIMES = 320 << 20, 100  # bytes that any file may take, and how often its own size
_MOST, _MOST_TIMES = 2 << 30, 8  # the same of a large one
_STARTS, _FEWEST = 12, 2  # processor time: as often as starting the process took; at least so many seconds
_BYTES_A_SECOND = 1 << 20  # of the file, for which there is one more
_WALL = 10  # times the processor time: others use the machine too
_FREE = 16  # steps along an axis that the network leaves open
_READY, _DONE, _MEMORY_GONE = b"ready\n", b"done\n", b"memory\n"

_passed: set[str] = set()  # checksums of what this process has tried


def check_cost(content: bytes, format: str, *, name: str, shape: Sequence[Any], dtype: Any) -> None:
    """Refuse a file that is out of all proportion to its size: in memory, in processor time, or by ending its process.

    Where no process can be started, nothing is tried; where the system has no limits (Windows), time alone is.

    Args:
        content: the file's bytes.
        format: a name in `kzoo.export.formats`.
        name: what errors call the file.
        shape, dtype: of one example, as `kzoo.json` has them; None is an axis of any length.

    Raises:
        KzooError: one line that says which bound it breaks.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest in _passed or getattr(sys, "frozen", False):  # a frozen program would start itself
        return
    try:
        process = child.start(__name__, stderr=subprocess.DEVNULL)
    except OSError:
        return
    example = [int(size) if isinstance(size, int) else _FREE for size in shape]
    asked = {"format": format, "shape": example, "dtype": str(dtype)}
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
    code = process.returncode
    of = f"{name} has {len(content):,} bytes and"
    if said.endswith(_MEMORY_GONE):
        raise KzooError(
            f"{of} wants more than {_memory(len(content)):,} of memory for one input; it is not opened. Export again."
        )
    if late or code == -_signal("SIGXCPU"):
        raise KzooError(f"{of} does not answer one input in time, if at all; it is not opened. Export again.")
    if code:
        raise KzooError(f"{of} crashes what runs it; it is not opened. Export again.")
    _passed.add(digest)


def _signal(name: str) -> int:
    return getattr(import_module("signal"), name, 0)


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
        session = format.open(content, name="", threads=1)
        for value in (0, 1):
            session(np.full((session.batch or 1, *asked["shape"]), value, asked["dtype"]))
    except Exception as error:  # other errors are met, and told, when it is opened for good
        out.write(_MEMORY_GONE if _is_of_memory(error) or _is_of_memory(error.__context__) else _DONE)
    else:
        out.write(_DONE)
    out.flush()


def _is_of_memory(error: BaseException | None) -> bool:
    """Say whether there was no memory: runtimes raise exceptions of their own, whose text tells."""
    return isinstance(error, MemoryError) or "alloc" in str(error).lower()


def _limit(size: int) -> None:
    """Bound the memory that this process may take from now on, and its processor time."""
    try:
        resource = import_module("resource")
    except ImportError:
        return
    seconds = math.ceil(max(_FEWEST, _STARTS * time.process_time()) + time.process_time() + size / _BYTES_A_SECOND)
    with contextlib.suppress(OSError, ValueError):  # a stricter limit holds already
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError, ValueError, StopIteration):
        with open("/proc/self/status", encoding="ascii") as status:
            data = next(int(line.split()[1]) << 10 for line in status if line.startswith("VmData:"))
        limit = data + _memory(size)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
