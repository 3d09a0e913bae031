"""Averaged weights: what is validated is what is saved."""

import sys
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from kzoo.callbacks.rate import each_optimizer


class Average(keras.callbacks.Callback):
    """Show everybody the averaged weights from validation until the next epoch begins.

    The average is the optimizer's (`use_ema=True`); without one this does nothing. It is copied into the model
    before validation, or at the end of an epoch that has none, and stays while the callbacks at the end of the epoch
    look at the model and save it, those after the bundle too; the weights that are trained come back when the next
    epoch begins. (`keras.callbacks.SwapEMAWeights` exchanges the two, and Keras' own last step then copies the wrong
    one when training stops early.) Before every callback that looks at weights.
    """

    def __init__(self) -> None:
        super().__init__()
        self.wanted = False  # say so where there is no average
        self.running = False
        self.trained: list[np.ndarray] | None = None

    def on_train_begin(self, logs: Any = None) -> None:
        self.running, self.trained = True, None
        if self.wanted and not self._has_average():
            print("No averaged weights: the optimizer has no use_ema=True.", file=sys.stderr)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self.trained is not None:
            for variable, value in zip(self.model.trainable_variables, self.trained, strict=True):
                variable.assign(value)
            self.trained = None

    def on_test_begin(self, logs: Any = None) -> None:
        self._show_average()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._show_average()

    def on_train_end(self, logs: Any = None) -> None:
        self.running, self.trained = False, None

    def _has_average(self) -> bool:
        return any(one.use_ema for one in each_optimizer(self.model.optimizer))

    def _show_average(self) -> None:
        if self.running and self.trained is None and self._has_average():
            variables = self.model.trainable_variables
            self.trained = _values(variables)
            self.model.optimizer.finalize_variable_values(variables)
            # On JAX the two now share their memory, which the next step would give away twice: take a copy.
            for variable, value in zip(variables, _values(variables), strict=True):
                variable.assign(value)


def _values(variables: Iterable[keras.Variable]) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(v)) for v in variables]
