"""Bayesian optimisation with a Gaussian process (https://arxiv.org/abs/1206.2944)."""

import warnings

import keras_tuner as kt
import numpy as np
from scipy.stats import norm, rankdata
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import threadpool_limits

from kzoo.tuning.engines.base import BaseEngine, Proposal, proposal
from kzoo.tuning.engines.keras_tuner_private import OpenBayesian

_PROMISING = 100  # best candidates, of which the first new one is proposed
_RESTARTS = 3  # starts of the optimisation of length scales
# most trials that are fitted: half of them the best, the others spread over the rest
_MODELLED = 200


class Engine(OpenBayesian, BaseEngine, kt.oracles.BayesianOptimizationOracle):
    """KerasTuner's Bayesian oracle with a noise term, ranked scores and new points only.

    KerasTuner's takes scores for exact, so noise misleads it; it needs seconds for a proposal, and may repeat a point.
    Here the noise is learned, scores are replaced by their ranks, so that a failure is no worse than the last rank, and
    the new candidate with the largest expected improvement is proposed.
    """

    learns = True

    def model(self, dimensions: int) -> GaussianProcessRegressor:
        """Return an unfitted Gaussian process."""
        # one length scale each: only some hyperparameters have an effect
        scales = np.ones(dimensions)
        kernel = kernels.Matern(scales, (0.1, 10.0), nu=2.5) + kernels.WhiteKernel(0.1, (1e-3, 1.0))
        return GaussianProcessRegressor(kernel)

    def propose(self, trial_id: str) -> Proposal:
        if self.scored_count() < self.startup_count:
            return self.propose_startup(int(trial_id))
        x, scores = self.observations()
        # smaller is better: KerasTuner has changed the sign
        y = norm.ppf((rankdata(scores) - 0.5) / len(scores))
        if len(y) > _MODELLED:
            order = np.argsort(y, kind="stable")
            half = _MODELLED // 2
            selected = np.r_[order[:half], order[np.linspace(half, len(y) - 1, half).astype(int)]]
            x, y = x[selected], y[selected]
        # the matrices are too small for threads
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore")  # convergence warnings of the length scales
            # Several starts where that is fast; with one, 200 trials in 20 dimensions take a second.
            restarts = _RESTARTS if len(self.trials) <= 100 else 1
            self.gpr.set_params(random_state=self.proposal_seed, n_restarts_optimizer=restarts - 1)
            self.gpr.fit(x, y)
            points = _candidates(x, y, np.random.RandomState(self.proposal_seed))
            improvement = self._expected_improvement(points, x)
        for index in np.argsort(-improvement)[:_PROMISING]:
            values = self.values_at(points[index])
            if not self.was_tried(values) and self.accept(values):
                return proposal(values)
        return self.propose_random()

    def _expected_improvement(self, points: np.ndarray, x: np.ndarray) -> np.ndarray:
        """Return the expected improvement (N,) of points (N, D) over the best of x, without noise."""
        mean, deviation = self.gpr.predict(points, return_std=True)
        deviation = np.sqrt(np.maximum(deviation**2 - self.gpr.kernel_.k2.noise_level, 1e-12))
        improvement = self.gpr.predict(x).min() - mean
        return improvement * norm.cdf(improvement / deviation) + deviation * norm.pdf(
            improvement / deviation
        )


def _candidates(x: np.ndarray, y: np.ndarray, random: np.random.RandomState) -> np.ndarray:
    """Return points (N, D) in the unit cube: uniform ones, and ones around the best so far."""
    dimensions = x.shape[1]
    centers = np.repeat(x[np.argsort(y)[:5]], 200, axis=0)
    moved = random.uniform(size=centers.shape) < max(0.3, 1 / dimensions)
    near = np.where(moved, centers + random.normal(0, 0.15, centers.shape), centers)
    return np.concatenate([random.uniform(size=(1000, dimensions)), np.clip(near, 0, 1)])
