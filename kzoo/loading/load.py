"""`load_model`: one door for exported models, runs and strangers' files.

An exported folder or a run is a recipe, or holds a `.keras` file of its own; either way `config.json` or `kzoo.json` is
checked first, and so is every file that it lists.
"""

import hashlib
import os
import stat
import string
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kzoo.exported import MANIFEST, Malformed, Manifest, is_inside
from kzoo.loading.archive import MAX_BYTES, MAX_CONFIG, check_sha256, open_archive, read_once
from kzoo.loading.config_check import parse_json
from kzoo.loading.from_spec import load_recipe
from kzoo.loading.keras_file import load_bytes, load_keras_file, trusted_names
from kzoo.loading.unsafe import Refused, Unreadable, naming, short
from kzoo.run import Run
from kzoo.utils.argument_checks import checked_arguments
from kzoo.utils.errors import KzooError, UnsafeModelError
from kzoo.utils.files import path_of

if TYPE_CHECKING:
    import keras

MAX_RUN_CONFIG = 16 << 20  # bytes: it has the statistics of the data
WEIGHTS, FOREIGN = "model.weights.h5", "model.keras"
_NEW = "Export it again, or fetch it again"

# What else people have, by the end of its name: why not, and what to do.
_PICKLE = "a pickle runs whatever it was made to run", "Ask for a .keras file"
_H5 = (
    "Keras ran code from such files for years",
    "Convert it where nothing can be lost: keras.saving.load_model(FILE).save('model.keras')",
)
_OTHERS = {
    ".weights.h5": ("it has weights and no network", "Build the model and call model.load_weights(FILE)"),
    ".h5": _H5,
    ".hdf5": _H5,
    **dict.fromkeys((".pkl", ".pickle", ".joblib", ".pt", ".pth", ".bin", ".ckpt"), _PICKLE),
    ".pb": (
        "a SavedModel is a program that may read and write files",
        "Ask for a .keras file or the folder of kzoo.export",
    ),
    ".onnx": ("it is not a Keras model", "Run it with onnxruntime, or its folder with kzoo.runtime.load"),
    ".tflite": ("it is not a Keras model", "Run it with ai-edge-litert, or its folder with kzoo.runtime.load"),
}
_GIVE = "Give an exported model, a run or a .keras file."


@checked_arguments
def load_model(
    path: str | os.PathLike[str], *, trusted: Iterable[Any] = (), expected_sha256: str | None = None
) -> "keras.Model":
    """Open an exported model, a run or a `.keras` file, without letting it do anything but describe a network.

    An exported model or a run of a preset is a recipe: kzoo builds it by its own code from checked settings. A `.keras`
    file is looked into first, down to each class, operation and weight; only what is on kzoo's list is opened by Keras.

    Args:
        path: an exported model or run, or its folder, or a `.keras` file.
        trusted: classes and functions of yours, or of a package you trust, that the file may use.
        expected_sha256: the sum that the file (of an exported model: its `kzoo.json`) must have, 64 hexadecimal digits.

    Returns:
        a `keras.Model`, not compiled.

    Raises:
        UnsafeModelError: it could do more than compute, or is not what it is expected to be.
        KzooError: it cannot be read.
    """
    if isinstance(trusted, list | tuple | set) and not trusted:
        trusted = getattr(path, "trusted", ())  # a Run knows the classes it was trained with
    trusted_names(trusted)
    if expected_sha256 is not None and not _is_sha256(expected_sha256):
        raise KzooError(f"expected_sha256={expected_sha256!r} must be 64 hexadecimal digits.")
    options: Any = dict(trusted=trusted, expected_sha256=expected_sha256)
    path = getattr(path, "path", path)  # a Run or an ExportedModel
    file = path_of(path, "an exported model, a run or a .keras file")
    name = os.fspath(path)
    if "://" in name:
        raise UnsafeModelError(f"{name} is refused: it is an address. Download it, and give the file.")
    path = file
    if path.is_dir():
        if (path / MANIFEST).is_file():
            return load_exported(path, **options)
        if (path / "metadata.json").is_file():
            raise UnsafeModelError(
                f"{name} is refused: it is a .keras model as a folder, whose files may be links to anywhere. Open it "
                "where nothing can be lost and save it as one file: model.save('model.keras')."
            )
        if (path / "saved_model.pb").is_file():
            raise UnsafeModelError("{} is refused: {}. {}.".format(name, *_OTHERS[".pb"]))
        return load_run(path, **options)
    for ending, (reason, fix) in _OTHERS.items():
        if name.lower().endswith(ending):
            raise UnsafeModelError(f"{name} is refused: {reason}. {fix}.")
    if not os.path.lexists(path):
        raise KzooError(f"{name} does not exist. {_GIVE}")
    if path.suffix != ".keras":
        raise UnsafeModelError(f"{name} is refused: it is not a .keras file. {_GIVE}")
    return load_keras_file(path, **options)


def _is_sha256(text: object) -> bool:
    return isinstance(text, str) and len(text) == 64 and set(text) <= set(string.hexdigits)


def load_weights_file(path: str | os.PathLike[str], spec: Mapping[str, Any]) -> "keras.Model":
    """Return the network of a specification with the weights of a `.weights.h5` file, not compiled.

    Raises:
        UnsafeModelError, KzooError: it holds other things than this network's weights.
    """
    with naming(path):
        return load_recipe(spec, read_once(path))


def load_exported(
    folder: str | os.PathLike[str], *, trusted: Iterable[Any] = (), expected_sha256: str | None = None
) -> "keras.Model":
    """Return an export's network, not compiled. See `kzoo.load_model`; `expected_sha256` is that of `kzoo.json`."""
    folder = Path(folder)
    with naming(folder / MANIFEST):
        raw = read_once(folder / MANIFEST, MAX_CONFIG)
        check_sha256(raw, expected_sha256)
        manifest = _checked_manifest(parse_json(raw, "it"))
    kept = None
    for name, facts in manifest.files.items():
        with naming(folder / name):
            if name in (WEIGHTS, FOREIGN):
                kept = name, _checked_bytes(folder, name, facts)
            else:
                _check_file(folder, name, facts)
    own = manifest.spec.get("family") is not None
    with naming(folder):
        if kept is None or kept[0] != (WEIGHTS if own else FOREIGN):
            raise Refused(f"its kzoo.json lists no {WEIGHTS if own else FOREIGN}", _NEW)
    with naming(folder / kept[0]):
        return load_recipe(manifest.spec, kept[1]) if own else load_bytes(kept[1], trusted=trusted)


def _checked_manifest(said: Any) -> Manifest:
    try:
        manifest = Manifest.read(said)
    except Malformed as wrong:
        raise Unreadable(f"it {wrong}") from None
    for name in manifest.files:
        if not is_inside(name):
            raise Refused(f"it lists the file {short(name)}, which is not inside its folder")
    if WEIGHTS in manifest.files and FOREIGN in manifest.files:
        raise Refused("it lists two models")
    return manifest


def _checked_bytes(folder: Path, name: str, facts: Mapping[str, Any]) -> bytes:
    _check_folders(folder, name)
    data = read_once(folder / name, MAX_BYTES)
    _compare(hashlib.sha256(data).hexdigest(), facts)
    return data


def _check_file(folder: Path, name: str, facts: Mapping[str, Any]) -> None:
    """Check a file that nothing here opens, and that may have any size."""
    _check_folders(folder, name)
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise Unreadable("it is missing, or not a regular file")
    with open(path, "rb") as file:
        _compare(hashlib.file_digest(file, "sha256").hexdigest(), facts)


def _check_folders(folder: Path, name: str) -> None:
    for above in Path(name).parents:
        path = folder / above
        if str(above) != "." and os.path.lexists(path) and stat.S_ISLNK(os.lstat(path).st_mode):
            raise Refused(f"its folder {str(above)!r} is a symbolic link", _NEW)


def _compare(found: str, facts: Mapping[str, Any]) -> None:
    if found != facts["sha256"].lower():
        raise Refused("it is not the file that kzoo.json describes: its sha256 differs", _NEW)


def load_run(
    folder: str | os.PathLike[str],
    *,
    file: str | None = None,
    trusted: Iterable[Any] = (),
    expected_sha256: str | None = None,
) -> "keras.Model":
    """Return a run's best model, not compiled, or that of another file of it. See `kzoo.load_model`; `expected_sha256`
    is that of the file."""
    run = Run(folder)
    with naming(run.path / "config.json"):
        read_once(run.path / "config.json", MAX_RUN_CONFIG)
    path, spec = run.path / file if file else run.model_file, run.config["spec"]
    with naming(path):
        raw = read_once(path)
        check_sha256(raw, expected_sha256)
        if not isinstance(spec, dict):
            raise Refused("its config.json does not say what was trained", "Train again")
        if spec.get("family") is None:
            return load_bytes(raw, trusted=trusted)
        return load_recipe(spec, open_archive(raw).weights)
