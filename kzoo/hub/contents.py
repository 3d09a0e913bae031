"""What leaves with an exported model: the names and numbers of the training data in its manifest, with their rows."""

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kzoo.export.training_rows import FEWEST
from kzoo.inference.exported import Manifest
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import listed

_RARE = "(rare {})"  # replaces a dropped category; its code stays
_LARGE = 1000  # a whole number that may be a cell
_LARGEST = 256 << 20  # bytes of a file that is searched for dropped names
# parts of a manifest that come from the training data
_PARTS = (
    *("labels", "targets", "preprocessing", "postprocessing", "typical", "data", "metrics"),
    *("baselines", "origin", "author"),
)
# keys of a preprocessor whose texts are words of kzoo
_NO_DATA = frozenset(
    [
        "kind",
        "role",
        "level",
        "resize",
        "background",
        "times",
        "fill",
        "decimal",
        "thousands",
        "step",
        "stage",
    ]
)
# keys of a description of data that are words of kzoo, or are listed elsewhere
_DESCRIBED = frozenset(["task", "inputs", "fingerprint", "class_names"])


@dataclass(frozen=True)
class Names:
    """Names or numbers from the training data.

    Args:
        what: what they are, such as "categories of town".
        values: each of them.
        rows: the number of training rows of each; None if it is unknown.
        droppable: whether `without_rare` can drop them.
        in_cells: whether they are cells or words of rows, unlike names of columns.
    """

    what: str
    values: tuple[str, ...]
    rows: tuple[int | None, ...]
    droppable: bool = False
    in_cells: bool = True

    def rare(self, minimum: int) -> list[str]:
        """Return those of fewer rows."""
        return [
            v for v, n in zip(self.values, self.rows, strict=True) if n is not None and n < minimum
        ]

    def json(self) -> JsonObject:
        """Return the names as plain data."""
        names = [dict(name=v, rows=n) for v, n in zip(self.values, self.rows, strict=True)]
        return dict(what=self.what, droppable=self.droppable, names=names)

    def line(self, minimum: int = FEWEST) -> str:
        """Return a line with their number, and the rare ones."""
        rare, unknown = self.rare(minimum), all(n is None for n in self.rows)
        text = f"{self.what}: {len(self.values):,}"
        if not self.in_cells:
            return f"{text}: {listed(self.values, 3)}"
        if unknown:
            return f"{text}, rows unknown: {listed(self.values, 3)}"
        return text + (
            f", {len(rare):,} of fewer than {minimum} rows: {listed(rare, 3)}" if rare else ""
        )


def contents(manifest: Manifest) -> list[Names]:
    """Return all names and numbers of the training data in a manifest.

    Each text is listed once, under what it is first: class names, categories, words, names of series and columns; then
    other texts, and numbers with a fraction.
    """
    document = json.loads(json.dumps(manifest.json()))
    counts = document.get("counts") or {}
    reader = document.get("preprocessing") or {}
    groups: list[Names] = []
    seen: set[str] = set()

    def add(
        what: str,
        values: Sequence[str],
        rows: Sequence[int] = (),
        droppable: bool = False,
        in_cells: bool = True,
    ) -> None:
        new = [i for i, value in enumerate(values) if value not in seen]
        seen.update(values)
        if new:
            known = len(rows) == len(values)
            groups.append(
                Names(
                    what,
                    tuple(values[i] for i in new),
                    tuple(rows[i] if known else None for i in new),
                    droppable and known,
                    in_cells,
                )
            )

    add("class names", document["labels"], counts.get("labels", ()))
    for name, values in _categories(reader):
        add(
            f"categories of {name}",
            values,
            counts.get("categories", {}).get(name, ()),
            droppable=True,
        )
    add("words", reader.get("vocabulary") or (), counts.get("words", ()), droppable=True)
    add("names of series", reader.get("ids") or ())
    add("names of columns", [*dict.fromkeys(_column_names(document, reader))], in_cells=False)
    texts = [text for part in _PARTS for text in _texts(document.get(part), part)]
    add("other texts", [*dict.fromkeys(text for text in texts if text not in seen)], in_cells=False)
    numbers = [
        number
        for part in ("preprocessing", "postprocessing", "typical", "spec")
        for number in _numbers(document.get(part))
    ]
    add("numbers, such as medians, ranges and scales", [*dict.fromkeys(numbers)], in_cells=False)
    return groups


def without_rare(manifest: Manifest, minimum: int) -> tuple[Manifest, list[Names], list[Names]]:
    """Return a manifest without rare categories of tables and rare words, which the model then reads as unknown.

    Args:
        manifest: the manifest.
        minimum: training rows that a category or a word must have to stay.

    Returns:
        The manifest; the names that were dropped; and those that stay although they are rare or their rows are unknown,
        because the model needs them or they were not counted.
    """
    dropped, staying = [], []
    for names in contents(manifest):
        rare = names.rare(minimum)
        unknown = [v for v, n in zip(names.values, names.rows, strict=True) if n is None]
        if rare and names.droppable:
            dropped.append(Names(names.what, tuple(rare), tuple(_rows(names, rare))))
        elif names.in_cells and (rare or unknown):
            values = [*rare, *unknown]
            staying.append(Names(names.what, tuple(values), tuple(_rows(names, values))))
    reader = json.loads(json.dumps(manifest.preprocessing))
    counts = manifest.counts.get("categories", {})
    lists = [(values, counts.get(name, ())) for name, values in _categories(reader or {})]
    lists.append(((reader or {}).get("vocabulary") or [], manifest.counts.get("words", ())))
    for values, rows in lists:
        if len(rows) == len(values):
            values[:] = [
                value if n >= minimum else _RARE.format(code)
                for code, (value, n) in enumerate(zip(values, rows, strict=True), start=1)
            ]
    return replace(manifest, preprocessing=reader), dropped, staying


def _rows(names: Names, values: Sequence[str]) -> Iterator[int | None]:
    rows = dict(zip(names.values, names.rows, strict=True))
    return (rows[value] for value in values)


def check_paths(folder: Path, files: Sequence[str]) -> None:
    """Raise KzooError if a file has a path of this machine: of the user's folder or of the folder of work."""
    paths = {f"{Path.home()}/", f"{Path.cwd()}/", f"{Path(folder).absolute()}/"}
    if match := _first_match(folder, files, paths):
        name, path = match
        raise KzooError(
            f"{name} has a path of this machine, {path!r}. Export without this format, or from another folder."
        )


def check_not_in_files(folder: Path, files: Sequence[str], dropped: Sequence[Names]) -> None:
    """Raise KzooError if a file has a dropped name, such as C code or a page that was made with it.

    Args:
        folder: of the exported model.
        files: paths in it.
        dropped: the names.
    """
    words = {value for names in dropped for value in names.values}
    if match := _first_match(folder, files, words):
        name, word = match
        raise KzooError(
            f"{name} has {word!r}, which is rare, and which is dropped from kzoo.json only. Export without this format."
        )


def _first_match(
    folder: Path, files: Sequence[str], words: Collection[str]
) -> tuple[str, str] | None:
    """Return the first file that has a word of more than three characters, and the word; None if none has."""
    longest_first = sorted((word for word in words if len(word) > 3), key=len, reverse=True)
    if not longest_first:
        return None
    pattern = re.compile(b"|".join(re.escape(word.encode()) for word in longest_first))
    for name in files:
        if (folder / name).stat().st_size > _LARGEST:
            continue  # weights
        if match := pattern.search((folder / name).read_bytes()):
            return name, match[0].decode()
    return None


def _categories(reader: JsonObject) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the categories of each column that has some; the lists are those of the preprocessor."""
    for column in (*reader.get("columns", ()), *reader.get("covariates", ())):
        if isinstance(column, Mapping):
            values = column.get("values") or column.get("categories")
            if values:
                yield column["name"], values


def _column_names(document: JsonObject, reader: JsonObject) -> Iterator[str]:
    data = document.get("data") or {}
    yield from document["targets"]
    yield from data.get("feature_names", ())
    yield from data.get("target_names", ())
    for column in (*reader.get("columns", ()), *reader.get("covariates", ())):
        yield column["name"] if isinstance(column, Mapping) else column
    for key in ("time", "column"):
        if isinstance(reader.get(key), str):
            yield reader[key]
    yield from reader.get("series_id") or ()


def _texts(value: Json, key: str) -> Iterator[str]:
    """Yield the texts of a part of a manifest, but for words of kzoo."""
    if isinstance(value, str):
        if value and key not in _NO_DATA | _DESCRIBED:
            yield value
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each, key)
    elif isinstance(value, dict):
        for name, each in value.items():
            yield from _texts(each, name)


def _numbers(value: Json) -> Iterator[str]:
    """Yield the numbers of a part of a manifest, but for counts and small whole numbers."""
    if isinstance(value, float) and (not value.is_integer() or abs(value) >= _LARGE):
        yield repr(value)
    elif isinstance(value, list | dict):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _numbers(each)
