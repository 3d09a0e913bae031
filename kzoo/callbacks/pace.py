"""How often something is written."""

import math
import time
from contextlib import contextmanager


class Pace:
    """Say when the next write is due: at once, and then by the clock or by what the last one cost.

    No plain value, so that a resumed run does not take over another process' clock.

    Args:
        every: seconds between two writes; None for 100 times what the last one took, about 1 % of the time.
    """

    def __init__(self, every=None):
        self.every, self.last, self.cost = every, -math.inf, 0.0

    def due(self, at_least=0.0):
        """Say whether it is time; never within `at_least` seconds of the last write."""
        wait = 100 * self.cost if self.every is None else self.every
        return time.monotonic() - self.last >= max(wait, at_least)

    def start(self):
        """Count from now as from a write that cost nothing."""
        self.last = time.monotonic()

    @contextmanager
    def spend(self):
        """Time a write."""
        began = time.monotonic()
        yield
        self.last = time.monotonic()
        self.cost = self.last - began
