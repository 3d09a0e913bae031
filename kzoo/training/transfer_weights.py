"""What trained weights stand for in another network: they follow words, classes, columns and categories by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import keras
import numpy as np

from kzoo.kinds import kind
from kzoo.loading.model_size import without_values
from kzoo.registry import rebuild
from kzoo.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed

_PER_DATA = ("scale", "offset", "edges", "target_scale", "target_offset")  # as many numbers as there are columns


@dataclass(frozen=True, kw_only=True)
class AxisNames:
    """What the places of a network's inputs and answers are called; empty where nothing says it.

    Args:
        words: the token list.
        classes: what is told apart.
        targets: columns of values that are predicted.
        numbers: columns of numbers, in the order of x.
        categories: column of categories -> its values, in the order of their codes.
    """

    words: tuple = ()
    classes: tuple = ()
    targets: tuple = ()
    numbers: tuple = ()
    categories: Mapping = field(default_factory=dict)

    @classmethod
    def of(cls, described, reader) -> "AxisNames":
        """Return what a run or data knows.

        Args:
            described: a `Dataset`, or its `Description`.
            reader: what turns raw inputs into x (see `Dataset.preprocessing`).
        """
        columns = reader.get("columns", ()) if "columns" in kind(described.inputs).facts else ()
        categories = {
            column["name"]: tuple(column["values"])
            for column in columns
            if isinstance(column, Mapping) and column["kind"] == "category"
        }
        names = described.feature_names if "columns" in kind(described.inputs).facts else ()
        return cls(
            words=tuple(reader.get("vocabulary") or ()),
            classes=tuple(described.class_names),
            targets=tuple(described.target_names) if "values" in problem(described.task).facts else (),
            numbers=tuple(name for name in names if name not in categories),
            categories=categories,
        )

    @property
    def columns(self) -> tuple:
        """All columns, those of numbers first, as x has them."""
        return (*self.numbers, *self.categories)


class WeightTransfer:
    """Which weights of a network are copied into another one, and how they are moved in between.

    Args:
        old: the `Names` of the trained network; None where nothing says them: weights are copied by place.
        new: those of the data.
        spec: of the network that begins with the weights, a `Spec`.
    """

    def __init__(self, old, new, spec):
        self.known, self.old, self.new, self.spec = old is not None, old or AxisNames(), new, spec
        self.begun, self.followed = [], []  # layers that read columns, and begin anew; or follow the columns' names
        self._order = self._growing = None
        if old is not None and old.columns and new.columns and old.columns != new.columns:
            self._growing = self._grown(columns=1)
            same = sorted(old.numbers) == sorted(new.numbers) and len(set(old.numbers)) == len(old.numbers)
            if same and list(old.categories) == list(new.categories):
                self._order = [old.numbers.index(name) for name in new.numbers]

    def _grown(self, **more):
        """Return layer -> shapes of its weights, of the network with more columns, or targets; None: there is none."""
        config = dict(self.spec.config) | dict.fromkeys(name for name in _PER_DATA if name in self.spec.config)
        config["input_shape"] = (*config["input_shape"][:-1], config["input_shape"][-1] + more.get("columns", 0))
        config["outputs"] += more.get("targets", 0)
        try:
            with without_values():
                model = rebuild(self.spec.json() | dict(config=config, seed=None), compile=False)
        except KzooError:  # a family that cannot have one more: all of it may read them
            return None
        return {layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in model.layers}

    def other_head(self, last) -> bool:
        """Say whether the last layer tells other things apart than the old one, or the same in another order.

        Args:
            last: the layer.
        """
        if not self.known:
            return False
        if self.old.classes != self.new.classes:
            return True
        if self.old.targets == self.new.targets or max(len(self.old.targets), len(self.new.targets)) < 2:
            return False
        grown = self._grown(columns=1, targets=1)  # a forecast's targets are among its columns
        return grown is None or grown.get(last.name) != _shapes(last)

    def source_of(self, name) -> str | None:
        """Return the name of the layer whose weights a layer gets; None where there is none."""
        if not self._follows_category(name):
            return name
        old, column = list(self.old.categories), list(self.new.categories)[int(name[len("category") :]) - 1]
        return f"category{old.index(column) + 1}" if column in old else None

    def _follows_category(self, name):
        number = name.removeprefix("category")
        known = self.old.categories and self.new.categories
        return bool(known) and number != name and number.isdecimal() and 0 < int(number) <= len(self.new.categories)

    def moved(self, layer, old, *, source, head):
        """Return the weights that a layer gets; None where it begins anew.

        Args:
            layer: of the new network.
            old: weights of the old layer.
            source: its name.
            head: whether it is the last one with weights.
        """
        new = layer.get_weights()
        if self._follows_category(layer.name):
            was, now = list(self.old.categories.values()), list(self.new.categories.values())
            place = lambda name: int(name.removeprefix("category")) - 1  # noqa: E731
            return _move_rows(old, new, was[place(source)], now[place(layer.name)], special=1)  # missing comes first
        if self.old.words and self.new.words:
            words = self.old.words, self.new.words
            if isinstance(layer, keras.layers.Embedding) and layer.name != "positions":
                return _move_rows(old, new, *words)
            if head and "continues" in problem(self.spec.task).facts:
                return [_move_rows([a.T], [b.T], *words)[0].T for a, b in zip(old, new, strict=True)]
        if self.old.columns == self.new.columns or not (self.old.columns and self.new.columns):
            return old
        return self._by_columns(layer, old)

    def _by_columns(self, layer, old):
        """Return weights with each column's in its new place; None where a layer reads columns, and cannot follow."""
        shapes, count = _shapes(layer), len(self.new.numbers)
        grown = shapes if self._growing is None else self._growing.get(layer.name, shapes)
        if self._growing is not None and grown == shapes:
            return old
        if self._order is None or self._growing is None or [w.shape for w in old] != shapes:
            self.begun.append(layer.name)
            return None
        moved = []
        for weight, shape, larger in zip(old, shapes, grown, strict=True):
            for axis, (size, more) in enumerate(zip(shape, larger, strict=True)):
                if size == more:
                    continue
                if (size, more) != (count, count + 1):  # not one place for each column
                    self.begun.append(layer.name)
                    return None
                weight = np.take(weight, self._order, axis)
            moved.append(weight)
        self.followed.append(layer.name)
        return moved

    def notes(self, copied) -> list[str]:
        """Return a line for each thing to know of what was matched.

        Args:
            copied: names of the layers that have the weights.
        """
        columns = f"({listed(self.old.columns, 5)} there, {listed(self.new.columns, 5)} here)"
        said = []
        if self.followed:
            said.append(f"Columns in another order, which {listed(self.followed, 3)} followed {columns}.")
        if self.begun:
            said.append(f"Other columns, or in another order: new for that {listed(self.begun, 3)} {columns}.")
        unsaid = [
            noun
            for noun, old, new in (
                ("words", self.old.words, self.new.words),
                ("classes", self.old.classes, self.new.classes),
                ("columns", self.old.columns, self.new.columns),
            )
            if bool(old) != bool(new) and (noun != "classes" or "outputs" in copied)
        ]
        if unsaid and self.known:
            said.append(f"Either these weights or the data have no names of {' and '.join(unsaid)}: matched by place.")
        elif unsaid:
            said.append(
                f"These weights do not say their {' and '.join(unsaid)}: matched by place. Give the run's folder where "
                "they may be others, or in another order."
            )
        return said


def _shapes(layer):
    return [tuple(weight.shape) for weight in layer.weights]


def _move_rows(old, new, old_names, new_names, special=2):
    """Return an embedding's table with each row at its name's new place; padding and unknown come before the first."""
    if len(old) != 1 or old[0].shape[1:] != new[0].shape[1:]:
        return old
    table, where = np.array(new[0]), {name: i for i, name in enumerate(old_names)}
    table[:special] = old[0][:special]
    for i, name in enumerate(new_names):
        if name in where and i + special < len(table):
            table[i + special] = old[0][where[name] + special]
    return [table]
