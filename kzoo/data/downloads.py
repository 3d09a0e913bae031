"""Files of Keras' data sets: from `KZOO_DATA`, Keras' cache or the network; read without Keras."""

import gzip
import io
import json
import os
import pickle
import tarfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kzoo.utils import downloads
from kzoo.utils.errors import DownloadError, KzooError
from kzoo.utils.files import Json, expand_user, whole_file

_GOOGLE = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"
_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_TIMEOUT = 8  # seconds without a response
# File -> (base URL, its sha256 as listed by Keras, or None).
_FILES = {
    "mnist.npz": (_GOOGLE, "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1"),
    "imdb.npz": (_GOOGLE, "69664113be75683a8fe16e3ed0ab59fda8886cb3cd7ada244f7d9544e4676b9f"),
    "imdb_word_index.json": (_GOOGLE, None),
    "reuters.npz": (_GOOGLE, "d6586e694ee56d7a4e65172e12b3e987c03096cb01eab99753921ef915959916"),
    "reuters_word_index.json": (_GOOGLE, None),
    "california_housing.npz": (
        _GOOGLE,
        "1a2e3a52e0398de6463aebe6f4a8da34fb21fbb6b934cf88c3425e766f2a1a6f",
    ),
    "train-images-idx3-ubyte.gz": (_GOOGLE, None),
    "train-labels-idx1-ubyte.gz": (_GOOGLE, None),
    "t10k-images-idx3-ubyte.gz": (_GOOGLE, None),
    "t10k-labels-idx1-ubyte.gz": (_GOOGLE, None),
    "cifar-10-python.tar.gz": (
        _TORONTO,
        "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    ),
    "cifar-100-python.tar.gz": (
        _TORONTO,
        "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    ),
}
_WITHOUT_DOWNLOAD = "digits_cnn (digits), iris_fnn (iris), text_cnn (pydocs), series_tcn (sine) and adding_gru (adding)"


def find_file(file: str, *, aliases: Sequence[str] = (), folder: str = "") -> Path:
    """Return the path of a file: in `KZOO_DATA`, else in Keras' cache, else downloaded into that cache.

    Args:
        file: a key of the table above.
        aliases: other names of the same file, such as the unpacked folder.
        folder: subfolder of the cache that Keras uses for it.

    Raises:
        DownloadError: it is not found and cannot be downloaded.
    """
    shared = expand_user(os.environ.get("KZOO_DATA"))
    cache = Path(expand_user(os.environ.get("KERAS_HOME")) or Path.home() / ".keras") / "datasets"
    folders = [*([Path(shared), Path(shared) / folder] if shared else []), cache, cache / folder]
    for location in folders:
        for name in (file, *aliases):
            if (location / name).exists():
                return location / name
    url = _FILES[file][0] + file
    try:
        return _download(url, cache / file, _FILES[file][1])
    except (KzooError, OSError, ValueError, downloads.NotWritten) as error:
        reason = getattr(error, "reason", None) or error
        tried = f"{shared} ($KZOO_DATA), " if shared else ""
        raise DownloadError(
            f"{file!r} is not in {tried}{cache}, and {url} cannot be downloaded "
            f"({str(reason).splitlines()[0]}). Put the file into a folder and set KZOO_DATA to that folder. "
            f"Presets (and data) that need no download: {_WITHOUT_DOWNLOAD}."
        ) from None


def _download(url: str, path: Path, sha256: str | None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as temporary:
        # An unresponsive server must not block the user: a short timeout.
        downloads.download(url, temporary, sha256=sha256, timeout=_TIMEOUT)
    return path


class _ArraysOnly(pickle.Unpickler):
    """Unpickles NumPy arrays and plain values, and refuses anything else."""

    _ALLOWED = frozenset(
        [("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode")]
        + [(f"numpy.{core}.multiarray", "_reconstruct") for core in ("core", "_core")]
    )

    def find_class(self, module: str, name: str) -> object:
        if (module, name) not in self._ALLOWED:
            raise KzooError(
                f"The file tries to run {module}.{name}, which a data file never needs. Do not trust it."
            )
        return super().find_class(module, name)


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a `.npz` file by name, also ragged ones.

    Ragged arrays are pickles; code in a pickle is never run.
    """
    arrays = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.namelist():
                file = io.BytesIO(archive.read(member))
                version = np.lib.format.read_magic(file)
                header = (
                    np.lib.format.read_array_header_1_0
                    if version[0] == 1
                    else np.lib.format.read_array_header_2_0
                )
                *_, dtype = header(file)
                if dtype.hasobject:
                    array = _ArraysOnly(file).load()
                else:
                    file.seek(0)
                    array = np.lib.format.read_array(file, allow_pickle=False)
                arrays[member.removesuffix(".npy")] = array
    except (OSError, ValueError, zipfile.BadZipFile, pickle.UnpicklingError, EOFError) as error:
        if isinstance(error, KzooError):
            raise
        raise KzooError(
            f"{path.name!r} is damaged ({str(error).splitlines()[0]}). Delete it and try again."
        ) from None
    return arrays


def read_json(path: Path) -> Json:
    """Return the content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def read_fashion() -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return ((x, y), (x, y)) of Fashion-MNIST, x (N, 28, 28, 1) uint8."""

    def pair(prefix: str) -> tuple[np.ndarray, np.ndarray]:
        folder = "fashion-mnist"
        labels = gzip.decompress(
            find_file(f"{prefix}-labels-idx1-ubyte.gz", folder=folder).read_bytes()
        )
        pixels = gzip.decompress(
            find_file(f"{prefix}-images-idx3-ubyte.gz", folder=folder).read_bytes()
        )
        return np.frombuffer(pixels, np.uint8, offset=16).reshape(-1, 28, 28, 1), np.frombuffer(
            labels, np.uint8, offset=8
        )

    return pair("train"), pair("t10k")


def read_cifar(
    count: int,
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray], list[str]]:
    """Return ((x, y), (x, y), class names) of CIFAR-10 or CIFAR-100, x (N, 32, 32, 3) uint8."""
    inner = "cifar-10-batches-py" if count == 10 else "cifar-100-python"
    keras = ("cifar-10-batches-py-target" if count == 10 else "cifar-100-python-target",)
    aliases = (
        inner,
        f"{inner}.tar.gz",
        *(f"{name}/{inner}" for name in keras),
        *(f"{name}_archive" for name in keras),
    )
    path = find_file(f"cifar-{count}-python.tar.gz", aliases=aliases)
    if path.is_dir():

        def read(member: str) -> bytes:
            return (path / member).read_bytes()
    else:
        # Members are read but never extracted: a malicious archive cannot write files.
        with tarfile.open(path) as archive:
            contents = {
                Path(m.name).name: file.read()
                for m in archive
                if m.isfile() and (file := archive.extractfile(m)) is not None
            }

        def read(member: str) -> bytes:
            return contents[member]

    def batches(members: Sequence[str], key: bytes) -> tuple[np.ndarray, np.ndarray]:
        loaded = [
            _ArraysOnly(io.BytesIO(read(member)), encoding="bytes").load() for member in members
        ]
        pixels = np.concatenate([batch[b"data"] for batch in loaded]).reshape(-1, 3, 32, 32)
        return np.ascontiguousarray(pixels.transpose(0, 2, 3, 1)), np.concatenate(
            [batch[key] for batch in loaded]
        )

    try:
        meta = _ArraysOnly(
            io.BytesIO(read("batches.meta" if count == 10 else "meta")), encoding="bytes"
        ).load()
        key, names = (
            (b"labels", b"label_names") if count == 10 else (b"fine_labels", b"fine_label_names")
        )
        train = [f"data_batch_{i}" for i in range(1, 6)] if count == 10 else ["train"]
        test = ["test_batch"] if count == 10 else ["test"]
        return batches(train, key), batches(test, key), [name.decode() for name in meta[names]]
    except (KeyError, OSError, pickle.UnpicklingError, EOFError) as error:
        raise KzooError(
            f"{path.name!r} does not contain CIFAR-{count} as Python pickles ({error}). Delete it and try again."
        ) from None
