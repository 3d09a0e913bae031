"""The download cache: folders and files named by their sha256, within a limit. Standard library only.

An entry is complete or absent. What a broken download leaves is kept beside the entries, and is continued by the next
one. If all together are larger than `$KZOO_CACHE_SIZE` (default 10 GiB), those that were not used for longest are
removed.
"""

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from kzoo.utils.downloads import FULL, NotWritten
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder, sync_folder
from kzoo.utils.formatting import in_bytes
from kzoo.utils.locks import locked
from kzoo.utils.memory import parse_size

_LIMIT = "10GiB"
_PARTIAL = "partial"
_DIGITS = 64  # of a sha256


def downloads_folder() -> Path:
    """Return the folder of the entries."""
    return cache_folder() / "downloads"


def size_limit() -> int:
    """Return how many bytes all entries together may take.

    Raises:
        KzooError: `$KZOO_CACHE_SIZE` is not a size.
    """
    return parse_size("KZOO_CACHE_SIZE", os.environ.get("KZOO_CACHE_SIZE") or _LIMIT)


def cached(sha256: str) -> Path | None:
    """Return the entry of a checksum, which counts as used now; None if there is none."""
    path = downloads_folder() / sha256
    if not path.exists():
        return None
    with suppress(OSError):  # a cache that others own can be read
        os.utime(path)
    return path


def add(sha256: str, size: int, write: Callable[[Path], object]) -> Path:
    """Return the entry of a checksum, which is made unless it is there.

    Args:
        sha256: its name.
        size: bytes of all its files.
        write: writes the files into a folder, which may contain files of an earlier attempt, and checks them.

    Raises:
        KzooError: it is larger than the limit, or the cache cannot be written.
    """
    check_room(size, "The files")
    folder = downloads_folder()
    partial = folder / _PARTIAL / sha256
    try:
        (folder / _PARTIAL).mkdir(parents=True, exist_ok=True)
        with locked(folder / _PARTIAL / f"{sha256[:2]}.lock"):
            if (path := cached(sha256)) is not None:  # another process was first
                return path
            prune(keep=sha256, room=size)
            free = shutil.disk_usage(folder).free
            if size - _size(partial) > free:
                raise KzooError(
                    f"{str(folder)!r} has {in_bytes(free)} free, and the files have {in_bytes(size)}. Free some space, "
                    "or set KZOO_CACHE to a folder on another disk."
                )
            partial.mkdir(exist_ok=True)
            write(partial)
            sync_folder(partial)
            os.replace(partial, folder / sha256)
            sync_folder(folder)
    except (NotWritten, OSError) as problem:
        error = problem.error if isinstance(problem, NotWritten) else problem
        if error.errno in FULL:  # what is kept for the next attempt would keep the disk full
            shutil.rmtree(partial, ignore_errors=True)
        raise not_written(folder, error) from None
    return folder / sha256


def not_written(folder: str | os.PathLike[str], error: OSError) -> KzooError:
    """Return the error for a folder of the cache that cannot be written."""
    return KzooError(
        f"Cannot write to {os.fspath(folder)!r}: {error.strerror or error}. Free some space, or set KZOO_CACHE to "
        "another folder."
    )


def check_room(size: int, what: str) -> None:
    """Raise KzooError if the cache may not have so many bytes.

    Args:
        size: the bytes.
        what: what has these bytes, in the plural, for the message: "The files".
    """
    if size > (limit := size_limit()):
        raise KzooError(
            f"{what} have {in_bytes(size)}, and the download cache may have {in_bytes(limit)}. Set KZOO_CACHE_SIZE "
            f"to more, such as {-(-size // 2**30) + 1}GiB."
        )


def remove(sha256: str) -> None:
    """Remove an entry."""
    _removed(downloads_folder() / sha256)


def prune(*, keep: str = "", room: int = 0) -> None:
    """Remove the entries that were not used for longest, until the others and `room` are within the limit.

    Args:
        keep: checksum of an entry that is not removed.
        room: bytes that are about to be added.
    """
    folder = downloads_folder()
    candidates = [
        path
        for parent in (folder, folder / _PARTIAL)
        if parent.is_dir()
        for path in parent.iterdir()
        if len(path.name) == _DIGITS
    ]
    entries = []
    for path in candidates:
        with suppress(OSError):  # removed by another process
            entries.append((path.stat().st_mtime, _size(path), path))
    excess = sum(size for _, size, path in entries if path.name != keep) + room - size_limit()
    for _, size, path in sorted(entries):
        if excess <= 0:
            break
        if path.name != keep and _removed(path):
            excess -= size


def _removed(path: Path) -> bool:
    """Remove an entry, or a partial one that no process continues; return whether it is gone."""
    try:
        if path.parent.name == _PARTIAL:
            with locked(path.parent / f"{path.name[:2]}.lock", wait=False):
                shutil.rmtree(path)
        else:
            # A folder without its name is never taken for a complete entry.
            doomed = path.with_name(f".{path.name}-{os.getpid()}")
            os.replace(path, doomed)
            shutil.rmtree(doomed)
    except OSError:
        return False
    return True


def _size(path: Path) -> int:
    with suppress(OSError):
        if path.is_file():
            return path.stat().st_size
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return 0
