"""Checks for columns that leak the target."""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module

import numpy as np

from kzoo.checks.finding import Finding, check, warning
from kzoo.checks.subject import Subject, read
from kzoo.utils.formatting import listed

_MOST_ROWS, _FEWEST_ROWS, _MOST_COLUMNS = 5_000, 30, 2_000
_GIVES_AWAY = 0.995  # balanced accuracy of a single column that indicates a leak
# a measurement is suspicious only if no other column has a higher balanced accuracy than this
_MAX_NEXT_BEST = 0.95
# several measurements are suspicious only if they are at most this share of the columns
_MOST_MEASURED = 0.2
_WORTH_A_TREE = 0.8  # separation of the classes, above which a tree is fitted
_MOST_NAMED = 12
_FEW_VALUES = 20  # columns with at most this many distinct values are codes
_SAME_NUMBER = 0.9999  # correlation with the target that indicates a leak

_WHY = "A column that is known only together with the target makes scores too optimistic."
_FIX = (
    "If it is not known before the target is, exclude it with drop=; otherwise ignore this warning."
)


@check("data", "columns", "labels")
def column_gives_class_away(subject: Subject) -> Iterator[Finding]:
    """Find columns each of which determines the class of nearly every row.

    For codes and flags with a few values, this happens only if they were derived from the target, or together with it.
    Measurements can do so legitimately (the length and width of iris petals determine setosa). So they are reported
    only if they are few and no other column comes close (a row number in sorted rows, amounts entered afterwards), or
    if a code is reported too.
    """
    (x, y), names = _read_sample(subject, subject.labels), subject.columns
    classes, counts = np.unique(y, return_counts=True)
    if (
        len(x) < _FEWEST_ROWS
        or len(names) < 2
        or not 2 <= len(classes) <= len(x) / 10
        or counts.min() < 5
    ):
        return
    numbers = range(min(len(names), _MOST_COLUMNS))
    codes_of = {i: np.unique(x[:, i], return_inverse=True)[1] for i in numbers}
    coded = {
        i: codes
        for i, codes in codes_of.items()
        if 2 <= codes.max() + 1 <= max(_FEW_VALUES, len(classes)) and codes.max() < len(x) / 10
    }
    leaks = [i for i, values in coded.items() if _accuracy_by_value(values, y) >= _GIVES_AWAY]
    measurements = [i for i in numbers if i not in coded]
    scores = dict(zip(measurements, _separation(x[:, measurements], y), strict=True))
    accuracy = {
        i: _accuracy_by_tree(x[:, i], y) if scores[i] > _WORTH_A_TREE else 0.0 for i in measurements
    }
    suspicious = [i for i in measurements if accuracy[i] >= _GIVES_AWAY]
    if suspicious and not leaks:
        other_accuracies = [accuracy[i] for i in measurements if i not in suspicious] + [
            _accuracy_by_value(codes, y) for codes in coded.values()
        ]
        few_suspicious = len(suspicious) == 1 or len(suspicious) <= _MOST_MEASURED * len(names)
        suspicious = (
            suspicious
            if few_suspicious and max(other_accuracies, default=0.0) <= _MAX_NEXT_BEST
            else []
        )
    leaks += suspicious
    if leaks:
        columns = [names[i] for i in sorted(leaks)]
        yield warning(
            f"{_describe_columns(columns)} alone determines the class of nearly every row",
            where=_location(columns),
            why=_WHY,
            fix=f"{_FIX} If it identifies what rows belong to (a patient, a device), use group= instead.",
        )


@check("data", "columns", "targets")
def column_gives_value_away(subject: Subject) -> Iterator[Finding]:
    """Find columns that are the target in another unit."""
    (x, y), names = _read_sample(subject, subject.targets), subject.columns
    if len(x) < _FEWEST_ROWS or len(names) < 2:
        return
    y = np.asarray(y, "float64").reshape(len(y), -1)
    for k in range(y.shape[1]):
        with np.errstate(invalid="ignore", divide="ignore"):
            a, b = (v - v.mean(axis=0) for v in (np.asarray(x, "float64"), y[:, k : k + 1]))
            correlation = np.abs((a * b).sum(axis=0)) / np.sqrt((a**2).sum(axis=0) * (b**2).sum())
        leaks = np.flatnonzero(np.nan_to_num(correlation) >= _SAME_NUMBER)
        if len(leaks):
            target = (
                subject.data.target_names[k]
                if k < len(subject.data.target_names)
                else f"target {k}"
            )
            columns = [names[i] for i in leaks]
            least = correlation[leaks].min()
            yield warning(
                f"{_describe_columns(columns)} is the target {target!r} in another unit (correlation {least:.5f})",
                where=_location(columns),
                why=_WHY,
                fix=_FIX,
            )


def _describe_columns(columns: Sequence[str]) -> str:
    quoted = listed(map(repr, columns), _MOST_NAMED)
    return (
        f"Column {quoted}" if len(columns) == 1 else f"Each of the {len(columns)} columns {quoted}"
    )


def _location(columns: Sequence[str]) -> str:
    return (
        f"train, column{'s' if len(columns) > 1 else ''} {listed(map(repr, columns), _MOST_NAMED)}"
    )


def _read_sample(
    subject: Subject, answers: Mapping[str, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    rows = subject.some(most=_MOST_ROWS)
    x = np.nan_to_num(
        read(subject.data.train.x, rows)[:, : len(subject.columns)], nan=0, posinf=0, neginf=0
    )
    return np.clip(x, -1e30, 1e30), answers["train"][rows]


def _accuracy_by_value(values: np.ndarray, y: np.ndarray) -> float:
    """Return the balanced accuracy of predicting the most frequent class of other rows with the same value."""
    classes, y = np.unique(y, return_inverse=True)
    table = np.zeros((values.max() + 1, len(classes)), int)
    np.add.at(table, (values, y), 1)
    class_counts = table[values]
    class_counts[np.arange(len(y)), y] -= 1  # leave the row itself out
    right = (class_counts.argmax(axis=1) == y) & (class_counts.sum(axis=1) > 0)
    return float(np.mean([right[y == k].mean() for k in range(len(classes))]))


def _accuracy_by_tree(column: np.ndarray, y: np.ndarray) -> float:
    """Return the balanced accuracy of a tree on a single column, with a leaf per class."""
    # Imported here: most data has no column that needs a tree.
    classifier = import_module("sklearn.tree").DecisionTreeClassifier
    tree = classifier(
        max_leaf_nodes=max(2, len(np.unique(y))), class_weight="balanced", random_state=0
    )
    right = tree.fit(column[:, None], y).predict(column[:, None]) == y
    return float(np.mean([right[y == k].mean() for k in np.unique(y)]))


def _separation(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the separation of the classes by each column: 1 if sorting makes them contiguous, 0 if they are mixed.

    The ranks within a contiguous block of p n rows have variance (p n)^2 / 12, in whichever order the blocks are, so
    the share of the variance between classes is 1 - sum p^3. This is fast for all columns at once; a tree checks the
    best ones.
    """
    if not x.shape[1]:
        return np.zeros(0)
    ranks = np.argsort(np.argsort(x, axis=0, kind="stable"), axis=0, kind="stable").astype(
        "float64"
    )
    shares = []
    between = np.zeros(x.shape[1])
    for label in np.unique(y):
        class_ranks = ranks[y == label]
        shares.append(len(class_ranks) / len(y))
        between += shares[-1] * (class_ranks.mean(axis=0) - ranks.mean(axis=0)) ** 2
    return between / ranks.var(axis=0) / (1 - np.sum(np.array(shares) ** 3))
