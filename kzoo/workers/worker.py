"""The process in which trials are trained, from both sides: `Worker` asks, `main` answers over a pipe.

A process of its own, because TensorFlow never gives back all the memory of a model: the search starts another one when
this one has grown. It ends as soon as the process that started it does, however that ends.
"""

import io
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FunctionType
from typing import Any

from kzoo import registry
from kzoo.utils import child_process as child
from kzoo.utils import fast_import as lean
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line

_GROWTH = 40 * 2**20  # bytes by which a worker may grow before another takes its place: ten small trials or so
_ANSWERS = 8  # before which it may grow by five times as much: a new one takes seconds to begin
_PATIENCE = 20.0  # seconds for the end of a step and a journal, when training is to stop


# What TensorFlow, XLA (of JAX) and the libraries below them take for the number of threads; PyTorch takes OMP's.
_THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC", "OMP_NUM_THREADS", "MKL_NUM_THREADS",
            "OPENBLAS_NUM_THREADS")  # fmt: skip


class TrialFailed(Exception):
    """A trial could not be trained; the message is its cause on one line."""


# Seen from the search. Keras is imported where it is needed: the other side imports this file, and must be ready to
# end with its parent before it spends seconds on that.


@dataclass(frozen=True)
class Sent:
    """What a process has to know before it can train: plain data and pickles, which any machine can take.

    Args:
        families: the `FAMILIES` of the registry.
        trainer, threads: see `Worker`.
        setup: the arguments of the trainer, pickled.
        backend: of Keras.
    """

    families: Mapping[str, Any]
    trainer: str
    setup: bytes
    backend: str
    threads: int | None


class Worker:
    """A process that trains, started when it is first needed and again when it has died or grown.

    Args:
        log: file that gets what the process prints.
        trainer: "module:class" of what is made there. Its constructor takes `stop`, whose `caught` says that training
            has to end, and `tell`, a function of (epoch, value); its `train` trains into a `folder`.
        threads: how many it trains with; None for as many as Keras takes.
        sent: `sent` of another `Worker`, be it of another machine, in place of the others.
        setup: the trainer's other arguments.
    """

    def __init__(self, log, *, trainer="", threads=None, sent=None, **setup):
        self.log, self.process, self.inbox = Path(log), None, queue.Queue()
        self.answered, self.least = 0, None  # answers of the process, and the least memory that it had
        self.sent = sent or Sent(
            families=dict(registry.FAMILIES), setup=pickle.dumps(setup), trainer=trainer, threads=threads,
            backend=import_module("keras").backend.backend(),
        )  # fmt: skip

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.close()

    def start(self):
        """Start the process; it imports while we do other things."""
        self.inbox, self.answered, self.least = queue.Queue(), 0, None
        environment = os.environ | {
            "KERAS_BACKEND": self.sent.backend,
            "TF_CPP_MIN_LOG_LEVEL": os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3"),
        }
        if self.sent.threads is not None:
            environment |= dict.fromkeys(_THREADS, str(self.sent.threads))
        with open(self.log, "ab") as log:
            self.process = child.start(__name__, stderr=log, environment=environment)
        threading.Thread(target=_answers, args=(self.process.stdout, self.inbox), daemon=True).start()
        self._send((self.sent.families, self.sent.trainer, self.sent.setup))

    def close(self):
        """End the process."""
        if self.process is None:
            return
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            with suppress(OSError):
                stream.close()
        self.process = None

    def ask(self, name, *, signals=None, deadline=None, on_epoch=None, tick=None, **arguments):
        """Have a method of `Trainer` called, and return what it returns.

        Args:
            name: the method.
            signals: once its `caught` is true, the training is told to end after the step.
            deadline: time (seconds since the epoch) at which it ends so by itself.
            on_epoch: called with (epoch, value) after each epoch.
            tick: called some times a second.
            arguments: of the method.

        Raises:
            TrialFailed: it raised, or the process died.
        """
        if self.process is None:
            self.start()
        self._send((name, deadline, pickle.dumps(arguments)))
        asked_at = None
        while True:
            if signals is not None and signals.caught and asked_at is None:
                asked_at = time.monotonic()
                self._send("stop")
            try:
                message = self.inbox.get(timeout=0.2)
            except queue.Empty:
                if tick is not None:
                    tick()
                if asked_at is not None and time.monotonic() - asked_at > _PATIENCE:
                    self.close()
                    raise TrialFailed("it did not stop in time") from None
                continue
            if message is None:
                raise TrialFailed(self._died())
            if message[0] == "epoch":
                if on_epoch is not None:
                    on_epoch(*message[1:])
            elif message[0] == "failed":
                raise KzooError(message[1]) if message[2] and name != "train" else TrialFailed(message[1])
            else:
                self._measure(message[2])
                return message[1]

    def _measure(self, memory):
        """End a process that has grown; the next request starts another one. The first answers fill its caches."""
        self.answered += 1
        if self.answered <= 2:
            self.least = memory
        elif memory - self.least > _GROWTH * (1 if self.answered >= _ANSWERS else 5):
            self.close()

    def _died(self):
        if self.process is None:
            return "it was stopped"
        code = self.process.wait()
        self.close()
        tail = self.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        if code == -getattr(signal, "SIGKILL", 9):
            return "the process was killed, most likely because memory ran out"
        return f"the process ended with code {code}{': ' + tail[0][:300] if tail else ''}"

    def _send(self, message):
        with suppress(OSError):  # it has died, which the other pipe tells
            pickle.dump(message, self.process.stdin)
            self.process.stdin.flush()


class InProcess:
    """What trains where a function of the user's cannot be had by another process: this one, with a `Worker`'s door.

    It cannot give back the memory of what it has trained.
    """

    def __init__(self, log, *, trainer, threads=None, **setup):
        self.made, self.setup = class_named(trainer), setup
        self.stop, self.on_epoch, self.trainer = Stop(), None, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def ask(self, name, *, signals=None, deadline=None, on_epoch=None, tick=None, **arguments):
        """Do what `Worker.ask` does."""
        self.stop.signals, self.stop.deadline, self.on_epoch = signals, deadline, on_epoch
        try:
            if self.trainer is None:
                self.trainer = self.made(**self.setup, stop=self.stop, tell=self._tell)
            return getattr(self.trainer, name)(**arguments)
        except Exception as error:
            if isinstance(error, KzooError) and name != "train":
                raise
            raise TrialFailed(describe(error)) from error

    def _tell(self, epoch, value):
        if self.on_epoch is not None:
            self.on_epoch(epoch, value)


def class_named(name):
    """Return the class that "module:class" names."""
    module, _, name = name.partition(":")
    return getattr(import_module(module), name)


def can_be_sent(thing) -> bool:
    """Say whether another process can have something: it is made of what can be imported there by its name."""
    try:
        _ByName(io.BytesIO()).dump(thing)
    except Exception:  # whatever an object of the user's raises
        return False
    return True


class _ByName(pickle.Pickler):
    """Refuse functions and classes of a script, a notebook or a module that no file holds."""

    def reducer_override(self, thing):
        if isinstance(thing, type | FunctionType):
            first = thing.__module__.partition(".")[0]
            if first == "__main__" or not any(finder.find_spec(first, None) for finder in sys.meta_path):
                raise pickle.PicklingError(first)
        return NotImplemented


def _answers(stream, inbox):
    while True:
        try:
            inbox.put(pickle.load(stream))
        except Exception:
            inbox.put(None)
            return


# Seen from the process itself


class Stop:
    """When training is to end: at a time, when it is asked for, or when `signals` have caught one."""

    def __init__(self):
        self.asked, self.deadline, self.signals = threading.Event(), None, None

    @property
    def caught(self):
        late = self.deadline is not None and time.time() >= self.deadline
        signalled = self.signals is not None and self.signals.caught
        return True if late or signalled or self.asked.is_set() else None


def main():
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the answers
    inbox, stop, lock = queue.Queue(), Stop(), threading.Lock()
    threading.Thread(target=_requests, args=(inbox, stop), daemon=True).start()

    def say(*message):
        with lock:
            pickle.dump(message, answers)
            answers.flush()

    families, trainer, setup = inbox.get()
    try:
        registry.FAMILIES.update(families)  # before the preset in the setup is unpickled
        setup = pickle.loads(setup)
        if isinstance(setup["preset"], registry.Preset):  # and no function of the user's, which may ask for anything
            lean.mark_kzoo_process()
        lean.import_keras()
        trainer = class_named(trainer)(**setup, stop=stop, tell=lambda epoch, value: say("epoch", epoch, value))
    except Exception as error:
        say("failed", describe(error), isinstance(error, KzooError))
        return
    while True:
        name, deadline, packed = inbox.get()
        arguments = pickle.loads(packed)  # here: NumPy in it must not be imported by two threads at once
        stop.asked.clear()
        stop.deadline = deadline
        try:
            say("done", getattr(trainer, name)(**arguments), resident())
        except Exception as error:
            say("failed", describe(error), isinstance(error, KzooError))


def _requests(inbox, stop):
    """Pass requests on; end the process when nobody is there any more to make one."""
    while True:
        try:
            message = pickle.load(sys.stdin.buffer)
        except (EOFError, OSError, pickle.UnpicklingError):
            os._exit(0)
        if message == "stop":
            stop.asked.set()
        else:
            inbox.put(message)


def describe(error) -> str:
    """Return an exception as one line, with its type where it is not one of ours."""
    if isinstance(error, KzooError):
        return str(error)
    kind, said = type(error).__name__, first_line(error)
    return kind if said == kind else f"{kind}: {said}"


def resident() -> int:
    """Return the memory of this process in bytes, as far as the system says."""
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
