"""Child Python processes with the same `sys.path`, which communicate over pipes and end with this process."""

import os
import subprocess
import sys
from collections.abc import Mapping
from typing import IO, Any


def start(
    module: str, *, stderr: IO | int | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a process that calls `main` of a module, with pipes for its standard input and output.

    It is in its own process group, so that Ctrl-C reaches only this process. `main` must end when its input ends.

    Args:
        module: the name of the module, importable here.
        stderr: as in `subprocess.Popen`.
        environment: environment variables; None for those of this process.
    """
    path = [os.path.abspath(entry) for entry in sys.path]  # "" is the current folder
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; main()"
    own_group: dict[str, Any] = dict(start_new_session=True)
    if sys.platform == "win32":
        own_group = dict(creationflags=subprocess.CREATE_NEW_PROCESS_GROUP)
    # Isolated (-I), so that a user's queue.py does not shadow the standard library's before the path is set.
    return subprocess.Popen(
        [sys.executable, "-I", "-W", "ignore", "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        **own_group,
    )
