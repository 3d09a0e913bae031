"""`Points`: what follows from a list of hyperparameters, whatever they are of; engines ask for nothing else."""

import math
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from kzoo.tuning.spaces.entry import Parameter, shown
from kzoo.utils.formatting import plural

if TYPE_CHECKING:
    import keras_tuner


class Points:
    """The points that some hyperparameters span."""

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """Return the hyperparameters that are searched, parents before those that depend on them."""
        raise NotImplementedError

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the hyperparameters as KerasTuner sees them."""
        return tuple(parameter.name for parameter in self.parameters)

    def default(self) -> dict[str, Any]:
        """Return the values of the default point, the active ones only."""
        point: dict[str, Any] = {}
        for parameter in self.parameters:
            if parameter.is_active(point):
                point[parameter.name] = parameter.default
        return point

    def declare(self, hp: "keras_tuner.HyperParameters") -> None:
        """Register every hyperparameter on a `keras_tuner.HyperParameters`, conditional ones in their scopes."""
        scopes: dict[str, tuple[tuple[str, tuple], ...]] = {}  # KerasTuner knows a parent only inside its own scopes
        for parameter in self.parameters:
            conditions = () if parameter.when is None else (*scopes[parameter.when[0]], parameter.when)
            scopes[parameter.name] = conditions
            with ExitStack() as stack:
                for name, values in conditions:
                    stack.enter_context(hp.conditional_scope(name, list(values)))
                parameter.declare(hp)

    def finite_size(self) -> int | None:
        """Return the number of distinct points; None where a hyperparameter is a continuum."""
        return _product([self._point_count(parameter) for parameter in self.parameters if parameter.when is None])

    def _point_count(self, parameter: Parameter) -> int | None:
        """Return the number of values of a hyperparameter, each with all that counts beside it."""
        children = [
            parameter for parameter in self.parameters if parameter.when and parameter.when[0] == parameter.name
        ]
        if not children or parameter.size() is None:
            return parameter.size()
        return _sum(
            _product([self._point_count(child) for child in children if child.when and value in child.when[1]])
            for value in parameter.all_values()
        )

    def table(self, title: str) -> str:
        """Return a line for each hyperparameter: its values, its default and what it means."""
        size = self.finite_size()
        points = "a continuum" if size is None else plural(size, "point")
        rows = [("name", "values", "default", "meaning")]
        for parameter in self.parameters:
            condition = (
                f"if {parameter.when[0]} is {' or '.join(map(shown, parameter.when[1]))}" if parameter.when else ""
            )
            rows.append(
                (
                    parameter.name,
                    parameter.describe_values(),
                    shown(parameter.default),
                    ", ".join(filter(None, (parameter.meaning, condition))),
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(3)]
        lines = [f"{title}: {plural(len(self.parameters), 'hyperparameter')}, {points}"]
        for *cells, meaning in rows:
            lines.append(
                "  " + "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + "  " + meaning
            )
        return "\n".join(line.rstrip() for line in lines)


def _product(sizes: Any) -> int | None:
    return None if None in (sizes := list(sizes)) else math.prod(sizes)


def _sum(sizes: Any) -> int | None:
    return None if None in (sizes := list(sizes)) else sum(sizes)
