"""A callback that stops training on NaN or infinity, in the loss or in the weights."""

import math
import time
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from kzoo.utils.i18n import gettext_noop

ADVICE = gettext_noop(
    "{what}; try a smaller learning_rate, or clip the gradients with global_clipnorm=1.0"
)
_LOSS_IN_EPOCH = gettext_noop("the loss became {loss} in epoch {epoch}")
_LOSS_AT_STEP = gettext_noop("the loss became {loss} in epoch {epoch}, by step {step}")
_WEIGHT = gettext_noop("the weight {weight} is no longer finite after epoch {epoch}")


def not_finite(model: keras.Model) -> str | None:
    """Return the path of the first weight that contains NaN or infinity, or None."""
    for weight in model.weights:
        array = keras.ops.convert_to_numpy(weight)
        if not np.issubdtype(array.dtype, np.integer) and not np.isfinite(array).all():
            return weight.path
    return None


class NanGuard(keras.callbacks.Callback):
    """Stop when the loss or a weight is no longer finite. Must come before every callback that saves.

    The loss is checked about once a second and at the end of each epoch; the weights at the end of each epoch, because
    a ReLU can hide their NaN from the loss.

    Attributes:
        tripped: whether it happened.
        because: the reason and what to try, in English; empty otherwise.
        cause: the message's template and its values, for translation.

    Examples:
        >>> from sklearn.datasets import load_iris
        >>> x, y = load_iris(return_X_y=True)
        >>> model = kzoo.build("iris_fnn")
        >>> guard = kzoo.callbacks.NanGuard()
        >>> x[0, 0] = np.nan
        >>> history = model.fit(x, y, epochs=2, verbose=0, callbacks=[guard])
        >>> guard.tripped
        True
    """

    # Keras may call the batch hooks from another thread: they do not touch the weights
    async_safe = True

    def __init__(self) -> None:
        super().__init__()
        self.tripped = False
        self.epoch = 0
        self.cause: list[Any] = ["", {}]

    @property
    def because(self) -> str:
        """The reason and what to try; empty while everything is finite."""
        sentence, values = self.cause
        return ADVICE.format(what=sentence.format(**values)) if sentence else ""

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.tripped = False
        self.cause = ["", {}]

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch, self.checked_at = epoch, time.monotonic()

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.tripped:
            self.model.stop_training = True

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        now = time.monotonic()
        if now - self.checked_at >= 1.0:
            self.checked_at = now
            self._check_loss(logs, _LOSS_AT_STEP, step=batch + 1)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._check_loss(logs, _LOSS_IN_EPOCH)
        if not self.tripped and (weight := not_finite(self.model)):
            self._trip(_WEIGHT, weight=weight)
        if self.tripped:
            self.model.stop_training = True

    def _check_loss(self, logs: Mapping[str, float] | None, sentence: str, **position: int) -> None:
        loss = float((logs or {}).get("loss", 0.0))
        if not self.tripped and not math.isfinite(loss):
            self._trip(sentence, loss=loss, **position)

    def _trip(self, sentence: str, **values: Any) -> None:
        self.tripped = True
        self.cause = [sentence, {"epoch": self.epoch + 1} | values]
