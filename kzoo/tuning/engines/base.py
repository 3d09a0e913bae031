"""What the engines share: KerasTuner's oracles with their traps closed.

Each engine proposes trial n from (space, seed, n, the trials before it) and from nothing else. So a search that was
killed is made whole by telling a new oracle of the finished trials again; KerasTuner's own files are written and never
read.
"""

import json
from typing import Any, NamedTuple

import keras_tuner as kt
import numpy as np

from kzoo.tuning.engines import engine_named
from kzoo.tuning.engines.keras_tuner_private import TRIES, OpenOracle
from kzoo.utils.files import write_text


class Size(NamedTuple):
    """How large a search is, exactly.

    Args:
        trials: how many.
        epochs: of them all, at most.
        random: how many of them are drawn at random, anywhere or around the preset.
        rounds: Hyperband's (trials, epochs before, epochs after) of each round.
    """

    trials: int
    epochs: int
    random: int
    rounds: tuple = ()


class BaseEngine(OpenOracle):
    """An engine: each proposal follows from the seed and the trials before it; none comes twice.

    Args:
        space: a `Space`.
        seed: whole number, 0 too.
        objective: the `Objective`.
        trials: how many at most; an engine in rounds computes its own number.
        epochs: of the longest training.
        baseline: whether trial 0 is the default point.
        known: number -> values of trials that there have been.
        accept: function that says of values whether their network may be trained.
    """

    learns = False  # whether it makes a model of the trials so far, and begins around the preset
    # Whether the best trials of a round are trained on: then the engine sets the number of trials, nothing else prunes,
    # training states stay, and proposing again is the only way to bring its books up to date.
    in_rounds = False
    max_trials: int  # KerasTuner's
    trials: Any

    def __init__(self, *, space, seed, objective, trials, epochs, baseline, previous=None, accept=None):
        self.space, self.base_seed, self.baseline = space, seed, baseline
        self.previous, self.accept, self.folder = previous or {}, accept or (lambda values: True), None
        self.startup_count = self.startup_count_of(trials, len(space.names))
        self.proposal_seed = seed  # another one for each trial
        super().__init__(
            objective=kt.Objective(*objective), hyperparameters=declared(space), seed=seed + 1, tune_new_entries=False,
            allow_new_entries=False, max_consecutive_failed_trials=10**9, **self.limits(trials, epochs),
        )  # fmt: skip
        self.verbose = 0
        points = space.finite_size()
        self.set_max_collisions(TRIES if points is None else min(max(TRIES, 20 * points), 20_000))

    @classmethod
    def startup_count_of(cls, trials, dimensions) -> int:
        """Return how many trials there are before a model of the space proposes them.

        KerasTuner's own three for each hyperparameter would leave nothing of an ordinary search but chance.
        """
        return min(max(5, trials // 4), 3 * max(dimensions, 1), trials) if cls.learns else trials

    def limits(self, trials, epochs) -> dict:
        """Return the arguments with which KerasTuner's class knows when to end."""
        return dict(max_trials=trials)

    def size(self, epochs, folds) -> Size:
        """Return how large the search will be; `epochs` are those of the longest training."""
        random = min(self.startup_count, self.max_trials)
        return Size(
            trials=self.max_trials, epochs=self.max_trials * epochs * (folds or 1),
            random=random - int(self.baseline and random > 0),
        )  # fmt: skip

    def populate_space(self, trial_id):
        """Propose a trial, as KerasTuner asks for it."""
        number = int(trial_id)
        self.proposal_seed = int(np.random.SeedSequence([self.base_seed, number]).generate_state(1)[0] >> 1)
        self.set_draw_seed(self.proposal_seed)
        if number == 0 and self.baseline:
            return proposal(self.space.default())
        if number in self.previous and not self.in_rounds:
            return proposal(self.previous[number])
        return self.propose(trial_id)

    def propose(self, trial_id):
        """Propose a trial that there has not been."""
        return super().populate_space(trial_id)

    def scored_count(self) -> int:
        """Return how many trials have a score."""
        return sum(trial.status == "COMPLETED" for trial in self.trials.values())

    def propose_startup(self, number):
        """Propose trial `number` from the first few, before a model has enough to learn from.

        Around the preset, which is a good place: half of the values, by chance, stay its own. The others lie evenly, in
        a part of its own of the hyperparameter's range for each trial (https://doi.org/10.2307/1268522).
        """
        row, rows = number - self.baseline, self.startup_count - self.baseline
        if row < rows:
            random = np.random.RandomState(np.random.SeedSequence(self.base_seed).generate_state(1))
            point = kt.HyperParameters()
            for parameter in self.hyperparameters.space:
                quantile = (random.permutation(rows)[row] + random.uniform(size=rows)[row]) / rows
                keep_default = random.uniform(size=rows)[row] < 0.5
                point.merge([parameter])
                if point.is_active(parameter):
                    point.values[parameter.name] = (
                        parameter.default if keep_default else parameter.prob_to_value(quantile)
                    )
            if not self.was_tried(point.values) and self.accept(point.values):
                return proposal(point.values)
        return self.propose_random()

    def propose_random(self):
        """Propose any new point."""
        values = self.draw()
        return no_proposal() if values is None else proposal(values)

    def write_files_to(self, folder):
        """Have KerasTuner's files written from now on, for those who know them; they are never read."""
        self.folder = folder

    def save(self):
        """Write KerasTuner's file, whole or not at all; in one line as its own, which is written ten times as fast."""
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            write_text(self.folder / "oracle.json", json.dumps(self.get_state()), sync=False)

    def save_trial(self, trial):
        """Write KerasTuner's file of a trial, whole or not at all."""
        if self.folder is not None:
            path = self.folder / f"trial_{trial.trial_id}"
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / "trial.json", json.dumps(trial.get_state()), sync=False)


def make_oracle(engine, **options) -> BaseEngine:
    """Return the oracle of an engine, one of `ENGINES` but "auto"; the options are those of `Steady`."""
    return engine_named(engine)(**options)


def declared(space) -> kt.HyperParameters:
    """Return the hyperparameters of a space, none of which has a value yet."""
    hps = kt.HyperParameters()
    space.declare(hps)
    hps.values = {}
    return hps


def random_points(space, seed, count) -> list[dict]:
    """Return some random points of a space, as values."""
    oracle = make_oracle(
        "random", space=space, seed=seed, objective=("val_loss", "min"), trials=count, epochs=1, baseline=False
    )
    points = [oracle.draw() for _ in range(count)]
    return [values for values in points if values is not None]


def proposal(values):
    """Propose a point, as KerasTuner wants it said."""
    return {"status": "RUNNING", "values": dict(values)}


def no_proposal():
    """Say that there is no point any more."""
    return {"status": "STOPPED", "values": None}
