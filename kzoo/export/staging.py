"""Atomic creation of the export folder: written as a hidden sibling and moved at the end. Standard library only."""

import errno
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from kzoo.utils.errors import KzooError
from kzoo.utils.files import sync_folder

_OLD = 24 * 3600  # seconds; for systems where a running process cannot be detected


@contextmanager
def new_folder(path: str | os.PathLike[str]) -> Iterator[tuple[Path, Path]]:
    """Yield (folder, work): the folder of the export, and a folder for temporary files.

    The folder replaces `path` if the block succeeds; otherwise it is removed. Leftovers of killed exports are removed
    first.

    Raises:
        KzooError: the folder cannot be created, or the disk is full.
    """
    path = Path(path).absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        staging = path.parent / f".{path.name}-exporting-{os.getpid()}"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir()
    except OSError as error:
        raise KzooError(
            f"Cannot create {path}: {error.strerror or error}. Choose another path."
        ) from None
    folder, work = staging / "exported", staging / "work"
    try:
        folder.mkdir()
        work.mkdir()
        yield folder, work
        _sync(folder)
        previous = staging / "before"
        if path.exists():
            os.replace(path, previous)
        try:
            os.replace(folder, path)
        except BaseException:
            if previous.exists():
                os.replace(previous, path)
            raise
        sync_folder(path.parent)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise KzooError(
                f"{path}: the disk is full. Nothing was written. Free some space or choose another path."
            ) from None
        raise
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove leftovers of killed exports to this path, and restore the previous export that one had moved away."""
    for staging in path.parent.glob(f".{path.name}-exporting-*"):
        if _is_in_use(staging):
            continue
        if (staging / "before").exists() and not path.exists():
            os.replace(staging / "before", path)
        shutil.rmtree(staging, ignore_errors=True)


def _is_in_use(staging: Path) -> bool:
    pid = int(staging.name.rpartition("-")[2])
    if os.name == "nt":  # on Windows, os.kill would end the process
        return time.time() - staging.stat().st_mtime < _OLD
    with suppress(PermissionError):
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return pid != os.getpid()


def _sync(folder: Path) -> None:
    """Make all files readable and flush them to the disk."""
    for path in folder.rglob("*"):
        if path.is_file():
            os.chmod(path, 0o644)
            with open(path, "rb+") as file:
                os.fsync(file.fileno())
        else:
            sync_folder(path)
    sync_folder(folder)
