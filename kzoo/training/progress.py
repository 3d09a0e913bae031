"""The progress bar: live in a terminal, in place in a notebook, one plain line per epoch elsewhere on stderr."""

import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TextIO

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from kzoo.utils import notebook

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches


_DRAW_INTERVAL = 0.2  # seconds between two drawings


class ProgressBar(keras.callbacks.Callback):
    """Show epoch, loss, monitored value, learning rate, samples per second and time left.

    Args:
        epochs: number of epochs of the training.
        batches: the training split's `Batches`, which have the first step of a resumed epoch.
        monitor: metric to show in addition to the loss.
        stream: stream to write to; the default is stderr.
    """

    def __init__(
        self,
        *,
        epochs: int,
        batches: "Batches",
        monitor: str = "val_loss",
        stream: TextIO | None = None,
    ) -> None:
        super().__init__()
        self.epochs, self.batches, self.monitor = epochs, batches, monitor
        self.steps = len(batches)
        self.samples = len(batches.split)
        self.console = Console(file=stream or sys.stderr, highlight=False)
        self.live = self.console.is_terminal
        self.display = notebook.Display() if self.console.is_jupyter and stream is None else None
        self.lines: list[str] = []  # of the epochs, in a notebook
        self.bar: Progress | None = None
        self.task: Any = None  # of rich
        self.epoch = 0
        self.steps_done = 0
        self.first_step: int | None = None
        self.monitor_text = ""
        self.started = self.epoch_started = self.last_drawn = self.last_printed = (
            time.perf_counter()
        )

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.started = self.last_drawn = self.last_printed = time.perf_counter()
        self.steps_done = 0
        self.first_step = None
        self.monitor_text = ""
        if self.display is not None:
            self.display.show(notebook.progress(0.0, "starting", self.lines), "starting")
        elif self.live:
            self.bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(bar_width=24),
                TextColumn("{task.fields[detail]}"),
                console=self.console,
                transient=True,
                auto_refresh=False,
            )
            self.task = self.bar.add_task("", total=self.epochs * self.steps, detail="")
            self.bar.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch, self.epoch_started = epoch, time.perf_counter()
        self.steps_done = epoch * self.steps + self.batches.first
        if self.first_step is None:
            self.first_step = self.steps_done

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        self.steps_done = self.epoch * self.steps + self.batches.first + batch + 1
        now = time.perf_counter()
        if (
            self.bar is not None or self.display is not None
        ) and now - self.last_drawn > _DRAW_INTERVAL:
            self.last_drawn = now
            speed = (batch + 1) / max(now - self.epoch_started, 1e-9) * self.samples / self.steps
            loss = f"loss {float(logs['loss']):.4f}  " if logs and "loss" in logs else ""
            description = f"epoch {self.epoch + 1}/{self.epochs}"
            detail = f"{loss}{self.monitor_text}{speed:,.0f}/s  {self._left(now)} left"
            if self.display is not None:
                self._show(self.display, f"{description}  {detail}")
            elif self.bar is not None:
                self.bar.update(
                    self.task, completed=self.steps_done, description=description, detail=detail
                )
                self.bar.refresh()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        logs = logs or {}
        now = time.perf_counter()
        names = ["loss", *[k for k in logs if k not in ("loss", "learning_rate")]]
        metrics = "  ".join(f"{k} {float(logs[k]):.4f}" for k in names if k in logs)
        # less than 1 for an epoch that was resumed in its middle
        epoch_share = 1 - self.batches.first / self.steps
        speed = epoch_share * self.samples / max(now - self.epoch_started, 1e-9)
        rate = f"  lr {logs['learning_rate']:.2g}" if "learning_rate" in logs else ""
        is_last = epoch + 1 == self.epochs or self.model.stop_training
        self.monitor_text = (
            f"{self.monitor} {float(logs[self.monitor]):.4f}  " if self.monitor in logs else ""
        )
        text = f"epoch {epoch + 1:>3}/{self.epochs}  {metrics}{rate}  {speed:,.0f}/s  {self._left(now)} left"
        if self.display is not None:
            self.lines.append(text)
            if now - self.last_drawn > _DRAW_INTERVAL:
                self.last_drawn = now
                self._show(self.display, text)
        elif (
            self.live or is_last or epoch == 0 or now - self.last_printed > 1.0
        ):  # few lines for fast runs
            self.last_printed = now
            (self.bar.console if self.bar is not None else self.console).print(text, soft_wrap=True)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.close()

    def close(self) -> None:
        """Remove the bar; also after an interrupt. In a notebook, the last epoch and all before it remain."""
        if self.display is not None and self.lines:
            self.display.show(notebook.progress(None, self.lines[-1], self.lines), self.lines[-1])
        if self.bar is not None:
            self.bar.stop()
            self.bar = None

    def _show(self, display: notebook.Display, text: str) -> None:
        share = self.steps_done / max(self.epochs * self.steps, 1)
        display.show(notebook.progress(share, text, self.lines), text)

    def _left(self, now: float) -> str:
        total = self.epochs * self.steps
        seconds = (
            (now - self.started)
            * (total - self.steps_done)
            / max(self.steps_done - (self.first_step or 0), 1)
        )
        return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
