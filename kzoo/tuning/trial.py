"""Training of one trial in the worker process, as by `kzoo.train` but without test data.

`Trainer` trains it, with folds if requested; `Median` stops trials that are worse than the median.
"""

import gc
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from types import SimpleNamespace
from typing import TypeAlias

import keras
import numpy as np

from kzoo.data.dataset import Dataset
from kzoo.problems.stored_types import Overrides, TrainingSettings, plain
from kzoo.training.device import prepare_device
from kzoo.training.fit import Fit
from kzoo.training.journal import State, remove_journal
from kzoo.training.mean_correction import correct
from kzoo.training.plan import TrainingPlan
from kzoo.training.resume import Cadence, Signals, StopFlag, StopRequest
from kzoo.training.setup import TrainingSetup, make_variables
from kzoo.tuning.folds import fold_of
from kzoo.tuning.records import Objective, Outcome, Trial, differing
from kzoo.tuning.spaces.function_space import FunctionSpace
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject, finite, whole_file
from kzoo.zoo.gradients import free_traced_functions
from kzoo.zoo.registry import Preset

# (best value at each step, whether it is complete)
Peers: TypeAlias = Sequence[tuple[list[float | None], bool]]

_STARTUP = 3  # trials that must have ended before one can be pruned
_GRACE = (2, 0.1)  # epochs, or this share of them, without pruning: slow starters may end well


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Measurements of the default point before the search.

    Args:
        params: its number of parameters.
        counts: those of other points, None for one that cannot be built.
        first, step: seconds of the first training step, which compiles the network, and of the next one.
    """

    params: int
    counts: list[int | None]
    first: float
    step: float


class Trainer:
    """Trains the trials of a search.

    Args:
        preset: the preset adapted to the data, with the user's fixed settings; or a `FunctionSpace`.
        overridden: names of the settings that the user has set.
        scored: training settings of an objective that a callback computes; None for a metric that Keras reports.
        weights, freeze: initial weights of each trial (see `InitialWeights`).
        data: a `Dataset` without its test split.
        objective: the `Objective`.
        folds: number of folds, or None.
        fold_seed: seed of the division into folds.
        stop: the `Signals`; training ends after the current step once `caught` is true.
        tell: function of (epoch, objective), called after each epoch.
    """

    def __init__(
        self,
        *,
        preset: Preset | FunctionSpace,
        data: Dataset,
        objective: Sequence[str],
        folds: int | None,
        fold_seed: int,
        overridden: frozenset[str] = frozenset(),
        scored: TrainingSettings | None = None,
        weights: str | None = None,
        freeze: str | bool | tuple[str, ...] | None = None,
        stop: StopFlag | None = None,
        tell: Callable[[int, float], object] | None = None,
    ):
        self.data = data
        self.objective = Objective(*objective)
        self.scored = scored
        self.folds = folds or 0
        self.fold_seed = fold_seed
        self.weights = weights
        self.freeze = freeze
        self.stop = stop or Signals()
        self.tell = tell or (lambda epoch, value: None)
        prepare_device("auto")
        self.plan: TrainingPlan | FunctionSpace = (
            preset
            if isinstance(preset, FunctionSpace)
            else TrainingPlan(
                preset=preset,
                config=dict(preset.config),
                training=dict(preset.training),
                requested=overridden,
                data=data,
            )
        )

    def job(self, overrides: Overrides, seed: int, data: Dataset | None = None) -> TrainingSetup:
        """Return the network of some overrides, ready to fit."""
        name, direction = self.objective
        trial = self.plan.changed(overrides, data=self.data if data is None else data, seed=seed)
        trial = trial.with_training(monitor=name, mode=direction, callbacks="tuning")
        if self.scored is not None:
            trial = trial.with_training(**self.scored)
        elif trial.custom_model is None:
            metric = name.removeprefix("val_")
            metrics = trial.training["metrics"]
            trial = trial.with_training(
                metrics=metrics if metric in ("loss", *metrics) else (*metrics, metric)
            )
        return trial.ready(trial.policy(), weights=self.weights, freeze=self.freeze)

    def count(self, overrides: Overrides) -> int:
        """Return the number of parameters of the network of some overrides.

        Raises:
            KzooError: it cannot be built.
        """
        return self.plan.count(overrides)

    def probe(
        self, overrides: Overrides, samples: Iterable[Overrides], seconds: float = 3.0
    ) -> Probe:
        """Return the `Probe` of the default point.

        Args:
            overrides: of the default point.
            samples: overrides of other points whose parameters are counted while the time lasts.
            seconds: that time.
        """
        job = self.job(overrides, 0, self._fold(0) if self.folds else None)
        fit = self._fit(job, Path("."), None, ())
        batch = fit.train.batch(0, 0)
        make_variables(job.core, batch)
        times = []  # seconds; the first step includes the compilation
        with free_traced_functions():
            for _ in range(3):
                started = time.perf_counter()
                job.core.train_on_batch(*batch)
                times.append(time.perf_counter() - started)
        counts: list[int | None] = []
        started = time.monotonic()
        for sample in samples:
            if time.monotonic() - started > seconds:
                break
            try:
                counts.append(self.count(sample))
            except KzooError:
                counts.append(None)
        probe = Probe(
            params=job.model.count_params(), counts=counts, first=times[0], step=min(times[1:])
        )
        _free_memory()
        return probe

    def train(
        self,
        *,
        folder: str | os.PathLike[str],
        overrides: Overrides,
        seed: int,
        until: int | None = None,
        parent: str | os.PathLike[str] | None = None,
        peers: Peers = (),
        keep_journal: bool = False,
    ) -> Outcome:
        """Train a trial and return its `Outcome`; continue from the journal in its folder if there is one.

        Args:
            folder: the trial's folder.
            overrides: settings that differ from the preset.
            seed: of weights, order, dropout and augmentation.
            until: the epoch to stop after; None for the last one of the settings.
            parent: folder of the trial whose training continues here (Hyperband).
            peers: curves of other trials as from `peers_of`; empty for no pruning.
            keep_journal: keep the training state for a trial that continues this one.
        """
        folder = Path(folder)
        try:
            if self.folds:
                outcome = self._cross_validate(folder, overrides, seed, peers)
            else:
                outcome = self._train(folder, overrides, seed, until, parent, peers, keep_journal)
            return replace(outcome, settled=self._changed_settings(overrides))
        finally:
            _free_memory()

    def _changed_settings(self, overrides: Overrides) -> JsonObject | None:
        """Return the settings in which a trial differs from the preset; None for models of a function."""
        if isinstance(self.plan, FunctionSpace):
            return None
        before, after = (
            plain(plan.config | plan.training) for plan in (self.plan, self.plan.changed(overrides))
        )
        return differing(before, after)

    def _train(
        self,
        folder: Path,
        overrides: Overrides,
        seed: int,
        until: int | None,
        parent: str | os.PathLike[str] | None,
        peers: Peers,
        keep_journal: bool,
    ) -> Outcome:
        state, _ = State.newest(folder)
        if state is None and parent is not None:
            state, notes = State.newest(Path(parent))
            if state is None:
                raise KzooError(
                    f"{parent} has no training state to continue from. {' '.join(notes)}"
                )
        job = self.job(overrides, seed)
        pruning = [Median(self.objective, peers, job.training["epochs"])] if peers else []
        fit = self._fit(job, folder, state, pruning, until, every_epoch=keep_journal)
        outcome = self._run(fit)
        if any(callback.pruned for callback in pruning) and outcome.status == "completed":
            outcome = replace(outcome, status="pruned")
        if outcome.score is not None:
            if fit.job.corrects_mean:
                correct(fit.job, batch_size=max(fit.job.training["batch_size"], 128))
            with whole_file(folder / "best.keras") as temporary:
                fit.job.save(temporary)
        if outcome.status != "interrupted" and not keep_journal:
            remove_journal(folder)
        return outcome

    def _fit(
        self,
        job: TrainingSetup,
        folder: Path,
        state: State | None,
        extra: Sequence[keras.callbacks.Callback],
        until: int | None = None,
        *,
        every_epoch: bool = False,
    ) -> Fit:
        cadence = Cadence(steps=10**9) if every_epoch else Cadence()
        reporter = _Tell(self.objective.name, self.tell)
        return Fit(
            job,
            folder,
            state=state,
            extra=[*extra, reporter],
            cadence=cadence,
            until=until,
            models=False,
        )

    def _run(self, fit: Fit) -> Outcome:
        """Fit and return the outcome."""
        interrupted = False
        try:
            fit.train_until_end(self.stop)
        except StopRequest:
            interrupted = True
        history, best = fit.history, fit.best
        unscored = best.best_epoch is None
        status = "interrupted" if interrupted else "completed"
        error = ""
        if fit.diverged or (unscored and not interrupted):
            status = "diverged"
            error = best.stopped_because or f"{self.objective.name} was never finite"
        names = [
            name for name in (history[0] if history else ()) if name not in ("epoch", "seconds")
        ]
        return Outcome(
            status=status,
            score=None if unscored or status == "diverged" else float(best.best * best.sign),
            best_epoch=None if unscored else best.best_epoch + 1,
            epochs=len(history),
            seconds=round(fit.seconds(), 3),
            params=fit.job.model.count_params(),
            error=error,
            history=finite({name: [row.get(name) for row in history] for name in names}),
        )

    def _fold(self, number: int) -> Dataset:
        return fold_of(self.data, number, self.folds, self.fold_seed)

    def _cross_validate(
        self, folder: Path, overrides: Overrides, seed: int, peers: Peers
    ) -> Outcome:
        """Train a network for each fold.

        The score is the mean of the folds' best epochs; if pruned, an estimate of that mean over all folds.
        """
        parts = []
        for number in range(self.folds):
            path = folder / f"fold-{number + 1}"
            path.mkdir(exist_ok=True)
            parts.append(self._train_fold(path, number, overrides, seed))
            if parts[-1].status != "completed":
                break
            if peers and number + 1 < self.folds:
                score = _mean([part.score for part in parts])
                if score is not None and below_median(self.objective, peers, number, score):
                    parts[-1] = replace(parts[-1], status="pruned")
                    break
        if parts[-1].status != "interrupted":
            for path in folder.glob("fold-*"):
                shutil.rmtree(path, ignore_errors=True)
        outcome = _combine_folds(parts)
        if outcome.status == "pruned" and outcome.score is not None:
            outcome = replace(
                outcome,
                score=estimate_all_folds(self.objective, peers, len(parts) - 1, outcome.score),
            )
        return outcome

    def _train_fold(self, folder: Path, number: int, overrides: Overrides, seed: int) -> Outcome:
        file = folder / "fold.json"
        if file.is_file():
            return Outcome.read(file)
        state, _ = State.newest(folder)
        fit = self._fit(self.job(overrides, seed, self._fold(number)), folder, state, ())
        outcome = self._run(fit)
        if outcome.status == "completed":
            outcome.write(file)
        _free_memory()
        return outcome


# Journals store the names of the two callbacks below and their attributes: renaming them would break resuming.
class _Tell(keras.callbacks.Callback):
    """Reports the objective after each epoch."""

    def __init__(self, name: str, tell: Callable[[int, float], object]):
        super().__init__()
        # In a namespace, so that it is not saved with the training state.
        self.report = SimpleNamespace(name=name, tell=tell)

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        value = (logs or {}).get(self.report.name, math.nan)
        self.report.tell(epoch + 1, float(value))


def _combine_folds(parts: Sequence[Outcome]) -> Outcome:
    """Return the outcomes of a trial's folds as one."""
    last = parts[-1]
    scores = [part.score for part in parts if part.score is not None]
    epochs = [part.best_epoch for part in parts if part.best_epoch is not None]
    length = min(part.epochs for part in parts)
    history = {
        name: [_mean([part.history[name][i] for part in parts]) for i in range(length)]
        for name in parts[0].history
    }
    return Outcome(
        status=last.status,
        score=float(np.mean(scores)) if last.status in ("completed", "pruned") else None,
        best_epoch=round(float(np.mean(epochs))) if epochs else None,
        epochs=sum(part.epochs for part in parts),
        seconds=round(sum(part.seconds for part in parts), 3),
        params=last.params,
        error=last.error,
        folds=scores,
        history=history,
    )


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if len(known) == len(values) else None


def _free_memory() -> None:
    """Free the graphs and weights of a trial, which TensorFlow would keep."""
    # clear_session resets it, and this process may be the user's
    policy = keras.config.dtype_policy()
    keras.utils.clear_session(free_memory=False)  # gc.collect() below does this once
    keras.config.set_dtype_policy(policy)
    gc.collect()


def running_best(values: Iterable[float | None], direction: str) -> list[float | None]:
    """Return the best value so far at each position; None and NaN are ignored."""
    best = None
    curve = []
    better = max if direction == "max" else min
    for value in values:
        if value is not None and math.isfinite(value):
            best = value if best is None else better(best, value)
        curve.append(best)
    return curve


def peers_of(trials: Iterable[Trial], objective: Objective, *, folds: bool) -> Peers:
    """Return the curves of other trials for `Median` and `below_median`.

    Args:
        trials: finished trials.
        objective: the `Objective`.
        folds: whether a step is a fold, not an epoch.

    Returns:
        A list of (curve, complete), the best value at each step; empty for fewer than 3 trials. A complete curve stays
        at its last value after its end.
    """
    peers: list[tuple[list[float | None], bool]] = []
    for trial in trials:
        if trial.status not in ("completed", "pruned"):
            continue
        if folds:
            scores = trial.folds or []
            curve = [sum(scores[: i + 1]) / (i + 1) for i in range(len(scores))]
        else:
            curve = running_best(trial.history.get(objective.name, ()), objective.direction)
        if curve:
            peers.append((curve, trial.status == "completed"))
    return peers if len(peers) >= _STARTUP else []


def below_median(objective: Objective, peers: Peers, step: int, value: float) -> bool:
    """Return True if a value at a step (from 0) is worse than the median of the peers there.

    Peers pruned before the step count as worse: among the survivors alone, half of the good trials would be pruned.
    """
    worst = -math.inf if objective.direction == "max" else math.inf
    reached = (
        curve[min(step, len(curve) - 1)] if complete or step < len(curve) else worst
        for curve, complete in peers
    )
    peer_values = [best for best in reached if best is not None]
    if len(peer_values) < _STARTUP:
        return False
    median_value = median(peer_values)
    return value < median_value if objective.direction == "max" else value > median_value


def estimate_all_folds(objective: Objective, peers: Peers, step: int, value: float) -> float:
    """Return the estimated mean score over all folds, given the mean over the first ones; folds differ in difficulty.

    Args:
        peers: as for `below_median`; at least one is complete.
        step: the last trained fold, from 0.
        value: the mean up to it, which is worse than the median there, so the estimate is at most the final median.
    """
    curves = [[score for score in curve if score is not None] for curve, whole in peers if whole]
    shifted = value + median(curve[-1] - curve[step] for curve in curves)
    worse = min if objective.direction == "max" else max
    return worse(shifted, median(curve[-1] for curve in curves))


class Median(keras.callbacks.Callback):
    """Stops a trial whose best value so far is worse than the median of its peers at the same epoch.

    Args:
        objective: the `Objective`.
        peers: from `peers_of`.
        epochs: of the whole training.
    """

    def __init__(self, objective: Objective, peers: Peers, epochs: int):
        super().__init__()
        self.objective, self.peers = objective, peers
        self.grace = max(_GRACE[0], round(_GRACE[1] * epochs))
        self.last = epochs - 1
        self.best: float | None = None
        self.pruned = False

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        value = (logs or {}).get(self.objective.name)
        self.best = running_best(
            [self.best, value if value is None else float(value)], self.objective.direction
        )[-1]
        if self.best is None or not self.grace <= epoch < self.last:
            return
        if below_median(self.objective, self.peers, epoch, self.best):
            self.pruned = self.model.stop_training = True
