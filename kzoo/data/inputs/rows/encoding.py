"""Encoding of a table that does not fit into memory: its two passes over the source (see `out_of_core.py`)."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.data import splits
from kzoo.data.inputs.rows.collect import (
    MAX_SAMPLE_ROWS,
    Buckets,
    ColumnMoments,
    Sample,
    numbered_pieces,
    pieces_of_part,
)
from kzoo.data.inputs.rows.columns import fingerprint_columns
from kzoo.data.inputs.rows.scaling import config_of
from kzoo.data.inputs.rows.stored_columns import StoredColumns
from kzoo.data.inputs.rows.stored_targets import (
    StoredClasses,
    StoredLabels,
    StoredValues,
    StoredWeights,
    cell_counts,
    single_column_table,
)
from kzoo.data.inputs.rows.table import TableFit
from kzoo.data.store.progress import track_progress
from kzoo.data.store.row_files import check_disk_space, read_rows
from kzoo.data.targets.columns import empty_target_message, missing_target_note
from kzoo.data.targets.weights import weighted_rows
from kzoo.inference.kinds.rows.column_options import named_columns
from kzoo.inference.kinds.rows.inference import check_columns, feature_names, in_table, unread_note
from kzoo.inference.tables.arrow import (
    Array,
    Piece,
    Table,
    TablePieces,
    arrow,
    hashes,
    is_texts,
    mix_bits,
    plain_column,
)
from kzoo.inference.tables.files import pieces_of
from kzoo.inference.tables.raw import Rows, require, rows_of
from kzoo.inference.tables.values import MISSING, to_words
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.data.options import LoadRequest

StoredTable: TypeAlias = dict[str, Any]  # what describes encoded rows, as JSON data
_MAX_CLASSES = 10_000  # distinct cells of a target
_DUPLICATE_SHARE = 0.1  # of the sample, above which rows are assumed to be equal by chance
_SPLITS = ("train", "validation", "test", "calibration")


class Encoding(TableFit):
    """A table that is being encoded into files.

    Args:
        request: the table, a path, and how it is read.
        folder: folder that the encoded rows are written to.

    Attributes:
        pieces, others: readers of the table, and of the tables of other splits: split -> reader.
        target_counts: counts of the cells of a single target; None if there are too many distinct ones.
        has_duplicates: whether rows are equal by chance, because few distinct rows are possible.
        constants, not_constant: excluded columns: name -> their constant cell (None if empty), and count of other
            cells.
        stored, target, weights: how inputs, targets and row weights are stored; `weights` is None without them.
    """

    def __init__(
        self,
        request: "LoadRequest",
        folder: Path,
    ) -> None:
        options = request.options
        validation = options.validation
        pieces = pieces_of(request.source)
        assert pieces is not None  # `is_large` is False for types of files without pieces
        self.pieces = pieces
        self.others = {
            part: pieces_of_part(part, table) for part, table in request.second_sources.items()
        }
        self.folder = folder
        self.seed = int(options.seed)
        self.text_columns = named_columns(options.columns)
        self.calibration = validation.calibration if isinstance(validation, splits.HeldOut) else 0.0
        self.validation, self.test = splits.split_fractions(
            splits.drawn(validation), splits.drawn(options.test)
        )
        other_notes = (note for other in self.others.values() for note in other.notes)
        super().__init__(pieces.names, [*pieces.notes, *other_notes], options, request.preset)
        for part, other in self.others.items():
            require(Rows(dict.fromkeys(other.names, ())), self.targets, f"the {part} table")

    def encode_table(self) -> StoredTable:
        """Encode the table, and return the metadata with which `out_of_core.py` opens it."""
        self.first_pass()
        self.learn()
        self.second_pass()
        return self.metadata(self.write_splits())

    # 1. First pass: sample and count rows.

    def first_pass(self) -> None:
        """Count the rows and the distinct cells of a single target, and draw the sample."""
        self.sample = Sample(self.seed)
        self.count = self.total = self.target_missing = 0
        if len(self.targets) > 1:  # the first rows decide; `StoredValues.encode` checks the others
            for piece in islice(self.pieces, 1):
                self.learn_labels(self.pieces.frame(piece.table.select(self.targets)))
        self.target_counts: Counter[Any] | None = Counter() if len(self.targets) == 1 else None
        for first, table in numbered_pieces(self.pieces, "sampling rows"):
            self.total = first + table.num_rows
            table, indices = self.rows_with_target(table, first)
            self.count += table.num_rows
            self.sample.add(table, indices)
            if self.group is not None and (missing := table.column(self.group).null_count):
                raise KzooError(
                    f"is missing in {missing} of rows {first + 1} to {first + len(indices)}. Fill "
                    "in the missing values or omit group=.",
                    argument="group",
                    value=self.group,
                )
            if self.target_counts is not None:
                self.target_counts.update(cell_counts(table.column(self.targets[0])))
                self.target_counts = (
                    None if len(self.target_counts) > _MAX_CLASSES else self.target_counts
                )
        if not self.count:
            message = empty_target_message(self.targets[0], "row") if self.target_missing else None
            raise KzooError(message or f"{self.pieces.name!r} has no rows.")
        splits.check_enough(self.count)
        if self.target_missing:
            self.notes.append(missing_target_note(self.target_missing, "row"))

    def rows_with_target(self, table: Table, first: int) -> tuple[Table, np.ndarray]:
        """Return the rows of a piece that have all targets (of labels, any), and their indices in the source.

        Args:
            table: the piece, as an Arrow table.
            first: index of its first row.
        """
        compute = arrow("pyarrow.compute")
        indices = first + np.arange(table.num_rows)
        for name in self.targets:
            column = table.column(name)
            if is_texts(column):
                blank = compute.equal(compute.utf8_trim_whitespace(column), "")
                table = table.set_column(
                    table.schema.get_field_index(name), name, compute.if_else(blank, None, column)
                )
        present = [
            compute.is_null(table.column(name), nan_is_null=True).to_numpy() == 0
            for name in self.targets
        ]
        has_target = np.all(present, axis=0) if self.labels is None else np.any(present, axis=0)
        if has_target.all():
            return table, indices
        self.target_missing += int((~has_target).sum())
        return table.filter(has_target), indices[has_target]

    # 2. Learn from the sample.

    def learn(self) -> None:
        """Learn the target and the columns on the sample. The classes of the target are those of all rows."""
        table, indices = self.sample.finish()
        frame = self.pieces.frame(table, self.text_columns)
        decimal = self.pieces.decimal
        target = self.targets[0]
        if self.target_counts is None:
            frame = self.learn_task(frame, decimal)
        else:  # all distinct cells of the target, of which the sample may lack rare ones
            distinct = self.pieces.frame(
                single_column_table(target, self.target_counts, table.schema), self.text_columns
            )
            self._refuse_label_cells(distinct)
            distinct = self.learn_task(distinct, decimal, distinct=True)
        self.target: StoredValues
        if "classes" not in self.problem.facts:
            self.target = StoredValues(self) if self.labels is None else StoredLabels(self)
        elif self.target_counts is None:
            raise KzooError(
                f"Target {target!r} has more than {_MAX_CLASSES:,} distinct values: too many classes for a table that "
                "is larger than memory. Use task='regression', or choose another target."
            )
        else:
            self.target = StoredClasses(self, self.target_counts, distinct[[target]])
        different = len(np.unique(hashes(table, self.inputs)))
        few = different < (1 - _DUPLICATE_SHARE) * table.num_rows
        self.has_duplicates = self.group is None and few
        train = np.flatnonzero(self.split_of(table, indices) == 0)
        rows = rows_of(frame)
        self.weights: StoredWeights | None = None
        if self.sample_weight is not None:
            self.weights = StoredWeights(self.sample_weight, rows[self.sample_weight], decimal)
            train = weighted_rows(train, self.weights.read(Piece(table, decimal), indices))
        self.learn_inputs(
            rows.only(self.inputs, decimal),
            train,
            decimal,
            words=self.pieces.words,
            classes=self.target.classes,
            file=self.pieces.written,
            padded_cells=frame.attrs.get("padded", {}),
        )
        for part, other in self.others.items():
            with in_table(part):
                check_columns(self.columns, Rows(dict.fromkeys(other.names, ())))
        self.schema = table.schema
        self.facts = self.data_facts(rows, {})
        self.constants = {
            name: None if reason.startswith("empty") else _first_cell(table, name)
            for name, reason in self.excluded_inputs.items()
            if reason == "constant" or reason.startswith("empty")
        }
        self.sample_size = len(indices)  # frees about 100 MB
        del self.sample

    def _refuse_label_cells(self, distinct: "DataFrame") -> None:
        """Raise `KzooError` if the cells of the target hold several labels: each label needs a column of its own."""
        self.learn_labels(distinct)
        if self.labels is not None:
            raise KzooError(
                f"Target {self.targets[0]!r} of a table that is larger than memory has several labels in a cell "
                f"({self.labels.reason}). Write a column of 0 and 1 for each label, and name them all with target=; or "
                f"use columns={{{self.targets[0]!r}: 'category'}} if the cells are classes."
            )

    def split_of(self, table: Table, indices: np.ndarray) -> np.ndarray:
        """Return the split of each row (N,), an index in `_SPLITS`.

        It is drawn by a hash of the seed and of the cells of the row, or of its group.

        Equal rows are thus in the same split. If rows are equal by chance, their indices count too.
        """
        row_hashes = hashes(table, self.inputs if self.group is None else [self.group])
        with np.errstate(over="ignore"):
            if self.has_duplicates:
                row_hashes = row_hashes + mix_bits(indices.astype(np.uint64) + np.uint64(1))
            row_hashes = mix_bits(
                row_hashes ^ mix_bits(np.full(1, self.seed % 2**64, np.uint64) + np.uint64(7))
            )
        random_share = (row_hashes >> np.uint64(11)).astype(np.float64) / 2**53
        held_out = self.test + self.validation * (1 - self.test)
        calibration = self.test + self.calibration * (1 - self.test)
        kept = np.where(random_share < calibration, 3, np.where(random_share < held_out, 1, 0))
        return np.where(random_share < self.test, 2, kept)

    # 3. Second pass: encode the rows.

    def second_pass(self) -> None:
        """Encode the rows, and distribute them to buckets that fit into memory; count cells of all rows."""
        self.stored = StoredColumns(
            self.columns,
            self.zones,
            file=self.pieces.written,
            parts=self.others,
        )
        self.not_constant: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        width = self.stored.width + self.tail_width
        check_disk_space(self.folder, int(1.2 * 4 * width * self.count))
        with ExitStack() as exit_stack:
            self.buckets = Buckets(
                self.folder, self.split_shares(), self.count, width, self.seed, exit_stack
            )
            self.target_missing = 0
            for first, table in numbered_pieces(self.pieces, "encoding rows", self.total):
                table, indices = self.rows_with_target(table, first)
                self.add_rows(self.pieces, table, indices, self.split_of(table, indices))
            words = self.stored.end_table()
            words |= dict.fromkeys(self.targets, MISSING.intersection(self.target.code_of))
            for part, other in self.others.items():
                other.kept = words
                self.add_other_table(part, other)

    @property
    def tail_width(self) -> int:
        """Number of columns after the inputs: the row weight, if there are some, and the targets."""
        return (self.weights is not None) + self.target.width

    def add_other_table(self, part: str, other: TablePieces) -> None:
        """Encode the table of another split as new data of a run is: checked, with notes about its rows only.

        Args:
            part: the split.
            other: reader of the table.
        """
        self.target_missing = first = 0
        if self.sample_weight is not None and self.sample_weight not in other.names:
            self.notes.append(
                f"The {part} table has no column {self.sample_weight!r}: its rows count equally."
            )
        for piece in other:
            table, indices = self.rows_with_target(self.select_columns(piece.table), first)
            row_splits = np.full(len(indices), _SPLITS.index(part))
            self.add_rows(other, table, indices, row_splits, part)
            first += len(piece)
        if first == self.target_missing:
            raise KzooError(empty_target_message(self.targets[0], f"{part} row"))
        notes = list(self.stored.check_part(part, first - self.target_missing))
        self.notes += (f"In the {part} table: {line}" for line in notes)
        if self.target_missing:
            self.notes.append(missing_target_note(self.target_missing, f"{part} row"))
        self.notes += self.stored.zone_notes_of(part)

    def select_columns(self, table: Table) -> Table:
        """Return the targets, inputs and weights of another table. Inputs that it lacks, which no network reads, are
        missing.
        """
        for name in self.inputs:
            if name not in table.schema.names:
                table = table.append_column(
                    name, arrow().nulls(len(table), self.schema.field(name).type)
                )
        weight = [self.sample_weight] if self.sample_weight in table.schema.names else []
        return table.select(self.targets + self.inputs + weight)

    def split_shares(self) -> tuple[float, ...]:
        """Return the approximate share of the rows in each of `_SPLITS`."""
        held_out = self.validation * (1 - self.test)
        calibration = self.calibration * (1 - self.test)
        shares = (1 - self.test - held_out, held_out - calibration, self.test, calibration)
        return tuple(
            0.5 if part in self.others else share
            for part, share in zip(_SPLITS, shares, strict=True)
        )

    def add_rows(
        self,
        pieces: TablePieces,
        table: Table,
        indices: np.ndarray,
        row_splits: np.ndarray,
        part: str | None = None,
    ) -> None:
        """Encode rows of a source, add them to the buckets, and update the counts.

        Args:
            pieces: the source, `self.pieces` or one of `self.others`.
            table: rows of a piece, as an Arrow table.
            indices: (N,) indices of the rows in the source.
            row_splits: (N,) splits of the rows, indices in `_SPLITS`.
            part: the split of another table.
        """
        if not table.num_rows:
            return
        self.digest.update(hashes(table, [*self.inputs, *self.targets]).tobytes())
        piece = Piece(table, pieces.decimal)
        weight = []
        if self.weights is not None:
            weight = [self.weights.read(piece, indices, part)]
        if self.weights is not None and part is None:  # rows of weight 0 are not learned from
            self.digest.update(weight[0].tobytes())
            learned = (row_splits != 0) | (weight[0] > 0)
            self.weights.dropped += int((~learned).sum())
            indices = indices[learned]
            row_splits = row_splits[learned]
            weight = [weight[0][learned]]
            piece = Piece(table.filter(learned), pieces.decimal)
            if not len(piece):
                return
        for name, constant in self.constants.items():
            self.not_constant[name] += _count_different(piece.table.column(name), constant)
        features = [
            *self.stored.encode(piece, indices, row_splits == 0, part),
            *weight,
            self.target.encode(piece, indices, pieces.frame, part),
        ]
        rows = [
            feature.astype(np.float32, copy=False).reshape(len(indices), -1) for feature in features
        ]
        self.buckets.add(np.concatenate(rows, axis=1), indices, row_splits)

    # 4. Shuffle the buckets and write the splits.

    def write_splits(self) -> dict[str, int]:
        """Fill missing values, convert category numbers to codes, write each split shuffled; return the row counts."""
        self.columns = self.stored.finish(self.notes)
        self.moments = ColumnMoments()
        row_counts: dict[str, int] = {}
        for split_number, split in enumerate(_SPLITS if self.calibration else _SPLITS[:3]):
            row_counts[split] = 0
            with open(self.folder / f"{split}.rows", "wb") as file:
                buckets = self.buckets.files(split_number)
                for bucket in track_progress(
                    buckets, f"{self.pieces.name}: shuffling {split} rows", len(buckets)
                ):
                    generator = np.random.default_rng([self.seed, split_number, row_counts[split]])
                    rows = self.buckets.take(bucket)
                    rows = rows[generator.permutation(len(rows))]
                    x = self.stored.features_of(rows)
                    y = rows[:, -self.tail_width :]
                    file.write(np.ascontiguousarray(np.concatenate([x, y], axis=1)).data)
                    row_counts[split] += len(x)
                    self._count(split, x, y)
                file.flush()
                os.fsync(file.fileno())
            self.notes += self.target.end_split(split, row_counts[split])
        if not row_counts["train"]:
            raise KzooError("No rows are left for training. Lower test= or validation=.")
        return row_counts

    def _count(self, split: str, x: np.ndarray, y: np.ndarray) -> None:
        """Update the statistics of a split with features (B, F), and with row weights and targets (B, `tail_width`)."""
        weight = None
        if self.weights is not None:
            weight, y = y[:, 0], y[:, 1:]
            self.weights.count(split, weight)
        if split == "train":
            self.moments.add(x[:, : self.stored.numbers], weight)
        self.target.count(split, np.ascontiguousarray(y), weight)

    def metadata(self, row_counts: Mapping[str, int]) -> StoredTable:
        """Return what describes the encoded rows, as JSON data."""
        names = feature_names(self.columns)
        width = len(names) + self.tail_width
        sample = read_rows(
            self.folder / "train.rows", width, 0, min(row_counts["train"], MAX_SAMPLE_ROWS)
        )
        config = config_of(sample[:, : len(names)], self.columns, self.notes, self.moments.extent())
        target, target_notes = self.target.learned(sample[:, -self.target.width :])
        self.notes += target_notes
        row_count = sum(row_counts.values())
        columns = {column["name"]: column for column in self.columns}
        unread = self.stored.unread()
        for summary in self.facts["read"]:
            name = summary["name"]
            if name in columns:
                summary["missing"] = self.stored.missing(name)
                summary["unreadable"] = unread[name][0] if name in unread else 0
            if self.not_constant[name]:
                summary["about"] += f" except in {plural(self.not_constant[name], 'row')}"
            if summary["kind"] == "category":
                count = len(columns[name]["values"])
                summary |= {"categories": count, "about": plural(count, "category")}
        self.notes += self.format_warnings
        for name, (count, cells) in unread.items():
            column = columns[name]
            self.notes.append(
                unread_note(
                    name,
                    column["kind"],
                    count,
                    row_count,
                    cells,
                    column.get("writing"),
                    name in self.guessed,
                )
            )
        if self.has_duplicates:
            self.notes.append(
                "Many rows are equal because few distinct rows are possible: rows are split by their index as well as "
                "by their cells."
            )
        if self.count > self.sample_size:
            self.notes.append(
                f"Column kinds, medians and quantiles are learned on {self.sample_size:,} of {self.count:,} rows; "
                "classes, categories, means and standard deviations on all rows."
            )
        unread_facts = {
            name: [
                count,
                cells[0][0],
                row_count,
                [*dict.fromkeys(shown(cell) for _, cell in cells)],
            ]
            for name, (count, cells) in unread.items()
        }
        return dict(
            task=self.problem.name,
            rows=row_counts,
            width=width,
            inputs=len(names),
            **({} if self.weights is None else self.weights.finish(self.notes)),
            dtype=self.target.dtype,
            single=self.target.single,
            config=config | dict(target.config),
            preprocessing=self.preprocessing(target.classes),
            class_names=list(target.classes),
            feature_names=list(names),
            target_names=list(target.names),
            notes=self.notes,
            seen=self.facts
            | {"doubts": self.format_warnings, "unread": unread_facts}
            | self.target.facts,
            fingerprint=splits.fingerprint(
                self.digest.digest(),
                self.pieces.names,
                self.targets,
                self.problem.name,
                fingerprint_columns(self.columns),
                [self.seed, self.validation, self.test, self.group, row_counts],
                *([self.calibration] if self.calibration else []),
            ),
        )


def _first_cell(table: Table, name: str) -> Any:
    """Return the first cell of a column that is not missing, as an Arrow scalar."""
    return next(cell for cell in table.column(name) if cell.is_valid)


def _count_different(column: Array, constant: Any) -> int:
    """Return the number of cells that differ from the constant of a column, or that are not missing if it is None."""
    if constant is None:
        return len(column) - column.null_count
    if column.type != constant.type:  # a test table may have other types
        words = to_words(plain_column(column.drop_null()))
        return int((words != to_words([constant.as_py()])[0]).sum())
    return int(
        arrow("pyarrow.compute").sum(arrow("pyarrow.compute").not_equal(column, constant)).as_py()
        or 0
    )
