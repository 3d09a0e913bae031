"""How often something is written."""

import math
import time
from contextlib import contextmanager


class Pace:
    """Say when the next write is due: at once, and then by the clock or by what a write costs.

    No plain value, so that a resumed run does not take over another process' clock.

    Args:
        every: seconds between two writes; None for 100 times what the last one took, about 1 % of the time.
    """

    def __init__(self, every=None):
        self.every, self.next = every, -math.inf

    def due(self):
        return time.monotonic() >= self.next

    def start(self):
        """Count the first `every` seconds from now."""
        self.next = time.monotonic() + self.every

    @contextmanager
    def spend(self):
        """Time a write; the next one is due so much later."""
        began = time.monotonic()
        yield
        ended = time.monotonic()
        self.next = ended + (100 * (ended - began) if self.every is None else self.every)
