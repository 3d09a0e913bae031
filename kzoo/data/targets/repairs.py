"""`Repairs`: labels that a person has corrected, and the rows of a data set that they apply to.

`kzoo.check(..., wrong_labels=True)` writes a table of suspects. The rows that a person accepts are read from it, are
identified by row number, content and recorded label, and get their new label in the training and validation split. Test
rows keep their labels, so that scores with and without repairs are of the same truth.
"""

import csv
import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import fingerprint
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject, path_of
from kzoo.utils.formatting import hint, listed, plural, shown
from kzoo.utils.table_path import Source

# of a table of suspects, which may have others
COLUMNS = ("row", "key", "label", "suggestion", "accept")
_YES = frozenset({"yes", "y", "1", "1.0", "x", "true", "ja", "oui", "是", "✓"})
_NO = frozenset({"", "no", "n", "0", "0.0", "false", "nan", "none", "nein", "non", "否"})
_NAMED = 5  # classes in a message
_SPLITS = ("train", "validation", "test", "calibration")
_REPAIRED = ("train", "validation")
HAS, LACKS = "=1", "=0"  # a label of several that a row has, or lacks: `sports=1`


@dataclass(frozen=True)
class Repair:
    """A corrected label.

    Args:
        row: number of the row among the usable rows of the source, from 1.
        key: of its content, see `row_keys`.
        label: the recorded label; of several labels a row, `NAME=1` or `NAME=0`.
        new: the label instead.
    """

    row: int
    key: str
    label: str
    new: str


@dataclass(frozen=True)
class Repairs:
    """The accepted rows of a table of suspects.

    Args:
        name: of its file, without folders; None if it was passed as rows.
        rows: the repairs, in order of their rows.
    """

    name: str | None
    rows: tuple[Repair, ...]

    def __repr__(self) -> str:
        return f"<Repairs: {plural(len(self.rows), 'label')}>"

    def __str__(self) -> str:
        return self.name or repr(self)

    def json(self) -> JsonObject:
        """Return what is stored with a run: plain data."""
        return {
            "file": self.name,
            "rows": [[repair.row, repair.key, repair.label, repair.new] for repair in self.rows],
        }


def read_repairs(source: Source) -> Repairs:
    """Return the accepted rows of a table of suspects.

    Args:
        source: the path of the table, its rows as a list of dicts or a DataFrame, what `Repairs.json` returned, or
            `Repairs`, which are returned unchanged.

    Raises:
        KzooError: it is no such table, a cell is invalid, a row is accepted twice with different labels, or no row is
            accepted.
    """
    if isinstance(source, Repairs):
        return source
    if isinstance(source, Mapping):
        return _stored(source)
    name = None
    if isinstance(source, str | os.PathLike):
        path = path_of(source, "a table of suspects")
        name = path.name
        rows = _read_file(path)
    elif hasattr(source, "to_dict"):
        rows = source.to_dict("records")
    elif isinstance(source, list | tuple) and all(isinstance(row, Mapping) for row in source):
        rows = list(source)
    else:
        raise KzooError(
            "must be the table of suspects that kzoo.check(..., wrong_labels=True) wrote, or "
            "its rows.",
            argument="repairs",
            value=source,
        )
    what = f"repairs={name!r}" if name else "repairs="
    accepted: dict[tuple[int, str], Repair] = {}
    for row in rows:
        if (repair := _accepted(row, what)) is None:
            continue
        # Of several labels a row, each may be repaired.
        place = (
            repair.row,
            repair.label.rpartition("=")[0] if repair.label.endswith((HAS, LACKS)) else "",
        )
        if accepted.setdefault(place, repair) != repair:
            raise KzooError(
                f"{what}: row {repair.row} is accepted twice, as {accepted[place].new!r} and as {repair.new!r}. Accept "
                "one of them."
            )
    if not accepted:
        raise KzooError(
            f"{what} has no accepted row. Write yes into the column accept of the rows whose suggestion is right."
        )
    return Repairs(
        name, tuple(sorted(accepted.values(), key=lambda repair: (repair.row, repair.label)))
    )


def _stored(document: Mapping[str, Json]) -> Repairs:
    rows = document.get("rows")
    if not isinstance(rows, list | tuple) or not all(
        isinstance(row, list | tuple) and len(row) == 4 and isinstance(row[0], int) for row in rows
    ):
        raise KzooError("The stored repairs are damaged.", value=document)
    return Repairs(document.get("file"), tuple(Repair(row[0], *map(str, row[1:])) for row in rows))


def _read_file(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a file of suspects; spreadsheets may have written it with semicolons or tabs."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise KzooError("does not exist.", argument="repairs", value=str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise KzooError(
            f"cannot be read as UTF-8 text: {error}.", argument="repairs", value=str(path)
        ) from None
    head = text.partition("\n")[0]
    rows = list(
        csv.DictReader(text.splitlines(keepends=True), delimiter=max(",;\t", key=head.count))
    )
    names = set(rows[0]) if rows else {word.strip() for word in head.split(",")}
    if missing := [name for name in COLUMNS if name not in names]:
        raise KzooError(
            f"has no column {missing[0]!r}. Pass the suspects.csv that kzoo check --wrong-labels "
            "wrote.",
            argument="repairs",
            value=path.name,
        )
    return rows


def _accepted(row: Mapping[str, Json], what: str) -> Repair | None:
    """Return the repair of an accepted row; None if it is not accepted.

    Raises:
        KzooError: a cell is missing or invalid.
    """
    if missing := [name for name in COLUMNS if name not in row]:
        raise KzooError(
            f"{what}: a row has no {missing[0]!r}. Pass rows with {listed(COLUMNS, len(COLUMNS))}."
        )
    cells = {name: "" if row[name] is None else str(row[name]).strip() for name in COLUMNS}
    try:
        number = int(float(cells["row"]))
    except (OverflowError, ValueError):
        number = 0
    if number < 1:
        raise KzooError(f"{what}: row {shown(row['row'])} must be the number of a row, from 1.")
    word = cells["accept"].casefold()
    if word in _NO:
        return None
    if word not in _YES:
        raise KzooError(
            f"{what}: accept={cells['accept']!r} of row {number} must be yes, or no or empty."
        )
    # A spreadsheet runs a text such as =A1 as a formula: it is written with an apostrophe.
    label, new = (_unquoted(cells[name]) for name in ("label", "suggestion"))
    if not new:
        raise KzooError(
            f"{what}: row {number} is accepted, but has no suggestion. Write the right label there."
        )
    return Repair(number, cells["key"], label, new)


def _unquoted(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell[1:2] in tuple("=+-@\t\r") else cell


def key_of(content: bytes) -> int:
    """Return a hash of the content of a row, the same in every process: 64 bits."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def keys_of(contents: Iterable[bytes]) -> np.ndarray:
    """Return the hash of each content, uint64 (N,)."""
    return np.fromiter(map(key_of, contents), np.uint64)


def row_keys(split: Split, positions: Iterable[int]) -> list[str]:
    """Return a key of some rows of a split: a letter and 12 hexadecimal digits, which a spreadsheet leaves alone.

    Args:
        split: of a data set as it was loaded.
        positions: numbers of its rows.
    """
    if split.keys is not None:
        hashes = [int(split.keys[position]) for position in positions]
    else:  # arrays: x is what the user passed
        hashes = [
            key_of(np.ascontiguousarray(split.x[position]).tobytes()) for position in positions
        ]
    return [f"k{number & 0xFFFFFFFFFFFF:012x}" for number in hashes]


def refuse_unrepairable(data: Dataset, option: str) -> None:
    """Raise KzooError if the labels of data cannot be repaired.

    Args:
        data: as it was loaded.
        option: what needs them, such as "repairs=", for the message.

    Raises:
        KzooError: its task has neither classes nor labels, or its rows are not numbered.
    """
    facts = data.problem.facts
    if not facts & {"classes", "labels"} or "ordered" in facts:
        raise KzooError(
            f"{option} is for classes and labels, and {data.name!r} is for {data.problem.name}. Remove it."
        )
    if data.train.rows is None:
        raise KzooError(
            f"{option} is not available for {data.name!r}, whose rows have no numbers: it is larger than memory. Use a "
            "part of it that fits into memory."
        )


def repaired(data: Dataset, repairs: Repairs) -> Dataset:
    """Return data with the labels of accepted training and validation rows replaced; a note counts them.

    Raises:
        KzooError: a row is not the one that was checked, has another label by now, or gets a label that no row has; or
            a class is left without training rows.
    """
    refuse_unrepairable(data, "repairs=")
    what = "repairs=" if repairs.name is None else f"repairs={repairs.name!r}"
    splits = {name: part for name in _SPLITS if (part := getattr(data, name)) is not None}
    places: dict[int, list[tuple[str, int]]] = {}
    for name, part in splits.items():
        if part.rows is not None:
            for position, row in enumerate(np.asarray(part.rows).tolist()):
                places.setdefault(row + 1, []).append((name, position))
    labels = {name: np.array(part.y) for name, part in splits.items() if name in _REPAIRED}
    counts = dict.fromkeys(splits, 0)
    left_out = 0
    for repair in repairs.rows:
        candidates = places.get(repair.row, [])
        if not candidates and data.train.weight is not None:  # a training row of weight 0
            left_out += 1
            continue
        matching = [
            (name, position)
            for name, position in candidates
            if row_keys(splits[name], [position]) == [repair.key]
        ]
        if not matching:
            state = "has another content than in the check" if candidates else "does not exist"
            raise KzooError(
                f"{what}: row {repair.row} {state}: the data has changed, or is read with other options. Check it "
                "again."
            )
        name, position = matching[0]
        place, old, new = _numbers(data, repair, what)
        recorded = splits[name].y[(position, *place)]
        if recorded != old:
            raise KzooError(
                f"{what}: row {repair.row} has the label {_label_name(data, recorded, repair)!r}, not "
                f"{repair.label!r} as in the check. Check the data again."
            )
        counts[name] += 1
        if name in _REPAIRED:
            labels[name][(position, *place)] = new
    if "classes" in data.problem.facts:
        lost = np.setdiff1d(np.unique(data.train.y), np.unique(labels["train"]))
        if len(lost):
            raise KzooError(
                f"{what} leaves no training row of class {data.class_names[int(lost[0])]!r}."
            )
    changed = {name: replace(splits[name], y=y) for name, y in labels.items()}
    seen = data.seen | {
        "repairs": {"file": repairs.name, **counts},
        "unrepaired": data.fingerprint,
    }
    seen.pop("common", None)  # of the recorded labels
    note = _note(what, counts, left_out)
    return replace(
        data,
        **changed,
        seen=seen,
        notes=[*data.notes, note],
        fingerprint=fingerprint([data.fingerprint, repairs.json()["rows"]]),
    )


def _numbers(data: Dataset, repair: Repair, what: str) -> tuple[tuple[int, ...], Any, Any]:
    """Return the place of a repair in its row of y, and the old and the new value there."""
    numbers = {name: number for number, name in enumerate(data.class_names)}
    if "labels" in data.problem.facts:
        (name, _, old), (new_name, _, new) = (
            repair.label.rpartition("="),
            repair.new.rpartition("="),
        )
        if name != new_name or name not in numbers or {old, new} != {"0", "1"}:
            raise KzooError(
                f"{what}: row {repair.row}: the suggestion {repair.new!r} for {repair.label!r} must be the same label "
                "with =0 or =1."
            )
        return (numbers[name],), float(old), float(new)
    if repair.new not in numbers:
        near = hint(repair.new, data.class_names)
        raise KzooError(
            f"{what}: the suggestion {repair.new!r} of row {repair.row} is no class of the data "
            f"({listed(map(repr, data.class_names), _NAMED)}). {near}".strip()
        )
    return (), numbers.get(repair.label, -1), numbers[repair.new]


def _label_name(data: Dataset, recorded: float, repair: Repair) -> str:
    if "labels" in data.problem.facts:
        return f"{repair.label.rpartition('=')[0]}={recorded:g}"
    return data.class_names[int(recorded)]


def _note(what: str, counts: Mapping[str, int], left_out: int) -> str:
    """Return the note on what was changed."""
    where = ", ".join(
        f"{counts[name]:,} {word}"
        for name, word in (("train", "training"), ("validation", "validation"))
        if name in counts
    )
    changed = sum(counts[name] for name in _REPAIRED if name in counts)
    line = f"{what}: {plural(changed, 'label')} changed ({where})."
    if kept := sum(counts.values()) - changed:
        kind = "test or calibration row" if "calibration" in counts else "test row"
        line += f" {plural(kept, 'accepted row')} {f'is a {kind}' if kept == 1 else f'are {kind}s'}, whose labels stay "
        line += "as they are, so that scores are comparable."
    if left_out:
        line += f" {plural(left_out, 'accepted row')} of weight 0 {'is' if left_out == 1 else 'are'} not trained on."
    return line
