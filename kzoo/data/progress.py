"""Progress of what takes long before training: a bar on a terminal, past the first second."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress


def followed(items: Iterable[Any], what: str, total: float, worth: Callable[[Any], float] | None = None) -> Iterator:
    """Yield the items, and show how far they are if it takes long and someone is watching.

    Args:
        items: what is gone through.
        what: is done, such as "reading images".
        total: of what all items are worth.
        worth: of one; by default each counts one.
    """
    started, bar, done = time.monotonic(), None, 0.0
    try:
        for item in items:
            yield item
            done += 1 if worth is None else worth(item)
            if bar is None and sys.stderr.isatty() and time.monotonic() - started > 1:
                bar = Progress(console=Console(stderr=True), transient=True)
                bar.start()
                task = bar.add_task(what, total=total)
            if bar is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()
