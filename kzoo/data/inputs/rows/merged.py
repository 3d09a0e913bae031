"""One preprocessor for networks whose columns were learned on different training rows, such as folds. NumPy only."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from kzoo.data.inputs.rows.columns import sorted_by_kind
from kzoo.problems.preprocessors import LearnedColumn
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import shown


@dataclass(frozen=True)
class Selection:
    """What one network reads of the rows of the merged preprocessor.

    Args:
        sources: for each of its features, the index of a feature of the merged rows.
        codes: feature -> its category code for each code of the merged category; for those that differ.
    """

    sources: tuple[int, ...]
    codes: Mapping[int, tuple[int, ...]]


def merge_preprocessors(
    readers: Sequence[Mapping[str, Any]],
) -> tuple[dict[str, Any], list[Selection | None]]:
    """Return a preprocessor for all networks, and what each of them reads of its rows; None for the rows as they are.

    Categories are the union of those of all networks; to a network, a category that it does not know is unknown, as in
    its training. Missing numbers become the median of the medians.

    Args:
        readers: preprocessors of tables (see `kzoo.inference.kinds.rows.inference`).

    Raises:
        KzooError: a column that was read in different ways.
    """
    by_name: dict[str, list[LearnedColumn]] = {}
    for reader in readers:
        for column in reader["columns"]:
            by_name.setdefault(column["name"], []).append(column)
    columns = sorted_by_kind([_merged(name, variants) for name, variants in by_name.items()])
    others = {
        name: [reader.get(name) for reader in readers] for reader in readers for name in reader
    }
    for name, values in others.items():
        if name != "columns" and any(value != values[0] for value in values):
            raise KzooError(
                f"The networks differ in their {name}: {shown(values[0])} and {shown(values[1])}."
            )
    return dict(readers[0]) | {"columns": columns}, [
        _selection(reader["columns"], columns) for reader in readers
    ]


def _merged(name: str, variants: Sequence[LearnedColumn]) -> LearnedColumn:
    first = variants[0]
    merged: dict[str, Any] = dict(variants[0])
    for field in dict.fromkeys(field for variant in variants for field in variant):
        values: list[Any] = [variant.get(field) for variant in variants]
        if all(value == values[0] for value in values):
            continue
        if field == "missing":
            merged[field] = any(values)
        elif field == "median":
            merged[field] = float(np.median(values))
        elif field == "medians" and all(value.keys() == values[0].keys() for value in values):
            merged[field] = {
                part: float(np.median([value[part] for value in values])) for part in values[0]
            }
        elif field == "values" and first["kind"] == "category":
            merged[field] = list(dict.fromkeys(category for value in values for category in value))
        else:
            raise KzooError(
                f"Column {name!r} was read in different ways: {field} is {shown(values[0])}, and "
                f"{shown(next(value for value in values if value != values[0]))}. Set its kind by columns=, or drop it."
            )
    return cast(LearnedColumn, merged)


def _selection(
    columns: Sequence[Mapping[str, Any]], merged: Sequence[Mapping[str, Any]]
) -> Selection | None:
    index = {feature: i for i, feature in enumerate(_features(merged))}
    categories = {
        column["name"]: column["values"] for column in merged if column["kind"] == "category"
    }
    sources: list[int] = []
    codes: dict[int, tuple[int, ...]] = {}
    for column in columns:
        if column["kind"] == "category" and column["values"] != categories[column["name"]]:
            code_of = {category: code for code, category in enumerate(column["values"], start=1)}
            codes[len(sources)] = (
                0,
                *(code_of.get(category, 0) for category in categories[column["name"]]),
            )
        sources += [index[feature] for feature in _features([column])]
    return (
        None
        if not codes and sources == list(range(len(index)))
        else Selection(tuple(sources), codes)
    )


def _features(columns: Sequence[Mapping[str, Any]]) -> list[tuple[str, Any]]:
    """Return (column, part) for each feature of encoded rows; see `inference.feature_names`."""
    features: list[tuple[str, Any]] = []
    for column in columns:
        parts = {"date": column.get("medians", ()), "text": range(column.get("length", 0))}.get(
            column["kind"], ("",)
        )
        features += [(column["name"], part) for part in parts]
        if column.get("missing"):
            features.append((column["name"], "is missing"))
    return features
