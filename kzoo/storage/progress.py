"""Progress of what takes long before training: a bar on a terminal after a second, elsewhere a line now and then."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.progress import Progress

_SAID = 30  # seconds between two lines


def followed(
    items: Iterable[Any], what: str, total: float | None = None, worth: Callable[[Any], float] | None = None
) -> Iterator:
    """Yield the items, and show how far they are if it takes long.

    Args:
        items: what is gone through.
        what: is done, such as "reading images".
        total: of what all items are worth, where it is known.
        worth: of one; by default each counts one.
    """
    began = said = time.monotonic()
    bar, done = None, 0.0
    try:
        for item in items:
            yield item
            done += 1 if worth is None else worth(item)
            if not sys.stderr.isatty():
                if time.monotonic() - said > _SAID:
                    said = time.monotonic()
                    print(f"{what}, {done:,.0f}{f' of {total:,.0f}' if total else ''}", file=sys.stderr)
                continue
            if bar is None and time.monotonic() - began > 1:
                bar = Progress(console=Console(stderr=True), transient=True)
                bar.start()
                task = bar.add_task(what, total=total)
            if bar is not None:
                bar.update(task, completed=done)
    finally:
        if bar is not None:
            bar.stop()
