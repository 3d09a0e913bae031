"""The last few checkpoints of a long training."""

from pathlib import Path

import keras

from kzoo.callbacks.nan import not_finite
from kzoo.callbacks.pace import Pace
from kzoo.errors import KzooError
from kzoo.files import whole_file


class Checkpoints(keras.callbacks.Callback):
    """Write a checkpoint each epoch, or every so many seconds, and keep the newest few.

    `epoch-0012.keras` is the model after epoch 12; with `every`, `epoch-0013-step-000240.keras` is one within the
    next epoch, with the weights that are trained (an average is in its optimizer). None is written with NaN in it.

    Args:
        folder: where they go.
        guard: the bundle's `NanGuard`.
        keep: how many stay.
        every: seconds from one to the next; None: one at the end of each epoch.
        save: function that writes the model to a path.

    Raises:
        KzooError: `keep` or `every` out of range.
    """

    def __init__(self, folder, guard, *, keep=3, every=None, save=None):
        super().__init__()
        if isinstance(keep, bool) or not isinstance(keep, int) or keep < 1:
            raise KzooError(f"keep={keep!r} must be a whole number of checkpoints, at least 1.")
        if every is not None and not every > 0:
            raise KzooError(f"every={every!r} must be seconds above 0, or None for a checkpoint each epoch.")
        self.folder, self.guard, self.keep, self.every, self.save = Path(folder), guard, keep, every, save

    def on_train_begin(self, logs=None):
        self.pace, self.epoch = Pace(self.every or 0), 0
        self.pace.start()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # The model is touched only when one is due: on JAX that gathers its whole state.
        if self.every is not None and self.pace.due() and not_finite(self.model) is None:
            self._write(f"epoch-{self.epoch + 1:04d}-step-{batch + 1:06d}.keras")

    def on_epoch_end(self, epoch, logs=None):
        if self.pace.due() and not self.guard.tripped:
            self._write(f"epoch-{epoch + 1:04d}.keras")

    def _write(self, name):
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.pace.spend(), whole_file(self.folder / name) as temporary:
            (self.save or self.model.save)(temporary)
        written = sorted(self.folder.glob("epoch-*.keras"), key=lambda path: (path.stat().st_mtime_ns, path.name))
        for old in written[: -self.keep]:
            old.unlink()
