"""Columns that give the target away."""

from importlib import import_module

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.checks.subject import read
from kzoo.utils.formatting import listed

_MOST_ROWS, _FEWEST_ROWS, _MOST_COLUMNS = 5_000, 30, 2_000
_GIVES_AWAY = 0.995  # share of rows, each class counting as much, that the column alone has right
_OTHERS = 0.95  # what the next best column reaches at most where a measurement is suspicious
_MOST_MEASURED = 0.2  # share of the columns, of several measurements that are suspicious together
_WORTH_A_TREE = 0.8
_MOST_NAMED = 12
_FEW_VALUES = 20
_SAME_NUMBER = 0.9999  # correlation

_WHY = "A column that is known only when the answer is known makes a score that does not come true."
_FIX = "Is it known before the answer is? If not, leave it out: drop=. If it is, all is well."


@check("data", "columns", "labels")
def column_gives_class_away(subject):
    """Columns each of which tells the class of every row.

    Codes and flags with a few values do that only where they were made from the answer, or with it. Measurements
    can do it honestly (the length and the width of an iris petal tell setosa), so that these are named only where they
    are few and no other comes near (a row number in sorted rows, amounts that were filled in afterwards), or where a
    code does it too.
    """
    (x, y), names = _read(subject, subject.labels), subject.columns
    kinds, counts = np.unique(y, return_counts=True)
    if len(x) < _FEWEST_ROWS or len(names) < 2 or not 2 <= len(kinds) <= len(x) / 10 or counts.min() < 5:
        return
    numbers = range(min(len(names), _MOST_COLUMNS))
    few = {i: np.unique(x[:, i], return_inverse=True)[1] for i in numbers}
    coded = {i: v for i, v in few.items() if 2 <= v.max() + 1 <= max(_FEW_VALUES, len(kinds)) and v.max() < len(x) / 10}
    leaks = [i for i, values in coded.items() if _told_by_values(values, y) >= _GIVES_AWAY]
    others = [i for i in numbers if i not in coded]
    scores = dict(zip(others, _separation(x[:, others], y), strict=True))
    told = {i: _told_by_order(x[:, i], y) if scores[i] > _WORTH_A_TREE else 0.0 for i in others}
    measured = [i for i in others if told[i] >= _GIVES_AWAY]
    if measured and not leaks:
        rest = [told[i] for i in others if i not in measured] + [_told_by_values(v, y) for v in coded.values()]
        few_measured = len(measured) == 1 or len(measured) <= _MOST_MEASURED * len(names)
        measured = measured if few_measured and max(rest, default=0.0) <= _OTHERS else []
    leaks += measured
    if leaks:
        columns = [names[i] for i in sorted(leaks)]
        yield warning(
            f"{_each(columns)} alone tells the class of nearly every row",
            where=_where(columns),
            why=_WHY,
            fix=f"{_FIX} Where it says what rows belong to (a patient, a device), say group= instead.",
        )


@check("data", "columns", "targets")
def column_gives_value_away(subject):
    """One column that is the target in another unit."""
    (x, y), names = _read(subject, subject.targets), subject.columns
    if len(x) < _FEWEST_ROWS or len(names) < 2:
        return
    y = np.asarray(y, "float64").reshape(len(y), -1)
    for k in range(y.shape[1]):
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (v - v.mean(axis=0) for v in (np.asarray(x, "float64"), y[:, k : k + 1]))
            same = np.abs((a * b).sum(axis=0)) / np.sqrt((a**2).sum(axis=0) * (b**2).sum())
        leaks = np.flatnonzero(np.nan_to_num(same) >= _SAME_NUMBER)
        if len(leaks):
            target = subject.data.target_names[k] if k < len(subject.data.target_names) else f"target {k}"
            columns, least = [names[i] for i in leaks], same[leaks].min()
            yield warning(
                f"{_each(columns)} is the target {target!r} in another unit (correlation {least:.5f})",
                where=_where(columns),
                why=_WHY,
                fix=_FIX,
            )


def _each(columns):
    quoted = listed(map(repr, columns), _MOST_NAMED)
    return f"Column {quoted}" if len(columns) == 1 else f"Each of the {len(columns)} columns {quoted}"


def _where(columns):
    return f"train, column{'s' if len(columns) > 1 else ''} {listed(map(repr, columns), _MOST_NAMED)}"


def _read(subject, answers):
    rows = subject.some(most=_MOST_ROWS)
    x = np.nan_to_num(read(subject.data.train.x, rows), nan=0, posinf=0, neginf=0)
    return np.clip(x, -1e30, 1e30), answers["train"][rows]


def _told_by_values(values, y):
    """Return the balanced share of rows whose class is that of most other rows with the same value."""
    kinds, y = np.unique(y, return_inverse=True)
    table = np.zeros((values.max() + 1, len(kinds)), int)
    np.add.at(table, (values, y), 1)
    others = table[values]
    others[np.arange(len(y)), y] -= 1  # a row does not vote for itself
    right = (others.argmax(axis=1) == y) & (others.sum(axis=1) > 0)
    return float(np.mean([right[y == k].mean() for k in range(len(kinds))]))


def _told_by_order(column, y):
    """Return the balanced share of rows that cuts along one column have right, one piece for each class."""
    classifier = import_module("sklearn.tree").DecisionTreeClassifier  # most data has no column that is worth one
    tree = classifier(max_leaf_nodes=max(2, len(np.unique(y))), class_weight="balanced", random_state=0)
    right = tree.fit(column[:, None], y).predict(column[:, None]) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def _separation(x, y):
    """Return for each column 1 where the classes follow one another without overlap, 0 where they are mixed.

    Ranks within a contiguous block of p n rows vary by (p n)^2 / 12, whichever order the blocks have: the share of
    the variance between classes is 1 - sum p^3 then. Cheap for all columns at once; a tree looks at the best.
    """
    if not x.shape[1]:
        return np.zeros(0)
    ranks = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0, kind="stable").astype("float64")
    shares, between = [], np.zeros(x.shape[1])
    for kind in np.unique(y):
        own = ranks[y == kind]
        shares.append(len(own) / len(y))
        between += shares[-1] * (own.mean(axis=0) - ranks.mean(axis=0)) ** 2
    return between / ranks.var(axis=0) / (1 - np.sum(np.array(shares) ** 3))
