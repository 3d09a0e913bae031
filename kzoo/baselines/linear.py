"""Ridge regression in closed form and logistic regression, shared by several baselines. NumPy and scikit-learn."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit

STRENGTHS = (1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3, 1.0)  # of ridge regression: multiples of a feature's mean square
INVERSE_STRENGTHS = (0.01, 0.1, 1.0, 10.0)  # C of logistic regression
PENALTIES = (1e-4, 0.01, 0.1, 1.0)  # alpha of Poisson regression
QUANTILE_PENALTIES = (0.0, 0.01)  # alpha of linear quantile regression, of standardised targets
_ITERATIONS = 200
_ROWS_AT_ONCE = 8192  # of features in double precision


class Sums:
    """The sums of products that ridge regression needs, accumulated over blocks of rows in double precision.

    The bias is an additional feature that is not shrunk.
    """

    def __init__(self):
        self.count, self.inner, self.outer = 0, 0.0, 0.0

    def add(self, x, y, weight=None):
        """Add rows x (B, F) and y (B, outputs) with sample weights (B,); None: all rows have the same weight."""
        x = with_bias(x)
        self.count += len(x)
        weighted = x if weight is None else x * weight[:, None]
        self.inner, self.outer = self.inner + weighted.T @ x, self.outer + weighted.T @ np.asarray(y, "float64")

    def weights(self, strength):
        """Return the weights (F + 1, outputs) for a strength, a multiple of the mean square of a feature."""
        scale = self.inner.diagonal()[:-1].mean() if len(self.inner) > 1 else 0.0
        shrunk = np.append(np.full(len(self.inner) - 1, max(strength * scale, 1e-9 * self.count)), 0.0)
        return np.linalg.solve(self.inner + np.diag(shrunk), self.outer)


class RidgeFits:
    """Ridge regressions on dense features, one for each strength, with standardised features and targets.

    Args:
        x: (N, F).
        y: (N, ...) values.
        weight: (N,) sample weights; None: all rows have the same weight.
    """

    def __init__(self, x, y, weight=None):
        self.shape, y = y.shape[1:], y.reshape(len(y), -1)
        self.center, self.spread = x.mean(axis=0), x.std(axis=0).mean() or 1.0
        self.offset, self.scale = y.mean(axis=0, dtype="float64"), np.maximum(y.std(axis=0, dtype="float64"), 1e-12)
        self.sums = Sums()
        for start in range(0, len(x), _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            self.sums.add(
                self._features(x[rows]),
                (y[rows] - self.offset) / self.scale,
                None if weight is None else weight[rows],
            )

    def _features(self, x):
        return (x - self.center) / self.spread

    def fitted(self, strength):
        """Return a function from features (B, F) to values (B, ...)."""
        weights = self.sums.weights(strength)

        def predict(x):
            y = with_bias(self._features(x)) @ weights
            return (y * self.scale + self.offset).reshape(len(x), *self.shape)

        return predict


def with_bias(x):
    """Return x (B, F) in double precision with a column of ones appended."""
    return np.concatenate([x, np.ones((len(x), 1))], axis=1, dtype="float64")


def classifier(x, y, classes, *, inverse_strength, seed, weight=None):
    """Fit logistic regression; return a function from x (B, F) to probabilities (B, classes).

    Args:
        x: (N, F), dense or sparse.
        y: (N,) class numbers; or (N, labels) 0, 1 and NaN, each label of which gets a model of its own.
        inverse_strength: scikit-learn's C.
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    if y.ndim == 2:

        def fit(rows, truth, weight):
            options = dict(inverse_strength=inverse_strength, seed=seed, weight=weight)
            classify = classifier(x[rows], truth, 2, **options)
            return lambda x: classify(x)[:, 1]

        return one_at_a_time(y, fit, weight)
    if len(present := np.unique(y)) < 2:
        raise Unfit("the training rows that it uses have a single class")
    logistic = import_module("sklearn.linear_model").LogisticRegression
    model = logistic(C=inverse_strength, max_iter=_ITERATIONS, random_state=seed).fit(x, y, weight)
    return lambda x: with_all_classes(model.predict_proba(x), present, classes)


def one_at_a_time(y, fit, weight=None):
    """Fit a model for each label; return a function from x (B, F) to the probabilities of all labels (B, labels).

    A label that all or none of the training rows have gets its share.

    Args:
        y: (N, labels) 0, 1 and NaN, of the training rows.
        fit: function of the indices of the rows whose label is known, of these labels and their weights, that returns a
            function from x to probabilities (B,).
        weight: (N,) sample weights; None: all rows have the same weight.
    """
    models = []
    for column in y.T:
        rows = np.flatnonzero(~np.isnan(column))
        truth = column[rows].astype(np.int64)
        if len(np.unique(truth)) < 2:
            models.append(float(truth.mean()) if len(truth) else 0.0)
        else:
            models.append(fit(rows, truth, None if weight is None else weight[rows]))
    if all(isinstance(model, float) for model in models):
        raise Unfit("no label of the training rows that it uses varies")

    def predict(x):
        return np.stack(
            [np.full(x.shape[0], model) if isinstance(model, float) else model(x) for model in models], axis=1
        )

    return predict


def with_all_classes(p, present, classes):
    """Return probabilities (B, classes) from those (B, C) of the classes that occur in the training rows."""
    all_p = np.zeros((len(p), classes))
    all_p[:, present] = p
    return all_p


def best_logistic(subset, x, features, strengths, **blocks):
    """Return the predictor of the logistic regression whose strength is best on validation data.

    Args:
        subset: the `BaselineData`.
        x: (N, F) features of its training rows.
        features: function of rows that returns their features.
        strengths: values of scikit-learn's C.
        blocks: options of `by_blocks`.
    """
    y = subset.y

    def fitted(c):
        classify = classifier(x, y, subset.outputs, inverse_strength=c, seed=subset.seed, weight=subset.weight)
        return subset.by_blocks(lambda rows: classify(features(rows)), **blocks)

    return subset.best({f"C={c:g}": fitted(c) for c in strengths})


def classifier_seconds(rows, features, classes):
    """Return the estimated seconds of `classifier` for all `INVERSE_STRENGTHS` together, on one core."""
    return 0.02 + len(INVERSE_STRENGTHS) * 1e-7 * rows * features * (classes if classes > 2 else 1)
