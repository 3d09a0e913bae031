"""`load_model` for exported models, runs and untrusted `.keras` files.

An exported folder or a run contains a specification with weights, or a `.keras` file. In both cases its `config.json`
or `kzoo.json` is checked first, with every file that it lists.
"""

import hashlib
import os
import stat
import string
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.inference.exported import MANIFEST, Malformed, Manifest, is_inside
from kzoo.utils.address import is_bucket_address, is_remote_address, local, masked
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError, UnsafeModelError
from kzoo.utils.files import JsonObject, path_of
from kzoo.zoo.loading.archive import MAX_BYTES, MAX_CONFIG, check_sha256, open_archive, read_once
from kzoo.zoo.loading.config_check import parse_json
from kzoo.zoo.loading.from_spec import load_from_spec
from kzoo.zoo.loading.keras_file import load_bytes, load_keras_file, trusted_names
from kzoo.zoo.loading.unsafe import Refused, Unreadable, naming, short
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    import keras

MAX_RUN_CONFIG = 16 << 20  # bytes; it includes statistics of the data
WEIGHTS, KERAS_MODEL = "model.weights.h5", "model.keras"
_REPLACE = "Export again, or copy the folder again"

# Suffix of other model files -> (reason for refusing, fix).
_PICKLE = "loading a pickle can run any code", "Ask for a .keras file"
_H5 = (
    "loading HDF5 models can run code from the file",
    "Convert it in an isolated environment: keras.saving.load_model(FILE).save('model.keras')",
)
_OTHER_FORMATS = {
    ".weights.h5": (
        "it contains weights without a network",
        "Build the model and call model.load_weights(FILE)",
    ),
    ".h5": _H5,
    ".hdf5": _H5,
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt"), _PICKLE),
    ".pb": (
        "a SavedModel can read and write files",
        "Ask for a .keras file or a folder written by kzoo.export",
    ),
    ".onnx": (
        "it is not a Keras model",
        "Run it with onnxruntime, or run its folder with kzoo.runtime.load",
    ),
    ".tflite": (
        "it is not a Keras model",
        "Run it with ai-edge-litert, or run its folder with kzoo.runtime.load",
    ),
}
_USE_INSTEAD = "Pass an exported model, a run or a .keras file."


@checked_arguments
def load_model(
    path: str | os.PathLike[str], *, trusted: Iterable[Any] = (), expected_sha256: str | None = None
) -> "keras.Model":
    """Load an exported model, a run or a `.keras` file without running code from it.

    Exported models and runs of presets are built by kzoo from checked settings. A `.keras` file is inspected first,
    down to each class, operation and weight, and opened by Keras only if everything in it is on kzoo's allowlist.

    Args:
        path: an exported model, a run, the folder of either, a `.keras` file, "hub:PLACE/NAME@REVISION", or an address
            such as "s3://bucket/models/1".
        trusted: custom classes and functions that the file may use, yours or from a package you trust.
        expected_sha256: SHA-256 that the file (for an exported model: its `kzoo.json`) must have, as 64 hexadecimal
            digits.

    Returns:
        A `keras.Model`, not compiled.

    Raises:
        UnsafeModelError: the file could do more than compute, or its checksum is not the expected one.
        KzooError: the file cannot be read.

    Examples:
        >>> import keras
        >>> keras.Sequential([keras.Input((4,)), keras.layers.Dense(3)]).save("from_somebody.keras")
        >>> kzoo.load_model("from_somebody.keras").output_shape
        (None, 3)
    """
    if isinstance(trusted, list | tuple | set) and not trusted:
        trusted = getattr(path, "trusted", ())  # a Run has the custom classes it was trained with
    trusted_names(trusted)
    if expected_sha256 is not None and not _is_sha256(expected_sha256):
        raise KzooError(
            "must be 64 hexadecimal digits.", argument="expected_sha256", value=expected_sha256
        )
    options: Any = dict(trusted=trusted, expected_sha256=expected_sha256)
    path = getattr(path, "path", path)  # a Run or an ExportedModel
    files = (".keras", *_OTHER_FORMATS)
    if is_remote_address(path) and (not is_bucket_address(path) or path.lower().endswith(files)):
        raise UnsafeModelError(
            f"{masked(path)} is refused: it is a URL. Download the file and pass its path."
        )
    path = local(path)
    file = path_of(path, "an exported model, a run or a .keras file")
    name = os.fspath(path)
    path = file
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return load_exported(path, **options)
        if (path / "metadata.json").is_file():
            raise UnsafeModelError(
                f"{name} is refused: it is a .keras model saved as a folder, whose files may be links. Open it in an "
                "isolated environment and save it as one file: model.save('model.keras')."
            )
        if (path / "saved_model.pb").is_file():
            raise UnsafeModelError("{} is refused: {}. {}.".format(name, *_OTHER_FORMATS[".pb"]))
        return load_run(path, **options)
    for ending, (reason, fix) in _OTHER_FORMATS.items():
        if name.lower().endswith(ending):
            raise UnsafeModelError(f"{name} is refused: {reason}. {fix}.")
    if not os.path.lexists(path):
        raise KzooError(f"{name} does not exist. {_USE_INSTEAD}")
    if path.suffix != ".keras":
        raise UnsafeModelError(f"{name} is refused: it is not a .keras file. {_USE_INSTEAD}")
    return load_keras_file(path, **options)


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set(string.hexdigits)


def load_weights_file(path: str | os.PathLike[str], spec: JsonObject) -> "keras.Model":
    """Return the network of a specification with the weights of a `.weights.h5` file, not compiled.

    Raises:
        UnsafeModelError, KzooError: the file does not contain the weights of this network.
    """
    with naming(path):
        return load_from_spec(spec, read_once(path))


def load_weights_of(spec: JsonObject, raw: bytes) -> "keras.Model":
    """Return the network of a specification with the weights of a `.keras` file's bytes, not compiled.

    Raises:
        UnsafeModelError, KzooError: see `kzoo.load_model`.
    """
    with naming("the estimator"):
        return load_from_spec(spec, open_archive(raw).weights)


def load_exported(
    folder: str | os.PathLike[str],
    *,
    trusted: Iterable[Any] = (),
    expected_sha256: str | None = None,
) -> "keras.Model":
    """Return the model of an exported folder, not compiled; `expected_sha256` is that of `kzoo.json`."""
    folder = Path(folder)
    with naming(folder / MANIFEST):
        raw = read_once(folder / MANIFEST, MAX_CONFIG)
        check_sha256(raw, expected_sha256)
        manifest = _checked_manifest(parse_json(raw, "it"))
    stored = None
    for name, facts in manifest.files.items():
        with naming(folder / name):
            if name in (WEIGHTS, KERAS_MODEL):
                stored = name, _checked_bytes(folder, name, facts)
            else:
                _check_file(folder, name, facts)
    has_family = manifest.spec.get("family") is not None
    with naming(folder):
        if stored is None or stored[0] != (WEIGHTS if has_family else KERAS_MODEL):
            raise Refused(
                f"its kzoo.json lists no {WEIGHTS if has_family else KERAS_MODEL}", _REPLACE
            )
    with naming(folder / stored[0]):
        return (
            load_from_spec(manifest.spec, stored[1])
            if has_family
            else load_bytes(stored[1], trusted=trusted)
        )


def _checked_manifest(content: object) -> Manifest:
    try:
        manifest = Manifest.read(content)
    except Malformed as error:
        raise Unreadable(f"it {error}") from None
    for name in manifest.files:
        if not is_inside(name):
            raise Refused(f"it lists the file {short(name)}, which is not inside its folder")
    if WEIGHTS in manifest.files and KERAS_MODEL in manifest.files:
        raise Refused(f"it lists two models, {WEIGHTS} and {KERAS_MODEL}")
    return manifest


def _checked_bytes(folder: Path, name: str, facts: JsonObject) -> bytes:
    _check_folders(folder, name)
    data = read_once(folder / name, MAX_BYTES)
    _check_digest(hashlib.sha256(data).hexdigest(), facts)
    return data


def _check_file(folder: Path, name: str, facts: JsonObject) -> None:
    """Check the checksum of a file of any size that is not opened."""
    _check_folders(folder, name)
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise Unreadable("it is missing, or not a regular file")
    with open(path, "rb") as file:
        _check_digest(hashlib.file_digest(file, "sha256").hexdigest(), facts)


def _check_folders(folder: Path, name: str) -> None:
    for parent in Path(name).parents:
        path = folder / parent
        if str(parent) != "." and os.path.lexists(path) and stat.S_ISLNK(os.lstat(path).st_mode):
            raise Refused(f"its folder {str(parent)!r} is a symbolic link", _REPLACE)


def _check_digest(digest: str, facts: JsonObject) -> None:
    if digest != facts["sha256"].lower():
        raise Refused("its sha256 differs from the one in kzoo.json", _REPLACE)


def load_run(
    folder: str | os.PathLike[str],
    *,
    file: str | None = None,
    trusted: Iterable[Any] = (),
    expected_sha256: str | None = None,
) -> "keras.Model":
    """Return a run's best model, or the model in another file of the run, not compiled.

    See `kzoo.load_model`; `expected_sha256` is that of the model file.
    """
    run = Run(folder)
    with naming(run.path / "config.json"):
        read_once(run.path / "config.json", MAX_RUN_CONFIG)
    path = run.path / file if file else run.model_file
    spec = run.config["spec"]
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        if not isinstance(spec, dict):
            raise Refused("its config.json has no specification of the model", "Train again")
        if spec.get("family") is None:
            return load_bytes(raw, trusted=trusted)
        return load_from_spec(spec, open_archive(raw).weights)
