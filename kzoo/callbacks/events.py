"""Write TensorBoard's event files without TensorFlow, which takes seconds to import."""

import time
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any


class Events:
    """An event file for TensorBoard.

    Args:
        path: path of the file; missing folders are created.
        at: time of all events, in seconds since the epoch; None for the current time.
    """

    def __init__(self, path: Path, *, at: float | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "wb")  # noqa: SIM115
        self._records = import_module("tensorboard.summary.writer.record_writer").RecordWriter(
            self._file
        )
        self._at = at
        self._write(file_version="brain.Event:2")

    def scalars(self, values: Mapping[str, float], step: int) -> None:
        """Write scalars, tag -> value."""
        summary = import_module("tensorboard.compat.proto.summary_pb2").Summary
        self.summary(
            summary(
                value=[
                    summary.Value(tag=tag, simple_value=scalar) for tag, scalar in values.items()
                ]
            ),
            step,
        )

    def summary(self, summary: object, step: int = 0) -> None:
        """Write a `Summary` message of TensorBoard."""
        self._write(summary=summary, step=step)

    def _write(self, **fields: Any) -> None:
        event = import_module("tensorboard.compat.proto.event_pb2").Event
        at = time.time() if self._at is None else self._at
        self._records.write(event(wall_time=at, **fields).SerializeToString())

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()
