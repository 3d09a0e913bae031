"""`load` opens a file of an exported model; `Model.predict` answers raw inputs with it."""

import hashlib
import os
from importlib.util import find_spec
from pathlib import PurePosixPath
from typing import Any

import numpy as np

from kzoo import kinds
from kzoo.data.encode import Encoded, check_token_ids, encode_named, to_predictions
from kzoo.export.format import in_batches
from kzoo.export.formats import formats
from kzoo.export.sandbox import check_cost
from kzoo.exported import MANIFEST, ExportedModel, Manifest, is_inside
from kzoo.predictions import ANSWERS, Predictions
from kzoo.sources.arrays import all_finite, as_array, check_count
from kzoo.sources.unreadable import ANSWERED
from kzoo.tasks import Target, pair, problem
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import check_regular, expand_home
from kzoo.utils.formatting import hint, shown
from kzoo.utils.optional import require


@checked_arguments
def load(
    exported: ExportedModel | str | os.PathLike[str], format: str | None = None, *, threads: int | None = None
) -> "Model":
    """Open an exported model.

    Args:
        exported: what `kzoo.export` returned, or its path.
        format: which of its files, such as "onnx_int8"; by default "onnx", else "litert", whichever is there and has
            its runtime installed.
        threads: that compute an answer; by default as many as the machine has.

    Raises:
        KzooError: not an exported model, a file that was altered, no such file, or no runtime for it; the message
            has the `pip install` that helps.
    """
    threads = None if threads is None else checked_count("threads", threads)
    exported = exported if isinstance(exported, ExportedModel) else ExportedModel(exported)
    manifest = _checked(exported)
    key = chosen(exported, format)
    entry = manifest.exports[key]
    runs = formats()[entry.format]
    for package in runs.packages:
        require(package, extra=runs.extra)
    content, name, (given,) = _read(exported, entry.file), f"{exported.path.name}/{key}", manifest.inputs
    check_cost(content, entry.format, name=name, shape=given["shape"][1:], dtype=given["dtype"])
    session = runs.open(content, name=name, threads=threads)
    return Model(manifest, key, session)


class Model:
    """An exported model that is open. `load` makes it.

    `predict` is all that most need. A server takes its steps one by one, so that the rows of several requests go
    through the network together: `receive` or `tensor`, then `answer`, `check` and `say`.

    Args:
        manifest: what `kzoo.json` says.
        format: the key of the file that is open, such as "onnx".
        session: the open file, see `kzoo.export.format.Format`.
    """

    def __init__(self, manifest: Manifest, format: str, session: Any) -> None:
        self.name, self.format, self._session = manifest.name, format, session
        (given,), (gives,) = manifest.inputs, manifest.outputs
        self.inputs, self.outputs = given["name"], gives["name"]
        self._preprocessing = manifest.preprocessing or kinds.ready(given["name"], given["shape"][1:])
        self._postprocessing = manifest.postprocessing
        self._kind, ids = gives["kind"], (manifest.spec.get("config") or {}).get("vocabulary_size")
        self._ids = ids if ids and "ids" in kinds.kind(given["name"]).facts else None
        # A model that kzoo did not build has no task: what its graph gives says what it answers.
        named, fact = manifest.spec["task"], "values" if gives["kind"] == "values" else "classes"
        self._task = (pair(given["name"], fact) if named is None else problem(named)).task
        classes, outputs = tuple(manifest.labels), gives["shape"][-1]
        if not classes and "classes" in self._task.facts:
            classes = tuple(str(number) for number in range(2 if outputs == 1 else outputs))
        self._target = Target(names=tuple(manifest.targets), classes=classes)
        self.shape = tuple(given["shape"][1:])

    def __repr__(self) -> str:
        return f"<Model {self.name}: {self.format}, takes {self.inputs}>"

    @short_errors
    def predict(self, inputs: Any, *, batch_size: int = 128) -> Predictions:
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
        batch_size = checked_count("batch_size", batch_size)
        encoded = self._known(encode_named(self._preprocessing, expand_home(inputs)))
        return self.say(encoded, self.check(self.answer(encoded.x, batch_size)))

    def receive(self, given: Any, most: int | None = None) -> Encoded:
        """Read raw inputs that came from elsewhere: no text among them is taken for the path of a file.

        Args:
            given: as JSON has them, `bytes` in the place of a file; see `received` in `kzoo.kinds`.
            most: inputs that are read; by default any number.

        Raises:
            KzooError: an input that cannot be read or does not fit.
        """
        light = kinds.kind_of(self._preprocessing).inference
        if kinds.takes_ready_arrays(self._preprocessing) or not hasattr(light, "received"):
            return self.tensor(given, most)
        raw = light.received(self._preprocessing, given, most)
        return self._known(encode_named(self._preprocessing, raw, most=ANSWERED))

    def tensor(self, given: Any, most: int | None = None) -> Encoded:
        """Read arrays, or nested lists, of the network's own input shape.

        Raises:
            KzooError: another shape, no numbers, NaN, or numbers that the network was not trained on.
        """
        encoded = encode_named(kinds.ready(self.inputs, self.shape), as_array(given, "Inputs"))
        check_count(len(encoded.x), most)
        light = kinds.kind_of(self._preprocessing).inference
        if not kinds.takes_ready_arrays(self._preprocessing) and hasattr(light, "check"):
            light.check(self._preprocessing, encoded.x)
        return self._known(encoded)

    def answer(self, x: np.ndarray, batch_size: int = 128) -> np.ndarray:
        """Return what the network gives for rows that were read, (N, ...), unchecked."""
        return in_batches(self._session, x, batch_size).astype(np.float32, copy=False)

    def check(self, answers: np.ndarray) -> np.ndarray:
        """Return answers that are numbers, as many to a row as there are labels.

        Raises:
            KzooError: they are not.
        """
        if not all_finite(answers):
            raise KzooError(f"{self.name}/{self.format} gives NaN or infinity for these inputs.")
        count = len(self._target.classes)
        if count and count != max(answers.shape[-1], 2):
            raise KzooError(f"{self.name} gives {answers.shape[-1]} answers, and kzoo.json has {count} labels.")
        return answers

    def say(self, encoded: Encoded, answers: np.ndarray) -> Predictions:
        """Return what answers mean for the inputs they were given to."""
        return to_predictions(
            self._task, self._target, answers, encoded, self._preprocessing, logits=ANSWERS.get(self._kind),
            postprocessing=self._postprocessing,
        )  # fmt: skip

    def _known(self, encoded: Encoded) -> Encoded:
        check_token_ids(encoded.x, self._ids)
        return encoded


def _checked(exported: ExportedModel) -> Manifest:
    """Return the manifest if it also says all that encoding and answering take."""
    manifest = exported.manifest
    spec, how = manifest.spec, manifest.preprocessing
    if how is not None and (wrong := kinds.misread(how, _config(manifest))):
        file = exported.path / MANIFEST
        raise KzooError(f"{file} is not the one that kzoo.export writes: its preprocessing {wrong}. Export again.")
    if "task" not in spec or not isinstance(spec.get("config"), dict | None) or not manifest.outputs[0]["shape"]:
        raise KzooError(f"{exported.path / MANIFEST} is not the one that kzoo.export writes. Export again.")
    return manifest


def _config(manifest: Manifest) -> dict[str, Any]:
    """Return what is known of the network that an exported model holds."""
    config = manifest.spec.get("config")
    return (config if isinstance(config, dict) else {}) | {"input_shape": manifest.inputs[0]["shape"][1:]}


def chosen(exported: ExportedModel, format: str | None = None) -> str:
    """Return the key of the file that `load` opens.

    Raises:
        KzooError: there is none that runs without Keras, or none of this format.
    """
    exports, known = exported.manifest.exports, formats()
    light = [name for name, runs in known.items() if runs.light]
    have = [key for key, entry in exports.items() if entry.file and entry.format in light]
    if not have:
        other = ", ".join(exports) or "none"
        raise KzooError(
            f"{exported.path} has no file that runs without Keras ({', '.join(light)}), only: {other}. "
            f"Export with formats={light[0]!r}."
        )
    if format is None:
        plain = [key for key in light if key in have]
        ready = [key for key in plain if all(map(find_spec, known[key].packages))]
        return (ready or plain or have)[0]
    if not isinstance(format, str) or format not in have:
        entry = exports.get(format) if isinstance(format, str) else None
        why = f"it was not exported: {entry.error}" if entry and entry.error else None
        why = why or f"{hint(str(format), have)}It has: {', '.join(have)}"
        raise KzooError(
            f"format={shown(format)} is not a file that {exported.path} can be run from; {why.rstrip('.')}."
        )
    return format


def _read(exported: ExportedModel, name: str) -> bytes:
    """Return a file's bytes, which are those that the manifest says: nothing else is given to a native parser."""
    pure, listed = PurePosixPath(name), exported.manifest.files.get(name)
    if listed is None or not is_inside(name):
        raise KzooError(f"{exported.path}: {name!r} is not among the files of kzoo.json. Export again.")
    file = exported.path / pure
    try:
        if any((exported.path / part).is_symlink() for part in (pure, *pure.parents)[:-1]):
            raise KzooError(f"{file} is a symbolic link, and kzoo.export writes none. Copy the file itself.")
        check_regular(file)
        content = file.read_bytes()
    except OSError as error:
        raise KzooError(f"{file} cannot be read: {error.strerror}. Copy the folder again.") from None
    if hashlib.sha256(content).hexdigest() != listed["sha256"]:
        raise KzooError(
            f"{file} is damaged or was altered: its sha256 is not that of kzoo.json. Copy the folder again."
        )
    return content
