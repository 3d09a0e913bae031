"""Progress of slow steps before training: a bar on a terminal after one second, otherwise a line every 30 seconds."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress

_LINE_INTERVAL = 30  # seconds between two lines


def track_progress(
    items: Iterable[Any],
    description: str,
    total: float | None = None,
    size_of: Callable[[Any], float] | None = None,
) -> Iterator:
    """Yield the items of an iterable, and report progress if it takes long.

    Args:
        items: the iterable.
        description: of the step, such as "reading images".
        total: the sum of the sizes of all items, if it is known.
        size_of: function that returns the size of an item; by default each item counts as 1.
    """
    start = last_line = time.monotonic()
    bar = None
    completed = 0.0
    try:
        for item in items:
            yield item
            completed += 1 if size_of is None else size_of(item)
            if not sys.stderr.isatty():
                if time.monotonic() - last_line > _LINE_INTERVAL:
                    last_line = time.monotonic()
                    print(
                        f"{description}, {completed:,.0f}{f' of {total:,.0f}' if total else ''}",
                        file=sys.stderr,
                    )
                continue
            if bar is None and time.monotonic() - start > 1:
                bar = Progress(console=Console(stderr=True), transient=True)
                bar.start()
                task = bar.add_task(description, total=total)
            if bar is not None:
                bar.update(task, completed=completed)
    finally:
        if bar is not None:
            bar.stop()
