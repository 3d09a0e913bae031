"""One partition: its rows are read in batches, and their predictions written as one file of the same name.

The file appears when it is complete, followed by its entry in the journal. Imports no Keras, TensorFlow or pandas.
"""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from kzoo.cloud.storage import FolderStorage, Storage, StoredObject
from kzoo.inference.encode import Encoded
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.inference.tables.arrow import Array, Piece, Table, TablePieces, arrow
from kzoo.inference.tables.files import pieces_of
from kzoo.inference.tables.partitions import partitions_of
from kzoo.inference.tables.raw import Rows, require
from kzoo.runtime.model import Model
from kzoo.scoring.csv_lines import csv_lines, formulas_in, without_formulas
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.version import __version__

PARQUET = (".parquet", ".pq")
CSV = (".csv", ".tsv")
JOURNAL = "_kzoo"  # folder of the journal, below the predictions
_BATCH = 8192  # rows that the network gets at once
_GROUP = 1 << 17  # rows of a row group of Parquet
_BLOCK = 1 << 22  # bytes that are copied at once
_BOM = b"\xef\xbb\xbf"  # by which spreadsheets recognize UTF-8


@dataclass(frozen=True, kw_only=True)
class ScoringJob:
    """What is the same for all partitions. It can be pickled.

    Args:
        source, out: of the partitions, and of their predictions.
        keep: names of columns that the predictions carry.
        options: sets, intervals and abstention.
        spreadsheet_safe: see `Predictions.write_csv`.
        identity: of model and options, as the journal has it.
        version: of kzoo.
    """

    source: Storage
    out: Storage
    keep: tuple[str, ...] = ()
    options: PredictionOptions = field(default_factory=PredictionOptions)
    spreadsheet_safe: bool = False
    identity: str = ""
    version: str = __version__


@dataclass(kw_only=True)
class Outcome:
    """What became of a partition.

    Args:
        name: of the partition.
        rows: number of its rows.
        error: why it has no predictions; "" if it has.
        unread, missing: column -> number of unreadable and of missing cells.
        cells: column -> the first unreadable ones: (row, value).
        notes: on the cells.
        formulas: number of texts that a spreadsheet would run.
    """

    name: str
    rows: int = 0
    error: str = ""
    unread: dict[str, int] = field(default_factory=dict)
    missing: dict[str, int] = field(default_factory=dict)
    cells: dict[str, list[tuple[int, Any]]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    formulas: int = 0


def score(
    model: Model,
    job: ScoringJob,
    partition: StoredObject,
    report: Callable[[int], object] = lambda rows: None,
) -> Outcome:
    """Write the predictions for a partition, and its entry in the journal.

    Args:
        model: the exported model.
        job: what to write.
        partition: its name, size and version.
        report: called with the number of rows that are done since the last call.
    """
    outcome = Outcome(name=partition.name)
    try:
        with (
            _read_locally(job.source, partition) as path,
            _written_whole(job.out, partition.name) as target,
        ):
            _write(model, job, partition.name, path, target, outcome, report)
        written = job.out.stat(partition.name)
        entry = dict(
            input=partition.version,
            output=None if written is None else written.version,
            identity=job.identity,
            rows=outcome.rows,
        )
        job.out.put_bytes(entry_name(partition.name), json.dumps(entry).encode())
    except KzooError as error:
        outcome.error = str(error)
    except (OSError, MemoryError) as error:
        outcome.error = f"{type(error).__name__}: {first_line(error)}"
    except Exception as error:
        if not isinstance(error, arrow().ArrowException):
            raise
        outcome.error = f"{type(error).__name__}: {first_line(error)}"
    return outcome


def entry_name(partition: str) -> str:
    """Return the name of a partition's entry in the journal."""
    return f"{JOURNAL}/partitions/{partition}.json"


@contextmanager
def _read_locally(storage: Storage, partition: StoredObject) -> Iterator[Path]:
    """Yield the path of a partition: of a folder itself, otherwise of a temporary copy.

    Raises:
        KzooError: it cannot be read, or was changed, also while it was read.
    """
    with storage.open(partition.name, partition.version) as stream:
        if isinstance(storage, FolderStorage):
            yield storage.folder / partition.name
        else:
            with tempfile.TemporaryDirectory(prefix="kzoo-") as folder:
                path = Path(folder, PurePosixPath(partition.name).name)
                with open(path, "wb") as file:
                    while block := stream.read(_BLOCK):
                        file.write(block)
                yield path
    with storage.open(partition.name, partition.version):
        pass  # the version is still the same


@contextmanager
def _written_whole(storage: Storage, name: str) -> Iterator[Path]:
    """Yield a temporary path, whose file becomes an object if the block does not raise."""
    suffix = PurePosixPath(name).suffix
    if isinstance(storage, FolderStorage):
        folder = storage.folder / JOURNAL / "temporary"
        folder.mkdir(parents=True, exist_ok=True)
    else:
        folder = Path(tempfile.gettempdir())
    handle, temporary = tempfile.mkstemp(suffix, f"kzoo-{os.getpid()}-", folder)
    os.close(handle)
    try:
        yield Path(temporary)
        if isinstance(storage, FolderStorage):
            target = storage.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            with open(temporary, "rb+") as file:
                os.fsync(file.fileno())
            os.chmod(temporary, 0o644)
            os.replace(temporary, target)
        else:
            storage.put(name, temporary)
    finally:
        with suppress(OSError):
            os.unlink(temporary)


def _write(
    model: Model,
    job: ScoringJob,
    name: str,
    path: Path,
    target: Path,
    outcome: Outcome,
    report: Callable[[int], object],
) -> None:
    is_parquet = path.suffix.lower() in PARQUET
    pieces = pieces_of(path)
    assert pieces is not None  # both types of files are read in pieces
    folders = partitions_of([Path(name)], Path(), name)
    if folders.names:
        folders.check(pieces.names, path.name, name)
        pieces = _WithColumns(pieces, dict(folders.as_written(0)))
    require(Rows(dict.fromkeys(pieces.names, ())), list(job.keep), f"{name!r}")
    encoder = model.piece_encoder(pieces, job.keep)
    writer: Any = _ParquetWriter(target) if is_parquet else _CsvWriter(target, job, path.suffix)
    with writer:
        writer.start(predicted(model, job, example(model), 0), job.keep)
        for piece in pieces:
            x = encoder.encode(piece)
            writer.write(predicted(model, job, x, outcome.rows), piece.table.select(job.keep))
            outcome.rows += len(x)
            report(len(x))
        if not outcome.rows:
            writer.write_empty(pieces, job.keep)
        encoder.finish()
    outcome.formulas = writer.formulas
    outcome.unread, outcome.missing = dict(encoder.unread), dict(encoder.missing)
    outcome.cells, outcome.notes = encoder.cells, encoder.notes


def predicted(model: Model, job: ScoringJob, x: np.ndarray, first: int) -> Predictions:
    """Return the predictions for encoded rows.

    Args:
        model: the exported model.
        job: has the options.
        x: (N, F) the rows.
        first: number of the first of them.
    """
    encoded = Encoded(x=x, names=range(first, first + len(x)), unread={}, raw=x)  # type: ignore[arg-type]  # a tuple of a billion numbers
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        row = int(np.argwhere(~np.isfinite(x))[0][0])
        raise KzooError(
            f"Input {first + row + 1} contains NaN or infinity. Fill in these values, or leave the input out."
        )
    return model.predictions(encoded, model.check(model.run(x, _BATCH)), job.options)


def example(model: Model) -> np.ndarray:
    """Return an encoded row, whose predictions have the columns and the promise of all predictions."""
    return np.zeros((1, *model.shape), np.float32)


class _WithColumns:
    """Pieces of a table with the columns in the names of its folders, each with the same text in all rows."""

    def __init__(self, pieces: TablePieces, texts: Mapping[str, str | None]) -> None:
        self._pieces, self._texts = pieces, texts
        self.names = [*pieces.names, *texts]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pieces, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "kept":
            setattr(self._pieces, name, value)
        else:
            super().__setattr__(name, value)

    def __iter__(self) -> Iterator[Piece]:
        pa = arrow()
        for piece in self._pieces:
            table = piece.table
            for name, text in self._texts.items():
                column = pa.repeat(pa.scalar(text, pa.string()), table.num_rows)
                table = table.append_column(name, column)
            yield Piece(table, piece.decimal)


def prediction_table(predictions: Predictions, kept: Table | None) -> dict[str, Array]:
    """Return the columns of predictions as Arrow arrays, with those that are kept, in the order of `columns()`.

    Args:
        predictions: of a batch.
        kept: the kept columns of the batch; None without any.
    """
    pa = arrow()
    names = [] if kept is None else kept.schema.names
    columns = replace(predictions, kept=dict.fromkeys(names, ())).columns()
    used = iter(names)
    arrays = {}
    for name, column in columns.items():
        if len(column) or not len(predictions):
            arrays[name] = column if isinstance(column, np.ndarray) else pa.array(column)
        elif kept is not None:
            arrays[name] = kept.column(next(used)).combine_chunks()
    return {
        name: pa.array(column) if isinstance(column, np.ndarray) else column
        for name, column in arrays.items()
    }


class _ParquetWriter:
    """Writes predictions as Parquet; sets and several labels are lists of texts."""

    formulas = 0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: Any = None
        self._waiting: list[Table] = []
        self._rows = 0

    def __enter__(self) -> "_ParquetWriter":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush()
        if self._writer is not None:
            self._writer.close()

    def start(self, example: Predictions, keep: Sequence[str]) -> None:
        """Take the types of the columns from an example."""
        pa = arrow()
        table = pa.table(prediction_table(example, None))
        self._types = {
            field.name: pa.list_(pa.string()) if pa.types.is_list(field.type) else field.type
            for field in table.schema
        }

    def write(self, predictions: Predictions, kept: Table) -> None:
        """Write a batch, once there are enough rows for a row group."""
        pa = arrow()
        columns = prediction_table(predictions, kept if kept.num_columns else None)
        for name, type in self._types.items():
            if columns[name].type != type:
                columns[name] = columns[name].cast(type)
        self._waiting.append(pa.table(columns))
        self._rows += len(predictions)
        if self._rows >= _GROUP:
            self._flush()

    def write_empty(self, pieces: TablePieces, keep: Sequence[str]) -> None:
        """Write a table without rows."""
        pa = arrow()
        fields = [pa.field(name, type) for name, type in self._types.items()]
        types = getattr(pieces, "_types", None)
        kept = [
            pa.field(name, pa.null() if types is None else types.field(name).type) for name in keep
        ]
        self._waiting.append(pa.schema([*fields[:1], *kept, *fields[1:]]).empty_table())
        self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = arrow().concat_tables(self._waiting)
        if self._writer is None:
            self._writer = arrow("pyarrow.parquet").ParquetWriter(self._path, table.schema)
        self._writer.write_table(table, row_group_size=_GROUP)
        self._waiting, self._rows = [], 0


class _CsvWriter:
    """Writes predictions as `Predictions.write_csv` does."""

    def __init__(self, path: Path, job: ScoringJob, suffix: str) -> None:
        self._file = open(path, "wb")  # noqa: SIM115  closed by `__exit__`
        self._safe = job.spreadsheet_safe
        self._separator = "\t" if suffix.lower() == ".tsv" else ","
        self._has_header = False
        self.formulas = 0

    def __enter__(self) -> "_CsvWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def start(self, example: Predictions, keep: Sequence[str]) -> None:
        """Remember the columns, for a table without rows."""
        self._example = example

    def write(self, predictions: Predictions, kept: Table) -> None:
        """Write a batch."""
        columns = prediction_table(predictions, kept if kept.num_columns else None)
        texts = {"labels": predictions.separator, "set": "{}"}
        pa = arrow()
        cells = {}
        for name, column in columns.items():
            if pa.types.is_list(column.type) or pa.types.is_null(column.type):
                column = _joined(column, texts.get(name, ";"))
            if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
                if self._safe:
                    column = without_formulas(column)
                else:
                    self.formulas += formulas_in(column)
            cells[name] = column
        self._write_header(list(cells))
        csv_lines(self._file, list(cells.values()), self._separator)

    def write_empty(self, pieces: TablePieces, keep: Sequence[str]) -> None:
        """Write the header alone."""
        names = replace(self._example, kept=dict.fromkeys(keep, ())).columns()
        self._write_header(list(names))

    def _write_header(self, names: Sequence[str]) -> None:
        if self._has_header:
            return
        self._has_header = True
        pa = arrow()
        header = [pa.array([name], pa.string()) for name in names]
        if self._safe:
            header = [without_formulas(name) for name in header]
        self._file.write(_BOM)
        csv_lines(self._file, header, self._separator)


def _joined(column: Array, between: str) -> Array:
    """Return lists of texts as texts, as CSV files have them: `a;b` for labels, `{a; b}` for sets."""
    pa = arrow()
    compute = arrow("pyarrow.compute")
    texts = column.cast(pa.list_(pa.string()))
    if between != "{}":
        return compute.binary_join(texts, between)
    inner = compute.binary_join(texts, "; ")
    return compute.binary_join_element_wise("{", inner, "}", "")
