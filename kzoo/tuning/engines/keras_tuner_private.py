"""What KerasTuner keeps private and the engines need, each with its reason; nothing else in kzoo touches it."""

import copy
from typing import Any

import numpy as np

from kzoo.tuning.records import Round

TRIES = 1000  # draws before a space counts as used up
_PREFIX = "tuner/"  # with which KerasTuner's Hyperband begins the names of its own entries among the values of a trial


class OpenOracle:
    """What is private in `keras_tuner.Oracle`, under names of ours. `Steady` has `accept` and `save_trial`."""

    _duplicate: Any  # KerasTuner's

    def set_draw_seed(self, seed):
        """Draw from this seed on: each draw of an oracle moves it, and its constructor takes 0 for any."""
        self._seed_state = seed

    def set_max_collisions(self, count):
        """Give up after so many points in a row that there have been: 20 end a search that has hundreds left."""
        self._max_collisions = count

    def was_tried(self, values) -> bool:
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

    def observations(self):
        """Return the trials so far as points (N, D) in the unit cube, and their scores, of which less is better.

        Those under way count as middling ones. KerasTuner asks the model of the proposal before for their scores, and a
        search that is resumed has none.
        """
        all_trials, ongoing, self.ongoing_trials = self.trials, self.ongoing_trials, {}
        ended_and_running = [
            [t for t in all_trials.values() if (t.status == "RUNNING") == running] for running in (False, True)
        ]
        try:
            self.trials = {trial.trial_id: trial for trial in ended_and_running[0]}
            points, scores = self._vectorize_trials()
            if ended_and_running[1]:
                self.trials = {trial.trial_id: _completed_copy(trial) for trial in ended_and_running[1]}
                running_points, _ = self._vectorize_trials()
                points = np.concatenate([points, running_points])
                scores = np.concatenate([scores, np.full(len(running_points), np.median(scores))])
        finally:
            self.trials, self.ongoing_trials = all_trials, ongoing
        return points, scores

    def values_at(self, point):
        """Return the values of a point in the unit cube."""
        return self._vector_to_values(point)


def _completed_copy(trial):
    completed = copy.copy(trial)
    completed.status, completed.score = "COMPLETED", 0.0
    return completed


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
        rounds = []
        for bracket in reversed(range(self._get_num_brackets())):
            for number in range(bracket + 1):
                before = self._get_epochs(bracket, number - 1) if number else 0
                rounds.append((self._get_size(bracket, number), before, self._get_epochs(bracket, number)))
        return tuple(rounds)


def with_bracket(values, bracket) -> dict:
    """Return the values of a trial of Hyperband with the number of its bracket among KerasTuner's own entries."""
    return values | {f"{_PREFIX}bracket": bracket}


def plain_values(hyperparameters) -> dict:
    """Return the values of a `keras_tuner.HyperParameters` without Hyperband's own entries."""
    return {name: value for name, value in hyperparameters.values.items() if not name.startswith(_PREFIX)}


def round_of(hyperparameters) -> Round | None:
    """Return the `Round` that Hyperband's own entries mean; None where there are none."""
    entries = {
        name.removeprefix(_PREFIX): value for name, value in hyperparameters.values.items() if name.startswith(_PREFIX)
    }
    if "epochs" not in entries:
        return None
    parent = int(entries["trial_id"]) if "trial_id" in entries else None
    return Round(bracket=entries["bracket"], round=entries["round"], until=entries["epochs"], parent=parent)
