"""Served models and their versions. A new version replaces the current one after it has passed a trial run."""

import asyncio
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kzoo import runtime
from kzoo.inference.exported import MANIFEST, ExportedModel
from kzoo.serve.batches import Batches, Turns
from kzoo.serve.limits import Limits, Refused
from kzoo.utils.address import is_hub_address, is_remote_address, local
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
# size of axes without a fixed length; files per version that are watched
_FREE_SIZE, _MAX_FILES = 16, 1_000
LogFunction = Callable[..., object]  # called with the name of an event and its fields


class Loaded:
    """The open model of a version, its batch queue, turns of texts, and the largest number of rows per request."""

    def __init__(
        self,
        model: runtime.Model,
        output_shape: Sequence[int | None],
        limits: Limits,
        on_batch: Callable[[int], object],
    ):
        input_numbers, output_numbers = (
            math.prod(size or _FREE_SIZE for size in shape) for shape in (model.shape, output_shape)
        )
        batch = max(1, min(limits.batch, limits.numbers // output_numbers))
        self.model = model
        self.batches = Batches(lambda x: model.run(x, batch), batch, on_batch)
        self.turns = Turns(batch)
        self.max_rows = max(
            1,
            min(
                limits.rows,
                limits.row_bytes // (4 * input_numbers),
                limits.numbers // output_numbers,
            ),
        )


class Version:
    """An exported folder with its version number; the model is opened at the first request."""

    def __init__(
        self, number: int, folder: Path, stamp: tuple[object, ...], format: str | None
    ) -> None:
        self.number, self.folder, self.stamp = number, folder, stamp
        exported = ExportedModel(folder)
        self.manifest = exported.manifest
        self.format = runtime.chosen(exported, format)
        self.broken = ""  # the error if it cannot be opened
        self._loading: asyncio.Future[Loaded] | None = None

    def __str__(self) -> str:
        return str(self.number)

    @property
    def is_open(self) -> bool:
        return self._loading is not None and self._loading.done() and not self._loading.exception()

    def close(self) -> None:
        """Release the open model; pending requests are still completed."""
        self._loading = None

    async def load(self, open_version: Callable[["Version"], Loaded]) -> Loaded:
        """Return the open model, opening it if needed.

        Raises:
            KzooError: the model cannot be opened, or fails its trial run.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(open_version, self))
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        except KzooError as error:
            self.broken = str(error)
            raise


class ServedModel:
    """The versions of one model.

    Args:
        name: name of the model in URLs.
        path: an exported folder, a folder with exported folders named by version number (`2/`), or both.
        format: the exported file to run; see `kzoo.runtime.load`.
        threads: number of threads per prediction.
        limits: limits of requests.
        on_batch: called with the name of the model and the number of rows after each batch.
        log: function that writes a log line.
    """

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        format: str | None = None,
        threads: int = 1,
        limits: Limits,
        on_batch: Callable[[str, int], object] = lambda name, rows: None,
        log: LogFunction = lambda event, **fields: None,
    ) -> None:
        self.name = name
        self.path = path
        self.waiting = 0
        self.limits = limits
        self._format = format
        self._threads = threads
        self._on_batch = on_batch
        self._log = log
        # version number -> stamp of a version that was refused
        self._refused: dict[int, tuple] = {}
        self._last_stamps: dict[int, tuple] = {}  # version number -> stamp at the previous refresh
        self._unreadable = ""  # error at the previous refresh if the folder could not be read
        self.versions: dict[int, Version] = {}
        errors: dict[int, KzooError] = {}
        for number, folder in _scan(path).items():
            try:
                self.versions[number] = Version(number, folder, _stamp(folder), format)
            except KzooError as error:
                self._refused[number], errors[number] = _stamp(folder), error
        if not self.versions:
            no_model = KzooError(
                f"{path} does not contain an exported model. Create one with kzoo.export."
            )
            raise errors[max(errors)] if errors else no_model
        for number, reason in errors.items():
            log("refused", model=name, version=str(number), error=str(reason))

    @property
    def current(self) -> Version:
        """The default version: the newest that works."""
        numbers = sorted(self.versions, reverse=True)
        return next(
            (v for n in numbers if not (v := self.versions[n]).broken), self.versions[numbers[0]]
        )

    def version(self, number_text: str | None) -> Version:
        """Return the version with the number in a URL; by default the current one.

        Raises:
            Refused: unknown version.
        """
        if number_text is None:
            return self.current
        number = (
            int(number_text)
            if number_text.isascii() and number_text.isdecimal() and len(number_text) < 10
            else -1
        )
        if number not in self.versions:
            available = ", ".join(map(str, sorted(self.versions)))
            raise Refused(
                404,
                f"Model {self.name!r} has no version {shown(number_text)}. Available versions: {available}.",
            )
        return self.versions[number]

    async def load(self, number_text: str | None = None) -> tuple[Version, Loaded]:
        """Return a version and its open model; by default the newest version that can be opened.

        Raises:
            Refused: unknown version, or the model cannot be opened.
        """
        for _ in range(len(self.versions) + 1):
            version = self.version(number_text)
            try:
                if not version.broken:
                    return version, await version.load(self._open)
            except KzooError:  # already logged
                pass
            if number_text is not None or self.current.broken:
                break
        raise Refused(
            503, f"Model {self.name!r} version {version} cannot be opened. See the server log."
        )

    def _open(self, version: Version) -> Loaded:
        """Open a version and run it on a row of zeros; raise KzooError if either fails."""
        try:
            model = runtime.load(
                ExportedModel(version.folder), version.format, threads=self._threads
            )
            output_shape = version.manifest.outputs[0]["shape"][1:]
            loaded = Loaded(
                model, output_shape, self.limits, lambda rows: self._on_batch(self.name, rows)
            )
            zeros = np.zeros(
                (1, *(size or _FREE_SIZE for size in model.shape)),
                version.manifest.inputs[0]["dtype"],
            )
            model.check(model.run(zeros))
        except Exception as error:  # a damaged file may raise anything
            reason = (
                str(error) if isinstance(error, KzooError) else f"{type(error).__name__}: {error}"
            )
            self._log("refused", model=self.name, version=str(version), error=reason)
            raise KzooError(reason) from None
        self._log("opened", model=self.name, version=str(version), format=model.format)
        return loaded

    async def refresh(self) -> None:
        """Load versions that are new or have changed, and remove those whose folder is gone.

        A version that cannot be opened is refused with a log line, and tried again when its files change.
        """
        try:
            folders = await asyncio.to_thread(
                lambda: {n: (f, _stamp(f)) for n, f in _scan(self.path).items()}
            )
        except OSError as error:
            if str(error) != self._unreadable:  # log an error once, not at each refresh
                self._unreadable = str(error)
                self._log("unreadable", model=self.name, error=str(error))
            return
        self._unreadable = ""
        for number, (folder, stamp) in folders.items():
            version = self.versions.get(number)
            previous_stamp, self._last_stamps[number] = self._last_stamps.get(number), stamp
            if (
                (version is not None and version.stamp == stamp)
                or self._refused.get(number) == stamp
                or previous_stamp != stamp
            ):
                # unchanged, already refused, or still being written: wait until the stamp is stable
                continue
            await self._load_version(number, folder, stamp)
        for number in set(self.versions) - set(folders):
            if len(self.versions) > 1:
                del self.versions[number]
                self._log("gone", model=self.name, version=str(number))

    async def _load_version(self, number: int, folder: Path, stamp: tuple[object, ...]) -> None:
        self._refused[number] = stamp  # until it has passed the trial run
        try:
            version = await asyncio.to_thread(Version, number, folder, stamp, self._format)
        except (KzooError, OSError) as error:
            self._log("refused", model=self.name, version=str(number), error=str(error))
            return
        try:
            await version.load(self._open)
        except KzooError:  # already logged
            return
        del self._refused[number]
        # serves new requests; the previous version completes pending ones
        self.versions[number] = version
        for other in self.versions.values():
            if other is not self.current:
                other.close()
        self._log("taken over", model=self.name, version=str(number), answers=str(self.current))


class ModelRepository:
    """All models of a server, by name."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.models = {model.name: model for model in models}

    def __getitem__(self, name: str) -> ServedModel:
        if name not in self.models:
            raise Refused(
                404,
                f"Unknown model {shown(name)}. {hint(name, self.models)}GET /v1/models lists all models.",
            )
        return self.models[name]


def open_repository(arguments: Sequence[str | os.PathLike[str]], **options: Any) -> ModelRepository:
    """Return the repository of models given as `FOLDER` or `NAME=FOLDER`; the default name is the folder's.

    Raises:
        KzooError: not an exported model, a damaged one, or two models of the same name.
    """
    models: dict[str, ServedModel] = {}
    for argument in arguments:
        name, folder = _named(argument)
        if name in models:
            raise KzooError(
                f"Two models have the name {name!r}. Rename one of them, such as {name}-2={folder}."
            )
        models[name] = ServedModel(name, folder, **options)
    if not models:
        raise KzooError("Pass at least one exported model to serve.")
    return ModelRepository(list(models.values()))


def _named(argument: str | os.PathLike[str]) -> tuple[str, Path]:
    name, equals, folder_text = os.fspath(argument).partition("=")
    address = folder_text if equals else argument
    if is_hub_address(address) or is_remote_address(address):
        folder = local(address)
        name = name if equals else getattr(folder.address, "name", folder.name)
    elif not equals or not _NAME.fullmatch(name) or os.path.exists(argument):
        folder = path_of(argument, "an exported model")
        name = Path(os.path.abspath(folder)).name  # the name of a link, not of its target
    else:
        folder = path_of(folder_text, "an exported model")
    if not folder.is_dir():
        raise KzooError(
            f"{shown(str(folder), most=300)} is not a folder. Create an exported model with kzoo.export."
        )
    if not _NAME.fullmatch(name):
        raise KzooError(
            f"{name!r} cannot be used as a model name in a URL. Give the model another name, such as mine={folder}."
        )
    return name, folder


def _scan(path: Path) -> dict[int, Path]:
    """Return a dict of version number -> folder; if `path` itself is an exported model, it is version 1."""
    folders = {1: path} if (path / MANIFEST).is_file() else {}
    with os.scandir(path) as entries:
        for entry in entries:
            if re.fullmatch("[1-9][0-9]{0,8}", entry.name) and os.path.isfile(
                os.path.join(entry.path, MANIFEST)
            ):
                folders[int(entry.name)] = Path(entry.path)
    return folders


def _stamp(folder: Path) -> tuple[object, ...]:
    """Return a tuple that changes whenever the files of an exported model change."""
    files: list[tuple] = []
    pending = [(str(folder), 0)]
    while pending and len(files) < _MAX_FILES:
        current_folder, depth = pending.pop()
        with os.scandir(current_folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if depth or not entry.name.isdecimal():  # another version
                        pending.append((entry.path, depth + 1))
                else:
                    status = entry.stat(follow_symlinks=False)
                    # Hashing all files every second would be expensive. ctime shows changes that keep size and mtime.
                    times = status.st_mtime_ns, status.st_ctime_ns
                    files.append((entry.path, status.st_size, *times, status.st_ino))
    return tuple(sorted(files))
