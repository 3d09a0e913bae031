"""Target columns with labels: several columns of 0 and 1, or a column of lists or of texts such as `a;b`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kzoo.data.targets import detection
from kzoo.inference.tables.label_cells import (
    flags,
    free_separator,
    has_lists,
    label_sets,
    likely_separator,
)
from kzoo.inference.tables.raw import Rows, as_names, find_target
from kzoo.inference.tables.values import Cells, distinct, plain, texts_of
from kzoo.problems.layout import RawLabels
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, shown
from kzoo.utils.optional import of_pandas
from kzoo.utils.table_path import Source

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.zoo.registry import Preset


_NAMED = 12


@dataclass(frozen=True)
class LabelColumns:
    """How the target columns of a table hold labels.

    Args:
        names: of the columns.
        separator: between the labels of a cell of a single column; empty for several columns of flags.
        reason: why the targets are labels, the end of a sentence.
        lists: whether cells are lists.
    """

    names: tuple[str, ...]
    separator: str
    reason: str
    lists: bool = False

    def prepare(self, frame: "DataFrame") -> "DataFrame":
        """Return a table with lists written as texts, so that each cell is hashable."""
        name = self.names[0]
        if not self.separator or name not in frame or not has_lists(frame[name]):
            return frame
        cells = np.empty(len(frame), object)
        for row, labels in enumerate(label_sets(frame[name])):
            cells[row] = None if labels is None else self.separator.join(labels)
        return frame.assign(**{name: cells})

    def present(self, frame: "DataFrame") -> np.ndarray:
        """Return which rows have labels (N,): any flag, or a list; without text a cell of texts has no label."""
        if not self.separator or self.lists:
            return frame[list(self.names)].notna().any(axis=1).to_numpy()
        return np.ones(len(frame), bool)

    def values(self, frame: "DataFrame") -> RawLabels:
        """Return the labels of all rows as the task takes them: columns of flags, or the labels of each row."""
        if not self.separator:
            return frame[list(self.names)]
        return sets_of(frame[self.names[0]], self.separator)


def sets_of(cells: Cells, separator: str) -> np.ndarray:
    """Return the labels of each cell, as an array (N,) of tuples."""
    sets = label_sets(cells, separator)
    values = np.empty(len(sets), object)
    for row, labels in enumerate(sets):
        values[row] = labels
    return values


def label_columns(
    frame: "DataFrame",
    targets: Sequence[str],
    kind: str,
    *,
    task: str | None,
    overrides: Mapping[str, Mapping[str, str]],
    preset: "Preset | None" = None,
) -> LabelColumns | None:
    """Return how target columns hold labels; None if they do not.

    Args:
        frame: the table.
        targets: names of the target columns.
        kind: of the inputs.
        task: task that the user has set, or None.
        overrides: column options of the user, see `column_options`.
        preset: preset that the data is for, or None.

    Raises:
        KzooError: the task is labels, and the columns have none.
    """
    requested = None if task is None else detection.requested_problem(kind, task)
    names = tuple(targets)
    if requested is not None and "labels" not in requested.facts:
        if "separator" in overrides.get(names[0], {}):
            raise KzooError(
                f"columns: {names[0]!r} has a separator, which is for labels, but task={task!r} has none. Remove one "
                "of the two."
            )
        return None
    if labels_problem(kind) is None:
        return None
    fixed = detection.only_problem(preset)
    if requested is None and fixed is not None and not fixed.facts & {"classes", "labels"}:
        return None
    if len(names) > 1:
        columns = {name: flags(frame[name]) for name in names}
        wrong = [name for name, column in columns.items() if column is None]
        if not wrong:
            return LabelColumns(
                names, "", "all of them are 0 or 1, yes or no" if task is None else f"task={task!r}"
            )
        if requested is None:
            return None
        cells = [
            cell
            for cell in plain(distinct(frame[wrong[0]]))
            if cell is not None and flags([cell]) is None
        ]
        raise KzooError(
            f"with several target columns needs 0 and 1, or yes and no, in each, but {wrong[0]!r} "
            + (f"has {shown(cells[0])}." if cells else "is empty."),
            argument="task",
            value=task,
        )
    name = names[0]
    option = overrides.get(names[0], {})
    texts = texts_of(frame[name])
    cells = distinct(frame[name] if texts is None else texts)
    if any(issubclass(cell_type, dict) for cell_type in set(map(type, cells))):
        return None
    if has_lists(cells):
        labels = [label for labels in label_sets(cells) if labels for label in labels]
        return LabelColumns(names, free_separator(labels), "its cells are lists", lists=True)
    if separator := option.get("separator"):
        if not any(cell is not None and separator in str(cell) for cell in plain(cells)):
            raise KzooError(
                f"columns: {name!r} has separator={separator!r}, which is in no cell. Correct it, or use "
                "task='classification' for one class per row."
            )
        return LabelColumns(
            names, separator, f"its cells are separated at {separator!r}, as requested"
        )
    if requested is None and (option or texts is None):
        return None
    separator = likely_separator(cells if texts is None else texts, sure=requested is not None)
    if separator:
        example = next(
            cell for cell in cells if isinstance(cell, str) and separator in cell.strip()
        )
        return LabelColumns(
            names, separator, f"cells such as {shown(example)} are separated at {separator!r}"
        )
    if requested is None:
        return None
    raise KzooError(
        f", but no cell of {name!r} has several labels. Name the separator with "
        f"columns={{{name!r}: {{'separator': ';'}}}}, or use task='classification' for one class per row.",
        argument="task",
        value=task,
    )


def label_targets(target: str | Sequence[str] | None, kind: str, task: str | None) -> list[str]:
    """Return the names of the target columns if the user has requested labels: their cells are read as written."""
    if (
        task is None
        or target is None
        or "labels" not in detection.requested_problem(kind, task).facts
    ):
        return []
    return as_names(target)


def list_targets(source: Source, target: str | Sequence[str] | None) -> list[str]:
    """Return the names of the target columns of a DataFrame, whose cells may be lists; [] for other sources."""
    if not of_pandas(source, "DataFrame"):
        return [] if target is None else as_names(target)
    return find_target(
        Rows(dict.fromkeys((str(name).strip() for name in source.columns), ())), target
    )


def labels_problem(kind: str) -> Problem | None:
    """Return the problem of labels for a kind of inputs; None if there is none."""
    candidates = detection.supported_problems(kind).values()
    return next((candidate for candidate in candidates if "labels" in candidate.facts), None)


def describe(labels: LabelColumns, problem: Problem, task: str | None) -> str:
    """Return the note that the targets are labels, and how to override it."""
    how = f"columns={{{labels.names[0]!r}: 'category'}}" if labels.separator else "task="
    override = "" if task is not None or labels.lists else f"; {how} overrides"
    task_name = problem.name.replace("_", " ").capitalize()
    return f"{task_name} of {listed(labels.names, _NAMED)}: {labels.reason}{override}."
