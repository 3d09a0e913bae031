"""Arrays that hold inputs of a kind already: their axes, their type, and no NaN."""

from operator import methodcaller

import numpy as np

from kzoo.kinds import kind
from kzoo.storage.windows import Mapped, blocks, is_mapped
from kzoo.utils.errors import KzooError


def checked(x, name):
    """Return an array of inputs of a kind, which has its axes and holds no NaN.

    Args:
        x: (N, ...).
        name: of the kind.

    Raises:
        KzooError: other axes, NaN, infinity.
    """
    axes = kind(name).axes
    if x.ndim != len(axes) + 1:
        shape = ", ".join(["N", *(axis[0].upper() for axis in axes)])
        raise KzooError(f"{name} inputs have shape ({shape}); got {x.shape}.")
    refuse_nan(x, "x")
    return x


def as_type(x, dtype):
    """Return an array in a type; one that lies in a file stays there, and what is read of it becomes that type."""
    if not is_mapped(x):
        return x.astype(dtype)
    return Mapped(x, then=methodcaller("astype", dtype, copy=False))


def refuse_nan(values, name):
    """Raise `KzooError` for NaN and infinity in an array, also in one that lies in a file."""
    if values.dtype.kind != "f":
        return
    count, first, row = 0, None, 0
    for block in blocks(values):
        bad = ~np.isfinite(block)
        if bad.any():
            count += int(bad.sum())
            first = row + int(np.flatnonzero(bad.reshape(len(bad), -1).any(axis=1))[0]) if first is None else first
        row += len(block)
    if count:
        raise KzooError(f"{name} holds {count} NaN or infinite values, the first in row {first}.")
