"""Parts of a table at an address that is larger than the download cache: each is copied when it is opened.

The next part is copied while one is read, and those that were read longest ago make room. Standard library only.
"""

import hashlib
import json
import os
import stat
from collections.abc import Sequence
from dataclasses import astuple
from itertools import pairwise
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

from kzoo.cloud.transfer import transfer
from kzoo.utils import download_cache
from kzoo.utils.errors import KzooError
from kzoo.utils.table_path import remember_copy

if TYPE_CHECKING:
    from kzoo.cloud.storage import Storage, StoredObject

HELD = 4  # parts that the cache must have room for: the one that is read, the next one, and what others read


class RemotePart(type(Path())):  # type: ignore[misc]  # PosixPath or WindowsPath
    """The path of a part, which does not exist: what opens it gets that of its copy.

    Attributes:
        storage: the folder that contains all parts.
        entry: the object.
        following: the part that is read after it; None for the last.
        facts: what readers of the file keep of its content, such as its number of rows.
    """

    storage: "Storage"
    entry: "StoredObject"
    following: "RemotePart | None" = None
    facts: dict[str, int]
    _ahead: Thread | None = None

    @property
    def version(self) -> str:
        """What stands for its content, without reading it."""
        return json.dumps([str(self.storage), *astuple(self.entry)])

    def __fspath__(self) -> str:
        copy = self._copied()
        if self.following is not None:
            self.following.copy_ahead()
        return str(copy)

    def copy_ahead(self) -> None:
        """Start to copy it, unless it is in the cache."""
        if self._ahead is None and download_cache.cached(self._key) is None:
            self._ahead = Thread(target=self._copied_quietly, name="kzoo-part", daemon=True)
            self._ahead.start()

    @property
    def _key(self) -> str:
        return hashlib.sha256(self.version.encode()).hexdigest()

    def _copied(self) -> Path:
        if (ahead := self._ahead) is not None:
            ahead.join()
            self._ahead = None
        path = download_cache.cached(self._key) or download_cache.add(
            self._key, self.entry.size, self._write
        )
        path /= self.entry.name
        remember_copy(str(path), self.storage.address_of(self.entry.name))
        return path

    def _copied_quietly(self) -> None:
        """Copy it; an error is raised by the next attempt, which is that of the reader."""
        try:
            download_cache.add(self._key, self.entry.size, self._write)
        except KzooError:
            return

    def _write(self, folder: Path) -> None:
        transfer(self.storage, [self.entry], folder)

    def open(self, mode: str = "r", *options: Any, **more: Any) -> Any:
        """Open it; in mode "rb" only the bytes that are read are transferred, such as a footer."""
        if mode == "rb":
            return self.storage.open(self.entry.name, self.entry.version)
        return super().open(mode, *options, **more)

    def stat(self, **options: Any) -> os.stat_result:
        return os.stat_result((stat.S_IFREG | 0o444, 0, 0, 1, 0, 0, self.entry.size, 0, 0, 0))

    def exists(self, **options: Any) -> bool:
        return True

    def is_file(self, **options: Any) -> bool:
        return True

    def is_dir(self, **options: Any) -> bool:
        return False

    def __reduce__(self) -> Any:
        return _restored, (str(self), self.storage, self.entry)


def _restored(path: str, storage: "Storage", entry: "StoredObject") -> RemotePart:
    part = RemotePart(path)
    part.storage, part.entry, part.facts = storage, entry, {}
    return part


def stand_in(path: str) -> str:
    """Return a path after an empty file was made there: whether a table exists is checked at its first part.

    Raises:
        KzooError: it cannot be made.
    """
    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb"):
            return path
    except OSError as error:
        raise download_cache.not_written(os.path.dirname(path), error) from None


def parts_of(
    folder: Path, storage: "Storage", objects: "Sequence[StoredObject]"
) -> tuple[RemotePart, ...]:
    """Return the parts of a table in a folder that does not exist, each of which copies the next one ahead.

    Raises:
        KzooError: the cache has no room for several parts.
    """
    largest = max(objects, key=lambda entry: entry.size)
    download_cache.check_room(HELD * largest.size, f"{HELD} parts as large as {largest.name}")
    parts = tuple(_restored(str(folder / entry.name), storage, entry) for entry in objects)
    for part, following in pairwise(parts):
        part.following = following
    return parts
