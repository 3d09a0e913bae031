"""Grid search: every point once, the last hyperparameter fastest, each default first."""

import math

import keras_tuner as kt

from kzoo.tuning.engines.base import BaseEngine, Proposal, no_proposal, proposal
from kzoo.tuning.spaces.entry import Point, Value


class Engine(BaseEngine, kt.Oracle):
    """Grid search. KerasTuner's loses its position when resumed, and takes 0.3 and 0.1 + 0.2 for two values."""

    @classmethod
    def startup_count_of(cls, trials: int, dimensions: int) -> int:
        return 0

    def propose(self, trial_id: str) -> Proposal:
        if not self.trials:
            return proposal(self.space.default())
        last = self.trials[max(self.trials, key=int)].hyperparameters.values
        values = self._next_point(last)
        while values is not None and not self.accept(values):
            values = self._next_point(values)
        return no_proposal() if values is None else proposal(values)

    def _next_point(self, values: Point) -> Point | None:
        """Return the point after another one, or None after the last."""
        hps = self.get_space()
        hps.values = dict(values)
        for parameter in reversed(hps.space):
            if not hps.is_active(parameter):
                continue
            choices = grid_values(parameter)
            index = choices.index(hps.values[parameter.name]) + 1
            if index < len(choices):
                hps.values[parameter.name] = choices[index]
                return _active_values(hps)
            hps.values[parameter.name] = choices[0]
        return None


def _active_values(hps: kt.HyperParameters) -> Point:
    """Return the active values; newly active ones get their first value (KerasTuner would draw a random one)."""
    for parameter in hps.space:
        if not hps.is_active(parameter):
            hps.values.pop(parameter.name, None)
        else:
            hps.values.setdefault(parameter.name, grid_values(parameter)[0])
    return dict(hps.values)


def grid_values(parameter: kt.engine.hyperparameters.HyperParameter) -> list[Value]:
    """Return the values of a hyperparameter on the grid, its default first; ten for a continuous range."""
    if hasattr(parameter, "min_value"):
        others = [
            choice
            for choice in sorted(parameter.values)
            if not math.isclose(choice, parameter.default)
        ]
    else:
        others = [choice for choice in parameter.values if choice != parameter.default]
    return [parameter.default, *others]
