"""A Gaussian process over the trials so far (https://arxiv.org/abs/1206.2944)."""

import warnings

import keras_tuner as kt
import numpy as np
from scipy.stats import norm, rankdata
from sklearn.gaussian_process import GaussianProcessRegressor, kernels
from threadpoolctl import threadpool_limits

from kzoo.tuning.engines.base import BaseEngine, run
from kzoo.tuning.engines.keras_tuner_private import OpenBayesian

_PROMISING = 100  # points of which the best new one is taken
_BEGINNINGS = 3  # of the search for length scales
_MODELLED = 200  # trials that a model is made of: the best half of so many, and some of all the others


class Engine(OpenBayesian, BaseEngine, kt.oracles.BayesianOptimizationOracle):
    """KerasTuner's takes a score for exact, and with luck in the scores it wanders; it needs some seconds for a
    proposal, and may propose what there was. Here the share of luck is learned too, scores count by their rank, so that
    a failure is no worse than the last place, and of many points the new one is taken that promises the most.
    """

    learns = True

    def model(self, dimensions):
        """Return a Gaussian process that knows no trial yet."""
        scales = np.ones(dimensions)  # one each: some hyperparameters matter, most do not
        kernel = kernels.Matern(scales, (0.1, 10.0), nu=2.5) + kernels.WhiteKernel(0.1, (1e-3, 1.0))
        return GaussianProcessRegressor(kernel)

    def propose(self, trial_id):
        if self.scored() < self.starts:
            return self.start(int(trial_id))
        x, scores = self.tried()
        y = norm.ppf((rankdata(scores) - 0.5) / len(scores))  # less is better: KerasTuner has turned the sign
        if len(y) > _MODELLED:
            order, half = np.argsort(y, kind="stable"), _MODELLED // 2
            kept = np.r_[order[:half], order[np.linspace(half, len(y) - 1, half).astype(int)]]
            x, y = x[kept], y[kept]
        with warnings.catch_warnings(), threadpool_limits(1):  # so small, threads only wait for one another
            warnings.simplefilter("ignore")  # of its own search for length scales
            # From several beginnings where that takes no time; from one, 200 trials in 20 dimensions take a second.
            beginnings = _BEGINNINGS if len(self.trials) <= 100 else 1
            self.gpr.set_params(random_state=self.proposal_seed, n_restarts_optimizer=beginnings - 1)
            self.gpr.fit(x, y)
            points = _candidates(x, y, np.random.RandomState(self.proposal_seed))
            promise = self._promise(points, x)
        for place in np.argsort(-promise)[:_PROMISING]:
            values = self.values_at(points[place])
            if not self.has_had(values) and self.accept(values):
                return run(values)
        return self.at_random()

    def _promise(self, points, x):
        """Return the improvement that is expected of points (N, D) over the best one of x, luck aside."""
        mean, deviation = self.gpr.predict(points, return_std=True)
        deviation = np.sqrt(np.maximum(deviation**2 - self.gpr.kernel_.k2.noise_level, 1e-12))
        better = self.gpr.predict(x).min() - mean
        return better * norm.cdf(better / deviation) + deviation * norm.pdf(better / deviation)


def _candidates(x, y, random):
    """Return points (N, D) in the unit cube: anywhere, and around the best so far."""
    dimensions = x.shape[1]
    around = np.repeat(x[np.argsort(y)[:5]], 200, axis=0)
    moved = random.uniform(size=around.shape) < max(0.3, 1 / dimensions)
    near = np.where(moved, around + random.normal(0, 0.15, around.shape), around)
    return np.concatenate([random.uniform(size=(1000, dimensions)), np.clip(near, 0, 1)])
