"""Partial dependence of predictions on a column (doi:10.1214/aos/1013203451). NumPy only."""

from collections.abc import Sequence

import numpy as np

from kzoo.inference.explanations.explanation import Dependence
from kzoo.inference.explanations.outputs import Predict
from kzoo.problems.kinds import InputPart

_QUANTILES = 11  # values of a number or a date
_CATEGORIES = 12  # the most frequent ones
_ORDERED = ("number", "date")
_UNORDERED = ("category",)


def partial_dependence(
    x: np.ndarray,
    part: InputPart,
    predict: Predict,
    outputs: Sequence[str],
    *,
    shares: bool = False,
) -> Dependence | None:
    """Return the mean prediction of all rows, with the same value in a column, for several values.

    Numbers and dates are taken at quantiles, and the most frequent categories in order of frequency.

    Args:
        x: (N, ...) encoded inputs.
        part: the column.
        predict: function from encoded inputs to predictions (N, outputs).
        outputs: names of the outputs.
        shares: whether the predictions of a row are shares of 1.

    Returns:
        None for other types of columns, and for a constant column.
    """
    flat = x.reshape(len(x), -1)
    cells = flat[:, part.features]
    cells = cells[cells[:, -1] == 0] if part.missing else cells
    if part.type not in _ORDERED + _UNORDERED or not len(cells):
        return None
    distinct, inverse, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    if len(distinct) < 2:
        return None
    if part.type in _UNORDERED:
        chosen = distinct[np.argsort(-counts, kind="stable")[:_CATEGORIES]]
    else:
        ranks = np.sort(inverse.reshape(-1))
        chosen = distinct[
            np.unique(ranks[np.linspace(0, len(ranks) - 1, _QUANTILES).round().astype(int)])
        ]
    means = []
    for value in chosen:
        changed = flat.copy()
        changed[:, part.features] = value
        means.append(
            tuple(predict(changed.reshape(x.shape)).mean(axis=0, dtype="float64").tolist())
        )
    is_number = part.type == "number"
    values = [float(value[0]) if is_number else part.cell(value) for value in chosen]
    return Dependence(
        column=part.name,
        type=part.type,
        values=tuple(values),
        outputs=tuple(outputs),
        means=tuple(means),
        shares=shares,
    )
