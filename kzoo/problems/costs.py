"""Costs of wrong predictions, in the user's words: `{("yes", "no"): 5}`, or a matrix. Standard library only."""

import math
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import as_python, listed, shown

# a dict "actual:predicted" -> cost, or a matrix
Costs: TypeAlias = dict[str, float] | tuple[tuple[float, ...], ...]


def read(value: object) -> Costs | None:
    """Return the value of `cost=` as plain data: a dict "actual:predicted" -> cost, or a matrix of tuples.

    Raises:
        KzooError: another type, or a cost that is not a number of at least 0.
    """
    if value is None:
        return None
    if isinstance(value, Mapping):
        if not value:
            raise KzooError(
                "is empty. Write cost={('yes', 'no'): 5, ('no', 'yes'): 1}: (actual, predicted).",
                argument="cost",
                value=value,
            )
        return {_pair_name(pair): _cost(pair, cost) for pair, cost in value.items()}
    value = value.tolist() if hasattr(value, "tolist") else value
    if (
        isinstance(value, list | tuple)
        and value
        and all(isinstance(row, list | tuple) for row in value)
    ):
        return tuple(
            tuple(_cost((i, j), cost) for j, cost in enumerate(row)) for i, row in enumerate(value)
        )
    raise KzooError(
        "must be a dict such as {('yes', 'no'): 5, ('no', 'yes'): 1}, (actual, predicted), or a "
        "matrix with a row for each actual class.",
        argument="cost",
        value=value,
    )


def _pair_name(pair: object) -> str:
    if isinstance(pair, tuple | list) and len(pair) == 2:
        return ":".join(str(as_python(name)) for name in pair)
    if isinstance(pair, str) and ":" in pair:
        return pair
    raise KzooError(
        f"has {shown(pair)} for (actual, predicted): write it as ('yes', 'no') or 'yes:no'.",
        argument="cost",
    )


def _cost(pair: object, cost: object) -> float:
    cost = as_python(cost)
    name = ":".join(map(str, pair)) if isinstance(pair, tuple | list) else str(pair)
    if (
        isinstance(cost, bool)
        or not isinstance(cost, int | float)
        or not math.isfinite(cost)
        or cost < 0
    ):
        raise KzooError(f"cost of {name} is {shown(cost)}: a cost must be a number of at least 0.")
    return float(cost)


def matrix(cost: Costs, classes: Sequence[str]) -> tuple[tuple[tuple[float, ...], ...], list[str]]:
    """Return the costs of (actual, predicted) as a matrix in the order of the classes, and notes.

    Of more than two classes, wrong predictions without a cost have the cost 1.

    Args:
        cost: a return value of `read`.
        classes: names of the classes.

    Raises:
        KzooError: an unknown class, a cost of a right prediction, no costs at all, or a class whose prediction is free.
    """
    count = len(classes)
    notes = []
    if isinstance(cost, Mapping):
        pairs = {pair: value for name, value in cost.items() for pair in [_pair(name, classes)]}
        default = 0.0 if count == 2 else 1.0
        table = [
            [pairs.get((i, j), 0.0 if i == j else default) for j in range(count)]
            for i in range(count)
        ]
        missing = count * (count - 1) - sum(i != j for i, j in pairs)
        if missing and count > 2:
            notes.append(
                f"cost= names {len(pairs)} of {count * (count - 1)} wrong predictions: the others cost 1."
            )
    else:
        table = [list(row) for row in cost]
        if len(table) != count or any(len(row) != count for row in table):
            sizes = " x ".join(map(str, (len(table), len(table[0]))))
            raise KzooError(
                f"is a {sizes} matrix, but there are {count} classes, in this order: {listed(classes, 10)}.",
                argument="cost",
            )
    for i, name in enumerate(classes):
        if table[i][i]:
            raise KzooError(
                f"gives the right prediction {name}:{name} a cost of {table[i][i]:g}. Only wrong ones have one: "
                "leave it out, or set it to 0.",
                argument="cost",
            )
    for j, name in enumerate(classes):
        if not any(row[j] for row in table):
            other = (
                classes[1 - j] if count == 2 else next(label for label in classes if label != name)
            )
            raise KzooError(
                f"makes it free to predict {name!r} for every row. Add what the other mistake costs, such as "
                f"{other}:{name}=1.",
                argument="cost",
            )
    return tuple(map(tuple, table)), notes


def _pair(name: str, classes: Sequence[str]) -> tuple[int, int]:
    """Return the class numbers of "actual:predicted"; the names of classes may have colons themselves."""
    words = name.split(":")
    splits = [(":".join(words[:k]), ":".join(words[k:])) for k in range(1, len(words))]
    legal = [(a, b) for a, b in splits if a in classes and b in classes]
    if len(legal) > 1:
        raise KzooError(
            f"has {name!r}, which can be read in several ways. Pass a matrix instead.",
            argument="cost",
        )
    if not legal:
        unknown = next((part for part in splits[0] if part not in classes), name)
        raise KzooError(
            f"has {name!r}, but {unknown!r} is not a class. Write actual:predicted, of: {listed(classes, 10)}.",
            argument="cost",
        )
    actual, predicted = legal[0]
    return classes.index(actual), classes.index(predicted)
