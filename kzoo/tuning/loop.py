"""`Loop`: propose trials, have workers train them, store the outcomes and report them to the engine."""

import time
import warnings
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import keras_tuner as kt

from kzoo.training.resume import Signals
from kzoo.training.workers.pool import ExecutorWorkers, LocalWorkers, SingleWorker
from kzoo.training.workers.worker import InProcess, TrialFailed, Worker
from kzoo.tuning.engines.base import make_oracle
from kzoo.tuning.engines.keras_tuner_private import plain_values, round_of
from kzoo.tuning.folder import clean_up, write_hparams, write_leaderboard
from kzoo.tuning.progress import Progress
from kzoo.tuning.records import (
    FINISHED,
    End,
    Outcome,
    Request,
    Round,
    Trial,
    best_of,
    read_trials,
    trial_folder,
)
from kzoo.tuning.spaces.entry import Point, Value
from kzoo.tuning.spaces.points import Points
from kzoo.tuning.trial import peers_of
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

_TUNER_ID = "kzoo"  # KerasTuner identifies its callers


class Loop:
    """A new or resumed search.

    Args:
        folder: the search's folder, locked by this process.
        request: the `Request`.
        space: the `Space` to search.
        worker: the `Worker` that counts parameters.
        pool: the workers that train; see `kzoo.training.workers.pool`.
        signals: the `Signals` to watch.
        deadline: time (`time.time()`) at which the budget ends, or None.
        progress: the `Progress`.
    """

    def __init__(
        self,
        folder: Path,
        request: Request,
        space: Points,
        *,
        worker: Worker | InProcess,
        pool: SingleWorker | LocalWorkers | ExecutorWorkers,
        signals: Signals,
        deadline: float | None,
        progress: Progress,
    ):
        self.folder = folder
        self.request = request
        self.space = space
        self.worker = worker
        self.pool = pool
        self.signals, self.deadline, self.progress = signals, deadline, progress
        self.trials = {trial.number: trial for trial in read_trials(folder)}
        self.started: dict[int, float] = {}
        self.within_limit = {_key(trial.hyperparameters): True for trial in self.trials.values()}
        self.oracle = make_oracle(
            request.engine,
            space=space,
            seed=request.seed,
            objective=request.objective,
            trials=request.trials,
            epochs=request.epochs,
            baseline=request.baseline,
            previous={number: trial.hyperparameters for number, trial in self.trials.items()},
            accept=self._accept,
        )

    @property
    def finished(self) -> list[Trial]:
        """The finished trials, by number."""
        return [trial for _, trial in sorted(self.trials.items()) if trial.status in FINISHED]

    @property
    def best(self) -> Trial | None:
        """The best trial so far, or None."""
        return best_of(self.trials.values(), self.request.objective)

    def causes(self) -> str:
        """Return the three most frequent causes of failure with their counts."""
        counts = Counter(
            trial.error or trial.status for trial in self.trials.values() if trial.score is None
        )
        return "; ".join(f"{count} x {cause}" for cause, count in counts.most_common(3))

    def run(self) -> str:
        """Train the missing trials and return the reason for the end: see `End`."""
        clean_up(
            self.folder, self.finished, self.request.objective, states=not self.oracle.in_rounds
        )
        self.progress.restore(self.finished)
        with warnings.catch_warnings():
            # KerasTuner calls deprecated functions on each request; Optuna's samplers warn that they are experimental.
            warnings.filterwarnings("ignore", module="keras_tuner|optuna")
            reason = self._run()
        complete = reason in ("complete", "exhausted")
        self._clean_up(states=complete or not self.oracle.in_rounds)
        End(because=reason, complete=complete, trials=self.request.trials).write(self.folder)
        return reason

    def _run(self) -> str:
        """Propose trial n once exactly the trials up to n - slots have been reported, in whichever order they ended.

        So the proposals depend on the number of concurrent trials, but not on which worker trains, its speed or its
        failures.
        """
        pending: dict[int, tuple[Any, Future | None]] = {}  # number -> (proposal, future)
        reported: list[Trial] = []
        reason = None  # once set, nothing more is proposed
        while True:
            while reason is None and len(pending) < self.pool.slots:
                proposal, reason = self._propose(len(reported) + len(pending), reported)
                if proposal is None:
                    break
                pending[int(proposal.trial_id)] = proposal, self._start(proposal, reported)
            if not pending:
                assert reason is not None  # otherwise a trial would have been proposed
                return reason
            oldest = min(pending)
            proposal, future = pending[oldest]
            if future is not None:
                self._wait_for(oldest, pending)
            del pending[oldest]
            trial = self.trials[oldest]
            if trial.status == "interrupted":
                reason = "stopped" if self.signals.caught else "max_time"
            elif reason not in ("stopped", "max_time"):
                self._report(proposal, trial)
                reported.append(trial)

    def _propose(
        self, count: int, reported: Sequence[Trial]
    ) -> tuple[kt.engine.trial.Trial | None, str | None]:
        """Return (proposal, None), (None, reason to stop), or (None, None) if a pending trial has to end first."""
        if self.signals.caught:
            return None, "stopped"
        # KerasTuner keeps one running trial for each tuner id.
        proposal = self.oracle.create_trial(f"{_TUNER_ID}{count % self.pool.slots}")
        if proposal.status == "IDLE":  # Hyperband waits for the end of a round
            return None, None
        if proposal.status == "STOPPED":
            as_planned = self.oracle.in_rounds or len(self.oracle.trials) >= self.request.trials
            return None, "complete" if as_planned else "exhausted"
        if not self._is_finished(int(proposal.trial_id)):
            if self.deadline is not None and time.time() >= self.deadline:
                return None, "max_time"
            if self._should_give_up(reported):
                return None, "failing"
        return proposal, None

    def _is_finished(self, number: int) -> bool:
        return number in self.trials and self.trials[number].status in FINISHED

    def _should_give_up(self, reported: Sequence[Trial]) -> bool:
        """Return True if all trials have failed, and enough of them to expect that the others fail too."""
        return best_of(reported, self.request.objective) is None and len(reported) >= max(
            10, self.request.trials // 3
        )

    def _new_trial(self, number: int, values: Point, hyperband: Round | None) -> Trial:
        """Return a trial to train; one that continues another trial's training has its seed."""
        seed = (self.request.seed + number) % 2**32
        if hyperband is not None and hyperband.parent is not None:
            seed = self.trials[hyperband.parent].seed
        return Trial(
            number=number,
            status="running",
            hyperparameters=values,
            overrides=self.space.overrides(values),
            baseline=number == 0 and self.request.baseline,
            seed=seed,
            hyperband=hyperband,
        )

    def _start(
        self, proposal: kt.engine.trial.Trial, reported: Sequence[Trial]
    ) -> Future[Outcome] | None:
        """Submit a proposal to the pool and return the future of its outcome; None if the trial is finished already."""
        number, values = int(proposal.trial_id), plain_values(proposal.hyperparameters)
        if self._is_finished(number):
            if self.trials[number].hyperparameters != values:
                raise KzooError(
                    f"{self.folder} cannot go on: trial {number} would be {values} now. The versions of kzoo or "
                    f"keras-tuner differ; use out= with a new folder."
                )
            return None
        # Replayed trials are written together with the first new one.
        self.oracle.write_files_to(self.folder / "engine")
        trial = self._new_trial(number, values, round_of(proposal.hyperparameters))
        options: JsonObject = {}
        if (hyperband := trial.hyperband) is not None:
            parent = (
                None
                if hyperband.parent is None
                else str(trial_folder(self.folder, hyperband.parent))
            )
            options = dict(until=hyperband.until, parent=parent, keep_journal=True)
        elif self.request.prune is not None and not trial.baseline:
            options = dict(
                peers=peers_of(
                    reported, self.request.objective, folds=self.request.folds is not None
                )
            )
        self.trials[trial.number], self.started[trial.number] = trial, time.monotonic()
        trial.write(self.folder)
        self.progress.start_trial(trial)
        return self.pool.submit(
            trial.number,
            signals=self.signals,
            deadline=self.deadline,
            folder=str(trial_folder(self.folder, trial.number)),
            overrides=trial.overrides,
            seed=trial.seed,
            **options,
        )

    def _wait_for(
        self,
        oldest: int,
        pending: Mapping[int, tuple[kt.engine.trial.Trial, Future[Outcome] | None]],
    ) -> None:
        """Wait for one trial; store every trial that ends in the meantime."""
        futures = {future: number for number, (_, future) in pending.items() if future is not None}
        while True:
            for future, number in futures.items():
                if future.done() and self.trials[number].status == "running":
                    self._finish(self.trials[number], future)
            if self.trials[oldest].status != "running":
                return
            wait(
                [future for future in futures if not future.done()],
                timeout=0.2,
                return_when=FIRST_COMPLETED,
            )
            self.progress.draw()
            if self.signals.caught:
                self.pool.cancel()

    def _finish(self, trial: Trial, future: Future[Outcome]) -> None:
        """Store the outcome of a trial."""
        try:
            outcome = future.result()
        except TrialFailed as error:
            status = "interrupted" if self.signals.caught else "failed"
            seconds = round(time.monotonic() - self.started[trial.number], 3)
            outcome = Outcome(status=status, error=str(error), seconds=seconds)
        trial = trial.ended(outcome)
        self.trials[trial.number] = trial
        trial.write(self.folder)
        self.progress.end_trial(trial)
        if trial.status in FINISHED:
            write_hparams(self.folder, trial)
        self._clean_up(states=not self.oracle.in_rounds)

    def _report(self, proposal: kt.engine.trial.Trial, trial: Trial) -> None:
        """Report a trial's outcome to the engine."""
        if trial.score is None:
            proposal.status = "FAILED"
            proposal.message = trial.error
        else:
            self.oracle.update_trial(
                proposal.trial_id, {self.request.objective.name: trial.score}, step=trial.best_epoch
            )
            proposal.status = "COMPLETED"
        self.oracle.end_trial(proposal)

    def _accept(self, values: Point) -> bool:
        """Return True if the network of some values has at most `max_params` parameters."""
        limit = self.space.max_params
        key = _key(values)
        if limit is None:
            return True
        if key not in self.within_limit:
            try:
                count = self.worker.call(
                    "count", signals=self.signals, overrides=self.space.overrides(values)
                )
                self.within_limit[key] = isinstance(count, int) and count <= limit
            except (KzooError, TrialFailed):
                self.within_limit[key] = False
        return self.within_limit[key]

    def _clean_up(self, *, states: bool) -> None:
        """Remove checkpoints and states that are not needed, and write the leaderboard."""
        clean_up(self.folder, self.finished, self.request.objective, states=states)
        write_leaderboard(
            self.folder, [trial for _, trial in sorted(self.trials.items())], self.request.objective
        )


def _key(values: Point) -> tuple[tuple[str, Value], ...]:
    return tuple(sorted(values.items()))
