"""Ridge regression of embeddings of texts together with TF-IDF features of their pieces and of pairs of them.

Both are vectors of unit length. Leave-one-out errors choose the strength, and the weight of the TF-IDF features.
"""

from importlib import import_module
from typing import TYPE_CHECKING

import keras
import numpy as np

from kzoo.training.leave_one_out import ALPHAS_OF_UNIT, Ridge, row_weights
from kzoo.zoo.families.protocol import GRAMS, PAIR, layer_with

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

_WEIGHTS = (0.5, 1.0, 2.0)  # of the TF-IDF features
MOST_ROWS = 4_000  # of the regression, whose time grows with their cube


def has_grams(model: keras.Model) -> bool:
    """Return whether a network has tables of pieces and of pairs of them."""
    return layer_with(model, GRAMS[0]) is not None


class Grams:
    """The pieces of training texts, and the pairs of neighbouring ones, each a column of a sparse matrix.

    Of the pairs of a bucket only the one in most texts is a column, as the network has one row for a bucket.

    Args:
        ids: (N, T) of the training texts, 0 for padding.
        buckets: number of buckets of pairs.
    """

    def __init__(self, ids: np.ndarray, buckets: int) -> None:
        self.buckets = buckets
        pieces, pairs = (np.unique(codes, return_counts=True) for codes in _texts_with(ids))
        order = np.lexsort((pairs[0], -pairs[1], pairs[0] % buckets))
        _, first = np.unique(pairs[0][order] % buckets, return_index=True)
        kept = np.sort(order[first])
        self.pieces, self.pairs = pieces[0], pairs[0][kept]
        texts = np.concatenate([pieces[1], pairs[1][kept]])
        self.idf = np.log((1 + len(ids)) / (1 + texts)) + 1

    @classmethod
    def of(cls, model: keras.Model, ids: np.ndarray) -> "Grams":
        """Return the grams of training texts (N, T) for the tables of a network."""
        return cls(ids, layer_with(model, GRAMS[1]).input_dim)

    def __call__(self, ids: np.ndarray) -> "csr_matrix":
        """Return the TF-IDF features (N, columns) of texts: `(1 + log(count)) * idf`, of unit length."""
        sparse = import_module("scipy.sparse")
        blocks = []
        for known, (rows, codes) in zip((self.pieces, self.pairs), _occurrences(ids), strict=True):
            columns = np.minimum(np.searchsorted(known, codes), max(len(known) - 1, 0))
            here = known[columns] == codes if len(known) else np.zeros(len(codes), bool)
            entries = (np.ones(here.sum()), (rows[here], columns[here]))
            blocks.append(sparse.csr_matrix(entries, shape=(len(ids), len(known))))
        counts = sparse.hstack(blocks, format="csr")
        counts.data = 1 + np.log(counts.data)
        features = counts.multiply(self.idf).tocsr()
        norms = np.sqrt(np.asarray(features.multiply(features).sum(axis=1)).reshape(-1))
        return sparse.diags(1 / np.maximum(norms, 1e-15)) @ features

    def set_tables(self, model: keras.Model, kernel: np.ndarray) -> None:
        """Set the tables of a network from the rows (columns, outputs) of a kernel."""
        values = np.concatenate([self.idf[:, None], self.idf[:, None] * kernel], axis=1)
        tables = [np.zeros(layer_with(model, name).get_weights()[0].shape) for name in GRAMS]
        count = len(self.pieces)
        tables[0][self.pieces] = values[:count]
        tables[1][self.pairs % self.buckets, 1:] = values[count:]
        tables[1][self.pairs % self.buckets, 0] = self.pairs // self.buckets
        for name, table in zip(GRAMS, tables, strict=True):
            layer_with(model, name).set_weights([table])


def _occurrences(ids: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return (text, code) of each piece, and of each pair of neighbouring pieces."""
    ids = np.asarray(ids, np.int64)
    both = (ids[:, :-1] != 0) & (ids[:, 1:] != 0)
    codes = ids[:, :-1] * PAIR + ids[:, 1:]
    places = np.nonzero(ids), np.nonzero(both)
    return [(places[0][0], ids[places[0]]), (places[1][0], codes[places[1]])]


def _texts_with(ids: np.ndarray) -> list[np.ndarray]:
    """Return the codes of pieces, and of pairs, each once for each text that has it."""
    return [
        np.unique(np.stack(occurrences, axis=1), axis=0)[:, 1] for occurrences in _occurrences(ids)
    ]


def gram_ridge(
    features: np.ndarray,
    grams: "csr_matrix",
    targets: np.ndarray,
    weight: np.ndarray | None = None,
) -> Ridge:
    """Return the ridge regression of two sorts of features with the smallest leave-one-out error.

    It is solved in the space of the rows. The kernel has the rows of the embedding first.

    Args:
        features: (N, F) embeddings of unit length.
        grams: (N, G) TF-IDF features of unit length.
        targets: (N, outputs).
        weight: (N,) row weights, 0 or more; None for 1.
    """
    counted, root, share = row_weights(len(features), weight)
    average = share @ targets
    y = root[:, None] * (targets - average)
    of_features = _centred(features.astype(np.float64) @ features.T, root, share)
    of_grams = _centred(np.asarray((grams @ grams.T).todense()), root, share)
    best: tuple[float, float, float, np.ndarray, np.ndarray] | None = None
    for scale in _WEIGHTS:
        values, vectors = np.linalg.eigh(of_features + scale * of_grams)
        values = np.maximum(values, 0)
        projected, squares = vectors.T @ y, vectors**2
        for alpha in ALPHAS_OF_UNIT:
            shrunk = values / (values + alpha)
            leverage = squares @ shrunk + share  # and of the intercept
            rest = y - vectors @ (shrunk[:, None] * projected)
            errors = rest[counted] / np.maximum(1 - leverage[counted], 1e-9)[:, None]
            loss = float(np.mean(np.sum(errors**2, axis=1)))
            if best is None or loss < best[0]:
                dual = vectors @ (projected / (values + alpha)[:, None])
                best = loss, float(alpha), scale, dual, errors
    assert best is not None
    _, alpha, scale, dual, errors = best
    dual = root[:, None] * dual
    dual = dual - np.outer(share, dual.sum(axis=0))  # of features that are not centred
    kernel = np.concatenate([features.T @ dual, scale * (grams.T @ dual)])
    middle = np.concatenate([share @ features, np.asarray(grams.T @ share).reshape(-1)])
    left_out = np.broadcast_to(average, targets.shape).copy()
    left_out[counted] = targets[counted] - errors / root[counted, None]
    return Ridge(kernel=kernel, bias=average - middle @ kernel, alpha=alpha, left_out=left_out)


def _centred(gram: np.ndarray, root: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Return the products (N, N) of rows less their weighted mean, times the roots of their weights."""
    middle = gram @ share
    return (gram - middle[:, None] - middle + share @ middle) * np.outer(root, root)
