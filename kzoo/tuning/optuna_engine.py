"""Optuna's TPE as an oracle of KerasTuner: Optuna proposes, everything else stays as it is. Needs `kzoo[optuna]`."""

import keras_tuner as kt
import optuna
from keras_tuner.engine import hyperparameters as hps_module

from kzoo.tuning.engines import Steady, _run

_TRIES = 50  # proposals before one is drawn at random


class OptunaOracle(Steady, kt.Oracle):
    """Tree-structured Parzen estimators (https://papers.nips.cc/paper/4443) over the trials so far.

    Args:
        random_starts: trials before there is enough for that, around the preset.
        options: of `keras_tuner.Oracle`.
    """

    def __init__(self, *, random_starts, **options):
        super().__init__(**options)
        self.random_starts = random_starts

    def reseed(self, seed):
        super().reseed(seed)
        self.sampler_seed = seed % 2**32

    def propose(self, trial_id):
        if self.scored() < self.random_starts:
            return self.start(int(trial_id), self.random_starts)
        study = self.study()
        for _ in range(_TRIES):
            asked = study.ask()
            values = self._suggest(asked)
            if not self._duplicate(values) and self.accept(values):
                return _run(values)
            study.tell(asked, state=optuna.trial.TrialState.FAIL)
        return self.at_random()

    def study(self):
        """Return an Optuna study of all trials so far, whose sampler has its seed from the trial to come."""
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        sampler = optuna.samplers.TPESampler(
            seed=self.sampler_seed, n_startup_trials=self.random_starts, multivariate=True, group=True,
            warn_independent_sampling=False,
        )  # fmt: skip
        direction = "maximize" if self.objective.direction == "max" else "minimize"
        study = optuna.create_study(direction=direction, sampler=sampler)
        known = {p.name: distribution(p) for p in self.hyperparameters.space}
        for trial in sorted(self.trials.values(), key=lambda t: int(t.trial_id)):
            if trial.status != "COMPLETED":
                continue
            values = {n: v for n, v in trial.hyperparameters.values.items() if known.get(n) is not None}
            study.add_trial(
                optuna.trial.create_trial(
                    params=values, distributions={n: known[n] for n in values}, value=float(trial.score)
                )
            )
        return study

    def _suggest(self, asked):
        point = kt.HyperParameters()
        for parameter in self.hyperparameters.space:
            point.merge([parameter])
            if point.is_active(parameter):
                kind = distribution(parameter)
                point.values[parameter.name] = parameter.value if kind is None else asked._suggest(parameter.name, kind)
        return dict(point.values)


def distribution(parameter):
    """Return a hyperparameter as Optuna knows it; None for one with a single value."""
    kinds = optuna.distributions
    if isinstance(parameter, hps_module.Choice):
        return kinds.CategoricalDistribution(parameter.values)
    if isinstance(parameter, hps_module.Boolean):
        return kinds.CategoricalDistribution([False, True])
    low, high = getattr(parameter, "min_value", None), getattr(parameter, "max_value", None)
    log = getattr(parameter, "sampling", None) == "log"
    if isinstance(parameter, hps_module.Int):
        return kinds.IntDistribution(low, high, log=log, step=1 if log else parameter.step or 1)
    if isinstance(parameter, hps_module.Float):
        return kinds.FloatDistribution(low, high, log=log, step=None if log else parameter.step)
    return None
