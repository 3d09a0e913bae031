"""Pools that score partitions: processes of this machine, or the workers of a Dask cluster.

A partition whose worker dies is scored by another one. `score_all` yields the outcomes as they come.
"""

import os
import pickle
import queue
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from kzoo.cloud.storage import StoredObject
from kzoo.inference.exported import MANIFEST, ExportedModel
from kzoo.runtime.model import Model
from kzoo.scoring.partition import Outcome, ScoringJob
from kzoo.scoring.worker import score_remotely, version_and_packages
from kzoo.utils import child_process
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line, listed
from kzoo.utils.version import __version__

_DEATHS = 6  # of workers, after which a partition fails
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_PATIENCE = 10  # seconds to wait for the first worker of a cluster
Report = Callable[[int], object]


class LocalPool:
    """Processes of this machine, each with one thread.

    Args:
        model: a model that `kzoo.runtime.load` opened.
        job: what to write.
        workers: number of processes.
    """

    def __init__(self, model: Model, job: ScoringJob, workers: int) -> None:
        self._start = pickle.dumps((job, model))
        self.workers = workers
        self._processes: set[subprocess.Popen[bytes]] = set()
        self._is_closed = False

    def score_all(self, partitions: Sequence[StoredObject], report: Report) -> Iterator[Outcome]:
        """Yield the outcome of each partition, in the order in which they are done.

        Args:
            partitions: to score.
            report: called with the numbers of rows that are done; negative ones of a worker that died.
        """
        waiting: queue.SimpleQueue[StoredObject] = queue.SimpleQueue()
        for partition in partitions:
            waiting.put(partition)
        done: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()
        threads = [
            threading.Thread(target=self._serve, args=(waiting, done, report), daemon=True)
            for _ in range(min(self.workers, len(partitions)))
        ]
        for thread in threads:
            thread.start()
        for _ in partitions:
            outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            yield outcome
        for thread in threads:
            thread.join()

    def close(self) -> None:
        """End all processes."""
        self._is_closed = True
        for process in list(self._processes):
            process.kill()

    def _serve(
        self,
        waiting: "queue.SimpleQueue[StoredObject]",
        done: "queue.SimpleQueue[Outcome | BaseException]",
        report: Report,
    ) -> None:
        """Score partitions with one process at a time, until none is left."""
        process = None
        log = tempfile.TemporaryFile()  # noqa: SIM115  closed at the end
        try:
            while not self._is_closed:
                try:
                    partition = waiting.get_nowait()
                except queue.Empty:
                    return
                for death in range(_DEATHS):
                    if process is None:
                        process = self._new_process(log)
                    rows = 0

                    def count(more: int) -> None:
                        nonlocal rows
                        rows += more
                        report(more)

                    outcome = _ask(process, partition, count)
                    if outcome is not None:
                        done.put(outcome)
                        break
                    report(-rows)
                    code = self._end(process)
                    process = None
                    if self._is_closed:
                        return
                    if death == _DEATHS - 1:
                        done.put(Outcome(name=partition.name, error=_cause(code, log)))
        except BaseException as error:
            done.put(error)
        finally:
            if process is not None:
                self._end(process)
            log.close()

    def _new_process(self, log: Any) -> "subprocess.Popen[bytes]":
        environment = os.environ | dict.fromkeys(_THREADS, "1")
        process = child_process.start("kzoo.scoring.worker", stderr=log, environment=environment)
        self._processes.add(process)
        with suppress(OSError):  # it has died: reading its reply tells
            _stdin(process).write(self._start)
            _stdin(process).flush()
        return process

    def _end(self, process: "subprocess.Popen[bytes]") -> int:
        with suppress(OSError):
            _stdin(process).close()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        code = process.wait()
        if process.stdout is not None:
            process.stdout.close()
        self._processes.discard(process)
        return code


def _stdin(process: "subprocess.Popen[bytes]") -> Any:
    return process.stdin


def _ask(
    process: "subprocess.Popen[bytes]", partition: StoredObject, report: Report
) -> Outcome | None:
    """Return the outcome of a partition; None if the process died.

    Raises:
        KzooError: the process refuses the model.
    """
    try:
        pickle.dump(partition, _stdin(process))
        _stdin(process).flush()
    except OSError:
        pass  # a process that refuses the model says so before it ends
    while True:
        try:
            kind, value = pickle.load(process.stdout)  # type: ignore[arg-type]  # a pipe
        except (EOFError, OSError, pickle.UnpicklingError):
            return None
        if kind == "refused":
            raise KzooError(value)
        if kind == "done":
            return value
        report(value)


def _cause(code: int, log: Any) -> str:
    log.seek(0)
    lines = log.read().decode("utf-8", "replace").strip().splitlines()
    tail = f": {lines[-1][:300]}" if lines else ""
    why = "most likely because memory ran out" if code == -9 else f"with code {code}"
    return f"it ended {_DEATHS} workers, {why}{tail}"


class DaskPool:
    """The workers of a Dask cluster. A partition whose worker dies is scored by another one.

    Args:
        client: of Dask.
        model: the exported model, whose files are sent to each worker once.
        folder: of the export.
        job: what to write.
        address: of the scheduler, for messages.

    Raises:
        KzooError: there are no workers, or they have another version of kzoo.
    """

    def __init__(
        self, client: Any, model: Model, folder: Path, job: ScoringJob, address: str
    ) -> None:
        self._client, self._job = client, job
        self._format = model.format
        self._key = f"{model.checksum}-{model.format}"
        self._folder = folder
        entry = ExportedModel(folder).manifest.exports[model.format]
        self._names = [MANIFEST, str(entry.file)]
        self._futures: set[Any] = set()
        self._check_workers(address)
        self.workers = max(1, sum(client.nthreads().values()))

    def _check_workers(self, address: str) -> None:
        try:
            self._client.wait_for_workers(1, timeout=_PATIENCE)
        except TimeoutError:
            raise KzooError(
                f"--scheduler {address} has no workers. Start one for each core: dask worker {address} --nthreads 1"
            ) from None
        for worker, answer in self._client.run(version_and_packages, on_error="return").items():
            if isinstance(answer, BaseException):
                raise KzooError(
                    f"--scheduler {address}: the worker {worker} cannot import kzoo ({first_line(answer)}). Install "
                    f"kzoo {__version__} there."
                )
            version, missing = answer
            if version != __version__:
                raise KzooError(
                    f"--scheduler {address}: the worker {worker} has kzoo {version}, and this is kzoo {__version__}. "
                    "Install the same version on all machines."
                )
            if missing:
                raise KzooError(
                    f"--scheduler {address}: the worker {worker} lacks {listed(missing)}. Run there: "
                    f"pip install {' '.join(missing)}"
                )

    def score_all(self, partitions: Sequence[StoredObject], report: Report) -> Iterator[Outcome]:
        """Yield the outcomes; see `LocalPool.score_all`."""
        distributed = import_module("distributed")
        # Few partitions wait at a time, so that a graph of millions is never sent.
        waiting = iter(partitions)
        partition_of: dict[Any, StoredObject] = {}
        killed: set[str] = set()  # partitions that have ended as many workers as Dask allows
        done = distributed.as_completed(loop=self._client.loop)

        def submit(partition: StoredObject, files: Any = None) -> None:
            future = self._client.submit(
                score_remotely,
                self._key,
                files,
                self._format,
                self._job,
                partition,
                pure=False,
                retries=0,
            )
            partition_of[future] = partition
            self._futures.add(future)
            done.add(future)

        slots = 2 * self.workers
        for _, partition in zip(range(slots), waiting, strict=False):
            submit(partition)
        left = len(partitions)
        while left:
            future = next(done)
            partition = partition_of.pop(future)
            self._futures.discard(future)
            try:
                outcome = future.result()
            except Exception as error:
                is_first = partition.name not in killed
                if isinstance(error, distributed.KilledWorker) and is_first:
                    killed.add(partition.name)
                    submit(partition)
                    continue
                # of Dask, or of a worker that cannot unpickle the job
                line = f"{type(error).__name__}: {first_line(error)}"
                outcome = Outcome(name=partition.name, error=line)
            if outcome is None:
                submit(partition, self._files())
                continue
            left -= 1
            report(outcome.rows)
            if (following := next(waiting, None)) is not None:
                submit(following)
            yield outcome

    def _files(self) -> dict[str, bytes]:
        return {name: (self._folder / name).read_bytes() for name in self._names}

    def close(self) -> None:
        """Cancel what is not done."""
        with suppress(Exception):
            self._client.cancel(list(self._futures))
