"""`load` opens an exported model of a bundle; `Model.predict` answers raw inputs with it."""

import hashlib
from importlib import import_module
from importlib.util import find_spec
from pathlib import PurePosixPath

import numpy as np

from kzoo.data.encode import encode_named
from kzoo.errors import KzooError
from kzoo.export.bundle import Bundle
from kzoo.optional import require
from kzoo.predictions import Predictions, make_predictions
from kzoo.words import hint

# Format -> (the package that runs it, kzoo's extra that brings it, the module here that uses it), best first.
RUNTIMES = {
    "onnx": ("onnxruntime", "onnx", "kzoo.runtime.onnx"),
    "litert": ("ai_edge_litert", "litert", "kzoo.runtime.litert"),
}
# Kind of preprocessing -> what it cannot do without.
_TOKENS = {"length", "level", "lowercase", "punctuation", "vocabulary"}
_NEEDS = {"table": {"columns"}, "text": _TOKENS, "language": _TOKENS, "series": {"columns", "steps"},
          "image": {"shape"}, "array": {"inputs", "shape"}}  # fmt: skip


def load(bundle, format=None) -> "Model":
    """Open an exported model.

    Args:
        bundle: what `kzoo.export` returned, or its path.
        format: which of the bundle's files, such as "onnx_int8"; by default "onnx", else "litert", whichever is there
            and has its runtime installed.

    Raises:
        KzooError: no bundle, a file that was altered, no such file, or no runtime for it; the message has the
            `pip install` that helps.
    """
    bundle = bundle if isinstance(bundle, Bundle) else Bundle(bundle)
    config = _checked(bundle)
    key = _choose(bundle, format)
    package, extra, module = RUNTIMES[_format_of(key)]
    require(package, extra=extra)
    content = _read(bundle, config["exports"][key]["file"])
    return Model(config, key, import_module(module).Session(content, f"{bundle.path.name}/{key}"))


class Model:
    """An exported model that is open. `load` makes it.

    Args:
        config: the bundle's `kzoo.json`.
        format: the key of the file that is open, such as "onnx".
        session: called with an array, it gives an array; its `batch` is the batch size it must have, or None.
    """

    def __init__(self, config, format, session):
        self.name, self.format, self._session = config["name"], format, session
        given, gives = config["inputs"][0], config["outputs"][0]
        self.inputs = given["name"]
        self._preprocessing = config["preprocessing"] or {
            "kind": "array", "inputs": given["name"], "shape": given["shape"][1:],
        }  # fmt: skip
        self._kind, self._ids = gives["kind"], (config["spec"]["config"] or {}).get("vocabulary_size")
        classes = config["labels"]
        if not classes and gives["kind"] != "values" and config["spec"]["task"] != "language_modeling":
            outputs = gives["shape"][-1]
            classes = [str(number) for number in range(2 if outputs == 1 else outputs)]
        self._data = dict(task=config["spec"]["task"], class_names=classes, target_names=config["targets"])

    def __repr__(self):
        return f"<Model {self.name}: {self.format}, takes {self.inputs}>"

    def predict(self, inputs, *, batch_size=128) -> Predictions:
        """Answer raw inputs, as `kzoo.predict` does.

        Args:
            inputs: image files, a folder of them or arrays (pixels 0..255); a CSV file, dicts or a DataFrame; strings;
                the last rows of a series; or an array of the model's own input shape.
            batch_size: examples in a step; the answers do not depend on it.

        Returns:
            `Predictions`: labels and probabilities (N, classes), or values in the target's own unit.

        Raises:
            KzooError: an input that cannot be read or does not fit.
        """
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise KzooError(f"batch_size={batch_size!r} must be a whole number of at least 1.")
        x, names = encode_named(self._preprocessing, inputs)
        if self.inputs == "tokens" and self._ids and (x.min() < 0 or x.max() >= self._ids):
            raise KzooError(f"Token ids run from {x.min()} to {x.max()}; the model knows 0 to {self._ids - 1}.")
        size = self._session.batch or batch_size
        answers = np.concatenate([self._answer(x[i : i + size]) for i in range(0, len(x), size)])
        if not np.isfinite(answers).all():
            raise KzooError(f"{self.name}/{self.format} gives NaN or infinity for these inputs.")
        count = len(self._data["class_names"])
        if count and count != max(answers.shape[-1], 2):
            raise KzooError(f"{self.name} gives {answers.shape[-1]} answers, and kzoo.json has {count} labels.")
        logits = {"probabilities": False, "logits": True}.get(self._kind)
        return make_predictions(answers, self._data, self._preprocessing, names=names, logits=logits)

    def _answer(self, x):
        rows, size = len(x), self._session.batch or len(x)
        if rows < size:
            x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
        return self._session(x)[:rows].astype(np.float32)


def _checked(bundle):
    """Return `kzoo.json` if it says all that is needed to run the model, in the form that it must have."""
    config = bundle.config
    try:
        given, gives, how = config["inputs"][0], config["outputs"][0], config["preprocessing"]
        fine = (
            isinstance(config["name"], str)
            and isinstance(given["name"], str)
            and isinstance(given["shape"], list)
            and gives["kind"] in ("probabilities", "logits", "values")
            and isinstance(gives["shape"], list)
            and isinstance(config["spec"]["config"], dict | None)
            and (how is None or _NEEDS[how["kind"]] <= set(how))
            and all(isinstance(config[name], list) for name in ("labels", "targets"))
            and all(isinstance(entry, dict) for part in ("exports", "files") for entry in config[part].values())
        )
    except (KeyError, IndexError, TypeError, AttributeError):
        fine = False
    if not fine or "task" not in config["spec"]:
        raise KzooError(f"{bundle.path / 'kzoo.json'} is not the one that kzoo.export writes. Export again.")
    return config


def _format_of(key):
    return key.split("_")[0]


def _choose(bundle, format):
    have = [key for key, entry in bundle.exports.items() if entry.get("file") and _format_of(key) in RUNTIMES]
    if not have:
        other = ", ".join(bundle.exports) or "none"
        raise KzooError(f"{bundle.path} has no ONNX or LiteRT file, only: {other}. Export with formats='onnx'.")
    if format is None:
        plain = [key for key in RUNTIMES if key in have]
        ready = [key for key in plain if find_spec(RUNTIMES[key][0])]
        return (ready or plain or have)[0]
    if format not in have:
        why = bundle.exports.get(format, {}).get("error") if isinstance(format, str) else None
        reason = f"it was not exported: {why}" if why else f"{hint(format, have)}It has: {', '.join(have)}"
        raise KzooError(f"format={format!r} is none that {bundle.path} can be run in; {reason.rstrip('.')}.")
    return format


def _read(bundle, name):
    """Return a file's bytes, which are those that the manifest says: nothing else is given to a native parser."""
    pure = PurePosixPath(name)
    listed = bundle.config["files"].get(name)
    if listed is None or pure.is_absolute() or ".." in pure.parts or "\\" in name:
        raise KzooError(f"{bundle.path}: {name!r} is not among the files of kzoo.json. Export again.")
    file = bundle.path / pure
    try:
        if any((bundle.path / part).is_symlink() for part in (pure, *pure.parents)[:-1]):
            raise KzooError(f"{file} is a symbolic link, and a bundle has none. Copy the file itself.")
        content = file.read_bytes()
    except OSError as error:
        raise KzooError(f"{file} cannot be read: {error.strerror}. Copy the bundle again.") from None
    if hashlib.sha256(content).hexdigest() != listed.get("sha256"):
        raise KzooError(
            f"{file} is damaged or was altered: its sha256 is not that of kzoo.json. Copy the bundle again."
        )
    return content
