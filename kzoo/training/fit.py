"""One training: the callbacks around `fit`, from where it goes on, and back where it diverged."""

import sys
import time
import warnings

import keras

from kzoo import callbacks as bundles
from kzoo.callbacks.curves import TensorBoard
from kzoo.callbacks.rate import has_settable_rate, scale_learning_rate
from kzoo.gradients import traces_let_go
from kzoo.training.device import shared_by
from kzoo.training.journal import State
from kzoo.training.multi_step import Calls, why_single
from kzoo.training.progress import ProgressBar
from kzoo.training.resume import Cadence, Journal, Position, restore
from kzoo.training.setup import make_variables
from kzoo.utils.argument_checks import AUTO

_CURVES = TensorBoard, keras.callbacks.TensorBoard  # which have nothing that a journal could keep
_ROLLBACKS = 3  # a training that diverges at an eighth of its learning rate has another fault


class Fit:
    """A training in a folder, from its beginning or from a journal's state on.

    Args:
        job: the network made ready.
        folder: where the journal goes, and what the bundle writes.
        state: the `State` to go on from, or None.
        extra: callbacks beside the bundle's.
        progress: whether to show any.
        cadence: when to write the journal; None for the default.
        until: the epoch to stop after, where that is before the contract's last; its schedules stay as they are.
        models: whether the bundle may write models and curves into the folder.
        steps_per_call: see `kzoo.train`.
        distribution: how each batch is shared out between devices; None for one.

    Attributes:
        train, validation: the batches; `validation` may be None.
        chunked: whether many steps go into a call (see `kzoo.training.multi_step`); it stays so when it is taken
            up again, where it can.
        best: the callback that keeps the best weights.
        resumed, rollbacks: how often it was taken up, and how often it went back.
    """

    def __init__(
        self, job, folder, *, state=None, extra=(), progress=False, cadence=None, until=None, models=True,
        steps_per_call=AUTO, distribution=None,
    ):  # fmt: skip
        self.job, self.folder, self.state, self.extra = job, folder, state, list(extra)
        self.cadence = cadence or Cadence()
        self.until = until or job.training["epochs"]
        self.train, self.validation = job.training_batches(), job.validation_batches()
        self.steps_per_call, self.distribution = steps_per_call, distribution
        with shared_by(distribution):
            single = why_single(job.core, self.train, self.validation, class_weight=job.class_weight())
        if state is not None and not state.chunked:
            single = "it began so"
        self.chunked = single is None and (steps_per_call != 1 or state is not None)
        self.notes = []
        if single and state is not None and state.chunked:
            self.notes = [
                f"Many steps went into a call before it was stopped, and now one does, because {single}: its bits "
                "differ by rounding from those that it would have had."
            ]
        elif single and steps_per_call not in (AUTO, 1):
            self.notes = [f"steps_per_call={steps_per_call}: one step at a time, because {single}."]
        self.bundle = job.callbacks(folder if models else None)
        self.recorder = next(c for c in self.bundle if isinstance(c, bundles.Recorder))
        self.recorder.clock = self.seconds
        self.best = next(c for c in self.bundle if isinstance(c, bundles.BestModel))
        self.bar = ProgressBar(epochs=job.training["epochs"], batches=self.train, monitor=job.training["monitor"])
        self.shown = [self.bar] if progress else []
        self.resumed = 0 if state is None else state.resumed + 1
        self.rollbacks = 0 if state is None else state.rollbacks
        self.before = 0.0 if state is None else state.seconds
        self.began = time.monotonic()

    @property
    def history(self) -> list[dict]:
        """What each epoch gave."""
        return self.recorder.rows

    @property
    def diverged(self) -> bool:
        """Whether the loss or a weight was no longer finite."""
        return any(getattr(c, "tripped", False) for c in self.bundle)

    def seconds(self) -> float:
        """Return the seconds of training, those before it was stopped among them."""
        return self.before + time.monotonic() - self.began

    def start(self):
        """Start the clock."""
        self.began = time.monotonic()

    def train_until_end(self, signals):
        """Fit; where the training diverged and `on_nan` says so, go back to the last journal, at half the rate.

        However it ends, the best weights are in the model then.

        Raises:
            StopRequest: `signals` asked for an end; the journal has been written.
        """
        self.start()
        try:
            with shared_by(self.distribution):
                self._fit_until_it_holds(signals)
        finally:
            self.bar.close()
            self.end()

    def end(self):
        """Leave in the model what is saved, the best weights, whatever the user's callbacks did as they ended."""
        self.best.finish()
        if self.best.restore() and self.extra:
            names = ", ".join(type(one).__name__ for one in self.extra)
            print(
                f"A callback ({names}) changed the weights as training ended: epoch {self.best.best_epoch + 1}, the "
                f"best by {self.best.monitor}, is what is saved and scored.",
                file=sys.stderr,
            )

    def _fit_until_it_holds(self, signals):
        self._fit(signals, self.state)
        while self._goes_back() and self.rollbacks < _ROLLBACKS:
            state, _ = State.newest(self.folder)
            if state is None:
                return
            self.rollbacks += 1
            where = f"epoch {state.epoch + 1}" + (f", step {state.step}" if state.step else "")
            print(f"{self.best.stopped_because}: back to {where}, at half the learning rate.", file=sys.stderr)
            self._fit(signals, state)

    def _goes_back(self):
        return self.job.training.get("on_nan") == "rollback" and self.diverged

    def _fit(self, signals, state):
        core, epochs = self.job.core, self.until
        if self.rollbacks and not self.job.as_given:
            self.job.compile(slower=0.5**self.rollbacks)
        batch = self.train.batch(0, 0)
        make_variables(core, batch)
        if state is not None:
            restore(core, state, batch)
            if self.rollbacks > state.rollbacks and has_settable_rate(core.optimizer):  # a schedule has been compiled lower
                scale_learning_rate(core.optimizer, 0.5 ** (self.rollbacks - state.rollbacks))
        position = Position(self.train, state)
        journal = Journal(
            self.folder,
            position=position,
            kept=[c for c in (*self.bundle, *self.extra) if not isinstance(c, _CURVES)],
            signals=signals,
            state=state,
            cadence=self.cadence,
            at_once=self.job.training.get("on_nan") == "rollback",
            record=lambda: dict(
                rollbacks=self.rollbacks, resumed=self.resumed, seconds=self.seconds(), chunked=self.chunked
            ),
        )
        shared = [] if self.distribution is None else [_AloneWhileItValidates(self.distribution)]
        calls = Calls(
            [*shared, position, *self.bundle, *self.extra, *self.shown, journal],
            model=core,
            batches=self.train,
            validation=self.validation,
            epochs=epochs,
            class_weight=self.job.class_weight(),
            chunked=self.chunked,
            most=self.steps_per_call,
            every=self.cadence.steps,
        )
        with calls, traces_let_go(), warnings.catch_warnings():
            # An epoch that is taken up in its middle is shorter than Keras was told.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            try:
                core.fit(
                    **self.arguments(chunked=self.chunked),
                    initial_epoch=0 if state is None else epochs if state.stopped else state.epoch,
                    callbacks=calls,
                    verbose=0,
                )
            except Exception:
                for batches in filter(None, (self.train, self.validation)):
                    if batches.failed is not None:
                        raise batches.failed from None
                raise

    def arguments(self, *, chunked=False) -> dict:
        """Return what Keras' `fit` takes, but for the callbacks; no batches where `Calls` makes them."""
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


class _AloneWhileItValidates(keras.callbacks.Callback):
    """Let validation batches, the last of which is shorter, go to each device whole."""

    def __init__(self, distribution):
        super().__init__()
        self.distribution = distribution

    def on_test_begin(self, logs=None):
        keras.distribution.set_distribution(None)

    def on_test_end(self, logs=None):
        keras.distribution.set_distribution(self.distribution)
