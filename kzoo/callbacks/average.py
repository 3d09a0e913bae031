"""Averaged weights: the model is validated and saved with the same averaged weights."""

import sys
from collections.abc import Iterable, Mapping

import keras
import numpy as np

from kzoo.callbacks.rate import inner_optimizers


class Average(keras.callbacks.Callback):
    """Put the averaged weights into the model from validation until the next epoch begins.

    The optimizer computes the average (`use_ema=True`); without one this callback does nothing. The average is copied
    into the model before validation, or at the end of an epoch without validation. It stays there while callbacks at
    the end of the epoch read and save the model, including those after the bundle; the trained weights are restored
    when the next epoch begins. (`keras.callbacks.SwapEMAWeights` swaps the two, and Keras' own last step then copies
    the wrong one when training stops early.) Must come before every callback that reads the weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.warn_if_missing = False  # print a note if the optimizer keeps no average
        self.running = False
        self.trained: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.running = True
        self.trained = None
        if self.warn_if_missing and not self._has_average():
            print("No averaged weights: the optimizer has no use_ema=True.", file=sys.stderr)

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.trained is not None:
            for variable, weights in zip(self.model.trainable_variables, self.trained, strict=True):
                variable.assign(weights)
            self.trained = None

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self._use_average()

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self._use_average()

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        self.running = False
        self.trained = None

    def _has_average(self) -> bool:
        return any(optimizer.use_ema for optimizer in inner_optimizers(self.model.optimizer))

    def _use_average(self) -> None:
        if self.running and self.trained is None and self._has_average():
            variables = self.model.trainable_variables
            self.trained = _to_arrays(variables)
            self.model.optimizer.finalize_variable_values(variables)
            # On JAX, average and weights now share memory, which the next step would donate twice: copy them.
            for variable, weights in zip(variables, _to_arrays(variables), strict=True):
                variable.assign(weights)


def _to_arrays(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
