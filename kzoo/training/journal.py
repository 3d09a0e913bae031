"""The journal: a file with the full state of a training (`State`), from which a killed run resumes exactly.

The file is a line `kzoo-journal 1 SHA256` and an `.npz` archive that the checksum covers: arrays, and in `tree` the
JSON that says where each belongs. Nothing in it is pickled. The previous journal is kept, too.
"""

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, read_arrays, whole_file
from kzoo.zoo.run import JOURNALS, report_journal

StateValue: TypeAlias = Any  # plain, or an array, or a list, tuple or dict of these

_MAGIC = "kzoo-journal 1 "


@dataclass(frozen=True, kw_only=True)
class State:
    """The full state of a training between two steps.

    Args:
        epoch, step: the position: numbers of completed epochs, and of completed steps of the next one.
        stopped: whether training has ended before its last epoch, as by early stopping.
        variables, optimizer, metrics: lists of arrays; `metrics` is empty between two epochs.
        callbacks: (class name, plain attributes) of each callback.
        random: states of the process-wide random number generators.
        seconds: seconds of training so far.
        resumed, rollbacks: how often the training was resumed, and rolled back because it diverged.
        chunked: whether a call makes many steps.
    """

    epoch: int
    step: int
    stopped: bool
    variables: list
    optimizer: list
    metrics: list
    callbacks: list
    random: dict
    seconds: float
    resumed: int
    rollbacks: int
    chunked: bool

    @classmethod
    def newest(cls, folder: Path) -> "tuple[State | None, list[str]]":
        """Return the newest intact state of a run's folder, or None, and a line for each damaged journal.

        Raises:
            KzooError: the journal was written by another version of kzoo.
        """
        stored, lines = read_journal(folder)
        if stored is None:
            return None, lines
        names = {field.name for field in fields(cls)}
        if set(stored) != names:
            differing = ", ".join(sorted(set(stored) ^ names))
            raise KzooError(
                f"The journal in {folder} is from another version of kzoo ({differing}). Resume with that version, or "
                "pass resume='never'."
            )
        return cls(**stored), lines

    def write(self, folder: Path) -> None:
        """Write it as the newest state of a run's folder (see `write_journal`)."""
        write_journal(folder, vars(self))


def write_journal(folder: Path, state: JsonObject) -> None:
    """Write a state atomically; the last journal becomes the previous one.

    Args:
        folder: the run's folder.
        state: a nested dict of plain values and NumPy arrays.

    Raises:
        OSError: the disk is full, or the folder is not writable; the earlier journals are unchanged.
    """
    new, journal, previous = (Path(folder) / name for name in JOURNALS)
    content = pack(state)
    with whole_file(new) as temporary:
        temporary.write_bytes(content)
    if journal.exists():
        os.replace(journal, previous)
    os.replace(new, journal)
    report_journal(Path(folder))


def read_journal(folder: Path) -> tuple[JsonObject | None, list[str]]:
    """Return (newest intact state of a run's folder or None, a line for each damaged journal)."""
    lines: list[Any] = []
    for name in JOURNALS:
        file = Path(folder) / name
        if not file.is_file():
            continue
        try:
            return unpack(file.read_bytes()), lines
        except KzooError as error:
            lines.append(f"{file} is damaged ({error}). Trying the previous one.")
    return None, lines


def remove_journal(folder: Path) -> None:
    """Remove the journals of a finished training."""
    for name in JOURNALS:
        (Path(folder) / name).unlink(missing_ok=True)


def pack(state: Mapping[str, object]) -> bytes:
    """Return a state as the bytes of a journal."""
    arrays: list[Any] = []
    tree = json.dumps(_to_tree(state, arrays))
    buffer = io.BytesIO()
    np.savez(buffer, tree=np.array(tree), **{f"a{i}": array for i, array in enumerate(arrays)})
    archive = buffer.getbuffer()
    return f"{_MAGIC}{hashlib.sha256(archive).hexdigest()}\n".encode() + bytes(archive)


def unpack(content: bytes) -> JsonObject:
    """Return the state in the bytes of a journal.

    Raises:
        KzooError: the bytes are not a journal, or have changed since it was written.
    """
    head, _, archive = content.partition(b"\n")
    if not head.startswith(_MAGIC.encode()):
        raise KzooError("it does not start like a journal of this version")
    if hashlib.sha256(archive).hexdigest().encode() != head[len(_MAGIC) :]:
        raise KzooError("its checksum does not match")
    try:
        arrays = read_arrays(io.BytesIO(archive))
        return _from_tree(json.loads(str(arrays["tree"])), arrays)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise KzooError(f"its archive cannot be read: {error}") from error


def is_plain(value: object) -> bool:
    """Return whether a value is a number, string, None, array, or a list, tuple or dict of these."""
    if isinstance(value, dict):
        return all(isinstance(k, str | int) for k in value) and all(
            is_plain(v) for v in value.values()
        )
    if isinstance(value, list | tuple):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)


def _to_tree(value: object, arrays: list[np.ndarray]) -> object:
    """Return the JSON form of a value, and append its arrays to a list.

    Plain JSON would lose tuples, numeric keys and dtypes.
    """
    if isinstance(value, np.ndarray | np.generic):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
    if isinstance(value, dict):
        return {"items": [[k, _to_tree(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_to_tree(v, arrays) for v in value]}
    return [_to_tree(v, arrays) for v in value] if isinstance(value, list) else value


def _from_tree(value: object, arrays: Mapping[str, np.ndarray]) -> StateValue:
    """Return a value in the state of a training from its JSON form: the inverse of `_to_tree`."""
    if isinstance(value, list):
        return [_from_tree(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[f"a{value['array']}"]
        return array[()] if value["scalar"] else array  # [()] makes a NumPy scalar
    if "tuple" in value:
        return tuple(_from_tree(v, arrays) for v in value["tuple"])
    return {k: _from_tree(v, arrays) for k, v in value["items"]}
