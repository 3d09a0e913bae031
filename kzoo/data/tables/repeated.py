"""Repeated ids: columns that identify what rows belong to (a patient, a recording), which a random split separates."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kzoo.inference.tables.dates import are_dates
from kzoo.inference.tables.raw import Rows
from kzoo.inference.tables.values import Column, Texts, not_missing
from kzoo.problems.preprocessors import LearnedColumn

_MIN_VALUES = 21  # that repeat; columns with fewer are checked for leaking the target instead
_MIN_OTHER_TARGETS = 5  # values that do not have the most frequent target
_MAX_LOG_PROBABILITY = math.log(1e-9)  # log probability that unrelated rows look like this
# fraction of the mean step of a random order below which targets follow a measured number
_MAX_ORDERED_STEP = 0.5
_FIRST = 5_000  # rows that are enough to rule out most columns
_MAX_ROWS_PER_VALUE = 8  # rows of a value that are counted


def repeated_ids(
    table: Rows, targets: Sequence[str], columns: Sequence[LearnedColumn]
) -> list[dict[str, Any]]:
    """Return the columns whose values each have the same target in all of their rows, like ids; the coarsest first.

    Args:
        table: all rows, or a sample of them, as `Rows`.
        targets: names of the target columns.
        columns: what was learned about the input columns; formatted numbers such as "1.234 €" are not ids.

    Returns:
        For each column its `name`, the number of `values` that repeat and the number of their `rows`.
    """
    target_codes = _codes([table[name] for name in targets])
    unique_codes, counts = np.unique(target_codes, return_counts=True)
    if len(unique_codes) < 2:
        return []
    shares = counts / len(target_codes)
    log_probabilities = {
        n: math.log(float((shares**n).sum())) for n in range(2, _MAX_ROWS_PER_VALUE + 1)
    }
    formatted_numbers = {column["name"] for column in columns if column.get("writing")}
    ids = []
    for name in table.columns:
        values = table[name]
        if name in targets or (name in formatted_numbers and isinstance(values, Texts)):
            continue
        if _may_be_ids(values, target_codes):
            ids += _id_column(name, values, target_codes, log_probabilities)
    return sorted(ids, key=lambda column: column["values"])


def _codes(columns: Sequence[Column]) -> np.ndarray:
    """Return an integer for each row (N,), equal for rows whose cells are equal in all columns."""
    codes = np.zeros(len(columns[0]), np.int64)
    for values in columns:
        cells = (
            values.codes
            if isinstance(values, Texts)
            else values.astype(str)
            if values.dtype == object
            else values
        )
        indices = np.unique(cells, return_inverse=True)[1].reshape(-1)
        codes = np.unique(codes * (indices.max(initial=0) + 1) + indices, return_inverse=True)[
            1
        ].reshape(-1)
    return codes


def _may_be_ids(values: Column, target_codes: np.ndarray) -> bool:
    """Return True if a column holds texts or integers, and none of its first values has two targets."""
    head = values[:_FIRST]
    filled = not_missing(head)
    if not isinstance(values, Texts):
        if values.dtype.kind not in "iuf" or not (head[filled] == np.round(head[filled])).all():
            return False
        head = head.astype(np.float64) if values.dtype.kind == "f" else head
    cells = (head.codes if isinstance(head, Texts) else head)[filled]
    return _target_by_value(cells, target_codes[:_FIRST][filled]) is not None


def _target_by_value(
    cells: np.ndarray, target_codes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Return the sorted unique values, their targets and row counts; None if a value has two targets."""
    order = np.argsort(cells, kind="stable")
    cells, target_codes = cells[order], target_codes[order]
    is_repeat = cells[1:] == cells[:-1]
    if (is_repeat & (target_codes[1:] != target_codes[:-1])).any():
        return None
    first = np.flatnonzero(np.append(True, ~is_repeat))[: len(cells)]
    return cells[first], target_codes[first], np.diff(np.append(first, len(cells)))


def _id_column(
    name: str, values: Column, target_codes: np.ndarray, log_probabilities: Mapping[int, float]
) -> list[dict[str, Any]]:
    filled = not_missing(values)
    cells = (values.codes if isinstance(values, Texts) else values)[filled]
    if not isinstance(values, Texts) and not (cells == np.round(cells)).all():
        return []
    if (by_value := _target_by_value(cells, target_codes[filled])) is None:
        return []
    repeats = by_value[2] > 1
    targets, counts = by_value[1][repeats], by_value[2][repeats]
    shares = np.unique(targets, return_counts=True)[1] / max(len(targets), 1)
    if len(counts) < _MIN_VALUES or (1 - shares.max()) * len(counts) < _MIN_OTHER_TARGETS:
        return []
    sizes, size_counts = np.unique(np.minimum(counts, _MAX_ROWS_PER_VALUE), return_counts=True)
    if (
        sum(log_probabilities[int(n)] * count for n, count in zip(sizes, size_counts, strict=True))
        > _MAX_LOG_PROBABILITY
    ):
        return []
    if isinstance(values, Texts):
        if are_dates(values[filled]):
            return []
    elif (
        counts.min() < counts.max()
        and not _is_contiguous(cells, by_value[0])
        and _are_ordered(targets)
    ):
        return []  # a measured number, not an id
    return [{"name": name, "values": len(counts), "rows": int(counts.sum())}]


def _is_contiguous(cells: np.ndarray, values: np.ndarray) -> bool:
    """Return True if the rows of each value are consecutive."""
    return bool(np.count_nonzero(cells[1:] != cells[:-1]) < len(values))


def _are_ordered(target_codes: np.ndarray) -> bool:
    """Return True if neighbouring targets differ far less than random pairs do (Gini's mean difference)."""
    n = len(target_codes)
    ranked = np.sort(target_codes)
    mean_difference = 2 * float(((2 * np.arange(1, n + 1) - n - 1) * ranked).sum()) / (n * (n - 1))
    return bool(np.abs(np.diff(target_codes)).mean() < _MAX_ORDERED_STEP * mean_difference)
