"""The option `order`: the classes in their order; numbers and ordered categoricals bring their own."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.splits import fingerprint
from kzoo.inference.tables.values import category_word, to_numbers
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import as_python, listed, plural
from kzoo.utils.optional import of_pandas

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split
    from kzoo.data.options import DataOptions

_NAMED = 12
_ROWS = 1_000_000  # labels that are read at a time


def checked(order: object) -> tuple[str, ...] | None:
    """Return the names of the classes of `order=`; None without any.

    Raises:
        KzooError: they are not at least two different names.
    """
    if order is None:
        return None
    example = "order=['low', 'medium', 'high']"
    if isinstance(order, str | bytes) or not isinstance(order, Iterable):
        raise KzooError(
            f"must be the classes in their order, such as {example}.", argument="order", value=order
        )
    names = tuple(_name(value) for value in order)
    refusal = partial(KzooError, argument="order", value=order)
    if len(names) < 2:
        raise refusal(f"must have at least two classes, such as {example}.")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise refusal(f"has the class {repeated[0]!r} twice. Remove one.")
    return names


def applied(data: "Dataset", source: object, options: "DataOptions") -> "Dataset":
    """Return the data with its classes in their order: that of `order=`, of a categorical, or of numbers.

    Raises:
        KzooError: texts without an order, or an order that does not fit the classes.
    """
    classes = data.class_names
    names = listed(map(repr, classes), _NAMED)
    order = checked(options.order)
    refusal = partial(KzooError, argument="order", value=options.order)
    if order is None:
        order = _order_of_categories(data, source) or _order_of_numbers(classes)
    elif unknown := [name for name in order if name not in classes]:
        raise refusal(
            f"has the class {unknown[0]!r}, which no row of {data.name} has. Its classes are {names}."
        )
    if order is None:
        raise KzooError(
            f"The classes {names} of {data.name} are not numbers: say which order they have, from the lowest to the "
            f"highest. Add order={list(classes)}, in the right order.",
            argument="order",
            complete=True,
        )
    if missing := [name for name in classes if name not in order]:
        raise refusal(
            f"lacks the class {missing[0]!r} of {data.name}. Add it, or leave its rows out."
        )
    numbers = np.array([order.index(name) for name in classes])
    parts: dict[str, Any] = {
        part: None if split is None else _renumbered(split, numbers)
        for part in ("train", "validation", "test", "calibration")
        for split in [getattr(data, part)]
    }
    notes = list(data.notes)
    if empty := [name for name in order if name not in classes]:
        notes.append(
            f"{plural(len(empty), 'class')} without a row: {listed(map(repr, empty), _NAMED)}."
        )
    known = {"classes": list(order)} if "classes" in data.preprocessing else {}
    return replace(
        data,
        **parts,
        class_names=order,
        config=data.config | {"outputs": len(order)},
        preprocessing=data.preprocessing | known,
        notes=notes,
        fingerprint=fingerprint(data.fingerprint, list(order)),
    )


def _name(value: object) -> str:
    """Return the name of the class of a label."""
    value = as_python(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return category_word(str(value).strip())


def _order_of_categories(data: "Dataset", source: object) -> tuple[str, ...] | None:
    """Return the categories of an ordered categorical of pandas; None for other targets."""
    values: Any = None
    if isinstance(source, tuple | list) and len(source) in (2, 3):
        values = source[1]
    elif of_pandas(source, "DataFrame"):
        table: Any = source
        values = next(
            (table[name] for name in table.columns if [str(name).strip()] == [*data.target_names]),
            None,
        )
    dtype: Any = getattr(values, "dtype", None)
    return tuple(map(_name, dtype.categories)) if getattr(dtype, "ordered", False) else None


def _order_of_numbers(classes: Sequence[str]) -> tuple[str, ...] | None:
    """Return classes that are numbers in their order; None for others."""
    numbers = to_numbers(list(classes))
    return tuple(classes[i] for i in np.argsort(numbers)) if np.isfinite(numbers).all() else None


def _renumbered(split: "Split", numbers: np.ndarray) -> "Split":
    """Return a split whose class i is `numbers[i]`."""
    if (numbers == np.arange(len(numbers))).all():
        return split
    blocks = [split.y[start : start + _ROWS] for start in range(0, len(split), _ROWS)]
    return replace(split, y=numbers[np.concatenate(blocks)].astype(blocks[0].dtype))
