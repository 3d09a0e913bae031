"""What KerasTuner keeps private and the engines need, each with its reason; nothing else in kzoo touches it."""

import copy
from typing import Any

import numpy as np

from kzoo.tuning.records import Round

TRIES = 1000  # draws before a space counts as used up
_MARK = "tuner/"  # with which KerasTuner's Hyperband begins the names of its own entries among the values of a trial


class OpenOracle:
    """What is private in `keras_tuner.Oracle`, under names of ours. `Steady` has `accept` and `save_trial`."""

    _duplicate: Any  # KerasTuner's

    def draw_from(self, seed):
        """Draw from this seed on: each draw of an oracle moves it, and its constructor takes 0 for any."""
        self._seed_state = seed

    def try_often(self, draws):
        """Give up after so many points in a row that there have been: 20 end a search that has hundreds left."""
        self._max_collisions = draws

    def has_had(self, values) -> bool:
        """Say whether there has been a trial with these values: KerasTuner asks only of what it draws itself."""
        return self._duplicate(values)

    def draw(self):
        """Return the values of any new point, or None where there is none; without it there is only `random_sample`."""
        return self._random_values()

    def _random_values(self):
        """Draw until a point is accepted; KerasTuner's own engines draw by this too."""
        for _ in range(TRIES):
            values = super()._random_values()
            if values is None or self.accept(values):
                return values
        return None

    def _save_trial(self, trial):
        """Write a trial our way: KerasTuner calls this at each change, and its own needs a directory of a tuner's."""
        self.save_trial(trial)


class OpenBayesian(OpenOracle):
    """What is private in its `BayesianOptimizationOracle` besides: how values, of which some count only beside others,
    become points of a unit cube and back."""

    def _make_gpr(self):
        """Return the model of the space; the constructor calls this, and takes no other model."""
        return self.model(len(self._nonfixed_space()))

    def tried(self):
        """Return the trials so far as points (N, D) in the unit cube, and their scores, of which less is better.

        Those under way count as middling ones. KerasTuner asks the model of the proposal before for their scores, and a
        search that is resumed has none.
        """
        whole, under_way, self.ongoing_trials = self.trials, self.ongoing_trials, {}
        parts = [[t for t in whole.values() if (t.status == "RUNNING") == running] for running in (False, True)]
        try:
            self.trials = {trial.trial_id: trial for trial in parts[0]}
            points, scores = self._vectorize_trials()
            if parts[1]:
                self.trials = {trial.trial_id: _as_if_ended(trial) for trial in parts[1]}
                others, _ = self._vectorize_trials()
                points = np.concatenate([points, others])
                scores = np.concatenate([scores, np.full(len(others), np.median(scores))])
        finally:
            self.trials, self.ongoing_trials = whole, under_way
        return points, scores

    def values_at(self, point):
        """Return the values of a point in the unit cube."""
        return self._vector_to_values(point)


def _as_if_ended(trial):
    ended = copy.copy(trial)
    ended.status, ended.score = "COMPLETED", 0.0
    return ended


class OpenHyperband(OpenOracle):
    """What is private in its `HyperbandOracle` besides: what it will do, of which a plan must not say anything else."""

    _brackets: Any  # KerasTuner's

    def bracket_of(self, trial_id) -> int | None:
        """Return the bracket that a trial is in; KerasTuner notes the newest one, and several may be under way."""
        for bracket in self._brackets:
            if any(info["id"] == trial_id for trials in bracket["rounds"] for info in trials):
                return bracket["bracket_num"]
        return None

    def rounds(self):
        """Return (trials, epochs before, epochs after) of each round of each bracket."""
        found = []
        for bracket in reversed(range(self._get_num_brackets())):
            for number in range(bracket + 1):
                before = self._get_epochs(bracket, number - 1) if number else 0
                found.append((self._get_size(bracket, number), before, self._get_epochs(bracket, number)))
        return tuple(found)


def with_bracket(values, bracket) -> dict:
    """Return the values of a trial of Hyperband with the number of its bracket among KerasTuner's own entries."""
    return values | {f"{_MARK}bracket": bracket}


def plain_values(hyperparameters) -> dict:
    """Return the values of a `keras_tuner.HyperParameters` without Hyperband's own entries."""
    return {name: value for name, value in hyperparameters.values.items() if not name.startswith(_MARK)}


def round_of(hyperparameters) -> Round | None:
    """Return the `Round` that Hyperband's own entries mean; None where there are none."""
    own = {name.removeprefix(_MARK): v for name, v in hyperparameters.values.items() if name.startswith(_MARK)}
    if "epochs" not in own:
        return None
    parent = int(own["trial_id"]) if "trial_id" in own else None
    return Round(bracket=own["bracket"], round=own["round"], until=own["epochs"], parent=parent)
