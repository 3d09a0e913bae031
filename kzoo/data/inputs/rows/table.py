"""`TableFit`: what is learned of a table, in memory (`in_memory.py`) or out of core (`encoding.py`).

Both learn the column names, the target and task, the inputs, and a data summary, in this order. They differ in how rows
are split, encoded and stored; the rules they share are here.
"""

from kzoo.data.inputs.rows.columns import (
    check_any_column,
    learn_columns,
    missing_value_notes,
    month_first_columns,
    time_zones_of,
    zero_padded_cells,
    zero_padding_notes,
)
from kzoo.data.inputs.rows.row_columns import check_row_columns
from kzoo.data.summary import AS_REQUESTED
from kzoo.data.tables.overview import describe_columns
from kzoo.data.tables.repeated import repeated_ids
from kzoo.data.targets.columns import check_preset, choose_task, read_targets
from kzoo.data.targets.labels import describe, label_columns, labels_problem
from kzoo.inference.kinds.rows.column_options import check_separators, column_options
from kzoo.inference.tables.raw import Rows, as_names, check_cells, find_target, require, rows_of


class TableFit:
    """What is learned of a table.

    Args:
        names: names of its columns.
        notes: list that notes for the user are appended to.
        preset: preset that the data is for, or None.
        target, drop, group, task, columns, clip, sample_weight, time, split, date_order: see `kzoo.load_data`.

    Attributes:
        targets, excluded, inputs: names of the target columns, of columns that are no inputs, and of possible inputs.
        overrides: column options of the user by name (see `column_options`).
        problem: the problem that the target is for, set by `learn_task`.
        labels: the `LabelColumns`, or None if the target is not labels; set by `learn_labels`.
        columns: the learned input columns, set by `learn_inputs`.
        excluded_inputs: name -> reason for each possible input that is not useful, set by `learn_inputs`.
        number_formats: name -> stored number format of each text target, set by `learn_task`.
        format_warnings: lines about ambiguous numbers, mixed units, and categories that are mostly numbers.

    Raises:
        KzooError: unknown column.
    """

    def __init__(
        self,
        names,
        notes,
        *,
        preset,
        target,
        drop,
        group,
        task,
        columns,
        clip,
        sample_weight=None,
        time=None,
        split="random",
        date_order=None,
    ):
        table = Rows(dict.fromkeys(names, ()))
        self.names = list(names)
        self.notes = notes
        self.preset = preset
        self.task = task
        self.clip = clip
        self.targets = find_target(table, target)
        self.drop = as_names(drop)
        self.group = group
        self.overrides = column_options(columns, table)
        self.sample_weight = sample_weight
        self.time = time if split == "time" else None
        self.date_order = date_order
        check_row_columns(
            table,
            target=self.targets,
            sample_weight=sample_weight,
            time=self.time,
            overrides=self.overrides,
        )
        check_separators(self.overrides, self.targets)
        self.excluded = [
            *self.targets,
            *self.drop,
            *(name for name in (group, sample_weight) if name is not None),
        ]
        require(table, self.excluded, "the table")
        self.inputs = [name for name in names if name not in self.excluded]
        self.format_warnings = []
        self.excluded_inputs = {}
        self.number_formats = {}
        self.labels = None

    @property
    def guessed(self) -> list:
        """Names of the inputs whose kind was detected."""
        return [column["name"] for column in self.columns if column["name"] not in self.overrides]

    def learn_labels(self, frame):
        """Learn whether the target is labels, and return the table with lists written as texts."""
        self.labels = label_columns(
            frame,
            self.targets,
            "rows",
            task=self.task,
            overrides=self.overrides,
            preset=self.preset,
        )
        if self.labels is None:
            check_cells(frame[self.targets], self.targets)
            return frame
        return self.labels.prepare(frame)

    def target_values(self, frame):
        """Return the targets of all rows as the task takes them."""
        return frame[self.targets] if self.labels is None else self.labels.values(frame)

    def learn_task(self, frame, decimal, *, distinct=False):
        """Learn the number format of the target and the task.

        Args:
            frame: the rows with a target; of a single target only its `distinct` cells, if that is set.
            decimal: decimal sign of the file.
            distinct: see `read_targets`.

        Returns:
            The frame, with numbers in place of texts that contain formatted numbers.
        """
        if self.labels is not None:
            self.problem = labels_problem("rows")
            check_preset(self.problem, self.preset)
            self.notes.append(describe(self.labels, self.problem, self.task))
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
        raw,
        train,
        decimal,
        *,
        words,
        classes,
        file,
        padded_cells=(),
        text_cells=None,
        zoned=None,
    ):
        """Learn the input columns on training rows.

        Args:
            raw: `Rows` of the inputs.
            train: indices of the training rows.
            decimal: decimal sign of the file.
            words: name -> words that the reader of the file took for missing values.
            classes: names of the classes; empty for other targets.
            file: whether the table is a CSV file, or is read like one.
            padded_cells: see `zero_padded_cells`.
            text_cells: `Rows` whose text columns show how numbers are written; `raw` by default.
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
        check_any_column(self.columns, self.targets, self.excluded_inputs)
        if self.date_order is not None and not any(
            column["kind"] == "date" for column in self.columns
        ):
            self.notes.append(f"date_order={self.date_order!r} has no effect: no input has dates.")
        numbers = [column["name"] for column in self.columns if column["kind"] == "number"]
        numbers = [name for name in numbers if name not in self.overrides]
        self.notes += zero_padding_notes(
            zero_padded_cells(raw if text_cells is None else text_cells, numbers, padded_cells)
        )
        self.month_first = month_first_columns(self.columns, raw, train, self.date_order)
        self.zones = time_zones_of(self.columns, raw if zoned is None else zoned)
        self.notes += missing_value_notes(
            words, self.columns, self.targets if classes else (), classes, file=file
        )

    def preprocessing(self, classes) -> dict:
        """Return the preprocessor, as it is stored.

        Args:
            classes: names of the classes; empty for a regression.
        """
        stored = {
            "kind": "table",
            "columns": self.columns,
            "targets": self.targets,
            "classes": list(classes),
        }
        if self.labels is not None and self.labels.separator:
            stored["separator"] = self.labels.separator
        return (
            stored
            | ({"writings": self.number_formats} if self.number_formats else {})
            | self.month_first
            | self.zones
        )

    def data_facts(self, rows, unread) -> dict:
        """Return facts for the checks and the data summary: how columns were read, and IDs that several rows share.

        Args:
            rows: `Rows` of the table, or of a sample of it.
            unread: name -> indices of the rows with an unreadable cell.
        """
        excluded = dict.fromkeys(self.drop, ("left out", AS_REQUESTED))
        if self.group is not None:
            excluded[self.group] = ("group", "rows of one value stay in one split")
        if self.sample_weight is not None:
            excluded[self.sample_weight] = ("weight", "how much each row counts")
        summary = describe_columns(
            rows,
            self.columns,
            unread,
            targets=self.targets,
            apart=excluded,
            left_out=self.excluded_inputs,
        )
        return {
            "columns": self.names,
            "repeated": repeated_ids(rows, self.targets, self.columns),
            "read": summary,
        }
