"""Features of images that a frozen network has computed before, on disk: folds and later trainings need them again."""

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import keras
import numpy as np

from kzoo.utils.files import cache_folder, whole_file

_MOST_BYTES = 2**28  # of all files: 50,000 images with 1,280 features
_FEWEST_PARAMETERS = 1_000_000  # a smaller network is hardly slower than the disk
_DIGEST = 16  # bytes of a key


def is_worth_it(frozen: keras.Model) -> bool:
    """Return whether features of a network are stored: it is large, and its inputs are images."""
    return len(frozen.input_shape) == 4 and frozen.count_params() >= _FEWEST_PARAMETERS


class FeatureCache:
    """Stored outputs of a network, each by a hash of its input. Old files are removed when they exceed 256 MB.

    A file that cannot be read or written is as none: features are then computed.

    Args:
        frozen: the network. Other weights, layers, backends and shapes have files of their own.
    """

    def __init__(self, frozen: keras.Model) -> None:
        self.folder = cache_folder() / "features" / _digest_of(frozen)
        self.width = int(frozen.output_shape[-1])
        self.rows: dict[bytes, tuple[Path, int]] = {}
        self.opened: dict[Path, np.ndarray] = {}
        self.added: dict[bytes, np.ndarray] = {}
        for path in sorted(self.folder.glob("*.npz")):
            with _removed_if_unreadable(path), np.load(path, allow_pickle=False) as arrays:
                keys = arrays["keys"]
                if keys.dtype == np.uint8 and keys.shape[1:] == (_DIGEST,):
                    self.rows |= {key.tobytes(): (path, i) for i, key in enumerate(keys)}

    def get(self, key: bytes) -> np.ndarray | None:
        """Return the features (F,) of an input, or None."""
        if key in self.added:
            return self.added[key]
        if key not in self.rows:
            return None
        path, row = self.rows[key]
        if path not in self.opened:
            self.opened[path] = np.empty((0, self.width), np.float32)
            with _removed_if_unreadable(path), np.load(path, allow_pickle=False) as arrays:
                values = arrays["values"]
                if values.dtype == np.float32 and values.shape[1:] == (self.width,):
                    self.opened[path] = values
                    os.utime(path)  # the most recently used files stay
        values = self.opened[path]
        return values[row] if row < len(values) else None

    def add(self, key: bytes, features: np.ndarray) -> None:
        """Keep the features of an input until they are written."""
        self.added[key] = np.array(features, np.float32)

    def write(self) -> None:
        """Write what was added, and remove the files that were not used for the longest time."""
        size = len(self.added) * (4 * self.width + _DIGEST)
        if not self.added or size > _MOST_BYTES or not np.isfinite([*self.added.values()]).all():
            return
        keys = np.frombuffer(b"".join(self.added), np.uint8).reshape(-1, _DIGEST)
        name = hashlib.blake2b(keys.tobytes(), digest_size=_DIGEST).hexdigest()
        with suppress(OSError):
            self.folder.mkdir(parents=True, exist_ok=True)
            _make_room(self.folder.parent, size)
            with (
                whole_file(self.folder / f"{name}.npz", sync=False) as partial,
                open(partial, "wb") as file,
            ):
                np.savez(file, keys=keys, values=np.stack([*self.added.values()]))


def key_of(image: np.ndarray) -> bytes:
    """Return a hash of an image, of its shape and of its type."""
    described = f"{image.dtype.str} {image.shape}".encode()
    return hashlib.blake2b(
        np.ascontiguousarray(image).tobytes(), digest_size=_DIGEST, key=described[:64]
    ).digest()


def _digest_of(frozen: keras.Model) -> str:
    layers = [layer.get_config() for layer in frozen.layers]
    digest = hashlib.blake2b(digest_size=_DIGEST)
    described = [keras.backend.backend(), frozen.input_shape, frozen.output_shape, layers]
    digest.update(json.dumps(described, default=str, sort_keys=True).encode())
    for weight in frozen.weights:
        digest.update(np.ascontiguousarray(keras.ops.convert_to_numpy(weight)).tobytes())
    return digest.hexdigest()


def _make_room(folder: Path, size: int) -> None:
    """Remove the files that were used the longest time ago until there is room for a new one."""
    files = [(path.stat(), path) for path in folder.glob("*/*.npz")]
    total = sum(stat.st_size for stat, _ in files)
    for stat, path in sorted(files, key=lambda file: file[0].st_mtime):
        if total + size <= _MOST_BYTES:
            break
        path.unlink(missing_ok=True)
        total -= stat.st_size


@contextmanager
def _removed_if_unreadable(path: Path) -> Iterator[None]:
    """Remove a file that the block cannot read: NumPy and zipfile raise errors of many types."""
    try:
        yield
    except Exception:
        with suppress(OSError):
            path.unlink(missing_ok=True)
