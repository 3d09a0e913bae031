"""Pythons beside this one, with the same path, that answer over pipes and end when this one does."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO, Any


def start(
    module: str, *, stderr: IO | int | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that calls `main` of a module, with a pipe to its standard input and one from its output.

    It is in a group of its own: Ctrl-C is for us, and we decide what becomes of it. `main` ends where its input does.

    Args:
        module: the name of the module, importable here.
        stderr: where what it prints goes, as `subprocess.Popen` takes it.
        environment: of the process; None for this one's.
    """
    path = [os.path.abspath(entry) for entry in sys.path]  # "" is the folder we are in
    begin = f"import sys; sys.path[:] = {path!r}; from {module} import main; main()"
    own_group: dict[str, Any] = dict(start_new_session=True)
    if sys.platform == "win32":
        own_group = dict(creationflags=subprocess.CREATE_NEW_PROCESS_GROUP)
    # Isolated: our path takes effect when Python has begun, or a user's queue.py would be taken for Python's.
    return subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", begin], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=stderr, env=environment, **own_group,
    )  # fmt: skip
