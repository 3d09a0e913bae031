"""Golden inputs: rows that look like the training data without being any of it, and the edge cases beside them."""

import numpy as np

from kzoo.kinds import kind

_FREE = 16  # steps or pixels along an axis that the network leaves open


def golden(given):
    """Return the inputs that every exported file is compared on: x_1 (1, ...) and x_7 (7, ...).

    Args:
        given: what `subject.py` says of the input: kind, shape, dtype, and what is known of its values.
    """
    typical = draw(given, 4, seed=1)
    edges = kind(given["kind"]).inference.edges(given, typical.copy())
    return typical[:1], edges.astype(given["dtype"])


def draw(given, count, *, seed):
    """Return `count` rows that a network with this input could be given."""
    random = np.random.default_rng(seed)
    shape = tuple(_FREE if size is None else size for size in given["shape"][1:])
    return kind(given["kind"]).inference.draw(given, random, (count, *shape)).astype(given["dtype"])
