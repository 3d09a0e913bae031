"""How data was read, as plain data: splits, classes, columns, and details of each kind of input."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.store.windows import flat
from kzoo.inference.sources.arrays import class_numbers
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import format_value, listed, number, plural

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split

_SPLITS = ("train", "validation", "calibration", "test")
_NAMED = 4  # classes and columns named in a line
AS_REQUESTED = "as asked"  # reason for a column that the user excluded


def summarize(data: "Dataset") -> JsonObject:
    """Return how data was read.

    The kind of input fills in its own details when the data is loaded, with the function `overview(data)` of its
    module, if it has one: `noun`, what the examples are called; `columns`; and `about`, names and values of other
    details.

    Returns:
        `name`, `task`, `inputs`, `input_shape`; `noun` and `splits`, the number of examples in each split; `rows`, the
        number of source rows; `classes`, for classification, and `labels`, for tasks of labels: `name` and the number
        of examples in each split;
        `targets`, for tasks of values: `name`, `low`, `median`, `high` of the training split; `columns` of a table,
        each with `name`, `kind` ("number", "category", "date", "text", "time", "target", "group", "weight" or "left
        out") and, where known, `missing` and `unreadable` cells and, as `about`, how it is written, how many categories
        it has, why it is left out; `about`; `notes`.
    """
    overview = data.seen.get("overview", {})
    parts = {name: part for name in _SPLITS if (part := getattr(data, name)) is not None}
    classes = _class_sizes(data, parts)
    targets = _targets(data)
    return {
        "name": data.name,
        "task": data.task,
        "inputs": data.inputs,
        "input_shape": list(data.input_shape),
        "noun": overview.get("noun", "rows"),
        "rows": overview.get("rows", sum(map(len, parts.values()))),
        "splits": {name: len(part) for name, part in parts.items()},
        "classes": classes,
        "labels": _labels(data, parts),
        "targets": targets,
        "columns": [
            _with_target_summary(column, classes, targets) for column in overview.get("columns", ())
        ],
        "about": overview.get("about", {}),
        "notes": list(data.notes),
    }


def summary_line(read: JsonObject) -> str:
    """Return a one-line summary of how data was read.

    Args:
        read: the value returned by `summarize`.
    """
    sizes = " / ".join(f"{count:,} {name}" for name, count in read["splits"].items())
    parts = [f"{examples(read)}: {sizes}"]
    kinds = [
        column["kind"]
        for column in read["columns"]
        if column["kind"] not in ("left out", "group", "time", "target", "weight")
    ]
    left_out = [
        column
        for column in read["columns"]
        if column["kind"] == "left out" and column["about"] != AS_REQUESTED
    ]
    parts += [
        ", ".join(plural(kinds.count(kind), kind) for kind in dict.fromkeys(kinds)),
        format_value(read["about"]),
        _format_classes(read["classes"]),
        _format_classes(read["labels"], "label"),
        _format_targets(read["targets"]),
        "left out: "
        + listed((f"{column['name']} ({column['about']})" for column in left_out), _NAMED)
        if left_out
        else "",
    ]
    return " ".join("; ".join(filter(None, parts)).split())


def examples(read: JsonObject) -> str:
    """Return the number of examples, and of source rows if it differs: `17,190 windows of 17,379 rows`."""
    count = sum(read["splits"].values())
    return f"{count:,} {read['noun']}" + (
        f" of {read['rows']:,} rows" if read["rows"] != count else ""
    )


def _format_classes(classes: Sequence[JsonObject], noun: str = "class") -> str:
    if not classes:
        return ""
    sizes = [
        sum(class_summary[name] for name in _SPLITS if name in class_summary)
        for class_summary in classes
    ]
    if len(classes) > _NAMED:
        return f"{plural(len(classes), noun)} of {min(sizes):,} to {max(sizes):,}"
    named = ", ".join(
        f"{class_summary['name']} {size:,}"
        for class_summary, size in zip(classes, sizes, strict=True)
    )
    return f"{plural(len(classes), noun)}: {named}"


def _format_targets(targets: Sequence[JsonObject]) -> str:
    ranges = (
        f"{target['name']} {number(target['low'])} to {number(target['high'])}"
        for target in targets
    )
    return f"{plural(len(targets), 'target')}: {listed(ranges, _NAMED)}" if targets else ""


def _class_sizes(data: "Dataset", parts: "Mapping[str, Split]") -> list[JsonObject]:
    """Return the name of each class and its number of examples in each split; an empty list without classes."""
    if "classes" not in data.problem.facts:
        return []
    sizes = {}  # split -> label -> number of examples
    for split, part in parts.items():
        if (counts := data.seen.get("of_class")) is not None:  # counted when the data was read
            sizes[split] = dict(enumerate(counts[split]))
            continue
        labels, counts = np.unique(class_numbers(part.y), return_counts=True)
        sizes[split] = dict(zip(labels.tolist(), counts.tolist(), strict=True))
    # labels without a name are included: the checks report them
    names = dict(enumerate(data.class_names))
    all_labels = sorted(set(names).union(*sizes.values()))
    return [
        {"name": str(names.get(label, label))}
        | {split: size_of.get(label, 0) for split, size_of in sizes.items()}
        for label in all_labels
    ]


def _labels(data: "Dataset", parts: "Mapping[str, Split]") -> list[JsonObject]:
    """Return the number of examples with each label in each split."""
    if "labels" not in data.problem.facts:
        return []
    counts = data.seen.get("of_label") or {
        name: (np.asarray(part.y) == 1).sum(axis=0).tolist() for name, part in parts.items()
    }
    return [
        {"name": str(name)} | {part: label_counts[number] for part, label_counts in counts.items()}
        for number, name in enumerate(data.class_names)
    ]


def _targets(data: "Dataset") -> list[JsonObject]:
    """Return the range of each target in the training split."""
    if "values" not in data.problem.facts or not len(data.train):
        return []
    values = np.asarray(flat(data.train.y), float)
    names = (
        data.target_names if len(data.target_names) == values.shape[1] else range(values.shape[1])
    )
    return [
        {
            "name": str(name),
            "low": float(column.min()),
            "median": float(np.median(column)),
            "high": float(column.max()),
        }
        for name, column in zip(names, values.T, strict=True)
    ]


def _with_target_summary(
    column: JsonObject, classes: Sequence[JsonObject], targets: Sequence[JsonObject]
) -> JsonObject:
    """Return a column description; a target column gets its classes or its range added."""
    if column["kind"] != "target":
        return column
    parts = [plural(len(classes), "class")] if classes else []
    for target in targets:
        if target["name"] == column["name"]:
            parts.append(
                f"{number(target['low'])} to {number(target['high'])}, median {number(target['median'])}"
            )
    return column | {"about": "; ".join(filter(None, [column.get("about"), *parts]))}
