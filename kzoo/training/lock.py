"""One process to a run's folder. The lock goes with the process, however it ends, so there are no stale ones."""

import errno
import os
from contextlib import contextmanager
from importlib import import_module

from kzoo.errors import KzooError


@contextmanager
def locked(folder):
    """Keep other processes out of a folder while the block runs.

    On Unix the folder itself is locked (flock), so there is no file to be left behind; on Windows, `.lock` in it.
    A file system without locks is used without.

    Raises:
        KzooError: another process is in there.
    """
    handle = _take(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def is_locked(folder) -> bool:
    """Say whether another process, or another training in this one, is in a folder."""
    try:
        with locked(folder):
            return False
    except KzooError:
        return True


def _take(folder):
    path = os.path.join(folder, ".lock") if os.name == "nt" else folder
    handle = os.open(path, os.O_RDWR | os.O_CREAT if os.name == "nt" else os.O_RDONLY)
    try:
        if os.name == "nt":
            msvcrt = import_module("msvcrt")
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl = import_module("fcntl")
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return None
        raise KzooError(f"Another process trains in {folder}. Wait for it, or choose another folder.") from None
    return handle
