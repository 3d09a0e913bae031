"""Transfer of objects to files: several at once, each after what an earlier attempt left. Standard library only."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING

from kzoo.utils.downloads import NotWritten

if TYPE_CHECKING:
    from kzoo.cloud.storage import Storage, StoredObject

_CONNECTIONS = 8  # objects that are transferred at the same time
_BLOCK = 1 << 20  # bytes that are written at once


def transfer_all(
    storage: "Storage",
    objects: "Sequence[StoredObject]",
    folder: Path,
    report: Callable[[int], object],
    copy_of: "Callable[[StoredObject], Path | None]" = lambda entry: None,
) -> None:
    """Write objects into a folder, which may have some of them already.

    Args:
        storage: of the objects.
        objects: as they were listed. That they have not changed is checked by `check_unchanged`.
        folder: for the files.
        report: function of the number of bytes that were written, or were there already.
        copy_of: function that returns a file with the content of an object, if there is one.

    Raises:
        KzooError, NotWritten: an object cannot be read, or a file not be written.
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
        transfer(storage, entry, target, report_alone)

    with ThreadPoolExecutor(_CONNECTIONS, thread_name_prefix="kzoo-copy") as pool:
        writes = [pool.submit(write, entry) for entry in objects]
        for each in wait(writes, return_when=FIRST_EXCEPTION).not_done:
            each.cancel()
    for each in writes:
        if not each.cancelled():
            each.result()


def transfer(
    storage: "Storage", entry: "StoredObject", target: Path, report: Callable[[int], object]
) -> None:
    """Write an object to a file, after what the file has already; see `transfer_all`."""
    with open(target, "ab", buffering=0) as file:
        if file.tell() > entry.size:
            file.truncate(0)
        report(file.tell())
        if file.tell() == entry.size:
            return
        with storage.stream(entry, file.tell()) as stream:
            while block := stream.read1(_BLOCK):  # what has come, which is kept if nothing follows
                try:
                    rest = memoryview(block)
                    while rest:
                        rest = rest[file.write(rest) :]
                except OSError as problem:
                    raise NotWritten(problem) from None
                report(len(block))
        try:
            os.fsync(file.fileno())
        except OSError as problem:
            raise NotWritten(problem) from None


def check_unchanged(
    storage: "Storage",
    objects: "Sequence[StoredObject]",
    now: "Sequence[StoredObject]",
    folder: Path,
) -> None:
    """Raise KzooError, and remove its file, if an object is not what a new listing says.

    What was read between two equal listings is what they list.
    """
    present = {entry.name: entry for entry in now}
    for entry in objects:
        if present.get(entry.name) != entry:
            (folder / entry.name).unlink()
            raise storage.changed(entry.name, entry.version, present.get(entry.name))
