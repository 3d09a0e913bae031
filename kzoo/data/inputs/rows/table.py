"""`TableFit`: what is learned of a table, in memory (`in_memory.py`) or out of core (`encoding.py`).

Both learn the column names, the target and task, the inputs, and a data summary, in this order. They differ in how rows
are split, encoded and stored; the rules they share are here.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from kzoo.data.inputs.rows.columns import (
    learn_columns,
    missing_value_notes,
    zero_padding_notes,
)
from kzoo.data.tables.overview import describe_columns
from kzoo.data.tables.repeated import repeated_ids
from kzoo.data.targets.columns import check_preset, choose_task, read_targets
from kzoo.data.targets.table import TargetColumns
from kzoo.inference.tables.dates import are_short_dates
from kzoo.inference.tables.raw import MOST, Rows, check_cells, rows_of
from kzoo.problems.preprocessors import TablePreprocessor
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    import pandas

    from kzoo.data.options import DataOptions
    from kzoo.zoo.registry import Preset


class TableFit(TargetColumns):
    """What is learned of a table.

    Args:
        names: names of its columns.
        notes: list that notes for the user are appended to.
        options, preset: see `TargetColumns`.

    Attributes:
        inputs: names of possible inputs.
        problem: the problem that the target is for, set by `learn_task`.
        columns: the learned input columns, set by `learn_inputs`.
        excluded_inputs: name -> reason for each possible input that is not useful, set by `learn_inputs`.
        month_first: names of the columns whose dates had the month first in training, set by `learn_inputs`.
        zones: name -> time zone of each column of dates (see `kzoo.inference.tables.zones`), set by `learn_inputs`.
        number_formats: name -> stored number format of each text target, set by `learn_task`.
        format_warnings: lines about ambiguous numbers, mixed units, and categories that are mostly numbers.

    Raises:
        KzooError: unknown column.
    """

    def __init__(
        self,
        names: Sequence[str],
        notes: list[str],
        options: "DataOptions",
        preset: "Preset | None",
    ) -> None:
        super().__init__(Rows(dict.fromkeys(names, ())), "rows", options, preset)
        self.names = list(names)
        self.notes = notes
        self.clip = options.clip
        self.date_order = options.date_order
        self.inputs = [name for name in names if name not in self.excluded]
        self.format_warnings: list[str] = []
        self.excluded_inputs: dict[str, str] = {}
        self.number_formats: dict[str, Any] = {}

    @property
    def guessed(self) -> list[str]:
        """Names of the inputs whose kind was detected."""
        return [column["name"] for column in self.columns if column["name"] not in self.overrides]

    def learn_labels(self, frame: "pandas.DataFrame") -> "pandas.DataFrame":
        """Learn whether the target is labels, and return the table with lists written as texts."""
        frame = super().learn_labels(frame)
        if self.labels is None:
            check_cells(frame[self.targets], self.targets)
        return frame

    def learn_task(
        self, frame: "pandas.DataFrame", decimal: str | None, *, distinct: bool = False
    ) -> "pandas.DataFrame":
        """Learn the number format of the target and the task.

        Args:
            frame: the rows with a target; of a single target only its `distinct` cells, if that is set.
            decimal: decimal sign of the file.
            distinct: see `read_targets`.

        Returns:
            The frame, with numbers in place of texts that contain formatted numbers.
        """
        if self.labels is not None:
            self.problem, reason = self.choose_problem({})
            check_preset(self.problem, self.preset)
            self.notes.append(reason)
            return frame
        frame, self.number_formats = read_targets(
            frame,
            self.targets,
            self.overrides,
            self.task,
            self.format_warnings,
            decimal,
            distinct=distinct,
            ambiguous_columns=frame.attrs.get("figures", ()),
        )
        rows = rows_of(frame[self.targets])
        self.problem, reason = choose_task(
            {name: rows[name] for name in self.targets}, self.task, self.preset
        )
        self.notes.append(reason)
        return frame

    def learn_inputs(
        self,
        raw: Rows,
        train: np.ndarray,
        decimal: str | None,
        *,
        words: Mapping[str, Collection[str]],
        classes: Sequence[str],
        file: bool,
        padded_cells: Mapping[str, str],
        zoned: Rows | None = None,
    ) -> None:
        """Learn the input columns on training rows.

        Args:
            raw: `Rows` of the inputs.
            train: indices of the training rows.
            decimal: decimal sign of the file.
            words: name -> words that the reader of the file took for missing values.
            classes: names of the classes; empty for other targets.
            file: whether the table is a CSV file, or is read like one.
            padded_cells: see `zero_padding_notes`.
            zoned: `Rows` with the time zones to learn; `raw` by default.
        """
        self.columns = learn_columns(
            raw,
            train,
            decimal=decimal,
            clip=self.clip,
            notes=self.notes,
            overrides=self.overrides,
            format_warnings=self.format_warnings,
            excluded=self.excluded_inputs,
            file=file,
            date_order=self.date_order,
        )
        if not self.columns:
            excluded = islice(self.excluded_inputs.items(), MOST)
            reasons = "; ".join(f"{name!r}: {reason}" for name, reason in excluded)
            raise KzooError(
                f"There is no usable column besides the target {', '.join(self.targets)!r}."
                + (f" Excluded: {reasons}." if reasons else "")
            )
        # name -> whether the day is first, of the columns of dates
        day_first = {
            column["name"]: column.get("day_first", False)
            for column in self.columns
            if column["kind"] == "date"
        }
        if self.date_order is not None and not day_first:
            self.notes.append(f"date_order={self.date_order!r} has no effect: no input has dates.")
        numbers = [column["name"] for column in self.columns if column["kind"] == "number"]
        numbers = [name for name in numbers if name not in self.overrides]
        self.notes += zero_padding_notes(raw, numbers, padded_cells)
        self.month_first = [
            name
            for name in day_first
            if not day_first[name]
            and (self.date_order is not None or are_short_dates(raw[name][train]))
        ]
        zoned = raw if zoned is None else zoned
        self.zones = {name: zoned.zone(name, day_first[name]) for name in day_first}
        self.notes += missing_value_notes(
            words, self.columns, self.targets if classes else (), classes, file=file
        )

    def preprocessing(self, classes: Sequence[str]) -> TablePreprocessor:
        """Return the preprocessor, as it is stored.

        Args:
            classes: names of the classes; empty for a regression.
        """
        stored: TablePreprocessor = {
            "kind": "table",
            "columns": self.columns,
            "targets": self.targets,
            "classes": list(classes),
        }
        optional = {
            "separator": "" if self.labels is None else self.labels.separator,
            "writings": self.number_formats,
            "month_first": self.month_first,
            "zones": self.zones,
        }
        added = {name: value for name, value in optional.items() if value}
        return cast(TablePreprocessor, stored | added)

    def data_facts(self, rows: Rows, unread: Mapping[str, np.ndarray]) -> JsonObject:
        """Return facts for the checks and the data summary: how columns were read, and IDs that several rows share.

        Args:
            rows: `Rows` of the table, or of a sample of it.
            unread: name -> indices of the rows with an unreadable cell.
        """
        summary = describe_columns(
            rows,
            self.columns,
            unread,
            targets=self.targets,
            apart=self.described(),
            left_out=self.excluded_inputs,
        )
        return {
            "columns": self.names,
            "repeated": repeated_ids(rows, self.targets, self.columns),
            "read": summary,
        }
