"""How large a model is, before it is made: built with variables that have a shape and no values."""

import math
import threading
from collections import Counter
from typing import Any

import keras

from kzoo.loading.refused import Refused, Unreadable
from kzoo.words import first_line

SLACK = 32 << 20  # bytes of what no file stores, such as the states of a recurrent layer


def in_a_thread_of_its_own(work):
    """Call `work()` where none of the caller's Keras scopes and switches hold, and return its result.

    Keras keeps these per thread: `custom_object_scope`, `enable_unsafe_deserialization`, and the list of variables
    that wait for their values.
    """
    result: list[tuple[Any, BaseException | None]] = []

    def run():
        try:
            result.append((work(), None))
        except BaseException as error:
            result.append((None, error))

    thread = threading.Thread(target=run, name="kzoo-loading", daemon=True)
    thread.start()
    thread.join()
    value, error = result[0]
    if error is not None:
        raise error
    return value


def check_size(build, stored):
    """Build a model without memory for its weights, and refuse one whose weights are not those of the file.

    Args:
        build: function without arguments that returns a model.
        stored: Counter of the shapes in the file, from `stored_shapes`.

    Raises:
        Refused: more, or other, weights than are stored.
        Unreadable: Keras cannot build it.
    """
    wanted = in_a_thread_of_its_own(lambda: _variables(build))
    missing = Counter(shape for _, shape, _ in wanted) - stored
    places = {shape: path for path, shape, _ in wanted}
    sizes = {shape: width * math.prod(shape) for _, shape, width in wanted}
    if sum(sizes[shape] * count for shape, count in missing.items()) > SLACK:
        largest = max(missing, key=sizes.__getitem__)
        raise Refused(
            f"its weight {places[largest]!r} would have the shape {largest}, {sizes[largest]:,} bytes, and the file"
            " stores none of that shape"
        )


def _variables(build):
    # In a stateless scope variables only know their shape, and with `initialize_variables=False` they stay so.
    with keras.StatelessScope(initialize_variables=False):
        try:
            model = build()
        except (Refused, Unreadable):
            raise
        except Exception as error:
            raise Unreadable(f"Keras cannot build what it describes ({first_line(error)})") from None
        return [(v.path, tuple(v.shape), _bytes(v.dtype)) for v in model.variables]


def _bytes(dtype):
    digits = "".join(c for c in dtype.split("_")[0] if c.isdigit())
    return max(int(digits or 8) // 8, 1)
