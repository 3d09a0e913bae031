"""Progress: a live bar on a terminal or in a notebook, one plain line per epoch elsewhere. On stderr."""

import sys
import time
from importlib.util import find_spec

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn


class ProgressBar(keras.callbacks.Callback):
    """Show epoch, loss, monitored value, learning rate, samples per second and time left.

    Args:
        epochs: of the whole training.
        batches: the training split's `Batches`; they know with which step an epoch begins.
        monitor: shown beside the loss.
        stream: where to write; the default is stderr.
    """

    def __init__(self, *, epochs, batches, monitor="val_loss", stream=None):
        super().__init__()
        self.epochs, self.batches, self.monitor = epochs, batches, monitor
        self.steps, self.samples = len(batches), len(batches.split)
        self.console = Console(file=stream or sys.stderr, highlight=False)
        # rich draws in a notebook through ipywidgets; without it, plain lines are what shows.
        self.live = self.console.is_terminal or (self.console.is_jupyter and find_spec("ipywidgets") is not None)
        self.bar = self.task = None  # rich's
        self.epoch, self.done, self.start, self.line = 0, 0, None, ""
        self.began = self.epoch_began = self.drawn = self.printed = time.perf_counter()

    def on_train_begin(self, logs=None):
        self.began = self.drawn = self.printed = time.perf_counter()
        self.done, self.start, self.line = 0, None, ""
        if self.live:
            self.bar = Progress(
                TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[detail]}"),
                console=self.console, transient=True, auto_refresh=False,
            )  # fmt: skip
            self.task = self.bar.add_task("", total=self.epochs * self.steps, detail="")
            self.bar.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.epoch_began = epoch, time.perf_counter()
        self.done = epoch * self.steps + self.batches.first
        if self.start is None:
            self.start = self.done

    def on_train_batch_end(self, batch, logs=None):
        self.done = self.epoch * self.steps + self.batches.first + batch + 1
        now = time.perf_counter()
        if self.bar is not None and now - self.drawn > 0.2:
            self.drawn = now
            speed = (batch + 1) / max(now - self.epoch_began, 1e-9) * self.samples / self.steps
            loss = f"loss {float(logs['loss']):.4f}  " if logs and "loss" in logs else ""
            self.bar.update(
                self.task, completed=self.done, description=f"epoch {self.epoch + 1}/{self.epochs}",
                detail=f"{loss}{self.line}{speed:,.0f}/s  {self._left(now)} left",
            )  # fmt: skip
            self.bar.refresh()

    def on_epoch_end(self, epoch, logs=None):
        logs, now = logs or {}, time.perf_counter()
        shown = ["loss", *[k for k in logs if k not in ("loss", "learning_rate")]]
        values = "  ".join(f"{k} {float(logs[k]):.4f}" for k in shown if k in logs)
        share = 1 - self.batches.first / self.steps  # of an epoch that was taken up in its middle
        speed = share * self.samples / max(now - self.epoch_began, 1e-9)
        rate = f"  lr {logs['learning_rate']:.2g}" if "learning_rate" in logs else ""
        last = epoch + 1 == self.epochs or self.model.stop_training
        self.line = f"{self.monitor} {float(logs[self.monitor]):.4f}  " if self.monitor in logs else ""
        if self.live or last or epoch == 0 or now - self.printed > 1.0:  # a plain log of a fast run stays short
            self.printed = now
            text = f"epoch {epoch + 1:>3}/{self.epochs}  {values}{rate}  {speed:,.0f}/s  {self._left(now)} left"
            (self.bar.console if self.bar is not None else self.console).print(text, soft_wrap=True)

    def on_train_end(self, logs=None):
        self.close()

    def close(self):
        """Take the bar away; also after an interrupt."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _left(self, now):
        total = self.epochs * self.steps
        seconds = (now - self.began) * (total - self.done) / max(self.done - self.start, 1)
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
