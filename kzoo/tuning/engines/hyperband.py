"""Hyperband: many short trainings, of which the best continue (https://arxiv.org/abs/1603.06560)."""

import keras_tuner as kt

from kzoo.tuning.engines.base import BaseEngine, Proposal, Size
from kzoo.tuning.engines.keras_tuner_private import OpenHyperband, with_bracket

_FACTOR = 3  # one third of the trials of a round continues


class Engine(OpenHyperband, BaseEngine, kt.oracles.HyperbandOracle):
    """KerasTuner's Hyperband; with a baseline, the preset is trained too."""

    in_rounds = True

    def propose(self, trial_id: str) -> Proposal:
        proposal = super().propose(trial_id)
        bracket = self.bracket_of(trial_id)
        return (
            proposal
            if bracket is None
            else proposal | {"values": with_bracket(proposal["values"], bracket)}
        )

    def limits(self, trials: int, epochs: int) -> dict[str, int]:
        return dict(max_epochs=epochs, factor=_FACTOR)

    def size(self, epochs: int, folds: int | None) -> Size:
        rounds = self.rounds()
        epochs_in_rounds = sum(size * (after - before) for size, before, after in rounds)
        return Size(
            trials=sum(size for size, _, _ in rounds) + int(self.baseline),
            epochs=epochs_in_rounds + (epochs if self.baseline else 0),
            random=sum(size for size, before, _ in rounds if before == 0),
            rounds=rounds,
        )
