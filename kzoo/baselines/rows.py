"""Tables: logistic regression, ridge regression, gradient-boosted trees."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.linear import (
    INVERSE_STRENGTHS,
    STRENGTHS,
    Sums,
    classifier,
    seconds_of,
    with_all_classes,
    with_bias,
)

_LINEAR = "https://scikit-learn.org/stable/modules/linear_model.html"
_BOOSTING = "https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting"
_FAR = 5.0  # deviations, beyond which a number counts as no further: a line would follow it anywhere
_MOST_CATEGORIES = 100  # of a column that have a feature of their own, the most frequent ones
_MOST_FEATURES = 2_000
_MOST_BINNED = 255  # categories of a column that scikit-learn's trees tell apart
_TREES = 100  # rounds of boosting
_MOST_OUTPUTS = 20  # values, each of which gets trees of its own


class _Features:
    """Rows as a linear model takes them: numbers standardised and cut off, frequent categories as 0 and 1."""

    def __init__(self, given):
        x, categories = given.x, given.data.config.get("categories") or ()
        self.numbers = x.shape[1] - len(categories)
        numbers = x[:, : self.numbers].astype("float64")
        self.middle, self.spread = numbers.mean(axis=0), numbers.std(axis=0)
        self.spread[self.spread <= 1e-9 * np.maximum(np.abs(self.middle), 1e-30)] = 1.0
        room = max(_MOST_FEATURES - self.numbers, 0)
        self.codes = []
        for column in range(self.numbers, x.shape[1]):
            counts = np.bincount(x[:, column].astype(int))
            frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
            kept = np.sort(frequent[counts[frequent] > 0])[:room]
            room -= len(kept)
            if len(kept) < np.count_nonzero(counts):
                given.notes.append(f"the {len(kept)} most frequent categories of a column count")
            self.codes.append(kept)
        self.wide = self.numbers + sum(map(len, self.codes))
        given.notes[:] = dict.fromkeys(given.notes)

    def __call__(self, x):
        numbers = np.clip((x[:, : self.numbers] - self.middle) / self.spread, -_FAR, _FAR)
        each = [x[:, self.numbers + i, None] == codes for i, codes in enumerate(self.codes)]
        return np.concatenate([numbers, *each], axis=1, dtype="float32")


def _width(given):
    categories = given.data.config.get("categories") or ()
    return min(given.shape[0] + sum(min(count, _MOST_CATEGORIES) - 1 for count in categories), _MOST_FEATURES)


@baseline(
    "logistic regression", "columns", "classes", lacks=("steps",), reference=_LINEAR,
    seconds=lambda given: seconds_of(len(given.train), _width(given), given.outputs),
)  # fmt: skip
def logistic(given):
    """Fit a linear model of the log odds, its strength chosen on validation data."""
    features, y = _Features(given), given.y
    x = np.concatenate([features(x) for x, _ in given.blocks(wide=features.wide)])

    def fitted(c):
        answer = classifier(x, y, given.outputs, inverse_strength=c, seed=given.seed, weight=given.weight)
        return given.by_blocks(lambda rows: answer(features(rows)), wide=features.wide)

    return given.best({f"C={c:g}": fitted(c) for c in INVERSE_STRENGTHS})


@baseline(
    "ridge regression", "columns", "values", lacks=("steps",), reference=_LINEAR,
    seconds=lambda given: 0.01 + 1e-9 * len(given.train) * _width(given) ** 2,
)  # fmt: skip
def ridge(given):
    """Fit a linear model of the standardised targets in closed form, its strength chosen on validation data."""
    features, sums, y = _Features(given), Sums(), given.y
    shape, y = y.shape[1:], y.reshape(len(y), -1)
    offset, scale = y.mean(axis=0, dtype="float64"), np.maximum(y.std(axis=0, dtype="float64"), 1e-12)
    done = 0
    for x, y in given.blocks(wide=features.wide):
        weight = None if given.weight is None else given.weight[done : done + len(x)]
        sums.add(features(x), (y.reshape(len(y), -1) - offset) / scale, weight)
        done += len(x)

    def fitted(strength):
        weights = sums.weights(strength)

        def answer(x):
            return ((with_bias(features(x)) @ weights) * scale + offset).reshape(len(x), *shape)

        return given.by_blocks(answer, wide=features.wide)

    return given.best({f"alpha={strength:g} n": fitted(strength) for strength in STRENGTHS})


def _seconds_of_trees(given):
    rows, width = len(given.train), given.shape[0]
    many = given.outputs if "values" in given.data.problem.facts or given.outputs > 2 else 1
    return _TREES * many * (2e-4 + 2.5e-6 * width * min(31, rows / 20) + 3e-9 * rows * width)


@baseline(
    "gradient-boosted trees", "columns", "kept", lacks=("steps",), reference=_BOOSTING, seconds=_seconds_of_trees
)  # fmt: skip
def trees(given):
    """Boost trees on binned columns with scikit-learn's own settings, for each of several targets by itself."""
    classes, x, y = "classes" in given.data.problem.facts, given.x, given.y
    shape, columns = y.shape[1:], y.reshape(len(y), -1).T
    if classes and len(np.unique(y)) < 2:
        raise Unfit("the training rows that it takes have one class only")
    if len(columns) > _MOST_OUTPUTS:
        raise Unfit(f"each of {len(columns)} values would need trees of its own")
    boosting = getattr(
        import_module("sklearn.ensemble"), f"HistGradientBoosting{'Classifier' if classes else 'Regressor'}"
    )
    options = dict(random_state=given.seed, categorical_features=_binned(given), max_iter=_TREES)
    models = [boosting(**options).fit(x, column, given.weight) for column in columns]
    if not classes:
        return given.by_blocks(lambda x: np.stack([model.predict(x) for model in models], axis=1).reshape(-1, *shape))
    return given.by_blocks(lambda x: with_all_classes(models[0].predict_proba(x), models[0].classes_, given.outputs))


def _binned(given):
    """Return which columns are categories; those with more of them than trees tell apart count as numbers."""
    categories = given.data.config.get("categories") or ()
    numbers = given.shape[0] - len(categories)
    return [False] * numbers + [count <= _MOST_BINNED for count in categories]
