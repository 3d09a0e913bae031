"""A search from its first trial to its last: ask the engine, have it trained, write it down, tell the engine."""

import time
import warnings
from collections import Counter

from kzoo.errors import KzooError
from kzoo.files import write_json
from kzoo.tuning.engines import make_oracle
from kzoo.tuning.hparams import write_hparams
from kzoo.tuning.process import TrialFailed
from kzoo.tuning.prune import peers_of
from kzoo.tuning.records import FINISHED, place_of, ranked, read_trials, sweep, write_leaderboard, write_trial

_TUNER = "kzoo"  # KerasTuner wants to know who asks


class Conductor:
    """One search, new or gone on with.

    Args:
        folder: the search's, locked by us.
        engine, space, seed, objective, trials, epochs, baseline, prune, folds: see `tune`.
        worker: the `Worker`.
        signals: the `Signals` that are watched.
        deadline: time (`time.time()`) at which the budget ends, or None.
        show: the `Progress`.
    """

    def __init__(
        self, folder, *, engine, space, seed, objective, trials, epochs, baseline, prune, folds, worker, signals,
        deadline, show,
    ):  # fmt: skip
        self.folder, self.engine, self.space, self.seed, self.objective = folder, engine, space, seed, objective
        self.trials, self.prune, self.folds, self.baseline = trials, prune, folds, baseline
        self.worker, self.signals, self.deadline, self.show = worker, signals, deadline, show
        self.records = {record["trial"]: record for record in read_trials(folder)}
        self.counted = {_key(r["hyperparameters"]): True for r in self.records.values()}
        self.oracle = make_oracle(
            engine, space=space, seed=seed, objective=objective, trials=trials, epochs=epochs, baseline=baseline,
            known={n: r["hyperparameters"] for n, r in self.records.items()}, accept=self._accept,
        )  # fmt: skip

    @property
    def finished(self):
        """The records of finished trials, in order."""
        return [r for _, r in sorted(self.records.items()) if r["status"] in FINISHED]

    def run(self) -> str:
        """Train what is missing.

        Returns:
            Why it ended: "complete", "exhausted" (no new point in the space), "max_time", "stopped" (a signal), or
            "failing" (nothing but failures).
        """
        sweep(self.folder, self.finished, self.objective[1], states=self.engine != "hyperband")
        self.show.known(self.finished)
        with warnings.catch_warnings():
            # KerasTuner calls what Python deprecates, on each request; Optuna's samplers say that they are new.
            warnings.filterwarnings("ignore", module="keras_tuner|optuna")
            because = self._run()
        if because in ("complete", "exhausted"):
            sweep(self.folder, self.finished, self.objective[1])
        self._write_tables()
        write_json(self.folder / "end.json", self._end(because))
        return because

    def _end(self, because):
        return dict(because=because, complete=because in ("complete", "exhausted"), trials=self.trials)

    def _run(self):
        while True:
            if self.signals.caught:
                return "stopped"
            trial = self.oracle.create_trial(_TUNER)
            if trial.status == "STOPPED":
                planned = self.engine == "hyperband" or len(self.oracle.trials) >= self.trials
                return "complete" if planned else "exhausted"
            number = int(trial.trial_id)
            record = self.records.get(number)
            if record is None or record["status"] not in FINISHED:
                if self.deadline is not None and time.time() >= self.deadline:
                    return "max_time"
                if self._hopeless():
                    return "failing"
                self.oracle.folder = self.folder / "engine"  # what was replayed is written with the first new trial
                record = self._train(number, trial)
                if record["status"] == "interrupted":
                    return "stopped" if self.signals.caught else "max_time"
            elif record["hyperparameters"] != _plain(trial):
                raise KzooError(
                    f"{self.folder} cannot go on: trial {number} would be {_plain(trial)} now. The versions of kzoo or "
                    f"keras-tuner differ; use out= with a new folder."
                )
            self._tell(trial, record)

    def _hopeless(self):
        """Say whether so many trials have failed, and none has not, that the others will too."""
        good = any(r["score"] is not None for r in self.records.values())
        return not good and len(self.finished) >= max(10, self.trials // 3)

    def _train(self, number, trial):
        """Have a trial trained, and write it down before and after."""
        place, values = place_of(self.folder, number), _plain(trial)
        base = dict(
            trial=number, status="running", score=None, best_epoch=None, epochs=0, seconds=0.0, params=None,
            hyperparameters=values, overrides=self.space.overrides(values), baseline=number == 0 and self.baseline,
            seed=(self.seed + number) % 2**32, error="", history={},
        )  # fmt: skip
        options = self._hyperband(trial, base)
        self.records[number] = base
        write_trial(self.folder, base)
        self.show.begin(base)
        began = time.monotonic()
        try:
            found = self.worker.ask(
                "train", signals=self.signals, deadline=self.deadline, on_epoch=self.show.epoch, tick=self.show.draw,
                folder=str(place), overrides=base["overrides"], seed=base["seed"], peers=self._peers(base), **options,
            )  # fmt: skip
        except TrialFailed as error:
            status = "interrupted" if self.signals.caught else "failed"
            found = dict(status=status, error=str(error), seconds=round(time.monotonic() - began, 3))
        record = base | found
        self.records[number] = record
        write_trial(self.folder, record)
        self.show.end(record)
        if record["status"] in FINISHED:
            write_hparams(self.folder, record)
        sweep(self.folder, self.finished, self.objective[1], states=self.engine != "hyperband")
        self._write_tables()
        return record

    def _hyperband(self, trial, base):
        """Return what Hyperband says of a trial: how long, and which one it goes on with, whose seed it has too."""
        values = trial.hyperparameters.values
        if "tuner/epochs" not in values:
            return {}
        options = dict(until=values["tuner/epochs"], keep_journal=True)
        base["hyperband"] = dict(
            bracket=values["tuner/bracket"], round=values["tuner/round"], until=values["tuner/epochs"], parent=None
        )
        if "tuner/trial_id" in values:
            parent = int(values["tuner/trial_id"])
            base["hyperband"]["parent"], base["seed"] = parent, self.records[parent]["seed"]
            options["parent"] = str(place_of(self.folder, parent))
        return options

    def _peers(self, base):
        if self.prune is None or self.engine == "hyperband" or base["baseline"]:
            return ()
        return peers_of(self.finished, self.objective, folds=self.folds is not None)

    def _tell(self, trial, record):
        """Tell the engine how a trial ended."""
        if record["score"] is None:
            trial.status, trial.message = "FAILED", record["error"]
        else:
            self.oracle.update_trial(trial.trial_id, {self.objective[0]: record["score"]}, step=record["best_epoch"])
            trial.status = "COMPLETED"
        self.oracle.end_trial(trial)

    def _accept(self, values):
        """Say whether the network of some values is small enough to be trained."""
        if self.space.max_params is None:
            return True
        key = _key(values)
        if key not in self.counted:
            try:
                count = self.worker.ask("count", signals=self.signals, overrides=self.space.overrides(values))
                self.counted[key] = count <= self.space.max_params
            except (KzooError, TrialFailed):
                self.counted[key] = False
        return self.counted[key]

    def _write_tables(self):
        write_leaderboard(self.folder, [r for _, r in sorted(self.records.items())], self.objective[1])

    def causes(self) -> str:
        """Return why trials failed, each cause once with its number."""
        counts = Counter(r["error"] or r["status"] for r in self.records.values() if r["score"] is None)
        return "; ".join(f"{count} x {cause}" for cause, count in counts.most_common(3))

    def best(self):
        """Return the best record, or None."""
        best = next(iter(ranked(list(self.records.values()), self.objective[1])), None)
        return best if best is not None and best["score"] is not None else None


def _plain(trial):
    return {name: value for name, value in trial.hyperparameters.values.items() if not name.startswith("tuner/")}


def _key(values):
    return tuple(sorted((name, value) for name, value in values.items() if not name.startswith("tuner/")))
