"""An exported model from anywhere: `kzoo.json` and every file it lists are checked, then the recipe is built."""

import hashlib
import os
import stat
from pathlib import Path

from kzoo.loading.archive import MAX_BYTES, MAX_CONFIG, check_sha256, read_once
from kzoo.loading.config import parse_json
from kzoo.loading.foreign import load_bytes
from kzoo.loading.recipe import load_recipe
from kzoo.loading.refused import Refused, Unreadable, naming, short

FORMAT_VERSION = 1
MANIFEST, WEIGHTS, FOREIGN = "kzoo.json", "model.weights.h5", "model.keras"
_NEW = "Export it again, or fetch it again"


def load_exported(folder, *, trusted=(), expected_sha256=None):
    """Return an export's network, not compiled. See `kzoo.load_model`; `expected_sha256` is that of `kzoo.json`."""
    folder = Path(folder)
    with naming(folder / MANIFEST):
        raw = read_once(folder / MANIFEST, MAX_CONFIG)
        check_sha256(raw, expected_sha256)
        manifest = _checked_manifest(parse_json(raw, "it"))
    kept = None
    for name, facts in manifest["files"].items():
        with naming(folder / name):
            if name in (WEIGHTS, FOREIGN):
                kept = name, _checked_bytes(folder, name, facts)
            else:
                _check_file(folder, name, facts)
    own = manifest["spec"].get("family") is not None
    with naming(folder):
        if kept is None or kept[0] != (WEIGHTS if own else FOREIGN):
            raise Refused(f"its kzoo.json lists no {WEIGHTS if own else FOREIGN}", _NEW)
    with naming(folder / kept[0]):
        return load_recipe(manifest["spec"], kept[1]) if own else load_bytes(kept[1], trusted=trusted)


def _checked_manifest(manifest):
    if not isinstance(manifest, dict) or "format_version" not in manifest:
        raise Unreadable("it is not the kzoo.json of an exported model")
    version = manifest["format_version"]
    if version != FORMAT_VERSION:
        raise Unreadable(f"it has format version {short(version)}, and this kzoo reads {FORMAT_VERSION}: update kzoo")
    if not isinstance(manifest.get("spec"), dict) or not isinstance(manifest.get("files"), dict):
        raise Unreadable("it has no specification or no list of files")
    for name, facts in manifest["files"].items():
        parts = name.split("/")
        if "\\" in name or ":" in name or any(part in ("", ".", "..") for part in parts):
            raise Refused(f"it lists the file {short(name)}, which is not inside its folder")
        if not isinstance(facts, dict) or not isinstance(facts.get("sha256"), str):
            raise Unreadable(f"it has no checksum of {short(name)}")
    if WEIGHTS in manifest["files"] and FOREIGN in manifest["files"]:
        raise Refused("it lists two models")
    return manifest


def _checked_bytes(folder, name, facts):
    _check_folders(folder, name)
    data = read_once(folder / name, MAX_BYTES)
    _compare(hashlib.sha256(data).hexdigest(), facts)
    return data


def _check_file(folder, name, facts):
    """Check a file that nothing here opens, and that may have any size."""
    _check_folders(folder, name)
    path = folder / name
    if not path.is_file() or path.is_symlink():
        raise Unreadable("it is missing, or no regular file")
    with open(path, "rb") as file:
        _compare(hashlib.file_digest(file, "sha256").hexdigest(), facts)


def _check_folders(folder, name):
    for above in Path(name).parents:
        path = folder / above
        if str(above) != "." and os.path.lexists(path) and stat.S_ISLNK(os.lstat(path).st_mode):
            raise Refused(f"its folder {str(above)!r} is a symbolic link", _NEW)


def _compare(found, facts):
    if found != facts["sha256"].lower():
        raise Refused("it is not the file that kzoo.json describes: its sha256 differs", _NEW)
