"""Transferring weights to another network: matching words, classes, columns and categories by name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import keras
import numpy as np

from kzoo.problems.kinds import kind
from kzoo.problems.layout import Preprocessor
from kzoo.problems.stored_types import Description, Spec
from kzoo.problems.tasks import problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed
from kzoo.zoo.families.protocol import TEXT, is_text
from kzoo.zoo.loading.model_size import zero_initialization
from kzoo.zoo.registry import rebuild

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset


_SETTINGS_PER_COLUMN = ("scale", "offset", "edges", "target_scale", "target_offset")


@dataclass(frozen=True, kw_only=True)
class AxisNames:
    """Names along the input and output axes of a network; empty if they are unknown.

    Args:
        words: the vocabulary.
        classes: names of the classes.
        targets: names of the predicted columns.
        numbers: names of the numeric columns, in the order of x.
        categories: name of a categorical column -> its values, in the order of their codes.
        texts: names of the text columns, in the order of x.
    """

    words: tuple = ()
    classes: tuple = ()
    targets: tuple = ()
    numbers: tuple = ()
    categories: Mapping = field(default_factory=dict)
    texts: tuple = ()

    @classmethod
    def of(cls, described: "Dataset | Description", reader: Preprocessor) -> "AxisNames":
        """Return the names in the data of a run, or in a `Dataset`.

        Args:
            described: a `Dataset`, or its `Description`.
            reader: the preprocessor, as plain data (see `Dataset.preprocessing`).
        """
        has_columns = "columns" in kind(described.inputs).facts
        columns = reader.get("columns", ()) if has_columns else ()
        columns = [column for column in columns if isinstance(column, Mapping)]
        categories = {
            column["name"]: tuple(column["values"])
            for column in columns
            if column["kind"] == "category"
        }
        texts = [column for column in columns if "buckets" in column]
        id_count = sum(column["length"] for column in texts)
        names = described.feature_names if has_columns else ()
        return cls(
            words=tuple(reader.get("vocabulary") or ()),
            classes=tuple(described.class_names),
            targets=tuple(described.target_names)
            if "values" in problem(described.task).facts
            else (),
            numbers=tuple(
                name for name in names[: len(names) - id_count] if name not in categories
            ),
            categories=categories,
            texts=tuple(column["name"] for column in texts),
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns in the order of x: numeric ones, then categorical ones, then texts."""
        return (*self.numbers, *self.categories, *self.texts)


class WeightTransfer:
    """Decides which weights of a trained network another one gets, and reorders them to match its names.

    Args:
        old: the `AxisNames` of the trained network; None if they are unknown: weights are copied by position.
        new: the `AxisNames` of the data.
        spec: the `Spec` of the network that gets the weights.

    Attributes:
        reinitialized: layers that read columns which cannot be matched, and keep their initial weights.
        reordered: layers whose weights were reordered to match the columns.
    """

    def __init__(self, old: AxisNames | None, new: AxisNames, spec: Spec) -> None:
        self.has_names = old is not None
        self.old = old or AxisNames()
        self.new = new
        self.spec = spec
        self.reinitialized: list[str] = []
        self.reordered: list[str] = []
        self._order = self._enlarged = None
        if old is not None and old.columns and new.columns and old.columns != new.columns:
            # An axis that is longer in a network with one more column is an axis of columns.
            self._enlarged = self._enlarged_shapes(columns=1)
            same = sorted(old.numbers) == sorted(new.numbers) and len(set(old.numbers)) == len(
                old.numbers
            )
            if same and list(old.categories) == list(new.categories) and old.texts == new.texts:
                self._order = [old.numbers.index(name) for name in new.numbers]

    def _enlarged_shapes(self, **added: int) -> dict[str, list[tuple[int, ...]]] | None:
        """Return layer -> shapes of its weights, for the network to be trained, but with more columns or targets.

        None if the family cannot build it; then any layer may depend on the number of columns.
        """
        # their lengths would not fit
        reset = [name for name in _SETTINGS_PER_COLUMN if name in self.spec.config]
        config = dict(self.spec.config) | dict.fromkeys(reset)
        config["input_shape"] = (
            *config["input_shape"][:-1],
            config["input_shape"][-1] + added.get("columns", 0),
        )
        config["outputs"] += added.get("targets", 0)
        try:
            with zero_initialization():
                model = rebuild(self.spec.json() | dict(config=config, seed=None), compile=False)
        except KzooError:
            return None
        return {
            layer.name: [tuple(weight.shape) for weight in layer.weights] for layer in model.layers
        }

    def other_head(self, last: keras.Layer) -> bool:
        """Return whether the last layer predicts other classes or targets than the old one, or in another order.

        Args:
            last: the layer.
        """
        if not self.has_names:
            return False
        if self.old.classes != self.new.classes:
            return True
        if (
            self.old.targets == self.new.targets
            or max(len(self.old.targets), len(self.new.targets)) < 2
        ):
            return False
        # a forecast's targets are among its columns
        enlarged = self._enlarged_shapes(columns=1, targets=1)
        return enlarged is None or enlarged.get(last.name) != _shapes(last)

    def source_of(self, name: str) -> str | None:
        """Return the name of the layer whose weights a layer gets; None if it gets none."""
        if is_text(name) and self.old.texts and self.new.texts:
            number = int(name[len(TEXT) :])
            column = self.new.texts[number - 1] if 0 < number <= len(self.new.texts) else None
            return f"{TEXT}{self.old.texts.index(column) + 1}" if column in self.old.texts else None
        if not self._is_matched_category(name):
            return name
        old = list(self.old.categories)
        column = list(self.new.categories)[int(name[len("category") :]) - 1]
        return f"category{old.index(column) + 1}" if column in old else None

    def _is_matched_category(self, name: str) -> bool:
        # Layers are called category1, category2, ... in the order of the categorical columns.
        number = name.removeprefix("category")
        has_categories = self.old.categories and self.new.categories
        return (
            bool(has_categories)
            and number != name
            and number.isdecimal()
            and 0 < int(number) <= len(self.new.categories)
        )

    def weights_for(
        self, layer: keras.Layer, old: Sequence[np.ndarray], *, source: str, head: bool
    ) -> Sequence[np.ndarray] | None:
        """Return the weights that a layer gets; None if it keeps its initial weights.

        Args:
            layer: the layer of the new network.
            old: weights of the old layer.
            source: name of the old layer.
            head: whether it is the last layer with weights.
        """
        new = layer.get_weights()
        if is_text(layer.name) and self.old.texts and self.new.texts:
            return old  # the hash of a word is the same in all tables with as many buckets
        if self._is_matched_category(layer.name):
            old_categories = list(self.old.categories.values())
            new_categories = list(self.new.categories.values())
            index = lambda name: int(name.removeprefix("category")) - 1  # noqa: E731
            # The first row of a category's table is for missing values.
            return _move_rows(
                old,
                new,
                old_categories[index(source)],
                new_categories[index(layer.name)],
                special=1,
            )
        if self.old.words and self.new.words:
            words = self.old.words, self.new.words
            if isinstance(layer, keras.layers.Embedding) and layer.name != "positions":
                return _move_rows(old, new, *words)
            if head and problem(self.spec.task).continues_inputs:
                return [
                    _move_rows([a.T], [b.T], *words)[0].T for a, b in zip(old, new, strict=True)
                ]
        if self.old.columns == self.new.columns or not (self.old.columns and self.new.columns):
            return old
        return self._reorder_columns(layer, old)

    def _reorder_columns(
        self, layer: keras.Layer, old: Sequence[np.ndarray]
    ) -> Sequence[np.ndarray] | None:
        """Return weights in the order of the new columns; None if a layer reads columns that cannot be matched."""
        shapes = _shapes(layer)
        count = len(self.new.numbers)
        enlarged = shapes if self._enlarged is None else self._enlarged.get(layer.name, shapes)
        if self._enlarged is not None and enlarged == shapes:
            return old
        if self._order is None or self._enlarged is None or [w.shape for w in old] != shapes:
            self.reinitialized.append(layer.name)
            return None
        reordered = []
        for weight, shape, larger in zip(old, shapes, enlarged, strict=True):
            for axis, (size, more) in enumerate(zip(shape, larger, strict=True)):
                if size == more:
                    continue
                # The axis depends on the columns, but does not have exactly one index per column.
                if (size, more) != (count, count + 1):
                    self.reinitialized.append(layer.name)
                    return None
                weight = np.take(weight, self._order, axis)
            reordered.append(weight)
        self.reordered.append(layer.name)
        return reordered

    def notes(self, copied: Sequence[str]) -> list[str]:
        """Return notes about how names were matched.

        Args:
            copied: names of the copied layers.
        """
        columns = f"(weights: {listed(self.old.columns, 5)}; data: {listed(self.new.columns, 5)})"
        notes = []
        if self.reordered:
            notes.append(
                f"The columns have another order: the weights of {listed(self.reordered, 3)} were reordered {columns}."
            )
        if self.reinitialized:
            notes.append(
                f"The columns or their order differ: no weights for {listed(self.reinitialized, 3)} {columns}."
            )
        unnamed = [
            noun
            for noun, old, new in (
                ("words", self.old.words, self.new.words),
                ("classes", self.old.classes, self.new.classes),
                ("columns", self.old.columns, self.new.columns),
            )
            if bool(old) != bool(new) and (noun != "classes" or "outputs" in copied)
        ]
        if unnamed and self.has_names:
            notes.append(
                f"Either the weights or the data have no names of {' and '.join(unnamed)}: matched by position."
            )
        elif unnamed:
            notes.append(
                f"The weights have no names of {' and '.join(unnamed)}: matched by position. If names or their order "
                "may differ, use the run's folder."
            )
        return notes


def _shapes(layer: keras.Layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _move_rows(
    old: Sequence[np.ndarray],
    new: Sequence[np.ndarray],
    old_names: Sequence[str],
    new_names: Sequence[str],
    special: int = 2,
) -> Sequence[np.ndarray]:
    """Return an embedding's table with its rows in the order of the new names.

    The first `special` rows (padding and unknown words, or missing values) stay in place.
    """
    if len(old) != 1 or old[0].shape[1:] != new[0].shape[1:]:
        return old
    table = np.array(new[0])
    old_indices = {name: i for i, name in enumerate(old_names)}
    table[:special] = old[0][:special]
    for i, name in enumerate(new_names):
        if name in old_indices and i + special < len(table):
            table[i + special] = old[0][old_indices[name] + special]
    return [table]
