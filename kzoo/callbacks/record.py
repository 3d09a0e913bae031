"""Recording the logs of each epoch, in memory and in `history.csv`."""

import csv
import io
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras

from kzoo.callbacks.monitor import Monitor
from kzoo.callbacks.rate import learning_rates
from kzoo.utils.files import write_text


class Recorder(keras.callbacks.Callback):
    """Record each epoch's logs in `rows`, after adding the learning rate and, to the last epoch, validation metrics.

    First in a bundle, so that all later callbacks see both in the logs.

    Args:
        watched: the bundle's `Monitor`.

    Attributes:
        clock: function that returns seconds. With a clock that continues from a journal's time, the time of an epoch
            that was interrupted and resumed includes both parts.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.standard()
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> recorder = next(part for part in bundle if isinstance(part, kzoo.callbacks.Recorder))
        >>> [row["epoch"] for row in recorder.rows], sorted(recorder.rows[0])
        ([1, 2], ['accuracy', 'epoch', 'learning_rate', 'loss', 'seconds', 'val_accuracy', 'val_loss'])
    """

    def __init__(self, watched: Monitor) -> None:
        super().__init__()
        self.watched = watched
        self.clock: Callable[[], float] = time.perf_counter
        self.rows: list[dict[str, Any]] = []
        self.epoch_began: float | None = None  # reading of `clock`; None between two epochs

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.rows = []
        self.epoch_began = None

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.epoch_began is None:
            self.epoch_began = self.clock()

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        logs.update(self.watched.last_validation(epoch, logs))
        logs.update(learning_rates(self.model.optimizer))
        assert self.epoch_began is not None
        seconds = self.clock() - self.epoch_began
        self.epoch_began = None
        self.rows.append(
            {"epoch": epoch + 1, "seconds": round(seconds, 3)}
            | {k: float(v) for k, v in logs.items()}
        )


class HistoryFile(keras.callbacks.Callback):
    """Write `history.csv` after each epoch.

    Must come after the callback that saves the models: an epoch is in the file only once its models are written.

    Args:
        run_dir: folder of the file, or None.
        recorder: the bundle's `Recorder`.
    """

    def __init__(self, run_dir: str | os.PathLike[str] | None, recorder: Recorder) -> None:
        super().__init__()
        self.path = None if run_dir is None else Path(run_dir) / "history.csv"
        self.recorder = recorder

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.path is None:
            return
        rows = self.recorder.rows
        self.path.parent.mkdir(parents=True, exist_ok=True)
        # not every epoch has validation metrics
        columns = list(dict.fromkeys(name for row in rows for name in row))
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, columns, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(rows)
        write_text(self.path, buffer.getvalue(), sync=False)
