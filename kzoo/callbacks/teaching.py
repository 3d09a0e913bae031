"""What happened in each epoch, and why: in plain English, or in Chinese where `KZOO_LANG=zh`."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import keras

from kzoo.callbacks.monitor import Monitor
from kzoo.callbacks.nan import ADVICE
from kzoo.callbacks.saving import NO_BETTER, BestModel
from kzoo.utils.formatting import plural
from kzoo.utils.i18n import translations

_GAP = 1.3  # validation loss over training loss from which on it is worth a word


class Teacher(keras.callbacks.Callback):
    """Say after each epoch what happened and why, on stderr. Last in a bundle.

    Args:
        watched: the bundle's `Monitor`.
        best: the bundle's `BestModel`, which decides; this one only tells.

    Raises:
        KzooError: `$KZOO_LANG` names another language than English and Chinese.
    """

    def __init__(self, watched: Monitor, best: BestModel) -> None:
        super().__init__()
        self.watched, self.best = watched, best
        translations("teaching")  # an unknown language is refused here, not after an epoch

    def on_train_begin(self, logs: Any = None) -> None:
        self.rate, self.known, self.said_gap, self.bad = None, None, False, 0
        better = _in_words("larger" if self.watched.sign == 1 else "smaller")
        held_out = self.watched.name.startswith("val_")
        data = _in_words("data that the network does not learn from" if held_out else "training data")
        _say(
            "Watching {name}: {better} is better. It is measured on {data}.",
            name=self.watched.name,
            better=better,
            data=data,
        )

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        _say("Epoch {epoch}: {what}", epoch=epoch + 1, what=self._progress(epoch, logs))
        for line in (self._overfitting(logs), self._rate(logs)):
            if line:
                print(f"  {line}", file=sys.stderr)

    def on_train_end(self, logs: Any = None) -> None:
        _say("Training ended: {why}.", why=self._why())
        if self.best.best_epoch is None:
            _say("No epoch had a finite value, so there is no best model.")
        else:
            _say("The weights of epoch {epoch}, the best, are back in the model.", epoch=self.best.best_epoch + 1)

    def _why(self) -> str:
        if self.best.guard.tripped:
            sentence, values = self.best.guard.cause
            return _in_words(ADVICE, what=_in_words(sentence, **values))
        if self.best.stopped_because:
            waited = self.best.waited
            return _in_words(NO_BETTER, name=self.watched.name, epochs=plural(waited, "epoch"), count=waited)
        return _in_words("all epochs are done")

    def _progress(self, epoch: int, logs: Mapping[str, Any]) -> str:
        best, name, value = self.best, self.watched.name, logs.get(self.watched.name)
        if best.guard.tripped:
            return _in_words("{why}.", why=self._why())
        if value is None:
            return _in_words("no validation in this epoch.")
        if not math.isfinite(value):
            return _in_words("{name} is {value}, which is never the best.", name=name, value=value)
        if best.best_epoch == epoch:
            before, self.known = self.known, value
            if before is None:
                return _in_words("{name} {value:.4g}, the best so far. These weights are kept.", name=name, value=value)
            return _in_words(
                "{name} {value:.4g}, the best so far (before: {before:.4g}). These weights are kept.",
                name=name,
                value=value,
                before=before,
            )
        return _in_words(
            "{name} {value:.4g}, no better than {best:.4g} of epoch {epoch}. {then}",
            name=name,
            value=value,
            best=best.best * best.sign,
            epoch=best.best_epoch + 1,
            then=self._then(),
        )

    def _then(self) -> str:
        if not self.best.stops:
            return _in_words("The learning-rate schedule needs its full length, so training goes on.")
        left = max(self.best.patience, 1) - self.best.waited
        if left > 0:
            return _in_words("Patience: {epochs} more.", epochs=plural(left, "epoch"), count=left)
        return _in_words("Patience has run out.")

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
        return _in_words(
            "Loss is {loss:.4g} on training data and {validation:.4g} on validation data: the network is starting to "
            "memorise its examples. More data, augmentation, dropout or a smaller network help.",
            loss=loss,
            validation=validation,
        )

    def _rate(self, logs: Mapping[str, Any]) -> str:
        rate, before = logs.get("learning_rate"), self.rate
        self.rate = rate
        if rate is None or before is None or math.isclose(rate, before, rel_tol=1e-3):
            return ""
        fell = "The learning rate fell from {before:.3g} to {rate:.3g}."
        rose = "The learning rate rose from {before:.3g} to {rate:.3g}."
        return _in_words(fell if rate < before else rose, before=before, rate=rate)


def _in_words(sentence: str, **values: Any) -> str:
    return translations("teaching").get(sentence, sentence).format(**values)


def _say(sentence: str, **values: Any) -> None:
    print(_in_words(sentence, **values), file=sys.stderr)
