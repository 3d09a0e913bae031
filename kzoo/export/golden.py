"""Golden inputs: rows that look like the training data without being any of it, and the edge cases beside them."""

import numpy as np

_FREE = 16  # steps or pixels along an axis that the network leaves open


def golden(given):
    """Return the inputs that every exported file is compared on: x_1 (1, ...) and x_7 (7, ...).

    Args:
        given: what `subject.py` says of the input: kind, shape, dtype, and what is known of its values.
    """
    typical = draw(given, 4, seed=1)
    edges = _EDGES[given["kind"]](given, typical.copy())
    return typical[:1], edges.astype(given["dtype"])


def draw(given, count, *, seed):
    """Return `count` rows that a network with this input could be given."""
    random = np.random.default_rng(seed)
    shape = tuple(_FREE if size is None else size for size in given["shape"][1:])
    return _DRAW[given["kind"]](given, random, (count, *shape)).astype(given["dtype"])


def _tokens(given, random, shape):
    known, length = given["vocabulary_size"], shape[1]
    # Frequent words have small ids, as in a vocabulary that was learned.
    ids = np.minimum((2 + known ** random.random(shape)).astype(int), known - 1)
    lengths = random.integers(1, length + 1, len(ids))
    return ids * (np.arange(length).reshape(1, length, *[1] * (len(shape) - 2)) < lengths.reshape(-1, 1))


def _token_edges(given, rows):
    known, length = given["vocabulary_size"], rows.shape[1]
    edges = np.zeros((7, length), int)  # the first stays all padding
    edges[1] = np.arange(length) % max(known - 2, 1) + min(2, known - 1)  # longest
    edges[2, 0] = known - 1  # shortest
    edges[3, length // 2 :] = rows[1].max()  # padding in front
    edges[4, : length // 2 + 1] = min(1, known - 1)  # unknown words
    edges[5:] = rows[2:4]
    return np.minimum(edges, known - 1)


def _image(given, random, shape):
    count, height, width, channels = shape
    coarse = random.random((count, -(-height // 4), -(-width // 4), channels))
    smooth = coarse.repeat(4, axis=1).repeat(4, axis=2)[:, :height, :width]
    pixels = np.round(255 * (0.7 * smooth + 0.3 * random.random(shape)))
    return pixels if given["pixels"] == 255 else pixels / 255


def _image_edges(given, rows):
    black, white = np.zeros_like(rows[:1]), np.full_like(rows[:1], given["pixels"])
    return np.concatenate([black, white, white - rows[:1], rows])


def _rows(given, random, shape):
    rows = np.clip(random.standard_normal(shape), -3, 3) * _spread(given, shape) + _middle(given, shape)
    categories = given["categories"]
    for column, count in enumerate(categories, start=shape[-1] - len(categories)):
        rows[..., column] = random.integers(0, count, shape[0])
    return rows


def _row_edges(given, rows):
    middle, spread = _middle(given, rows.shape), _spread(given, rows.shape)
    high, low = middle + 3 * spread, middle - 3 * spread
    categories = given["categories"]
    for column, count in enumerate(categories, start=rows.shape[-1] - len(categories)):
        high[..., column], low[..., column] = count - 1, 0
    edges = np.stack([np.broadcast_to(row, rows.shape[1:]) for row in (np.zeros_like(middle), high, low)])
    return np.concatenate([edges, rows])


def _series(given, random, shape):
    if len(shape) < 3:
        return _rows(given, random, shape)
    walk = np.cumsum(random.standard_normal(shape), axis=1) / np.sqrt(shape[1])
    return walk * _spread(given, shape) + _middle(given, shape)


def _middle(given, shape):
    return np.broadcast_to(given["mean"] or 0.0, shape[-1:]).astype(float).copy()


def _spread(given, shape):
    return np.broadcast_to(given["sd"] or 1.0, shape[-1:]).astype(float).copy()


_DRAW = {"tokens": _tokens, "image": _image, "rows": _rows, "series": _series}
_EDGES = {"tokens": _token_edges, "image": _image_edges, "rows": _row_edges, "series": _row_edges}
