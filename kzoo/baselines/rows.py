"""Tables: logistic, ridge and Poisson regression, gradient-boosted trees; with TF-IDF of text columns."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import Predictor
from kzoo.baselines.linear import (
    INVERSE_STRENGTHS,
    PENALTIES,
    QUANTILE_PENALTIES,
    STRENGTHS,
    FittedModel,
    Linear,
    RidgeFits,
    Sums,
    best_by_folds,
    best_logistic,
    chosen_logistic,
    classifier_seconds,
    folds_of_few,
    linear_of,
    unscaled,
    with_bias,
    with_idf,
)
from kzoo.baselines.trees import trees_of_boosting
from kzoo.data.targets.weights import weighted_statistics
from kzoo.inference.tasks.quantiles import levels_of
from kzoo.problems.layout import text_columns

if TYPE_CHECKING:
    import keras
    from scipy.sparse import csr_matrix

    from kzoo.baselines.data import BaselineData


_LINEAR = "https://scikit-learn.org/stable/modules/linear_model.html"
_BOOSTING = (
    "https://scikit-learn.org/stable/modules/ensemble.html#histogram-based-gradient-boosting"
)
_TFIDF = "https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting"
_TEXT_STRENGTHS = (0.1, 0.3, 1.0, 3.0, 10.0)  # inverse strengths of models of columns and texts
# standard deviations at which numbers are clipped: linear models extrapolate without limit
_FAR = 5.0
_MOST_CATEGORIES = 100  # most frequent categories of a column that get a feature each
_MOST_FEATURES = 2_000
_MOST_BINNED = 255  # categories of a column that scikit-learn's trees can distinguish
_TREES = 100  # rounds of boosting
_MOST_LABELS = 100  # each of which needs its own trees
_MOST_OUTPUTS = 20  # values per row, each of which needs its own trees
_MOST_QUANTILE_CELLS = 2_000_000  # rows times features of a linear program


class _Features:
    """Features of a linear model: standardised and clipped numbers, and one-hot frequent categories; no texts."""

    def __init__(self, subset: "BaselineData") -> None:
        x = subset.x
        config = subset.data.config
        x = x[:, : x.shape[1] - text_columns(config)]
        self.numbers = x.shape[1] - len(config.get("categories") or ())
        numbers = x[:, : self.numbers].astype("float64")
        statistics = weighted_statistics(numbers, subset.weight)
        self.middle, self.spread = statistics.mean, statistics.sd
        free_features = max(_MOST_FEATURES - self.numbers, 0)
        self.codes = []
        self.sizes = list(config.get("categories") or ())
        for column in range(self.numbers, x.shape[1]):
            counts = np.bincount(x[:, column].astype(int))
            frequent = np.argsort(-counts, kind="stable")[:_MOST_CATEGORIES]
            used = np.sort(frequent[counts[frequent] > 0])[:free_features]
            free_features -= len(used)
            if len(used) < np.count_nonzero(counts):
                subset.notes.append(
                    f"only the {len(used)} most frequent categories of a column are used"
                )
            self.codes.append(used)
        self.wide = self.numbers + sum(map(len, self.codes))
        subset.notes[:] = dict.fromkeys(subset.notes)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        numbers = np.clip((x[:, : self.numbers] - self.middle) / self.spread, -_FAR, _FAR)
        each = [x[:, self.numbers + i, None] == codes for i, codes in enumerate(self.codes)]
        return np.concatenate([numbers, *each], axis=1, dtype="float32")

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of `self(x) @ kernel + bias`; a category looks up its row of the kernel."""
        parts = []
        if self.numbers:
            x = networks.standardised(
                inputs[:, : self.numbers], self.middle, self.spread, name="numbers"
            )
            parts.append(
                networks.dense(
                    networks.clipped(x, _FAR), kernel[: self.numbers], bias, name="linear"
                )
            )
            bias = np.zeros_like(bias)
        if self.codes:
            tables = []
            start = self.numbers
            for codes, size in zip(self.codes, self.sizes, strict=True):
                rows = np.zeros((size, kernel.shape[1]))
                rows[codes] = kernel[start : start + len(codes)]
                tables.append(rows)
                start += len(codes)
            tables[0] = tables[0] + bias
            codes = inputs[:, self.numbers : self.numbers + len(tables)]
            parts.append(networks.codes_sum(codes, tables, name="categories"))
        return sum(parts[1:], parts[0])


class _FeaturesAndTexts:
    """The features of `_Features`, and TF-IDF of the ids of each text column, as a sparse matrix."""

    def __init__(self, subset: "BaselineData") -> None:
        self.features = _Features(subset)
        config = subset.data.config
        self.buckets, self.lengths = config["text_buckets"], config["text_lengths"]
        weights = import_module("sklearn.feature_extraction.text").TfidfTransformer
        self.weights = [weights(sublinear_tf=True).fit(counts) for counts in self._counts(subset.x)]

    def _counts(self, x: np.ndarray) -> "Iterator[csr_matrix]":
        """Yield a sparse 0/1 matrix (B, buckets) for each text column."""
        matrix = import_module("scipy.sparse").csr_matrix
        start = x.shape[1] - sum(self.lengths)
        for buckets, length in zip(self.buckets, self.lengths, strict=True):
            ids = x[:, start : start + length].astype(int)
            row, position = np.nonzero(ids)
            yield matrix((np.ones(len(row)), (row, ids[row, position])), shape=(len(x), buckets))
            start += length

    def __call__(self, x: np.ndarray) -> "csr_matrix":
        texts = [
            weights.transform(counts)
            for weights, counts in zip(self.weights, self._counts(x), strict=True)
        ]
        return import_module("scipy.sparse").hstack([self.features(x), *texts], format="csr")

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of `self(x) @ kernel + bias`."""
        wide = self.features.wide
        parts = []
        if wide:
            parts.append(self.features.linear(inputs, kernel[:wide], bias))
        row = wide
        start = inputs.shape[1] - sum(self.lengths)
        for i, (buckets, length, weights) in enumerate(
            zip(self.buckets, self.lengths, self.weights, strict=True), 1
        ):
            ids = networks.whole_numbers(inputs[:, start : start + length])
            words = with_idf(weights.idf_, kernel[row : row + buckets])
            parts.append(networks.tfidf(ids, words, name=f"text{i}"))
            row, start = row + buckets, start + length
        return (
            sum(parts[1:], parts[0]) if wide else networks.shifted(sum(parts[1:], parts[0]), bias)
        )


def _seconds_of_texts(subset: "BaselineData") -> float:
    return 0.1 + 1e-5 * len(subset.train) * text_columns(subset.data.config) * max(
        subset.outputs - 1, 1
    )


@baseline(
    "TF-IDF and logistic regression",
    "columns",
    "classes",
    lacks=("steps",),
    setting="text_lengths",
    reference=_TFIDF,
    seconds=_seconds_of_texts,
)
def texts_logistic(subset: "BaselineData") -> "Predictor":
    """Fit logistic regression on TF-IDF of the text columns and on the other columns together."""
    features = _FeaturesAndTexts(subset)
    return best_logistic(subset, features(subset.x), features, _TEXT_STRENGTHS)


@baseline(
    "TF-IDF and ridge regression",
    "columns",
    "values",
    lacks=("steps",),
    setting="text_lengths",
    reference=_TFIDF,
    seconds=_seconds_of_texts,
)
def texts_ridge(subset: "BaselineData") -> "Predictor":
    """Fit ridge regression of the standardised targets on TF-IDF of the text columns and on the other columns."""
    features = _FeaturesAndTexts(subset)
    y = subset.y
    x, shape, y = features(subset.x), y.shape[1:], y.reshape(len(y), -1)
    offset, scale = (
        y.mean(axis=0, dtype="float64"),
        np.maximum(y.std(axis=0, dtype="float64"), 1e-12),
    )

    def fitted(alpha: float) -> "Predictor":
        ridge = import_module("sklearn.linear_model").Ridge(alpha, solver="sparse_cg")
        model = ridge.fit(x, (y - offset) / scale, subset.weight)
        return subset.by_blocks(
            lambda rows: (
                model.predict(features(rows)).reshape(len(rows), -1) * scale + offset
            ).reshape(-1, *shape),
            network=lambda inputs: linear_of(model, scale, offset).network(features, inputs, shape),
        )

    return subset.best({f"alpha={1 / c:g}": fitted(1 / c) for c in _TEXT_STRENGTHS})


def _width(subset: "BaselineData") -> int:
    categories = subset.data.config.get("categories") or ()
    return min(
        _column_count(subset) + sum(min(count, _MOST_CATEGORIES) - 1 for count in categories),
        _MOST_FEATURES,
    )


def _logistic_seconds(subset: "BaselineData") -> float:
    return classifier_seconds(len(subset.train), _width(subset), subset.outputs)


def _ridge_seconds(subset: "BaselineData") -> float:
    return 0.01 + 1e-9 * len(subset.train) * _width(subset) ** 2


@baseline(
    "logistic regression",
    "columns",
    "probabilities",
    "kept",
    lacks=("steps",),
    reference=_LINEAR,
    seconds=_logistic_seconds,
)
def logistic(subset: "BaselineData") -> "Predictor":
    """Fit logistic regression; its strength is chosen on validation data."""
    features = _Features(subset)
    x = _features_of_rows(subset, features)
    return best_logistic(subset, x, features, INVERSE_STRENGTHS, wide=features.wide)


def _features_of_rows(subset: "BaselineData", features: _Features) -> np.ndarray:
    """Return the features (N, F) of the training rows.

    Raises:
        Unfit: there is no column to learn from.
    """
    _check_any_column(features.wide)
    return np.concatenate([features(x) for x, _ in subset.blocks(wide=features.wide)])


def _certain(classes: np.ndarray, count: int) -> np.ndarray:
    """Return the probabilities (N, count) with which only these classes (N,) are predicted."""
    return np.eye(count)[classes]


@baseline(
    "logistic regression, most probable class",
    "columns",
    "ordinal",
    lacks=("steps",),
    reference=_LINEAR,
    seconds=_logistic_seconds,
)
def most_probable(subset: "BaselineData") -> "Predictor":
    """Predict the most probable class of logistic regression, which ignores the order of the classes."""
    features = _Features(subset)
    x = _features_of_rows(subset, features)
    classify = chosen_logistic(subset, x, features, INVERSE_STRENGTHS, wide=features.wide)
    linear = classify.linear
    return subset.by_blocks(
        lambda x: _certain(classify(features(x)).argmax(axis=1), subset.outputs),
        network=lambda inputs: networks.most_probable(
            features.linear(inputs, linear.kernel, linear.bias)
        ),
        wide=features.wide,
    )


@baseline(
    "rounded ridge regression",
    "columns",
    "ordinal",
    lacks=("steps",),
    reference=_LINEAR,
    seconds=_ridge_seconds,
)
def rounded_ridge(subset: "BaselineData") -> "Predictor":
    """Fit ridge regression of the numbers of the classes, and round what it predicts to a class."""
    features = _Features(subset)
    _check_any_column(features.wide)
    fits = RidgeFits(features(subset.x), subset.y, subset.weight)
    highest = subset.outputs - 1

    def rounded(strength: float) -> "Predictor":
        predict, linear = fits.fitted(strength)
        linear = linear.before_scaling(fits.center, fits.spread)
        return subset.by_blocks(
            lambda x: _certain(
                np.rint(predict(features(x))).clip(0, highest).astype(int), subset.outputs
            ),
            network=lambda inputs: networks.rounded_class(
                features.linear(inputs, linear.kernel, linear.bias), subset.outputs
            ),
            wide=features.wide,
        )

    return subset.best(
        {f"alpha={strength:g} per training row": rounded(strength) for strength in STRENGTHS}
    )


@baseline(
    "ridge regression",
    "columns",
    "values",
    lacks=("steps", "counts", "quantiles"),
    reference=_LINEAR,
    seconds=_ridge_seconds,
)
def ridge(subset: "BaselineData") -> "Predictor":
    """Fit ridge regression of the standardised targets in closed form; its strength is chosen on validation data."""
    features, sums, y = _Features(subset), Sums(), subset.y
    _check_any_column(features.wide)
    shape, y = y.shape[1:], y.reshape(len(y), -1)
    statistics = weighted_statistics(y, subset.weight)
    offset, scale = statistics.mean, statistics.sd
    start = 0
    for x, y in subset.blocks(wide=features.wide):
        weight = None if subset.weight is None else subset.weight[start : start + len(x)]
        sums.add(features(x), (y.reshape(len(y), -1) - offset) / scale, weight)
        start += len(x)

    def fitted(strength: float) -> "Predictor":
        weights = sums.weights(strength)

        def predict(x: np.ndarray) -> np.ndarray:
            return ((with_bias(features(x)) @ weights) * scale + offset).reshape(len(x), *shape)

        linear = unscaled(weights, scale, offset)
        return subset.by_blocks(
            predict,
            network=lambda inputs: linear.network(features, inputs, shape),
            wide=features.wide,
        )

    def name(strength: float) -> str:
        return f"alpha={strength:g} per training row"

    if folds := folds_of_few(subset):
        x, y = features(subset.x), (subset.y.reshape(len(subset.y), -1) - offset) / scale

        def loss(strength: float, train: np.ndarray, held: np.ndarray) -> np.ndarray:
            fold_sums = Sums()
            fold_sums.add(
                x[train], y[train], None if subset.weight is None else subset.weight[train]
            )
            return ((with_bias(x[held]) @ fold_sums.weights(strength) - y[held]) ** 2).mean(axis=1)

        return fitted(best_by_folds(subset, STRENGTHS, folds, loss, name))
    return subset.best({name(strength): fitted(strength) for strength in STRENGTHS})


@baseline(
    "Poisson regression",
    "columns",
    "counts",
    lacks=("steps",),
    reference=_LINEAR,
    seconds=lambda subset: (
        0.02
        + len(PENALTIES) * subset.outputs * len(subset.train) * (1e-6 + 1e-9 * _width(subset) ** 2)
    ),
)
def poisson_regression(subset: "BaselineData") -> "Predictor":
    """Fit Poisson regression with scikit-learn, a model per target; its penalty is chosen on validation data."""
    features = _Features(subset)
    y = subset.y
    shape, columns = y.shape[1:], y.reshape(len(y), -1).T
    regression = import_module("sklearn.linear_model").PoissonRegressor
    x = _features_of_rows(subset, features).astype("float64")

    def fitted(alpha: float) -> "Predictor":
        options = dict(alpha=alpha, solver="newton-cholesky")
        models = [regression(**options).fit(x, column, subset.weight) for column in columns]

        def predict(x: np.ndarray) -> np.ndarray:
            rows = features(x).astype("float64")
            return np.stack([model.predict(rows) for model in models], axis=1).reshape(-1, *shape)

        kernel = np.stack([m.coef_ for m in models], axis=1)
        bias = np.array([m.intercept_ for m in models])
        linear = Linear(kernel, bias, "exponential")
        return subset.by_blocks(
            predict,
            network=lambda inputs: linear.network(features, inputs, shape),
            wide=features.wide,
        )

    return subset.best({f"alpha={alpha:g}": fitted(alpha) for alpha in PENALTIES})


@baseline(
    "linear quantile regression",
    "columns",
    "quantiles",
    lacks=("steps",),
    reference=_LINEAR,
    seconds=lambda subset: (
        0.02
        + _models(subset)
        * len(QUANTILE_PENALTIES)
        * 2e-8
        * len(subset.train) ** 1.4
        * (_width(subset) + 1)
    ),
)
def quantile_regression(subset: "BaselineData") -> "Predictor":
    """Fit linear quantile regression with scikit-learn, a model per target and level; quantiles that cross are sorted.

    Its penalty is chosen on validation data.
    """
    features, columns = _Features(subset), subset.y.reshape(len(subset.y), -1).T
    if features.wide * len(subset.train) > _MOST_QUANTILE_CELLS:
        raise Unfit(
            f"linear programs of {len(subset.train):,} rows and {features.wide:,} features take too long"
        )
    regression = import_module("sklearn.linear_model").QuantileRegressor
    x = _features_of_rows(subset, features).astype("float64")
    spread = np.maximum(columns.std(axis=1, dtype="float64"), 1e-12)

    def fitted(alpha: float) -> "Predictor":
        options = dict(alpha=alpha, solver="highs")
        models = [
            [
                regression(quantile=level, **options).fit(x, column / scale, subset.weight)
                for level in levels_of(subset.data.target)
            ]
            for column, scale in zip(columns.astype("float64"), spread, strict=True)
        ]

        def predict(rows: np.ndarray) -> np.ndarray:
            rows = features(rows).astype("float64")
            return _sorted_quantiles(models, rows, spread)

        def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
            scales = np.repeat(spread, len(models[0]))
            kernel = (
                np.stack([model.coef_ for of_target in models for model in of_target], axis=1)
                * scales
            )
            bias = (
                np.array([model.intercept_ for of_target in models for model in of_target]) * scales
            )
            return networks.quantiles(features.linear(inputs, kernel, bias), len(models[0]))

        return subset.by_blocks(predict, network=network, wide=features.wide)

    return subset.best({f"alpha={alpha:g}": fitted(alpha) for alpha in QUANTILE_PENALTIES})


def _models(subset: "BaselineData") -> int:
    """Return the number of models if each value per row has one, or each of its quantiles."""
    return subset.outputs * len(subset.data.config.get("quantiles") or (None,))


def _sorted_quantiles(
    models: Sequence[Sequence[FittedModel]], rows: np.ndarray, spread: np.ndarray | None = None
) -> np.ndarray:
    """Return predictions (B, targets, levels) of a model for each target and level, in order of the levels."""
    # (targets, levels, B)
    quantiles = np.stack([[model.predict(rows) for model in of_target] for of_target in models])
    quantiles = np.sort(np.moveaxis(quantiles, 2, 0), axis=-1)
    return quantiles if spread is None else quantiles * spread[:, None]


@baseline(
    "gradient-boosted trees",
    "columns",
    "quantiles",
    lacks=("steps",),
    reference=_BOOSTING,
    seconds=lambda subset: 1.2 * _seconds_of_trees(subset),
)
def quantile_trees(subset: "BaselineData") -> "Predictor":
    """Fit gradient-boosted trees with the pinball loss, a model per target and level; the quantiles are sorted."""
    levels, columns = levels_of(subset.data.target), subset.y.reshape(len(subset.y), -1).T
    if len(columns) * len(levels) > _MOST_OUTPUTS:
        raise Unfit(
            f"each of {len(columns) * len(levels)} quantiles per row would need its own trees"
        )
    boosting = import_module("sklearn.ensemble").HistGradientBoostingRegressor
    options = dict(
        random_state=subset.seed, categorical_features=_categorical_columns(subset), max_iter=_TREES
    )
    count = _column_count(subset)
    _check_any_column(count)
    x = subset.x[:, :count]
    models = [
        [
            boosting(loss="quantile", quantile=level, **options).fit(x, column, subset.weight)
            for level in levels
        ]
        for column in columns
    ]

    def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
        flat = [model for of_target in models for model in of_target]
        return networks.quantiles(_boosted(subset, flat, inputs), len(levels))

    return subset.by_blocks(lambda x: _sorted_quantiles(models, x[:, :count]), network=network)


def _boosted(
    subset: "BaselineData", models: Sequence[FittedModel], inputs: "keras.KerasTensor"
) -> "keras.KerasTensor":
    """Return the network of the sums of trees of fitted boostings, before their link function: (B, sums)."""
    categories = subset.data.config.get("categories") or ()
    sizes = dict(enumerate(categories, start=_column_count(subset) - len(categories)))
    groups, baselines = [], []
    for model in models:
        groups += trees_of_boosting(model, sizes)
        baselines += [float(value) for value in model._baseline_prediction.reshape(-1)]
    return networks.shifted(networks.forest(inputs, groups), baselines)


def _seconds_of_trees(subset: "BaselineData") -> float:
    rows = len(subset.train)
    width = _column_count(subset)
    models = 1 if subset.classes == 2 else _models(subset)
    return _TREES * models * (2e-4 + 2.5e-6 * width * min(31, rows / 20) + 3e-9 * rows * width)


def _check_any_column(count: int) -> None:
    """Raise `Unfit` if there are no columns besides texts."""
    if not count:
        raise Unfit("all columns are texts")


def _column_count(subset: "BaselineData") -> int:
    """Return the number of columns of x without the ids of texts."""
    return subset.shape[0] - text_columns(subset.data.config)


def _categorical_columns(subset: "BaselineData") -> list[bool]:
    """Return which columns are categories; those with too many of them for trees are used as numbers."""
    categories = subset.data.config.get("categories") or ()
    numbers = _column_count(subset) - len(categories)
    return [False] * numbers + [count <= _MOST_BINNED for count in categories]
