"""Structured logging: one JSON object per line, on stderr. Standard library only."""

import json
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

_MAX_CHARACTERS = 300  # of a string field


class Log:
    """A writer of log lines.

    Args:
        stream: text stream to write to; by default stderr.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr

    def __call__(self, event: str, **fields: Any) -> None:
        """Write a line.

        Args:
            event: name of the event.
            fields: its fields; long strings are truncated, and None is omitted.
        """
        timestamp = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        written = {
            name: value[:_MAX_CHARACTERS] if isinstance(value, str) else value
            for name, value in fields.items()
            if value is not None
        }
        try:
            # ASCII, so that no field can contain control sequences of a terminal or line breaks.
            self._stream.write(json.dumps({"time": timestamp, "event": event} | written) + "\n")
            self._stream.flush()
        except (OSError, ValueError):  # the reader of the stream has gone; keep serving
            pass
