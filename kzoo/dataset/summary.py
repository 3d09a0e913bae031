"""How data was read, as plain data: splits, classes, columns, and what each kind of input says of its own."""

from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.sources.arrays import class_numbers
from kzoo.storage.windows import flat
from kzoo.utils.formatting import listed, number, plural, value_in_words

if TYPE_CHECKING:
    from kzoo.dataset.dataset import Dataset

_SPLITS = ("train", "validation", "test")
_NAMED = 4  # classes and columns that a line names
AS_ASKED = "as asked"  # why a column is left out that the user named


def summarize(data: "Dataset") -> dict[str, Any]:
    """Return how data was read.

    The kind of input has filled in what is its own when the data was loaded, by `overview(data)` of its room, where it
    has one: `noun`, what the examples are called; `columns`; and `about`, names and values of whatever else there is.

    Returns:
        `name`, `task`, `inputs`, `input_shape`; `noun` and `splits`, how many of them in each; `rows`, of which they
        were made; `classes`, each with `name` and how many are in each split, of a task of classes; `targets`, each
        with `name`, `low`, `median`, `high` of the training split, of a task of values; `columns` of a table, each with
        `name`, `kind` ("number", "category", "date", "text", "time", "target", "group" or "left out") and, where they
        are known, `missing` and `unreadable` cells and, as `about`, how it is written, how many categories it has, why
        it is left out; `about`; `notes`.
    """
    own = data.seen.get("overview", {})
    parts = {name: part for name in _SPLITS if (part := getattr(data, name)) is not None}
    classes, targets = _classes(data, parts), _targets(data)
    return {
        "name": data.name,
        "task": data.task,
        "inputs": data.inputs,
        "input_shape": list(data.input_shape),
        "noun": own.get("noun", "rows"),
        "rows": own.get("rows", sum(map(len, parts.values()))),
        "splits": {name: len(part) for name, part in parts.items()},
        "classes": classes,
        "targets": targets,
        "columns": [_with_answers(column, classes, targets) for column in own.get("columns", ())],
        "about": own.get("about", {}),
        "notes": list(data.notes),
    }


def one_line(read: dict[str, Any]) -> str:
    """Say on a line how data was read.

    Args:
        read: what `overview` returned.
    """
    sizes = " / ".join(f"{count:,} {name}" for name, count in read["splits"].items())
    parts = [f"{examples(read)}: {sizes}"]
    kinds = [
        column["kind"] for column in read["columns"] if column["kind"] not in ("left out", "group", "time", "target")
    ]
    left_out = [column for column in read["columns"] if column["kind"] == "left out" and column["about"] != AS_ASKED]
    parts += [
        ", ".join(plural(kinds.count(one), one) for one in dict.fromkeys(kinds)),
        value_in_words(read["about"]),
        _classes_in_words(read["classes"]),
        _answers_in_words(read["targets"]),
        "left out: " + listed((f"{column['name']} ({column['about']})" for column in left_out), _NAMED)
        if left_out
        else "",
    ]
    return " ".join("; ".join(filter(None, parts)).split())


def examples(read: dict[str, Any]) -> str:
    """Say how many examples there are, and of how many rows: `17,190 windows of 17,379 rows`."""
    count = sum(read["splits"].values())
    return f"{count:,} {read['noun']}" + (f" of {read['rows']:,} rows" if read["rows"] != count else "")


def _classes_in_words(classes):
    if not classes:
        return ""
    sizes = [sum(one[name] for name in _SPLITS if name in one) for one in classes]
    if len(classes) > _NAMED:
        return f"{len(classes):,} classes of {min(sizes):,} to {max(sizes):,}"
    named = ", ".join(f"{one['name']} {size:,}" for one, size in zip(classes, sizes, strict=True))
    return f"{plural(len(classes), 'class')}: {named}"


def _answers_in_words(targets):
    said = (f"{found['name']} {number(found['low'])} to {number(found['high'])}" for found in targets)
    return f"{plural(len(targets), 'target')}: {listed(said, _NAMED)}" if targets else ""


def _classes(data, parts):
    """Return how many examples of each class are in each split."""
    if "classes" not in data.problem.facts:
        return []
    counts = {}
    for name, part in parts.items():
        if (counted := data.seen.get("of_class")) is not None:
            counts[name] = dict(enumerate(counted[name]))
            continue
        labels = class_numbers(part.y)
        counts[name] = dict(zip(*(found.tolist() for found in np.unique(labels, return_counts=True)), strict=True))
    names = dict(enumerate(data.class_names))  # a label may be none of them: that is for the checks to say
    places = sorted({place for count in (names, *counts.values()) for place in count})
    return [
        {"name": str(names.get(place, place))} | {part: count.get(place, 0) for part, count in counts.items()}
        for place in places
    ]


def _targets(data):
    """Return in which range the targets of the training split lie."""
    if "values" not in data.problem.facts or not len(data.train):
        return []
    values = np.asarray(flat(data.train.y), float)
    names = data.target_names if len(data.target_names) == values.shape[1] else range(values.shape[1])
    return [
        {"name": str(name), "low": float(column.min()), "median": float(np.median(column)), "high": float(column.max())}
        for name, column in zip(names, values.T, strict=True)
    ]


def _with_answers(column, classes, targets):
    """Return a column, one that is to be predicted with what is known of its answers."""
    if column["kind"] != "target":
        return column
    said = [plural(len(classes), "class")] if classes else []
    for found in targets:
        if found["name"] == column["name"]:
            said.append(f"{number(found['low'])} to {number(found['high'])}, median {number(found['median'])}")
    return column | {"about": "; ".join(filter(None, [column.get("about"), *said]))}
