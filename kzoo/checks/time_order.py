"""Check of tables with dates: whether later rows differ from earlier ones, so that a random split is too easy."""

from collections.abc import Iterator, Sequence
from importlib import import_module

import numpy as np

from kzoo.checks.finding import Finding, check, warning
from kzoo.checks.subject import Subject, class_name, read
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import number

_LATE = 0.3  # share of the rows that count as late
_FEWEST, _FEWEST_MOMENTS = 200, 20  # rows and different times, below which nothing can be told
_MOST_ROWS = 3_000  # on which the tree is fitted and scored
_MIN_AUC = 0.8  # of a tree that tells late from early rows, on rows that it has not seen
_MIN_SHARE, _MIN_DEVIATIONS, _MIN_Z = 0.15, 0.3, 5.0  # how far classes and values must move
_DAYS = {
    "year": 372.0,
    "month": 31.0,
    "day": 1.0,
    "hour": 1 / 24,
}  # of each part of a date, roughly: for its order only


@check("data", "rows", "unordered", "columns")
def rows_change_in_time(subject: Subject) -> Iterator[Finding]:
    """Find a date column in whose order the target or the inputs change, if the table is split at random."""
    if any(subject.seen.get(name) for name in ("in_order", "grouped", "test_source")):
        return
    columns = subject.data.preprocessing.get("columns", ())
    if not columns or not isinstance(columns[0], dict):
        return
    rows, x = subject.sample
    for name, days, features in _dated(columns, x):
        late = days > np.quantile(days, 1 - _LATE)
        if (
            len(days) < _FEWEST
            or len(np.unique(days)) < _FEWEST_MOMENTS
            or not 0 < late.mean() < 0.5
        ):
            continue
        evidence = _target_moves(subject, rows, late) or _inputs_move(
            subject, x[:, features], features, late
        )
        if evidence is None:
            continue
        yield warning(
            f"Later rows differ from earlier ones in the order of {name!r}: {evidence}",
            where=f"training rows, column {name!r}",
            why="A random split mixes earlier and later rows, so the score is too optimistic if the rows to predict "
            "are later than these.",
            fix=f"Set split='time' and time={name!r} to test on the last rows.",
        )
        return


def _dated(
    columns: Sequence[JsonObject], x: np.ndarray
) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the name, the days (N,) and the numbers of the other features of each date column without missing cells.

    Args:
        columns: learned columns of a table.
        x: (N, F) encoded rows.
    """
    spans = {}
    position = 0
    for column in columns:
        if column["kind"] == "category":
            break
        width = len(column.get("medians", " ")) + column.get("missing", False)
        spans[column["name"]] = column, range(position, position + width)
        position += width
    dates = {name: span for name, (column, span) in spans.items() if column["kind"] == "date"}
    features = np.setdiff1d(
        np.arange(x.shape[1]), [index for span in dates.values() for index in span]
    )
    for name, span in dates.items():
        column = spans[name][0]
        parts = dict(zip(column["medians"], span, strict=False))
        if column.get("missing") or not {"year", "month", "day"} & set(parts):
            continue
        yield (
            name,
            np.sum(
                [
                    x[:, index].astype("float64") * _DAYS.get(part, 0)
                    for part, index in parts.items()
                ],
                axis=0,
            ),
            features,
        )


def _target_moves(subject: Subject, rows: np.ndarray, late: np.ndarray) -> str | None:
    """Return how the target of late rows differs from that of the others, as text; None if it does not."""
    if subject.labels is not None:
        labels = subject.labels["train"][rows]
        counts = [np.bincount(labels[part], minlength=subject.classes) for part in (~late, late)]
        early_shares, late_shares = (count / count.sum() for count in counts)
        difference = late_shares - early_shares
        if np.abs(difference).sum() / 2 < _MIN_SHARE + (subject.classes / late.sum()) ** 0.5:
            return None
        moved = int(np.abs(difference).argmax())
        return (
            f"class {class_name(subject.data, moved)} is {late_shares[moved]:.0%} of the last {_LATE:.0%} of the rows, "
            f"and {early_shares[moved]:.0%} of the others"
        )
    if subject.targets is None:
        return None
    y = read(subject.targets["train"], rows).reshape(len(rows), -1).astype("float64")
    sd = np.maximum(y.std(axis=0), 1e-30)
    means = y[~late].mean(axis=0), y[late].mean(axis=0)
    deviations = np.abs(means[1] - means[0]) / sd
    moved = int(deviations.argmax())
    z = deviations[moved] / np.sqrt(1 / late.sum() + 1 / (~late).sum())
    if deviations[moved] < _MIN_DEVIATIONS or z < _MIN_Z:
        return None
    names = subject.data.target_names
    return (
        f"the mean of {names[moved] if moved < len(names) else 'the target'!r} is {number(means[1][moved])} in the "
        f"last {_LATE:.0%} of the rows, and {number(means[0][moved])} in the others"
    )


def _inputs_move(
    subject: Subject, x: np.ndarray, features: np.ndarray, late: np.ndarray
) -> str | None:
    """Return how well a tree tells late rows from the others by their other columns, as text; None if it cannot."""
    if not x.shape[1]:
        return None
    chosen = np.random.default_rng(0).permutation(len(x))[:_MOST_ROWS]
    fitted = chosen[::2]
    scored = chosen[1::2]
    tree = import_module("sklearn.tree").DecisionTreeClassifier(
        max_leaf_nodes=16, min_samples_leaf=10, random_state=0
    )
    tree.fit(x[fitted], late[fitted])
    if len(tree.classes_) < 2 or len(np.unique(late[scored])) < 2:
        return None
    auc = import_module("sklearn.metrics").roc_auc_score(
        late[scored], tree.predict_proba(x[scored])[:, 1]
    )
    if auc < _MIN_AUC:
        return None
    name = subject.columns[features[int(tree.feature_importances_.argmax())]]
    return (
        f"a tree tells the last {_LATE:.0%} of the rows from the others by {name!r} and other columns"
        f" (AUC {auc:.2f})"
    )
