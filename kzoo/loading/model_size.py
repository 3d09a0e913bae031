"""How large a model is, before it is made: built with variables that have a shape and no values."""

import math
import threading
from collections import Counter
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import keras

from kzoo.loading.unsafe import Refused, Unreadable, short
from kzoo.utils.formatting import first_line

SLACK = 32 << 20  # bytes of what no file stores, such as the states of a recurrent layer
LONGEST = 1 << 20  # numbers that a layer may compute while it is built, from few that its configuration has
MOST_PARTS = 1024  # tensors into which an operation may take another apart

# Initializers that draw or compute what the weights of the file replace at once; an orthogonal matrix takes minutes.
_DRAWN = (
    "GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform", "Orthogonal",
    "RandomNormal", "RandomUniform", "TruncatedNormal", "VarianceScaling",
)  # fmt: skip


def run_in_new_thread(work):
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


@contextmanager
def without_values():
    """Let weights begin as zeros: what is built inside gets its weights from a file. The initializers stay as they
    are described, for those who look at them or save the model again."""
    made: list[Any] = []
    names: dict[str, Any] = {}
    for name in _DRAWN:
        stand_in = _zeros_of(getattr(keras.initializers, name), made)
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
        names |= {name: stand_in, snake: stand_in}
    with keras.saving.custom_object_scope(names):
        yield
    for initializer in made:
        initializer.__class__ = type(initializer).__base__


def _zeros_of(cls, made):
    def __init__(self, *arguments, **options):
        cls.__init__(self, *arguments, **options)
        made.append(self)

    def __call__(self, shape, dtype=None):
        return keras.ops.zeros(shape, dtype=dtype)

    return type(cls.__name__, (cls,), {"__init__": __init__, "__call__": __call__})


def with_shape_checks(tree, stored):
    """Return a configuration in which what computes by the shape of its input looks at it first, and these classes.

    Args:
        tree: the configuration; changed in place.
        stored: Counter of the shapes in the file, from `stored_shapes`.

    Returns:
        the tree, and name -> class for Keras' `custom_objects`.
    """

    class Normalization(keras.layers.Normalization):  # makes mean and variance as long as its axes
        def build(self, input_shape):
            axes = range(len(input_shape)) if self.axis is None else self.axis
            axes = axes if isinstance(axes, list | tuple) else (axes,)
            shape = tuple(input_shape[axis] for axis in axes if isinstance(axis, int))
            if shape not in stored and math.prod(length or 1 for length in shape) > LONGEST:
                raise Refused(f"its layer {short(self.name)} would normalise {shape} numbers, and stores none of them")
            super().build(input_shape)

    private: Any = import_module("keras.src.ops.core")

    class Unstack(private.Unstack):
        def __call__(self, x):
            length = self.num if self.num is not None else x.shape[self.axis]
            if length is not None and length > MOST_PARTS:
                raise Refused(f"it takes {length:,} tensors out of one, and {MOST_PARTS:,} is the limit")
            return super().__call__(x)

    looks = {"Normalization": Normalization, "Unstack": Unstack}
    _name(tree, looks)
    return tree, {f"kzoo>{name}": cls for name, cls in looks.items()}


def _name(thing, looks):
    if isinstance(thing, list):
        for part in thing:
            _name(part, looks)
    elif isinstance(thing, dict):
        if thing.get("class_name") in looks and str(thing.get("module")).startswith("keras."):
            thing["registered_name"] = f"kzoo>{thing['class_name']}"
        for part in thing.values():
            _name(part, looks)


def check_size(build, stored):
    """Build a model without memory for its weights, and refuse one whose weights are not those of the file.

    Args:
        build: function without arguments that returns a model.
        stored: Counter of the shapes in the file, from `stored_shapes`.

    Raises:
        Refused: more, or other, weights than are stored.
        Unreadable: Keras cannot build it.
    """
    wanted = run_in_new_thread(lambda: _variables(build))
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
    with keras.StatelessScope(initialize_variables=False), without_values():
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
