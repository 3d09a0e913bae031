"""`Trainer`: one trial trained as `kzoo.train` would train it, in the worker process; it never has the test data."""

import gc
import math
import shutil
import time
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np

from kzoo.errors import KzooError
from kzoo.files import finite, read_json, whole_file, write_json
from kzoo.registry import Preset, build
from kzoo.training.fit import Fit
from kzoo.training.journal import State, remove_journal
from kzoo.training.resume import Cadence, StopRequest
from kzoo.training.road import Assignment, prepare_device
from kzoo.tuning.folds import fold_of
from kzoo.tuning.prune import Median, below_median, comparable


class Trainer:
    """Train trials of one search.

    Args:
        preset: the preset as it is settled for the data, with what the user fixed.
        data: a `Dataset` without its test split.
        objective: (name, direction).
        folds: how many parts to cross-validate over, or None.
        fold_seed: draws the folds.
        stop: an object whose `caught` becomes true when training is to end after the step.
        tell: function of (epoch, value), called after each epoch.
    """

    def __init__(self, *, preset: Preset, data, objective, folds, fold_seed, stop=None, tell=None):
        self.preset, self.data, self.objective = preset, data, objective
        self.folds, self.fold_seed = folds, fold_seed
        self.stop, self.tell = stop or SimpleNamespace(caught=None), tell or (lambda epoch, value: None)
        self.policy = prepare_device("auto")
        self.assigned = Assignment(
            preset=preset, config=dict(preset.config), training=dict(preset.training), asked=frozenset(), data=data
        )

    def job(self, overrides, seed, data=None):
        """Return the network of some overrides, ready to fit."""
        name, direction = self.objective
        trial = self.assigned.changed(overrides, data=data, seed=seed)
        metric, metrics = name.removeprefix("val_"), trial.training["metrics"]
        if metric != "loss" and metric not in metrics:
            metrics = (*metrics, metric)
        trial = trial.training_with(monitor=name, mode=direction, callbacks="tuning", metrics=metrics)
        return trial.ready(self.policy)

    def count(self, overrides):
        """Return the number of parameters of some overrides' network.

        Raises:
            KzooError: it cannot be built.
        """
        return build(self.preset, compile=False, **overrides).count_params()

    def probe(self, overrides, samples, seconds=3.0):
        """Look at the default point before anything is trained.

        Args:
            overrides: of the default point.
            samples: overrides of other points, to count their parameters; as many as the time allows.
            seconds: that time.

        Returns:
            `params` (of the default), `counts` (of the samples, None for one that cannot be built), `first` and `step`:
            seconds of the first training step, which compiles it, and of the next one.
        """
        job = self.job(overrides, 0, None if self.folds is None else self._fold(0))
        fit = self._fit(job, Path("."), None, ())
        batch = fit.train.batch(0, 0)
        times = []
        for _ in range(3):
            began = time.perf_counter()
            job.core.train_on_batch(*batch)
            times.append(time.perf_counter() - began)
        counts, began = [], time.monotonic()
        for sample in samples:
            if time.monotonic() - began > seconds:
                break
            try:
                counts.append(self.count(sample))
            except KzooError:
                counts.append(None)
        found = dict(params=job.model.count_params(), counts=counts, first=times[0], step=min(times[1:]))
        _forget()
        return found

    def train(self, *, folder, overrides, seed, until=None, parent=None, peers=(), keep_journal=False):
        """Train a trial; where its folder holds the journal of a killed one, go on with that.

        Args:
            folder: the trial's.
            overrides: settings of the preset that differ.
            seed: of weights, order, dropout and augmentation.
            until: the epoch to stop after; None for the contract's last.
            parent: folder of a trial whose training goes on here (Hyperband).
            peers: what other trials had reached after each epoch, or each fold; empty for no pruning.
            keep_journal: leave the training's state for a trial that goes on with it.

        Returns:
            What `trial.json` holds of it.
        """
        folder = Path(folder)
        try:
            if self.folds is not None:
                return self._cross_validate(folder, overrides, seed, peers)
            return self._train(folder, overrides, seed, until, parent, peers, keep_journal)
        finally:
            _forget()

    def _train(self, folder, overrides, seed, until, parent, peers, keep_journal):
        state, _ = State.newest(folder)
        if state is None and parent is not None:
            state, lines = State.newest(parent)
            if state is None:
                raise KzooError(f"{parent} has no state to go on from. {' '.join(lines)}")
        job = self.job(overrides, seed)
        median = [Median(self.objective, peers, job.training["epochs"])] if peers else []
        fit = self._fit(job, folder, state, median, until, every_epoch=keep_journal)
        found = self._run(fit)
        if any(m.pruned for m in median) and found["status"] == "completed":
            found["status"] = "pruned"
        if found["score"] is not None:
            with whole_file(folder / "best.keras") as temporary:
                fit.save(temporary)
        if found["status"] != "interrupted" and not keep_journal:
            remove_journal(folder)
        return found

    def _fit(self, job, folder, state, extra, until=None, *, every_epoch=False):
        cadence = Cadence(steps=10**9) if every_epoch else Cadence()
        told = _Tell(self.objective[0], self.tell)
        return Fit(job, folder, state=state, extra=[*extra, told], cadence=cadence, until=until, models=False)

    def _run(self, fit):
        """Fit, and return what came of it."""
        interrupted = False
        try:
            fit.train_until_end(self.stop)
        except StopRequest:
            interrupted = True
        rows, best = fit.history, fit.best
        none = best.best_epoch is None
        status, error = "interrupted" if interrupted else "completed", ""
        if fit.diverged or (none and not interrupted):
            status, error = "diverged", best.stopped_because or f"{self.objective[0]} was never finite"
        names = [name for name in (rows[0] if rows else ()) if name not in ("epoch", "seconds")]
        return dict(
            status=status,
            score=None if none or status == "diverged" else float(best.best * best.sign),
            best_epoch=None if none else best.best_epoch + 1,
            epochs=len(rows),
            seconds=round(fit.seconds(), 3),
            params=fit.job.model.count_params(),
            error=error,
            history=finite({name: [row.get(name) for row in rows] for name in names}),
        )

    def _fold(self, number):
        return fold_of(self.data, number, self.folds, self.fold_seed)

    def _cross_validate(self, folder, overrides, seed, peers):
        """Train a network for each fold; the score is the mean of the best epochs', or what that would likely be."""
        parts = []
        for number in range(self.folds):
            place = folder / f"fold-{number + 1}"
            place.mkdir(exist_ok=True)
            part = self._one_fold(place, number, overrides, seed)
            parts.append(part)
            scores = [p["score"] for p in parts]
            if part["status"] != "completed":
                break
            losing = peers and number + 1 < self.folds and below_median(self.objective, peers, number, np.mean(scores))
            if losing:
                part["status"] = "pruned"
                break
        if parts[-1]["status"] != "interrupted":
            for place in folder.glob("fold-*"):
                shutil.rmtree(place, ignore_errors=True)
        found = _together(parts)
        if found["status"] == "pruned":
            found["score"] = comparable(self.objective, peers, len(parts) - 1, found["score"])
        return found

    def _one_fold(self, place, number, overrides, seed):
        done = place / "fold.json"
        if done.is_file():
            return read_json(done)
        state, _ = State.newest(place)
        fit = self._fit(self.job(overrides, seed, self._fold(number)), place, state, ())
        found = self._run(fit)
        if found["status"] == "completed":
            write_json(done, finite(found))
        _forget()
        return found


class _Tell(keras.callbacks.Callback):
    """Tell how far a training is."""

    def __init__(self, name, tell):
        super().__init__()
        self.told = SimpleNamespace(name=name, tell=tell)  # in an object: no state of the training

    def on_epoch_end(self, epoch, logs=None):
        value = (logs or {}).get(self.told.name, math.nan)
        self.told.tell(epoch + 1, float(value))


def _together(parts):
    """Return the results of a trial's folds as one."""
    last, counted = parts[-1], [p for p in parts if p["score"] is not None]
    scores = [p["score"] for p in counted]
    whole = last["status"] in ("completed", "pruned")
    names = list(parts[0]["history"])
    length = min(p["epochs"] for p in parts)
    history = {n: [_mean([p["history"][n][i] for p in parts]) for i in range(length)] for n in names}
    return dict(
        status=last["status"],
        score=float(np.mean(scores)) if whole else None,
        best_epoch=round(np.mean([p["best_epoch"] for p in counted])) if counted else None,
        epochs=sum(p["epochs"] for p in parts),
        seconds=round(sum(p["seconds"] for p in parts), 3),
        params=last["params"],
        error=last["error"],
        folds=scores,
        history=history,
    )


def _mean(values):
    return None if any(v is None for v in values) else float(np.mean(values))


def _forget():
    """Let go of the graphs and weights of a trial: TensorFlow would keep them all."""
    keras.utils.clear_session(free_memory=True)
    gc.collect()
