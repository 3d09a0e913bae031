"""Folders that are written on this machine and uploaded to an address whole, the file that makes them complete last.

While a folder is being written, its state can be uploaded at intervals, below `.unfinished/` of the address, so that
the same command on another machine continues there:

    .unfinished/files/SHA256   the files, named by their content
    .unfinished/state.json     which files are the state; written after them, so that it never names half a state
    .unfinished/uploading.json the files beside are those of an upload that is not complete
    .unfinished/lock.json      who writes: a random text, and when that was last renewed

A store has no lock that is proof against everything. This one refuses a second command while the first renews it. Two
that start within the same seconds may both begin; each looks at the lock again before it uploads anything, and the one
that lost it stops.
"""

import hashlib
import json
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from kzoo.cloud.copies import (
    UNFINISHED,
    copy_of,
    folder_address,
    folder_name,
    is_unfinished,
    keep,
)
from kzoo.cloud.storage import checked_name, storage_of
from kzoo.utils.address import HubPath, hub_path
from kzoo.utils.download_cache import not_written
from kzoo.utils.downloads import NotWritten, Progress
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, cache_folder, described, read_json, write_json
from kzoo.utils.formatting import duration, in_bytes, plural, printable
from kzoo.utils.locks import locked
from kzoo.utils.schema import Each, misfit

_LOCK = f"{UNFINISHED}/lock.json"
_STATE = f"{UNFINISHED}/state.json"
_UPLOADING = f"{UNFINISHED}/uploading.json"
_FILES = f"{UNFINISHED}/files"
_MAX_JSON = 4 << 20  # bytes
_RENEWED = 60.0  # seconds between two renewals of the lock
_STALE = 300.0  # seconds after which a lock that is not renewed is that of a killed process
_SETTLED = (
    1.0  # seconds after which a lock is read again, as another process may have written its own
)
_SMALL = (
    64 << 20
)  # bytes of a file that is read into memory, so that what is hashed is what is uploaded
_STATE_FORM: Any = {
    "state": str,
    "files": Each({"sha256": str, "bytes": int}),
}


class NotUploaded(KzooError):
    """A folder is not uploaded; the message says where it is."""


class TakenOver(NotUploaded):
    """Another process writes to the same address."""


class Target:
    """A folder of this machine that is uploaded to an address.

    Args:
        word: the address.
        manifest: the file that makes the folder complete, which is uploaded last.
        resumes: whether the same command continues what was stopped.

    Attributes:
        folder: where it is written.
        result: the folder of the finished run or export, once it is uploaded; its `address` is the address.
    """

    def __init__(self, word: str, manifest: str, resumes: bool = True) -> None:
        self.address = folder_address(word)
        self.word = str(self.address)
        self.storage = storage_of(self.word)
        self.manifest, self.resumes = manifest, resumes
        key = hashlib.sha256(self.word.encode()).hexdigest()[:32]
        self.home = cache_folder() / "uploads" / key
        self.folder: HubPath = hub_path(self.home / folder_name(self.address), self.address, "")
        self.result: HubPath = self.folder
        self.token = secrets.token_hex(8)
        self._lost = False
        self._hashes: dict[str, tuple[object, JsonObject]] = {}

    # ------------------------------------------------------------ the lock

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the address, on this machine and elsewhere.

        Raises:
            KzooError: another process holds it.
        """
        try:
            self.home.mkdir(parents=True, exist_ok=True)
            self._store()
        except OSError as error:
            raise not_written(self.home, error) from None
        with ExitStack() as stack:
            try:
                stack.enter_context(locked(self.home / ".lock", wait=False))
            except OSError:
                raise KzooError(
                    f"Another process of this machine writes to {self.word}. Wait for it, or use another address.",
                    value=self.word,
                ) from None
            self._take()
            stack.callback(self._release)
            stop = threading.Event()
            renewing = threading.Thread(target=self._renew, args=(stop,), daemon=True)
            renewing.start()
            stack.callback(renewing.join)
            stack.callback(stop.set)
            yield

    def _take(self) -> None:
        before = self._read(_LOCK)
        token = before and before.get("token")
        # The lock of this machine is that of a killed process: the local one is held.
        if before is not None and token != self._stored().get("token"):
            seconds = time.time() - _number(before.get("renewed"))
            if seconds < _STALE:
                raise KzooError(
                    f"Another process writes to {self.word}: its lock was renewed {duration(max(seconds, 0.0))} ago. "
                    f"Wait for it; if it was killed, the same command continues {duration(_STALE)} after that.",
                    value=self.word,
                )
        self._store(token=self.token)
        self._write_lock()
        if before is None or token != self.token:
            time.sleep(_SETTLED)
            self.check_held()

    def _write_lock(self) -> None:
        self._put(_LOCK, {"token": self.token, "renewed": round(time.time(), 1)})

    def check_held(self) -> None:
        """Raise KzooError if another process has taken the address over."""
        lock = self._read(_LOCK)
        self._lost = self._lost or lock is None or lock.get("token") != self.token
        if self._lost:
            raise TakenOver(
                f"Another process has taken {self.word} over, so that this one stops. What it has is in {self.folder}.",
                value=self.word,
            )

    def _renew(self, stop: threading.Event) -> None:
        while not stop.wait(_RENEWED):
            with suppress(KzooError, OSError):
                self.check_held()
                self._write_lock()

    def _release(self) -> None:
        with suppress(KzooError, OSError):
            self.check_held()
            self.storage.remove(_LOCK)

    # ------------------------------------------------------------ the state

    def fetch_state(self) -> None:
        """Replace the local folder by the state that was uploaded last, unless that is its own."""
        state = self._read(_STATE)
        if state is None or misfit(state, _STATE_FORM):
            return
        if self.folder.exists() and self._stored().get("state") == state["state"]:
            return
        files: Mapping[str, JsonObject] = state["files"]
        size = sum(facts["bytes"] for facts in files.values())
        _say(
            f"{self.word}: continuing from the state that another machine has uploaded ({in_bytes(size)})"
        )
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            for name, facts in files.items():
                self._fetch(checked_name(name, self.word), facts)
        except (NotWritten, OSError) as problem:
            error = problem.error if isinstance(problem, NotWritten) else problem
            raise not_written(self.home, error) from None
        self._store(token=self.token, state=state["state"])

    def _fetch(self, name: str, facts: JsonObject) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        with self.storage.open(_object(facts)) as stream, open(target, "wb") as file:
            shutil.copyfileobj(stream, file, 1 << 20)
        if described(target) != facts:
            raise KzooError(
                f"{name} of {self.word} was changed: its sha256 is not {facts['sha256']}. Pass overwrite=True to start "
                "over."
            )

    def stamps(self) -> dict[str, tuple[int, int, int]]:
        """Return what changes with the files of the folder: name -> time of change, size and number of each."""
        stamps = {}
        for path in self._files():
            status = path.stat()
            name = path.relative_to(self.folder).as_posix()
            stamps[name] = (status.st_mtime_ns, status.st_size, status.st_ino)
        return stamps

    def upload_state(self) -> None:
        """Upload the files of the folder as its state; files that are there already are not sent again."""
        self.check_held()
        files: dict[str, JsonObject] = {}
        names = {each.name for each in self.storage.list() if is_unfinished(each.name)}
        for name, stamp in self.stamps().items():
            path = self.folder / name
            known = self._hashes.get(name)
            if known is not None and known[0] == stamp and _object(known[1]) in names:
                files[name] = known[1]
                continue
            content = path.read_bytes() if stamp[1] <= _SMALL else None
            facts = described(path) if content is None else _facts(content)
            if _object(facts) not in names:
                if content is None:
                    self.storage.put(_object(facts), path)
                else:
                    self.storage.put_bytes(_object(facts), content)
            self._hashes[name] = (stamp, facts)
            files[name] = facts
        state = secrets.token_hex(8)
        self._put(_STATE, {"state": state, "files": files})
        self._store(token=self.token, state=state)
        current = {_object(facts) for facts in files.values()}
        for name in sorted(names - current):
            if name.startswith(f"{_FILES}/"):
                self.storage.remove(name)

    # ------------------------------------------------------------ the whole

    def upload(self) -> None:
        """Upload the whole folder; `manifest` is removed first and put last, so that nobody sees half of it.

        Raises:
            KzooError: it cannot be uploaded; the folder stays.
        """
        self.check_held()
        before = self.storage.list()
        files = {path.relative_to(self.folder).as_posix(): path for path in self._files()}
        size = sum(path.stat().st_size for path in files.values())
        label = f"uploading to {self.word} ({plural(len(files), 'file')}, {in_bytes(size)})"
        progress = Progress(label, size)
        try:
            self._put(_UPLOADING, {})
            if any(each.name == self.manifest for each in before):
                self.storage.remove(self.manifest)
            for name in sorted(files, key=lambda name: (name == self.manifest, name)):
                if name == self.manifest:
                    for each in before:  # of what was there before
                        if each.name not in files and not is_unfinished(each.name):
                            self.storage.remove(each.name)
                    self.check_held()
                self.storage.put(name, files[name])
                progress(files[name].stat().st_size)
            for each in self.storage.list():
                if is_unfinished(each.name) and each.name != _LOCK:
                    self.storage.remove(each.name)
        except KzooError as error:
            fix = "the same command uploads it" if self.resumes else "run the same command again"
            raise NotUploaded(
                f"{str(error).rstrip('.')}. What was written is in {self.folder}; {fix}.",
                value=self.word,
            ) from None
        finally:
            progress.close()

    def _files(self) -> list[Path]:
        """Return the files, without locks, what killed writes have left, and an earlier run that is set aside."""
        return [
            path
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.folder).parts)
        ]

    # ------------------------------------------------------------ small files

    def _read(self, name: str) -> JsonObject | None:
        if self.storage.stat(name) is None:
            return None
        try:
            document = json.loads(self.storage.read(name, _MAX_JSON))
        except ValueError:
            document = None
        return document if isinstance(document, dict) else {}

    def _put(self, name: str, document: JsonObject) -> None:
        self.storage.put_bytes(name, json.dumps(document, indent=1).encode())

    def _stored(self) -> JsonObject:
        """Return what this machine remembers: its last lock, and which state the folder has."""
        with suppress(OSError, ValueError):
            document = read_json(self.home / "upload.json")
            return document if isinstance(document, dict) else {}
        return {}

    def _store(self, **values: str) -> None:
        write_json(self.home / "upload.json", self._stored() | values)


@contextmanager
def uploaded(
    word: str,
    manifest: str,
    *,
    is_complete: Callable[[Path], bool],
    overwrite: bool = False,
    resumes: bool = True,
) -> Iterator[Target]:
    """Yield the `Target` of an address; what the block writes into its folder is uploaded afterwards.

    If the block is stopped, the state of the folder is uploaded instead, from which the same command continues.

    Args:
        word: the address.
        manifest: the file that makes the folder complete.
        is_complete: whether the folder is, after the block.
        overwrite: whether the block replaces what is there, so that no state is fetched.
        resumes: whether the block continues what was stopped, and does nothing with what is complete. Otherwise it
            changes what is complete, a copy of which is in the folder, and begins anew after it was stopped.

    Raises:
        KzooError: the address has other files, another process writes to it, or it cannot be written.
    """
    target = Target(word, manifest, resumes)
    try:
        with _uploaded(target, is_complete, overwrite):
            yield target
    except KzooError as error:
        if not isinstance(error, NotUploaded):  # which says where the folder is
            error.replaced(str(target.folder), target.word)
        raise


@contextmanager
def _uploaded(
    target: Target, is_complete: Callable[[Path], bool], overwrite: bool
) -> Iterator[None]:
    word, storage, manifest = target.word, target.storage, target.manifest
    resumes = target.resumes
    objects = storage.list()
    names = {each.name for each in objects}
    is_whole = manifest in names
    if is_whole and resumes and not overwrite:
        target.folder = target.result = copy_of(target.address, storage, objects)
        yield
        return
    if names and not is_whole and not any(map(is_unfinished, names)):
        raise KzooError("has other files. Use a new address.", argument="out", value=word)
    with target.held():
        if not resumes:
            shutil.rmtree(target.folder, ignore_errors=True)
            if is_whole:
                copy = copy_of(target.address, storage, objects)
                shutil.copytree(copy, target.folder)
        elif not overwrite and not is_complete(target.folder):
            target.fetch_state()
        before = target.stamps()
        try:
            yield
        except BaseException:
            if resumes and target.stamps() != before:
                with suppress(OSError):
                    _keep_state(target)
            raise
        if is_complete(target.folder):
            target.upload()
            target.result = keep(target.folder, target.address, storage.list())
        elif resumes and target.stamps() != before:  # a notebook's interrupt is no error
            _keep_state(target)


def _keep_state(target: Target) -> None:
    """Upload the state of what was stopped; a line says where it is if that fails."""
    try:
        target.upload_state()
        _say(f"{target.word}: the state is uploaded; the same command continues it, on any machine")
    except KzooError as error:
        _say(
            f"{str(error).rstrip('.')}. The state is in {target.folder}; the same command continues it on this machine."
        )


def _say(line: str) -> None:
    print(printable(f"kzoo: {line}"), file=sys.stderr)


def _object(facts: JsonObject) -> str:
    return f"{_FILES}/{facts['sha256']}"


def _facts(content: bytes) -> JsonObject:
    return dict(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0
