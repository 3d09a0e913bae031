"""Ctrl-C and SIGTERM: finish the step, keep everything, then stop; a second one stops at once."""

import os
import signal
import threading
from contextlib import contextmanager


class StopRequest(BaseException):
    """A signal asked for an end, and the journal has been written. Not an `Exception`: nothing may swallow it."""


class Signals:
    """What has been asked for: `caught` is the number of the first signal, or None."""

    caught = None

    def _handle(self, number, frame):
        if self.caught is not None:
            os._exit(128 + number)
        self.caught = number

    @contextmanager
    def watched(self):
        """Catch SIGINT and SIGTERM inside the block. Only the main thread may; others leave things be."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                # None: a handler that was not installed from Python, and cannot be put back by it
                signal.signal(number, signal.SIG_DFL if handler is None else handler)
