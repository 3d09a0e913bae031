"""Readers of hubs: a class for each kind of place, which lists the models and copies the files of a revision."""

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from kzoo.hub.index import INDEX, MAX_INDEX, Index, Revision, select
from kzoo.utils.address import FOLDER, HubAddress, Place
from kzoo.utils.downloads import NotWritten, Report, download, read_url
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import open_regular
from kzoo.utils.formatting import hint, in_bytes, listed

_BLOCK = 1 << 20  # bytes


class Reader(Protocol):
    """Reads a hub. What cannot be reached raises `DownloadError`, so that the cache can stand in."""

    def models(self) -> Mapping[str, Sequence[Revision]]:
        """Return the models, and the revisions of each, oldest first."""

    def revision(self, address: HubAddress) -> Revision:
        """Return the revision of an address, by default the newest.

        Raises:
            KzooError: there is no such model or revision.
        """

    def copy(self, name: str, revision: Revision, file: str, target: Path, report: Report) -> None:
        """Copy a file of a revision, and check its size and its sha256.

        Args:
            name: of the model.
            revision: of the model.
            file: its path in the revision.
            target: where it is written; what is there of an earlier attempt is continued.
            report: is called with the number of bytes of each block.

        Raises:
            DownloadError: it is missing, or another one.
            NotWritten: it could not be written.
        """


def reader_of(place: Place) -> Reader:
    """Return the reader of a place."""
    if place.scheme == FOLDER:
        return FolderReader(place)
    if place.scheme == "hf":
        return import_module("kzoo.hub.hugging_face").HuggingFaceReader(place)
    return HttpReader(place)


class _IndexReader(ABC):
    """A hub with an index."""

    def __init__(self, place: Place) -> None:
        self.place = place

    @abstractmethod
    def index(self) -> Index:
        """Return the index of the place."""

    def models(self) -> Mapping[str, Sequence[Revision]]:
        return self.index().models

    def revision(self, address: HubAddress) -> Revision:
        models = self.models()
        if address.name not in models:
            names = listed(sorted(models), most=10) or "none"
            raise KzooError(
                f"{self.place} has no model {address.name!r}. {hint(address.name, models)}Models: {names}.",
                value=str(address),
            )
        revisions = models[address.name]
        revision = select(revisions, address.revision)
        if revision is None:
            numbers = listed((each.revision for each in reversed(revisions)), most=10)
            raise KzooError(
                f"{address.name} at {self.place} has no revision {address.revision!r}. Revisions: {numbers}.",
                value=str(address),
            )
        return revision


class FolderReader(_IndexReader):
    """Reads a hub that is a folder."""

    def index(self) -> Index:
        folder = self.place.folder
        path = folder / INDEX
        if not folder.is_dir():
            problem = "is not a folder" if folder.exists() else "does not exist"
            raise DownloadError(
                f"{folder} {problem}. Use the folder of a hub, to which models were pushed.",
                reason=f"it {problem}",
            )
        if not path.is_file():
            raise KzooError(
                f"{folder} is not a hub: it has no {INDEX}. kzoo push EXPORTED hub:{folder}/NAME writes one."
            )
        try:
            with os.fdopen(open_regular(path), "rb") as file:
                content = file.read(MAX_INDEX + 1)
        except OSError as error:
            raise DownloadError(f"{path} cannot be read: {error.strerror or error}.") from None
        if len(content) > MAX_INDEX:
            raise KzooError(f"{path} is refused: it is larger than {in_bytes(MAX_INDEX)}.")
        return Index.read(content, path)

    def copy(self, name: str, revision: Revision, file: str, target: Path, report: Report) -> None:
        copy_file(
            self.place.folder / name / revision.revision / file,
            target,
            revision.files[file],
            report,
        )


class HttpReader(_IndexReader):
    """Reads a hub that an HTTP server serves as files."""

    def index(self) -> Index:
        url = self.place.url(INDEX)
        return Index.read(read_url(url, MAX_INDEX), url)

    def copy(self, name: str, revision: Revision, file: str, target: Path, report: Report) -> None:
        facts = revision.files[file]
        url = self.place.url(name, revision.revision, file)
        download(url, target, size=facts["bytes"], sha256=facts["sha256"], report=report)


def copy_file(
    source: Path, target: Path, facts: Mapping[str, Any], report: Report = lambda count: None
) -> None:
    """Copy a file of a folder, at most as many bytes as are stated, and compare its sha256.

    Args:
        source: the file.
        target: where it is written.
        facts: its sha256 and bytes.
        report: is called with the number of bytes of each block.

    Raises:
        DownloadError: it cannot be read, or it is another one.
        NotWritten: it could not be written.
    """
    digest, size = hashlib.sha256(), 0
    try:
        stream = os.fdopen(open_regular(source), "rb")
    except OSError as error:
        raise DownloadError(f"{source} cannot be read: {error.strerror or error}.") from None
    with stream:
        try:
            with open(target, "wb") as file:
                while size <= facts["bytes"] and (block := _read(stream, source)):
                    size += len(block)
                    digest.update(block)
                    file.write(block)
                    report(len(block))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise NotWritten(error) from None
    is_larger = size > facts["bytes"]
    if is_larger or digest.hexdigest() != facts["sha256"]:
        target.unlink()
        what = (
            f"it is larger than {facts['bytes']:,} bytes"
            if is_larger
            else f"its sha256 is {digest.hexdigest()}, not {facts['sha256']}"
        )
        raise DownloadError(f"{source} was changed: {what}. Ask its owner which one is right.")


def _read(stream: BinaryIO, source: Path) -> bytes:
    try:
        return stream.read(_BLOCK)
    except OSError as error:
        raise DownloadError(f"{source} cannot be read: {error.strerror or error}.") from None
