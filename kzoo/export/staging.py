"""Where an export is made: in a hidden folder beside its place, which it takes at the end. Standard library only."""

import errno
import os
import shutil
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from kzoo.utils.errors import KzooError
from kzoo.utils.files import sync_folder

_OLD = 24 * 3600  # seconds, where nobody can say whether a process still runs


@contextmanager
def new_folder(path):
    """Yield (folder, work): the export to fill, and a folder for what is not part of it.

    The folder takes the place of `path` when the block ends well; else nothing is left. What a killed export left is
    cleared away.
    """
    path = Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _clear(path)
        made = path.parent / f".{path.name}-exporting-{os.getpid()}"
        shutil.rmtree(made, ignore_errors=True)
        made.mkdir()
    except OSError as error:
        raise KzooError(f"{path} cannot be made: {error.strerror or error}. Choose another path.") from None
    folder, work = made / "exported", made / "work"
    try:
        folder.mkdir()
        work.mkdir()
        yield folder, work
        _sync(folder)
        aside = made / "before"
        if path.exists():
            os.replace(path, aside)
        try:
            os.replace(folder, path)
        except BaseException:
            if aside.exists():
                os.replace(aside, path)
            raise
        sync_folder(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise KzooError(
                f"{path}: the disk is full. Nothing was written; make room, or name another path."
            ) from None
        raise
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _clear(path):
    """Remove what killed exports to this path left, after putting back the old one that was set aside."""
    for left in path.parent.glob(f".{path.name}-exporting-*"):
        if _alive(left):
            continue
        if (left / "before").exists() and not path.exists():
            os.replace(left / "before", path)
        shutil.rmtree(left, ignore_errors=True)


def _alive(left):
    number = int(left.name.rpartition("-")[2])
    if os.name == "nt":  # there, this question would end the process
        return time.time() - left.stat().st_mtime < _OLD
    with suppress(PermissionError):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return False
    return number != os.getpid()


def _sync(folder):
    """Wait until every file is on the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.chmod(path, 0o644)
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
