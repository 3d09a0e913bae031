"""Texts with a class each: counted words and pairs of them, under a linear model."""

from importlib import import_module

import numpy as np

from kzoo.baselines.baseline import Unfit, baseline
from kzoo.baselines.data import BaselineData
from kzoo.baselines.linear import classifier

_LOOKED_AT = 256  # texts, to say how long they are
_MOST_FEATURES = 20_000_000  # numbers of a linear model, all classes together
_WEIGHTS = (0.25, 1.0)  # of the model beside the mean of its own weights: beta of NB-SVM; 1 is the model alone
_STRENGTHS_OF_SVM = (0.01, 0.1, 1.0)
_STRENGTHS_OF_LOGISTIC = (1.0, 3.0, 10.0, 30.0, 100.0)


class Counts:
    """Which words and pairs of neighbours the training texts have, each a column of a sparse matrix.

    Texts are read as the network reads them: by the same tokenizer, cut off at the same length. Where it gives ids to
    runs of tokens, pairs are among them.

    Args:
        given: a `Given`.
    """

    def __init__(self, given):
        self.grams = _words if given.data.preprocessing.get("ngrams") else _words_and_pairs
        each = [np.unique(self.grams(x)[1], return_counts=True) for x, _ in given.blocks()]
        codes, counts = (np.concatenate(column) for column in zip(*each, strict=True))
        self.codes, place = np.unique(codes, return_inverse=True)
        counts = np.bincount(place, weights=counts)
        if len(self.codes) > (most := _MOST_FEATURES // given.outputs):
            self.codes = np.sort(self.codes[np.argsort(-counts, kind="stable")[:most]])
            given.notes.append(f"the {most:,} most frequent words and pairs count")

    def __call__(self, x):
        """Return how often each occurs in texts (B, T), as a sparse matrix (B, columns)."""
        rows, codes = self.grams(x)
        if not len(self.codes):
            raise Unfit("the training texts hold no words")
        columns = np.minimum(np.searchsorted(self.codes, codes), len(self.codes) - 1)
        known = self.codes[columns] == codes
        ones = np.ones(np.count_nonzero(known))
        matrix = import_module("scipy.sparse").csr_matrix
        return matrix((ones, (rows[known], columns[known])), shape=(len(x), len(self.codes)))


def _words(x):
    """Return of each word the text that it is in and its number."""
    row, place = np.nonzero(x)
    return row, x[row, place].astype(np.int64)


def _words_and_pairs(x):
    """Return the same of each word, and of each pair of neighbours."""
    x = np.asarray(x, np.int64)
    first, second = x[:, :-1], x[:, 1:]
    paired, at = np.nonzero((first > 0) & (second > 0))
    size = np.int64(2**31)  # ids are int32
    row, words = _words(x)
    return np.concatenate([row, paired]), np.concatenate([words, first[paired, at] * size + second[paired, at]])


def _counted(given):
    """Return the `Counts` of the training texts and their matrix, which both baselines share."""
    key = "counts", len(given.train)
    if key not in given.shared:
        before = len(given.notes)
        counts = Counts(given)
        matrix = import_module("scipy.sparse").vstack([counts(x) for x, _ in given.blocks()], format="csr")
        given.shared[key] = counts, matrix, given.notes[before:]
    counts, matrix, notes = given.shared[key]
    given.notes[:] = dict.fromkeys([*given.notes, *notes])
    return counts, matrix


def _seconds(given, of_class):
    """Return about how long it takes: to count, and `of_class` seconds for a token and a class, of which two are one.

    Padding behind the texts is no token.
    """
    some = BaselineData(given.data, most=_LOOKED_AT).x
    tokens = len(given.train) * np.count_nonzero(some) / max(len(some), 1)
    return 0.05 + tokens * (1.5e-6 + of_class * (given.outputs if given.outputs > 2 else 1))


@baseline(
    "TF-IDF and logistic regression", "ids", "classes", "unordered",
    reference="https://scikit-learn.org/stable/modules/feature_extraction.html#tfidf-term-weighting",
    seconds=lambda given: _seconds(given, 1e-5),
)  # fmt: skip
def tfidf(given):
    """Weigh words and pairs by how rare they are, and fit a linear model of the log odds."""
    counts, matrix = _counted(given)
    weigh = import_module("sklearn.feature_extraction.text").TfidfTransformer(sublinear_tf=True).fit(matrix)
    x, y = weigh.transform(matrix), given.y

    def fitted(c):
        answer = classifier(x, y, given.outputs, inverse_strength=c, seed=given.seed, weight=given.weight)
        return given.by_blocks(lambda rows: answer(weigh.transform(counts(rows))))

    return given.best({f"C={c:g}": fitted(c) for c in _STRENGTHS_OF_LOGISTIC})


@baseline(
    "NB-SVM of words and pairs", "ids", "classes", "unordered", reference="https://aclanthology.org/P12-2018/",
    seconds=lambda given: _seconds(given, 8e-7), logits=None,
)  # fmt: skip
def nbsvm(given):
    """Scale which words and pairs occur by their naive-Bayes log ratios, under a linear SVM for each class.

    With the paper's smoothing (alpha 1), and its mean of the model and its mean weight (beta 0.25) or the model alone:
    the former is better for two classes of sentences, the latter for ten classes of headlines.
    """
    counts, matrix = _counted(given)
    matrix, y = matrix.sign(), given.y
    classes = [1] if given.outputs == 2 else range(given.outputs)
    svm = import_module("sklearn.svm").LinearSVC

    def one_against_the_rest(number, c):
        own = y == number
        if not own.any() or own.all():
            return np.zeros(matrix.shape[1]), np.zeros(matrix.shape[1]), -1.0 if not own.any() else 1.0
        ratio = log_ratio(matrix if given.weight is None else matrix.multiply(given.weight[:, None]).tocsr(), own)
        model = svm(C=c, random_state=given.seed).fit(matrix.multiply(ratio).tocsr(), own, given.weight)
        return model.coef_[0], ratio, float(model.intercept_[0])

    def fitted(c):
        models = [one_against_the_rest(number, c) for number in classes]
        biases = np.array([bias for *_, bias in models])

        def mixed(beta):
            weights = [((1 - beta) * np.abs(own).mean() + beta * own) * ratio for own, ratio, _ in models]
            weights = np.stack(weights, axis=1)
            return given.by_blocks(lambda rows: counts(rows).sign() @ weights + biases)

        return {f"C={c:g} and beta={beta:g}": mixed(beta) for beta in _WEIGHTS}

    return given.best({words: answers for c in _STRENGTHS_OF_SVM for words, answers in fitted(c).items()})


def log_ratio(matrix, own):
    """Return of each column log((p / |p|) / (q / |q|)): p counts the rows of a class that have it, q the others."""
    p, q = (1 + np.asarray(matrix[rows].sum(axis=0)).reshape(-1) for rows in (own, ~own))
    return np.log((p / p.sum()) / (q / q.sum()))
