"""Transfer of objects to files: several at once, each after what an earlier attempt left. Standard library only."""

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from kzoo.utils.downloads import NotWritten, sync_file, write_whole

if TYPE_CHECKING:
    from kzoo.cloud.storage import Storage, StoredObject

_CONNECTIONS = 8  # objects that are transferred at the same time
_BLOCK = 1 << 20  # bytes that are written at once


def transfer(
    storage: "Storage",
    objects: "Sequence[StoredObject]",
    folder: Path,
    report: Callable[[int], object] = lambda count: None,
    *,
    pattern: re.Pattern[str] | None = None,
    copy_of: "Callable[[StoredObject], Path | None]" = lambda entry: None,
) -> None:
    """Write objects into a folder, which may have some of them already, and compare their versions with a new listing.

    What was read between two equal listings is what they list.

    Args:
        storage: of the objects.
        objects: as they were listed.
        folder: for the files.
        report: function of the number of bytes that were written, or were there already.
        pattern: that the objects were listed with.
        copy_of: function that returns a file with the content of an object, if there is one.

    Raises:
        KzooError: an object cannot be read, or was changed meanwhile; then its file is removed.
        NotWritten: a file cannot be written.
    """
    counted = Lock()

    def report_alone(count: int) -> None:
        with counted:
            report(count)

    def write(entry: "StoredObject") -> None:
        target = folder / entry.name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise NotWritten(error) from None
        if (copy := copy_of(entry)) is not None and not target.exists():
            with suppress(OSError):  # another file system, or one without links
                os.link(copy, target)
        _write(storage, entry, target, report_alone)

    with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="kzoo-copy") as pool:
        writes = [pool.submit(write, entry) for entry in objects]
        for each in wait(writes, return_when=FIRST_EXCEPTION).not_done:
            each.cancel()
    for each in writes:
        if not each.cancelled():
            each.result()
    present = {entry.name: entry for entry in _listed_again(storage, objects, pattern)}
    for entry in objects:
        if present.get(entry.name) != entry:
            (folder / entry.name).unlink()
            raise storage.changed(entry.name, entry.version, present.get(entry.name))


def _write(
    storage: "Storage", entry: "StoredObject", target: Path, report: Callable[[int], object]
) -> None:
    """Write an object to a file, after what the file has already."""
    with open(target, "ab", buffering=0) as file:
        if file.tell() > entry.size:
            file.truncate(0)
        report(file.tell())
        if file.tell() == entry.size:
            return
        with storage.stream(entry, file.tell()) as stream:
            while block := stream.read1(_BLOCK):  # what has come, which is kept if nothing follows
                write_whole(file, block)
                report(len(block))
        sync_file(file)


def _listed_again(
    storage: "Storage", objects: "Sequence[StoredObject]", pattern: re.Pattern[str] | None
) -> "Sequence[StoredObject]":
    if len(objects) > 1:
        return storage.list(pattern)
    entry = storage.stat(objects[0].name)
    return [] if entry is None else [entry]
