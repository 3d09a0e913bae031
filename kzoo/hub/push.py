"""Push exported models to a hub."""

import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

from kzoo.hub.contents import Names, check_not_in_files, check_paths, contents, without_rare
from kzoo.hub.index import INDEX, Index, Revision, stated
from kzoo.hub.readers import FolderReader, copy_file
from kzoo.hub.signers import signer_of
from kzoo.inference.exported import MANIFEST, SIGNATURE, ExportedModel, Manifest
from kzoo.inference.signature import sign
from kzoo.utils.address import FOLDER, HubAddress, Place, parse_hub_address
from kzoo.utils.downloads import FULL, NotWritten, Progress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import described, sync_folder, write_json

_LOCK = ".index.lock"
_STALE = 30.0  # seconds: a process that holds the lock for longer was killed
_WAIT = 300.0  # seconds
_STAGING = ".pushing-"
_OLD = 24 * 3600  # seconds after which what a killed push left is removed


@dataclass(frozen=True)
class Pushed:
    """The result of a push.

    Args:
        address: with the revision.
        sha256: of `kzoo.json`.
        is_new: False if the hub had these files already.
    """

    address: HubAddress
    sha256: str
    is_new: bool


@dataclass(frozen=True)
class Outgoing:
    """What a push sends.

    Args:
        exported: the model.
        revision: what an index says of it, but for its number.
        files: path on the hub -> the file.
        contents: the names and numbers of the training data in it.
        dropped: names that are replaced, because fewer training rows have them.
        staying: names that are as rare, or that were not counted, and stay.
    """

    exported: ExportedModel
    revision: Revision
    files: Mapping[str, Path]
    contents: Sequence[Names]
    dropped: Sequence[Names] = ()
    staying: Sequence[Names] = ()


def push(outgoing: Outgoing, word: str) -> Pushed:
    """Push an exported model to a hub, as its next revision; files that the hub has are not pushed again.

    Args:
        outgoing: the model, see `prepared`.
        word: `hub:PLACE/NAME`.

    Raises:
        KzooError: the place cannot be written.
    """
    address = parse_hub_address(word)
    check_target(address)
    if address.place.scheme == "hf":
        module = import_module("kzoo.hub.hugging_face")
        commit, is_new = module.push(outgoing.exported, outgoing.files, address, outgoing.revision)
        return Pushed(address.at(commit), outgoing.revision.sha256, is_new)
    return _push_to_folder(outgoing.files, address, outgoing.revision)


@contextmanager
def prepared(
    exported: ExportedModel, *, min_count: int = 0, key: str | None = None
) -> Iterator[Outgoing]:
    """Yield what a push of an exported model sends.

    Args:
        exported: the model; its folder is not changed.
        min_count: training rows that a category must have; others are dropped. 0 keeps all.
        key: path of an SSH key that signs what is pushed, or None.

    Raises:
        KzooError: files of it were changed or added since the export, or have paths of this machine; or a name that is
            dropped is in other files too.
    """
    if damage := exported.damage():
        raise KzooError(
            f"{exported.path} cannot be pushed: {damage[0]}. Export again, or remove what does not belong to it."
        )
    manifest = exported.manifest
    check_paths(exported.path, [MANIFEST, *manifest.files])
    files = {name: exported.path / name for name in (MANIFEST, *manifest.files)}
    if (exported.path / SIGNATURE).exists():
        files[SIGNATURE] = exported.path / SIGNATURE
    dropped: list[Names] = []
    staying: list[Names] = []
    with tempfile.TemporaryDirectory() as folder:
        if min_count:
            kept, dropped, staying = without_rare(manifest, min_count)
            check_not_in_files(exported.path, [*manifest.files], dropped)
        if dropped and manifest.signing_key and key is None:
            raise KzooError(
                f"changes {MANIFEST}, which is signed. Pass sign=KEY too, which signs what is pushed.",
                argument="min_count",
                value=min_count,
            )
        if dropped or key is not None:
            replace(kept if dropped else manifest, signing_key="").write(folder)
            files[MANIFEST] = Path(folder, MANIFEST)
            files.pop(SIGNATURE, None)
        if key is not None:
            sign(folder, key)
            files[SIGNATURE] = Path(folder, SIGNATURE)
        manifest = Manifest.open(files[MANIFEST].parent)
        own = {name: described(files[name]) for name in (MANIFEST, SIGNATURE) if name in files}
        revision = Revision(
            revision="",
            sha256=own[MANIFEST]["sha256"],
            files=own | dict(manifest.files),
            pushed=time.strftime("%Y-%m-%d"),
            signer=signer_of(files[MANIFEST].parent),
            **stated(manifest),
        )
        yield Outgoing(exported, revision, files, contents(manifest), dropped, staying)


def check_target(address: HubAddress) -> None:
    """Raise KzooError if nothing can be pushed to an address."""
    if address.revision is not None:
        raise KzooError(
            f"{address} names a revision, and a push makes a new one. Leave @{address.revision} out.",
            value=str(address),
        )
    if address.place.scheme in ("http", "https"):
        raise KzooError(
            f"{address.place} can only be read. Push to the folder that the server serves: hub:FOLDER/{address.name}.",
            value=str(address),
        )


def _push_to_folder(files: Mapping[str, Path], address: HubAddress, revision: Revision) -> Pushed:
    folder = address.place.folder
    staging = folder / f"{_STAGING}{secrets.token_hex(8)}"
    progress = Progress(f"pushing to {address}", revision.bytes)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        if (known := _known(_index(folder), address, revision)) is not None:
            return known
        staging.mkdir()
        for name, facts in revision.files.items():
            target = staging / name
            target.parent.mkdir(parents=True, exist_ok=True)
            copy_file(files[name], target, facts, progress)
        with _locked_index(folder) as is_held:
            index = _index(folder)
            if (known := _known(index, address, revision)) is not None:
                return known
            revision = _with_number(revision, index, folder / address.name)
            model = folder / address.name
            model.mkdir(exist_ok=True)
            os.replace(staging, model / revision.revision)
            try:
                sync_folder(model)
                if not is_held():
                    raise KzooError(f"{folder} was changed by another push meanwhile. Push again.")
                write_json(folder / INDEX, index.with_revision(address.name, revision).content())
            except BaseException:
                os.replace(model / revision.revision, staging)
                raise
    except (NotWritten, OSError) as problem:
        error = problem.error if isinstance(problem, NotWritten) else problem
        fix = "Free some space" if error.errno in FULL else "Choose another place"
        raise KzooError(
            f"Cannot write to {str(folder)!r}: {error.strerror or error}. Nothing was pushed. {fix}.",
            value=str(address),
        ) from None
    finally:
        progress.close()
        shutil.rmtree(staging, ignore_errors=True)
        with suppress(OSError):  # it has other revisions
            (folder / address.name).rmdir()
    return Pushed(address.at(revision.revision), revision.sha256, True)


def _index(folder: Path) -> Index:
    if not (folder / INDEX).exists():
        return Index()
    return FolderReader(Place(FOLDER, str(folder))).index()


def _known(index: Index, address: HubAddress, revision: Revision) -> Pushed | None:
    """Return the result of a push whose files the hub has; None if they are new.

    Raises:
        KzooError: the hub has a model whose name differs in the case of letters only.
    """
    for name in index.models:
        if name != address.name and name.lower() == address.name.lower():
            raise KzooError(
                f"{address.place} has a model {name!r}, which some systems do not tell from {address.name!r}. Use "
                f"hub:{address.place}/{name}, or another name."
            )
    for each in index.models.get(address.name, ()):
        if each.sha256 == revision.sha256 and dict(each.files) == dict(revision.files):
            return Pushed(address.at(each.revision), each.sha256, False)
    return None


def _with_number(revision: Revision, index: Index, folder: Path) -> Revision:
    """Return a revision with the next number that neither the index nor the folder of the model has."""
    used = [int(each.revision) for each in index.models.get(folder.name, ())]
    if folder.is_dir():  # also what a push left that was killed before it wrote the index
        used += [int(path.name) for path in folder.iterdir() if path.name.isdecimal()]
    return replace(revision, revision=str(max(used, default=0) + 1))


def _remove_leftovers(folder: Path) -> None:
    for path in folder.glob(f"{_STAGING}*"):
        with suppress(OSError):
            if time.time() - path.stat().st_mtime > _OLD:
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _locked_index(folder: Path) -> "Iterator[_Held]":
    """Hold the lock of a hub: a file that only one process can create, also on shared drives.

    Yields a function that returns whether the lock is still held. The lock of a process that was killed is removed
    after half a minute. The file names neither a machine nor a user.
    """
    path, token = folder / _LOCK, secrets.token_hex(8)
    end, seen, since = time.monotonic() + _WAIT, "", time.monotonic()
    while True:
        try:
            with open(path, "x", encoding="ascii") as file:
                file.write(token)
            break
        except FileExistsError:
            holder = _content(path)
            if holder != seen:
                seen, since = holder, time.monotonic()
            elif time.monotonic() - since > _STALE:
                _break_lock(path, holder)
            if time.monotonic() > end:
                raise KzooError(
                    f"Other pushes hold {path} for minutes. If none is running, remove this file."
                ) from None
            time.sleep(0.05)
    try:
        yield _Held(path, token)
    finally:
        if _content(path) == token:
            path.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Held:
    path: Path
    token: str

    def __call__(self) -> bool:
        return _content(self.path) == self.token


def _content(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""


def _break_lock(path: Path, holder: str) -> None:
    """Remove the lock of a killed process, unless another waiting process has just replaced it by its own."""
    doomed = path.with_name(f"{_LOCK}-{secrets.token_hex(8)}")
    with suppress(OSError):
        os.rename(path, doomed)
        if _content(doomed) != holder:
            os.link(doomed, path)
        doomed.unlink()
