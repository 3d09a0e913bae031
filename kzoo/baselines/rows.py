"""Tables: logistic regression, ridge regression, gradient-boosted trees."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.linear import (
    INVERSE_STRENGTHS,
    STRENGTHS,
    Sums,
    classifier,
    classifier_seconds,
    one_at_a_time,
    with_all_classes,
    with_bias,
)

_LINEAR = "https://scikit-learn.org/stable/modules/linear_model.html"
_BOOSTING = "https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting"
_FAR = 5.0  # standard deviations at which numbers are clipped: linear models extrapolate without limit
_MOST_CATEGORIES = 100  # most frequent categories of a column that get a feature each
_MOST_FEATURES = 2_000
_MOST_BINNED = 255  # categories of a column that scikit-learn's trees can distinguish
_TREES = 100  # rounds of boosting
_MOST_LABELS = 100  # each of which needs its own trees
_MOST_OUTPUTS = 20  # values per row, each of which needs its own trees


class _Features:
    """Features of a linear model: standardised and clipped numbers, and one-hot frequent categories."""

    def __init__(self, subset):
        x, categories = subset.x, subset.data.config.get("categories") or ()
        self.numbers = x.shape[1] - len(categories)
        numbers = x[:, : self.numbers].astype("float64")
        self.middle, self.spread = numbers.mean(axis=0), numbers.std(axis=0)
        self.spread[self.spread <= 1e-9 * np.maximum(np.abs(self.middle), 1e-30)] = 1.0
        free_features = max(_MOST_FEATURES - self.numbers, 0)
        self.codes = []
        for column in range(self.numbers, x.shape[1]):
            counts = np.bincount(x[:, column].astype(int))
            frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
            used = np.sort(frequent[counts[frequent] > 0])[:free_features]
            free_features -= len(used)
            if len(used) < np.count_nonzero(counts):
                subset.notes.append(f"only the {len(used)} most frequent categories of a column are used")
            self.codes.append(used)
        self.wide = self.numbers + sum(map(len, self.codes))
        subset.notes[:] = dict.fromkeys(subset.notes)

    def __call__(self, x):
        numbers = np.clip((x[:, : self.numbers] - self.middle) / self.spread, -_FAR, _FAR)
        each = [x[:, self.numbers + i, None] == codes for i, codes in enumerate(self.codes)]
        return np.concatenate([numbers, *each], axis=1, dtype="float32")


def _width(subset):
    categories = subset.data.config.get("categories") or ()
    return min(subset.shape[0] + sum(min(count, _MOST_CATEGORIES) - 1 for count in categories), _MOST_FEATURES)


@baseline(
    "logistic regression", "columns", "probabilities", "kept", lacks=("steps",), reference=_LINEAR,
    seconds=lambda subset: classifier_seconds(len(subset.train), _width(subset), subset.outputs),
)  # fmt: skip
def logistic(subset):
    """Fit logistic regression; its strength is chosen on validation data."""
    features, y = _Features(subset), subset.y
    x = np.concatenate([features(x) for x, _ in subset.blocks(wide=features.wide)])

    def fitted(c):
        classify = classifier(x, y, subset.outputs, inverse_strength=c, seed=subset.seed, weight=subset.weight)
        return subset.by_blocks(lambda rows: classify(features(rows)), wide=features.wide)

    return subset.best({f"C={c:g}": fitted(c) for c in INVERSE_STRENGTHS})


@baseline(
    "ridge regression", "columns", "values", lacks=("steps",), reference=_LINEAR,
    seconds=lambda subset: 0.01 + 1e-9 * len(subset.train) * _width(subset) ** 2,
)  # fmt: skip
def ridge(subset):
    """Fit ridge regression of the standardised targets in closed form; its strength is chosen on validation data."""
    features, sums, y = _Features(subset), Sums(), subset.y
    shape, y = y.shape[1:], y.reshape(len(y), -1)
    offset, scale = y.mean(axis=0, dtype="float64"), np.maximum(y.std(axis=0, dtype="float64"), 1e-12)
    start = 0
    for x, y in subset.blocks(wide=features.wide):
        weight = None if subset.weight is None else subset.weight[start : start + len(x)]
        sums.add(features(x), (y.reshape(len(y), -1) - offset) / scale, weight)
        start += len(x)

    def fitted(strength):
        weights = sums.weights(strength)

        def predict(x):
            return ((with_bias(features(x)) @ weights) * scale + offset).reshape(len(x), *shape)

        return subset.by_blocks(predict, wide=features.wide)

    return subset.best({f"alpha={strength:g} per training row": fitted(strength) for strength in STRENGTHS})


def _seconds_of_trees(subset):
    rows, width = len(subset.train), subset.shape[0]
    models = 1 if "classes" in subset.data.problem.facts and subset.outputs == 2 else subset.outputs
    return _TREES * models * (2e-4 + 2.5e-6 * width * min(31, rows / 20) + 3e-9 * rows * width)


@baseline(
    "gradient-boosted trees", "columns", "kept", lacks=("steps",), reference=_BOOSTING, seconds=_seconds_of_trees
)  # fmt: skip
def trees(subset):
    """Fit gradient-boosted trees on binned columns with scikit-learn's defaults, one model per target or label."""
    facts, x, y = subset.data.problem.facts, subset.x, subset.y
    classes, labels = "classes" in facts, "labels" in facts
    shape, columns = y.shape[1:], y.reshape(len(y), -1).T
    if classes and len(np.unique(y)) < 2:
        raise Unfit("the training rows that it uses have a single class")
    if len(columns) > (_MOST_LABELS if labels else _MOST_OUTPUTS):
        raise Unfit(f"each of {len(columns)} values per row would need its own trees")
    boosting = getattr(
        import_module("sklearn.ensemble"), f"HistGradientBoosting{'Classifier' if classes or labels else 'Regressor'}"
    )
    options = dict(random_state=subset.seed, categorical_features=_categorical_columns(subset), max_iter=_TREES)
    if labels:

        def fit(rows, truth, weight):
            model = boosting(**options).fit(x[rows], truth, weight)
            return lambda x: model.predict_proba(x)[:, 1]

        return subset.by_blocks(one_at_a_time(y, fit, subset.weight))
    models = [boosting(**options).fit(x, column, subset.weight) for column in columns]
    if not classes:
        return subset.by_blocks(lambda x: np.stack([model.predict(x) for model in models], axis=1).reshape(-1, *shape))
    return subset.by_blocks(lambda x: with_all_classes(models[0].predict_proba(x), models[0].classes_, subset.outputs))


def _categorical_columns(subset):
    """Return which columns are categories; those with too many of them for trees are used as numbers."""
    categories = subset.data.config.get("categories") or ()
    numbers = subset.shape[0] - len(categories)
    return [False] * numbers + [count <= _MOST_BINNED for count in categories]
