"""`Points`: the interface of search spaces that the engines use, derived from a list of hyperparameters."""

import math
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kzoo.tuning.spaces.entry import Parameter, Point, format_value
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural

if TYPE_CHECKING:
    import keras_tuner

_HEADS = ("name", "values", "default", "meaning")


class Points:
    """The points spanned by some hyperparameters.

    Args:
        max_params: most parameters of a network; None for no limit.
    """

    max_params: int | None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the searched hyperparameters, parents before those that depend on them."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Return KerasTuner's names of the hyperparameters."""
        return tuple(parameter.name for parameter in self.parameters)

    def default(self) -> Point:
        """Return the active values of the default point."""
        point: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(point):
                point[parameter.name] = parameter.default
        return point

    def overrides(self, hp: Point) -> JsonObject:
        """Return the settings that a point changes."""
        raise NotImplementedError

    def declare(self, hp: "keras_tuner.HyperParameters") -> None:
        """Declare every hyperparameter on a `keras_tuner.HyperParameters`, conditional ones in their scopes."""
        # Each scope is nested in those of its parent: KerasTuner finds the parent only there.
        scopes: dict[str, tuple[tuple[str, tuple], ...]] = {}
        for parameter in self.parameters:
            conditions = (
                () if parameter.when is None else (*scopes[parameter.when[0]], parameter.when)
            )
            scopes[parameter.name] = conditions
            with ExitStack() as stack:
                for name, values in conditions:
                    stack.enter_context(hp.conditional_scope(name, list(values)))
                parameter.declare(hp)

    def finite_size(self) -> int | None:
        """Return the number of distinct points, None if a hyperparameter is continuous."""
        roots = (parameter for parameter in self.parameters if parameter.when is None)
        return _combined(map(self._point_count, roots), math.prod)

    def _point_count(self, parameter: Parameter) -> int | None:
        """Return the number of points of a hyperparameter and all that depend on it, None if continuous."""
        children = [
            child for child in self.parameters if child.when and child.when[0] == parameter.name
        ]
        if not children or parameter.size() is None:
            return parameter.size()
        counts = (
            _combined(
                (
                    self._point_count(child)
                    for child in children
                    if child.when and value in child.when[1]
                ),
                math.prod,
            )
            for value in parameter.all_values()
        )
        return _combined(counts, sum)

    def table(self, title: str) -> str:
        """Return a table with a line for each hyperparameter: values, default and meaning."""
        rows = [_HEADS, *self._rows()]
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{title}: {self._size_text()}"]
        for *cells, meaning in rows:
            lines.append(
                "  "
                + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
                + "  "
                + meaning
            )
        return "\n".join(line.rstrip() for line in lines)

    def html(self, title: str, facts: Iterable[tuple[str, Any]] = ()) -> str:
        """Return the table for a notebook, with facts above it."""
        from kzoo.utils import notebook

        return notebook.card(
            title, notebook.table(_HEADS, self._rows()), facts=facts, note=self._size_text()
        )

    def _size_text(self) -> str:
        size = self.finite_size()
        points = "infinitely many points" if size is None else plural(size, "point")
        return f"{plural(len(self.parameters), 'hyperparameter')}, {points}"

    def _rows(self) -> list[tuple[str, ...]]:
        """Return the cells of the table under `_HEADS`."""
        rows: list[tuple[str, ...]] = []
        for parameter in self.parameters:
            condition = (
                f"if {parameter.when[0]} is {' or '.join(map(format_value, parameter.when[1]))}"
                if parameter.when
                else ""
            )
            meaning = ", ".join(filter(None, (parameter.meaning, condition)))
            rows.append(
                (
                    parameter.name,
                    parameter.describe_values(),
                    format_value(parameter.default),
                    meaning,
                )
            )
        return rows


def _combined(sizes: Iterable[int | None], combine: Callable[[Iterable[int]], int]) -> int | None:
    """Return the product or the sum of sizes, None if one of them is continuous."""
    counts = list(sizes)
    known = [count for count in counts if count is not None]
    return combine(known) if len(known) == len(counts) else None
