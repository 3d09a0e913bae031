"""The index of a hub, `index.json`: its models, their revisions, and the files of each with size and sha256."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any

from kzoo.inference.exported import MANIFEST, Manifest, is_inside
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import shown

INDEX = "index.json"
FORMAT_VERSION = 1
MAX_INDEX = 16 << 20  # bytes
MAX_FILES = 10_000  # of a revision
SHORTEST_SUM = 7  # digits of a sha256 that name a revision, as of a commit in git
_SHA256 = re.compile("[0-9a-f]{64}")
_NUMBER = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True, kw_only=True)
class Revision:
    """A revision of a model on a hub.

    Args:
        revision: its number, from 1; of the Hugging Face Hub, the commit.
        sha256: of its `kzoo.json`, which has the checksums of all other files.
        files: path in the folder of the revision -> sha256 and bytes.
        pushed: date.
        preset, task: of the model.
        licence: of the training data, as far as kzoo knows it; "" if unknown.
        author: who exported it, as they named themselves.
        signer: fingerprint of the key that signed it; "" if it is not signed.
    """

    revision: str
    sha256: str
    files: Mapping[str, Mapping[str, Any]]
    pushed: str = ""
    preset: str = ""
    task: str = ""
    licence: str = ""
    author: str = ""
    signer: str = ""

    @property
    def bytes(self) -> int:
        """Bytes of all files."""
        return sum(facts["bytes"] for facts in self.files.values())

    def json(self) -> JsonObject:
        """Return the revision as plain data."""
        return asdict(self) | {"files": {name: dict(facts) for name, facts in self.files.items()}}

    @classmethod
    def read(cls, document: Json) -> "Revision":
        """Read a revision of an untrusted index.

        Raises:
            ValueError: it is not valid; the message says why.
        """
        if not isinstance(document, dict):
            raise ValueError("a revision is not an object")
        known = {f.name: f for f in fields(cls)}
        values = {name: value for name, value in document.items() if name in known}
        for name, f in known.items():
            if name not in values and f.default is MISSING:
                raise ValueError(f"a revision has no {name}")
            if name != "files" and not isinstance(values.get(name, ""), str):
                raise ValueError(f"{name} is {shown(values[name])}")
        if not _SHA256.fullmatch(values["sha256"]):
            raise ValueError(f"{shown(values['sha256'])} is not a sha256")
        _check_files(values["files"])
        revision = cls(**values)
        if revision.files.get(MANIFEST, {}).get("sha256") != revision.sha256:
            raise ValueError(f"a revision has another sha256 than its {MANIFEST}")
        return revision


def stated(manifest: Manifest) -> dict[str, str]:
    """Return what an index repeats of a manifest: preset, task, licence and author of a `Revision`."""
    return dict(
        preset=manifest.name,
        task=str(manifest.spec.get("task") or ""),
        licence=str(manifest.origin.get("licence") or ""),
        author=manifest.author,
    )


def _check_files(files: Json) -> None:
    if not isinstance(files, dict) or len(files) > MAX_FILES:
        raise ValueError(f"a revision has no list of at most {MAX_FILES:,} files")
    for name, facts in files.items():
        if not is_inside(name) or not name.isprintable() or len(name) > 500:
            raise ValueError(f"the file {shown(name)} is not inside the folder of its revision")
        size = facts.get("bytes") if isinstance(facts, dict) else None
        if type(size) is not int or size < 0:
            raise ValueError(f"the file {shown(name)} has no size")
        if not isinstance(facts.get("sha256"), str) or not _SHA256.fullmatch(facts["sha256"]):
            raise ValueError(f"the file {shown(name)} has no sha256")
    spellings = {name.casefold() for name in files}
    parents = {
        "/".join(name.split("/")[:n]) for name in spellings for n in range(1, name.count("/") + 1)
    }
    if len(spellings) < len(files) or parents & spellings:
        raise ValueError("two files of a revision have the same path on some systems")


@dataclass(frozen=True)
class Index:
    """The models of a hub.

    Args:
        models: name -> its revisions, oldest first.
    """

    models: Mapping[str, Sequence[Revision]] = field(default_factory=dict)

    @classmethod
    def read(cls, content: bytes, where: object) -> "Index":
        """Read an untrusted index.

        Args:
            content: of the file.
            where: its path or URL, for messages.

        Raises:
            KzooError: it is not an index, or not a valid one.
        """
        try:
            document = json.loads(content)
        except (ValueError, RecursionError):
            raise KzooError(
                f"{where} is damaged: it is not JSON. Push to this hub again."
            ) from None
        if not isinstance(document, dict) or not isinstance(document.get("models"), dict):
            raise KzooError(f"{where} is not the index of a hub, which kzoo push writes.")
        if document.get("format_version") != FORMAT_VERSION:
            version = shown(document.get("format_version"))
            raise KzooError(
                f"{where} has format_version {version}, but this kzoo reads {FORMAT_VERSION}. Update kzoo."
            )
        models = {}
        for name, revisions in document["models"].items():
            try:
                models[name] = _read_revisions(revisions)
            except ValueError as error:
                raise KzooError(
                    f"{where}: {shown(name)} is not valid: {error}. Ask its owner."
                ) from None
        return cls(models)

    def content(self) -> JsonObject:
        """Return the content of the file."""
        models = {
            name: [revision.json() for revision in revisions]
            for name, revisions in sorted(self.models.items())
        }
        return {"format_version": FORMAT_VERSION, "models": models}

    def with_revision(self, name: str, revision: Revision) -> "Index":
        """Return an index with a further revision of a model."""
        return Index({**self.models, name: [*self.models.get(name, ()), revision]})


def _read_revisions(document: Json) -> list[Revision]:
    if not isinstance(document, list) or not document:
        raise ValueError("it has no list of revisions")
    revisions = [Revision.read(each) for each in document]
    if not all(_NUMBER.fullmatch(each.revision) for each in revisions):
        raise ValueError("a revision has no number")
    if len({each.revision for each in revisions}) < len(revisions):
        raise ValueError("two revisions have the same number")
    return sorted(revisions, key=lambda each: int(each.revision))


def select(revisions: Iterable[Revision], requested: str | None) -> Revision | None:
    """Return the requested revision of a model; None if there is none.

    Args:
        revisions: oldest first.
        requested: a number, or the first digits of a sha256 or a commit (7 or more); None for the newest.
    """
    revisions = list(revisions)
    if requested is None:
        return revisions[-1] if revisions else None
    exact = [each for each in revisions if each.revision == requested]
    if exact or len(requested) < SHORTEST_SUM:
        return exact[-1] if exact else None
    text = requested.lower()
    return next(
        (
            each
            for each in reversed(revisions)
            if each.sha256.startswith(text) or each.revision.startswith(text)
        ),
        None,
    )
