"""`load_model`: one door for exported models, runs and strangers' files."""

import os
import string
from pathlib import Path

from kzoo.errors import KzooError, UnsafeModelError
from kzoo.loading.exported import MANIFEST, load_exported
from kzoo.loading.foreign import load_keras_file, trusted_names
from kzoo.loading.run import load_run

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
    ".onnx": ("it is no Keras model", "Run it with onnxruntime, or its folder with kzoo.runtime.load"),
    ".tflite": ("it is no Keras model", "Run it with ai-edge-litert, or its folder with kzoo.runtime.load"),
}
_GIVE = "Give an exported model, a run or a .keras file."


def load_model(path, *, trusted=(), expected_sha256=None):
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
    trusted = trusted or getattr(path, "trusted", ())  # a Run knows the classes it was trained with
    trusted_names(trusted)
    if expected_sha256 is not None and not _is_sha256(expected_sha256):
        raise KzooError(f"expected_sha256={expected_sha256!r} must be 64 hexadecimal digits.")
    options = dict(trusted=trusted, expected_sha256=expected_sha256)
    path = getattr(path, "path", path)  # a Run or an ExportedModel
    if not isinstance(path, str | os.PathLike):
        raise KzooError(f"{path!r} is not an exported model, a run or a .keras file, nor the path of one.")
    name = os.fspath(path)
    if "://" in name:
        raise UnsafeModelError(f"{name} is refused: it is an address. Download it, and give the file.")
    path = Path(path)
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
        raise UnsafeModelError(f"{name} is refused: it is no .keras file. {_GIVE}")
    return load_keras_file(path, **options)


def _is_sha256(text):
    return isinstance(text, str) and len(text) == 64 and set(text) <= set(string.hexdigits)
