"""Optuna's TPE as an oracle of KerasTuner: Optuna proposes, everything else stays as it is. Needs `kzoo[optuna]`."""

import keras_tuner as kt

from kzoo.tuning.engines.base import BaseEngine, run
from kzoo.utils.optional import require

optuna = require("optuna", extra="optuna")

_TRIES = 50  # proposals before one is drawn at random


class Engine(BaseEngine, kt.Oracle):
    """Tree-structured Parzen estimators (https://papers.nips.cc/paper/4443) over the trials so far."""

    learns = True

    def propose(self, trial_id):
        if self.scored() < self.starts:
            return self.start(int(trial_id))
        study = self.study()
        for _ in range(_TRIES):
            asked = study.ask()
            values = {}
            for parameter in self.space.parameters:
                if parameter.is_active(values):
                    values[parameter.name] = suggested(asked, parameter)
            if not self.has_had(values) and self.accept(values):
                return run(values)
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return self.at_random()

    def study(self):
        """Return an Optuna study of all trials so far, whose sampler has the seed of the trial to come."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            seed=self.proposal_seed, n_startup_trials=self.starts, multivariate=True, group=True,
            warn_independent_sampling=False,
        )  # fmt: skip
        direction = "maximize" if self.objective.direction == "max" else "minimize"
        study = optuna.create_study(direction=direction, sampler=sampler)
        known = {parameter.name: distribution(parameter) for parameter in self.space.parameters}
        for trial in sorted(self.trials.values(), key=lambda t: int(t.trial_id)):
            if trial.status == "COMPLETED":
                values = {name: v for name, v in trial.hyperparameters.values.items() if name in known}
                distributions = {name: known[name] for name in values}
                study.add_trial(
                    optuna.trial.create_trial(params=values, distributions=distributions, value=float(trial.score))
                )
        return study


def distribution(parameter):
    """Return a `Parameter` as Optuna knows it."""
    if parameter.values:
        return optuna.distributions.CategoricalDistribution(parameter.values)
    if parameter.whole:
        return optuna.distributions.IntDistribution(parameter.low, parameter.high, log=parameter.log)
    return optuna.distributions.FloatDistribution(parameter.low, parameter.high, log=parameter.log)


def suggested(asked, parameter):
    """Return the value that an Optuna trial suggests for a `Parameter`."""
    if parameter.values:
        return asked.suggest_categorical(parameter.name, parameter.values)
    if parameter.whole:
        return asked.suggest_int(parameter.name, parameter.low, parameter.high, log=parameter.log)
    return asked.suggest_float(parameter.name, parameter.low, parameter.high, log=parameter.log)
