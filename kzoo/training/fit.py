"""`Fit`: one training with its callbacks, resumed from a journal, and rolled back if it diverges."""

import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras

from kzoo import callbacks as bundles
from kzoo.callbacks.curves import TensorBoard
from kzoo.callbacks.rate import has_settable_rate, scale_learning_rate
from kzoo.training.decision import is_watched_by_keras
from kzoo.training.device import distribution_scope
from kzoo.training.journal import State
from kzoo.training.multi_step import MultiStepCallbackList, single_step_reason
from kzoo.training.objective import EpochObjective
from kzoo.training.progress import ProgressBar
from kzoo.training.resume import Cadence, Journal, Position, StopFlag, restore
from kzoo.training.setup import TrainingSetup, make_variables
from kzoo.utils.argument_checks import AUTO
from kzoo.utils.files import JsonObject
from kzoo.zoo.gradients import free_traced_functions

if TYPE_CHECKING:
    from kzoo.data.pipeline import Batches
    from kzoo.training.max_time import TimeLimit


_TENSORBOARDS = TensorBoard, keras.callbacks.TensorBoard  # without state for the journal
_MAX_ROLLBACKS = 3  # after this many halvings, the learning rate is not the cause


class Fit:
    """A training in a folder, from the beginning or resumed from a journal's state.

    Args:
        job: the `TrainingSetup`.
        folder: folder for the journal and the files of the callback bundle; None if Keras' own `fit` trains.
        state: the `State` to resume from, or None.
        extra: callbacks in addition to the bundle.
        progress: whether to show a progress bar.
        cadence: when to write the journal; None for the default.
        until: the epoch to stop after, if before the last one of the training settings; schedules keep their length.
        models: whether the bundle writes models and curves into the folder.
        steps_per_call: see `kzoo.train`.
        distribution: a `keras.distribution` that splits each batch between devices; None for one device.
        limit: the `TimeLimit` callback of `max_time`, or None.

    Attributes:
        train, validation: the `Batches`; `validation` may be None.
        chunked: whether a call makes many steps (see `kzoo.training.multi_step`); kept when a training is resumed, if
            possible.
        best: the bundle's `BestModel`.
        resumed, rollbacks: how often the training was resumed, and how often it was rolled back.
    """

    def __init__(
        self,
        job: TrainingSetup,
        folder: Path | None,
        *,
        state: State | None = None,
        extra: Sequence[keras.callbacks.Callback] = (),
        progress: bool = False,
        cadence: Cadence | None = None,
        until: int | None = None,
        models: bool = True,
        steps_per_call: int | str = AUTO,
        distribution: keras.distribution.DataParallel | None = None,
        limit: "TimeLimit | None" = None,
    ) -> None:
        self.job = job
        self.folder: Any = folder
        self.state = state
        self.extra = list(extra)
        self.cadence = cadence or Cadence()
        self.until = until or job.training["epochs"]
        self.train, self.validation = job.training_batches(), job.validation_batches()
        self.steps_per_call, self.distribution = steps_per_call, distribution
        with distribution_scope(distribution):
            single_reason = single_step_reason(
                job.core, self.train, self.validation, class_weight=job.class_weight()
            )
        if state is not None and not state.chunked:
            single_reason = "the training started that way"
        self.chunked = single_reason is None and (steps_per_call != 1 or state is not None)
        self.notes = []
        if single_reason and state is not None and state.chunked:
            self.notes = [
                f"Before it was stopped, this training made many steps per call. Now it makes one, because "
                f"{single_reason}. Results differ in the last bits from those of an uninterrupted training."
            ]
        elif single_reason and steps_per_call not in (AUTO, 1):
            self.notes = [
                f"steps_per_call={steps_per_call} has no effect: one step per call, because {single_reason}."
            ]
        self.bundle = job.callbacks(folder if models else None)
        self.recorder = next(c for c in self.bundle if isinstance(c, bundles.Recorder))
        self.recorder.clock = self.seconds
        self.best = next(c for c in self.bundle if isinstance(c, bundles.BestModel))
        self.bar = ProgressBar(
            epochs=job.training["epochs"], batches=self.train, monitor=job.training["monitor"]
        )
        self.progress = progress
        self.progress_callbacks = [self.bar] if progress else []
        self.limit = limit
        self.objective = _objective_callbacks(job, self.validation)
        self.resumed = 0 if state is None else state.resumed + 1
        self.rollbacks = 0 if state is None else state.rollbacks
        self.seconds_before = 0.0 if state is None else state.seconds
        self.started = time.monotonic()

    @property
    def history(self) -> list[dict[str, float]]:
        """The logs of each epoch."""
        return self.recorder.rows

    @property
    def diverged(self) -> bool:
        """Whether the loss or a weight became NaN or infinite."""
        return any(getattr(c, "tripped", False) for c in self.bundle)

    def seconds(self) -> float:
        """Return the seconds of training, including those before it was stopped."""
        return self.seconds_before + time.monotonic() - self.started

    def start(self) -> None:
        """Start the clock."""
        self.started = time.monotonic()

    def train_until_end(self, signals: StopFlag) -> None:
        """Fit; if the training diverges and `on_nan="rollback"`, continue from the last journal at half the rate.

        However it ends, the model then has the best weights.

        Raises:
            StopRequest: a signal was received; the journal has been written.
        """
        self.start()
        try:
            with distribution_scope(self.distribution):
                self._fit_with_rollbacks(signals)
        finally:
            self.bar.close()
            self.end()

    def end(self) -> None:
        """Restore the best weights, also if the user's callbacks changed the model at the end of training."""
        self.best.finish()
        if self.best.restore() and self.extra:
            names = ", ".join(type(callback).__name__ for callback in self.extra)
            print(
                f"A callback ({names}) changed the weights at the end of training. The weights of epoch "
                f"{self.best.best_epoch + 1}, the best by {self.best.monitor}, are saved and scored instead.",
                file=sys.stderr,
            )

    def _fit_with_rollbacks(self, signals: StopFlag) -> None:
        self._fit(signals, self.state)
        while self._rolls_back() and self.rollbacks < _MAX_ROLLBACKS:
            state, _ = State.newest(self.folder)
            if state is None:
                return
            self.rollbacks += 1
            position = f"epoch {state.epoch + 1}" + (f", step {state.step}" if state.step else "")
            print(
                f"{self.best.stopped_because}: going back to {position}, at half the learning rate.",
                file=sys.stderr,
            )
            self._fit(signals, state)

    def _rolls_back(self) -> bool:
        return self.job.training.get("on_nan") == "rollback" and self.diverged

    def _fit(self, signals: StopFlag, state: State | None) -> None:
        """Fit once, from the beginning or from a state."""
        core = self.job.core
        epochs = self.until
        # 1. Compile, create the variables, and restore them from the state.
        if self.rollbacks and not self.job.as_given:
            self.job.compile(slower=0.5**self.rollbacks)
        batch = self.train.batch(0, 0)
        make_variables(core, batch)
        if state is not None:
            restore(core, state, batch)
            # A schedule needs no scaling here: `compile` above has lowered it.
            if self.rollbacks > state.rollbacks and has_settable_rate(core.optimizer):
                scale_learning_rate(core.optimizer, 0.5 ** (self.rollbacks - state.rollbacks))
        # 2. Callbacks: the position comes first, the journal last.
        position = Position(self.train, state)
        journal = Journal(
            self.folder,
            position=position,
            callbacks=[c for c in (*self.bundle, *self.extra) if not isinstance(c, _TENSORBOARDS)],
            signals=signals,
            state=state,
            cadence=self.cadence,
            at_start=self.job.training.get("on_nan") == "rollback",
            record=lambda: dict(
                rollbacks=self.rollbacks,
                resumed=self.resumed,
                seconds=self.seconds(),
                chunked=self.chunked,
            ),
        )
        validation_scope = (
            [] if self.distribution is None else [_UndistributedValidation(self.distribution)]
        )
        callback_list = MultiStepCallbackList(
            [
                *validation_scope,
                position,
                *self.objective,
                *self.bundle,
                *self.extra,
                *self.progress_callbacks,
                *([] if self.limit is None else [self.limit]),
                journal,
            ],
            model=core,
            batches=self.train,
            validation=self.validation,
            epochs=epochs,
            class_weight=self.job.class_weight(),
            chunked=self.chunked,
            max_steps=self.steps_per_call,
            every=self.cadence.steps,
        )
        # 3. Fit.
        with callback_list, free_traced_functions(), warnings.catch_warnings():
            # An epoch that is resumed in its middle has fewer steps than Keras expects.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            # those of a closed form
            warnings.filterwarnings("ignore", "The model does not have any trainable weights")
            try:
                core.fit(
                    **self.arguments(chunked=self.chunked),
                    initial_epoch=0 if state is None else epochs if state.stopped else state.epoch,
                    callbacks=callback_list,
                    verbose=0,
                )
            except Exception:
                # An error in making a batch reaches us wrapped by the backend: raise the original one.
                for batches in filter(None, (self.train, self.validation)):
                    if batches.failed is not None:
                        raise batches.failed from None
                raise

    def arguments(self, *, chunked: bool = False) -> JsonObject:
        """Return the arguments of Keras' `fit` except the callbacks.

        With `chunked`, x only counts steps: `MultiStepCallbackList` gathers the batches.
        """
        train, validation = (
            None if batches is None else batches.counted() if chunked else batches.dataset()
            for batches in (self.train, self.validation)
        )
        return dict(
            x=train,
            validation_data=validation,
            epochs=self.until,
            class_weight=None if chunked else self.job.class_weight(),
            shuffle=False,
        )


def _objective_callbacks(job: TrainingSetup, validation: "Batches | None") -> list[EpochObjective]:
    """Return the callback that computes the objective; an empty list if Keras reports what is monitored."""
    if validation is None or is_watched_by_keras(job.training):
        return []
    return [EpochObjective(job, validation)]


class _UndistributedValidation(keras.callbacks.Callback):
    """Turn the distribution off during validation, whose last batch may be too short to split evenly."""

    def __init__(self, distribution: keras.distribution.DataParallel) -> None:
        super().__init__()
        self.distribution = distribution

    def on_test_begin(self, logs: Mapping[str, float] | None = None) -> None:
        keras.distribution.set_distribution(None)

    def on_test_end(self, logs: Mapping[str, float] | None = None) -> None:
        keras.distribution.set_distribution(self.distribution)
