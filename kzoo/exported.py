"""`ExportedModel`: the folder that `export` writes and every later step takes, and its manifest. Standard library only.

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
from typing import Any, TypeVar

from kzoo.postprocessors import STEP
from kzoo.utils.errors import KzooError, short_errors
from kzoo.utils.files import path_of, read_json, write_json
from kzoo.utils.schema import misfit

FORMAT_VERSION = 1
MANIFEST = "kzoo.json"
_SUM = "sha256"  # the name in it of the checksum of all else in it
ANSWERS = ("probabilities", "values", "logits", "scores")
STATUS = ("ok", "failed", "unchecked")


class Malformed(ValueError):
    """What is wrong with a manifest, as the end of a sentence that begins with its name."""

    def __init__(self, reason: str, fix: str = "it is not the one that kzoo.export writes; export again") -> None:
        super().__init__(f"{reason}: {fix}")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """What a manifest says of one exported file.

    Args:
        format: a name in `kzoo.export.formats`.
        quantize: "float16", "int8", or None for float32.
        status: one of `STATUS`.
        error: why it failed.
        note: what is to be known of a file that has not failed.
        file: where it is in the folder (for a SavedModel, a folder too); None when it failed.
        bytes: its size.
        batch: the one batch size it takes, or None for any.
        difference, tolerance: from Keras on the golden inputs, and the most that passes.
        agreement: share of the sample's answers that are those of Keras; score, score_keras: against the truth.
        latency_ms: milliseconds for "1" and for "32" inputs.
        runtime: what ran it, with its version.
        facts: what else its format says of it, such as the opset.
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
    def read(cls, key: str, said: Any) -> "Entry":
        """Read an entry; what it has beyond the names above are facts of its format.

        Raises:
            Malformed: a name is missing, or a value has another type.
        """
        if not isinstance(said, dict):
            raise Malformed(f"says nothing of the export {_short(key)}")
        names = {f.name for f in fields(cls)} - {"facts"}
        facts = {name: value for name, value in said.items() if name not in names}
        entry = _checked(cls, {name: said[name] for name in names & set(said)} | {"facts": facts}, key)
        if entry.status not in STATUS:
            raise Malformed(f"has an export {_short(key)} of the status {_short(entry.status)}")
        return entry

    def json(self) -> dict:
        """Return it as it stands in `kzoo.json`."""
        said = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "facts"}
        seldom = ("score_keras", "error", "note")
        return {k: v for k, v in said.items() if v is not None or k not in seldom} | copy.deepcopy(self.facts)


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All that an exported folder says of itself.

    Args:
        name: the preset's, or the model's own.
        created: the day.
        spec: family and resolved config; see `kzoo.spec_of`.
        parameters: how many the network has.
        inputs: one dict: name, shape, dtype and meaning.
        outputs: one dict: name, shape, and a kind out of `ANSWERS`.
        labels: class names, in the order of the probabilities; empty for values.
        targets: names of the values.
        preprocessing: what turns a raw input into the model's input; None where it was exported without a run.
        data: what it was trained on, as the run describes it, or None.
        metrics: split -> the run's scores.
        versions: package -> the version that made it.
        predict_ms: milliseconds that Keras' own `predict` takes, as in `Entry.latency_ms`.
        exports: key, such as "onnx_int8" -> `Entry`.
        files: every other file of the folder -> its sha256 and bytes.
        postprocessing: what turns outputs into predictions, beyond what the task does; see `Run.postprocessing`.
        baselines: what needs no network, scored on the same split, as the run's summary has it.
        origin: `source` and `licence` of the data set that kzoo knows by the name of the data.
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

    @classmethod
    def read(cls, said: Any) -> "Manifest":
        """Read a manifest that may come from anywhere.

        Raises:
            Malformed: another version, a name that is missing or unknown, a value of another form, or a content that is
                not that of its checksum, which earlier exports do not have.
        """
        if not isinstance(said, dict) or "format_version" not in said:
            raise Malformed("is not the kzoo.json of an exported model")
        if said["format_version"] != FORMAT_VERSION:
            version = _short(said["format_version"])
            raise Malformed(f"has format_version {version}, and this kzoo reads {FORMAT_VERSION}", "update kzoo")
        if _SUM in said:
            said = dict(said)
            if said.pop(_SUM) != _sum_of(said):
                raise Malformed("was changed after the export: its sha256 is another", "copy the folder again")
        manifest = _checked(cls, {name: value for name, value in said.items() if name != "format_version"})
        for name, facts in manifest.files.items():
            if not isinstance(facts, dict) or not isinstance(facts.get("sha256"), str):
                raise Malformed(f"has no checksum of {_short(name)}")
        for name, needs in (("inputs", ("name", "shape", "dtype")), ("outputs", ("name", "shape", "kind"))):
            described = getattr(manifest, name)
            if len(described) != 1 or not isinstance(described[0], dict) or not set(needs) <= set(described[0]):
                raise Malformed(f"must describe one of its {name!r} by {', '.join(needs)}")
            if not isinstance(described[0]["name"], str) or not isinstance(described[0]["shape"], list):
                raise Malformed(f"has {name!r} without a name or a shape")
        if manifest.outputs[0]["kind"] not in ANSWERS:
            raise Malformed(f"says neither that it answers {', '.join(ANSWERS[:-1])} nor {ANSWERS[-1]}")
        if wrong := misfit(manifest.postprocessing, [STEP], "its postprocessing"):
            raise Malformed(f"does not fit: {wrong}")
        exports = {key: Entry.read(key, entry) for key, entry in manifest.exports.items()}
        return replace(manifest, exports=exports)

    @classmethod
    def open(cls, folder: str | os.PathLike[str]) -> "Manifest":
        """Read the manifest of a folder.

        Raises:
            KzooError: one line that names the file and what is wrong with it.
        """
        file = Path(folder) / MANIFEST
        try:
            return cls.read(read_json(file))
        except Malformed as wrong:
            raise KzooError(f"{file} {wrong}.") from None
        except (ValueError, RecursionError):
            raise KzooError(f"{file} is damaged: it is not JSON. Export again.") from None

    def json(self) -> dict:
        """Return it as it stands in `kzoo.json`; nothing in it is shared with the manifest."""
        said = {f.name: copy.deepcopy(getattr(self, f.name)) for f in fields(self)}
        said["exports"] = {key: entry.json() for key, entry in self.exports.items()}
        for name in ("postprocessing", "baselines", "origin"):  # which earlier exports do not have
            if not said[name]:
                del said[name]
        return {"format_version": FORMAT_VERSION} | said

    def write(self, folder: str | os.PathLike[str]) -> None:
        """Write it into a folder."""
        said = json.loads(json.dumps(self.json()))
        write_json(Path(folder) / MANIFEST, said | {_SUM: _sum_of(said)})


def _sum_of(said: dict[str, Any]) -> str:
    """Return the checksum of what a manifest says, however it is spaced and ordered."""
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


_T = TypeVar("_T", Entry, Manifest)
_WORDS = {"spec": "specification", "files": "list of files"}


def _checked(cls: type[_T], given: dict[str, Any], key: str | None = None) -> _T:
    """Make an `Entry` or a `Manifest` of what is given, if names and types are those of its fields."""
    of = "" if key is None else f" for the export {_short(key)}"
    for f in fields(cls):
        if f.name not in given:
            if f.default is MISSING and f.default_factory is MISSING:
                raise Malformed(f"has no {_WORDS.get(f.name, f.name)}{of}")
        elif not isinstance(given[f.name], f.type):  # type: ignore[arg-type]  # in this file they are types, not texts
            raise Malformed(f"has {f.name}={_short(given[f.name])}{of}")
    if unknown := set(given) - {f.name for f in fields(cls)}:
        raise Malformed(f"has {_short(min(unknown))}, which this kzoo does not know", "update kzoo")
    return cls(**given)


def _short(value: object) -> str:
    """Show what a stranger wrote: on one line, without control characters, not long."""
    text = ascii(value)
    return text if len(text) <= 60 else f"{text[:60]}..."


class ExportedModel:
    """An exported model, opened from its folder.

    Args:
        path: the folder.

    Raises:
        KzooError: it is not an exported model, or damaged, or of a later kzoo.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = path_of(path, "an exported model")
        if not (self.path / MANIFEST).is_file():
            what = "is a file" if self.path.is_file() else "does not exist"
            what = "has no kzoo.json" if self.path.is_dir() else what
            raise KzooError(f"{self.path} is not an exported model: it {what}. kzoo.export writes one.")

    def __repr__(self) -> str:
        return f"<ExportedModel {self.path}: {self.name} as {', '.join(self.exports) or 'nothing'}>"

    def __fspath__(self) -> str:
        return os.fspath(self.path)

    @cached_property
    def manifest(self) -> Manifest:
        """What `kzoo.json` says."""
        return Manifest.open(self.path)

    @property
    def config(self) -> dict[str, Any]:
        """All of `kzoo.json`, as plain data."""
        return self.manifest.json()

    @property
    def name(self) -> str:
        return self.manifest.name

    @property
    def spec(self) -> dict[str, Any]:
        """Family and resolved config; see `kzoo.spec_of`."""
        return self.manifest.spec

    @property
    def labels(self) -> list[str]:
        """Class names, in the order of the probabilities; empty for values."""
        return self.manifest.labels

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """What turns a raw input into the model's input; None where it was exported without a run."""
        return self.manifest.preprocessing

    @property
    def exports(self) -> dict[str, dict[str, Any]]:
        """Key, such as "onnx_int8" -> its status, difference, size and latency; "failed" ones have an error instead."""
        return {key: entry.json() for key, entry in self.manifest.exports.items()}

    def file(self, key: str) -> Path:
        """Return the file (for a SavedModel: the folder) of an export.

        Raises:
            KzooError: there is none, or it failed.
        """
        exports = self.manifest.exports
        if key not in exports or exports[key].file is None:
            have = ", ".join(k for k, entry in exports.items() if entry.file) or "none"
            raise KzooError(f"{self.path} has no {key} file. It has: {have}.")
        return self.path / exports[key].file

    @short_errors
    def check(
        self, *, timeout: float = 600, begin: Callable[[str], object] = lambda key: None
    ) -> dict[str, dict[str, Any]]:
        """Compare every exported file with the golden answers, here, by its own runtime, in a fresh process.

        A SavedModel is a program: check exports of people you trust.

        Args:
            timeout: seconds for one file.
            begin: called with each key before its check.

        Returns:
            Key -> its entry as in `exports`, as it is now: `status` is "ok", "failed" (with an `error`), or "unchecked"
            where the runtime is not installed (with a `note` that installs it).
        """
        return import_module("kzoo.export.verify").recheck(self, timeout=timeout, begin=begin)

    def damage(self) -> list[str]:
        """Compare every file with the manifest; return a line for each that was altered, lost or added.

        A manifest proves integrity, not where the folder came from: who can change a file can change it too.
        """
        listed, found = self.manifest.files, set(files_below(self.path)) - {MANIFEST}
        lines = [f"{name}: missing" for name in sorted(set(listed) - found)]
        lines += [f"{name}: not in kzoo.json" for name in sorted(found - set(listed))]
        for name in sorted(found & set(listed)):
            file = self.path / name
            if file.is_symlink() or not file.is_file():
                lines.append(f"{name}: is not a regular file")
            elif described(file) != listed[name]:
                lines.append(f"{name}: its bytes are not those of the export")
        return lines


def is_inside(name: str) -> bool:
    """Say whether a manifest's name of a file stays in its folder, on any system."""
    return "\\" not in name and ":" not in name and not {"", ".", ".."} & set(name.split("/"))


def files_below(folder: str | os.PathLike[str]) -> list[str]:
    """Return every file below a folder, as sorted posix paths."""
    folder = Path(folder)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())


def described(file: str | os.PathLike[str]) -> dict[str, Any]:
    """Return a file's line in the manifest."""
    with open(file, "rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": os.path.getsize(file)}
