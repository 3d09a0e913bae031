"""Texts: linear models of counted words and pairs of words."""

from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np

from kzoo.baselines import networks
from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import BaselineData
from kzoo.baselines.linear import best_logistic, linear_of, with_idf

if TYPE_CHECKING:
    import keras
    from scipy.sparse import csr_matrix

    from kzoo.baselines.data import Predictor


_TFIDF = "https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting"
_SAMPLED_TEXTS = 256  # texts used to estimate their length
_MOST_FEATURES = 20_000_000  # weights of a linear model, all classes together
# beta of NB-SVM, which mixes weights with their mean; 1 uses the weights alone
_WEIGHTS = (0.25, 1.0)
_STRENGTHS_OF_SVM = (0.01, 0.1, 1.0)
# alpha; the squares of a text's TF-IDF features have the sum 1
_STRENGTHS_OF_RIDGE = (0.1, 0.3, 1.0, 3.0, 10.0)
_STRENGTHS_OF_LOGISTIC = (1.0, 3.0, 10.0, 30.0, 100.0)
# the code of a pair is its first word times this, plus its second: ids are int32
_PAIR = np.int64(2**31)


class Counts:
    """The words and pairs of neighbouring words of the training texts, each a column of a sparse matrix.

    Texts are read as the network reads them: with the same tokenizer and cut to the same length. If the tokenizer
    already has ids for runs of tokens (n-grams), no pairs are added.

    Args:
        subset: a `BaselineData`.
    """

    def __init__(self, subset: BaselineData) -> None:
        self.vocabulary_size = subset.data.config.get("vocabulary_size") or 0
        self.grams = _words if subset.data.preprocessing.get("ngrams") else _words_and_pairs
        blocks = [np.unique(self.grams(x)[1], return_counts=True) for x, _ in subset.blocks()]
        codes, counts = (np.concatenate(column) for column in zip(*blocks, strict=True))
        self.codes, indices = np.unique(codes, return_inverse=True)
        counts = np.bincount(indices, weights=counts)
        if len(self.codes) > (limit := _MOST_FEATURES // subset.outputs):
            self.codes = np.sort(self.codes[np.argsort(-counts, kind="stable")[:limit]])
            subset.notes.append(f"only the {limit:,} most frequent words and pairs are used")

    def tables(
        self, rows: np.ndarray
    ) -> tuple[np.ndarray, tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Return the rows (columns, W) of a kernel by words (ids, W), and by pairs (first, second, (P, W))."""
        first, second = np.divmod(self.codes, _PAIR)  # the first is 0 for words
        is_word = first == 0
        words = np.zeros(
            (max(self.vocabulary_size, int(self.codes[is_word].max()) + 1), rows.shape[1])
        )
        words[second[is_word]] = rows[is_word]
        return words, (first[~is_word], second[~is_word], rows[~is_word])

    def __call__(self, x: np.ndarray) -> "csr_matrix":
        """Return how often each occurs in texts (B, T), as a sparse matrix (B, columns)."""
        rows, codes = self.grams(x)
        if not len(self.codes):
            raise Unfit("the training texts contain no words")
        columns = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        in_vocabulary = self.codes[columns] == codes
        entries = np.ones(np.count_nonzero(in_vocabulary))
        matrix = import_module("scipy.sparse").csr_matrix
        return matrix(
            (entries, (rows[in_vocabulary], columns[in_vocabulary])),
            shape=(len(x), len(self.codes)),
        )


def _words(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (text index, token id) of each word."""
    row, position = np.nonzero(x)
    return row, x[row, position].astype(np.int64)


def _words_and_pairs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (text index, code) of each word and of each pair of neighbouring words."""
    x = np.asarray(x, np.int64)
    first = x[:, :-1]
    second = x[:, 1:]
    pair_rows, positions = np.nonzero((first > 0) & (second > 0))
    row, words = _words(x)
    return np.concatenate([row, pair_rows]), np.concatenate(
        [words, first[pair_rows, positions] * _PAIR + second[pair_rows, positions]]
    )


def _shared_counts(subset: BaselineData) -> "tuple[Counts, csr_matrix]":
    """Return the `Counts` of the training texts and their matrix, which both baselines share."""
    key = "counts", len(subset.train)
    if key not in subset.shared:
        earlier_notes = len(subset.notes)
        counts = Counts(subset)
        matrix = import_module("scipy.sparse").vstack(
            [counts(x) for x, _ in subset.blocks()], format="csr"
        )
        subset.shared[key] = counts, matrix, subset.notes[earlier_notes:]
    counts, matrix, notes = subset.shared[key]
    subset.notes[:] = dict.fromkeys([*subset.notes, *notes])
    return counts, matrix


def _seconds(subset: BaselineData, seconds_per_class: float) -> float:
    """Return the estimated seconds: counting, and `seconds_per_class` per token and class; two classes count as one.

    Padding is not counted.
    """
    sample = BaselineData(subset.data, most=_SAMPLED_TEXTS).x
    tokens = len(subset.train) * np.count_nonzero(sample) / max(len(sample), 1)
    return 0.05 + tokens * (
        1.5e-6 + seconds_per_class * (subset.outputs if subset.outputs > 2 else 1)
    )


class _TfIdf:
    """TF-IDF features of words and pairs, as a function from texts (B, T) to a sparse matrix (B, F).

    Args:
        subset: a `BaselineData`.

    Attributes:
        of_train: the features of its training texts.
    """

    def __init__(self, subset: BaselineData) -> None:
        self.counts, matrix = _shared_counts(subset)
        weights = import_module("sklearn.feature_extraction.text").TfidfTransformer
        self.weights = weights(sublinear_tf=True).fit(matrix)
        self.of_train = self.weights.transform(matrix)

    def __call__(self, x: np.ndarray) -> "csr_matrix":
        return self.weights.transform(self.counts(x))

    def linear(
        self, inputs: "keras.KerasTensor", kernel: np.ndarray, bias: np.ndarray
    ) -> "keras.KerasTensor":
        """Return the network of `self(x) @ kernel + bias`."""
        words, pairs = self.counts.tables(with_idf(self.weights.idf_, kernel))
        return networks.shifted(networks.tfidf(networks.whole_numbers(inputs), words, pairs), bias)


@baseline(
    "TF-IDF and logistic regression",
    "ids",
    "probabilities",
    "kept",
    "unordered",
    reference=_TFIDF,
    seconds=lambda subset: _seconds(subset, 1e-5),
)
def tfidf(subset: BaselineData) -> "Predictor":
    """Fit logistic regression on TF-IDF features of words and pairs."""
    features = _TfIdf(subset)
    return best_logistic(subset, features.of_train, features, _STRENGTHS_OF_LOGISTIC)


@baseline(
    "TF-IDF and ridge regression",
    "ids",
    "values",
    "unordered",
    lacks=("counts", "quantiles"),
    reference=_TFIDF,
    seconds=lambda subset: _seconds(subset, 2e-6),
)
def tfidf_ridge(subset: BaselineData) -> "Predictor":
    """Fit ridge regression of the standardised targets on TF-IDF features of words and pairs."""
    features = _TfIdf(subset)
    y = subset.y
    x = features.of_train
    shape = y.shape[1:]
    y = y.reshape(len(y), -1)
    offset, scale = (
        y.mean(axis=0, dtype="float64"),
        np.maximum(y.std(axis=0, dtype="float64"), 1e-12),
    )
    ridge = import_module("sklearn.linear_model").Ridge

    def fitted(alpha: float) -> "Predictor":
        model = ridge(alpha=alpha, solver="sparse_cg").fit(x, (y - offset) / scale, subset.weight)

        def predict(rows: np.ndarray) -> np.ndarray:
            values = model.predict(features(rows)).reshape(len(rows), -1)
            return (values * scale + offset).reshape(len(rows), *shape)

        linear = linear_of(model, scale, offset)
        return subset.by_blocks(
            predict, network=lambda inputs: linear.network(features, inputs, shape)
        )

    return subset.best({f"alpha={alpha:g}": fitted(alpha) for alpha in _STRENGTHS_OF_RIDGE})


@baseline(
    "NB-SVM of words and pairs",
    "ids",
    "classes",
    "unordered",
    reference="https://aclanthology.org/P12-2018/",
    seconds=lambda subset: _seconds(subset, 8e-7),
    logits=None,
)
def nbsvm(subset: BaselineData) -> "Predictor":
    """Fit a linear SVM per class on the occurrence of words and pairs, scaled by their naive-Bayes log ratios.

    With the paper's smoothing (alpha 1), and either its mix of the weights with their mean (beta 0.25) or the weights
    alone: the former is better for two classes of sentences, the latter for ten classes of headlines.
    """
    counts, matrix = _shared_counts(subset)
    matrix = matrix.sign()
    y = subset.y
    classes = [1] if subset.outputs == 2 else range(subset.outputs)
    svm = import_module("sklearn.svm").LinearSVC

    def one_versus_all(class_number: int, c: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Return (weights, log ratios, bias) of an SVM for one class; `c` is its inverse regularization strength."""
        in_class = y == class_number
        if not in_class.any() or in_class.all():  # nothing to fit: a constant output
            return (
                np.zeros(matrix.shape[1]),
                np.zeros(matrix.shape[1]),
                1.0 if in_class.any() else -1.0,
            )
        ratio = log_ratio(
            matrix if subset.weight is None else matrix.multiply(subset.weight[:, None]).tocsr(),
            in_class,
        )
        model = svm(C=c, random_state=subset.seed).fit(
            matrix.multiply(ratio).tocsr(), in_class, subset.weight
        )
        return model.coef_[0], ratio, float(model.intercept_[0])

    def candidates(c: float) -> "dict[str, Predictor]":
        """Return label -> outputs for each beta."""
        models = [one_versus_all(number, c) for number in classes]
        biases = np.array([bias for *_, bias in models])

        def outputs(beta: float) -> "Predictor":
            weights = np.stack(
                [
                    ((1 - beta) * np.abs(coef).mean() + beta * coef) * ratio
                    for coef, ratio, _ in models
                ],
                axis=1,
            )

            def network(inputs: "keras.KerasTensor") -> "keras.KerasTensor":
                words, pairs = counts.tables(weights)
                scores = networks.occurrences(networks.whole_numbers(inputs), words, pairs)
                return networks.head(networks.shifted(scores, biases), "linear")

            return subset.by_blocks(
                lambda rows: counts(rows).sign() @ weights + biases, network=network
            )

        return {f"C={c:g} and beta={beta:g}": outputs(beta) for beta in _WEIGHTS}

    return subset.best(
        {label: outputs for c in _STRENGTHS_OF_SVM for label, outputs in candidates(c).items()}
    )


def log_ratio(matrix: "csr_matrix", in_class: np.ndarray) -> np.ndarray:
    """Return log((p / |p|) / (q / |q|)) of each column: p counts the rows of a class that have it, q the other rows."""
    p, q = (1 + np.asarray(matrix[rows].sum(axis=0)).reshape(-1) for rows in (in_class, ~in_class))
    return np.log((p / p.sum()) / (q / q.sum()))
