"""Row weights: checks, and the scale on which they are used."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from kzoo.inference.sources.arrays import numeric_array
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.inference.tasks.weighted import effective_rows
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import number, plural


def weights_of(weight: ArrayLike, rows: int, name: str) -> np.ndarray:
    """Return row weights (N,) as float64.

    Raises:
        KzooError: there is not one number for each row, or one is negative, NaN or infinite.
    """
    weight = numeric_array(weight, name.capitalize(), item=name.capitalize()).astype(np.float64)
    if weight.shape != (rows,):
        raise KzooError(
            f"{name.capitalize()} (sample_weight=) must have one number for each of the {rows} rows. Got an array "
            f"of shape {weight.shape}."
        )
    if (weight < 0).any():
        row = int(np.argmax(weight < 0))
        raise KzooError(
            f"{name.capitalize()} (sample_weight=) must be 0 or more. Row {row + 1} has {weight[row]:g}."
        )
    return weight


def weights_to_score(weight: np.ndarray) -> np.ndarray:
    """Return weights (N,) of new rows as float32 with a mean of 1.

    Raises:
        KzooError: all are 0.
    """
    if not weight.sum() > 0:
        raise KzooError(
            "The weight (sample_weight=) is 0 for all rows, leaving nothing to score. At least one must be positive."
        )
    return (weight / weight.mean()).astype(np.float32)


def weighted_rows(
    train: np.ndarray,
    weight: np.ndarray | None,
    labels: np.ndarray | None = None,
    classes: Sequence[str] = (),
) -> np.ndarray:
    """Return the training rows that have a weight above 0: a row of weight 0 is not learned from.

    Args:
        train: numbers of the training rows.
        weight: (N,) weights of all rows, or None.
        labels: (N,) class numbers of all rows, or None.
        classes: names of the classes.

    Raises:
        KzooError: all training rows have the weight 0, or all of a class.
    """
    if weight is None or (weight[train] > 0).all():
        return train
    kept = train[weight[train] > 0]
    if not len(kept):
        raise KzooError(
            "The weight (sample_weight=) is 0 for all training rows. At least one must be positive."
        )
    if labels is not None and (lost := np.setdiff1d(labels[train], labels[kept])).size:
        name = repr(classes[lost[0]]) if len(classes) else f"number {lost[0]}"
        raise KzooError(
            f"All training rows of class {name} have the weight 0 (sample_weight=). Give at least one a positive "
            "weight, or remove the class."
        )
    return kept


def scaled_weights(
    weight: np.ndarray | None, parts: Mapping[str, np.ndarray | None]
) -> np.ndarray | None:
    """Return weights (N,) as float32 with a mean of 1 over the training rows; the other splits have the same scale.

    Args:
        weight: (N,) weights of all rows; NaN where a second source has none.
        parts: split -> numbers of its rows, or None.

    Raises:
        KzooError: all weights of a split are 0, leaving nothing to score.
    """
    if weight is None:
        return None
    for split, rows in parts.items():
        if rows is not None and len(rows) and weight[rows].sum() == 0:
            of_split = "training" if split == "train" else split
            raise KzooError(
                f"The weight (sample_weight=) is 0 for all {of_split} rows. At least one must be positive."
            )
    return (weight / weight[parts["train"]].mean()).astype(np.float32)


def weighted_statistics(values: np.ndarray, weight: np.ndarray | None) -> ColumnStatistics:
    """Return the statistics of values (N, columns).

    Args:
        weight: (N,) weights of the mean and the standard deviation; None: all rows have the same weight.
    """
    if weight is None:
        return ColumnStatistics.of(values)
    values = np.asarray(values, np.float64)
    mean = np.average(values, axis=0, weights=weight)
    sd = np.sqrt(np.average((values - mean) ** 2, axis=0, weights=weight))
    sd = np.where(sd <= 1e-9 * np.maximum(1e-30, np.abs(mean)), 1.0, sd)
    return ColumnStatistics(mean, sd, values.min(axis=0), values.max(axis=0))


def part_weights(weight: np.ndarray | None, rows: np.ndarray | None) -> np.ndarray | None:
    """Return the weights of some rows; None if there are none."""
    if weight is None or rows is None or np.isnan(weight[rows]).any():
        return None
    return weight[rows]


def weights_note(weight: np.ndarray, source: str, dropped: int = 0) -> str:
    """Return a note on how much the training rows count.

    Args:
        weight: (N,) scaled weights of the training rows.
        source: what they were read from, such as "column 'w'".
        dropped: number of training rows of weight 0.
    """
    return weights_line(
        weight.min(), weight.max(), effective_rows(weight), len(weight), source, dropped
    )


def weights_line(
    low: float, high: float, effective: float, count: int, source: str, dropped: int = 0
) -> str:
    """Return the note of `weights_note` from the range, the effective number and the number of the weights."""
    verb = "is" if dropped == 1 else "are"
    zero = (
        f"; {plural(dropped, 'training row')} of weight 0 {verb} not trained on" if dropped else ""
    )
    return (
        f"Row weights from {source}: {number(low)} to {number(high)}, mean 1 over the training rows, which count like "
        f"{effective:,.0f} of {count:,} rows{zero}."
    )
