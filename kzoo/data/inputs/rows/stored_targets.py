"""Targets and row weights of a table larger than memory, which are encoded piece by piece (see `encoding.py`)."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from kzoo.data.inputs.rows.collect import ColumnMoments
from kzoo.data.inputs.rows.columns import number_format_of, stored_number_format
from kzoo.data.inputs.rows.row_columns import invalid_weight
from kzoo.data.inputs.rows.table import TableFit
from kzoo.data.splits import absent_labels_note, in_data_of, target_notes
from kzoo.data.targets.weights import weights_line
from kzoo.inference.tables.arrow import Array, Piece, Table, arrow
from kzoo.inference.tables.label_cells import flags
from kzoo.inference.tables.values import Column, not_missing, plain
from kzoo.problems.tasks import Target
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import shown

if TYPE_CHECKING:
    from pandas import DataFrame

# a function of rows of an Arrow table, which returns them as the reader of the table reads them in memory
FrameOf: TypeAlias = "Callable[[Table], DataFrame]"


class StoredValues:
    """Targets that are values.

    Args:
        fit: the table, whose task is known.

    Attributes:
        width: number of stored columns.
        classes, code_of: names of the classes, and cell -> number of its class; empty for other targets.
        dtype, single: type of the stored targets, and whether they are an array (N,).
        facts: for the checks, see `Dataset.seen`.
    """

    dtype = "float32"
    single = False

    def __init__(self, fit: TableFit) -> None:
        self.task = fit.problem.task
        self.names = fit.targets
        self.width = len(fit.targets)
        self.classes: Sequence[str] = ()
        self.code_of: dict[Any, int] = {}
        self.facts: dict[str, Any] = {}
        self._formats = fit.number_formats
        self._moments = ColumnMoments()
        self._counts: dict[str, np.ndarray] = {}  # split -> rows of each class, or with each label

    def encode(
        self, piece: Piece, indices: np.ndarray, frame_of: FrameOf, part: str | None
    ) -> np.ndarray:
        """Return the targets of rows as they are stored, float32 (N, width).

        Args:
            piece: the rows.
            indices: (N,) their indices in the table.
            frame_of: of the reader of the table.
            part: the split, if the table is one of its own.

        Raises:
            KzooError: a cell does not suit the task.
        """
        values = np.stack(
            [piece.numbers(name, self._formats.get(name)) for name in self.names], axis=1
        )
        if (bad := np.flatnonzero(np.isnan(values).any(axis=1))).size:
            cells = [piece[name][bad[0]] for name in self.names]
            raise KzooError(
                f"A regression target must be a number; row {indices[bad[0]] + 1} contains {cells!r}."
            )
        # refuses numbers that do not suit the task, such as -1
        self.task.inference.encode(None, values)
        return values.astype(np.float32, copy=False)

    def count(self, split: str, y: np.ndarray, weight: np.ndarray | None) -> None:
        """Count stored targets (B, width) of a split, with weights (B,) or None."""
        if split == "train":
            self._moments.add(y, weight)

    def end_split(self, split: str, rows: int) -> list[str]:
        """Return notes on the targets of a split, after its last rows.

        Raises:
            KzooError: a class has no training rows.
        """
        return []

    def learned(self, y: np.ndarray) -> tuple[Target, list[str]]:
        """Return what is learned of the targets, and notes on it. `y` are stored training rows (N, width)."""
        known = self._moments.extent() if self._moments.count else None
        target = self.task.inference.learn(y, self.names, known=known)
        return target, target_notes(target, y)


class StoredLabels(StoredValues):
    """Targets that are columns of 0 and 1; NaN for a missing label."""

    _unknown = False  # whether a label is missing

    def encode(
        self, piece: Piece, indices: np.ndarray, frame_of: FrameOf, part: str | None
    ) -> np.ndarray:
        return np.stack([_flags(name, piece[name], indices) for name in self.names], axis=1)

    def count(self, split: str, y: np.ndarray, weight: np.ndarray | None) -> None:
        self._counts[split] = self._counts.get(split, 0) + (y == 1).sum(axis=0)
        self._unknown |= bool(np.isnan(y).any())

    def end_split(self, split: str, rows: int) -> list[str]:
        if not rows:
            return []
        of_label = {name: counts.tolist() for name, counts in self._counts.items()}
        self.facts = {"of_label": of_label, "unknown_labels": self._unknown}
        return absent_labels_note(split, self._counts[split], self.names)


class StoredClasses(StoredValues):
    """A target of classes; their numbers are stored as int32, in the bits of a float32 column.

    Args:
        fit: see `StoredValues`.
        counts: cell -> number of rows, of all cells of the target.
        cells: these cells as a DataFrame.
    """

    dtype = "int32"
    single = True

    def __init__(self, fit: TableFit, counts: Counter[Any], cells: "DataFrame") -> None:
        super().__init__(fit)
        self.width = 1
        # `learn` refuses classes with a single example: two of each stand for all of them.
        repeated = np.repeat(np.arange(len(cells)), [min(count, 2) for count in counts.values()])
        self.target = self.task.inference.learn(cells.iloc[repeated], self.names)
        self.classes = self.target.classes
        codes = self.task.inference.encode(self.target, cells).tolist()
        self.code_of = dict(zip(counts, codes, strict=True))

    def encode(
        self, piece: Piece, indices: np.ndarray, frame_of: FrameOf, part: str | None
    ) -> np.ndarray:
        name = self.names[0]
        encoded = piece.table.column(name).combine_chunks().dictionary_encode()
        cells = encoded.dictionary.to_pylist()
        # The table of another split may spell classes differently.
        if new_cells := [cell for cell in cells if cell not in self.code_of]:
            frame = frame_of(single_column_table(name, new_cells, piece.table.schema))
            with in_data_of(part):
                codes = self.task.inference.encode(self.target, frame[[name]])
            self.code_of |= dict(zip(new_cells, codes.tolist(), strict=True))
        codes = np.array([self.code_of[cell] for cell in cells], np.int32)
        return codes[encoded.indices.to_numpy()].view(np.float32)

    def count(self, split: str, y: np.ndarray, weight: np.ndarray | None) -> None:
        codes = y.view(np.int32)[:, 0]
        counts = np.bincount(codes, minlength=len(self.classes))
        self._counts[split] = self._counts.get(split, 0) + counts

    def end_split(self, split: str, rows: int) -> list[str]:
        counts = self._counts.get(split, np.zeros(len(self.classes), int)).tolist()
        if split == "train" and rows and 0 in counts:
            raise KzooError(
                f"Class number {counts.index(0)} has no training rows. Lower test= or validation=."
            )
        self.facts = {"of_class": self.facts.get("of_class", {}) | {split: counts}}
        return []

    def learned(self, y: np.ndarray) -> tuple[Target, list[str]]:
        return self.target, []


def _flags(name: str, cells: Column, indices: np.ndarray) -> np.ndarray:
    """Return a column of labels as 0, 1 and NaN (N,)."""
    column = flags(cells)
    if column is not None:
        return column
    for row, cell in enumerate(cells):
        if flags([cell]) is None and not_missing(plain([cell]))[0]:
            raise KzooError(
                f"Label column {name!r} must be 0 or 1, yes or no; row {indices[row] + 1} has {shown(cell)}. Use "
                "task='regression' if the targets are values."
            )
    return np.full(len(indices), np.nan)


def cell_counts(column: Array) -> dict[Any, int]:
    """Return cell -> count of an Arrow column."""
    encoded = column.combine_chunks().dictionary_encode()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    return dict(zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True))


def single_column_table(name: str, cells: Iterable[Any], schema: Any) -> Table:
    """Return an Arrow table with one column of these cells."""
    pa = arrow()
    return pa.table({name: pa.array(list(cells), schema.field(name).type)})


class StoredWeights:
    """The column of row weights, which is stored before the targets.

    Args:
        name: of the column.
        values: its cells in the sample.
        decimal: decimal sign of the file.

    Attributes:
        dropped: number of training rows of weight 0.
    """

    def __init__(self, name: str, values: Column, decimal: str | None) -> None:
        self.name = name
        self._format = stored_number_format(number_format_of(name, values), decimal)
        self._moments: dict[str, ColumnMoments] = {}
        self.dropped = 0

    def read(self, piece: Piece, indices: np.ndarray, part: str | None = None) -> np.ndarray:
        """Return the weights (N,) of rows as float32; NaN if the table of a split has none.

        Args:
            piece: the rows.
            indices: (N,) their indices in the table.
            part: the split, if the table is one of its own.

        Raises:
            KzooError: a weight that is missing, not a number, negative or infinite.
        """
        if part is not None and self.name not in piece:
            return np.full(len(indices), np.nan, np.float32)
        with np.errstate(over="ignore"):  # an overflow becomes infinity, which is refused next
            weight = piece.numbers(self.name, self._format).astype(np.float32)
        if (bad := np.flatnonzero(~((weight >= 0) & np.isfinite(weight)))).size:
            raise invalid_weight(
                self.name, int(indices[bad[0]]), piece[self.name][bad[0]], part=part
            )
        return weight

    def count(self, split: str, weight: np.ndarray) -> None:
        """Count stored weights (B,) of a split."""
        self._moments.setdefault(split, ColumnMoments()).add(weight[:, None])

    def finish(self, notes: list[str]) -> JsonObject:
        """Return `weights`: split -> whether its rows have weights, and `weight_scale`; and add the note on them.

        Raises:
            KzooError: all weights of a split are 0.
        """
        has_weights = {}
        for split, moments in self._moments.items():
            has_weights[split] = bool(np.isfinite(moments.mean[0]))
            if has_weights[split] and not moments.mean[0] > 0:
                raise KzooError(
                    f"The weight (sample_weight=) is 0 for all {split} rows. At least one must be positive."
                )
        moments = self._moments["train"]
        mean, low, high = (float(values[0]) for values in (moments.mean, moments.low, moments.high))
        effective = moments.count * mean**2 / (mean**2 + float(moments.squares[0]) / moments.count)
        source = f"column {self.name!r}"
        notes.append(
            weights_line(low / mean, high / mean, effective, moments.count, source, self.dropped)
        )
        return {"weights": has_weights, "weight_scale": 1 / mean}
