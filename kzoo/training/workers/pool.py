"""Worker pools: one process, several on this machine, or those of an executor. They train trials or folds.

`submit` returns a `concurrent.futures.Future` of the outcome, which raises `TrialFailed` on failure. What a search
proposes depends on `slots`, the number of concurrent trials, and on nothing else here.
"""

import atexit
import hashlib
import os
import pickle
import queue
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from kzoo.training.workers.worker import InProcess, TrialFailed, Worker, WorkerSpec
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.version import __version__

if TYPE_CHECKING:
    from kzoo.training.resume import Signals


_SEARCH_FILES = ("trial.json",)  # files in a trial's folder that the search writes itself


class Progress(Protocol):
    """What shows how trials go on."""

    def draw(self) -> None: ...

    def epoch(self, number: int, epoch: int, value: float) -> None: ...


class NullProgress:
    """A `Progress` that shows nothing."""

    def draw(self) -> None:
        """Show nothing."""

    def epoch(self, number: int, epoch: int, value: float) -> None:
        """Show nothing."""


class SingleWorker:
    """A pool of one worker: a trial is trained before `submit` returns.

    Args:
        worker: the `Worker`.
        progress: the `Progress`.
    """

    slots = 1

    def __init__(self, worker: Worker | InProcess, progress: Progress) -> None:
        self.worker, self.progress = worker, progress

    def submit(
        self, number: int, *, signals: "Signals | None", deadline: float | None, **arguments: Any
    ) -> Future[Any]:
        """Train a trial; see `LocalWorkers.submit`."""
        return _completed_future(
            lambda: self.worker.call(
                "train",
                signals=signals,
                deadline=deadline,
                tick=self.progress.draw,
                on_epoch=partial(self.progress.epoch, number),
                **arguments,
            )
        )

    def cancel(self) -> None:
        """Do nothing: no trial is pending."""


class LocalWorkers:
    """A pool of processes on this machine.

    Args:
        workers: a `Worker` for each concurrent trial.
        progress: the `Progress`.
    """

    def __init__(self, workers: Sequence[Worker], progress: Progress) -> None:
        self.progress = progress
        self.slots = len(workers)
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self.workers = workers
        self.threads = ThreadPoolExecutor(len(workers))
        for worker in workers:
            self.idle.put(worker)

    def submit(
        self, number: int, *, signals: "Signals | None", deadline: float | None, **arguments: Any
    ) -> Future[Any]:
        """Train a trial and return the future of its outcome.

        Args:
            number: of the trial.
            signals, deadline: end the training; see `Worker.call`.
            arguments: of `Trainer.train`.
        """

        def train() -> object:
            worker = self.idle.get()
            try:
                return worker.call(
                    "train",
                    signals=signals,
                    deadline=deadline,
                    on_epoch=partial(self.progress.epoch, number),
                    **arguments,
                )
            finally:
                self.idle.put(worker)

        return self.threads.submit(train)

    def close(self) -> None:
        """End all processes."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.close()
        self.threads.shutdown()

    def cancel(self) -> None:
        """Do nothing: a training that is signalled ends by itself."""


class ExecutorWorkers:
    """A pool of the processes of a `concurrent.futures.Executor`; they need no shared folder.

    Args:
        executor: such as Dask's, a `ProcessPoolExecutor`, or a custom one.
        slots: number of concurrent trials.
        spec: the `WorkerSpec`, which is sent to each process once.
    """

    def __init__(self, executor: Executor, slots: int, spec: WorkerSpec) -> None:
        self.executor, self.slots = executor, slots
        self.spec = pickle.dumps(spec)
        self.key = hashlib.sha256(self.spec).hexdigest()
        self.under_way: dict[Future[Any], Future[Any]] = {}

    def submit(
        self,
        number: int,
        *,
        signals: "Signals | None",
        deadline: float | None,
        folder: str | os.PathLike[str],
        parent: str | os.PathLike[str] | None = None,
        **arguments: Any,
    ) -> Future[Any]:
        """Train a trial; see `LocalWorkers.submit`. The files of its folder are sent there and back."""
        job = TrainingJob(
            version=__version__,
            files=_read_files(folder),
            parent=None if parent is None else _read_files(parent),
            seconds=None if deadline is None else deadline - time.time(),
            arguments=arguments,
        )
        future: Future[Any] = Future()
        self._submit(future, Path(folder), job, None)
        return future

    def cancel(self) -> None:
        """Stop waiting for running trials: they cannot be signalled, and will be trained again."""
        for future, remote in list(self.under_way.items()):
            remote.cancel()
            _resolve(future, TrialFailed("it was cancelled"))

    def _submit(
        self, future: Future[Any], folder: Path, job: "TrainingJob", spec: bytes | None
    ) -> None:
        try:
            remote = self.executor.submit(train_in_child, self.key, spec, job)
        except RuntimeError as error:  # the executor is broken, or shut down
            return _resolve(future, _broken_executor(error))
        self.under_way[future] = remote
        remote.add_done_callback(lambda remote: self._on_done(future, folder, job, remote))

    def _on_done(
        self, future: Future[Any], folder: Path, job: "TrainingJob", remote: Future[Any]
    ) -> None:
        self.under_way.pop(future, None)
        if future.done():
            return
        try:
            reply = remote.result()
            if reply is None:  # that process does not have the worker spec yet
                return self._submit(future, folder, job, self.spec)
            outcome, files = pickle.loads(reply)
            _write_files(folder, files)
            _resolve(future, outcome)
        except (CancelledError, BrokenProcessPool) as error:
            _resolve(future, _broken_executor(error))
        except (
            Exception
        ) as error:  # of the executor, such as Dask's after this trial has killed four workers
            _resolve(future, TrialFailed(f"{type(error).__name__}: {first_line(error)}"))


def checked_threads(parallel: int, threads: object, executor: object) -> int | None:
    """Check the arguments of a worker pool, and return the number of threads of each training.

    By default it is 1 if several trainings run at once, else None (Keras' default).

    Raises:
        KzooError: `parallel` or `threads` is not a positive integer, or `executor` is not an executor.
    """
    checked_count("parallel", parallel)
    if executor is not None and not isinstance(executor, Executor):
        raise KzooError(
            "must be a concurrent.futures.Executor. For a Dask client, use client.get_executor().",
            argument="executor",
            value=executor,
        )
    if threads is None:
        return 1 if parallel > 1 or executor is not None else None
    return checked_count("threads", threads)


@contextmanager
def worker_pool(
    worker: Worker | InProcess, progress: Progress, parallel: int, executor: Executor | None
) -> Iterator[SingleWorker | LocalWorkers | ExecutorWorkers]:
    """Yield the pool of workers that trains a search.

    Args:
        worker: the `Worker` that counts parameters; without `parallel` and `executor` it also trains.
        progress: the `Progress`.
        parallel: number of concurrent trials.
        executor: the user's executor, or None.
    """
    if isinstance(worker, InProcess) or (parallel == 1 and executor is None):
        yield SingleWorker(worker, progress)
    elif executor is not None:
        yield ExecutorWorkers(executor, parallel, worker.spec)
    else:
        worker.close()  # only needed to count parameters; it restarts on the next call
        logs = [worker.log.with_name(f"worker-{i + 1}.log") for i in range(parallel)]
        pool = LocalWorkers([Worker(log, spec=worker.spec) for log in logs], progress)
        try:
            yield pool
        finally:
            pool.close()


def _broken_executor(error: BaseException) -> KzooError:
    error_name = type(error).__name__
    return KzooError(
        f"The executor stopped ({error_name}: {first_line(error)}). Repeat the call with a new executor to continue."
    )


def _resolve(future: Future[Any], outcome: object) -> None:
    """Set the result or exception of a future, unless it is done."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _completed_future(function: Callable[[], object]) -> Future[Any]:
    """Return a future with the result, or the exception, of calling a function now."""
    future: Future[Any] = Future()
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
    return future


# In a process of the executor


class TrainingJob(NamedTuple):
    """A trial to train on any machine.

    Args:
        version: the kzoo version of the search.
        files: relative path -> content, of the trial's folder.
        parent: the same for the trial whose training it continues, or None.
        seconds: time until the training ends, or None.
        arguments: of `Trainer.train`.
    """

    version: str
    files: dict[str, bytes]
    parent: dict[str, bytes] | None
    seconds: float | None
    arguments: dict[str, Any]


# Key of the search -> its spec and its idle workers. It has at most one key.
_searches: dict[str, tuple[WorkerSpec, list[Worker]]] = {}
_lock = threading.Lock()


def train_in_child(key: str, spec: bytes | None, job: TrainingJob) -> bytes | None:
    """Train a trial in a child process and return the pickled (outcome, files); the child ends with this process.

    Args:
        key: of the search.
        spec: the pickled `WorkerSpec`; None if this process has received it before. If it has not, None is returned.
        job: the trial.
    """
    if job.version != __version__:
        error = TrialFailed(
            f"the executor has kzoo {__version__}, but this search needs kzoo {job.version}"
        )
        return pickle.dumps((error, {}))
    if not _register(key, spec):
        return None
    with tempfile.TemporaryDirectory(prefix="kzoo-") as root, _borrowed_worker(key) as worker:
        folder, parent = Path(root) / "trial", Path(root) / "parent"
        _write_files(folder, job.files)
        arguments = dict(job.arguments, folder=os.fspath(folder))
        if job.parent is not None:
            _write_files(parent, job.parent)
            arguments["parent"] = os.fspath(parent)
        try:
            deadline = None if job.seconds is None else time.time() + job.seconds
            outcome = worker.call("train", deadline=deadline, **arguments)
        except TrialFailed as error:
            outcome = error
        return pickle.dumps((outcome, _read_files(folder)))


def _register(key: str, spec: bytes | None) -> bool:
    """Return True if this process has the spec of a search; a new spec replaces the previous one."""
    with _lock:
        if key not in _searches and spec is not None:
            _close_idle()
            _searches.clear()
            _searches[key] = pickle.loads(spec), []
        return key in _searches


@contextmanager
def _borrowed_worker(key: str) -> Iterator[Worker]:
    """Yield an idle or new worker of a search."""
    with _lock:
        spec, idle = _searches[key]
        worker = (
            idle.pop() if idle else Worker(_log_folder() / f"{time.monotonic_ns()}.log", spec=spec)
        )
    try:
        yield worker
    finally:
        with _lock:
            if key in _searches:
                _searches[key][1].append(worker)
            else:
                worker.close()


@cache
def _log_folder() -> Path:
    folder = tempfile.TemporaryDirectory(prefix="kzoo-")
    atexit.register(folder.cleanup)
    return Path(folder.name)


@atexit.register
def _close_idle() -> None:
    for _, idle in _searches.values():
        for worker in idle:
            worker.close()


def _read_files(folder: str | os.PathLike[str]) -> dict[str, bytes]:
    """Return relative path -> content of a trial's files."""
    folder = Path(folder)
    paths = [
        path for path in folder.rglob("*") if path.is_file() and path.name not in _SEARCH_FILES
    ]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Replace the files of a trial in a folder, except those that the search writes itself."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _read_files(folder).keys() - files:
        (folder / name).unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
