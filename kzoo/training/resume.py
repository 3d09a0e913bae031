"""Resuming a killed training exactly where it was: signals, and callbacks that write and restore the journal.

Between two steps the full state of a training is: the variables of model, optimizer and metrics (including the seeds of
dropout), the plain attributes of its callbacks, and the position (epoch, step), which determines order and augmentation
(`kzoo.data.pipeline`).
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Protocol

import keras
import numpy as np

from kzoo.callbacks.saving import WriteTimer
from kzoo.training.journal import State, is_plain
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches


_MAX_WAIT = 3.0  # seconds that a signal waits for a running validation
_KERAS_OWN = {"_model", "params", "validation_data"}


class StopRequest(BaseException):
    """Raised after a signal, once the journal is written; a long validation ends without writing one.

    A `BaseException`: `except Exception` must not catch it.
    """


class StopFlag(Protocol):
    """Tells a training to end: `Signals`, or the `Stop` of a worker."""

    @property
    def caught(self) -> int | None: ...


class Signals:
    """Records SIGINT and SIGTERM: `caught` is the number of the first signal, or None."""

    caught = None

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.caught is not None:
            os._exit(128 + number)
        self.caught = number

    @contextmanager
    def watched(self) -> "Iterator[Signals]":
        """Catch SIGINT and SIGTERM inside the block. A second signal exits at once. Only works in the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield self
            return
        previous = {
            number: signal.signal(number, self._handle)
            for number in (signal.SIGINT, signal.SIGTERM)
        }
        try:
            yield self
        finally:
            for number, handler in previous.items():
                # None: the handler was not installed from Python, which cannot restore it
                signal.signal(number, signal.SIG_DFL if handler is None else handler)


@dataclass(frozen=True, kw_only=True)
class Cadence:
    """How often the journal is written.

    Args:
        seconds: minimum seconds between two journals inside an epoch. There and at the end of epochs, journals take at
            most about one percent of the time.
        steps: write a journal after every this many steps and after every epoch instead, whatever it costs.

    Raises:
        KzooError: `seconds` is not a number of at least 0, or `steps` not a positive integer or None.
    """

    seconds: float = 30.0
    steps: int | None = None

    def __post_init__(self) -> None:
        seconds, steps = self.seconds, self.steps
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 0:
            raise KzooError(
                "must be a number of seconds, 0 or more.", argument="journal_seconds", value=seconds
            )
        if steps is not None and (
            isinstance(steps, bool) or not isinstance(steps, int) or steps < 1
        ):
            raise KzooError(
                "must be a positive integer, or None.", argument="journal_steps", value=steps
            )


class Position(keras.callbacks.Callback):
    """Set the position (epoch, first step) of the batches; first in the list of callbacks.

    Args:
        batches: the training split's `Batches`.
        state: the `State` to resume from, or None.
    """

    def __init__(self, batches: "Batches", state: State | None = None) -> None:
        super().__init__()
        self.batches = batches
        self.first = 0 if state is None else state.step

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.batches.epoch, self.batches.first = epoch, self.first
        self.first = 0


def seed_epoch(seed: int, epoch: int) -> None:
    """Seed PyTorch for an epoch: its loader and dropout draw from the same process-wide generator.

    In an epoch that was resumed in its middle, the loader draws one number less, which this evens out. Dropout of the
    other backends has its own seeds.
    """
    if keras.backend.backend() == "torch":
        state = np.random.SeedSequence([seed, epoch]).generate_state(1)[0]
        import_module("torch").manual_seed(int(state))


class Journal(keras.callbacks.Callback):
    """Write the journal, restore callbacks from it, and stop training after a signal; last in the list of callbacks.

    Args:
        folder: the run's folder.
        position: the `Position` that is first in the list.
        callbacks: the callbacks whose plain attributes are part of the state. State that belongs to the process, such
            as a clock, must be in an object.
        signals: the `StopFlag` to obey.
        state: the `State` to resume from, or None.
        cadence: the `Cadence` of the journal.
        at_start: also write a journal before the first step.
        record: function that returns the other fields of a `State`: `seconds`, `resumed`, `rollbacks` and `chunked`.
    """

    def __init__(
        self,
        folder: Path,
        *,
        position: Position,
        callbacks: Sequence[keras.callbacks.Callback],
        signals: StopFlag,
        record: Callable[[], JsonObject],
        cadence: Cadence,
        state: State | None = None,
        at_start: bool = False,
    ) -> None:
        super().__init__()
        self.folder = folder
        self.position = position
        self.callbacks = callbacks
        self.signals = signals
        self.state, self.cadence, self.record = state, cadence, record
        self.at_start = at_start
        self.timer = WriteTimer()
        self.can_write_in_epoch = True  # False if Keras makes several steps per call
        # the epoch, its number of steps, and its first step
        self.epoch = self.length = self.first = 0
        self.signalled_at: float | None = None
        self.random: JsonObject | None = (
            None  # states of the random generators, set as late as possible
        )
        self.timer.start()

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        if self.state is not None:
            restore_callbacks(self.callbacks, self.state.callbacks)
        elif self.at_start:
            self.model.optimizer.build(self.model.trainable_variables)
            self._write(0, 0)
        # With several steps per call, Keras would run past the end of an epoch that is resumed in its middle.
        self.can_write_in_epoch = self.model.steps_per_execution == 1

    def on_epoch_begin(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        self.epoch, self.length, self.first = (
            epoch,
            len(self.position.batches),
            self.position.batches.first,
        )
        self.random = None
        if self.state is not None:
            self.random = self.state.random
            if self.first:
                assign(self.model.metrics_variables, self.state.metrics)
            else:
                self._restore_random()
        self.state = None
        # Last: at the start of an epoch, the restored state is that of the end of the previous epoch.
        seed_epoch(self.position.batches.seed, epoch)

    def on_train_batch_begin(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # At the first step, where it was saved: PyTorch's loader draws from the generator when an epoch begins.
        self._restore_random()

    def _restore_random(self) -> None:
        """Set the states of the random generators, if they are still those of the process."""
        if self.random is not None:
            set_random_states(self.random)
            self.random = None

    def on_train_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        done = self.first + batch + 1
        if done >= self.length:
            return
        steps = self.cadence.steps
        due = done % steps == 0 if steps else self.timer.due(at_least=self.cadence.seconds)
        if self.can_write_in_epoch and (due or self.signals.caught):
            self._write(self.epoch, done)
        self._stop_after_signal()

    def on_test_batch_end(self, batch: int, logs: Mapping[str, float] | None = None) -> None:
        # No journal can be written during validation: finish a short one, so that the epoch is not lost.
        if self.signals.caught:
            self.signalled_at = self.signalled_at or time.monotonic()
            if time.monotonic() - self.signalled_at > _MAX_WAIT:
                raise StopRequest

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        if self.cadence.steps or self.timer.due() or self.signals.caught:
            self._write(epoch + 1, 0)
        self._stop_after_signal()

    def _stop_after_signal(self) -> None:
        if self.signals.caught:
            raise StopRequest

    def _write(self, epoch: int, step: int) -> None:
        """Write the journal, or stop training if a weight is not finite."""
        with self.timer.time_write():
            model = self.model
            variables = _to_arrays(model.variables)
            if not all(np.isfinite(v).all() for v in variables if v.dtype.kind == "f"):
                model.stop_training = True
                return
            state = State(
                epoch=epoch,
                step=step,
                # within an epoch, a resumed training goes on
                stopped=bool(model.stop_training) and step == 0,
                variables=variables,
                optimizer=_to_arrays(model.optimizer.variables),
                metrics=_to_arrays(model.metrics_variables) if step else [],
                callbacks=[[type(c).__name__, _attributes(c)] for c in self.callbacks],
                random=random_states(),
                **self.record(),  # the other fields
            )
            state.write(self.folder)


def random_states() -> JsonObject:
    """Return the states of the process-wide random generators; dropout on PyTorch uses one of them."""
    states = dict(python=random.getstate(), numpy=np.random.get_state())
    if keras.backend.backend() == "torch":
        torch = import_module("torch")
        states["torch"] = torch.get_rng_state().numpy()
        states["cuda"] = (
            [s.numpy() for s in torch.cuda.get_rng_state_all()] if torch.cuda.is_available() else []
        )
    return states


def set_random_states(states: JsonObject) -> None:
    """Restore states that `random_states` returned."""
    random.setstate(states["python"])
    np.random.set_state(states["numpy"])
    if "torch" in states:
        torch = import_module("torch")
        torch.set_rng_state(torch.from_numpy(states["torch"]))
        if states["cuda"]:
            torch.cuda.set_rng_state_all([torch.from_numpy(s) for s in states["cuda"]])


def restore(model: keras.Model, state: State, batch: Sequence[np.ndarray]) -> None:
    """Restore model and optimizer from a journal's state.

    Args:
        model: a compiled network, trained or not.
        state: the `State`.
        batch: (x, y) of one step, to create the variables of the metrics, which Keras does only when it needs them.

    Raises:
        KzooError: the journal is from another network.
    """
    model.optimizer.build(model.trainable_variables)
    model.test_on_batch(*batch)
    model.reset_metrics()
    assign(model.variables, state.variables)
    assign(model.optimizer.variables, state.optimizer)


def assign(variables: Sequence[keras.Variable], values: Sequence[np.ndarray]) -> None:
    """Assign the values of a journal to variables, all or none.

    Raises:
        KzooError: their number or shapes differ.
    """
    shapes = [tuple(v.shape) for v in variables]
    stored = [v.shape for v in values]
    if shapes != stored:
        raise KzooError(
            "The journal is from another network: its variables differ. Pass resume='never' to train from scratch."
        )
    for variable, value in zip(variables, values, strict=True):
        if value.dtype.kind == "V":  # bfloat16, whose name is not stored in NumPy files
            value = value.view(keras.ops.convert_to_numpy(variable).dtype)
        variable.assign(value)


def restore_callbacks(
    callbacks: Sequence[keras.callbacks.Callback], stored: Iterable[tuple[str, JsonObject]]
) -> None:
    """Restore the plain attributes of callbacks, after their `on_train_begin`.

    Raises:
        KzooError: they are not the callbacks of the journal.
    """
    stored = [_with_current_names(name, attributes) for name, attributes in stored]
    names = [type(c).__name__ for c in callbacks]
    if names != [name for name, _ in stored]:
        raise KzooError(
            f"The journal has other callbacks: {', '.join(n for n, _ in stored)}; now {', '.join(names)}. Pass the "
            "same callbacks, or resume='never'."
        )
    for callback, (_, attributes) in zip(callbacks, stored, strict=True):
        vars(callback).update(attributes)


# Former names of callback classes and of their attributes, in journals of version 0.1.
_CURRENT_CLASS = {
    "_AloneWhileItValidates": "_UndistributedValidation",
    "_Order": "_EpochOrder",
    "_Kept": "_RunWriter",
}
_CURRENT_ATTRIBUTE = {
    "Debug": {"said": "printed"},
    "Teacher": {"known": "previous_best", "said_gap": "gap_printed", "bad": "gap_epochs"},
}


def _with_current_names(name: str, attributes: JsonObject) -> tuple[str, JsonObject]:
    renamed = _CURRENT_ATTRIBUTE.get(name, {})
    return _CURRENT_CLASS.get(name, name), {
        renamed.get(key, key): value for key, value in attributes.items()
    }


def _attributes(callback: keras.callbacks.Callback) -> JsonObject:
    return {k: v for k, v in vars(callback).items() if k not in _KERAS_OWN and is_plain(v)}


def _to_arrays(variables: Sequence[keras.Variable]) -> list[np.ndarray]:
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in variables]
