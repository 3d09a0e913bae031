"""Size of a model before it is allocated: it is built with variables that have a shape but no values."""

import math
import threading
from collections import Counter
from collections.abc import Callable, Container, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeVar

import keras

from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.zoo.loading.unsafe import Refused, Unreadable, short

if TYPE_CHECKING:
    pass


_Result = TypeVar("_Result")

# bytes allowed for variables that files do not store, such as states of recurrent layers
SLACK = 32 << 20
LONGEST = 1 << 20  # numbers that a layer may allocate while it is built without storing them
MAX_PARTS = 1024  # tensors into which an operation may split another

# Initializers whose values the stored weights replace at once; a large orthogonal matrix takes minutes.
_DRAWN = (
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "Orthogonal",
    "RandomNormal",
    "RandomUniform",
    "TruncatedNormal",
    "VarianceScaling",
)


def run_in_new_thread(work: Callable[[], _Result]) -> _Result:
    """Return `work()`, run in a new thread, where no Keras scopes and switches of the caller are active.

    Keras keeps these per thread: `custom_object_scope`, `enable_unsafe_deserialization`, and the list of variables that
    are not initialized yet.
    """
    result: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
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
def zero_initialization() -> Iterator[None]:
    """Initialize weights with zeros inside the block, for models whose weights come from a file.

    Afterwards the initializers are the configured ones again, so that the model can be inspected and saved.
    """
    instances: list[Any] = []
    names: dict[str, Any] = {}
    for name in _DRAWN:
        zeros_class = _zeros_class(getattr(keras.initializers, name), instances)
        snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
        names |= {name: zeros_class, snake: zeros_class}
    with keras.saving.custom_object_scope(names):
        yield
    for initializer in instances:
        initializer.__class__ = type(initializer).__base__


def _zeros_class(cls: Any, instances: list[object]) -> type:
    def __init__(self: Any, *arguments: object, **options: object) -> None:
        cls.__init__(self, *arguments, **options)
        instances.append(self)

    def __call__(self: Any, shape: tuple[int, ...], dtype: str | None = None) -> keras.KerasTensor:
        return keras.ops.zeros(shape, dtype=dtype)

    return type(cls.__name__, (cls,), {"__init__": __init__, "__call__": __call__})


def with_shape_checks(
    tree: JsonObject, stored: Counter[tuple[int, ...]]
) -> tuple[JsonObject, dict[str, type]]:
    """Replace classes whose cost depends on the input shape by subclasses that check the shape first.

    Args:
        tree: the configuration; changed in place.
        stored: Counter of the shapes in the file, from `stored_shapes`.

    Returns:
        (tree, dict of name -> class for `custom_objects` of Keras).
    """

    # allocates mean and variance of the size of its axes
    class Normalization(keras.layers.Normalization):
        def build(self, input_shape: tuple[int | None, ...]) -> None:
            axes = range(len(input_shape)) if self.axis is None else self.axis
            axes = axes if isinstance(axes, list | tuple) else (axes,)
            shape = tuple(input_shape[axis] for axis in axes if isinstance(axis, int))
            if shape not in stored and math.prod(length or 1 for length in shape) > LONGEST:
                raise Refused(
                    f"its layer {short(self.name)} normalises shape {shape}, but stores no statistics of it"
                )
            super().build(input_shape)

    core_ops: Any = import_module("keras.src.ops.core")

    class Unstack(core_ops.Unstack):
        def __call__(self, x: keras.KerasTensor) -> list[keras.KerasTensor]:
            length = self.num if self.num is not None else x.shape[self.axis]
            if length is not None and length > MAX_PARTS:
                raise Refused(
                    f"it splits a tensor into {length:,} parts, the limit is {MAX_PARTS:,}"
                )
            return super().__call__(x)

    classes = {"Normalization": Normalization, "Unstack": Unstack}
    _register_classes(tree, classes)
    return tree, {f"kzoo>{name}": cls for name, cls in classes.items()}


def _register_classes(node: object, classes: Container[str]) -> None:
    if isinstance(node, list):
        for part in node:
            _register_classes(part, classes)
    elif isinstance(node, dict):
        if node.get("class_name") in classes and str(node.get("module")).startswith("keras."):
            node["registered_name"] = f"kzoo>{node['class_name']}"
        for part in node.values():
            _register_classes(part, classes)


def check_size(build: Callable[[], keras.Model], stored: Counter[tuple[int, ...]]) -> None:
    """Build a model without memory for its weights; raise Refused if its weights are not those of the file.

    Args:
        build: function without arguments that returns a model.
        stored: Counter of the shapes in the file, from `stored_shapes`.

    Raises:
        Refused: the model has weights that are not stored.
        Unreadable: Keras cannot build it.
    """
    variables = run_in_new_thread(lambda: _variables(build))
    missing = Counter(shape for _, shape, _ in variables) - stored
    paths = {shape: path for path, shape, _ in variables}
    sizes = {shape: width * math.prod(shape) for _, shape, width in variables}
    if sum(sizes[shape] * count for shape, count in missing.items()) > SLACK:
        largest = max(missing, key=sizes.__getitem__)
        raise Refused(
            f"its weight {paths[largest]!r} has the shape {largest}, {sizes[largest]:,} bytes, but the file stores none"
            " of that shape"
        )


def _variables(build: Callable[[], keras.Model]) -> list[tuple[str, tuple[int, ...], int]]:
    # In a stateless scope with `initialize_variables=False`, variables have a shape only.
    with keras.StatelessScope(initialize_variables=False), zero_initialization():
        try:
            model = build()
        except (Refused, Unreadable):
            raise
        except Exception as error:
            raise Unreadable(f"Keras cannot build its network ({first_line(error)})") from None
        return [(v.path, tuple(v.shape), _bytes(v.dtype)) for v in model.variables]


def _bytes(dtype: str) -> int:
    digits = "".join(c for c in dtype.split("_")[0] if c.isdigit())
    return max(int(digits or 8) // 8, 1)
