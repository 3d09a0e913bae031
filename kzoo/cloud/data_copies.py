"""Copies of data at addresses in the download cache, from which they are read like local files.

The objects are listed each time. What did not change since the last listing is not transferred again, and a transfer
that broke goes on where it did. Standard library only.
"""

import hashlib
import json
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import astuple, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from kzoo.cloud.parts import parts_of, stand_in
from kzoo.cloud.storage import Objects, Storage, StoredObject, split_pattern, storage_at
from kzoo.cloud.transfer import transfer
from kzoo.utils import download_cache
from kzoo.utils.address import RemoteAddress, parse_remote_address
from kzoo.utils.downloads import Progress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder, read_json, write_json
from kzoo.utils.formatting import in_bytes, plural, printable
from kzoo.utils.table_path import DATABASE, TablePath, remember_copy

_MAX_ETAGS = 20  # versions that a run records singly


@dataclass(frozen=True)
class Listing:
    """The objects of an address at one time.

    Args:
        address: as it was parsed.
        storage: the folder that contains them.
        objects: sorted by name.
        root: name of the folder or the file in the copy.
    """

    address: RemoteAddress
    storage: Storage
    objects: Objects
    root: str

    @property
    def version(self) -> str:
        """The sha256 of names, sizes and versions, shortened: it changes with any of the objects."""
        return self._sha256([])[:32]

    @property
    def entry(self) -> str:
        """The name of its entry in the download cache."""
        return self._sha256([str(self.address)])

    def _sha256(self, more: list[Any]) -> str:
        document = [*more, *map(astuple, self.objects)]
        return hashlib.sha256(json.dumps(document).encode()).hexdigest()

    @property
    def bytes(self) -> int:
        """The size of all objects."""
        return sum(entry.size for entry in self.objects)

    def recorded(self) -> dict[str, Any]:
        """Return what a run records: the address, and the version of the objects."""
        record = dict(
            address=str(self.address),
            version=self.version,
            files=len(self.objects),
            bytes=self.bytes,
        )
        if len(self.objects) <= _MAX_ETAGS:
            record["etags"] = {entry.name: entry.version for entry in self.objects}
        return record


def listing_of(address: RemoteAddress) -> Listing:
    """List the objects of an address: one, those of a folder, or those that match a pattern.

    Raises:
        KzooError: there are none, or they cannot be listed.
    """
    if address.is_pattern:
        folder, pattern = split_pattern(address.key)
        storage = storage_at(address.at(folder, is_folder=True))
        objects = storage.list(pattern)
        if not objects:
            raise KzooError(
                f"{address} matches no object. Check the pattern: '*' stops at '/', and '**/' is any number of "
                "folders.",
                value=str(address),
            )
        return Listing(address, storage, objects, ".")
    parent, _, name = address.key.rpartition("/")
    if name and not address.is_folder:
        storage = storage_at(address.at(parent, is_folder=True))
        entry = storage.stat(name)
        if entry is not None:
            return Listing(address, storage, [entry], ".")
    storage = storage_at(address.at(address.key, is_folder=True))
    is_missing_file = address.is_url and name and not address.is_folder
    objects = [] if is_missing_file else storage.list()
    if not objects:
        raise KzooError(
            f"{address} does not exist: there is no such object, and no folder with objects. Check the address.",
            value=str(address),
        )
    return Listing(address, storage, objects, address.name)


def local_copy(word: str) -> TablePath:
    """Return the path of a copy of data at an address, which is made or completed unless it is there.

    Args:
        word: `SCHEME://...`, or `sqlite:SCHEME://...?QUERY`.

    Raises:
        KzooError: it cannot be read, is larger than the cache, or was changed meanwhile.
    """
    if word.startswith(DATABASE):
        file, _, query = word.removeprefix(DATABASE).partition("?")
        path = local_copy(file)
        path.database, path.query = True, query.strip() or None
        path.label = f"{DATABASE}{path.name}" + (f"?{path.query}" if path.query else "")
        return path
    address = parse_remote_address(word)
    listing = listing_of(address)
    try:
        path, folder = _in_parts(listing) or _whole(listing)
    except KzooError as error:
        named = str(address) in str(error) or error.argument is not None
        raise error if named else error.within(f"{address}: ") from None
    path.address, path.recorded = str(address), listing.recorded()
    path.copied = (str(folder), str(listing.storage).rstrip("/"))
    remember_copy(*path.copied)
    return path


def _whole(listing: Listing) -> tuple[TablePath, Path]:
    """Return the path of a copy of all objects, and the folder or file that is the copy."""
    folder = _complete(listing)
    names = [entry.name for entry in listing.objects]
    if listing.address.is_pattern:
        path = TablePath(folder / names[0])
        path.files = tuple(folder / name for name in names)
        path.label, path.folder = listing.address.name, folder
    else:
        path = TablePath(folder / (names[0] if listing.root == "." else listing.root))
    return path, folder / listing.root


def _in_parts(listing: Listing) -> tuple[TablePath, Path] | None:
    """Return the path of a table of several files that is larger than the cache, and their folder; None for other data.

    Raises:
        KzooError: the cache has no room for several of the files.
    """
    if len(listing.objects) == 1 or listing.bytes <= download_cache.size_limit():
        return None
    names = import_module("kzoo.inference.tables.files").parts_among(
        [entry.name for entry in listing.objects]
    )
    if not names:
        return None
    _check_names(listing)
    folder = cache_folder() / "cloud" / listing.entry[:32] / listing.root
    wanted = set(names)
    parts = parts_of(
        folder, listing.storage, [entry for entry in listing.objects if entry.name in wanted]
    )
    path = TablePath(stand_in(str(parts[0])))
    path.files, path.folder, path.label = parts, folder, listing.address.name
    print(
        printable(
            f"kzoo: {listing.address} ({plural(len(parts), 'file')}, {in_bytes(listing.bytes)}) is larger than the "
            f"download cache ({in_bytes(download_cache.size_limit())}): its files are copied whenever they are read"
        ),
        file=sys.stderr,
    )
    return path, folder


def _complete(listing: Listing) -> Path:
    """Return the entry of the download cache with the objects of a listing."""
    known = _Known(listing.address)
    path = download_cache.cached(listing.entry)
    if path is None:
        label = (
            f"{listing.address} ({plural(len(listing.objects), 'file')}, {in_bytes(listing.bytes)})"
        )
        progress = Progress(label, listing.bytes)
        try:
            path = download_cache.add(
                listing.entry,
                listing.bytes,
                lambda folder: _write(listing, folder, known, progress),
            )
        finally:
            progress.close()
        print(printable(f"kzoo: {label} is copied to the download cache"), file=sys.stderr)
    known.remember(listing)
    return path


def _write(listing: Listing, folder: Path, known: "_Known", progress: Progress) -> None:
    """Copy the objects of a listing into a folder, which may have some of them already."""
    _check_names(listing)
    _, pattern = split_pattern(listing.address.key) if listing.address.is_pattern else ("", None)
    transfer(
        listing.storage,
        listing.objects,
        folder / listing.root,
        progress,
        pattern=pattern,
        copy_of=known.file_of,
    )


def _check_names(listing: Listing) -> None:
    """Raise KzooError if an object has the name of a folder of others, or differs from another in case only.

    Such objects are not one folder on all machines.
    """
    names = [entry.name for entry in listing.objects]
    folders = {name[:i] for name in names for i, letter in enumerate(name) if letter == "/"}
    if both := sorted(folders & set(names)):
        raise KzooError(
            f"{listing.storage.address_of(both[0])} is an object and a folder at once. Rename one of them, or name "
            "another folder."
        )


class _Known:
    """What the cache remembers of an address: its last listing.

    Args:
        address: of the data.
    """

    def __init__(self, address: RemoteAddress) -> None:
        key = hashlib.sha256(str(address).encode()).hexdigest()
        self._path = cache_folder() / "cloud" / f"{key[:32]}.json"
        self._objects: dict[str, StoredObject] = {}
        self._folder: Path | None = None
        with suppress(OSError, ValueError, KeyError, TypeError):
            document = read_json(self._path)
            self._objects = {row[0]: StoredObject(*row) for row in document["objects"]}
            self._folder = download_cache.downloads_folder() / document["entry"] / document["root"]

    def file_of(self, entry: StoredObject) -> Path | None:
        """Return the file of the last copy with an object that did not change; None without one."""
        if self._folder is None or not entry.version or self._objects.get(entry.name) != entry:
            return None
        return self._folder / entry.name

    def remember(self, listing: Listing) -> None:
        """Store a listing; a cache that cannot be written is left as it is."""
        objects: Sequence[Sequence[Any]] = [list(astuple(entry)) for entry in listing.objects]
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            document = dict(entry=listing.entry, root=listing.root, objects=objects)
            write_json(self._path, document, sync=False)
