"""A random order of very many examples, any part of which can be computed without the whole."""

import numpy as np
from numpy.typing import ArrayLike

MOST = 2**22  # examples up to which the order is a shuffled array, which is faster to read
_ROUNDS = 4
# 2**64 / golden ratio; odd, so that a product loses no bits
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


def shuffled(positions: ArrayLike, count: int, seed: int, epoch: int) -> np.ndarray:
    """Return the examples at some positions of a training epoch's random order, a permutation of 0..count-1.

    Each position is encrypted to a number. A Feistel network is a bijection of 0..P-1, where P is the next power of 4;
    a result of `count` or more is encrypted again, until it is less (doi:10.1007/3-540-45760-7_9, cycle walking).

    Args:
        positions: (B,) of 0..count-1.
        count: number of examples.
        seed, epoch: determine the order.
    """
    # half of the bits of an example's number, rounded up
    half = np.uint64(-(-(count - 1).bit_length() // 2))
    low = np.uint64((1 << int(half)) - 1)
    keys = np.random.default_rng([seed, epoch]).integers(0, 2**64, _ROUNDS, dtype=np.uint64)

    def encrypt(values: np.ndarray) -> np.ndarray:
        left = values >> half
        right = values & low
        for key in keys:
            mixed = (right + key) * _MULTIPLIER
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _MULTIPLIER
            left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
        return (left << half) | right

    examples = encrypt(np.asarray(positions, np.uint64))
    while (outside := np.flatnonzero(examples >= count)).size:
        examples[outside] = encrypt(examples[outside])
    return examples.astype(np.int64)
