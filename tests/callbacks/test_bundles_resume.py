"""The plain attributes of the callbacks are their complete state: the journal of a run relies on it."""

from pathlib import Path

import keras
import numpy as np
import pytest
from small import Weights, fit, network, same

import kzoo
from kzoo.callbacks import BestModel


def plain(value):
    if isinstance(value, list | tuple):
        return all(plain(v) for v in value)
    if isinstance(value, dict):
        return all(plain(v) for v in value.values())
    return value is None or isinstance(value, bool | int | float | str | np.ndarray | np.generic)


def copied(value):
    if isinstance(value, list | tuple):
        return type(value)(copied(v) for v in value)
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    return np.array(value) if isinstance(value, np.ndarray) else value


class Journal(keras.callbacks.Callback):
    """Keep model, optimizer and callbacks at each epoch's end; last in the list."""

    def __init__(self, bundle, resume=None):
        super().__init__()
        self.bundle = bundle
        self.resume = resume
        self.states = []

    def on_train_begin(self, logs=None):
        if self.resume is None:
            return
        values, attributes = self.resume
        for variable, value in zip(self._variables(), values, strict=True):
            variable.assign(value)
        for callback, state in zip(self.bundle, attributes, strict=True):
            vars(callback).update(copied(state))

    def on_epoch_end(self, epoch, logs=None):
        attributes = [{k: copied(v) for k, v in vars(c).items() if plain(v)} for c in self.bundle]
        self.states.append(
            ([np.array(keras.ops.convert_to_numpy(v)) for v in self._variables()], attributes)
        )

    def _variables(self):
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        return [*self.model.variables, *self.model.optimizer.variables]


def optimizer():
    return keras.optimizers.Adam(0.3, use_ema=True, ema_momentum=0.5)


SLOW = pytest.mark.slow


@pytest.mark.parametrize(  # they contain the callbacks of the other bundles
    "name", ["long", pytest.param("debug", marks=SLOW), pytest.param("teaching", marks=SLOW)]
)
def test_a_new_bundle_with_the_old_attributes_continues_exactly(name, tmp_path):
    def run(resume=None, first=0):
        model = network(optimizer())
        seen = Weights()
        options = dict(patience=2, reduce_on_plateau=True, stop_early=True)
        bundle = getattr(kzoo.callbacks, name)(tmp_path / "run", **options)
        journal = Journal([c for c in bundle if "kzoo" in type(c).__module__], resume)
        fit(model, [*bundle, seen, journal], epochs=25, initial_epoch=first)
        best = next(c for c in bundle if isinstance(c, BestModel))
        history = [{k: v for k, v in row.items() if k != "seconds"} for row in bundle[0].rows]
        debug = tmp_path / "run" / "debug.csv"
        result = (
            best.best,
            best.best_epoch,
            best.stopped_because,
            history,
            debug.exists() and debug.read_text(),
        )
        return journal, seen.ends[-1], model.get_weights(), result

    journal, last, final, result = run()
    assert 2 < len(journal.states) < 25 and len({row["learning_rate"] for row in result[3]}) > 1
    for epoch in sorted({0, result[1] - 1, result[1], len(journal.states) - 2}):
        _, again_last, again_final, again = run(journal.states[epoch], epoch + 1)
        assert again == result, epoch
        assert same(again_last, last) and same(again_final, final), epoch
    assert Path(tmp_path / "run" / "best.keras").exists()
