"""Counts: learn their mean, encode them, and turn outputs into predicted rates. NumPy only."""

from collections.abc import Sequence

import numpy as np

from kzoo.inference.tasks import values as values_inference
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.inference.tasks.values import answer as answer
from kzoo.problems.layout import RawLabels
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError


def learn(
    values: RawLabels, names: Sequence[str] = (), *, known: ColumnStatistics | None = None
) -> Target:
    """Learn mean and standard deviation of training targets.

    Args:
        values: (N,) or (N, targets) numbers, or columns of a DataFrame.
        names: of the targets; the default is y1, y2, ...
        known: the `ColumnStatistics` of all targets, if `values` are only a few of their rows.

    Raises:
        KzooError: a value that is not a count.
    """
    y = encode(Target(), values)
    known = known or ColumnStatistics.of(y)
    _check_not_negative(known.low)
    names = tuple(names) or tuple(f"y{i + 1}" for i in range(y.shape[1]))
    scales = {"target_offset": known.mean.tolist(), "target_scale": known.sd.tolist()}
    return Target(names=names, config={"outputs": y.shape[1]} | scales)


def encode(target: Target, values: RawLabels) -> np.ndarray:
    """Return counts as float32 (N, targets).

    Raises:
        KzooError: a value that is not a number, negative, or not whole.
    """
    y = values_inference.encode(target, values)
    _check_not_negative(y)
    if (bad := y[y != np.round(y)]).size:
        raise KzooError(
            f"Counts must be whole numbers, but the target contains {bad[0]:g}. Use task='regression' for other "
            "numbers."
        )
    return y


def _check_not_negative(values: np.ndarray) -> None:
    if (bad := values[values < 0]).size:
        raise KzooError(
            f"Counts must be 0 or more, but the target contains {bad[0]:g}. Use task='regression' for other numbers."
        )
