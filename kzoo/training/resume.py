"""What makes a killed training go on exactly where it was: signals, and callbacks that write and restore the journal.

Between two steps all of a training's state is in a few places: variables of model, optimizer and metrics (dropout's
seeds among them), the plain attributes of its callbacks, and the position (epoch, step), from which order and
augmentation follow (`kzoo.data.pipeline`).
"""

import os
import random
import signal
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module

import keras
import numpy as np

from kzoo.callbacks.saving import WriteTimer
from kzoo.training.journal import State, is_plain
from kzoo.utils.errors import KzooError

_WAITS = 3.0  # seconds that a signal waits for a validation to end
_KERAS_OWN = {"_model", "params", "validation_data"}


class StopRequest(BaseException):
    """A signal asked for an end, and the journal has been written. Not an `Exception`: nothing may swallow it."""


class Signals:
    """What has been asked for: `caught` is the number of the first signal, or None."""

    caught = None

    def _handle(self, number, frame):
        if self.caught is not None:
            os._exit(128 + number)
        self.caught = number

    @contextmanager
    def watched(self):
        """Catch SIGINT and SIGTERM inside the block. Only the main thread may; others leave things be."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        before = {number: signal.signal(number, self._handle) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in before.items():
                # None: a handler that was not installed from Python, and cannot be put back by it
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """When the journal is written; after an epoch and inside it.

    Args:
        seconds: between two journals inside an epoch, at the least. At epoch ends, and here too, no more often than
            makes them cost one percent of the time.
        steps: in place of both: a journal after every this many steps, and after every epoch.

    Raises:
        KzooError: a value that is neither.
    """

    seconds: float = 30.0
    steps: int | None = None

    def __post_init__(self):
        seconds, steps = self.seconds, self.steps
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise KzooError(f"journal_seconds={seconds!r} must be a number of seconds, 0 or more.")
        if steps is not None and (isinstance(steps, bool) or not isinstance(steps, int) or steps < 1):
            raise KzooError(f"journal_steps={steps!r} must be a whole number of steps, or None.")


class Position(keras.callbacks.Callback):
    """First in the list: tell the pipeline where it is.

    Args:
        batches: the training split's `Batches`.
        state: the `State` to go on from, or None.
    """

    def __init__(self, batches, state=None):
        super().__init__()
        self.batches = batches
        self.first = 0 if state is None else state.step

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch, self.batches.first = epoch, self.first
        self.first = 0


def seed_epoch(seed, epoch):
    """Seed PyTorch for an epoch: its loader draws from the process' generator, as dropout does.

    After an epoch that was taken up in its middle the loader has drawn once less. The other backends' dropout has seeds
    of its own.
    """
    if keras.backend.backend() == "torch":
        drawn = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
        import_module("torch").manual_seed(int(drawn))


class Journal(keras.callbacks.Callback):
    """Last in the list: write the journal, restore from it, and end the training when a signal asks for it.

    Args:
        folder: the run's.
        position: the `Position` that is first in the list.
        kept: the callbacks whose plain attributes are part of the state. What is bound to the process, such as a clock,
            sits in an object.
        signals: the `Signals` that are being watched.
        state: the `State` to go on from, or None.
        cadence: when to write it.
        at_once: write one before the first step too.
        record: function that returns the rest of a `State`: `seconds`, `resumed`, `rollbacks` and `chunked`.
    """

    def __init__(self, folder, *, position, kept, signals, record, cadence, state=None, at_once=False):
        super().__init__()
        self.folder, self.position, self.kept, self.signals = folder, position, kept, signals
        self.state, self.cadence, self.record = state, cadence, record
        self.at_once, self.timer = at_once, WriteTimer()
        self.inside = True  # whether one may be written inside an epoch
        self.epoch = self.length = self.first = 0  # which it is, its steps, and the one that it was taken up at
        self.waits_since: float | None = None
        self.random = None  # states of the generators that are to be set as late as can be
        self.timer.start()

    def on_train_begin(self, logs=None):
        if self.state is not None:
            restore_callbacks(self.kept, self.state.callbacks)
        elif self.at_once:
            self.model.optimizer.build(self.model.trainable_variables)
            self._write(0, 0)
        # With several steps to one call, Keras would run past the end of an epoch that was taken up in its middle.
        self.inside = self.model.steps_per_execution == 1

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.length, self.first = epoch, len(self.position.batches), self.position.batches.first
        self.random = None
        if self.state is not None:
            self.random = self.state.random
            if self.first:
                assign(self.model.metrics_variables, self.state.metrics)
            else:
                self._restore_random()
        self.state = None
        # This comes last: what was restored at the beginning of an epoch is how the epoch before it ended.
        seed_epoch(self.position.batches.seed, epoch)

    def on_train_batch_begin(self, batch, logs=None):
        if self.random is not None:
            self._restore_random()

    def _restore_random(self):
        # As late as it was taken: PyTorch's loader draws from its generator when an epoch begins.
        set_random_states(self.random)
        self.random = None

    def on_train_batch_end(self, batch, logs=None):
        done = self.first + batch + 1
        if done >= self.length:
            return
        steps = self.cadence.steps
        due = done % steps == 0 if steps else self.timer.due(at_least=self.cadence.seconds)
        if self.inside and (due or self.signals.caught):
            self._write(self.epoch, done)
        self._stop_if_asked()

    def on_test_batch_end(self, batch, logs=None):
        # Within a validation no journal can be written: a short one is finished, so that its epoch is not lost.
        if self.signals.caught:
            self.waits_since = self.waits_since or time.monotonic()
            if time.monotonic() - self.waits_since > _WAITS:
                raise StopRequest

    def on_epoch_end(self, epoch, logs=None):
        if self.cadence.steps or self.timer.due() or self.signals.caught:
            self._write(epoch + 1, 0)
        self._stop_if_asked()

    def _stop_if_asked(self):
        if self.signals.caught:
            raise StopRequest

    def _write(self, epoch, step):
        """Write the journal; a state that has gone to NaN is not worth going on from, and ends the training."""
        with self.timer.time_write():
            model = self.model
            variables = _values(model.variables)
            if not all(np.isfinite(v).all() for v in variables if v.dtype.kind == "f"):
                model.stop_training = True
                return
            state = State(
                epoch=epoch,
                step=step,
                stopped=bool(model.stop_training) and step == 0,
                variables=variables,
                optimizer=_values(model.optimizer.variables),
                metrics=_values(model.metrics_variables) if step else [],
                callbacks=[[type(c).__name__, _attributes(c)] for c in self.kept],
                random=random_states(),
                **self.record(),
            )
            state.write(self.folder)


def random_states() -> dict:
    """Return the states of the generators that belong to the process; dropout on PyTorch draws from one of them."""
    states = dict(python=random.getstate(), numpy=np.random.get_state())
    if keras.backend.backend() == "torch":
        torch = import_module("torch")
        states["torch"] = torch.get_rng_state().numpy()
        states["cuda"] = [s.numpy() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else []
    return states


def set_random_states(states):
    """Set what `random_states` returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    if "torch" in states:
        torch = import_module("torch")
        torch.set_rng_state(torch.from_numpy(states["torch"]))
        if states["cuda"]:
            torch.cuda.set_rng_state_all([torch.from_numpy(s) for s in states["cuda"]])


def restore(model, state, batch):
    """Bring model and optimizer back to a journal's state.

    Args:
        model: a compiled network; trained or not.
        state: the `State`.
        batch: (x, y) of one step, to make the metrics' variables, which Keras does only when it first needs them.

    Raises:
        KzooError: the journal is of another network.
    """
    model.optimizer.build(model.trainable_variables)
    model.test_on_batch(*batch)
    model.reset_metrics()
    assign(model.variables, state.variables)
    assign(model.optimizer.variables, state.optimizer)


def assign(variables, values):
    """Assign journalled values, all or none.

    Raises:
        KzooError: they do not fit.
    """
    shapes, stored = [tuple(v.shape) for v in variables], [v.shape for v in values]
    if shapes != stored:
        raise KzooError(
            "The journal is of another network: its variables differ. Pass resume='never' to train from scratch."
        )
    for variable, value in zip(variables, values, strict=True):
        if value.dtype.kind == "V":  # bfloat16, which NumPy's files do not know by name
            value = value.view(keras.ops.convert_to_numpy(variable).dtype)
        variable.assign(value)


def restore_callbacks(callbacks, stored):
    """Overwrite the plain attributes of callbacks, after their `on_train_begin`.

    Raises:
        KzooError: they are not the callbacks that the journal knows.
    """
    names = [type(c).__name__ for c in callbacks]
    if names != [name for name, _ in stored]:
        raise KzooError(
            f"The journal is of other callbacks: {', '.join(n for n, _ in stored)}; now {', '.join(names)}."
        )
    for callback, (_, attributes) in zip(callbacks, stored, strict=True):
        vars(callback).update(attributes)


def _attributes(callback):
    return {k: v for k, v in vars(callback).items() if k not in _KERAS_OWN and is_plain(v)}


def _values(variables):
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in variables]
