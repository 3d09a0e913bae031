"""A search from its first trial to its last: ask the engine, have it trained, write it down, tell the engine."""

import time
import warnings
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any

from kzoo.tuning.engines.base import make_oracle
from kzoo.tuning.engines.keras_tuner_private import plain_values, round_of
from kzoo.tuning.folder import sweep, write_hparams, write_leaderboard
from kzoo.tuning.records import FINISHED, End, Outcome, Trial, best_of, read_trials, trial_folder
from kzoo.tuning.trial import peers_of
from kzoo.utils.errors import KzooError
from kzoo.workers.worker import TrialFailed

_TUNER = "kzoo"  # KerasTuner wants to know who asks


class Loop:
    """One search, new or gone on with.

    Args:
        folder: the search's, locked by us.
        request: the `Request`.
        space: the `Space` that it searches.
        worker: the `Worker` that looks at networks.
        crew: who trains; see `kzoo.workers.pool`.
        signals: the `Signals` that are watched.
        deadline: time (`time.time()`) at which the budget ends, or None.
        show: the `Progress`.
    """

    def __init__(self, folder, request, space, *, worker, crew, signals, deadline, show):
        self.folder, self.request, self.space, self.worker, self.crew = folder, request, space, worker, crew
        self.signals, self.deadline, self.show = signals, deadline, show
        self.trials = {trial.number: trial for trial in read_trials(folder)}
        self.began: dict[int, float] = {}
        self.small = {_key(trial.hyperparameters): True for trial in self.trials.values()}
        self.oracle = make_oracle(
            request.engine, space=space, seed=request.seed, objective=request.objective, trials=request.trials,
            epochs=request.epochs, baseline=request.baseline,
            known={number: trial.hyperparameters for number, trial in self.trials.items()}, accept=self._accept,
        )  # fmt: skip

    @property
    def finished(self) -> list[Trial]:
        """The trials that are over, in order."""
        return [trial for _, trial in sorted(self.trials.items()) if trial.status in FINISHED]

    @property
    def best(self) -> Trial | None:
        """The best trial so far, or None."""
        return best_of(self.trials.values(), self.request.objective)

    def causes(self) -> str:
        """Return why trials failed, each cause once with its number."""
        counts = Counter(trial.error or trial.status for trial in self.trials.values() if trial.score is None)
        return "; ".join(f"{count} x {cause}" for cause, count in counts.most_common(3))

    def run(self) -> str:
        """Train what is missing, and return why it ended: see `End`."""
        sweep(self.folder, self.finished, self.request.objective, states=not self.oracle.in_rounds)
        self.show.known(self.finished)
        with warnings.catch_warnings():
            # KerasTuner calls what Python deprecates, on each request; Optuna's samplers say that they are new.
            warnings.filterwarnings("ignore", module="keras_tuner|optuna")
            because = self._run()
        complete = because in ("complete", "exhausted")
        self._tidy(states=complete or not self.oracle.in_rounds)
        End(because=because, complete=complete, trials=self.request.trials).write(self.folder)
        return because

    def _run(self):
        """Propose trial n when exactly the trials up to n - slots have been told of, whichever of them ended first.

        So what is proposed depends on how many trials are under way, and not on who trains them, how fast, or who dies.
        """
        under_way: dict[int, tuple[Any, Future | None]] = {}  # number -> what was proposed, what will have come of it
        told: list[Trial] = []
        because = None  # no more is proposed
        while True:
            while because is None and len(under_way) < self.crew.slots:
                proposal, because = self._propose(len(told) + len(under_way), told)
                if proposal is None:
                    break
                under_way[int(proposal.trial_id)] = proposal, self._begin(proposal, told)
            if not under_way:
                return because
            first = min(under_way)
            proposal, ending = under_way[first]
            if ending is not None:
                self._wait_for(first, under_way)
            del under_way[first]
            trial = self.trials[first]
            if trial.status == "interrupted":
                because = "stopped" if self.signals.caught else "max_time"
            elif because not in ("stopped", "max_time"):
                self._tell(proposal, trial)
                told.append(trial)

    def _propose(self, count, told):
        """Return (proposal, None), (None, why there is none), or (None, None) where a trial has to end first."""
        if self.signals.caught:
            return None, "stopped"
        # KerasTuner keeps, for each who asks, the trial that is under way.
        proposal = self.oracle.create_trial(f"{_TUNER}{count % self.crew.slots}")
        if proposal.status == "IDLE":  # of Hyperband, whose round has to end
            return None, None
        if proposal.status == "STOPPED":
            planned = self.oracle.in_rounds or len(self.oracle.trials) >= self.request.trials
            return None, "complete" if planned else "exhausted"
        if not self._is_known(int(proposal.trial_id)):
            if self.deadline is not None and time.time() >= self.deadline:
                return None, "max_time"
            if self._hopeless(told):
                return None, "failing"
        return proposal, None

    def _is_known(self, number):
        return number in self.trials and self.trials[number].status in FINISHED

    def _hopeless(self, told):
        """Say whether all trials so far have failed, and enough of them to say that the others will too."""
        return best_of(told, self.request.objective) is None and len(told) >= max(10, self.request.trials // 3)

    def _new(self, number, values, hyperband):
        """Return a trial that has not been trained; one that goes on with another's training has its seed too."""
        seed = (self.request.seed + number) % 2**32
        if hyperband is not None and hyperband.parent is not None:
            seed = self.trials[hyperband.parent].seed
        return Trial(
            number=number, status="running", hyperparameters=values, overrides=self.space.overrides(values),
            baseline=number == 0 and self.request.baseline, seed=seed, hyperband=hyperband,
        )  # fmt: skip

    def _begin(self, proposal, told):
        """Have a proposal trained, and return the future of its outcome; None where that is known."""
        number, values = int(proposal.trial_id), plain_values(proposal.hyperparameters)
        if self._is_known(number):
            if self.trials[number].hyperparameters != values:
                raise KzooError(
                    f"{self.folder} cannot go on: trial {number} would be {values} now. The versions of kzoo or "
                    f"keras-tuner differ; use out= with a new folder."
                )
            return None
        self.oracle.write_to(self.folder / "engine")  # what was replayed goes there with the first new trial
        trial = self._new(number, values, round_of(proposal.hyperparameters))
        options = {}
        if (own := trial.hyperband) is not None:
            parent = None if own.parent is None else str(trial_folder(self.folder, own.parent))
            options = dict(until=own.until, parent=parent, keep_journal=True)
        elif self.request.prune is not None and not trial.baseline:
            options = dict(peers=peers_of(told, self.request.objective, folds=self.request.folds is not None))
        self.trials[trial.number], self.began[trial.number] = trial, time.monotonic()
        trial.write(self.folder)
        self.show.begin(trial)
        return self.crew.submit(
            trial.number, signals=self.signals, deadline=self.deadline,
            folder=str(trial_folder(self.folder, trial.number)), overrides=trial.overrides, seed=trial.seed, **options,
        )  # fmt: skip

    def _wait_for(self, first, under_way):
        """Wait for one trial; write down each that ends meanwhile."""
        futures = {future: number for number, (_, future) in under_way.items() if future is not None}
        while True:
            for future, number in futures.items():
                if future.done() and self.trials[number].status == "running":
                    self._end(self.trials[number], future)
            if self.trials[first].status != "running":
                return
            wait([future for future in futures if not future.done()], timeout=0.2, return_when=FIRST_COMPLETED)
            self.show.draw()
            if self.signals.caught:
                self.crew.give_up()

    def _end(self, trial, future):
        """Write down what came of a trial."""
        try:
            outcome = future.result()
        except TrialFailed as error:
            status = "interrupted" if self.signals.caught else "failed"
            seconds = round(time.monotonic() - self.began[trial.number], 3)
            outcome = Outcome(status=status, error=str(error), seconds=seconds)
        trial = trial.ended(outcome)
        self.trials[trial.number] = trial
        trial.write(self.folder)
        self.show.end(trial)
        if trial.status in FINISHED:
            write_hparams(self.folder, trial)
        self._tidy(states=not self.oracle.in_rounds)

    def _tell(self, proposal, trial):
        """Tell the engine how a trial ended."""
        if trial.score is None:
            proposal.status, proposal.message = "FAILED", trial.error
        else:
            self.oracle.update_trial(
                proposal.trial_id, {self.request.objective.name: trial.score}, step=trial.best_epoch
            )
            proposal.status = "COMPLETED"
        self.oracle.end_trial(proposal)

    def _accept(self, values):
        """Say whether the network of some values is small enough to be trained."""
        limit, key = self.space.max_params, _key(values)
        if limit is None:
            return True
        if key not in self.small:
            try:
                count = self.worker.ask("count", signals=self.signals, overrides=self.space.overrides(values))
                self.small[key] = count <= limit
            except (KzooError, TrialFailed):
                self.small[key] = False
        return self.small[key]

    def _tidy(self, *, states):
        """Leave the folder as it should be found: the checkpoints of the best, and the leaderboard."""
        sweep(self.folder, self.finished, self.request.objective, states=states)
        write_leaderboard(self.folder, [trial for _, trial in sorted(self.trials.items())], self.request.objective)


def _key(values):
    return tuple(sorted(values.items()))
