"""`ExportedModel`: the folder that `export` writes and every later step takes. Standard library only."""

import hashlib
import os
from functools import cached_property
from importlib import import_module
from pathlib import Path

from kzoo.errors import KzooError
from kzoo.files import read_json

FORMAT_VERSION = 1


class ExportedModel:
    """An exported model, opened from its folder.

    Args:
        path: the folder.

    Raises:
        KzooError: it is not an exported model, or damaged, or of a later kzoo.
    """

    def __init__(self, path):
        if not isinstance(path, str | os.PathLike):
            raise KzooError(f"{path!r} is not an exported model, nor the path of one.")
        self.path = Path(path)
        if not (self.path / "kzoo.json").is_file():
            what = "is a file" if self.path.is_file() else "does not exist"
            what = "has no kzoo.json" if self.path.is_dir() else what
            raise KzooError(f"{self.path} is not an exported model: it {what}. kzoo.export writes one.")

    def __repr__(self):
        return f"<ExportedModel {self.path}: {self.name} as {', '.join(self.exports) or 'nothing'}>"

    def __fspath__(self):
        return os.fspath(self.path)

    @cached_property
    def config(self) -> dict:
        """All of `kzoo.json`."""
        file = self.path / "kzoo.json"
        try:
            config = read_json(file)
        except (ValueError, RecursionError):
            raise KzooError(f"{file} is damaged: it is no JSON. Export again.") from None
        if not isinstance(config, dict) or not {"format_version", "spec", "exports", "files"} <= set(config):
            raise KzooError(f"{file} is not the one that kzoo.export writes. Export again.")
        if config["format_version"] != FORMAT_VERSION:
            raise KzooError(
                f"{file} has format_version {config['format_version']!r}, and this kzoo reads {FORMAT_VERSION}. "
                "Use the kzoo that wrote it, or a newer one."
            )
        return config

    @property
    def name(self) -> str:
        return self.config["name"]

    @property
    def spec(self) -> dict:
        """Family and resolved config; see `kzoo.spec_of`."""
        return self.config["spec"]

    @property
    def labels(self) -> list:
        """Class names, in the order of the probabilities; empty for values."""
        return self.config["labels"]

    @property
    def preprocessing(self) -> dict | None:
        """What turns a raw input into the model's input; None where it was exported without a run."""
        return self.config["preprocessing"]

    @property
    def exports(self) -> dict:
        """Key, such as "onnx_int8" -> its status, difference, size and latency; "failed" ones have an error instead."""
        return self.config["exports"]

    def file(self, key) -> Path:
        """Return the file (for a SavedModel: the folder) of an export.

        Raises:
            KzooError: there is none, or it failed.
        """
        entry = self.exports.get(key)
        if entry is None or entry.get("file") is None:
            have = ", ".join(k for k, e in self.exports.items() if e.get("file")) or "none"
            raise KzooError(f"{self.path} has no {key} file. It has: {have}.")
        return self.path / entry["file"]

    def check(self, *, timeout=600, begin=lambda key: None) -> dict:
        """Compare every exported file with the golden answers, here, by its own runtime, in a fresh process.

        A SavedModel is a program: check exports of people you trust.

        Args:
            timeout: seconds for one file.
            begin: called with each key before its check.

        Returns:
            Key -> its entry as in `exports`, as it is now: `status` is "ok", "failed" (with an `error`), or "unchecked"
            where the runtime is not installed (with a `note` that installs it).
        """
        return import_module("kzoo.export.recheck").recheck(self, timeout=timeout, begin=begin)

    def damage(self) -> list[str]:
        """Compare every file with the manifest; return a line for each that was altered, lost or added.

        A manifest proves integrity, not where the folder came from: who can change a file can change it too.
        """
        listed, found = self.config["files"], set(files_below(self.path)) - {"kzoo.json"}
        lines = [f"{name}: missing" for name in sorted(set(listed) - found)]
        lines += [f"{name}: not in kzoo.json" for name in sorted(found - set(listed))]
        for name in sorted(found & set(listed)):
            file = self.path / name
            if file.is_symlink() or not file.is_file():
                lines.append(f"{name}: is no regular file")
            elif described(file) != listed[name]:
                lines.append(f"{name}: its bytes are not those of the export")
        return lines


def files_below(folder):
    """Return every file below a folder, as sorted posix paths."""
    folder = Path(folder)
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink() or not p.is_dir())


def described(file) -> dict:
    """Return a file's line in the manifest."""
    with open(file, "rb") as stream:
        return {"sha256": hashlib.file_digest(stream, "sha256").hexdigest(), "bytes": os.path.getsize(file)}
