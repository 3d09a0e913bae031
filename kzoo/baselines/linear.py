"""A linear model in closed form, and one for classes: what tables, windows and images share. NumPy and scikit-learn."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit

STRENGTHS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)  # of ridge, beside the mean square of a feature
INVERSE_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # C of logistic regression
_ITERATIONS = 200


class Sums:
    """What ridge regression has to know of any number of rows: sums of products, in double precision.

    The bias is a feature of its own, and is not shrunk.
    """

    def __init__(self):
        self.count, self.inner, self.outer = 0, 0.0, 0.0

    def add(self, x, y, weight=None):
        """Add rows: x (B, F), y (B, outputs), which count as `weight` (B,) says; all alike where that is None."""
        x = with_bias(x)
        self.count += len(x)
        weighted = x if weight is None else x * weight[:, None]
        self.inner, self.outer = self.inner + weighted.T @ x, self.outer + weighted.T @ np.asarray(y, "float64")

    def weights(self, strength):
        """Return the weights (F + 1, outputs) of one strength, which counts beside the mean square of a feature."""
        scale = self.inner.diagonal()[:-1].mean() if len(self.inner) > 1 else 0.0
        shrunk = np.append(np.full(len(self.inner) - 1, max(strength * scale, 1e-9 * self.count)), 0.0)
        return np.linalg.solve(self.inner + np.diag(shrunk), self.outer)


def with_bias(x):
    """Return x (B, F) in double precision with a column of ones at its end."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype="float64")


def classifier(x, y, classes, *, inverse_strength, seed, weight=None):
    """Fit logistic regression; return the function of x (B, F) that gives the probabilities (B, classes).

    Args:
        x: (N, F), dense or sparse.
        y: (N,) class numbers.
        inverse_strength: scikit-learn's C.
        weight: (N,) how much each row counts; None where all count alike.
    """
    if len(present := np.unique(y)) < 2:
        raise Unfit("the training rows that it takes have one class only")
    logistic = import_module("sklearn.linear_model").LogisticRegression
    model = logistic(C=inverse_strength, max_iter=_ITERATIONS, random_state=seed).fit(x, y, weight)
    return lambda x: with_all_classes(model.predict_proba(x), present, classes)


def with_all_classes(p, present, classes):
    """Return probabilities (B, classes) from those (B, C) of the classes that were among the training rows."""
    every = np.zeros((len(p), classes))
    every[:, present] = p
    return every


def seconds_of(rows, features, classes):
    """Return about how long `classifier` takes for all `INVERSE_STRENGTHS` together, on one core."""
    return 0.02 + len(INVERSE_STRENGTHS) * 1e-7 * rows * features * (classes if classes > 2 else 1)
