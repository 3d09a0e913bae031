"""Golden inputs: random rows that resemble the training data, without being part of it, and edge cases."""

import numpy as np

from kzoo.problems.kinds import kind
from kzoo.utils.files import JsonObject

_FREE = 16  # size of axes whose length is not fixed, in steps or pixels


def golden_batches(input_spec: JsonObject) -> tuple[np.ndarray, np.ndarray]:
    """Return the inputs on which exported files are compared with Keras: x_1 (1, ...) and x_7 (7, ...).

    Args:
        input_spec: see `ExportSource`: kind, shape, dtype and value ranges of the input.
    """
    typical = draw(input_spec, 4, seed=1)
    edges = kind(input_spec["kind"]).inference.edges(input_spec, typical.copy())
    return typical[:1], edges.astype(input_spec["dtype"])


def draw(input_spec: JsonObject, count: int, *, seed: int) -> np.ndarray:
    """Return `count` random rows that are valid inputs of the network."""
    random = np.random.default_rng(seed)
    shape = tuple(_FREE if size is None else size for size in input_spec["shape"][1:])
    return (
        kind(input_spec["kind"])
        .inference.draw(input_spec, random, (count, *shape))
        .astype(input_spec["dtype"])
    )
