"""`tune("auto")` in this process, with few candidates and trainings of a fixed length: no result rests on the clock."""

from contextlib import contextmanager

import pytest

from kzoo.auto import auto, rounds
from kzoo.auto.candidates import Candidate
from kzoo.auto.trainer import Trainer
from kzoo.training.workers.worker import InProcess


class _Worker(InProcess):
    def __init__(self, log, **setup):
        log.touch()
        super().__init__(log, **setup)


@contextmanager
def auto_in_process(*presets, epochs=2, horizon=None):
    """Let `tune("auto")` in the block compare all baselines with these presets, trained for some epochs."""
    train = Trainer.train
    window = {} if horizon is None else {"horizon": horizon}

    def train_epochs(self, **arguments):
        return train(self, **arguments | {"length": {"epochs": epochs, "min_steps": 0}})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(auto, "Worker", _Worker)
        patch.setattr(
            auto,
            "_presets",
            lambda *_: [Candidate(name=name, label=name, window=window) for name in presets],
        )
        patch.setattr(Trainer, "train", train_epochs)
        patch.setattr(rounds, "_MOST_VARIANTS", 0)
        patch.setattr(rounds, "_MOST_REPEATS", 1)
        patch.setattr(rounds, "_MOST_REPEATS_OF_CLOSED_FORM", 1)
        yield
