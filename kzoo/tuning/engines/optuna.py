"""Optuna's TPE as an oracle of KerasTuner. Needs `kzoo[optuna]`."""

from typing import TYPE_CHECKING, Any

import keras_tuner as kt

from kzoo.tuning.engines.base import BaseEngine, Proposal, proposal
from kzoo.utils.optional import require

if TYPE_CHECKING:
    import optuna

    from kzoo.tuning.spaces.entry import Parameter, Value
else:
    optuna = require("optuna", extra="optuna")

_TRIES = 50  # attempts before a random point is proposed


class Engine(BaseEngine, kt.Oracle):
    """Tree-structured Parzen estimators (https://papers.nips.cc/paper/4443) over the trials so far."""

    learns = True

    def propose(self, trial_id: str) -> Proposal:
        if self.scored_count() < self.startup_count:
            return self.propose_startup(int(trial_id))
        study = self.study()
        for _ in range(_TRIES):
            trial = study.ask()
            values: dict[str, Value] = {}
            for parameter in self.space.parameters:
                if parameter.is_active(values):
                    values[parameter.name] = suggest(trial, parameter)
            if not self.was_tried(values) and self.accept(values):
                return proposal(values)
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return self.propose_random()

    def study(self) -> "optuna.Study":
        """Return an Optuna study of all trials so far, with a sampler seeded for the next one."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            seed=self.proposal_seed,
            n_startup_trials=self.startup_count,
            multivariate=True,
            group=True,
            warn_independent_sampling=False,
        )
        study = optuna.create_study(
            direction="maximize" if self.objective.direction == "max" else "minimize",
            sampler=sampler,
        )
        searched = {parameter.name: distribution(parameter) for parameter in self.space.parameters}
        for trial in sorted(self.trials.values(), key=lambda t: int(t.trial_id)):
            if trial.status == "COMPLETED":
                values = {
                    name: value
                    for name, value in trial.hyperparameters.values.items()
                    if name in searched
                }
                distributions = {name: searched[name] for name in values}
                study.add_trial(
                    optuna.trial.create_trial(
                        params=values, distributions=distributions, value=float(trial.score)
                    )
                )
        return study


def distribution(parameter: "Parameter") -> "optuna.distributions.BaseDistribution":
    """Return the Optuna distribution of a `Parameter`."""
    if parameter.values:
        return optuna.distributions.CategoricalDistribution(parameter.values)
    low, high = parameter.bounds
    if parameter.whole:
        return optuna.distributions.IntDistribution(int(low), int(high), log=parameter.log)
    return optuna.distributions.FloatDistribution(low, high, log=parameter.log)


def suggest(trial: "optuna.Trial", parameter: "Parameter") -> "Value":
    """Return the value that an Optuna trial suggests for a `Parameter`."""
    if parameter.values:
        value: Any = trial.suggest_categorical(parameter.name, parameter.values)
        return value
    low, high = parameter.bounds
    if parameter.whole:
        return trial.suggest_int(parameter.name, int(low), int(high), log=parameter.log)
    return trial.suggest_float(parameter.name, low, high, log=parameter.log)
