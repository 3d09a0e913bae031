"""`fit_targets`: learns, encodes and splits the targets of any source, whatever its inputs are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.splits import absent_labels_note, drawn, in_data_of, split_rows, target_notes
from kzoo.data.store.windows import RowArray, select_rows
from kzoo.data.targets.weights import (
    part_weights,
    scaled_weights,
    weighted_rows,
    weighted_statistics,
    weights_note,
)
from kzoo.problems.tasks import Problem, Target, Task
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.utils.optional import pandas as pd

if TYPE_CHECKING:
    import pandas

    from kzoo.data.options import DataOptions


@dataclass(frozen=True, kw_only=True, eq=False)
class Targets:
    """The targets of a source, and the division of its rows.

    Args:
        problem: what is predicted.
        learned: what was learned about the targets.
        y: the encoded targets of all rows, those of second sources last.
        parts: split -> row numbers; None for an empty split.
        weight: (N,) scaled row weights, NaN where a second source has none; None if all rows count equally.
        weight_notes: the note on the weights; empty without weights.
        notes: notes on the targets and splits.
    """

    problem: Problem
    learned: Target
    y: np.ndarray
    parts: dict[str, np.ndarray | None]
    weight: np.ndarray | None
    weight_notes: list[str]
    notes: list[str]

    @property
    def train(self) -> np.ndarray:
        """The numbers of the training rows."""
        rows = self.parts["train"]
        assert rows is not None
        return rows

    def splits(
        self,
        x: RowArray | dict[str, Any],
        *,
        keys: np.ndarray | dict[str, Any] | None = None,
        texts: np.ndarray | None = None,
        rows: Mapping[str, np.ndarray | None] | None = None,
    ) -> dict[str, Split | None]:
        """Return the splits by name.

        Args:
            x, keys: see `Split`; those of all rows, or a dict of those of each split.
            texts: (N,) those of all rows.
            rows: split -> row numbers to be stored, where they are not those in `parts`.
        """
        stored = self.parts | dict(rows or {})
        return {
            part: None
            if numbers is None
            else Split(
                x=x[part] if isinstance(x, dict) else select_rows(x, numbers),
                y=self.y[numbers],
                rows=stored[part],
                weight=part_weights(self.weight, numbers),
                texts=None if texts is None else texts[numbers],
                keys=keys[part]
                if isinstance(keys, dict)
                else None
                if keys is None
                else keys[numbers],
            )
            for part, numbers in self.parts.items()
        }

    def dataset(
        self, splits: Mapping[str, Split | None], *, notes: Sequence[str], **described: Any
    ) -> Dataset:
        """Return the data set of these splits.

        Args:
            splits: see `splits`.
            notes: on the inputs; those on the targets follow.
            described: the other arguments of `Dataset`.
        """
        return Dataset(
            task=self.problem.name,
            **dict[str, Any](splits),
            class_names=self.learned.classes,
            target_names=self.learned.names,
            notes=[*notes, *self.notes],
            **described,
        )


def fit_targets(
    problem: Problem,
    values: "np.ndarray | pandas.DataFrame",
    count: int,
    *,
    options: "DataOptions",
    others: Mapping[str, int] | None = None,
    names: Sequence[str] = (),
    classes: Sequence[str] | None = None,
    learned: Target | None = None,
    groups: np.ndarray | None = None,
    moments: np.ndarray | None = None,
    weight: np.ndarray | None = None,
    weight_source: str = "",
) -> Targets:
    """Learn the targets of a source, and divide its rows into training, validation and test.

    Classes are learned before the rows are divided, because a stratified split needs them; everything else is learned
    on the training rows only.

    Args:
        problem: what is predicted.
        values: raw targets of all rows, an array or columns of a DataFrame; encoded ones if they are `learned` already.
        count: number of rows to divide; any rows after them are of other sources.
        options: how the rows are split; the fraction of a split that has rows of its own is ignored.
        others: split -> number of its own rows, in their order after the first `count` rows.
        names, classes: the names of the target columns and, where they are known, of the classes; see the task's
            `learn`.
        learned: what is known about the targets without looking at them, such as the names of class folders.
        groups, moments: see `split_rows`.
        weight: (N,) row weights, or None; training rows of weight 0 are left out of the training split.
        weight_source: what the weights were read from, such as "column 'w'".
    """
    own_rows = {}
    end = count
    for part, size in (others or {}).items():
        own_rows[part] = np.arange(end, end + size)
        end += size
    division = dict(
        validation=0 if "validation" in own_rows else drawn(options.validation),
        test=0 if "test" in own_rows else drawn(options.test),
        seed=options.seed,
        groups=groups,
        moments=moments,
    )
    fit = _fit_labels if "labels" in problem.facts else _fit
    learned, y, parts, notes = fit(
        problem.task, values, count, own_rows, names, classes, learned, weight, division
    )
    divided = sum(len(rows) for rows in parts.values() if rows is not None)
    parts |= own_rows
    weight = scaled_weights(weight, parts)
    weight_notes = []
    if weight is not None:
        weight_notes = [weights_note(weight[parts["train"]], weight_source, count - divided)]
    return Targets(
        problem=problem,
        learned=learned,
        y=y,
        parts=parts,
        weight=weight,
        weight_notes=weight_notes,
        notes=notes,
    )


def joined_values(
    values: "Sequence[np.ndarray | pandas.DataFrame]",
) -> "np.ndarray | pandas.DataFrame":
    """Return the raw targets of several sources as one: arrays, or columns of DataFrames."""
    if len(values) == 1:
        return values[0]
    if hasattr(values[0], "iloc"):
        return pd.concat(values, ignore_index=True)
    return np.concatenate(values)


def _fit(
    task: Task,
    values: "np.ndarray | pandas.DataFrame",
    count: int,
    own_rows: dict[str, np.ndarray],
    names: Sequence[str],
    classes: Sequence[str] | None,
    learned: Target | None,
    weight: np.ndarray | None,
    division: Mapping[str, Any],
) -> tuple[Target, np.ndarray, dict[str, Any], list[str]]:
    """Return (what was learned, y of all rows, split -> rows of the source, notes); see `fit_targets`."""
    inference = task.inference
    by_position = values.iloc if hasattr(values, "iloc") else values
    y = values
    if learned is None:
        if "classes" in task.facts:
            # Two rows of each class are needed, one to train on and one to test; if none are drawn, one will do.
            rows = np.tile(np.arange(count), 2) if division["test"] == 0 else slice(count)
            learned = inference.learn(by_position[rows], names, known=classes)
        try:
            y = inference.encode(learned, values)
        except KzooError:
            for part, rows in own_rows.items():
                with in_data_of(part):
                    inference.encode(learned, by_position[rows])
            raise
    labels = None if learned is None else y[:count]
    parts, notes = split_rows(count, labels=labels, **division)
    parts["train"] = weighted_rows(
        parts["train"], weight, labels, () if learned is None else learned.classes
    )
    if learned is None:
        train = by_position[parts["train"]]
        known = (
            classes
            if weight is None
            else weighted_statistics(inference.encode(None, train), weight[parts["train"]])
        )
        learned = inference.learn(train, names, known=known)
    encoded = None if learned.classes else y[parts["train"]]
    return learned, y, parts, [*notes, *target_notes(learned, encoded)]


def _fit_labels(
    task: Task,
    values: "np.ndarray | pandas.DataFrame",
    count: int,
    own_rows: dict[str, np.ndarray],
    names: Sequence[str],
    classes: Sequence[str] | None,
    learned: Target | None,
    weight: np.ndarray | None,
    division: Mapping[str, Any],
) -> tuple[Target, np.ndarray, dict[str, Any], list[str]]:
    """Do the same for rows of labels; the names of the labels are those of the training rows."""
    inference = task.inference
    rows = values.iloc if hasattr(values, "iloc") else values
    notes: list[str] = []
    y = inference.encode(inference.learn(rows[:count], names, known=classes), rows[:count], notes)
    if len(y) and y.shape[1] > 2 and (np.nan_to_num(y).sum(axis=1) == 1).all():
        notes.append(
            "Every row has exactly one of these labels. If they exclude each other, use one column of classes instead, "
            "such as y.idxmax(axis=1)."
        )
    parts, more = split_rows(count, labels=y, **division)
    parts["train"] = weighted_rows(parts["train"], weight)
    learned = inference.learn(rows[parts["train"]], names, known=classes)
    y = inference.encode(learned, values, notes)
    for part, part_rows in own_rows.items():
        if not (y[part_rows] == 1).any():  # refused if it has other labels only
            with in_data_of(part):
                inference.encode(learned, rows[part_rows], [])
    return learned, y, parts, [*notes, *more, *_label_notes(y, parts | own_rows, learned.classes)]


def _label_notes(
    y: np.ndarray, parts: Mapping[str, np.ndarray | None], names: Sequence[str]
) -> list[str]:
    """Return notes about labels that no row of a split has, rows without labels, and unknown labels.

    Args:
        y: (N, labels) 0, 1 and NaN.
        parts: name of a split -> row numbers, or None.
        names: of the labels.
    """
    notes = []
    unknown = np.isnan(y)
    if empty := int(((y == 0).all(axis=1)).sum()):
        notes.append(
            f"{empty:,} of {plural(len(y), 'row')} {'has' if empty == 1 else 'have'} no label. Leave out rows whose "
            "labels are unknown."
        )
    if ((y == 1).sum(axis=1) == 1).all():
        notes.append(
            "Each row has exactly one label. If they are classes, make one column of them, and use "
            "task='classification'."
        )
    if unknown.any():
        notes.append(
            f"{unknown.sum():,} of {y.size:,} labels are missing: they count neither in the loss nor in scores."
        )
    for part, rows in parts.items():
        if rows is None:
            continue
        notes += absent_labels_note(part, (y[rows] == 1).sum(axis=0), names)
    return notes
