"""What happened in each epoch, and why, in plain English."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import keras

from kzoo.callbacks.monitor import Monitor
from kzoo.callbacks.saving import BestModel
from kzoo.words import plural

_GAP = 1.3  # validation loss over training loss from which on it is worth a word


class Teacher(keras.callbacks.Callback):
    """Say after each epoch what happened and why, on stderr. Last in a bundle.

    Args:
        watched: the bundle's `Monitor`.
        best: the bundle's `BestModel`, which decides; this one only tells.
    """

    def __init__(self, watched: Monitor, best: BestModel) -> None:
        super().__init__()
        self.watched, self.best = watched, best

    def on_train_begin(self, logs: Any = None) -> None:
        self.rate, self.known, self.said_gap, self.bad = None, None, False, 0
        better = "larger" if self.watched.sign == 1 else "smaller"
        data = "data that the network does not learn from" if self.watched.name.startswith("val_") else "training data"
        _say(f"Watching {self.watched.name}: {better} is better. It is measured on {data}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _say(f"Epoch {epoch + 1}: {self._progress(epoch, logs)}")
        for line in (self._overfitting(logs), self._rate(logs)):
            if line:
                _say(f"  {line}")

    def on_train_end(self, logs: Any = None) -> None:
        why = self.best.stopped_because or "all epochs are done"
        _say(f"Training ended: {why}.")
        if self.best.best_epoch is None:
            _say("No epoch had a finite value, so there is no best model.")
        else:
            _say(f"The weights of epoch {self.best.best_epoch + 1}, the best, are back in the model.")

    def _progress(self, epoch: int, logs: Mapping[str, Any]) -> str:
        best, name, value = self.best, self.watched.name, logs.get(self.watched.name)
        if best.guard.tripped:
            return f"{best.guard.because}."
        if value is None:
            return "no validation in this epoch."
        if not math.isfinite(value):
            return f"{name} is {value}, which is never the best."
        if best.best_epoch == epoch:
            before = "" if self.known is None else f" (before: {self.known:.4g})"
            self.known = value
            return f"{name} {value:.4g}, the best so far{before}. These weights are kept."
        since = f"{name} {value:.4g}, no better than {best.best * best.sign:.4g} of epoch {best.best_epoch + 1}."
        if not best.stops:
            return f"{since} The learning-rate schedule needs its full length, so training goes on."
        left = max(best.patience, 1) - best.waited
        return f"{since} " + (f"Patience: {plural(left, 'epoch')} more." if left > 0 else "Patience has run out.")

    def _overfitting(self, logs: Mapping[str, Any]) -> str:
        loss, validation = logs.get("loss"), logs.get("val_loss")
        if loss is None or validation is None or not loss > 0:
            return ""
        self.bad = self.bad + 1 if validation > _GAP * loss else 0
        if self.bad < 2:  # once may be chance
            self.said_gap = self.said_gap and self.bad > 0
            return ""
        if self.said_gap:
            return ""
        self.said_gap = True
        return (
            f"Loss is {loss:.4g} on training data and {validation:.4g} on validation data: the network is starting to "
            f"memorise its examples. More data, augmentation, dropout or a smaller network help."
        )

    def _rate(self, logs: Mapping[str, Any]) -> str:
        rate, before = logs.get("learning_rate"), self.rate
        self.rate = rate
        if rate is None or before is None or math.isclose(rate, before, rel_tol=1e-3):
            return ""
        return f"The learning rate {'fell' if rate < before else 'rose'} from {before:.3g} to {rate:.3g}."


def _say(line: str) -> None:
    print(line, file=sys.stderr)
