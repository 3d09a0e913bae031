"""`retrained.json` of a run: what repeating its training has shown (`kzoo check RUN --retrain`). Standard library only.

It holds the hash of the weights that were compared: once they change, it is void.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, described, read_json, write_json
from kzoo.utils.schema import misfit

if TYPE_CHECKING:
    from kzoo.zoo.run import Run

RETRAINED = "retrained.json"
_WEIGHTS = "best.keras"
_FORM = {
    "created": str,
    "machine": str,
    "result": str,  # "equal", "within" or "differs"
    "statement": str,
    "weights_sha256": str,
}


def write(run: "Run", record: JsonObject) -> None:
    """Write what a retraining of a run has shown into its folder.

    Args:
        run: the run.
        record: created, machine, result, statement (the sentence that people read), and any further facts.

    Raises:
        OSError: the folder cannot be written.
    """
    write_json(run.path / RETRAINED, record | {"weights_sha256": _weights_hash(run.path)})


def read(run: "Run") -> JsonObject | None:
    """Return what the last retraining of a run has shown; None without one, or if the weights have changed since."""
    folder = run.folder
    if folder is None or not (folder / RETRAINED).is_file():
        return None
    try:
        record: JsonObject = read_json(folder / RETRAINED)
        if misfit(record, _FORM) or record["weights_sha256"] != _weights_hash(folder):
            return None
    except (OSError, KzooError, ValueError, RecursionError):  # damaged: it states nothing
        return None
    return record


def statement(run: "Run") -> str:
    """Return the sentence on the last retraining of a run ("Retrained on 2026-12-02 on ...: weights equal."), or ""."""
    record = read(run)
    return "" if record is None else " ".join(record["statement"].split())


def _weights_hash(folder: Path) -> str:
    return str(described(folder / _WEIGHTS)["sha256"])
