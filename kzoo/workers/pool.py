"""A crew: one process, several on this machine, or an executor's, on any machines; they train trials, or folds.

`submit` takes a trial and returns a `concurrent.futures.Future` of what came of it, which raises `TrialFailed` where it
failed. What a search proposes follows from `slots`, how many are under way at once, and from nothing else here.
"""

import atexit
import hashlib
import os
import pickle
import queue
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

from kzoo import __version__
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.workers.worker import TrialFailed, Worker, WorkerSpec

_SEARCH_FILES = ("trial.json",)  # in a trial's folder what the search writes itself


class Silence:
    """A `Progress` that shows nothing."""

    def draw(self):
        """Show nothing."""

    def epoch(self, number, epoch, value):
        """Show nothing."""


class SingleWorker:
    """One trial at a time, trained before `submit` returns.

    Args:
        worker: the `Worker`.
        show: the `Progress`.
    """

    slots = 1

    def __init__(self, worker, progress):
        self.worker, self.progress = worker, progress

    def submit(self, number, *, signals, deadline, **arguments) -> "Future[Any]":
        """Train a trial; see `Several`."""
        return _completed_future(lambda: self.worker.call(
            "train", signals=signals, deadline=deadline, tick=self.progress.draw,
            on_epoch=partial(self.progress.epoch, number), **arguments,
        ))  # fmt: skip

    def cancel(self):
        """Let nothing wait: here nothing does."""


class LocalWorkers:
    """Some processes of this machine.

    Args:
        workers: a `Worker` for each trial that is under way.
        show: the `Progress`.
    """

    def __init__(self, workers, progress):
        self.progress, self.slots = progress, len(workers)
        self.idle: queue.SimpleQueue[Worker] = queue.SimpleQueue()
        self.workers, self.threads = workers, ThreadPoolExecutor(len(workers))
        for worker in workers:
            self.idle.put(worker)

    def submit(self, number, *, signals, deadline, **arguments) -> "Future[Any]":
        """Have a trial trained.

        Args:
            number: the trial's.
            signals, deadline: what ends the training; see `Worker.ask`.
            arguments: of `Trainer.train`.
        """

        def train():
            worker = self.idle.get()
            try:
                return worker.call(
                    "train", signals=signals, deadline=deadline,
                    on_epoch=partial(self.progress.epoch, number), **arguments,
                )  # fmt: skip
            finally:
                self.idle.put(worker)

        return self.threads.submit(train)

    def close(self):
        """End all processes."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        for worker in self.workers:
            worker.close()
        self.threads.shutdown()

    def cancel(self):
        """Let nothing wait: a training that is told to stop does so by itself."""


class ExecutorWorkers:
    """The processes of a `concurrent.futures.Executor`; they need no folder in common with this one.

    Args:
        executor: such as Dask's, a `ProcessPoolExecutor`, or one of your own.
        slots: how many trials are under way at once.
        sent: what a process has to know: the `Sent`, which goes to each of them once.
    """

    def __init__(self, executor: Executor, slots: int, spec: WorkerSpec):
        self.executor, self.slots = executor, slots
        self.spec = pickle.dumps(spec)
        self.key = hashlib.sha256(self.spec).hexdigest()
        self.under_way: dict[Future[Any], Future[Any]] = {}

    def submit(self, number, *, signals, deadline, folder, parent=None, **arguments) -> "Future[Any]":
        """Have a trial trained; see `Several`. The files of its folder go there, and come back."""
        job = TrainingJob(
            version=__version__, files=_read_files(folder), parent=None if parent is None else _read_files(parent),
            seconds=None if deadline is None else deadline - time.time(), arguments=arguments,
        )  # fmt: skip
        future: Future[Any] = Future()
        self._submit(future, Path(folder), job, None)
        return future

    def cancel(self):
        """Wait for no training any more: nobody here can tell one to stop, and it will be trained again."""
        for future, remote in list(self.under_way.items()):
            remote.cancel()
            _resolve(future, TrialFailed("it was given up"))

    def _submit(self, future, folder, job, spec):
        try:
            remote = self.executor.submit(train_in_child, self.key, spec, job)
        except RuntimeError as error:  # broken, or shut down
            return _resolve(future, _broken_executor(error))
        self.under_way[future] = remote
        remote.add_done_callback(lambda remote: self._on_done(future, folder, job, remote))

    def _on_done(self, future, folder, job, remote):
        self.under_way.pop(future, None)
        if future.done():
            return
        try:
            reply = remote.result()
            if reply is None:  # that process has not heard of this yet
                return self._submit(future, folder, job, self.spec)
            outcome, files = pickle.loads(reply)
            _write_files(folder, files)
            _resolve(future, outcome)
        except (CancelledError, BrokenProcessPool) as error:
            _resolve(future, _broken_executor(error))
        except Exception as error:  # the executor's: such as Dask's, when a fourth worker has died of this trial
            _resolve(future, TrialFailed(f"{type(error).__name__}: {first_line(error)}"))


def checked_pool(parallel: Any, threads: Any, executor: Any) -> int | None:
    """Return the threads of each training; None where this process trains as ever.

    Raises:
        KzooError: what is no number, or no executor.
    """
    checked_count("parallel", parallel)
    if executor is not None and not isinstance(executor, Executor):
        raise KzooError(
            f"executor={executor!r} must be a concurrent.futures.Executor; of a Dask client, client.get_executor()."
        )
    if threads is None:
        return 1 if parallel > 1 or executor is not None else None
    return checked_count("threads", threads)


@contextmanager
def worker_pool(worker, progress, parallel, executor) -> "Iterator[SingleWorker | LocalWorkers | ExecutorWorkers]":
    """Lend who trains a search.

    Args:
        worker: the `Worker` that looks at networks; alone it trains, too.
        show: the `Progress`.
        parallel: how many are trained at once.
        executor: the user's, or None.
    """
    if executor is not None:
        yield ExecutorWorkers(executor, parallel, worker.spec)
    elif parallel == 1:
        yield SingleWorker(worker, progress)
    else:
        worker.close()  # it has looked, and begins again if it has to
        logs = [worker.log.with_name(f"worker-{i + 1}.log") for i in range(parallel)]
        pool = LocalWorkers([Worker(log, spec=worker.spec) for log in logs], progress)
        try:
            yield pool
        finally:
            pool.close()


def _broken_executor(error):
    error_name = type(error).__name__
    return KzooError(
        f"The executor trains no more ({error_name}: {first_line(error)}). With another the same call goes on."
    )


def _resolve(future, outcome):
    """Let a future end with a result, or an exception."""
    if future.done():
        return
    if isinstance(outcome, Exception):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


def _completed_future(function):
    """Return a future of what a function returns, or raises, now."""
    future: Future[Any] = Future()
    try:
        future.set_result(function())
    except Exception as error:
        future.set_exception(error)
    return future


# Seen from a process of the executor


class TrainingJob(NamedTuple):
    """A trial to be trained anywhere.

    Args:
        version: of the kzoo that asks.
        files: relative path -> content, of the trial's folder.
        parent: the same of the trial whose training it goes on with, or None.
        seconds: after which training ends, or None.
        arguments: of `Trainer.train`.
    """

    version: str
    files: dict[str, bytes]
    parent: dict[str, bytes] | None
    seconds: float | None
    arguments: dict[str, Any]


_searches: dict[
    str, tuple[WorkerSpec, list[Worker]]
] = {}  # of one search: by its key, and the processes that train nothing now
_lock = threading.Lock()


def train_in_child(key: str, spec: bytes | None, job: TrainingJob) -> bytes | None:
    """Train a trial in a process below this one, which ends with it, and return what came of it and the files, pickled.

    Args:
        key: of the search.
        sent: the pickled `Sent`; None for one that this process has had before. Where it has not, the answer is None.
        job: the trial.
    """
    if job.version != __version__:
        error = TrialFailed(f"kzoo {__version__} is installed there, and kzoo {job.version} asks")
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


def _register(key, spec):
    """Say whether this process knows a search; of another one it then knows nothing any more."""
    with _lock:
        if key not in _searches and spec is not None:
            _close_idle()
            _searches.clear()
            _searches[key] = pickle.loads(spec), []
        return key in _searches


@contextmanager
def _borrowed_worker(key) -> Iterator[Worker]:
    """Lend a process of this search."""
    with _lock:
        spec, idle = _searches[key]
        worker = idle.pop() if idle else Worker(_log_folder() / f"{time.monotonic_ns()}.log", spec=spec)
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
def _close_idle():
    for _, idle in _searches.values():
        for worker in idle:
            worker.close()


def _read_files(folder) -> dict[str, bytes]:
    """Return relative path -> content of the files of a trial."""
    folder = Path(folder)
    paths = [path for path in folder.rglob("*") if path.is_file() and path.name not in _SEARCH_FILES]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


def _write_files(folder, files):
    """Let a folder hold these files of a trial, and no others but the search's own."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _read_files(folder).keys() - files:
        (folder / name).unlink()
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
