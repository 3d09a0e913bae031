"""Log lines: one JSON object each, on stderr. Standard library only."""

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_MOST = 300  # characters of a text


class Log:
    """What writes them.

    Args:
        stream: where to; by default stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, event: str, **more: Any) -> None:
        """Write a line.

        Args:
            event: what has happened.
            more: what belongs to it; texts are cut off where they are long, and None is left out.
        """
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = {
            name: value[:_MOST] if isinstance(value, str) else value
            for name, value in more.items()
            if value is not None
        }
        try:
            # In ASCII: nothing in it is obeyed by a terminal, nor makes a second line.
            self._stream.write(json.dumps({"time": now, "event": event} | said) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # whoever read it is gone; the server goes on
            pass
