"""How many rows a network computes at once, so that the outputs of all its layers fit into memory."""

import math
from weakref import WeakKeyDictionary

import keras

from kzoo.utils.memory import rows_that_fit

_ITEM = 4  # bytes of a number
_row_sizes: WeakKeyDictionary = WeakKeyDictionary()


def rows_at_once(model: keras.Model, batch_size: int) -> int:
    """Return `batch_size`, or fewer rows if the outputs of all layers for a batch would not fit into memory.

    A network with many branches, such as `series_rocket`, holds most of these outputs at the same time. Predictions of
    a row do not depend on the other rows of its batch.

    Args:
        model: the network.
        batch_size: the number of rows that is wanted, at least 1.
    """
    if (row_size := _row_sizes.get(model)) is None:
        row_size = _row_sizes[model] = bytes_of_row(model)
    return rows_that_fit(row_size, batch_size)


def bytes_of_row(model: keras.Model) -> int:
    """Return the bytes of the outputs of all layers for a row; 0 if they are unknown, as in subclasses of Model."""
    if isinstance(model, keras.Sequential) and model.inputs:
        model = keras.Model(model.inputs, model.outputs)
    size = 0
    for operation in getattr(model, "operations", ()):
        if isinstance(operation, keras.Model):
            size += bytes_of_row(operation)
        elif not isinstance(operation, keras.layers.InputLayer):
            tensors = keras.tree.flatten(operation.output)
            size += _ITEM * sum(
                math.prod(length or 1 for length in tensor.shape[1:]) for tensor in tensors
            )
    return size
