"""A callback that explains each epoch in plain English, or in Chinese with `KZOO_LANG=zh`."""

import math
import sys
from collections.abc import Mapping
from typing import Any

import keras

from kzoo.callbacks.monitor import Monitor
from kzoo.callbacks.nan import ADVICE
from kzoo.callbacks.saving import NO_BETTER, BestModel
from kzoo.utils.formatting import plural
from kzoo.utils.i18n import translator

_GAP = 1.3  # ratio of validation loss to training loss from which overfitting is reported


class Teacher(keras.callbacks.Callback):
    """Print after each epoch on stderr what happened and why. Last in a bundle.

    Args:
        watched: the bundle's `Monitor`.
        best: the bundle's `BestModel`, whose decisions are explained.

    Raises:
        KzooError: `$KZOO_LANG` names a language other than English and Chinese.
    """

    def __init__(self, watched: Monitor, best: BestModel) -> None:
        super().__init__()
        self.watched, self.best = watched, best
        translator("teaching")  # raises for an unsupported language before the first epoch

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        self.rate: float | None = None
        self.previous_best: float | None = None
        self.gap_printed = False
        self.gap_epochs = 0
        better = _translate("larger") if self.watched.sign == 1 else _translate("smaller")
        held_out = self.watched.name.startswith("val_")
        data = (
            _translate("data that the network does not learn from")
            if held_out
            else _translate("training data")
        )
        _print(
            "Watching {name}: {better} is better. It is measured on {data}.",
            name=self.watched.name,
            better=better,
            data=data,
        )

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> None:
        _print("Epoch {epoch}: {what}", epoch=epoch + 1, what=self._progress(epoch, logs))
        for line in (self._overfitting(logs), self._rate(logs)):
            if line:
                print(f"  {line}", file=sys.stderr)

    def on_train_end(self, logs: Mapping[str, float] | None = None) -> None:
        _print("Training ended: {why}.", why=self._stop_reason())
        if self.best.best_epoch is None:
            _print("No epoch had a finite value, so there is no best model.")
        else:
            _print(
                "The model has the weights of the best epoch, {epoch}.",
                epoch=self.best.best_epoch + 1,
            )

    def _stop_reason(self) -> str:
        if self.best.guard.tripped:
            sentence, values = self.best.guard.cause
            return _translate(ADVICE, what=_translate(sentence, **values))
        if self.best.stopped_because:
            waited = self.best.waited
            return _translate(
                NO_BETTER, name=self.watched.name, epochs=plural(waited, "epoch"), count=waited
            )
        return _translate("all epochs are done")

    def _progress(self, epoch: int, logs: Mapping[str, float]) -> str:
        best = self.best
        name = self.watched.name
        value = logs.get(self.watched.name)
        if best.guard.tripped:
            return _translate("{why}.", why=self._stop_reason())
        if value is None:
            return _translate("no validation in this epoch.")
        if not math.isfinite(value):
            return _translate(
                "{name} is {value}, which never counts as the best.", name=name, value=value
            )
        if best.best_epoch == epoch:
            before = self.previous_best
            self.previous_best = value
            if before is None:
                return _translate(
                    "{name} {value:.4g}, the best so far. These weights are kept.",
                    name=name,
                    value=value,
                )
            return _translate(
                "{name} {value:.4g}, the best so far (before: {before:.4g}). These weights are kept.",
                name=name,
                value=value,
                before=before,
            )
        return _translate(
            "{name} {value:.4g}, no better than {best:.4g} of epoch {epoch}. {then}",
            name=name,
            value=value,
            best=best.best * best.sign,
            epoch=best.best_epoch + 1,
            then=self._outlook(),
        )

    def _outlook(self) -> str:
        if not self.best.stops:
            return _translate(
                "The learning-rate schedule needs its full length, so training continues."
            )
        left = max(self.best.patience, 1) - self.best.waited
        if left > 0:
            return _translate("Patience: {epochs} more.", epochs=plural(left, "epoch"), count=left)
        return _translate("Patience has run out.")

    def _overfitting(self, logs: Mapping[str, float]) -> str:
        loss, validation = logs.get("loss"), logs.get("val_loss")
        if loss is None or validation is None or not loss > 0:
            return ""
        self.gap_epochs = self.gap_epochs + 1 if validation > _GAP * loss else 0
        if self.gap_epochs < 2:  # a single epoch may be chance
            self.gap_printed = self.gap_printed and self.gap_epochs > 0
            return ""
        if self.gap_printed:
            return ""
        self.gap_printed = True
        return _translate(
            "Loss is {loss:.4g} on training data and {validation:.4g} on validation data: the network is starting to "
            "overfit, that is, to memorise its examples. Try more data, augmentation, dropout or a smaller network.",
            loss=loss,
            validation=validation,
        )

    def _rate(self, logs: Mapping[str, float]) -> str:
        rate = logs.get("learning_rate")
        before = self.rate
        self.rate = rate
        if rate is None or before is None or math.isclose(rate, before, rel_tol=1e-3):
            return ""
        if rate < before:
            return _translate(
                "The learning rate fell from {before:.3g} to {rate:.3g}.", before=before, rate=rate
            )
        return _translate(
            "The learning rate rose from {before:.3g} to {rate:.3g}.", before=before, rate=rate
        )


def _translate(message: str, **values: Any) -> str:
    """Return a message in the language of `$KZOO_LANG`, with its fields filled in."""
    return translator("teaching")(message).format(**values)


def _print(message: str, **values: Any) -> None:
    print(_translate(message, **values), file=sys.stderr)
