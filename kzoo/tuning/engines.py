"""The engines: KerasTuner's oracles with their traps closed.

Each proposes trial n from (space, seed, n, the trials before it) and from nothing else. So a search that was killed is
made whole by telling a new oracle of the finished trials again; KerasTuner's own files are written and never read.
"""

import math
import warnings
from importlib import import_module

import keras_tuner as kt
import numpy as np
from scipy.stats import norm, rankdata
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import threadpool_limits

from kzoo.errors import KzooError
from kzoo.files import write_json
from kzoo.optional import require
from kzoo.registry import hint

ENGINES = ("auto", "grid", "random", "bayesian", "hyperband", "optuna")
LEARNING = ("bayesian", "optuna")  # those that make a model of the trials so far, and begin around the preset
FACTOR = 3  # of Hyperband: a third of the trials of a round goes on
_PROMISING = 100  # points of which the best new one is taken
_MODELLED = 200  # trials that a model is made of: the best half of so many, and some of all the others
_TRIES = 1000  # draws before a space counts as used up


def choose_engine(engine, trials, points):
    """Return the engine that "auto" stands for.

    Args:
        engine: one of `ENGINES`.
        trials: how many there are to be.
        points: how many points the space has, None for a continuum.

    Raises:
        KzooError: an unknown engine, or one whose package is not there.
    """
    if engine not in ENGINES:
        raise KzooError(f"Unknown engine {engine!r}. {hint(engine, ENGINES)}It is one of: {', '.join(ENGINES)}.")
    if engine == "optuna":
        require("optuna", extra="optuna")
    if engine != "auto":
        return engine
    return "grid" if points is not None and points <= trials else "bayesian"


def random_starts(engine, trials, dimensions):
    """Return how many trials there are before a model of the space proposes them.

    KerasTuner's own three for each hyperparameter would leave nothing of an ordinary search but chance.
    """
    if engine in LEARNING:
        return min(max(5, trials // 4), 3 * max(dimensions, 1), trials)
    return 0 if engine == "grid" else trials


def make_oracle(engine, *, space, seed, objective, trials, epochs, baseline, known=None, accept=None, folder=None):
    """Return the oracle of an engine.

    Args:
        engine: one of `ENGINES` but "auto".
        space: a `Space`.
        seed: whole number, 0 too.
        objective: (name, direction).
        trials: at most so many; Hyperband computes its own number.
        epochs: of the longest training, for Hyperband.
        baseline: whether trial 0 is the default point.
        known: number -> values of trials that there have been.
        accept: function that says of values whether their network may be trained.
        folder: where KerasTuner's files go, or None.

    Raises:
        KzooError: the package of the engine is missing.
    """
    hps = kt.HyperParameters()
    space.declare(hps)
    hps.values = {}
    options = dict(
        objective=kt.Objective(*objective), hyperparameters=hps, seed=seed + 1, tune_new_entries=False,
        allow_new_entries=False, max_consecutive_failed_trials=10**9,
    )  # fmt: skip
    starts = random_starts(engine, trials, len(hps.space))
    if engine == "hyperband":
        options |= dict(max_epochs=epochs, factor=FACTOR)
    else:
        options |= dict(max_trials=trials)
    if engine == "bayesian":
        options |= dict(num_initial_points=starts)
    if engine == "optuna":
        require("optuna", extra="optuna")
        kind = import_module("kzoo.tuning.optuna_engine").OptunaOracle
        options |= dict(random_starts=starts)
    else:
        kind = {"grid": Grid, "random": Random, "bayesian": Bayesian, "hyperband": Hyperband}[engine]
    oracle = kind(**options)
    oracle.begin(space=space, seed=seed, baseline=baseline, known=known or {}, accept=accept, folder=folder)
    return oracle


class Steady:
    """What all engines share: each proposal follows from the seed and the trials before it; none comes twice."""

    replays = False  # whether proposing again is the only way to bring its books up to date

    def begin(self, *, space, seed, baseline, known, accept, folder):
        """Say what KerasTuner's constructors have no room for."""
        self.default, self.base_seed, self.baseline = space.default(), seed, baseline
        self.known, self.accept, self.folder = known, accept or (lambda values: True), folder
        points = space.finite_size()
        self._max_collisions = _TRIES if points is None else min(max(_TRIES, 20 * points), 20_000)
        self.verbose = 0

    def populate_space(self, trial_id):
        number = int(trial_id)
        self.reseed(int(np.random.SeedSequence([self.base_seed, number]).generate_state(1)[0] >> 1))
        if number == 0 and self.baseline:
            return _run(dict(self.default))
        if number in self.known and not self.replays:
            return _run(dict(self.known[number]))
        return self.propose(trial_id)

    def propose(self, trial_id):
        return super().populate_space(trial_id)

    def reseed(self, seed):
        self._seed_state = seed

    def scored(self) -> int:
        """Return how many trials have a score."""
        return sum(trial.status == "COMPLETED" for trial in self.trials.values())

    def start(self, number, starts):
        """Propose trial `number` from the first `starts`, before a model has enough to learn from.

        Around the preset, which is a good place: half of the values, by chance, stay its own. The others lie evenly, in
        a part of its own of the hyperparameter's range for each trial (https://doi.org/10.2307/1268522).
        """
        row, rows = number - self.baseline, starts - self.baseline
        if row < rows:
            random = np.random.RandomState(np.random.SeedSequence(self.base_seed).generate_state(1))
            point = kt.HyperParameters()
            for parameter in self.hyperparameters.space:
                part = (random.permutation(rows)[row] + random.uniform(size=rows)[row]) / rows
                own = random.uniform(size=rows)[row] < 0.5
                point.merge([parameter])
                if point.is_active(parameter):
                    point.values[parameter.name] = parameter.default if own else parameter.prob_to_value(part)
            if not self._duplicate(point.values) and self.accept(point.values):
                return _run(dict(point.values))
        return self.at_random()

    def at_random(self):
        """Propose any new point."""
        values = self._random_values()
        return _stop() if values is None else _run(values)

    def _random_values(self):
        for _ in range(_TRIES):
            values = super()._random_values()
            if values is None or self.accept(values):
                return values
        return None

    def save(self):
        """Write KerasTuner's file, whole or not at all."""
        if self.folder is not None:
            self.folder.mkdir(exist_ok=True)
            write_json(self.folder / "oracle.json", self.get_state(), sync=False)

    def _save_trial(self, trial):
        if self.folder is not None:
            place = self.folder / f"trial_{trial.trial_id}"
            place.mkdir(parents=True, exist_ok=True)
            write_json(place / "trial.json", trial.get_state(), sync=False)


class Random(Steady, kt.oracles.RandomSearchOracle):
    """Points drawn at random."""


class Bayesian(Steady, kt.oracles.BayesianOptimizationOracle):
    """A Gaussian process over the trials so far (https://arxiv.org/abs/1206.2944).

    KerasTuner's takes a score for exact, and with luck in the scores it wanders; it needs some seconds for a proposal,
    and may propose what there was. Here the share of luck is learned too, scores count by their rank, so that a failure
    is no worse than the last place, and of many points the new one is taken that promises the most.
    """

    def _make_gpr(self):
        scales = np.ones(len(self._nonfixed_space()))  # one each: some hyperparameters matter, most do not
        kernel = kernels.Matern(scales, (0.1, 10.0), nu=2.5) + kernels.WhiteKernel(0.1, (1e-3, 1.0))
        return GaussianProcessRegressor(kernel)

    def propose(self, trial_id):
        if self.scored() < self.num_initial_points:
            return self.start(int(trial_id), self.num_initial_points)
        x, scores = self._vectorize_trials()
        y = norm.ppf((rankdata(scores) - 0.5) / len(scores))  # less is better: KerasTuner has turned the sign
        if len(y) > _MODELLED:
            order, half = np.argsort(y, kind="stable"), _MODELLED // 2
            kept = np.r_[order[:half], order[np.linspace(half, len(y) - 1, half).astype(int)]]
            x, y = x[kept], y[kept]
        with warnings.catch_warnings(), threadpool_limits(1):  # so small, threads only wait for one another
            warnings.simplefilter("ignore")  # of its own search for length scales
            self.gpr.fit(x, y)
            points = self._candidates(x, y)
            promise = self._promise(points, x)
        for place in np.argsort(-promise)[:_PROMISING]:
            values = self._vector_to_values(points[place])
            if not self._duplicate(values) and self.accept(values):
                return _run(values)
        return self.at_random()

    def _promise(self, points, x):
        """Return the improvement that is expected of points (N, D) over the best one of x, luck aside."""
        mean, deviation = self.gpr.predict(points, return_std=True)
        deviation = np.sqrt(np.maximum(deviation**2 - self.gpr.kernel_.k2.noise_level, 1e-12))
        better = self.gpr.predict(x).min() - mean
        return better * norm.cdf(better / deviation) + deviation * norm.pdf(better / deviation)

    def _candidates(self, x, y):
        """Return points (N, D) in the unit cube: anywhere, and around the best so far."""
        random, dimensions = self._random_state, x.shape[1]
        around = np.repeat(x[np.argsort(y)[:5]], 200, axis=0)
        moved = random.uniform(size=around.shape) < max(0.3, 1 / dimensions)
        near = np.where(moved, around + random.normal(0, 0.15, around.shape), around)
        return np.concatenate([random.uniform(size=(1000, dimensions)), np.clip(near, 0, 1)])

    def reseed(self, seed):
        super().reseed(seed)
        self._random_state = np.random.RandomState(seed)
        # From several beginnings where that takes no time: from one, 200 trials of 20 hyperparameters take a second.
        self.gpr.random_state, self.gpr.n_restarts_optimizer = seed, 2 if len(self.trials) <= 100 else 0


class Hyperband(Steady, kt.oracles.HyperbandOracle):
    """Many short trainings, of which the best go on (https://arxiv.org/abs/1603.06560); the preset runs beside them."""

    replays = True  # its brackets are filled while it proposes

    def rounds(self):
        """Return (trials, epochs before, epochs after) of each round of each bracket."""
        found = []
        for bracket in reversed(range(self._get_num_brackets())):
            for number in range(bracket + 1):
                before = self._get_epochs(bracket, number - 1) if number else 0
                found.append((self._get_size(bracket, number), before, self._get_epochs(bracket, number)))
        return found


class Grid(Steady, kt.Oracle):
    """Every point once, the last hyperparameter fastest, each one's default first.

    KerasTuner's own loses its place when it is resumed, and takes 0.3 and 0.30000000000000004 for two values.
    """

    def propose(self, trial_id):
        if not self.trials:
            return _run(dict(self.default))
        last = self.trials[max(self.trials, key=int)].hyperparameters.values
        values = self._after(last)
        while values is not None and not self.accept(values):
            values = self._after(values)
        return _stop() if values is None else _run(values)

    def _after(self, values):
        """Return the point after another one, or None after the last."""
        hps = self.get_space()
        hps.values = dict(values)
        for parameter in reversed(hps.space):
            if not hps.is_active(parameter):
                continue
            legal = grid_values(parameter)
            place = legal.index(hps.values[parameter.name]) + 1
            if place < len(legal):
                hps.values[parameter.name] = legal[place]
                hps.ensure_active_values()
                return dict(hps.values)
            hps.values[parameter.name] = legal[0]
        return None


def grid_values(parameter):
    """Return the values of a hyperparameter on the grid, its default first; ten of a continuum."""
    if hasattr(parameter, "min_value"):
        others = [v for v in sorted(parameter.values) if not math.isclose(v, parameter.default)]
    else:
        others = [v for v in parameter.values if v != parameter.default]
    return [parameter.default, *others]


def _run(values):
    return {"status": "RUNNING", "values": values}


def _stop():
    return {"status": "STOPPED", "values": None}
