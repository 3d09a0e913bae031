"""One training: the callbacks around `fit`, and the files, however it ends."""

import signal
import sys
import time
import warnings
from contextlib import nullcontext, suppress

import keras
import numpy as np

from kzoo import callbacks as bundles
from kzoo.data.pipeline import Batches
from kzoo.errors import Interrupted, KzooError
from kzoo.files import whole_file, write_json
from kzoo.loading import registered_in
from kzoo.plots.curves import curves
from kzoo.run import Run
from kzoo.training.answers import score_and_keep
from kzoo.training.folder import finite, plain, provenance, replaced
from kzoo.training.journal import has_journal, read_journal, remove_journal
from kzoo.training.progress import ProgressBar
from kzoo.training.resume import Journal, Position, restore
from kzoo.training.signals import Signals, StopRequest

_ROLLBACKS = 3  # a training that diverges at an eighth of its learning rate has another fault


class Fit:
    """One training, its files and its ending, however it ends.

    Args:
        job: the network made ready.
        claim: the folder, and the journal's state to go on from.
        request: what `config.json` says was asked.
        extra: callbacks of the user's.
        progress: whether to show any.
        journal: when to write it, as arguments of `Journal`.
        until: the epoch to stop after, where that is before the contract's last; its schedules stay as they are.
        models: whether the bundle may write models and curves into the folder.
    """

    def __init__(self, job, claim, request, extra, *, progress, journal, until=None, models=True):
        self.job, self.folder, self.state, self.request = job, claim.folder, claim.state, request
        self.journal, self.extra, self.until = journal, extra, until or job.training["epochs"]
        training = job.spec["training"]
        shared = dict(batch_size=training["batch_size"], onehot=job.onehot, standardize=job.standardize)
        self.train = Batches(
            job.data.train, shuffle=True, seed=job.spec["seed"], augment=training.get("augment", ()), **shared
        )
        self.validation = None if job.data.validation is None else Batches(job.data.validation, **shared)
        self.monitor = training["monitor"]
        sample = {"sample": self.train.batch(0, 0)} if training["callbacks"] == "debug" else {}
        self.bundle = getattr(bundles, training["callbacks"])(
            self.folder if models else None,
            **sample,
            monitor=self.monitor,
            mode=training.get("mode"),
            patience=training["patience"],
            stop_early=training["schedule"] in ("constant", "plateau") if "schedule" in training else None,
            reduce_on_plateau=training.get("schedule") == "plateau",
            save=self.save,
        )
        self.best = next(c for c in self.bundle if isinstance(c, bundles.BestModel))
        self.bar = ProgressBar(epochs=training["epochs"], batches=self.train, monitor=self.monitor)
        self.shown = [self.bar] if progress else []

    def save(self, path):
        """Write the model, in float32 and with answers in their own unit."""
        if self.job.saved is not self.job.model:
            self.job.saved.set_weights(self.job.model.get_weights())
        self.job.saved.save(path)

    def run(self):
        with replaced(self.folder) if self.state is None else nullcontext():
            if self.state is None:
                write_json(self.folder / "preprocessing.json", plain(self.job.data.preprocessing))
                write_json(self.folder / "config.json", plain(self.request | provenance()))
            self._run()
        return self._opened()

    def _opened(self):
        own = self.job.spec["family"] is None
        return Run(self.folder, trusted=registered_in(self.job.saved) if own else ())

    def _run(self):
        signals, interrupted = Signals(), False
        try:
            with signals.watched():
                self.train_until_end(signals)
        except (StopRequest, KeyboardInterrupt):
            interrupted = True
        finally:
            self.bar.close()
            self.keep_best()
        if signals.caught == signal.SIGTERM:
            print(f"{self.folder}: stopped by SIGTERM; the same call goes on from there.", file=sys.stderr)
            raise SystemExit(128 + signal.SIGTERM)
        self._summarise(interrupted)
        if not interrupted:
            remove_journal(self.folder)
        elif "ipykernel" not in sys.modules:
            raise Interrupted(self._opened())

    def keep_best(self):
        """Leave the best weights in the model, also where `fit` was interrupted."""
        if self.best.model is not None and not getattr(self.best, "finished", True):
            self.best.finish()

    def seconds(self):
        """Return the seconds of training, those before it was stopped among them."""
        return self.before + time.monotonic() - self.began

    def train_until_end(self, signals):
        """Fit; where the training diverged and `on_nan` says so, go back to the last journal, at half the rate.

        Raises:
            StopRequest: `signals` asked for an end; the journal has been written.
        """
        state = self.state
        self.before, self.began = (state["seconds"] if state else 0.0), time.monotonic()
        self.resumed = (state["resumed"] + 1) if state else 0
        self.rollbacks = state["rollbacks"] if state else 0
        self._fit(signals, state)
        while self._goes_back() and self.rollbacks < _ROLLBACKS:
            state, _ = read_journal(self.folder)
            if state is None:
                return
            self.rollbacks = state["rollbacks"] + 1
            where = f"epoch {state['epoch'] + 1}" + (f", step {state['step']}" if state["step"] else "")
            print(f"{self.best.stopped_because}: back to {where}, at half the learning rate.", file=sys.stderr)
            self._fit(signals, state, slower=True)

    @property
    def diverged(self):
        """Whether the loss or a weight was no longer finite."""
        return any(getattr(c, "tripped", False) for c in self.bundle)

    def _goes_back(self):
        return self.job.training.get("on_nan") == "rollback" and self.diverged

    def _fit(self, signals, state, *, slower=False):
        core, epochs = self.job.core, self.until
        if self.rollbacks:
            self.job.compile(slower=0.5**self.rollbacks)
        if state is not None:
            restore(core, state, self.train.batch(0, 0))
            if slower:
                with suppress(TypeError):  # a schedule, which has been compiled lower already
                    core.optimizer.learning_rate = float(core.optimizer.learning_rate) / 2
        position = Position(self.train, state)
        journal = Journal(
            self.folder,
            position=position,
            kept=[c for c in (*self.bundle, *self.extra) if not isinstance(c, keras.callbacks.TensorBoard)],
            signals=signals,
            state=state,
            at_once=self.job.training.get("on_nan") == "rollback",
            record=lambda: dict(rollbacks=self.rollbacks, resumed=self.resumed, seconds=self.seconds()),
            **self.journal,
        )
        with warnings.catch_warnings():
            # An epoch that is taken up in its middle is shorter than Keras was told.
            warnings.filterwarnings("ignore", "Your input ran out of data")
            core.fit(
                self.train.dataset(),
                validation_data=None if self.validation is None else self.validation.dataset(),
                initial_epoch=0 if state is None else epochs if state["stopped"] else state["epoch"],
                epochs=epochs,
                callbacks=[position, *self.bundle, *self.extra, *self.shown, journal],
                class_weight=self._class_weight(self.job.training),
                shuffle=False,
                verbose=0,
            )

    def _class_weight(self, training):
        if training.get("class_weight") != "balanced" or "classes" not in self.job.data.problem.facts:
            return None
        labels = np.asarray(self.job.data.train.y)
        counts = np.bincount(labels, minlength=self.job.data.outputs)
        return {i: len(labels) / (len(counts) * max(int(n), 1)) for i, n in enumerate(counts)}

    def _summarise(self, interrupted):
        job, history = self.job, self.bundle[0].rows
        if not history:
            goes_on = has_journal(self.folder)
            more = "the same call goes on from there" if goes_on else "nothing was kept"
            raise KeyboardInterrupt(f"stopped before the first epoch ended; {more}")
        if self.best.best_epoch is None:
            reason = self.best.stopped_because or "no epoch had a finite value"
            raise KzooError(f"Training failed: {reason}.")
        trained = len(history) * len(job.data.train)
        model = job.model
        if job.saved is not job.model:
            model = job.saved
            model.set_weights(job.model.get_weights())
        summary = dict(
            **score_and_keep(model, job.data, self.folder, batch_size=max(job.spec["training"]["batch_size"], 128)),
            monitor=self.monitor,
            best_epoch=self.best.best_epoch + 1,
            best_value=self.best.best * self.best.sign,
            epochs=len(history),
            interrupted=interrupted,
            stopped_because="interrupted" if interrupted else self.best.stopped_because or "all epochs done",
            seconds=round(self.seconds(), 2),
            resumed=self.resumed,
            rollbacks=self.rollbacks,
            samples_per_second=round(trained / max(sum(r["seconds"] for r in history), 1e-9), 1),
            parameters=model.count_params(),
        )
        rows = {name: [row.get(name) for row in history] for name in history[0]}
        with whole_file(self.folder / "curves.png", sync=False) as temporary:
            curves(rows, monitor=self.monitor, best_epoch=self.best.best_epoch + 1).savefig(temporary, dpi=120)
        write_json(self.folder / "summary.json", finite(summary))
