"""`TargetColumns`: the columns of a table that are no inputs: targets, groups, row weights, times of the splits."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.inputs.rows.row_columns import row_weights
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.targets import detection
from kzoo.data.targets.columns import (
    group_labels,
    missing_words,
    target_rows,
    without_missing_words,
)
from kzoo.data.targets.labels import LabelColumns, describe, label_columns, labels_problem
from kzoo.data.targets.rare_classes import RareClasses
from kzoo.inference.kinds.rows.column_options import check_target_options, column_options
from kzoo.inference.tables.raw import Rows, as_names, decimal_of, find_target, require
from kzoo.inference.tables.values import Column
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    import pandas

    from kzoo.data.options import DataOptions
    from kzoo.zoo.registry import Preset

_PLAIN = {"kind": "number"}  # the only column options of weights


class TargetColumns:
    """The columns of a table that are no inputs.

    Args:
        table: the table, or `Rows` of its columns.
        kind: name of the kind of inputs.
        options: how the table is read.
        preset: preset that the data is for, or None.
        noun: of the inputs, such as "texts", if no other column than the target may have options.

    Attributes:
        targets, drop, excluded: names of the target columns, of those that the user leaves out, and of all that are no
            inputs.
        overrides: column options of the user by name (see `column_options`).
        time: the column that orders the splits, or None.
        labels: the `LabelColumns`, or None if the target is not labels; set by `learn_labels`.

    Raises:
        KzooError: unknown column, or options that do not suit a column.
    """

    def __init__(
        self,
        table: "Rows | pandas.DataFrame",
        kind: str,
        options: "DataOptions",
        preset: "Preset | None" = None,
        *,
        noun: str = "",
    ) -> None:
        # Columns of these roles are named: arrays have become columns.
        sample_weight: Any = options.sample_weight
        group: Any = options.group
        self.kind = kind
        self.preset = preset
        self.task = options.task
        self.group = group
        self.sample_weight = sample_weight
        self.time = options.time if options.split == "time" else None
        self.targets = find_target(table, options.target)
        self.drop = as_names(options.drop)
        self.overrides = column_options(options.columns, table)
        for option, name in (("sample_weight", sample_weight), ("time", self.time)):
            if name is None:
                continue
            require(table, [name], "the table")
            if name in self.targets:
                raise KzooError("is the target. Use another column.", argument=option, value=name)
        if self.overrides.get(sample_weight, _PLAIN) != _PLAIN:
            raise KzooError(
                f"columns: {sample_weight!r} has the row weights (sample_weight=), which are plain numbers. Remove its "
                "options."
            )
        check_target_options(self.overrides, self.targets, noun)
        used = (name for name in (group, sample_weight) if name is not None)
        self.excluded = [*self.targets, *self.drop, *used]
        require(table, self.excluded, "the table")
        self.labels: LabelColumns | None = None
        self._words: dict[str, Collection[str]] = {}
        self._rare: RareClasses | None = None
        self._weights: dict[str, np.ndarray] = {}

    def learn_labels(self, frame: "pandas.DataFrame") -> "pandas.DataFrame":
        """Learn whether the target is labels, and return the table with lists written as texts."""
        self.labels = label_columns(
            frame,
            self.targets,
            self.kind,
            task=self.task,
            overrides=self.overrides,
            preset=self.preset,
        )
        return frame if self.labels is None else self.labels.prepare(frame)

    def learn_missing(
        self, frame: "pandas.DataFrame", decimal: str | None = None
    ) -> "pandas.DataFrame":
        """Learn which words are missing values in the targets, and return the table without them.

        Args:
            frame: the table that is divided into splits.
            decimal: decimal sign of the file.
        """
        if self.labels is None:
            self._words = missing_words(frame, self.targets, decimal)
        return without_missing_words(frame, self._words)

    def without_rare(
        self, frame: "pandas.DataFrame", least: int | None, usable: np.ndarray | None = None
    ) -> "pandas.DataFrame":
        """Return the table without the rows of rare classes; see `RareClasses`."""
        if least is None:
            return frame
        # labels are refused like several targets
        names = self.targets if self.labels is None else [*self.targets, "labels"]
        self._rare = RareClasses(frame, names, least, usable)
        return self._rare.without(frame)

    def of_part(self, frame: "pandas.DataFrame", part: str) -> "pandas.DataFrame":
        """Return the table of another split, with cells of targets read as those of the training table."""
        frame = frame if self.labels is None else self.labels.prepare(frame)
        frame = without_missing_words(frame, self._words)
        return frame if self._rare is None else self._rare.without(frame, part)

    def rare_notes(self) -> list[str]:
        """Return the note on the rows of rare classes that were left out, in a list."""
        return [] if self._rare is None else self._rare.note()

    def present(self, frame: "pandas.DataFrame") -> np.ndarray:
        """Return which rows (N,) have all targets; of labels, those that have any."""
        return target_rows(frame, self.targets, self.labels)

    def values(self, frame: "pandas.DataFrame") -> "np.ndarray | pandas.DataFrame":
        """Return the targets of all rows as the task takes them."""
        return frame[self.targets] if self.labels is None else self.labels.values(frame)

    def groups(self, frame: "pandas.DataFrame") -> np.ndarray | None:
        """Return the group of each row (N,); None without groups."""
        return None if self.group is None else group_labels(frame[self.group], self.group)

    def read_weights(
        self,
        frame: "pandas.DataFrame",
        keep: np.ndarray,
        notes: list[str],
        *,
        part: str = "train",
        decimal: str | None = None,
    ) -> None:
        """Read the weights of the rows that are used, if there is a column of them; see `weight`.

        Args:
            frame: the table.
            keep: (N,) which rows are used.
            notes: list that a note is appended to if the table of another split has no weights.
            part: the split whose own table it is; "train" for the table that is divided.
            decimal: decimal sign of the file of the latter.
        """
        name = self.sample_weight
        if name is None:
            return
        if part == "train":
            self._weights[part] = row_weights(frame, name, keep, decimal=decimal)
        elif name in frame.columns:
            decimal = decimal_of(frame)
            self._weights[part] = row_weights(frame, name, keep, part=part, decimal=decimal)
        else:
            notes.append(f"The {part} table has no column {name!r}: its rows count equally.")
            self._weights[part] = np.full(int(keep.sum()), np.nan)

    @property
    def weight(self) -> np.ndarray | None:
        """The weights (N,) of all used rows, those of other splits last, NaN where their table has none; or None."""
        others = [weight for part, weight in self._weights.items() if part != "train"]
        return np.concatenate([self._weights["train"], *others]) if self._weights else None

    def choose_problem(self, columns: Mapping[str, Column]) -> tuple[Problem, str]:
        """Return the problem that the targets are for, and a sentence with the reason.

        Args:
            columns: name -> values (N,) of each target; not used for labels.
        """
        problem = labels_problem(self.kind)
        if self.labels is not None and problem is not None:
            return problem, describe(self.labels, problem, self.task)
        return detection.choose_problem(self.kind, columns, self.task, self.preset)

    def described(self) -> dict[str, tuple[str, str]]:
        """Return name -> (kind, reason) of the columns that are no inputs, for `describe_columns`."""
        columns = dict.fromkeys(self.drop, ("left out", AS_REQUESTED))
        if self.group is not None:
            columns[self.group] = ("group", "rows of one value stay in one split")
        if self.sample_weight is not None:
            columns[self.sample_weight] = ("weight", "how much each row counts")
        return columns
