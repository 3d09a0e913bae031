"""`history.csv`: what each epoch gave."""

import csv
import io
import time
from pathlib import Path

import keras

from kzoo.callbacks.rate import rates
from kzoo.files import write_text


class Recorder(keras.callbacks.Callback):
    """Add the learning rate to each epoch's logs and write `history.csv` after each.

    First in a bundle, so that every later callback sees the learning rate.

    Args:
        run_dir: folder of the file, or None.
    """

    def __init__(self, run_dir=None):
        super().__init__()
        self.path = None if run_dir is None else Path(run_dir) / "history.csv"
        self.rows = []

    def on_train_begin(self, logs=None):
        self.rows = []

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        logs.update(rates(self.model.optimizer))
        seconds = time.perf_counter() - self.began
        self.rows.append({"epoch": epoch + 1, "seconds": round(seconds, 3)} | {k: float(v) for k, v in logs.items()})
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            columns = list(dict.fromkeys(name for row in self.rows for name in row))  # not each epoch validates
            out = io.StringIO()
            writer = csv.DictWriter(out, columns, lineterminator="\n", restval="")
            writer.writeheader()
            writer.writerows(self.rows)
            write_text(self.path, out.getvalue(), sync=False)
