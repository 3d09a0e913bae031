"""The process in which trials are trained: it takes requests from its standard input and answers on the output.

A process of its own, because TensorFlow never gives back all the memory of a model: the search starts another one when
this one has grown. It ends as soon as the process that started it does, however that ends.
"""

import os
import pickle
import queue
import sys
import threading
import time

from kzoo.errors import KzooError


class Stop:
    """When training is to end: at a time, or when it is asked for."""

    def __init__(self):
        self.asked, self.deadline = threading.Event(), None

    @property
    def caught(self):
        late = self.deadline is not None and time.time() >= self.deadline
        return True if late or self.asked.is_set() else None


def main():
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints must not get between the answers
    inbox, stop, lock = queue.Queue(), Stop(), threading.Lock()
    threading.Thread(target=_listen, args=(inbox, stop), daemon=True).start()

    def say(*message):
        with lock:
            pickle.dump(message, answers)
            answers.flush()

    setup = inbox.get()
    try:
        from kzoo import registry
        from kzoo.tuning.trainer import Trainer

        registry.FAMILIES.update(setup["families"])
        setup = pickle.loads(setup["trainer"])
        trainer = Trainer(**setup, stop=stop, tell=lambda epoch, value: say("epoch", epoch, value))
    except Exception as error:
        say("failed", describe(error), isinstance(error, KzooError))
        return
    while True:
        name, deadline, arguments = inbox.get()
        stop.asked.clear()
        stop.deadline = deadline
        try:
            say("done", getattr(trainer, name)(**arguments), resident())
        except Exception as error:
            say("failed", describe(error), isinstance(error, KzooError))


def _listen(inbox, stop):
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
    """Return an exception as one line."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    if isinstance(error, KzooError) and lines:
        return lines[0]
    return f"{type(error).__name__}: {lines[0]}"[:500] if lines else type(error).__name__


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
