"""`recheck`: the comparison that `export` made, once more, anywhere."""

from kzoo.errors import KzooError
from kzoo.export.formats import FORMATS
from kzoo.export.verify import verify
from kzoo.optional import check_installed

_MEASURED = ("difference", "latency_ms", "runtime")


def recheck(exported, *, timeout, begin) -> dict:
    """Do what `ExportedModel.check` says.

    Raises:
        KzooError: nothing of it can be checked: golden answers that were altered, or no runtime at all.
    """
    damage = exported.damage()
    for line in damage:
        if line.startswith("golden.npz"):
            raise KzooError(f"{exported.path}: {line}. Nothing can be compared; get the folder again.")
    exports = {key: dict(entry) for key, entry in exported.exports.items() if entry["file"] is not None}
    for entry in exports.values():
        _ready(exported, entry, damage)
    keys = [key for key, entry in exports.items() if entry["status"] == "ready"]
    if exports and all(entry["status"] == "unchecked" for entry in exports.values()):
        raise KzooError(next(iter(exports.values()))["note"])
    for key, outcome in verify(exported.path, keys, timeout=timeout, begin=begin):
        entry = exports[key]
        entry |= outcome
        if "error" not in entry and entry["difference"] > entry["tolerance"]:
            entry["error"] = f"it differs from Keras by {entry['difference']:.2g}, more than {entry['tolerance']:g}"
        entry["status"] = "failed" if "error" in entry else "ok"
    return exports


def _ready(exported, entry, damage):
    """Say in an entry whether its file can be loaded: not when it was altered, nor without its runtime."""
    entry |= dict.fromkeys(_MEASURED)
    of = (f"{entry['file']}:", f"{entry['file']}/")
    if not any(f"{name}:".startswith(of) for name in exported.config["files"]):
        damage = [f"{entry['file']}: not in kzoo.json"]
    if altered := [line for line in damage if line.startswith(of)]:
        entry |= dict(status="failed", error=altered[0])
        return
    format = FORMATS[entry["format"]]
    try:
        if format.extra:
            check_installed(format.runtime, extra=format.extra)
        entry["status"] = "ready"
    except KzooError as error:
        entry |= dict(status="unchecked", note=str(error))
