"""Pull exported models from a hub: into the download cache, where they are opened, or into a folder."""

import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kzoo.export.staging import new_folder
from kzoo.hub import signers
from kzoo.hub.index import MAX_INDEX, Revision, select
from kzoo.hub.readers import Reader, reader_of
from kzoo.inference.exported import MANIFEST, SIGNATURE, ExportedModel, Manifest
from kzoo.utils import download_cache
from kzoo.utils.address import HubAddress, HubPath, hub_path, parse_hub_address
from kzoo.utils.downloads import Progress
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import cache_folder, read_json, write_json
from kzoo.utils.formatting import cut, in_bytes, plural, printable

_MAX_KNOWN = 1000  # revisions of a model that are remembered


def local_copy(word: str, *, trust_new_key: bool = False, announce: bool = True) -> HubPath:
    """Return the folder in the download cache with a model of a hub, which is pulled unless it is there.

    A revision that is in the cache is not looked for again. Without a connection, the newest that is in the cache
    stands for the newest of the hub; a line on stderr says so.

    Args:
        word: `hub:PLACE/NAME[@REVISION]`.
        trust_new_key: accept another signer than before.
        announce: print a line about the model: task, licence, signer.

    Raises:
        KzooError: it cannot be pulled, it was changed, or another key signed it than before.
    """
    address = parse_hub_address(word)
    known = _Known(address)
    offline = ""
    revision = known.requested(address.revision) if address.is_fixed else None
    path = None if revision is None else _cached(revision)
    if path is None or revision is None:
        reader = reader_of(address.place)
        try:
            revision = reader.revision(address)
        except DownloadError as error:
            revision = known.requested(address.revision)
            path = None if revision is None else _cached(revision)
            if path is None or revision is None:
                raise DownloadError(
                    f"{str(error).rstrip('.')}; and the cache has no {address.name} of this place.",
                    value=word,
                ) from None
            offline = error.reason or str(error).rstrip(".")
        else:
            known.check_not_replaced(address, revision)
            path = _cached(revision) or _download(reader, address, revision, trust_new_key)
    pinned = address.at(revision.revision)
    signer = signers.check(pinned, path, trust_new_key=trust_new_key)
    known.remember(address.revision, revision)
    if offline:
        _say(f"{address.place} cannot be read ({offline}): using {pinned} of the cache")
    if announce:
        _say(described(pinned, Manifest.open(path), revision.sha256, signer))
    return hub_path(path, pinned, revision.sha256)


def copy_of_weights(word: str) -> HubPath:
    """Return the folder with initial weights, see `kzoo.utils.address.local_weights`."""
    try:
        return local_copy(word)
    except DownloadError as error:
        address = parse_hub_address(word)
        if not address.is_fixed:  # a run has stored the revision, and not this address
            raise
        folder = hub_path(cache_folder() / "hub" / "unread" / address.name, address, "")
        folder.unread = error
        return folder


def pull(
    word: str,
    out: str | os.PathLike[str] | None = None,
    *,
    overwrite: bool = False,
    trust_new_key: bool = False,
) -> ExportedModel:
    """Pull a model of a hub into a folder.

    Args:
        word: `hub:PLACE/NAME[@REVISION]`.
        out: the folder to write; by default `exports/NAME`.
        overwrite: replace another exported model in that folder.
        trust_new_key: accept another signer than before.

    Returns:
        The exported model in that folder.

    Raises:
        KzooError: see `local_copy`; or the folder cannot be written.
    """
    address = parse_hub_address(word)
    path = Path("exports", address.name) if out is None else Path(out)
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        if not (path / MANIFEST).is_file():
            raise KzooError(
                f"{path} is not an exported model. Choose a new folder.",
                argument="out",
                value=str(path),
                complete=True,
            )
        if not overwrite:
            raise KzooError(
                f"{path} contains an exported model. Pass overwrite=True, or choose another folder.",
                argument="out",
                value=str(path),
                complete=True,
            )
    source = local_copy(word, trust_new_key=trust_new_key)
    with new_folder(path) as (folder, _):
        shutil.copytree(source, folder, dirs_exist_ok=True)
        if (damage := ExportedModel(folder).damage()) or sha256_of(folder) != source.sha256:
            download_cache.remove(source.sha256)
            raise KzooError(
                f"{source} was changed: {(damage or [f'{MANIFEST}: changed'])[0]}. It is removed; pull it again."
            )
    return ExportedModel(path)


def described(address: HubAddress, manifest: Manifest, sha256: str, signer: str) -> str:
    """Return a line about a pulled model: what it is for, licence, author, signer and checksum."""
    data = manifest.data or {}
    task = str(manifest.spec.get("task") or "an unknown task").replace("_", " ")
    classes = f" ({plural(len(manifest.labels), 'class')})" if manifest.labels else ""
    trained = (
        f", trained on {data['train']:,} examples of {data['name']}" if data.get("train") else ""
    )
    licence = manifest.origin.get("licence") or "unknown"
    author = f"; exported by {manifest.author}" if manifest.author else ""
    return (
        f"{address}: for {task}{classes}{cut(trained, 200)}; licence of the data: {cut(licence, 120)}"
        f"{cut(author, 120)}; {f'signed with {signer}' if signer else 'not signed'}; sha256 {sha256[:16]}"
    )


def _say(line: str) -> None:
    print(printable(f"kzoo: {line}"), file=sys.stderr)


def _cached(revision: Revision) -> Path | None:
    """Return the entry of a revision in the cache; one that was changed is removed."""
    path = download_cache.cached(revision.sha256)
    if path is None:
        return None
    with suppress(OSError):
        if sha256_of(path) == revision.sha256:
            return path
    download_cache.remove(revision.sha256)
    return None


def sha256_of(folder: Path) -> str:
    """Return the checksum of the manifest in a folder."""
    return hashlib.sha256((folder / MANIFEST).read_bytes()).hexdigest()


def _download(reader: Reader, address: HubAddress, revision: Revision, trust_new_key: bool) -> Path:
    label = f"{address.at(revision.revision)} ({plural(len(revision.files), 'file')}, {in_bytes(revision.bytes)})"
    progress = Progress(label, revision.bytes)

    def write(folder: Path) -> None:
        # The manifest first: it says soon what is wrong with the others.
        for name in sorted(revision.files, key=lambda name: (name != MANIFEST, name)):
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            reader.copy(address.name, revision, name, target, progress)
            if name == MANIFEST:
                _check_manifest(folder, revision)
        for stray in [p for p in folder.rglob("*") if p.is_file()]:
            if stray.relative_to(folder).as_posix() not in revision.files:
                stray.unlink()
        signers.check(address, folder, trust_new_key=trust_new_key)

    try:
        return download_cache.add(revision.sha256, revision.bytes, write)
    finally:
        progress.close()


def _check_manifest(folder: Path, revision: Revision) -> None:
    """Raise KzooError unless a manifest is valid, and lists the files that the index lists."""
    listed = dict(Manifest.open(folder).files)
    indexed = {
        name: dict(facts)
        for name, facts in revision.files.items()
        if name not in (MANIFEST, SIGNATURE)
    }
    if different := [name for name in listed if listed[name] != indexed.get(name)] + [
        name for name in indexed if name not in listed
    ]:
        raise KzooError(
            f"{different[0]} differs between {MANIFEST} and the index of the hub. Ask its owner for a new push."
        )


class _Known:
    """What the cache remembers of a model on a hub: the revisions that were pulled, and which was asked for.

    Args:
        address: of the model.
    """

    def __init__(self, address: HubAddress) -> None:
        key = hashlib.sha256(address.identity.encode()).hexdigest()
        self._path = cache_folder() / "hub" / "models" / f"{key[:32]}.json"
        self._name = address.identity
        self._revisions: list[Revision] = []
        self._requests: Mapping[str, str] = {}
        with suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
            if self._path.stat().st_size <= MAX_INDEX:
                document = read_json(self._path)
                self._requests = {str(k): str(v) for k, v in document["requests"].items()}
                self._revisions = [Revision.read(each) for each in document["revisions"]]

    def requested(self, requested: str | None) -> Revision | None:
        """Return the revision that a request meant last, or that has this number or checksum."""
        sha256 = self._requests.get(requested or "")
        last = [each for each in self._revisions if each.sha256 == sha256]
        return last[-1] if last else select(self._revisions, requested)

    def check_not_replaced(self, address: HubAddress, revision: Revision) -> None:
        """Raise KzooError if a revision has another checksum than before; its checksum can be requested."""
        before = [
            each
            for each in self._revisions
            if each.revision == revision.revision and each.sha256 != revision.sha256
        ]
        is_by_sum = address.revision and revision.sha256.startswith(address.revision.lower())
        if before and not is_by_sum:
            raise KzooError(
                f"{address.at(revision.revision)} was replaced: its sha256 is {revision.sha256}, and was "
                f"{before[-1].sha256}. To use the new one, write @{revision.sha256[:12]}."
            )

    def remember(self, requested: str | None, revision: Revision) -> None:
        """Store a revision; a cache that cannot be written is left as it is."""
        requests = {**self._requests, (requested or ""): revision.sha256}
        revisions = [each for each in self._revisions if each.sha256 != revision.sha256]
        if revision in self._revisions and requests == self._requests:
            return
        revisions = [*revisions, revision][-_MAX_KNOWN:]
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            document = dict(
                model=self._name,
                date=time.strftime("%Y-%m-%d"),
                requests=requests,
                revisions=[each.json() for each in revisions],
            )
            write_json(self._path, json.loads(json.dumps(document)), sync=False)
