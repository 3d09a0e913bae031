"""`TableFit`: what is learned of a table, whether its rows lie in memory (`memory.py`) or in files (`encoding.py`).

Both read the names of the columns, then the target and the task, then the inputs, then describe what came out. What
differs is how rows are split, encoded and kept; all rules are here, once.
"""

from kzoo.dataset.summary import AS_ASKED
from kzoo.kinds.rows.column_options import column_options
from kzoo.kinds.rows.columns import (
    check_any_column,
    learn_columns,
    missing_words,
    month_first,
    time_zones_of,
    zero_padded_cells,
    zero_padding_notes,
)
from kzoo.kinds.rows.target import choose_task, read_targets
from kzoo.sources.tables.overview import columns_read
from kzoo.sources.tables.raw import Rows, as_names, find_target, require, rows_of
from kzoo.sources.tables.repeated import repeated_ids


class TableFit:
    """What is learned of a table.

    Args:
        names: of its columns.
        notes: a list of lines to know, which grows.
        preset: what the data is for, or None.
        target, drop, group, task, columns, clip: see `kzoo.load_data`.

    Attributes:
        targets, excluded, inputs: names of columns: what is predicted, what is no input, what may be one.
        overrides: what the user says of columns, by name (see `asked_columns`).
        problem: what the target is for, once `learn_task` has found it.
        columns: what was learned of the inputs, once `learn_inputs` has.
        doubts: lines about numbers that can be read in two ways.

    Raises:
        KzooError: a column that does not exist.
    """

    def __init__(self, names, notes, *, preset, target, drop, group, task, columns, clip):
        table = Rows(dict.fromkeys(names, ()))
        self.names, self.notes, self.preset, self.task, self.clip = list(names), notes, preset, task, clip
        self.targets, self.drop, self.group = find_target(table, target), as_names(drop), group
        self.overrides = column_options(columns, table)
        self.excluded = [*self.targets, *self.drop, *([group] if group is not None else [])]
        require(table, self.excluded, "the table")
        self.inputs = [name for name in names if name not in self.excluded]
        self.doubts, self.left_out, self.writings = [], {}, {}

    def learn_task(self, frame, decimal, *, different=False):
        """Learn how the target is written, and what it is for.

        Args:
            frame: the rows with a target; of one target alone its `different` cells, where that is said.
            decimal: the decimal sign of the file.

        Returns:
            The frame, with numbers in place of texts that write them.
        """
        frame, self.writings = read_targets(
            frame, self.targets, self.overrides, self.task, self.doubts, decimal, different=different,
            figures=frame.attrs.get("figures", ()),
        )  # fmt: skip
        rows = rows_of(frame[self.targets])
        self.problem, reason = choose_task({name: rows[name] for name in self.targets}, self.task, self.preset)
        self.notes.append(reason)
        return frame

    def learn_inputs(self, raw, train, decimal, *, words, classes, padded=(), written=None, zoned=None):
        """Learn what the inputs are, on training rows.

        Args:
            raw: `Rows` of the inputs.
            train: numbers of the training rows.
            decimal: the decimal sign of the file.
            words: name -> words that the file's reader took for missing values.
            classes: whether the target is one of classes.
            padded: see `zero_padded_cells`.
            written: `Rows` whose columns of texts, if no others, show how numbers are written; `raw` by default.
            zoned: `Rows` whose time zones count; those of `raw` by default.
        """
        self.columns = learn_columns(
            raw, train, decimal=decimal, clip=self.clip, notes=self.notes, asked=self.overrides, doubts=self.doubts,
            left_out=self.left_out,
        )  # fmt: skip
        check_any_column(self.columns, self.targets, self.left_out)
        numbers = [column["name"] for column in self.columns if column["kind"] == "number"]
        numbers = [name for name in numbers if name not in self.overrides]
        self.notes += zero_padding_notes(zero_padded_cells(raw if written is None else written, numbers, padded))
        self.month_first = month_first(self.columns, raw, train)
        self.zones = time_zones_of(self.columns, raw if zoned is None else zoned)
        self.notes += missing_words(words, self.columns, self.targets if classes else ())

    def preprocessing(self, classes) -> dict:
        """Return the preprocessor, as it is stored.

        Args:
            classes: names of the classes; none of values.
        """
        stored = {"kind": "table", "columns": self.columns, "targets": self.targets, "classes": list(classes)}
        return stored | ({"writings": self.writings} if self.writings else {}) | self.month_first | self.zones

    def seen(self, rows, unread) -> dict:
        """Return how each column was read, and which look like ids of several rows.

        Args:
            rows: `Rows` of the table, or of a sample of it.
            unread: name -> numbers of the rows whose cell could not be read.
        """
        excluded = dict.fromkeys(self.drop, ("left out", AS_ASKED))
        if self.group is not None:
            excluded[self.group] = ("group", "rows of one value stay in one split")
        read = columns_read(rows, self.columns, unread, targets=self.targets, apart=excluded, left_out=self.left_out)
        return {"columns": self.names, "repeated": repeated_ids(rows, self.targets, self.columns), "read": read}
