"""Callbacks that write models during training: the best and the last one, and checkpoints."""

import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import keras
import numpy as np

from kzoo.callbacks.monitor import Monitor
from kzoo.callbacks.nan import NanGuard, not_finite
from kzoo.callbacks.rate import follows_schedule
from kzoo.utils.errors import KzooError
from kzoo.utils.files import whole_file
from kzoo.utils.formatting import plural
from kzoo.utils.i18n import gettext_noop

NO_BETTER = gettext_noop("{name} has not improved for {epochs}")


class BestModel(keras.callbacks.Callback):
    """Keep the best weights, restore them at the end, and stop early without improvement.

    The weights are copied in memory when an epoch is the best so far. `best.keras` and `last.keras` are written at
    the end of the first epoch, then as often as costs about 1 % of the time, and at the end. Writes are atomic, and a
    model with NaN in its weights is never written. An epoch whose monitored value is not finite is never the best.

    Args:
        run_dir: folder of the two files, or None.
        watched: the bundle's `Monitor`.
        guard: the bundle's `NanGuard`.
        patience: validated number of epochs without improvement before training stops.
        stop_early: None stops early unless the optimizer follows a learning-rate schedule.
        every: seconds between two writes; None limits them to about 1 % of the time.
        save: function that writes the model to a path.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> bundle = kzoo.callbacks.standard()
        >>> history = model.fit(x, y, validation_split=0.2, epochs=2, verbose=0, callbacks=bundle)
        >>> best = next(part for part in bundle if isinstance(part, kzoo.callbacks.BestModel))
        >>> best.monitor, best.sign
        ('val_loss', -1)
    """

    def __init__(
        self,
        run_dir: str | os.PathLike[str] | None,
        watched: Monitor,
        guard: NanGuard,
        *,
        patience: int = 10,
        stop_early: bool | None = None,
        every: float | None = None,
        save: Callable[[Path], object] | None = None,
    ) -> None:
        super().__init__()
        self.run_dir: Any = None if run_dir is None else Path(run_dir)
        self.watched, self.guard, self.save = watched, guard, save
        self.patience, self.stop_early, self.every = patience, stop_early, every
        self.best = -math.inf
        self.best_epoch: Any = None
        self.weights: Any = None
        self.first: Any = None
        self.unsaved, self.kept = False, False
        self.waited = 0  # validated epochs since the best one
        self.written: Any = None  # the step at which best.keras was written
        self.stopped_because = ""
        self.finished = True

    @property
    def monitor(self) -> str:
        """The name of the monitored metric."""
        return self.watched.name

    @property
    def sign(self) -> int:
        """1 if larger is better, -1 if smaller is; `best` is the best value times this sign."""
        return self.watched.sign

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.best = -math.inf
        self.best_epoch = None
        self.weights = None
        self.first = None
        self.unsaved = False
        self.kept = False
        self.written = None
        self.waited = 0
        self.stopped_because = ""
        self.finished = False
        self.stops = (
            not follows_schedule(self.model.optimizer)
            if self.stop_early is None
            else self.stop_early
        )
        self.timer = WriteTimer(self.every)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        self.first = epoch if self.first is None else self.first
        if self.guard.tripped:
            self.stopped_because = self.guard.because
            return
        value = self.watched.value(logs)
        if value is not None:  # epochs without validation do not count
            self.waited += 1
        if value is not None and math.isfinite(value) and self.sign * value > self.best:
            self.best = self.sign * value
            self.best_epoch = epoch
            self.waited = 0
            self.weights = [np.array(w) for w in self.model.get_weights()]
            self.unsaved = True
        if self.stops and self.waited >= max(self.patience, 1):
            self.stopped_because = NO_BETTER.format(
                name=self.monitor, epochs=plural(self.waited, "epoch")
            )
            self.model.stop_training = True
        if self.timer.due() or (self.unsaved and not self.kept):
            self._write_models()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.finish()

    def finish(self) -> None:
        """Write the best and the last model, and restore the best weights. A second call does nothing.

        An interrupted training calls it as well.
        """
        if self.finished:
            return
        self.finished = True
        if self.first is None:  # no epoch has ended: nothing to save
            return
        try:
            # The last model is written only if its weights are finite.
            self._write_models(last=not self.guard.tripped and not_finite(self.model) is None)
        finally:
            if self.weights is not None:
                self.model.set_weights(self.weights)

    def restore(self) -> bool:
        """Restore the best weights if they were changed after the end, and return whether they were."""
        if self.weights is None or all(map(np.array_equal, self.model.get_weights(), self.weights)):
            return False
        self.model.set_weights(self.weights)
        return True

    def _write_models(self, last: bool = True) -> None:
        if self.run_dir is None:
            return
        self.run_dir.mkdir(parents=True, exist_ok=True)
        with self.timer.time_write():
            step = int(self.model.optimizer.iterations)
            same = False
            if self.unsaved or self.written == step:  # untrained since: last.keras can be a copy
                current = self.model.get_weights()
                same = all(np.array_equal(a, b) for a, b in zip(current, self.weights, strict=True))
            if self.unsaved:
                if not same:
                    self.model.set_weights(self.weights)
                self._write("best.keras")
                if not same:
                    self.model.set_weights(current)
                self.unsaved = False
                self.kept = True
                self.written = step
            if last:
                self._write("last.keras", copy_of=self.run_dir / "best.keras" if same else None)

    def _write(self, name: str, copy_of: Path | None = None) -> None:
        with whole_file(self.run_dir / name) as temporary:
            if copy_of is not None:
                shutil.copyfile(copy_of, temporary)
            else:
                (self.save or self.model.save)(temporary)


class Checkpoints(keras.callbacks.Callback):
    """Write a checkpoint each epoch, or every few seconds, and keep the newest few.

    `epoch-0012.keras` is the model after epoch 12. With `every`, `epoch-0013-step-000240.keras` is written within the
    next epoch and has the trained weights (its optimizer has the average). Models with NaN are not written.

    Args:
        folder: folder for the checkpoints.
        guard: the bundle's `NanGuard`.
        keep: number of checkpoints to keep.
        every: seconds between checkpoints; None writes one at the end of each epoch.
        save: function that writes the model to a path.

    Raises:
        KzooError: `keep` or `every` is out of range.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        guard: NanGuard,
        *,
        keep: int = 3,
        every: float | None = None,
        save: Callable[[Path], object] | None = None,
    ) -> None:
        super().__init__()
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise KzooError(
                "must be an integer of at least 1 (checkpoints).", argument="keep", value=keep
            )
        if every is not None and not (isinstance(every, int | float) and every > 0):
            raise KzooError(
                "must be a number of seconds greater than 0, or None for a checkpoint each epoch.",
                argument="every",
                value=every,
            )
        self.folder = Path(folder)
        self.guard = guard
        self.keep = keep
        self.every = every
        self.save = save

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.timer = WriteTimer(self.every or 0)
        self.epoch = 0
        self.timer.start()

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # Read the model only when a checkpoint is due: on JAX, reading it gathers the whole state.
        if self.every is not None and self.timer.due() and not_finite(self.model) is None:
            self._write(f"epoch-{self.epoch + 1:04d}-step-{batch + 1:06d}.keras")

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        if self.timer.due() and not self.guard.tripped:
            self._write(f"epoch-{epoch + 1:04d}.keras")

    def _write(self, name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.timer.time_write(), whole_file(self.folder / name) as temporary:
            (self.save or self.model.save)(temporary)
        written = sorted(
            self.folder.glob("epoch-*.keras"), key=lambda path: (path.stat().st_mtime_ns, path.name)
        )
        for old in written[: -self.keep]:
            old.unlink()


class WriteTimer:
    """Decide when the next write is due: the first one at once, later ones by the clock or by the cost of the last one.

    Being an object, it is not stored in the journal, so a resumed run does not get another process' clock.

    Args:
        every: seconds between two writes; None waits 100 times the duration of the last one, about 1 % of the time.
    """

    def __init__(self, every: float | None = None) -> None:
        self.every = every
        self.last = -math.inf
        self.cost = 0.0

    def due(self, at_least: float = 0.0) -> bool:
        """Return whether a write is due; never within `at_least` seconds of the last one."""
        wait = 100 * self.cost if self.every is None else self.every
        return time.monotonic() - self.last >= max(wait, at_least)

    def start(self) -> None:
        """Restart the clock, as after a write that cost nothing."""
        self.last = time.monotonic()

    @contextmanager
    def time_write(self) -> Iterator[None]:
        """Measure the duration of the write in the block."""
        start = time.monotonic()
        yield
        self.last = time.monotonic()
        self.cost = self.last - start
