"""Private parts of KerasTuner that the engines need, each with the reason; no other module uses them."""

import copy
from typing import TYPE_CHECKING, Any

import keras_tuner as kt
import numpy as np

from kzoo.tuning.records import Round
from kzoo.tuning.spaces.entry import Point

if TYPE_CHECKING:
    from sklearn.gaussian_process import GaussianProcessRegressor


TRIES = 1000  # draws before a space counts as exhausted
_PREFIX = "tuner/"  # prefix of the entries that KerasTuner's Hyperband adds to a trial's values


class OpenOracle(kt.Oracle):
    """Public names for private parts of `keras_tuner.Oracle`. `BaseEngine` defines `accept` and `save_trial`."""

    def set_draw_seed(self, seed: int) -> None:
        """Set the seed of the next draws: each draw changes it, and the constructor takes 0 for no seed."""
        self._seed_state = seed

    def set_max_collisions(self, count: int) -> None:
        """Set after how many repeated points in a row a search ends; the default of 20 is too small."""
        self._max_collisions = count

    def was_tried(self, values: Point) -> bool:
        """Return True if a trial has had these values: KerasTuner checks only the points that it draws."""
        return self._duplicate(values)

    def draw(self) -> Point | None:
        """Return the values of a new random point, or None if there is none."""
        return self._random_values()

    def _random_values(self) -> Point | None:
        """Draw until a point is accepted; KerasTuner's engines draw by this method too."""
        for _ in range(TRIES):
            values = super()._random_values()
            if values is None or self.accept(values):
                return values
        return None

    def _save_trial(self, trial: kt.engine.trial.Trial) -> None:
        """Write a trial; KerasTuner calls this on each change, and its own version needs a tuner's directory."""
        self.save_trial(trial)


class OpenBayesian(OpenOracle):
    """Private parts of `BayesianOptimizationOracle`: mapping (conditional) values to the unit cube and back."""

    trials: Any
    ongoing_trials: Any

    def _make_gpr(self) -> "GaussianProcessRegressor":
        """Return the model; KerasTuner's constructor calls this, and accepts no other model."""
        return self.model(len(self._nonfixed_space()))

    def observations(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the trials so far as points (N, D) in the unit cube, and their scores (N,); smaller is better.

        Running trials get the median score. KerasTuner would predict it with the model of the previous proposal, which
        a resumed search does not have.
        """
        all_trials = self.trials
        ongoing = self.ongoing_trials
        self.ongoing_trials = {}
        ended_and_running = [
            [t for t in all_trials.values() if (t.status == "RUNNING") == running]
            for running in (False, True)
        ]
        try:
            self.trials = {trial.trial_id: trial for trial in ended_and_running[0]}
            points, scores = self._vectorize_trials()
            if ended_and_running[1]:
                self.trials = {
                    trial.trial_id: _completed_copy(trial) for trial in ended_and_running[1]
                }
                running_points, _ = self._vectorize_trials()
                points = np.concatenate([points, running_points])
                scores = np.concatenate([scores, np.full(len(running_points), np.median(scores))])
        finally:
            self.trials, self.ongoing_trials = all_trials, ongoing
        return points, scores

    def values_at(self, point: np.ndarray) -> Point:
        """Return the values of a point in the unit cube."""
        return self._vector_to_values(point)


def _completed_copy(trial: kt.engine.trial.Trial) -> kt.engine.trial.Trial:
    completed = copy.copy(trial)
    completed.status = "COMPLETED"
    completed.score = 0.0
    return completed


class OpenHyperband(OpenOracle):
    """Private parts of `HyperbandOracle`: its schedule, so that a plan agrees with it."""

    def bracket_of(self, trial_id: str) -> int | None:
        """Return the bracket of a trial; KerasTuner notes only the newest one, and several may be running."""
        for bracket in self._brackets:
            if any(info["id"] == trial_id for trials in bracket["rounds"] for info in trials):
                return bracket["bracket_num"]
        return None

    def rounds(self) -> tuple[tuple[int, int, int], ...]:
        """Return (trials, epochs before, epochs after) of each round of each bracket."""
        rounds = []
        for bracket in reversed(range(self._get_num_brackets())):
            for number in range(bracket + 1):
                before = self._get_epochs(bracket, number - 1) if number else 0
                rounds.append(
                    (self._get_size(bracket, number), before, self._get_epochs(bracket, number))
                )
        return tuple(rounds)


def with_bracket(values: Point, bracket: int) -> Point:
    """Return a Hyperband trial's values with the number of its bracket added as KerasTuner's entry."""
    return {**values, f"{_PREFIX}bracket": bracket}


def plain_values(hyperparameters: kt.HyperParameters) -> Point:
    """Return the values of a `keras_tuner.HyperParameters` without Hyperband's entries."""
    return {
        name: value
        for name, value in hyperparameters.values.items()
        if not name.startswith(_PREFIX)
    }


def round_of(hyperparameters: kt.HyperParameters) -> Round | None:
    """Return the `Round` of Hyperband's entries, or None without them."""
    marked = {
        name.removeprefix(_PREFIX): number
        for name, number in hyperparameters.values.items()
        if name.startswith(_PREFIX)
    }
    if "epochs" not in marked:
        return None
    parent = int(marked["trial_id"]) if "trial_id" in marked else None
    return Round(
        bracket=marked["bracket"], round=marked["round"], until=marked["epochs"], parent=parent
    )
