"""Checks and conversion of arrays of encoded inputs: axes, dtype, NaN. They may be memory-mapped."""

from operator import methodcaller

import numpy as np
from numpy.typing import DTypeLike

from kzoo.data.store.windows import Mapped, blocks, is_mapped
from kzoo.problems.kinds import kind
from kzoo.utils.errors import KzooError


def checked(x: np.ndarray, name: str) -> np.ndarray:
    """Return an array of inputs of a kind after checking its axes and that all values are finite.

    Args:
        x: (N, ...).
        name: name of the kind.

    Raises:
        KzooError: wrong number of axes, NaN or infinity.
    """
    axes = kind(name).axes
    if x.ndim != len(axes) + 1:
        shape = ", ".join(["N", *(axis[0].upper() for axis in axes)])
        raise KzooError(f"{name} inputs have shape ({shape}); got {x.shape}.")
    refuse_nan(x, "x")
    return x


def as_type(x: np.ndarray, dtype: DTypeLike) -> np.ndarray | Mapped:
    """Return an array in a dtype; a memory-mapped one is converted as its rows are read."""
    if not is_mapped(x):
        return x.astype(dtype)
    return Mapped(x, then=methodcaller("astype", dtype, copy=False))


def refuse_nan(values: np.ndarray | Mapped, name: str) -> None:
    """Raise `KzooError` if an array, which may be memory-mapped, contains NaN or infinity."""
    if values.dtype.kind != "f":
        return
    count = 0
    first_row = None
    start = 0
    for block in blocks(values):
        not_finite = ~np.isfinite(block)
        if not_finite.any():
            count += int(not_finite.sum())
            first_row = (
                start + int(np.flatnonzero(not_finite.reshape(len(not_finite), -1).any(axis=1))[0])
                if first_row is None
                else first_row
            )
        start += len(block)
    if count:
        raise KzooError(
            f"{name} contains {count} NaN or infinite values, the first in row {first_row}."
        )
