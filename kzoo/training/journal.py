"""The journal: one file that holds all of a training's state, whole and checked, so that a killed run goes on exactly.

`State` is what it holds. The file is a line `kzoo-journal 1 SHA256` and an `.npz` archive that the checksum covers:
arrays, and in `tree` the JSON that says where each belongs. Nothing in it is pickled. The journal before the last one
is kept.
"""

import hashlib
import io
import json
import os
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.run import JOURNALS
from kzoo.utils.errors import KzooError
from kzoo.utils.files import read_arrays, whole_file

_MAGIC = "kzoo-journal 1 "


@dataclass(frozen=True, kw_only=True)
class State:
    """All of a training's state between two steps.

    Args:
        epoch, step: the position: how many epochs, and steps of the next one, are done.
        stopped: whether training had stopped by itself.
        variables, optimizer, metrics: arrays; `metrics` is empty between two epochs.
        callbacks: (name of the class, plain attributes) of each.
        random: states of the generators that belong to the process.
        seconds: of training, until here.
        resumed, rollbacks: how often it was taken up, and how often it went back because it diverged.
        chunked: whether many steps went into a call.
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
    def newest(cls, folder) -> "tuple[State | None, list[str]]":
        """Return the newest whole state of a run's folder, and a line for each damaged journal.

        Raises:
            KzooError: another version of kzoo has written it.
        """
        stored, lines = read_journal(folder)
        if stored is None:
            return None, lines
        names = {field.name for field in fields(cls)}
        if set(stored) != names:
            other = ", ".join(sorted(set(stored) ^ names))
            raise KzooError(
                f"The journal in {folder} is of another version of kzoo ({other}): go on with that, or resume='never'."
            )
        return cls(**stored), lines

    def write(self, folder):
        """Make it the newest of a run's folder; see `write_journal`."""
        write_journal(folder, vars(self))


def write_journal(folder, state):
    """Write a state, whole or not at all; the last journal becomes the previous one.

    Args:
        folder: the run's.
        state: a dict of plain values and NumPy arrays, nested at will.

    Raises:
        OSError: no space, no permission; the earlier journals are as they were.
    """
    new, journal, previous = (Path(folder) / name for name in JOURNALS)
    content = pack(state)
    with whole_file(new) as temporary:
        temporary.write_bytes(content)
    if journal.exists():
        os.replace(journal, previous)
    os.replace(new, journal)


def read_journal(folder):
    """Return the newest whole state of a run's folder, and a line for each damaged journal.

    Returns:
        (state or None, lines).
    """
    lines: list[Any] = []
    for name in JOURNALS:
        file = Path(folder) / name
        if not file.is_file():
            continue
        try:
            return unpack(file.read_bytes()), lines
        except KzooError as error:
            lines.append(f"{file} is damaged ({error}): looking for an earlier one.")
    return None, lines


def remove_journal(folder):
    """Remove what a finished training needs no more."""
    for name in JOURNALS:
        (Path(folder) / name).unlink(missing_ok=True)


def pack(state) -> bytes:
    """Return a state as the bytes of a journal."""
    arrays: list[Any] = []
    tree = json.dumps(_take_out(state, arrays))
    out = io.BytesIO()
    np.savez(out, tree=np.array(tree), **{f"a{i}": array for i, array in enumerate(arrays)})
    archive = out.getbuffer()
    return f"{_MAGIC}{hashlib.sha256(archive).hexdigest()}\n".encode() + bytes(archive)


def unpack(content: bytes):
    """Return the state that a journal's bytes hold.

    Raises:
        KzooError: not one bit of them may differ.
    """
    head, _, archive = content.partition(b"\n")
    if not head.startswith(_MAGIC.encode()):
        raise KzooError("it does not begin as a journal of this version does")
    if hashlib.sha256(archive).hexdigest().encode() != head[len(_MAGIC) :]:
        raise KzooError("its checksum does not match")
    try:
        arrays = read_arrays(io.BytesIO(archive))
        return _put_back(json.loads(str(arrays["tree"])), arrays)
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise KzooError(f"its archive cannot be read: {error}") from error


def is_plain(value) -> bool:
    """Say whether a value is a number, a text, None, an array, or a list, tuple or dict of these."""
    if isinstance(value, dict):
        return all(isinstance(k, str | int) for k in value) and all(is_plain(v) for v in value.values())
    if isinstance(value, list | tuple):
        return all(is_plain(v) for v in value)
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)


def _take_out(value, arrays):
    """Return the JSON form of a value; arrays go to the list. JSON alone would lose tuples, numeric keys and dtypes."""
    if isinstance(value, np.ndarray | np.generic):
        arrays.append(np.asarray(value))
        return {"array": len(arrays) - 1, "scalar": isinstance(value, np.generic)}
    if isinstance(value, dict):
        return {"items": [[k, _take_out(v, arrays)] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_take_out(v, arrays) for v in value]}
    return [_take_out(v, arrays) for v in value] if isinstance(value, list) else value


def _put_back(value, arrays):
    if isinstance(value, list):
        return [_put_back(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "array" in value:
        array = arrays[f"a{value['array']}"]
        return array[()] if value["scalar"] else array
    if "tuple" in value:
        return tuple(_put_back(v, arrays) for v in value["tuple"])
    return {k: _put_back(v, arrays) for k, v in value["items"]}
