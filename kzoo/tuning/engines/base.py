"""`BaseEngine`: KerasTuner's oracle, made deterministic and resumable.

Each engine proposes trial n from (space, seed, n, the earlier trials) only. So a killed search is restored by reporting
the finished trials to a new oracle; KerasTuner's own files are written but never read.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import keras_tuner as kt
import numpy as np

from kzoo.tuning.engines import engine_named
from kzoo.tuning.engines.keras_tuner_private import TRIES, OpenOracle
from kzoo.tuning.spaces.entry import Point
from kzoo.tuning.spaces.points import Points
from kzoo.utils.files import write_text

Proposal: TypeAlias = dict[str, Any]  # KerasTuner's: `status` and `values`


class Size(NamedTuple):
    """The exact size of a search.

    Args:
        trials: number of trials.
        epochs: largest total number of epochs.
        random: number of random trials, anywhere or around the preset.
        rounds: Hyperband's (trials, epochs before, epochs after) of each round.
    """

    trials: int
    epochs: int
    random: int
    rounds: tuple = ()


class BaseEngine(OpenOracle):
    """An engine whose proposals depend on the seed and the earlier trials only; no point is repeated.

    Args:
        space: a `Space`.
        seed: an integer; 0 is a seed too.
        objective: the `Objective`.
        trials: largest number of trials; an engine in rounds computes its own.
        epochs: of the longest training.
        baseline: whether trial 0 is the default point.
        previous: number -> hyperparameters of earlier trials.
        accept: function of hyperparameters, returns whether their network may be trained.
    """

    learns = False  # whether it fits a model to the trials, after startup trials around the preset
    # Whether the best trials of a round are trained further: then the engine sets the number of trials, nothing else
    # prunes, training states are kept, and its state can only be restored by proposing all trials again.
    in_rounds = False

    def __init__(
        self,
        *,
        space: Points,
        seed: int,
        objective: Sequence[str],
        trials: int,
        epochs: int,
        baseline: bool,
        previous: Mapping[int, Point] | None = None,
        accept: Callable[[Point], bool] | None = None,
    ):
        self.space, self.base_seed, self.baseline = space, seed, baseline
        self.previous = previous or {}
        self.accept = accept or (lambda values: True)
        self.folder: Path | None = None
        self.startup_count = self.startup_count_of(trials, len(space.names))
        self.proposal_seed = seed  # a different one for each trial
        # KerasTuner takes seed=0 for no seed. `Loop` decides itself when too many trials have failed.
        super().__init__(
            objective=kt.Objective(*objective),
            hyperparameters=declared(space),
            seed=seed + 1,
            tune_new_entries=False,
            allow_new_entries=False,
            max_consecutive_failed_trials=10**9,
            **self.limits(trials, epochs),
        )
        self.verbose = 0
        points = space.finite_size()
        self.set_max_collisions(TRIES if points is None else min(max(TRIES, 20 * points), 20_000))

    @classmethod
    def startup_count_of(cls, trials: int, dimensions: int) -> int:
        """Return the number of trials before the engine's model proposes them.

        KerasTuner's default, three for each hyperparameter, would make most searches purely random.
        """
        return min(max(5, trials // 4), 3 * max(dimensions, 1), trials) if cls.learns else trials

    def limits(self, trials: int, epochs: int) -> dict[str, int]:
        """Return the arguments by which KerasTuner's class knows when to end."""
        return dict(max_trials=trials)

    def size(self, epochs: int, folds: int | None) -> Size:
        """Return the size of the search; `epochs` are those of the longest training."""
        random = min(self.startup_count, self.max_trials)
        return Size(
            trials=self.max_trials,
            epochs=self.max_trials * epochs * (folds or 1),
            random=random - int(self.baseline and random > 0),
        )

    def populate_space(self, trial_id: str) -> Proposal:
        """Propose a trial; KerasTuner calls this."""
        number = int(trial_id)
        self.proposal_seed = int(
            np.random.SeedSequence([self.base_seed, number]).generate_state(1)[0] >> 1
        )
        self.set_draw_seed(self.proposal_seed)
        if number == 0 and self.baseline:
            return proposal(self.space.default())
        if number in self.previous and not self.in_rounds:
            return proposal(self.previous[number])
        return self.propose(trial_id)

    def propose(self, trial_id: str) -> Proposal:
        """Propose a new point."""
        return super().populate_space(trial_id)

    def scored_count(self) -> int:
        """Return the number of trials with a score."""
        return sum(trial.status == "COMPLETED" for trial in self.trials.values())

    def propose_startup(self, number: int) -> Proposal:
        """Propose one of the startup trials, before the model has enough trials.

        Points are near the preset, which is a good start: each hyperparameter keeps the preset's value with probability
        0.5. Other values are stratified: each trial gets its own part of the range (Latin hypercube,
        https://doi.org/10.2307/1268522).
        """
        row = number - self.baseline
        rows = self.startup_count - self.baseline
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

    def propose_random(self) -> Proposal:
        """Propose any new point."""
        values = self.draw()
        return no_proposal() if values is None else proposal(values)

    def write_files_to(self, folder: Path) -> None:
        """Write KerasTuner's files to a folder from now on; they are never read."""
        self.folder = folder

    def save(self) -> None:
        """Write KerasTuner's file atomically, in one line, which is about ten times faster than with indentation."""
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            write_text(self.folder / "oracle.json", json.dumps(self.get_state()), sync=False)

    def save_trial(self, trial: kt.engine.trial.Trial) -> None:
        """Write KerasTuner's file of a trial atomically."""
        if self.folder is not None:
            path = self.folder / f"trial_{trial.trial_id}"
            path.mkdir(parents=True, exist_ok=True)
            write_text(path / "trial.json", json.dumps(trial.get_state()), sync=False)


def make_oracle(engine: str, **options: Any) -> BaseEngine:
    """Return the oracle of an engine, one of `ENGINES` except "auto"; the options are those of `BaseEngine`."""
    return engine_named(engine)(**options)


def declared(space: Points) -> kt.HyperParameters:
    """Return KerasTuner's hyperparameters of a space, without values."""
    hps = kt.HyperParameters()
    space.declare(hps)
    hps.values = {}
    return hps


def random_points(space: Points, seed: int, count: int) -> list[Point]:
    """Return up to `count` random points of a space, as values."""
    oracle = make_oracle(
        "random",
        space=space,
        seed=seed,
        objective=("val_loss", "min"),
        trials=count,
        epochs=1,
        baseline=False,
    )
    points = [oracle.draw() for _ in range(count)]
    return [values for values in points if values is not None]


def proposal(values: Point) -> Proposal:
    """Return a point in KerasTuner's format."""
    return {"status": "RUNNING", "values": dict(values)}


def no_proposal() -> Proposal:
    """Return KerasTuner's answer for a space without new points."""
    return {"status": "STOPPED", "values": None}
