"""The worker process that trains trials: `Worker` sends requests through a pipe, `main` replies.

It is a separate process because TensorFlow never frees all the memory of a model: a worker that has grown is replaced
by a new one. It ends as soon as its parent process does, however that ends.
"""

import io
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import TYPE_CHECKING, Any, BinaryIO

from kzoo.utils import child_process as child
from kzoo.utils import fast_import as fast_import
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.zoo import registry

if TYPE_CHECKING:
    from kzoo.training.resume import Signals


# bytes by which a worker may grow before it is replaced: about ten small trials
_GROWTH = 40 * 2**20
# calls during which it may grow by five times as much: starting a new one takes seconds
_WARMUP_CALLS = 8
_PATIENCE = 20.0  # seconds to finish a step and write the journal after a stop request


# Environment variables for the number of threads of TensorFlow, XLA (JAX) and their libraries; PyTorch reads OMP's.
_THREADS = (
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "NPROC",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
)


class TrialFailed(Exception):
    """A trial could not be trained; the message is the cause on one line."""


# In the process of the search. Keras is imported where it is needed: the worker imports this file too, and must be able
# to end with its parent before it spends seconds on that import.


@dataclass(frozen=True)
class WorkerSpec:
    """All that a worker process needs to start: plain data and pickles, which can be sent to any machine.

    Args:
        families: the `FAMILIES` of the registry.
        trainer, threads: see `Worker`.
        setup: the arguments of the trainer, pickled.
        backend: the Keras backend.
    """

    families: Mapping[str, Any]
    trainer: str
    setup: bytes
    backend: str
    threads: int | None


class Worker:
    """A process that trains, started on first use and again after it has died or grown too large.

    Args:
        log: file for the output of the process.
        trainer: "module:class" of the trainer. Its constructor takes `stop`, whose `caught` becomes true when training
            has to end, and `tell`, a function of (epoch, value); its `train` trains into a `folder`.
        threads: number of threads; None for Keras' default.
        spec: the `spec` of another `Worker`, instead of the other arguments.
        setup: the trainer's other arguments.
    """

    def __init__(
        self,
        log: str | os.PathLike[str],
        *,
        trainer: str = "",
        threads: int | None = None,
        spec: WorkerSpec | None = None,
        **setup: object,
    ) -> None:
        self.log = Path(log)
        self.process: Any = None
        self.inbox: queue.Queue[Any] = queue.Queue()
        self.reply_count = 0
        self.base_memory = 0  # bytes after the first replies
        self.spec = spec or WorkerSpec(
            families=dict(registry.FAMILIES),
            setup=pickle.dumps(setup),
            trainer=trainer,
            threads=threads,
            backend=import_module("keras").backend.backend(),
        )

    def __enter__(self) -> "Worker":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start the process without waiting for its imports."""
        self.inbox = queue.Queue()
        self.reply_count = 0
        self.base_memory = 0
        environment = os.environ | {
            "KERAS_BACKEND": self.spec.backend,
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        }
        if self.spec.threads is not None:
            environment |= dict.fromkeys(_THREADS, str(self.spec.threads))
        with open(self.log, "ab") as log:
            self.process = child.start(__name__, stderr=log, environment=environment)
        threading.Thread(
            target=_read_replies, args=(self.process.stdout, self.inbox), daemon=True
        ).start()
        self._send((self.spec.families, self.spec.trainer, self.spec.setup))

    def close(self) -> None:
        """End the process."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                stream.close()
        self.process = None

    def call(
        self,
        name: str,
        *,
        signals: "Signals | None" = None,
        deadline: float | None = None,
        on_epoch: Callable[[int, float], object] | None = None,
        tick: Callable[[], object] | None = None,
        **arguments: object,
    ) -> object:
        """Call a method of the trainer in the process, and return its result.

        Args:
            name: the method.
            signals: once its `caught` is true, the training is told to end after the step.
            deadline: time (seconds since the epoch) at which the training ends.
            on_epoch: called with (epoch, value) after each epoch.
            tick: called several times a second.
            arguments: of the method.

        Raises:
            TrialFailed: the method raised, or the process died.
            KzooError: a method other than `train` raised it.
        """
        if self.process is None:
            self.start()
        self._send((name, deadline, pickle.dumps(arguments)))
        stop_sent_at = None
        while True:
            if signals is not None and signals.caught and stop_sent_at is None:
                stop_sent_at = time.monotonic()
                self._send("stop")
            try:
                message = self.inbox.get(timeout=0.2)
            except queue.Empty:
                if tick is not None:
                    tick()
                if stop_sent_at is not None and time.monotonic() - stop_sent_at > _PATIENCE:
                    self.close()
                    raise TrialFailed("it did not stop in time") from None
                continue
            if message is None:
                raise TrialFailed(self._exit_cause())
            if message[0] == "epoch":
                if on_epoch is not None:
                    on_epoch(*message[1:])
            elif message[0] == "failed":
                is_refusal = message[2] is not None and name != "train"
                raise message[2] if is_refusal else TrialFailed(message[1])
            else:
                self._measure(message[2])
                return message[1]

    def _measure(self, memory: int) -> None:
        """End the process if it has grown; the next call starts a new one. The first replies fill its caches."""
        self.reply_count += 1
        if self.reply_count <= 2:
            self.base_memory = memory
        elif memory - self.base_memory > _GROWTH * (1 if self.reply_count >= _WARMUP_CALLS else 5):
            self.close()

    def _exit_cause(self) -> str:
        if self.process is None:
            return "it was stopped"
        code = self.process.wait()
        self.close()
        tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        if code == -getattr(signal, "SIGKILL", 9):
            return "the process was killed, most likely because memory ran out"
        return f"the process ended with code {code}{': ' + tail[0][:300] if tail else ''}"

    def _send(self, message: object) -> None:
        with suppress(OSError):  # it has died: reading from the other pipe reports that
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()


class InProcess:
    """The interface of `Worker` in this process, for functions that another process cannot import.

    It cannot free the memory of trained models.
    """

    def __init__(
        self, log: object, *, trainer: str, threads: int | None = None, **setup: object
    ) -> None:
        self.trainer_class = import_class(trainer)
        self.setup = setup
        self.stop = Stop()
        self.on_epoch: Callable[[int, float], object] | None = None
        self.trainer: Any = None

    def __enter__(self) -> "InProcess":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def call(
        self,
        name: str,
        *,
        signals: "Signals | None" = None,
        deadline: float | None = None,
        on_epoch: Callable[[int, float], object] | None = None,
        tick: Callable[[], object] | None = None,
        **arguments: object,
    ) -> object:
        """Call a method of the trainer, as `Worker.call`."""
        self.stop.signals, self.stop.deadline, self.on_epoch = signals, deadline, on_epoch
        try:
            if self.trainer is None:
                self.trainer = self.trainer_class(
                    **self.setup, stop=self.stop, tell=self._report_epoch
                )
            return getattr(self.trainer, name)(**arguments)
        except Exception as error:
            if isinstance(error, KzooError) and name != "train":
                raise
            raise TrialFailed(error_line(error)) from error

    def _report_epoch(self, epoch: int, value: float) -> None:
        if self.on_epoch is not None:
            self.on_epoch(epoch, value)


def import_class(name: str) -> Callable[..., Any]:
    """Return the class named by "module:class"."""
    module, _, name = name.partition(":")
    return getattr(import_module(module), name)


def can_be_sent(target: object) -> bool:
    """Return True if another process can unpickle an object: all its classes and functions can be imported."""
    try:
        _ImportablePickler(io.BytesIO()).dump(target)
    except Exception:  # a user's object may raise anything
        return False
    return True


class _ImportablePickler(pickle.Pickler):
    """Pickler that refuses functions and classes of a script, a notebook or a module without a file."""

    def reducer_override(self, target: object) -> str | tuple[Callable[..., Any], tuple[Any, ...]]:
        if isinstance(target, type | FunctionType):
            package = target.__module__.partition(".")[0]
            if package == "__main__" or not any(
                finder.find_spec(package, None) for finder in sys.meta_path
            ):
                raise pickle.PicklingError(package)
        return NotImplemented


def _read_replies(stream: BinaryIO, inbox: queue.Queue[Any]) -> None:
    while True:
        try:
            inbox.put(pickle.load(stream))
        except Exception:
            inbox.put(None)
            return


# In the worker process


class Stop:
    """Whether training has to end: at the deadline, on request, or when `signals` have caught one."""

    def __init__(self) -> None:
        self.requested = threading.Event()
        self.deadline: float | None = None
        self.signals: Signals | None = None

    @property
    def caught(self) -> bool | None:
        late = self.deadline is not None and time.time() >= self.deadline
        signalled = self.signals is not None and self.signals.caught
        return True if late or signalled or self.requested.is_set() else None


def main() -> None:
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # prints of libraries must not get between the replies
    inbox: queue.Queue[Any] = queue.Queue()
    stop = Stop()
    lock = threading.Lock()
    threading.Thread(target=_read_requests, args=(inbox, stop), daemon=True).start()

    def send(*message: object) -> None:
        with lock:
            pickle.dump(message, replies)
            replies.flush()

    families, trainer_class, pickled_setup = inbox.get()
    try:
        registry.FAMILIES.update(families)  # before the preset in the setup is unpickled
        setup = pickle.loads(pickled_setup)
        # A user's function, in place of a preset, may need the optional packages of Keras that kzoo does without.
        if isinstance(setup["preset"], registry.Preset):
            fast_import.mark_kzoo_process()
        fast_import.import_keras()
        trainer = import_class(trainer_class)(
            **setup, stop=stop, tell=lambda epoch, value: send("epoch", epoch, value)
        )
    except Exception as error:
        send("failed", error_line(error), error if isinstance(error, KzooError) else None)
        return
    while True:
        name, deadline, pickled = inbox.get()
        # in this thread: two threads must not import NumPy at once
        arguments = pickle.loads(pickled)
        stop.requested.clear()
        stop.deadline = deadline  # the trainer checks `stop` while it trains
        try:
            send("done", getattr(trainer, name)(**arguments), memory_in_use())
        except Exception as error:
            send("failed", error_line(error), error if isinstance(error, KzooError) else None)


def _read_requests(inbox: queue.Queue[Any], stop: Stop) -> None:
    """Pass on the requests of the parent; end this process when the parent is gone."""
    while True:
        try:
            message = pickle.load(sys.stdin.buffer)
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)
        if message == "stop":
            stop.requested.set()
        else:
            inbox.put(message)


def error_line(error: BaseException) -> str:
    """Return an exception as one line, with its type unless it is a KzooError."""
    if isinstance(error, KzooError):
        return str(error)
    type_name = type(error).__name__
    message = first_line(error)
    return type_name if message == type_name else f"{type_name}: {message}"


def memory_in_use() -> int:
    """Return the resident memory of this worker in bytes: without /proc (macOS) the peak so far, on Windows 0."""
    try:
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    try:
        import resource
    except ImportError:
        return 0  # Windows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
