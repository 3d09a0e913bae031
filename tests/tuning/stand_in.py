"""A worker that trains nothing, so that tests of engines are fast."""

import hashlib
import json

from kzoo.training.workers.worker import TrialFailed
from kzoo.tuning.records import Outcome
from kzoo.tuning.trial import Probe


class Killed(BaseException):
    """As if the process had been killed: nothing is written any more."""


class StandIn:
    """Replaces the `Worker` of a search.

    `kill_at`: the number of the trial in which the process "dies"; `fail`: function of (overrides, seed) that returns
    a cause, or None.
    """

    kill_at = None
    fail = staticmethod(lambda overrides, seed: None)
    trained = ()  # overrides of all trials, over all instances

    def __init__(self, log, **setup):
        self.preset, self.objective = setup["preset"], setup["objective"]
        self.spec = dict(preset=self.preset, objective=self.objective)  # enough to make another
        self.epochs = self.preset.training["epochs"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def call(self, name, **arguments):
        return getattr(self, name)(**arguments)

    def probe(self, overrides, samples, **_):
        return Probe(
            params=100, counts=[100 + i for i, _ in enumerate(samples)], first=0.1, step=0.001
        )

    def count(self, overrides, **_):
        return 100 * sum(overrides.get("units", (1,)))

    def train(self, *, folder, overrides, seed, until=None, peers=(), **_):
        number = int(folder[-4:])
        if number == StandIn.kill_at:
            raise Killed
        StandIn.trained = (*StandIn.trained, overrides)
        if (cause := StandIn.fail(overrides, seed)) is not None:
            raise TrialFailed(cause)
        text = json.dumps({k: v for k, v in overrides.items()}, sort_keys=True)
        share = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 2**32
        epochs = until or self.epochs
        score = share * (1 - 0.5**epochs)
        history = {self.objective[0]: [share * (1 - 0.5 ** (e + 1)) for e in range(epochs)]}
        return Outcome(
            status="completed",
            score=score,
            best_epoch=epochs,
            epochs=epochs,
            seconds=0.1,
            params=100,
            error="",
            history=history,
        )
