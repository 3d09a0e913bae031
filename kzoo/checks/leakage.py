"""A column that gives the target away."""

from importlib import import_module

import numpy as np

from kzoo.checks.finding import check, warning
from kzoo.checks.subject import read

_MOST_ROWS, _FEWEST_ROWS, _MOST_COLUMNS = 5_000, 30, 2_000
_GIVES_AWAY = 0.995  # share of rows, each class counting as much, that the column alone has right
_OTHERS = 0.95  # what the next best column reaches at most where a measurement is suspicious
_WORTH_A_TREE = 0.8
_FEW_VALUES = 20
_SAME_NUMBER = 0.9999  # correlation

_WHY = "A column that is known only when the answer is known makes a score that does not come true."
_FIX = "Is it known before the answer is? If not, leave it out: drop=. If it is, all is well."


@check("data", "columns", "labels")
def column_gives_class_away(subject):
    """One column that tells the class of every row.

    Codes and flags with a few values do that only where they were made from the answer, or with it. Measurements
    can do it honestly (the length of an iris petal tells setosa), so that one is named only where it is alone:
    a row number in sorted rows, an amount that was filled in afterwards.
    """
    (x, y), names = _read(subject, subject.labels), subject.columns
    kinds, counts = np.unique(y, return_counts=True)
    if len(x) < _FEWEST_ROWS or len(names) < 2 or not 2 <= len(kinds) <= len(x) / 10 or counts.min() < 5:
        return
    numbers = range(min(len(names), _MOST_COLUMNS))
    few = {i: np.unique(x[:, i], return_inverse=True)[1] for i in numbers}
    coded = {i: v for i, v in few.items() if 2 <= v.max() + 1 <= max(_FEW_VALUES, len(kinds)) and v.max() < len(x) / 10}
    given = [i for i, values in coded.items() if _told_by_values(values, y) >= _GIVES_AWAY]
    others = [i for i in numbers if i not in coded]
    scores = _separation(x[:, others], y)
    told = {
        i: _told_by_order(x[:, i], y) if score > _WORTH_A_TREE else 0.0 for i, score in zip(others, scores, strict=True)
    }
    best = max(told, key=told.get, default=None)
    if best is not None and told[best] >= _GIVES_AWAY:
        rest = [share for i, share in told.items() if i != best] + [_told_by_values(v, y) for v in coded.values()]
        given += [best] if max(rest, default=0.0) <= _OTHERS else []
    for i in given:
        yield warning(
            f"Column {names[i]!r} alone tells the class of nearly every row",
            where=f"train, column {names[i]!r}",
            why=_WHY,
            fix=_FIX,
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
        for i in np.flatnonzero(np.nan_to_num(same) >= _SAME_NUMBER):
            target = subject.data.target_names[k] if k < len(subject.data.target_names) else f"target {k}"
            yield warning(
                f"Column {names[i]!r} is the target {target!r} in another unit (correlation {same[i]:.5f})",
                where=f"train, column {names[i]!r}",
                why=_WHY,
                fix=_FIX,
            )


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
