"""Scoring of all partitions below a folder or an address: what is to be done, the journal, progress and summary.

The journal lies beside the predictions, in `_kzoo/`: `job.json` has the model and the options, `partitions/` an entry
for each partition that is done. `_SUCCESS`, written last, is there when all of them are.
"""

import hashlib
import json
import os
import shutil
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from kzoo.cloud.storage import FolderStorage, Storage, StoredObject, storage_of
from kzoo.inference.exported import ExportedModel
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.tables.partitions import is_hidden
from kzoo.inference.tables.raw import check_distinct
from kzoo.runtime.model import Model, load
from kzoo.scoring.partition import (
    CSV,
    JOURNAL,
    PARQUET,
    ScoringJob,
    entry_name,
    example,
    predicted,
)
from kzoo.scoring.pools import DaskPool, LocalPool
from kzoo.utils.address import is_remote_address
from kzoo.utils.dask_cluster import client_at
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed, plural
from kzoo.utils.locks import locked
from kzoo.utils.optional import check_installed

SUMMARY = "_SUCCESS"
_DESCRIPTION = f"{JOURNAL}/job.json"
_ENTRIES = f"{JOURNAL}/partitions/"
_FORMAT = 1  # of the journal
_INTERVAL = 30.0  # seconds between lines of progress in a file
_MOST_FAILED = 20  # partitions that may fail before one succeeds
_MOST_ENTRY = 1 << 16  # bytes of an entry of the journal
_SETTLED = 1.0  # seconds after which the description is read again, as another command may have written its own
_CONNECTIONS = 8  # entries that are read at the same time
_SHOWN = 3  # partitions named in a message


@dataclass(kw_only=True)
class Scored:
    """What was scored.

    Args:
        partitions, rows: number of all partitions, and of their rows.
        done, done_rows: of them, those of this call.
        seconds: that this call took.
        workers: that scored.
        failed: name of a partition -> why it has no predictions.
        removed: number of predictions that were removed, since their partition is gone.
        notes: on cells that could not be read, or are missing.
        promise: of sets and intervals.
    """

    partitions: int
    rows: int = 0
    done: int = 0
    done_rows: int = 0
    seconds: float = 0.0
    workers: int = 0
    failed: dict[str, str] = field(default_factory=dict)
    removed: int = 0
    notes: list[str] = field(default_factory=list)
    promise: str = ""


def score_partitions(
    exported: str | os.PathLike[str],
    source: str,
    out: str,
    *,
    format: str | None = None,
    keep: Sequence[str] = (),
    options: PredictionOptions | None = None,
    spreadsheet_safe: bool = False,
    workers: int | None = None,
    scheduler: str | None = None,
) -> Scored:
    """Write the predictions for each partition of a table that has none yet.

    Args:
        exported: the exported model.
        source: folder or address of the partitions.
        out: folder or address of the predictions.
        format: of the model; see `kzoo.runtime.load`.
        keep: names of columns that the predictions carry.
        options: sets, intervals and abstention.
        spreadsheet_safe: see `Predictions.write_csv`.
        workers: number of processes of this machine; by default one for each core.
        scheduler: address of a Dask scheduler, whose workers score instead.

    Raises:
        KzooError: there are no partitions, or `out` has other predictions.
    """
    check_installed("pyarrow", extra="arrow")
    model = load(exported, format, threads=1)
    options = options or PredictionOptions()
    model.check_options(options)
    check_distinct(list(keep), "keep")
    if not model.reads_pieces:
        raise KzooError(
            f"--out {out} is a folder for partitions of a table, and {model.name} does not predict rows of a table "
            "one by one. Write to a .csv file."
        )
    from_storage, to_storage = _storages(source, out)
    partitions = partitions_of(from_storage)
    description = _description(model, from_storage, keep, options, spreadsheet_safe)
    job = ScoringJob(
        source=from_storage,
        out=to_storage,
        keep=tuple(keep),
        options=options,
        spreadsheet_safe=spreadsheet_safe,
        identity=hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest(),
    )
    with _only_command(to_storage):
        journal = _Journal(job, description, to_storage)
        rows_of = journal.rows_of(partitions)
        waiting = [each for each in partitions if each.name not in rows_of]
        promise = predicted(model, job, example(model), 0).promise
        scored = Scored(partitions=len(partitions), rows=sum(rows_of.values()), promise=promise)
        scored.removed = journal.remove_others(partitions)
        if waiting or scored.removed:
            to_storage.remove(SUMMARY)
        if waiting:
            with _pool(
                model, job, ExportedModel(exported).path, workers, scheduler, len(waiting)
            ) as pool:
                _score(pool, waiting, scored, model)
        if not scored.failed:
            summary = dict(
                model=description["model"], partitions=scored.partitions, rows=scored.rows
            )
            to_storage.put_bytes(SUMMARY, _json(summary))
    return scored


def _storages(source: str, out: str) -> tuple[Storage, Storage]:
    """Return the storages of partitions and predictions.

    Raises:
        KzooError: one is a file, or `out` lies in the source.
    """
    for name, word in (("source", source), ("--out", out)):
        if not is_remote_address(word) and Path(word).expanduser().is_file():
            raise KzooError(
                f"{name} {word!r} is a file. Name a folder, or write the predictions for a file to a .csv file."
            )
    from_storage, to_storage = storage_of(source), storage_of(out)
    if isinstance(from_storage, FolderStorage) and not from_storage.folder.is_dir():
        raise KzooError(f"{source!r} does not exist. Name a folder of .parquet or .csv files.")
    first, second = _parts(from_storage), _parts(to_storage)
    if first == second[: len(first)] or second == first[: len(second)]:
        relation = "is the folder of the data" if first == second else "and the data overlap"
        raise KzooError(f"--out {out!r} {relation} ({source!r}). Name another folder.")
    return _anywhere(from_storage), _anywhere(to_storage)


def _anywhere(storage: Storage) -> Storage:
    """Return a storage that is the same in all processes: of the whole path of a folder."""
    return (
        FolderStorage(storage.folder.absolute()) if isinstance(storage, FolderStorage) else storage
    )


def _parts(storage: Storage) -> tuple[str, ...]:
    if isinstance(storage, FolderStorage):
        return storage.folder.resolve().parts
    return PurePosixPath(str(storage).rstrip("/")).parts


def partitions_of(storage: Storage) -> list[StoredObject]:
    """Return the partitions below a folder or an address, in order of their names.

    Hidden files are none, such as `_SUCCESS`, nor are those in hidden folders.

    Raises:
        KzooError: there are none, or files of several types.
    """
    partitions = [each for each in storage.list() if _is_partition(each.name)]
    types = {PurePosixPath(each.name).suffix.lower() in PARQUET for each in partitions}
    if not partitions:
        raise KzooError(
            f"{str(storage)!r} contains no partitions: no {', '.join((*PARQUET, *CSV))} files. Name the folder with "
            "them."
        )
    if len(types) > 1:
        names = [next(e.name for e in partitions if _is_parquet(e) == parquet) for parquet in types]
        raise KzooError(
            f"{str(storage)!r} contains partitions of several types: {listed(names)}. Name a folder with one type."
        )
    return partitions


def _is_parquet(partition: StoredObject) -> bool:
    return PurePosixPath(partition.name).suffix.lower() in PARQUET


def _is_partition(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in PARQUET + CSV and not any(map(is_hidden, path.parts))


def _description(
    model: Model,
    source: Storage,
    keep: Sequence[str],
    options: PredictionOptions,
    spreadsheet_safe: bool,
) -> JsonObject:
    return dict(
        format=_FORMAT,
        model=dict(name=model.name, format=model.format, sha256=model.checksum),
        source=str(source).rstrip("/"),
        keep=list(keep),
        options=dict(options.given),
        spreadsheet_safe=spreadsheet_safe,
    )


def _json(document: object) -> bytes:
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


@contextmanager
def _only_command(storage: Storage) -> Iterator[None]:
    """Refuse a second command that writes to the same folder of this machine."""
    if not isinstance(storage, FolderStorage):
        yield
        return
    journal = storage.folder / JOURNAL
    try:
        journal.mkdir(parents=True, exist_ok=True)
        lock = locked(journal / "lock", wait=False)
        lock.__enter__()
    except (BlockingIOError, PermissionError) as error:
        if isinstance(error, BlockingIOError):
            raise KzooError(
                f"--out {str(storage)!r} is being written by another command. Wait for it, or name another folder."
            ) from None
        raise KzooError(f"--out {str(storage)!r} is not writable. Choose another folder.") from None
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise KzooError(
            f"--out {str(storage)!r} cannot be created: {why}. Choose another folder."
        ) from None
    try:
        shutil.rmtree(journal / "temporary", ignore_errors=True)  # of a killed worker
        yield
    finally:
        shutil.rmtree(journal / "temporary", ignore_errors=True)
        lock.__exit__(None, None, None)


class _Journal:
    """What the folder of the predictions says that is done.

    Args:
        job: to do.
        description: of model and options.
        storage: of the predictions.

    Raises:
        KzooError: it has predictions of another model, by other options, or other files.
    """

    def __init__(self, job: ScoringJob, description: JsonObject, storage: Storage) -> None:
        self._job, self._storage = job, storage
        self._objects = {each.name: each for each in storage.list()}
        has_entries = any(name.startswith(_ENTRIES) for name in self._objects)
        if _DESCRIPTION in self._objects and has_entries:
            self._check(description)
            return
        others = [name for name in self._objects if not name.startswith(f"{JOURNAL}/")]
        if others:
            raise KzooError(
                f"--out {str(storage)!r} has other files, such as {others[0]!r}. Name an empty or a new folder."
            )
        storage.put_bytes(_DESCRIPTION, _json(description))
        if not isinstance(storage, FolderStorage):  # which only one command writes to
            time.sleep(_SETTLED)
            self._check(description)

    def _check(self, description: JsonObject) -> None:
        with suppress(json.JSONDecodeError):
            before = json.loads(self._storage.read(_DESCRIPTION, 1 << 20))
            if before == description:
                return
            names = [name for name in description if before.get(name) != description[name]]
            shown = listed([name.replace("_", " ") for name in names])
            raise KzooError(
                f"--out {str(self._storage)!r} has predictions with another {shown}. Name another folder, or remove "
                "this one."
            )
        raise KzooError(
            f"{self._storage.address_of(_DESCRIPTION)} is damaged. Remove --out {str(self._storage)!r}."
        )

    def rows_of(self, partitions: Sequence[StoredObject]) -> dict[str, int]:
        """Return name -> rows of the partitions that are done: of this version, with predictions that are unchanged."""
        with ThreadPoolExecutor(_CONNECTIONS) as pool:
            entries = pool.map(self._entry, [each.name for each in partitions])
            return {
                each.name: entry["rows"]
                for each, entry in zip(partitions, entries, strict=True)
                if entry.get("input") == each.version
                and entry.get("identity") == self._job.identity
                and each.name in self._objects
                and entry.get("output") == self._objects[each.name].version
            }

    def _entry(self, partition: str) -> Mapping[str, Any]:
        name = entry_name(partition)
        if name not in self._objects:
            return {}
        with suppress(json.JSONDecodeError):
            entry = json.loads(self._storage.read(name, _MOST_ENTRY))
            return entry if isinstance(entry, dict) else {}
        return {}

    def remove_others(self, partitions: Sequence[StoredObject]) -> int:
        """Remove the predictions whose partition is gone, and return their number."""
        names = {each.name for each in partitions}
        done = [
            name.removeprefix(_ENTRIES).removesuffix(".json")
            for name in self._objects
            if name.startswith(_ENTRIES)
        ]
        gone = [name for name in done if name not in names]
        for name in gone:
            self._storage.remove(name)
            self._storage.remove(entry_name(name))
        return len(gone)


@contextmanager
def _pool(
    model: Model,
    job: ScoringJob,
    folder: Path,
    workers: int | None,
    scheduler: str | None,
    partitions: int,
) -> Iterator[LocalPool | DaskPool]:
    if scheduler is not None:
        with client_at(scheduler) as client:
            dask_pool = DaskPool(client, model, folder, job, scheduler)
            try:
                yield dask_pool
            finally:
                dask_pool.close()
        return
    pool = LocalPool(model, job, min(workers or usable_cores(), partitions))
    try:
        yield pool
    finally:
        pool.close()


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    usable = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() or 1 if usable is None else len(usable(0))


def _score(
    pool: LocalPool | DaskPool, waiting: Sequence[StoredObject], scored: Scored, model: Model
) -> None:
    progress = _Progress(len(waiting), scored.partitions - len(waiting))
    unread: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    cells: dict[str, list[tuple[int, Any]]] = {}
    notes: Counter[str] = Counter()
    formulas = 0
    try:
        for outcome in pool.score_all(waiting, progress):
            progress.finished()
            if outcome.error:
                scored.failed[outcome.name] = outcome.error
                if len(scored.failed) >= _MOST_FAILED and not scored.done:
                    break
                continue
            scored.done += 1
            scored.done_rows += outcome.rows
            unread.update(outcome.unread)
            missing.update(outcome.missing)
            notes.update(outcome.notes)
            formulas += outcome.formulas
            for name, examples in outcome.cells.items():
                cells.setdefault(name, examples)
    finally:
        progress.close()
    scored.rows += scored.done_rows
    scored.seconds = progress.seconds
    scored.workers = pool.workers
    scored.notes = [
        note if count == 1 else f"{note} ({plural(count, 'partition')})"
        for note, count in notes.items()
    ] + model.notes_of(scored.done_rows, unread, missing, cells)
    if formulas:
        scored.notes.append(
            f"{plural(formulas, 'cell')} would be run as formulas by a spreadsheet. --spreadsheet-safe puts an "
            "apostrophe in front of them."
        )


class _Progress:
    """Shows rows a second and partitions: a line that changes on a terminal, otherwise a line every 30 seconds.

    Args:
        total: number of partitions to score.
        before: number of those that are done already.
    """

    def __init__(self, total: int, before: int) -> None:
        self._total, self._before = total, before
        self._rows = self._done = 0
        self._lock = threading.Lock()
        self._start = time.monotonic()
        self._is_terminal = sys.stderr.isatty()
        self._next = self._start + (1 if self._is_terminal else _INTERVAL)
        self._is_shown = False

    def __call__(self, rows: int) -> None:
        """Add rows."""
        with self._lock:
            self._rows += rows
            self._show()

    def finished(self) -> None:
        """Add a partition."""
        with self._lock:
            self._done += 1
            self._show()

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return time.monotonic() - self._start

    def _show(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + (0.2 if self._is_terminal else _INTERVAL)
        speed = self._rows / max(self.seconds, 1e-9)
        done = f"{self._done + self._before:,} of {self._total + self._before:,} partitions"
        text = f"{done}, {self._rows:,} rows, {speed:,.0f} rows/s"
        if self._is_terminal:
            self._is_shown = True
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Remove the line from the terminal."""
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
