"""Which models there are, in which versions, and which one answers. A new version takes over once it has answered."""

import asyncio
import math
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kzoo import runtime
from kzoo.exported import MANIFEST, ExportedModel
from kzoo.serve.batches import Batches
from kzoo.serve.limits import Limits, Refused
from kzoo.utils.errors import KzooError
from kzoo.utils.files import path_of
from kzoo.utils.formatting import hint, shown

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_FREE, _MOST_FILES = 16, 1_000  # steps along an axis that a network leaves open; files that are looked at
Tell = Callable[..., object]  # of an event's name and what belongs to it


class Loaded:
    """A version that is open, and the rows that wait for it."""

    def __init__(
        self, model: runtime.Model, gives: Sequence[int | None], limits: Limits, done: Callable[[int], object]
    ):
        takes, numbers = (math.prod(size or _FREE for size in shape) for shape in (model.shape, gives))
        batch = max(1, min(limits.batch, limits.numbers // numbers))
        self.model = model
        self.answers = Batches(lambda x: model.answer(x, batch), batch, done)
        self.most_rows = max(1, min(limits.rows, limits.row_bytes // (4 * takes), limits.numbers // numbers))


class Version:
    """A folder that `kzoo.export` wrote, under its number; opened when it is first asked."""

    def __init__(self, number: int, folder: Path, stamp: tuple, format: str | None) -> None:
        self.number, self.folder, self.stamp = number, folder, stamp
        exported = ExportedModel(folder)
        self.manifest, self.format = exported.manifest, runtime.chosen(exported, format)
        self.broken = ""  # why it cannot be opened
        self._loading: asyncio.Future[Loaded] | None = None

    def __str__(self) -> str:
        return str(self.number)

    @property
    def is_open(self) -> bool:
        return self._loading is not None and self._loading.done() and not self._loading.exception()

    def close(self) -> None:
        """Let go of the open model; who still waits for its answers gets them."""
        self._loading = None

    async def load(self, open_it: Callable[["Version"], Loaded]) -> Loaded:
        """Return it open.

        Raises:
            KzooError: it cannot be opened, or does not answer.
        """
        if self._loading is None:
            self._loading = asyncio.ensure_future(asyncio.to_thread(open_it, self))
        loading = self._loading
        try:
            return await asyncio.shield(loading)
        except KzooError as error:
            self.broken = str(error)
            raise


class ServedModel:
    """The versions of one model.

    Args:
        name: in addresses.
        path: an exported folder, one with such folders by number in it (`2/`), or both.
        format: which file of each is opened; see `kzoo.runtime.load`.
        threads: that compute an answer.
        limits: how much is taken.
        done: called with the name and the number of rows that went through.
        tell: what a log line is written with.
    """

    def __init__(
        self, name: str, path: Path, *, format: str | None = None, threads: int = 1, limits: Limits,
        done: Callable[[str, int], object] = lambda name, rows: None, tell: Tell = lambda event, **more: None,
    ) -> None:  # fmt: skip
        self.name, self.path, self.waiting, self.limits = name, path, 0, limits
        self._format, self._threads, self._done, self._tell = format, threads, done, tell
        self._refused: dict[int, tuple] = {}  # number -> the stamp of what was refused
        self._seen: dict[int, tuple] = {}  # number -> the stamp of what was there a moment ago
        self._unreadable = ""  # why the folder could not be read a moment ago
        self.versions: dict[int, Version] = {}
        wrong: dict[int, KzooError] = {}
        for number, folder in _scan(path).items():
            try:
                self.versions[number] = Version(number, folder, _stamp(folder), format)
            except KzooError as error:
                self._refused[number], wrong[number] = _stamp(folder), error
        if not self.versions:
            none = KzooError(f"{path} holds no exported model. kzoo.export writes one.")
            raise wrong[max(wrong)] if wrong else none
        for number, why in wrong.items():
            tell("refused", model=name, version=str(number), error=str(why))

    @property
    def current(self) -> Version:
        """The version that answers where none is asked for: the newest that works."""
        numbers = sorted(self.versions, reverse=True)
        return next((v for n in numbers if not (v := self.versions[n]).broken), self.versions[numbers[0]])

    def version(self, word: str | None) -> Version:
        """Return the version that an address asks for.

        Raises:
            Refused: there is none.
        """
        if word is None:
            return self.current
        number = int(word) if word.isascii() and word.isdecimal() and len(word) < 10 else -1
        if number not in self.versions:
            have = ", ".join(map(str, sorted(self.versions)))
            raise Refused(404, f"Model {self.name!r} has no version {shown(word)}. It has: {have}.")
        return self.versions[number]

    async def load(self, word: str | None = None) -> tuple[Version, Loaded]:
        """Return a version and it open; where none is asked for, an older one in the place of one that fails.

        Raises:
            Refused: there is no such version, or none that can be opened.
        """
        for _ in range(len(self.versions) + 1):
            version = self.version(word)
            try:
                if not version.broken:
                    return version, await version.load(self._open)
            except KzooError:  # said in the log
                pass
            if word is not None or self.current.broken:
                break
        raise Refused(503, f"Model {self.name!r} version {version} cannot be opened; the server's log says why.")

    def _open(self, version: Version) -> Loaded:
        """Open a version, and let it answer a row of zeros: what does not is not a version that takes over."""
        try:
            model = runtime.load(ExportedModel(version.folder), version.format, threads=self._threads)
            gives = version.manifest.outputs[0]["shape"][1:]
            loaded = Loaded(model, gives, self.limits, lambda rows: self._done(self.name, rows))
            zeros = np.zeros((1, *(size or _FREE for size in model.shape)), version.manifest.inputs[0]["dtype"])
            model.check(model.answer(zeros))
        except Exception as error:  # a damaged file may raise anything
            why = str(error) if isinstance(error, KzooError) else f"{type(error).__name__}: {error}"
            self._tell("refused", model=self.name, version=str(version), error=why)
            raise KzooError(why) from None
        self._tell("opened", model=self.name, version=str(version), format=model.format)
        return loaded

    async def look_again(self) -> None:
        """Take over versions that are new or were changed, and let go of those that are gone.

        One that cannot be opened is refused with a line in the log, and looked at again when its files change.
        """
        try:
            found = await asyncio.to_thread(lambda: {n: (f, _stamp(f)) for n, f in _scan(self.path).items()})
        except OSError as error:
            if str(error) != self._unreadable:  # once, not once a second
                self._unreadable = str(error)
                self._tell("unreadable", model=self.name, error=str(error))
            return
        self._unreadable = ""
        for number, (folder, stamp) in found.items():
            known = self.versions.get(number)
            before, self._seen[number] = self._seen.get(number), stamp
            if (known is not None and known.stamp == stamp) or self._refused.get(number) == stamp or before != stamp:
                continue  # nothing new; or it is still being written, which shows by the next look
            await self._take_over(number, folder, stamp)
        for number in set(self.versions) - set(found):
            if len(self.versions) > 1:
                del self.versions[number]
                self._tell("gone", model=self.name, version=str(number))

    async def _take_over(self, number: int, folder: Path, stamp: tuple) -> None:
        self._refused[number] = stamp  # until it has answered
        try:
            version = await asyncio.to_thread(Version, number, folder, stamp, self._format)
        except (KzooError, OSError) as error:
            self._tell("refused", model=self.name, version=str(number), error=str(error))
            return
        try:
            await version.load(self._open)
        except KzooError:  # said in the log
            return
        del self._refused[number]
        self.versions[number] = version  # from here on it is asked; what the one before was asked, it answers
        for other in self.versions.values():
            if other is not self.current:
                other.close()
        self._tell("taken over", model=self.name, version=str(number), answers=str(self.current))


class ModelRepository:
    """All models of a server, by name."""

    def __init__(self, models: Sequence[ServedModel]) -> None:
        self.models = {model.name: model for model in models}

    def __getitem__(self, name: str) -> ServedModel:
        if name not in self.models:
            raise Refused(404, f"There is no model {shown(name)}. {hint(name, self.models)}GET /v1/models lists them.")
        return self.models[name]


def open_repository(words: Sequence[str | os.PathLike[str]], **options: Any) -> ModelRepository:
    """Return the models that words name: folders, or `NAME=FOLDER`; without a name it is the folder's.

    Raises:
        KzooError: no exported model, one that is damaged, or two of one name.
    """
    models: dict[str, ServedModel] = {}
    for word in words:
        name, folder = _named(word)
        if name in models:
            raise KzooError(f"Two models are called {name!r}: name one of them, such as {name}-2={folder}.")
        models[name] = ServedModel(name, folder, **options)
    if not models:
        raise KzooError("Name at least one exported model to serve.")
    return ModelRepository(list(models.values()))


def _named(word: str | os.PathLike[str]) -> tuple[str, Path]:
    name, equals, rest = os.fspath(word).partition("=")
    if not equals or not _NAME.fullmatch(name) or os.path.exists(word):
        folder = path_of(word, "an exported model")
        name = Path(os.path.abspath(folder)).name  # of a link, not of what it leads to
    else:
        folder = path_of(rest, "an exported model")
    if not folder.is_dir():
        raise KzooError(f"{shown(str(folder))} is not a folder. kzoo.export writes one.")
    if not _NAME.fullmatch(name):
        raise KzooError(f"{name!r} cannot stand in an address: name the model, such as mine={folder}.")
    return name, folder


def _scan(path: Path) -> dict[int, Path]:
    """Return number -> folder of the exported models in a folder; one that lies there itself is the first."""
    found = {1: path} if (path / MANIFEST).is_file() else {}
    with os.scandir(path) as entries:
        for entry in entries:
            if re.fullmatch("[1-9][0-9]{0,8}", entry.name) and os.path.isfile(os.path.join(entry.path, MANIFEST)):
                found[int(entry.name)] = Path(entry.path)
    return found


def _stamp(folder: Path) -> tuple:
    """Return what changes with the files of an exported model."""
    files: list[tuple] = []
    waiting = [(str(folder), 0)]
    while waiting and len(files) < _MOST_FILES:
        place, depth = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if depth or not entry.name.isdecimal():  # another version
                        waiting.append((entry.path, depth + 1))
                else:
                    status = entry.stat(follow_symlinks=False)
                    # Once a second a hash of all would be dear, and nobody can set the time of the last change back.
                    times = status.st_mtime_ns, status.st_ctime_ns
                    files.append((entry.path, status.st_size, *times, status.st_ino))
    return tuple(sorted(files))
