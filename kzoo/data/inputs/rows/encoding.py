"""Encoding of a table that does not fit into memory: its two passes over the source (see `out_of_core.py`)."""

import hashlib
import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data import splits
from kzoo.data.inputs.rows.collect import (
    MAX_COUNTED_CATEGORIES,
    MAX_SAMPLE_ROWS,
    SHOWN,
    Buckets,
    CategoryCounts,
    CellCounts,
    ColumnMoments,
    Sample,
    numbered_pieces,
)
from kzoo.data.inputs.rows.column_kind import MAX_CATEGORIES, missing_categories
from kzoo.data.inputs.rows.columns import (
    fingerprint_columns,
    number_format_of,
    stored_number_format,
)
from kzoo.data.inputs.rows.row_columns import invalid_weight
from kzoo.data.inputs.rows.scaling import config_of
from kzoo.data.inputs.rows.table import TableFit
from kzoo.data.store.progress import track_progress
from kzoo.data.store.row_files import check_disk_space, read_rows
from kzoo.data.tables.frame import as_frame
from kzoo.data.targets.columns import empty_target_message, missing_target_note
from kzoo.data.targets.weights import weighted_rows, weights_line
from kzoo.inference.kinds.rows.column_options import named_columns
from kzoo.inference.kinds.rows.inference import (
    cells_of,
    check_columns,
    check_readable,
    feature_names,
    fill_missing,
    in_table,
    missing_note,
    text_ids,
    unread_note,
)
from kzoo.inference.tables.arrow import (
    Array,
    Piece,
    Table,
    arrow,
    hashes,
    is_texts,
    mix_bits,
    normalize_table,
    plain_column,
)
from kzoo.inference.tables.files import is_table, pieces_of
from kzoo.inference.tables.label_cells import flags
from kzoo.inference.tables.raw import Rows, require, rows_of
from kzoo.inference.tables.values import MISSING, not_missing, plain, to_words
from kzoo.inference.tables.zones import zone_notes
from kzoo.problems.layout import LearnedColumn
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown
from kzoo.utils.optional import of_pandas

if TYPE_CHECKING:
    from pandas import DataFrame

    from kzoo.data.options import LoadRequest

_MAX_CLASSES = 10_000  # distinct cells of a target
_DUPLICATE_SHARE = 0.1  # of the sample, above which rows are assumed to be equal by chance
_FRAME_PIECE_ROWS = 50_000  # encoded at once
_SPLITS = ("train", "validation", "test", "calibration")


class Encoding(TableFit):
    """A table that is being encoded into files.

    Args:
        request: the table, a path, and how it is read.
        folder: folder that the encoded rows are written to.

    Attributes:
        pieces, others: readers of the table, and of the tables of other splits: split -> reader.
        target_counts: counts of the cells of a single target; None if there are too many distinct ones.
        class_target, class_codes: the learned classes, None for a regression, and cell -> class code.
        has_duplicates: whether rows are equal by chance.
        constants, not_constant: excluded columns: name -> their constant cell (None if empty), and count of other
            cells.
        encoded_columns: the learned columns; those of dates with their time zone.
        category_counts: name -> `CategoryCounts` of the columns of categories.
        known_categories: name -> number of categories in the table, once all of it is encoded.
        incomplete: names of numeric columns with missing values in training rows.
        cells: split of another table, None for the table itself -> `CellCounts` of its columns.
        weight_format: format of the numbers in the column of row weights, if these are texts.
        weight_moments: split -> moments of its row weights.
    """

    def __init__(
        self,
        request: "LoadRequest",
        folder: Path,
    ) -> None:
        options = request.options
        validation = options.validation
        self.pieces = pieces = pieces_of(request.source)
        self.others = {
            part: _other_pieces(part, table) for part, table in request.second_sources.items()
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

    def encode_table(self) -> dict:
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
        if len(self.targets) > 1:  # the first rows decide; `_target_values` checks the others
            piece = next(iter(self.pieces), None)
            self.learn_labels(
                self.pieces.frame(piece.table.select(self.targets))
            ) if piece is not None else None
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
                self.target_counts.update(_cell_counts(table.column(self.targets[0])))
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
                _single_column_table(target, self.target_counts, table.schema), self.text_columns
            )
            self._refuse_label_cells(distinct)
            distinct = self.learn_task(distinct, decimal, distinct=True)
        self.class_target: Any = None
        self.class_codes: dict[Any, int] = {}
        if "classes" in self.problem.facts:
            if self.target_counts is None:
                raise KzooError(
                    f"Target {target!r} has more than {_MAX_CLASSES:,} distinct values: too many classes for a table "
                    "that is larger than memory. Use task='regression', or choose another target."
                )
            inference = self.problem.task.inference
            # `learn` refuses classes with a single example: two of each stand for all of them.
            repeated = np.repeat(
                np.arange(len(distinct)), [min(count, 2) for count in self.target_counts.values()]
            )
            self.class_target = inference.learn(distinct[[target]].iloc[repeated], self.targets)
            codes = inference.encode(self.class_target, distinct[[target]]).tolist()
            self.class_codes = dict(zip(self.target_counts, codes, strict=True))
        self.has_duplicates = self.group is None and self._many_equal_rows(table)
        train = np.flatnonzero(self.split_of(table, indices) == 0)
        rows = rows_of(frame)
        self.weight_format = None
        if self.sample_weight is not None:
            values = rows[self.sample_weight]
            self.weight_format = stored_number_format(
                number_format_of(self.sample_weight, values), decimal
            )
            train = weighted_rows(
                train, self.weights_of(self.sample_weight, Piece(table, decimal), indices)
            )
        self.learn_inputs(
            rows.only(self.inputs, decimal),
            train,
            decimal,
            words=self.pieces.words,
            classes=self.class_target.classes if self.class_target is not None else (),
            file=self.pieces.written,
            padded_cells=frame.attrs.get("padded", {}),
        )
        for part, other in self.others.items():
            with in_table(part):
                check_columns(self.columns, Rows(dict.fromkeys(other.names, ())))
        self.schema, self.facts = table.schema, self.data_facts(rows, {})
        self.constants = {
            name: _first_cell(table, name)
            for name, reason in self.excluded_inputs.items()
            if reason == "constant"
        }
        self.constants |= {
            name: None
            for name, reason in self.excluded_inputs.items()
            if reason.startswith("empty")
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

    def _many_equal_rows(self, table: Table) -> bool:
        """Return whether rows are equal by chance, because few distinct rows are possible."""
        row_hashes = hashes(table, self.inputs)
        return len(np.unique(row_hashes)) < (1 - _DUPLICATE_SHARE) * len(row_hashes)

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
        zones = self.zones.get("zones", {})
        self.encoded_columns = [
            column | ({"zone": zones.get(column["name"])} if column["kind"] == "date" else {})
            for column in self.columns
        ]
        self.category_counts = {
            column["name"]: CategoryCounts(
                column["values"], missing_categories(self.pieces.written)
            )
            for column in self.columns
            if column["kind"] == "category"
        }
        self.known_categories: dict[str, int] = {}
        self.width = sum(map(_width, self.columns)) + self.tail_width
        self.incomplete: set[str] = set()
        self.cells: dict[str | None, CellCounts] = {
            part: CellCounts() for part in (None, *self.others)
        }
        self.not_constant: Counter[str] = Counter()
        self.digest = hashlib.sha256()
        self.zero_weights = 0
        check_disk_space(self.folder, int(1.2 * 4 * self.width * self.count))
        with ExitStack() as exit_stack:
            buckets = Buckets(
                self.folder, self.split_shares(), self.count, self.width, self.seed, exit_stack
            )
            self.target_missing = 0
            for first, table in numbered_pieces(self.pieces, "encoding rows", self.total):
                table, indices = self.rows_with_target(table, first)
                self.add_rows(buckets, self.pieces, table, indices, self.split_of(table, indices))
            self.known_categories = {
                name: len(counts.codes) for name, counts in self.category_counts.items()
            }
            for part, other in self.others.items():
                self.add_other_table(buckets, part, other)
            self.buckets = buckets

    @property
    def tail_width(self) -> int:
        """Number of columns after the inputs: the row weight, if there are some, and the targets."""
        return (self.sample_weight is not None) + (
            len(self.targets) if self.class_target is None else 1
        )

    def add_other_table(self, buckets: Buckets, part: str, other: Any) -> None:
        """Encode the table of another split as new data of a run is: checked, with notes about its rows only.

        Args:
            part: the split.
            other: reader of the table.
        """
        self.target_missing, first = 0, 0
        other.kept = {
            name: MISSING.intersection(counts.codes)
            for name, counts in self.category_counts.items()
        }
        other.kept |= dict.fromkeys(self.targets, MISSING.intersection(self.class_codes))
        if self.sample_weight is not None and self.sample_weight not in other.names:
            self.notes.append(
                f"The {part} table has no column {self.sample_weight!r}: its rows count equally."
            )
        for piece in other:
            table, indices = self.rows_with_target(self.select_columns(piece.table), first)
            self.add_rows(
                buckets, other, table, indices, np.full(len(indices), _SPLITS.index(part)), part
            )
            first += len(piece)
        if first == self.target_missing:
            raise KzooError(empty_target_message(self.targets[0], f"{part} row"))
        self.check_other_table(part, first - self.target_missing)
        if self.target_missing:
            self.notes.append(missing_target_note(self.target_missing, f"{part} row"))
        for name, zone in self.zones.get("zones", {}).items():
            self.notes += zone_notes(name, zone, np.array(list(self.cells[part].minutes[name])))

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

    def check_other_table(self, part: str, rows: int) -> None:
        """Refuse another table with a column of mostly unreadable cells, and add notes about missing and unknown cells.

        Args:
            part: the split.
            rows: number of its rows with a target.
        """
        counts = self.cells[part]
        notes: list[str] = []
        for column in self.columns:
            name = column["name"]
            unread = (counts.unread[name], counts.examples[name])
            if column["kind"] == "category" and 2 * counts.unread[name] > rows:
                notes.append(unread_note(name, "category", unread[0], rows, unread[1]))
            if column["kind"] in ("number", "date"):
                with in_table(part):
                    check_readable(column, unread[0], rows - counts.missing[name], unread[1])
                if name not in self.incomplete:
                    notes += missing_note(name, counts.missing[name], rows)
        self.notes += (f"In the {part} table: {line}" for line in notes)

    def split_shares(self) -> tuple[float, ...]:
        """Return the approximate share of the rows in each split."""
        held_out = self.validation * (1 - self.test)
        calibration = self.calibration * (1 - self.test)
        shares = {
            "train": 1 - self.test - held_out,
            "validation": held_out - calibration,
            "test": self.test,
        }
        shares |= {"calibration": calibration}
        return tuple(0.5 if part in self.others else share for part, share in shares.items())

    def add_rows(
        self,
        buckets: Buckets,
        pieces: Any,
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
            row_splits: (N,) splits of the rows, 0 to 2.
            part: the split of another table.
        """
        if not table.num_rows:
            return
        self.digest.update(hashes(table, [*self.inputs, *self.targets]).tobytes())
        if part is None and self.sample_weight is not None:  # rows of weight 0 are not learned from
            weight = self.weights_of(self.sample_weight, Piece(table, pieces.decimal), indices)
            learned = (row_splits != 0) | (weight > 0)
            self.digest.update(weight.tobytes())
            table = table.filter(learned)
            indices = indices[learned]
            row_splits = row_splits[learned]
            self.zero_weights += int((~learned).sum())
            if not table.num_rows:
                return
        piece = Piece(table, pieces.decimal)
        features = [
            feature
            for column in self.encoded_columns
            for feature in self._features(column, piece, indices, row_splits == 0, part)
        ]
        for name, constant in self.constants.items():
            self.not_constant[name] += _count_different(table.column(name), constant)
        if self.sample_weight is not None:
            has_weights = part is None or self.sample_weight in table.schema.names
            features.append(
                self.weights_of(self.sample_weight, piece, indices, part)
                if has_weights
                else np.full(len(indices), np.nan)
            )
        if self.class_target is None:
            features.append(self._target_values(piece, indices))
        else:  # class codes are stored as int32 in the bits of the last float32 column
            features.append(self._encode_classes(pieces, table, part).view(np.float32))
        rows = [
            feature.astype(np.float32, copy=False).reshape(len(indices), -1) for feature in features
        ]
        buckets.add(np.concatenate(rows, axis=1), indices, row_splits)

    def _features(
        self,
        column: LearnedColumn,
        piece: Piece,
        indices: np.ndarray,
        train: np.ndarray,
        part: str | None,
    ) -> list[np.ndarray]:
        """Return a column as it is stored until its facts are known of all rows, and count its cells.

        That is numbers with NaN for missing cells, numbers of categories in order of appearance, and ids of texts.

        Args:
            column: the learned column; a date has its `zone`.
            piece: rows of a source.
            indices: (N,) indices of the rows in the source.
            train: (N,) which are training rows.
            part: the split of another table.
        """
        name = column["name"]
        counts = self.cells[part]
        missing = piece.table.column(name).null_count
        unread = {name: np.empty(0, int)}
        if column["kind"] == "text":
            features = [text_ids(column, piece)]
        elif column["kind"] == "category":
            features = [self.category_counts[name].codes_of(piece[name], train)]
            unread[name] = np.flatnonzero(features[0] > self.known_categories.get(name, np.inf))
        else:
            cells = cells_of(column, piece, unread)
            is_missing = np.isnan(cells[0])
            missing = int(is_missing.sum()) - len(unread[name])
            if is_missing[train].any():
                self.incomplete.add(name)
            if part is not None and column["kind"] == "date":
                minutes = piece.minutes(name, column.get("day_first", False))[~is_missing]
                counts.minutes[name].update(np.unique(minutes).tolist())
            with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused next
                features = [values.astype(np.float32) for values in cells]
            for values, feature in zip(cells, features, strict=True):
                _check_finite(name, values, feature, indices)
        counts.add(name, piece, missing, unread[name], indices)
        return features

    def weights_of(
        self, name: str, piece: Piece, indices: np.ndarray, part: str | None = None
    ) -> np.ndarray:
        """Return the row weights (N,) of a piece as float32.

        Args:
            name: of their column.
            piece: a `Piece`.
            indices: (N,) indices of its rows in the source.
            part: the split of another table.

        Raises:
            KzooError: a weight that is missing, not a number, negative or infinite.
        """
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused next
            weight = piece.numbers(name, self.weight_format).astype(np.float32)
        if (bad := np.flatnonzero(~((weight >= 0) & np.isfinite(weight)))).size:
            raise invalid_weight(name, indices[bad[0]], piece[name][bad[0]], part=part)
        return weight

    def _target_values(self, piece: Piece, indices: np.ndarray) -> np.ndarray:
        """Return the targets of a regression, or labels of 0, 1 and NaN (N, targets)."""
        if self.labels is not None:
            return self._label_values(piece, indices)
        values = np.stack(
            [piece.numbers(name, self.number_formats.get(name)) for name in self.targets], axis=1
        )
        if (bad := np.flatnonzero(np.isnan(values).any(axis=1))).size:
            cells = [piece[name][bad[0]] for name in self.targets]
            raise KzooError(
                f"A regression target must be a number; row {indices[bad[0]] + 1} contains {cells!r}."
            )
        # refuses numbers that do not suit the task, such as -1
        self.problem.task.inference.encode(None, values)
        return values

    def _label_values(self, piece: Piece, indices: np.ndarray) -> np.ndarray:
        """Return labels of 0, 1 and NaN (N, labels)."""
        columns = []
        for name in self.targets:
            cells = piece[name]
            column = flags(cells)
            if column is None and not_missing(plain(cells)).any():
                row, cell = next((row, cell) for row, cell in enumerate(cells) if _is_no_flag(cell))
                raise KzooError(
                    f"Label column {name!r} must be 0 or 1, yes or no; row {indices[row] + 1} has {shown(cell)}. Use "
                    "task='regression' if the targets are values."
                )
            columns.append(np.full(len(indices), np.nan) if column is None else column)
        return np.stack(columns, axis=1)

    def _encode_classes(self, pieces: Any, table: Table, part: str | None) -> np.ndarray:
        """Return the class codes of the target column (N,), and add those of new spellings to `self.class_codes`."""
        target = self.targets[0]
        encoded = table.column(target).combine_chunks().dictionary_encode()
        cells = encoded.dictionary.to_pylist()
        # The table of another split may spell classes differently.
        if new_cells := [cell for cell in cells if cell not in self.class_codes]:
            new_frame = pieces.frame(_single_column_table(target, new_cells, table.schema))
            with splits.in_data_of(part):
                codes = self.problem.task.inference.encode(self.class_target, new_frame[[target]])
            self.class_codes |= dict(zip(new_cells, codes.tolist(), strict=True))
        return np.array([self.class_codes[cell] for cell in cells], np.int32)[
            encoded.indices.to_numpy()
        ]

    # 4. Shuffle the buckets and write the splits.

    def write_splits(self) -> dict[str, int]:
        """Fill missing values, convert category numbers to codes, write each split shuffled; return the row counts."""
        self.columns = [self._with_exact_counts(column) for column in self.columns]
        target_width = self.tail_width
        weighted = self.sample_weight is not None
        categories = (column["values"] for column in self.columns if column["kind"] == "category")
        stored_codes = {
            name: counts.stored_codes(values)
            for (name, counts), values in zip(self.category_counts.items(), categories, strict=True)
        }
        self.feature_names = feature_names(self.columns)
        code_count = len(stored_codes) + sum(column.get("length", 0) for column in self.columns)
        self.input_moments, self.target_moments = ColumnMoments(), ColumnMoments()
        self.weight_moments = {split: ColumnMoments() for split in _SPLITS}
        self.class_counts = {}
        self.label_counts = {}
        self.unknown_labels = False
        row_counts = {}
        for split_number, split in enumerate(_SPLITS if self.calibration else _SPLITS[:3]):
            class_counts = (
                np.zeros(len(self.class_target.classes), int)
                if self.class_target is not None
                else None
            )
            label_counts = np.zeros(target_width, int)
            with open(self.folder / f"{split}.rows", "wb") as file:
                row_counts[split] = 0
                buckets = self.buckets.files(split_number)
                for bucket in track_progress(
                    buckets, f"{self.pieces.name}: shuffling {split} rows", len(buckets)
                ):
                    generator = np.random.default_rng([self.seed, split_number, row_counts[split]])
                    raw = self.buckets.take(bucket)
                    x, y = self._encode(
                        raw[generator.permutation(len(raw))], stored_codes, target_width
                    )
                    file.write(np.ascontiguousarray(np.concatenate([x, y], axis=1)).data)
                    row_counts[split] += len(x)
                    weight, y = (y[:, 0], np.ascontiguousarray(y[:, 1:])) if weighted else (None, y)
                    if weight is not None:
                        self.weight_moments[split].add(weight[:, None])
                    if not split_number:
                        self.input_moments.add(x[:, : len(self.feature_names) - code_count], weight)
                    if class_counts is not None:
                        class_counts += np.bincount(
                            y.view(np.int32)[:, 0], minlength=len(class_counts)
                        )
                    elif self.labels is not None:
                        label_counts += (y == 1).sum(axis=0)
                        self.unknown_labels |= bool(np.isnan(y).any())
                    elif not split_number:
                        self.target_moments.add(y, weight)
                file.flush()
                os.fsync(file.fileno())
            if class_counts is not None:
                self.class_counts[split] = class_counts.tolist()
            if self.labels is not None and row_counts[split]:
                self.notes += splits.absent_labels_note(split, label_counts, self.targets)
                self.label_counts[split] = label_counts.tolist()
        if not row_counts["train"]:
            raise KzooError("No rows are left for training. Lower test= or validation=.")
        if self.class_counts and 0 in self.class_counts["train"]:
            class_number = self.class_counts["train"].index(0)
            raise KzooError(
                f"Class number {class_number} has no training rows. Lower test= or validation=."
            )
        return row_counts

    def _with_exact_counts(self, column: LearnedColumn) -> LearnedColumn:
        """Return a column with the facts that are known exactly after the second pass."""
        if column["kind"] == "text":
            return column
        if column["kind"] != "category":
            return column | {"missing": column["name"] in self.incomplete}
        counts = self.category_counts[column["name"]]
        if counts.is_full:
            self.notes.append(
                f"Column {column['name']!r} has more than {MAX_COUNTED_CATEGORIES:,} categories; those that "
                "appear later count as unknown."
            )
        elif counts.distinct_count > MAX_CATEGORIES:
            self.notes = [
                note
                for note in self.notes
                if not note.startswith(f"Column {column['name']!r} has ")
            ]
            self.notes.append(
                f"Column {column['name']!r} has {counts.distinct_count} categories; only the {MAX_CATEGORIES} "
                "most frequent are used."
            )
        return column | {"values": counts.most_frequent()}

    def _encode(
        self, rows: np.ndarray, stored_codes: dict[str, np.ndarray], target_width: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return inputs (B, F) and targets (B, target_width) of rows as `add_rows` has encoded them."""
        features: list[np.ndarray] = []
        position = 0
        for column in self.columns:
            cells = list(rows[:, position : position + _width(column)].T)
            position += len(cells)
            if column["kind"] == "category":
                cells = [stored_codes[column["name"]][cells[0].astype(np.int64)]]
            elif column["kind"] != "text":
                cells = fill_missing(column, cells)
            features += cells
        x = np.stack(features, axis=1, dtype=np.float32, casting="same_kind")
        return x, rows[:, -target_width:]

    def metadata(self, row_counts: Mapping[str, int]) -> dict:
        """Return what describes the encoded rows, as JSON data."""
        input_width = len(self.feature_names)
        width = len(self.feature_names) + self.tail_width
        sample = read_rows(
            self.folder / "train.rows", width, 0, min(row_counts["train"], MAX_SAMPLE_ROWS)
        )
        config = config_of(
            sample[:, :input_width], self.columns, self.notes, self.input_moments.extent()
        )
        target = self.class_target
        if target is None:
            y = sample[:, input_width + (self.sample_weight is not None) :]
            extent = None if self.labels is not None else self.target_moments.extent()
            target = self.problem.task.inference.learn(y, self.targets, known=extent)
            self.notes += splits.target_notes(target, y if self.labels is None else None)
        columns = {column["name"]: column for column in self.columns}
        unread = {
            name: (count, [cell for cells in examples for cell in cells][:SHOWN])
            for name, column in columns.items()
            if column["kind"] in ("number", "date")
            and (count := sum(counts.unread[name] for counts in self.cells.values()))
            and (examples := [counts.examples[name] for counts in self.cells.values()])
        }
        for column in self.facts["read"]:
            name = column["name"]
            if name in columns:
                column["missing"] = sum(counts.missing[name] for counts in self.cells.values())
                column["unreadable"] = unread[name][0] if name in unread else 0
            if self.not_constant[name]:
                column["about"] += f" except in {plural(self.not_constant[name], 'row')}"
            if name in self.category_counts:
                count = len(
                    next(learned["values"] for learned in self.columns if learned["name"] == name)
                )
                column |= {"categories": count, "about": plural(count, "category")}
        row_count = sum(row_counts.values())
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
        return dict(
            task=self.problem.name,
            rows=row_counts,
            width=width,
            inputs=input_width,
            **self._weights_metadata(),
            dtype="float32" if self.class_target is None else "int32",
            single=self.class_target is not None,
            config=config | target.config,
            preprocessing=self.preprocessing(target.classes),
            class_names=list(target.classes),
            feature_names=list(self.feature_names),
            target_names=list(target.names),
            notes=self.notes,
            seen=self.facts
            | {
                "doubts": self.format_warnings,
                "unread": {
                    name: [
                        count,
                        cells[0][0],
                        row_count,
                        list(dict.fromkeys(shown(cell) for _, cell in cells)),
                    ]
                    for name, (count, cells) in unread.items()
                },
                **({"of_class": self.class_counts} if self.class_counts else {}),
                **(
                    {"of_label": self.label_counts, "unknown_labels": self.unknown_labels}
                    if self.label_counts
                    else {}
                ),
            },
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

    def _weights_metadata(self) -> dict:
        """Return `weights`: split -> whether its rows have weights, and `weight_scale`; and add the note on them."""
        if self.sample_weight is None:
            return {}
        has_weights = {}
        for split, moments in self.weight_moments.items():
            has_weights[split] = bool(moments.count and np.isfinite(moments.mean[0]))
            if has_weights[split] and not moments.mean[0] > 0:
                raise KzooError(
                    f"The weight (sample_weight=) is 0 for all {split} rows. At least one must be positive."
                )
        moments = self.weight_moments["train"]
        mean, low, high = (float(values[0]) for values in (moments.mean, moments.low, moments.high))
        effective = moments.count * mean**2 / (mean**2 + float(moments.squares[0]) / moments.count)
        self.notes.append(
            weights_line(
                low / mean,
                high / mean,
                effective,
                moments.count,
                f"column {self.sample_weight!r}",
                self.zero_weights,
            )
        )
        return {"weights": has_weights, "weight_scale": 1 / mean}


def _width(column: LearnedColumn) -> int:
    """Return the number of values of a column until it is encoded (see `Encoding._features`)."""
    return column.get("length", len(column.get("medians", " ")))


def _check_finite(name: str, values: np.ndarray, encoded: np.ndarray, indices: np.ndarray) -> None:
    """Raise `KzooError` if a value of a column is infinite as float32."""
    infinite = np.flatnonzero(np.isinf(encoded))
    if infinite.size:
        row = int(infinite[0])
        raise KzooError(
            f"Column {name!r} contains {values[row]:g} in row {indices[row] + 1}, which exceeds the range of "
            "float32. Exclude the column or scale it."
        )


def _is_no_flag(cell: object) -> bool:
    """Return whether a cell has a value that is neither 0 nor 1, yes nor no."""
    return bool(not_missing(plain([cell]))[0]) and flags([cell]) is None


def _cell_counts(column: Array) -> dict:
    """Return cell -> count of an Arrow column."""
    encoded = column.combine_chunks().dictionary_encode()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    return dict(zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True))


def _single_column_table(name: str, cells: Iterable[Any], schema: Any) -> Table:
    """Return an Arrow table with one column of these cells."""
    pa = arrow()
    return pa.table({name: pa.array(list(cells), schema.field(name).type)})


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


def _other_pieces(part: str, source: Any) -> Any:
    """Return the pieces of the table of another split."""
    if of_pandas(source, "DataFrame"):
        return _FramePieces(source, part)
    if not is_table(source):
        raise KzooError(
            "is not a table. Pass a DataFrame or the path of a table file.",
            argument=part,
            value=source,
        )
    pieces = pieces_of(source)
    return _FramePieces(as_frame(source), part) if pieces is None else pieces


class _FramePieces:
    """A DataFrame with the data of another split, read in pieces."""

    files = ()
    decimal = None
    notes = ()

    def __init__(self, frame: "DataFrame", part: str) -> None:
        self.table = frame
        self.names = [str(column).strip() for column in frame.columns]
        self.name = part

    def __iter__(self) -> Iterator[Piece]:
        for start in range(0, len(self.table), _FRAME_PIECE_ROWS):
            rows = self.table.iloc[start : start + _FRAME_PIECE_ROWS].set_axis(self.names, axis=1)
            yield Piece(
                normalize_table(arrow().Table.from_pandas(rows, preserve_index=False), self.name)
            )

    def frame(self, table: Table, text_columns: Collection[str] = ()) -> "DataFrame":
        """Return a piece as a DataFrame."""
        return table.to_pandas()
