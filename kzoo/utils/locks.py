"""Locks between processes. Standard library only."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any


@contextmanager
def locked(path: Path, *, wait: bool = True) -> Iterator[None]:
    """Hold a lock, which the system releases if the process is killed.

    Raises:
        OSError: another process holds it, and `wait` is False.
    """
    with open(path, "ab") as file:
        _lock(file, wait)
        try:
            yield
        finally:
            with suppress(OSError):
                _unlock(file)


def _lock(file: Any, wait: bool) -> None:
    if os.name != "nt":
        fcntl = import_module("fcntl")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError as error:
            if error.errno not in (errno.ENOLCK, errno.ENOTSUP):  # of a drive without locks
                raise
        return
    msvcrt: Any = import_module("msvcrt")
    while True:
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            return
        except OSError:
            if not wait:
                raise  # LK_LOCK gives up after ten seconds


def _unlock(file: Any) -> None:
    if os.name != "nt":
        fcntl = import_module("fcntl")
        fcntl.flock(file, fcntl.LOCK_UN)
        return
    msvcrt: Any = import_module("msvcrt")
    file.seek(0)
    msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)
