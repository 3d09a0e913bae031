"""Labels: learn their names, encode rows of labels as 0 and 1, and turn outputs into sets of labels. NumPy only."""

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.inference.tables.label_cells import flags, label_sets
from kzoo.problems.layout import Preprocessor, RawLabels
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, percent, plural, shown

if TYPE_CHECKING:
    from kzoo.inference.postprocessors.threshold import Decision


_HALF = 0.5  # the threshold of labels without one
_NAMED = 8  # labels in a message
_SHOWN = 6  # probabilities of an example


def learn(
    values: RawLabels, names: Sequence[str] = (), *, known: Sequence[str] | None = None
) -> Target:
    """Learn the names of the labels of training rows.

    Args:
        values: a matrix (N, labels) of 0, 1 and NaN; a DataFrame with a column of flags for each label, or with one
            column of sets of labels; or a sequence of N sets, tuples or lists of labels.
        names: of the columns.
        known: names of the labels in order; the default is the names of the columns, or all labels of the rows, in
            numeric order if they are numbers, else alphabetical.

    Raises:
        KzooError: there are fewer than two labels.
    """
    if (columns := _columns(values)) is not None:
        if len(columns) and np.isnan(columns).all():
            raise KzooError(
                "All labels are unknown (NaN). Use 1 for a label that a row has, and 0 for others."
            )
        count = columns.shape[1]
        classes = tuple(known or (names if len(names) == count else map(str, range(count))))
    else:
        found = {label for labels in _sets(values) if labels for label in labels}
        classes = tuple(known or sorted(found, key=_order))
    if len(classes) < 2:
        which = f"the only label is {classes[0]!r}" if classes else "no row has a label"
        raise KzooError(
            f"There must be at least two labels, but {which}. Use task='classification' for one class per row, or "
            "check the separator of the labels."
        )
    return Target(
        names=tuple(names), classes=classes, config={"outputs": len(classes), "output_bias": True}
    )


def _order(name: str) -> tuple[int, int, str]:
    """Return the sort key of a label: numbers first, by value."""
    return (0, int(name), name) if name.isdecimal() else (1, 0, name)


def encode(target: Target, values: RawLabels, notes: list[str] | None = None) -> np.ndarray:
    """Return rows of labels as float32 (N, labels): 1 if a row has the label, 0 if not, NaN if that is unknown.

    Args:
        target: the `Target`.
        values: see `learn`.
        notes: a list that gets a line about labels that are not among those of the training rows; None to warn.

    Raises:
        KzooError: a column has other values than 0 and 1, or there are other columns than labels.
    """
    if (columns := _columns(values)) is not None:
        if columns.shape[1] != len(target.classes):
            raise KzooError(
                f"The labels are a matrix of {plural(columns.shape[1], 'column')}, but there are "
                f"{plural(len(target.classes), 'label')}: {listed(target.classes, _NAMED)}."
            )
        return columns
    number_of = {name: number for number, name in enumerate(target.classes)}
    sets = _sets(values)
    counts: Counter = Counter(sets)
    unknown: Counter[str] = Counter()
    rows = np.zeros((len(counts), len(number_of)), np.float32)  # one for each distinct set
    for row, (labels, count) in zip(rows, counts.items(), strict=True):
        if labels is None:
            row[:] = np.nan
            continue
        for label in labels:
            if (number := number_of.get(label)) is None:
                unknown[label] += count
            else:
                row[number] = 1
    index_of = {labels: index for index, labels in enumerate(counts)}
    y = rows[np.fromiter(map(index_of.__getitem__, sets), int, len(sets))]
    if unknown:
        names = listed(
            (f"{name!r} ({plural(count, 'row')})" for name, count in unknown.most_common()), _NAMED
        )
        if not (y == 1).any():
            raise KzooError(
                f"The test data has no label of the training rows ({listed(target.classes, _NAMED)}), but {names}. "
                "Check the target column and the separator."
            )
        line = f"Labels that no training row has are left out: {names}."
        warn(line) if notes is None else notes.append(line)
    return y


def _columns(values: RawLabels) -> np.ndarray | None:
    """Return flags as float32 (N, labels); None if `values` are sets of labels."""
    if hasattr(values, "columns"):
        if len(values.columns) < 2:
            return None
        columns = {name: flags(values[name]) for name in values.columns}
        for name, column in columns.items():
            if column is None and values[name].notna().any():
                cell = next(cell for cell in values[name].dropna() if flags([cell, 0]) is None)
                raise KzooError(
                    f"Label column {name!r} must be 0 or 1, yes or no, but has {shown(cell)}. Correct it, or use drop= "
                    "to leave it out."
                )
        missing = np.full(len(values), np.nan)
        return np.stack(
            [missing if column is None else column for column in columns.values()],
            axis=1,
            dtype="float32",
        )
    if not isinstance(values, np.ndarray) or values.ndim != 2:
        return None
    y = values.astype(np.float32)
    if bad := y[~(np.isnan(y) | np.isin(y, (0, 1)))].tolist():
        raise KzooError(f"Labels must be 0 or 1, or NaN if they are unknown. Found {bad[0]:g}.")
    return y


def _sets(values: RawLabels) -> Sequence[tuple[str, ...] | None]:
    """Return the labels of each row, from a sequence of them or a DataFrame with one column."""
    return label_sets(values.iloc[:, 0] if hasattr(values, "columns") else values)


def probabilities_of(outputs: np.ndarray, logits: bool | None) -> np.ndarray:
    """Return the probability of each label (N, labels), from logits, or from outputs that are probabilities."""
    if not logits:
        return outputs
    return (1 / (1 + np.exp(-outputs.astype(np.float64)))).astype(outputs.dtype)


def true_probabilities(truth: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Return the probabilities of the true states of the labels (see `Problem.true_probabilities`)."""
    truth = truth[..., None]
    return np.where(np.isnan(truth), np.nan, np.where(truth == 1, p, 1 - p)).astype(p.dtype)


def decided(p: np.ndarray, thresholds: Sequence[float] = ()) -> np.ndarray:
    """Return which labels are predicted, booleans (N, labels): those whose probability reaches their threshold."""
    return p.astype(np.float64) >= (
        np.asarray(thresholds, np.float64) if len(thresholds) else _HALF
    )


def names_of(chosen: np.ndarray, classes: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the names of the labels of each row, in the order of `classes`.

    Args:
        chosen: (N, labels) booleans.
        classes: names of all labels.
    """
    return [tuple(classes[number] for number in np.flatnonzero(row).tolist()) for row in chosen]


def answer(
    target: Target,
    outputs: np.ndarray,
    *,
    inputs: Sequence[Any],
    reader: Preprocessor | None = None,
    logits: bool | None = None,
) -> Predictions:
    """Return the labels of each row, those with a probability of at least a half, and all probabilities.

    Args:
        target: the `Target`.
        outputs: (N, labels).
        inputs: the raw input of each row.
        reader: the preprocessor; its `separator` is written between the labels of a row.
        logits: True if outputs are logits, else they are probabilities.
    """
    p = probabilities_of(outputs, logits)
    separator = (reader or {}).get("separator") or ";"
    return Predictions(
        labels=names_of(decided(p, target.thresholds), target.classes),
        probabilities=p,
        class_names=target.classes,
        inputs=inputs,
        separator=separator,
    )


def example(
    truth: np.ndarray,
    answer: np.ndarray,
    target: Target,
    *,
    scores: bool,
    decision: "Decision | None",
) -> JsonObject:
    """Return the cells of an example (see `Problem.example`); "?" is an unknown label."""
    names = target.classes
    chosen = decided(answer, target.thresholds)
    known = ~np.isnan(truth)
    true = [name for name, value in zip(names, truth, strict=True) if value == 1]
    unknown = [f"{name}?" for name, is_known in zip(names, known, strict=True) if not is_known]
    predicted = [name for name, is_chosen in zip(names, chosen, strict=True) if is_chosen]
    return dict(
        truth=", ".join(true + unknown) or "none",
        predicted=", ".join(predicted) or "none",
        right=bool((chosen == (truth == 1))[known].all()),
        confidence=", ".join(percent(value) for value in answer[chosen][:_SHOWN]) or "–",
    )
