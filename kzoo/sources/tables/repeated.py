"""Repeated ids: columns that name what rows belong to (a patient, a recording), which a random split tears apart."""

import math

import numpy as np

from kzoo.sources.tables.values import Texts, are_dates, not_missing

_FEWEST_VALUES = 21  # that repeat: a column of fewer is looked at as one that gives the target away
_FEWEST_OF_ANOTHER = 5  # values that do not have the commonest answer
_CHANCE = math.log(1e-9)  # of rows without any connection to be as they are
_IN_ORDER = 0.5  # of the steps of a random order, below which answers follow the numbers of a measurement
_FIRST = 5_000  # rows that tell most columns apart from ids
_MOST_ALIKE = 8  # rows of a value that count


def repeated_ids(table, targets, columns) -> list[dict]:
    """Return the columns whose every value has the same answer in all of its rows, as ids have, the coarsest first.

    Args:
        table: all rows, or a sample of them, as `Rows`.
        targets: names of what is to be predicted.
        columns: what was learned of those that are inputs; figures such as "1.234 €" are no ids.

    Returns:
        `name`, `values` that repeat and `rows` of these, of each.
    """
    answers = _codes([table[name] for name in targets])
    kinds, counts = np.unique(answers, return_counts=True)
    if len(kinds) < 2:
        return []
    shares = counts / len(answers)
    chances = {n: math.log(float((shares**n).sum())) for n in range(2, _MOST_ALIKE + 1)}
    figures, ids = {column["name"] for column in columns if column.get("writing")}, []
    for name in table.columns:
        values = table[name]
        if name in targets or (name in figures and isinstance(values, Texts)):
            continue
        if _may_be_ids(values, answers):
            ids += _as_ids(name, values, answers, chances)
    return sorted(ids, key=lambda column: column["values"])


def _codes(columns):
    """Return a number for each row (N,), equal for equal cells in all of the columns."""
    codes = np.zeros(len(columns[0]), np.int64)
    for values in columns:
        cells = values.codes if isinstance(values, Texts) else values.astype(str) if values.dtype == object else values
        places = np.unique(cells, return_inverse=True)[1].reshape(-1)
        codes = np.unique(codes * (places.max(initial=0) + 1) + places, return_inverse=True)[1].reshape(-1)
    return codes


def _may_be_ids(values, answers):
    """Say whether a column holds texts or whole numbers, and none of its first values has two answers."""
    some = values[:_FIRST]
    filled = not_missing(some)
    if not isinstance(values, Texts):
        if values.dtype.kind not in "iuf" or not (some[filled] == np.round(some[filled])).all():
            return False
        some = some.astype(np.float64) if values.dtype.kind == "f" else some
    cells = (some.codes if isinstance(some, Texts) else some)[filled]
    return _answer_of_each(cells, answers[:_FIRST][filled]) is not None


def _answer_of_each(cells, answers):
    """Return the different values in order, the answer of each and how many rows it has; None where one has two."""
    order = np.argsort(cells, kind="stable")
    cells, answers = cells[order], answers[order]
    same = cells[1:] == cells[:-1]
    if (same & (answers[1:] != answers[:-1])).any():
        return None
    first = np.flatnonzero(np.append(True, ~same))[: len(cells)]
    return cells[first], answers[first], np.diff(np.append(first, len(cells)))


def _as_ids(name, values, answers, chances):
    filled = not_missing(values)
    cells = (values.codes if isinstance(values, Texts) else values)[filled]
    if not isinstance(values, Texts) and not (cells == np.round(cells)).all():
        return []
    if (each := _answer_of_each(cells, answers[filled])) is None:
        return []
    repeats = each[2] > 1
    of_values, counts = each[1][repeats], each[2][repeats]
    shares = np.unique(of_values, return_counts=True)[1] / max(len(of_values), 1)
    if len(counts) < _FEWEST_VALUES or (1 - shares.max()) * len(counts) < _FEWEST_OF_ANOTHER:
        return []
    sizes, of_size = np.unique(np.minimum(counts, _MOST_ALIKE), return_counts=True)
    if sum(chances[int(n)] * times for n, times in zip(sizes, of_size, strict=True)) > _CHANCE:
        return []
    if isinstance(values, Texts):
        if are_dates(values[filled]):
            return []
    elif counts.min() < counts.max() and not _in_one_place(cells, each[0]) and _follow_one_another(of_values):
        return []  # a measurement
    return [{"name": name, "values": len(counts), "rows": int(counts.sum())}]


def _in_one_place(cells, values):
    """Say whether all rows of each value stand together."""
    return np.count_nonzero(cells[1:] != cells[:-1]) < len(values)


def _follow_one_another(answers):
    """Say whether neighbours differ by far less than any two answers do (Gini's mean difference)."""
    n, ranked = len(answers), np.sort(answers)
    mean_difference = 2 * float(((2 * np.arange(1, n + 1) - n - 1) * ranked).sum()) / (n * (n - 1))
    return np.abs(np.diff(answers)).mean() < _IN_ORDER * mean_difference
