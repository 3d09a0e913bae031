"""Training that has gone wrong: NaN and infinity, in the loss or in the weights."""

import math
import time
from typing import Any

import keras
import numpy as np

_ADVICE = "try a smaller learning_rate, or limit the gradients with global_clipnorm=1.0"


def not_finite(model: keras.Model) -> str | None:
    """Return the name of the first weight that holds NaN or infinity, or None."""
    for weight in model.weights:
        value = keras.ops.convert_to_numpy(weight)
        if not np.issubdtype(value.dtype, np.integer) and not np.isfinite(value).all():
            return weight.path
    return None


class NanGuard(keras.callbacks.Callback):
    """Stop when the loss or a weight is no longer finite; before everything that saves.

    The loss is looked at about once a second and at each epoch's end; the weights at each epoch's end, because a
    ReLU can hide their NaN from the loss. `tripped` says that it happened, `because` where.
    """

    async_safe = True  # Keras may call the batch hook from a thread: it touches no model

    def __init__(self) -> None:
        super().__init__()
        self.tripped, self.because, self.epoch = False, "", 0

    def on_train_begin(self, logs: Any = None) -> None:
        self.tripped, self.because = False, ""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.epoch, self.looked = epoch, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        if self.tripped:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        now = time.monotonic()
        if now - self.looked >= 1.0:
            self.looked = now
            self._look_at((logs or {}).get("loss", 0.0), f"in epoch {self.epoch + 1}, by step {batch + 1}")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._look_at((logs or {}).get("loss", 0.0), f"in epoch {epoch + 1}")
        if not self.tripped and (where := not_finite(self.model)):
            self._trip(f"the weight {where} is no longer finite after epoch {epoch + 1}")
        if self.tripped:
            self.model.stop_training = True

    def _look_at(self, loss: Any, when: str) -> None:
        if not self.tripped and not math.isfinite(float(loss)):
            self._trip(f"the loss became {float(loss)} {when}")

    def _trip(self, what: str) -> None:
        self.tripped, self.because = True, f"{what}; {_ADVICE}"
