"""Callback bundles: functions that return a fresh, ordered list for `model.fit(callbacks=...)`.

    model.fit(x, y, validation_data=(a, b), callbacks=kzoo.callbacks.standard("runs/mine"))

They work with any Keras model, on every backend.
"""

import csv
import io
import math
import sys
import time
from pathlib import Path

import keras

from kzoo.errors import KzooError
from kzoo.files import whole_file, write_text

# Larger is better; every other metric that kzoo reports is an error to make small.
_LARGER_IS_BETTER = {"accuracy", "auc", "top5", "f1", "precision", "recall", "r2"}
_SMALLER_IS_BETTER = {"loss", "mae", "rmse", "mse"}


def standard(
    run_dir=None,
    *,
    monitor="val_loss",
    patience=10,
    stop_early=True,
    reduce_on_plateau=False,
    histograms=False,
    save=None,
):
    """Return the bundle for a real run: best weights kept and restored, files, curves, early stopping.

    Args:
        run_dir: folder for `best.keras`, `last.keras`, `history.csv` and `tensorboard/`; None writes nothing.
        monitor: what decides which epoch is best; without validation data its training twin, with a notice.
        patience: epochs without improvement before training stops.
        stop_early: False for a schedule that needs its full length; the best epoch is restored all the same.
        reduce_on_plateau: halve the learning rate after `patience // 2` epochs without improvement. Not
            together with a learning-rate schedule.
        histograms: also write weight histograms to TensorBoard, each epoch.
        save: function that writes the model to a path; the default is `model.save`.

    Raises:
        KzooError: a monitor whose direction is unknown.
    """
    callbacks = [Recorder(run_dir)]
    if reduce_on_plateau:
        callbacks.append(
            _Plateau(
                monitor=monitor,
                mode=direction(monitor),
                factor=0.5,
                patience=max(patience // 2, 1),
                min_lr=1e-6,
            )
        )
    if run_dir is not None and keras.backend.backend() != "torch":  # Keras' callback needs TensorFlow's tensors
        logs = str(Path(run_dir) / "tensorboard")
        callbacks.append(
            keras.callbacks.TensorBoard(logs, histogram_freq=int(histograms), write_graph=False, update_freq="epoch")
        )
    callbacks.append(BestModel(run_dir, monitor=monitor, patience=patience if stop_early else None, save=save))
    return callbacks


def quick(run_dir=None, *, monitor="val_loss", patience=10, stop_early=True, reduce_on_plateau=False, save=None):
    """Return the bundle for trying things out: best weights kept and restored, no TensorBoard."""
    bundle = standard(
        run_dir,
        monitor=monitor,
        patience=patience,
        stop_early=stop_early,
        reduce_on_plateau=reduce_on_plateau,
        save=save,
    )
    return [c for c in bundle if not isinstance(c, keras.callbacks.TensorBoard)]


def direction(monitor):
    """Return "max" or "min" for a metric's name, with or without `val_`.

    Keras guesses "min" for F1 and R2; kzoo does not guess.

    Raises:
        KzooError: the direction is not known.
    """
    name = monitor.removeprefix("val_")
    if name in _LARGER_IS_BETTER:
        return "max"
    if name in _SMALLER_IS_BETTER:
        return "min"
    known = ", ".join(sorted(_LARGER_IS_BETTER | _SMALLER_IS_BETTER))
    raise KzooError(f"monitor={monitor!r} is unknown: is larger or smaller better? Use one of {known}, or val_ of it.")


def _watched(monitor, logs):
    """Return the monitor, or its training twin where there is no validation data."""
    twin = monitor.removeprefix("val_")
    return twin if monitor not in logs and twin in logs else monitor


class _Plateau(keras.callbacks.ReduceLROnPlateau):
    """Keras' own, which also works without validation data."""

    def on_epoch_end(self, epoch, logs=None):
        self.monitor = _watched(self.monitor, logs)
        super().on_epoch_end(epoch, logs)


class Recorder(keras.callbacks.Callback):
    """Add the learning rate to each epoch's logs and write `history.csv` after each.

    First in a bundle, so that every later callback sees the learning rate.
    """

    def __init__(self, run_dir=None):
        super().__init__()
        self.path = None if run_dir is None else Path(run_dir) / "history.csv"
        self.rows = []

    def on_train_begin(self, logs=None):
        self.rows = []
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)

    def on_epoch_begin(self, epoch, logs=None):
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch, logs):
        rate = self.model.optimizer.learning_rate
        logs["learning_rate"] = float(keras.ops.convert_to_numpy(rate))
        seconds = time.perf_counter() - self.began
        self.rows.append({"epoch": epoch + 1, "seconds": round(seconds, 3)} | {k: float(v) for k, v in logs.items()})
        if self.path is not None:
            out = io.StringIO()
            writer = csv.DictWriter(out, list(self.rows[-1]), lineterminator="\n", restval="", extrasaction="ignore")
            writer.writeheader()
            writer.writerows(self.rows)
            write_text(self.path, out.getvalue(), sync=False)


class BestModel(keras.callbacks.Callback):
    """Keep the best weights, restore them at the end, stop when nothing improves.

    The weights are copied in memory when an epoch is the best so far; `best.keras` and `last.keras` are
    written at most every `every` seconds and at the end, each whole or not at all. An epoch whose monitored
    value is NaN or infinite is never the best, and a loss that is not finite ends the training.

    Args:
        run_dir: folder of the two files, or None.
        monitor: what decides.
        patience: epochs without improvement before training stops; None never stops.
        every: seconds between two writes.
        save: function that writes the model to a path.
    """

    def __init__(self, run_dir=None, *, monitor="val_loss", patience=10, every=30.0, save=None):
        super().__init__()
        self.run_dir = None if run_dir is None else Path(run_dir)
        self.monitor, self.patience, self.every = monitor, patience, every
        self.sign = 1 if direction(monitor) == "max" else -1
        self.save = save

    def on_train_begin(self, logs=None):
        self.best, self.best_epoch, self.weights = -math.inf, None, None
        self.stopped_because, self.finished, self.unsaved = "", False, False
        self.written = time.monotonic()
        if self.run_dir is not None:
            self.run_dir.mkdir(parents=True, exist_ok=True)

    def on_epoch_end(self, epoch, logs):
        watched = _watched(self.monitor, logs)
        if watched != self.monitor:
            print(f"No {self.monitor}, there is no validation data: watching {watched}.", file=sys.stderr)
            self.monitor = watched
        if self.monitor not in logs:
            raise KzooError(f"monitor={self.monitor!r} is not reported. Use one of: {', '.join(logs)}.")
        value = float(logs[self.monitor])
        if math.isfinite(value) and self.sign * value > self.best:
            self.best, self.best_epoch = self.sign * value, epoch
            self.weights, self.unsaved = self.model.get_weights(), True
        if not math.isfinite(float(logs["loss"])):
            self.stopped_because = f"the loss became {logs['loss']} in epoch {epoch + 1}; try a smaller learning_rate"
            self.model.stop_training = True
        elif self.patience and epoch - (self.best_epoch if self.best_epoch is not None else -1) >= self.patience:
            self.stopped_because = f"{self.monitor} has not improved for {self.patience} epochs"
            self.model.stop_training = True
        if time.monotonic() - self.written > self.every:
            self._write_last_and_best()

    def on_train_end(self, logs=None):
        self.finish()

    def finish(self):
        """Write both files and leave the best weights in the model; also after an interrupt. Twice is once."""
        if self.finished:
            return
        self.finished = True
        self._write_last_and_best()
        if self.weights is not None:
            self.model.set_weights(self.weights)

    def _write_last_and_best(self):
        if self.run_dir is None:
            return
        self._write("last.keras")
        if self.unsaved:
            last = self.model.get_weights()
            self.model.set_weights(self.weights)
            self._write("best.keras")
            self.model.set_weights(last)
            self.unsaved = False
        self.written = time.monotonic()

    def _write(self, name):
        with whole_file(self.run_dir / name) as temporary:
            (self.save or self.model.save)(temporary)
