"""Copies of runs and exported models that lie at an address, in the download cache: an entry for each listing."""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.cloud.storage import storage_of
from kzoo.cloud.transfer import transfer
from kzoo.utils import download_cache
from kzoo.utils.address import HubPath, RemoteAddress, hub_path, parse_remote_address
from kzoo.utils.downloads import Progress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder
from kzoo.utils.formatting import in_bytes, plural

if TYPE_CHECKING:
    from kzoo.cloud.storage import Storage, StoredObject

CONFIG, MANIFEST = "config.json", "kzoo.json"  # of a run and of an exported model
# What `kzoo.cloud.uploads` writes beside the files of a run or model while it is not complete.
UNFINISHED = ".unfinished"
_SKIPPED = ("tensorboard/",)  # what no reader of a run opens


def local_copy(word: str) -> HubPath:
    """Return the folder in the download cache with the run or exported model at an address, which is downloaded.

    The address is listed each time. The copy is that of the listing: other files, or other versions of them, are
    another copy.

    Args:
        word: such as `s3://bucket/runs/adult-1`.

    Raises:
        KzooError: it is not there, not complete, or cannot be read.
    """
    address = folder_address(word)
    storage = storage_of(str(address))
    objects = storage.list()
    check_complete(str(address), objects)
    return copy_of(address, storage, objects)


class NoModel(KzooError):
    """An address has neither a run nor an exported model."""


def model_or_data(word: str) -> "HubPath | str":
    """Return an address as the folder of the cache with the run or model there; one of data unchanged."""
    address = parse_remote_address(word)
    if address.is_pattern or address.is_url:
        return word
    try:
        return local_copy(word)
    except NoModel:
        return word


def copy_of_weights(word: str) -> HubPath:
    """Return the folder with initial weights, see `kzoo.utils.address.local_weights`."""
    try:
        return local_copy(word)
    except KzooError as error:
        address = folder_address(word)
        folder = hub_path(cache_folder() / "unread" / folder_name(address), address, "")
        folder.unread = error
        return folder


def folder_address(word: str) -> RemoteAddress:
    """Return the address of a folder, without a slash at the end.

    Raises:
        KzooError: it is not valid, or a pattern.
    """
    address = parse_remote_address(word)
    if address.is_pattern:
        raise KzooError(f"{address} is a pattern. Name the folder of a run or model.", value=word)
    return replace(address, is_folder=False)


def check_complete(word: str, objects: "Sequence[StoredObject]") -> None:
    """Raise KzooError unless a listing is that of a run or an exported model."""
    names = {each.name for each in objects}
    if MANIFEST in names or CONFIG in names:
        return
    if any(map(is_unfinished, names)):
        raise KzooError(
            f"{word} is not complete: a command is still writing it, or was stopped. Run the same command again to "
            "finish it.",
            value=word,
        )
    problem = "has other files" if names else "has no files"
    raise NoModel(
        f"{word} is neither a run nor an exported model: it {problem}. Name the folder itself, with its {CONFIG} or "
        f"{MANIFEST}.",
        value=word,
    )


def is_unfinished(name: str) -> bool:
    """Return whether an object belongs to an upload that is not complete."""
    return name.startswith(f"{UNFINISHED}/")


def folder_name(address: RemoteAddress) -> str:
    """Return the name of a local folder for an address: its last part."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", address.name)[:100].lstrip(".") or "files"


def entry_key(address: RemoteAddress, objects: "Sequence[StoredObject]") -> str:
    """Return the name of the entry of a listing in the download cache."""
    listing = [[each.name, each.size, each.version] for each in _read(objects)]
    return hashlib.sha256(json.dumps([str(address), sorted(listing)]).encode()).hexdigest()


def _read(objects: "Sequence[StoredObject]") -> "list[StoredObject]":
    return [
        each
        for each in objects
        if not is_unfinished(each.name) and not each.name.startswith(_SKIPPED)
    ]


def copy_of(
    address: RemoteAddress, storage: "Storage", objects: "Sequence[StoredObject]"
) -> HubPath:
    """Return the copy of a listing of an address."""
    objects = _read(objects)
    key = entry_key(address, objects)
    size = sum(each.size for each in objects)
    name = folder_name(address)
    progress = Progress(f"{address} ({plural(len(objects), 'file')}, {in_bytes(size)})", size)

    def write(folder: Path) -> None:
        transfer(storage, objects, folder / name, progress)

    try:
        entry = download_cache.cached(key) or download_cache.add(key, size, write)
    finally:
        progress.close()
    return hub_path(entry / name, address, key)


def keep(folder: Path, address: RemoteAddress, objects: "Sequence[StoredObject]") -> HubPath:
    """Move a folder that was uploaded into the download cache, as the copy of its listing, and return it there.

    Where the cache has no room for it, it stays.
    """
    key = entry_key(address, objects)
    name = folder_name(address)

    def write(entry: Path) -> None:
        shutil.rmtree(entry / name, ignore_errors=True)
        os.replace(folder, entry / name)

    try:
        size = sum(each.size for each in _read(objects))
        path = download_cache.add(key, size, write) / name
        shutil.rmtree(folder, ignore_errors=True)  # the cache had this listing
    except KzooError:
        path = folder
    return hub_path(path, address, key)
