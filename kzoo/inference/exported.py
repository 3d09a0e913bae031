"""`ExportedModel`: the folder that `export` writes, and its manifest. Standard library only.

`kzoo.json`, the manifest, is read and written here and nowhere else.
"""

import copy
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import MISSING, dataclass, field, fields, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from kzoo.inference.postprocessors import STEP
from kzoo.utils.address import local
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import Json, JsonObject, described, path_of, read_json, write_json
from kzoo.utils.schema import Each, misfit

if TYPE_CHECKING:
    from kzoo.inference.signature import Signature

FORMAT_VERSION = 1
MANIFEST = "kzoo.json"
SIGNATURE = "kzoo.json.sig"  # of the manifest, see `kzoo.inference.signature`
_CHECKSUM = "sha256"  # key of the checksum of all other keys of the manifest
_COUNTS = {"labels?": [int], "words?": [int], "categories?": Each([int])}
ANSWERS = ("probabilities", "values", "logits", "scores")
STATUS = ("ok", "failed", "unchecked")


class Malformed(ValueError):
    """A manifest is invalid; the message is the end of a sentence that begins with its file name."""

    def __init__(
        self, reason: str, fix: str = "it was not written by kzoo.export; export again"
    ) -> None:
        super().__init__(f"{reason}: {fix}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The entry of one exported file in a manifest.

    Args:
        format: a name in `kzoo.export.formats`.
        quantize: "float16", "int8", or None for float32.
        status: one of `STATUS`.
        error: why it failed.
        note: a remark about a file that has not failed.
        file: where it is in the folder (for a SavedModel, a folder too); None when it failed.
        bytes: its size.
        batch: its fixed batch size, or None for any.
        difference, tolerance: difference from Keras on the golden inputs, and its maximum.
        agreement: share of the sample's predictions that equal those of Keras.
        score, score_keras: scores of the file and of Keras on the sample.
        latency_ms: milliseconds for "1" and for "32" inputs.
        runtime: the runtime that ran it, with its version.
        facts: further keys of its format, such as the opset.
    """

    format: str
    status: str
    quantize: str | None = None
    file: str | None = None
    batch: int | None = None
    difference: float | int | None = None
    tolerance: float | int | None = None
    agreement: float | int | None = None
    score: float | int | None = None
    score_keras: float | int | None = None
    bytes: int | None = None
    latency_ms: dict | None = None
    runtime: str | None = None
    error: str | None = None
    note: str | None = None
    facts: dict = field(default_factory=dict)

    @classmethod
    def read(cls, key: str, document: Json) -> "Entry":
        """Read an entry; unknown keys are facts of its format.

        Raises:
            Malformed: a key is missing, or a value has the wrong type.
        """
        if not isinstance(document, dict):
            raise Malformed(f"has no valid entry for the export {_shortened(key)}")
        names = {f.name for f in fields(cls)} - {"facts"}
        facts = {name: value for name, value in document.items() if name not in names}
        entry = _checked(
            cls, {name: document[name] for name in names & set(document)} | {"facts": facts}, key
        )
        if entry.status not in STATUS:
            raise Malformed(
                f"has an unknown status {_shortened(entry.status)} of the export {_shortened(key)}"
            )
        return entry

    def json(self) -> JsonObject:
        """Return the entry of `kzoo.json`."""
        document = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "facts"}
        optional = ("score_keras", "error", "note")
        return {
            k: v for k, v in document.items() if v is not None or k not in optional
        } | copy.deepcopy(self.facts)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """The description of an exported folder, stored in `kzoo.json`.

    Args:
        name: name of the preset or of the custom model.
        created: date of the export.
        spec: family and resolved config; see `kzoo.spec_of`.
        parameters: number of parameters of the network.
        inputs: one dict: name, shape, dtype and meaning.
        outputs: one dict: name, shape, and a kind, one of `ANSWERS`.
        labels: class names, in the order of the probabilities; empty for values.
        targets: names of the targets of a regression.
        preprocessing: the stored preprocessor of raw inputs; None if it was exported without a run.
        data: description of the training data, from the run, or None.
        metrics: split -> the run's scores.
        versions: package -> version at the export.
        predict_ms: milliseconds of Keras' `predict`, as in `Entry.latency_ms`.
        exports: key, such as "onnx_int8" -> `Entry`.
        files: path of every other file of the folder -> its sha256 and bytes.
        postprocessing: the stored postprocessing steps of the outputs; see `Run.postprocessing`.
        baselines: scores of the baselines on the same split, as in the run's summary.
        origin: `source` and `licence` of the data set, if kzoo knows it by name.
        typical: an encoded row of medians and most frequent categories of the training rows, with which explanations
            compare; empty if the preprocessor has them, or if they are not known.
        row_bytes: bytes of the outputs of all layers for a row, which limit the rows of a batch; 0 if not known.
        author: who exported it, as they named themselves; "" if they did not.
        retrained: the sentence on the last retraining of the run (`kzoo check RUN --retrain`); "" without one.
        counts: numbers of training rows, among at most 100,000: `labels`, of each class; `words`, of each word of the
            vocabulary; and `categories`, column -> of each of its categories; {} if they are not known.
        signing_key: fingerprint of the SSH key whose signature is in `kzoo.json.sig`; "" if it is not signed.
    """

    name: str
    created: str
    spec: dict
    parameters: int
    inputs: list
    outputs: list
    labels: list
    targets: list
    preprocessing: dict | None
    data: dict | None
    metrics: dict
    versions: dict
    predict_ms: dict
    exports: dict
    files: dict
    postprocessing: list = field(default_factory=list)
    baselines: list = field(default_factory=list)
    origin: dict = field(default_factory=dict)
    typical: list = field(default_factory=list)
    row_bytes: int = 0
    author: str = ""
    retrained: str = ""
    counts: dict = field(default_factory=dict)
    signing_key: str = ""

    @classmethod
    def read(cls, document: Json) -> "Manifest":
        """Read the manifest of an exported model from an untrusted document.

        Raises:
            Malformed: another version, a missing or unknown key, an invalid value, or a checksum that does not match
                (manifests of earlier versions have none).
        """
        if not isinstance(document, dict):
            raise Malformed("is not the kzoo.json of an exported model")
        if "format_version" not in document:
            raise Malformed(
                "has no format_version, so it is not the kzoo.json of an exported model"
            )
        if document["format_version"] != FORMAT_VERSION:
            version = _shortened(document["format_version"])
            raise Malformed(
                f"has format_version {version}, but this kzoo reads {FORMAT_VERSION}", "update kzoo"
            )
        if _CHECKSUM in document:
            document = dict(document)
            if document.pop(_CHECKSUM) != _checksum(document):
                raise Malformed(
                    "was changed after the export: its sha256 does not match",
                    "copy the folder again",
                )
        manifest = _checked(
            cls, {name: value for name, value in document.items() if name != "format_version"}
        )
        for name, facts in manifest.files.items():
            if not isinstance(facts, dict) or not isinstance(facts.get("sha256"), str):
                raise Malformed(f"has no checksum of {_shortened(name)}")
        for name, required in (
            ("inputs", ("name", "shape", "dtype")),
            ("outputs", ("name", "shape", "kind")),
        ):
            descriptions = getattr(manifest, name)
            if (
                len(descriptions) != 1
                or not isinstance(descriptions[0], dict)
                or not set(required) <= set(descriptions[0])
            ):
                raise Malformed(f"must have exactly one of {name!r}, with {', '.join(required)}")
            if not isinstance(descriptions[0]["name"], str) or not isinstance(
                descriptions[0]["shape"], list
            ):
                raise Malformed(f"has {name!r} without a name or a shape")
        if manifest.outputs[0]["kind"] not in ANSWERS:
            raise Malformed(f"has an unknown kind of outputs, not one of {', '.join(ANSWERS)}")
        if mismatch := misfit(manifest.postprocessing, [STEP], "its postprocessing"):
            raise Malformed(f"is invalid: {mismatch}")
        if mismatch := misfit(manifest.counts, _COUNTS, "its counts"):
            raise Malformed(f"is invalid: {mismatch}")
        if mismatch := misfit(manifest.typical, [float], "its typical row"):
            raise Malformed(f"is invalid: {mismatch}")
        exports = {key: Entry.read(key, entry) for key, entry in manifest.exports.items()}
        return replace(manifest, exports=exports)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Manifest":
        """Read the manifest of a folder.

        Raises:
            KzooError: the manifest is invalid; the message has its path.
        """
        file = Path(folder) / MANIFEST
        try:
            return cls.read(read_json(file))
        except Malformed as error:
            raise KzooError(f"{file} {error}.") from None
        except KzooError:
            raise
        except (ValueError, RecursionError):
            raise KzooError(f"{file} is damaged: it is not JSON. Export again.") from None

    def json(self) -> JsonObject:
        """Return the document of `kzoo.json`; it shares no data with the manifest."""
        document = {f.name: copy.deepcopy(getattr(self, f.name)) for f in fields(self)}
        document["exports"] = {key: entry.json() for key, entry in self.exports.items()}
        for name in (
            "postprocessing",
            "baselines",
            "origin",
            "typical",
            "row_bytes",
            "author",
            "retrained",
            "counts",
            "signing_key",
        ):  # earlier exports do not have these keys
            if not document[name]:
                del document[name]
        return {"format_version": FORMAT_VERSION} | document

    @property
    def checksum(self) -> str:
        """The sha256 of the content, with the checksums of all files: another export has another one."""
        return _checksum(json.loads(json.dumps(self.json())))

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write `kzoo.json` into a folder."""
        document = json.loads(json.dumps(self.json()))
        write_json(Path(folder) / MANIFEST, document | {_CHECKSUM: _checksum(document)})


def _checksum(document: JsonObject) -> str:
    """Return the checksum of a manifest's content, independent of whitespace and order."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


_T = TypeVar("_T", Entry, Manifest)
_FIELD_NAMES = {"spec": "specification", "files": "list of files"}


def _checked(cls: type[_T], document: JsonObject, key: str | None = None) -> _T:
    """Return an `Entry` or a `Manifest` from a document whose keys and types match its fields."""
    context = "" if key is None else f" for the export {_shortened(key)}"
    for f in fields(cls):
        if f.name not in document:
            if f.default is MISSING and f.default_factory is MISSING:
                raise Malformed(f"has no {_FIELD_NAMES.get(f.name, f.name)}{context}")
        elif not isinstance(document[f.name], f.type):  # type: ignore[arg-type]  # annotations are types here, not strings
            raise Malformed(f"has {f.name}={_shortened(document[f.name])}{context}")
    if unknown := set(document) - {f.name for f in fields(cls)}:
        raise Malformed(f"has the unknown key {_shortened(min(unknown))}", "update kzoo")
    return cls(**document)


def _shortened(value: object) -> str:
    """Return an untrusted value as short ASCII text on one line."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class ExportedModel:
    """An exported model, opened from its folder.

    Args:
        path: the folder; or "hub:PLACE/NAME@REVISION" or an address such as "s3://bucket/models/1", which is copied
            into the download cache.

    Raises:
        KzooError: it is not an exported model, or it is damaged or of a later kzoo.

    Examples:
        >>> exported = kzoo.ExportedModel("exports/iris")
        >>> exported.labels, list(exported.exports)
        (['setosa', 'versicolor', 'virginica'], ['onnx'])
        >>> exported.file("onnx").name
        'model.onnx'
        >>> exported.damage()
        []
        >>> exported.check()["onnx"]["status"]
        'ok'
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of(local(path), "an exported model")
        if not (self.path / MANIFEST).is_file():
            problem = "is a file" if self.path.is_file() else "does not exist"
            problem = "has no kzoo.json" if self.path.is_dir() else problem
            raise KzooError(
                f"{self.path} is not an exported model: it {problem}. kzoo.export writes one."
            )

    def __repr__(self) -> str:
        return f"<ExportedModel {self.path}: {self.name} as {', '.join(self.exports) or 'nothing'}>"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest, read from `kzoo.json`."""
        return Manifest.open(self.path)

    @property
    def config(self) -> JsonObject:
        """All of `kzoo.json`, as plain data."""
        return self.manifest.json()

    @property
    def name(self) -> str:
        """Name of the model, such as that of the preset."""
        return self.manifest.name

    @property
    def spec(self) -> JsonObject:
        """Family and resolved config; see `kzoo.spec_of`."""
        return self.manifest.spec

    @property
    def labels(self) -> list[str]:
        """Class names, in the order of the probabilities; empty for values."""
        return self.manifest.labels

    @property
    def preprocessing(self) -> JsonObject | None:
        """The stored preprocessor of raw inputs; None if it was exported without a run."""
        return self.manifest.preprocessing

    @property
    def exports(self) -> dict[str, dict[str, Any]]:
        """Key, such as "onnx_int8" -> its status, difference, size and latency; "failed" ones have an error instead."""
        return {key: entry.json() for key, entry in self.manifest.exports.items()}

    def file(self, key: str) -> Path:
        """Return the file (for a SavedModel: the folder) of an export.

        Args:
            key: a key of `exports`, such as "onnx_int8".

        Raises:
            KzooError: the export does not exist, or it failed.
        """
        exports = self.manifest.exports
        if key not in exports or exports[key].file is None:
            available = ", ".join(k for k, entry in exports.items() if entry.file) or "none"
            raise KzooError(f"{self.path} has no {key} file. It has: {available}.")
        return self.path / exports[key].file

    @short_errors
    def check(
        self, *, timeout: float = 600, begin: Callable[[str], object] = lambda key: None
    ) -> dict[str, dict[str, Any]]:
        """Compare every exported file with the golden outputs on this machine, by its runtime, in a new process.

        A SavedModel can run arbitrary code: check only exports from people you trust.

        Args:
            timeout: seconds per file.
            begin: called with each key before its check.

        Returns:
            Key -> entry as in `exports`, with the new result: `status` is "ok", "failed" (with an `error`), or
            "unchecked" if the runtime is not installed (with a `note` how to install it).
        """
        return import_module("kzoo.export.verify").recheck(self, timeout=timeout, begin=begin)

    def damage(self) -> list[str]:
        """Compare every file with the manifest, and return a line for each that was changed, removed or added.

        A manifest proves integrity, not origin: anyone who can change a file can change the manifest too. A signature
        of the manifest (`signature`) proves who wrote it.
        """
        listed = self.manifest.files
        actual = set(files_below(self.path)) - {MANIFEST, SIGNATURE}
        lines = [f"{name}: missing" for name in sorted(set(listed) - actual)]
        lines += [f"{name}: not in kzoo.json" for name in sorted(actual - set(listed))]
        for name in sorted(actual & set(listed)):
            file = self.path / name
            if file.is_symlink() or not file.is_file():
                lines.append(f"{name}: is not a regular file")
            elif described(file) != listed[name]:
                lines.append(f"{name}: changed since the export")
        return lines

    @short_errors
    def signature(
        self, allowed_signers: str | os.PathLike[str] | None = None
    ) -> "Signature | None":
        """Verify the signature of the manifest, which `kzoo.export(..., sign=KEY)` wrote, by `ssh-keygen`.

        The manifest has a checksum of each file; `damage` compares the files with them.

        Args:
            allowed_signers: a file with a line "NAME KEYTYPE KEY" for each person whose signature is accepted, as for
                `git` (https://man.openbsd.org/ssh-keygen#ALLOWED_SIGNERS). None accepts any key.

        Returns:
            The signature, with its `fingerprint`, `key_type` and `signer`; None if the export is not signed.

        Raises:
            SignatureError: the signature is missing or not valid, or its key is not allowed.
            KzooError: `ssh-keygen` or the file is missing.
        """
        return import_module("kzoo.inference.signature").verify(self.path, allowed_signers)


def is_inside(name: str) -> bool:
    """Return whether the path of a file in a manifest stays in its folder, on any system."""
    return "\\" not in name and ":" not in name and not {"", ".", ".."} & set(name.split("/"))


def files_below(folder: str | os.PathLike[str]) -> list[str]:
    """Return the sorted POSIX paths of all files below a folder."""
    folder = Path(folder)
    return sorted(
        p.relative_to(folder).as_posix()
        for p in folder.rglob("*")
        if p.is_symlink() or not p.is_dir()
    )
