"""A random order of very many examples, any part of which can be computed without the whole."""

import numpy as np

MOST = 2**22  # examples up to which the order is a shuffled array, which is faster to read
_ROUNDS = 4
_ODD = np.uint64(0x9E3779B97F4A7C15)


def shuffled(positions, count, seed, epoch):
    """Return which examples come at some positions of an epoch (B,); over all positions, each of 0..count-1 comes once.

    The position is encrypted: a Feistel network over the next power of 4 is a bijection, and results of `count` and
    above are encrypted again until they are below it (doi:10.1007/3-540-45760-7_9, cycle walking).

    Args:
        positions: (B,) of 0..count-1.
        seed, epoch: determine the order.
    """
    half = np.uint64(-(-(count - 1).bit_length() // 2))
    low = np.uint64((1 << int(half)) - 1)
    keys = np.random.default_rng([seed, epoch]).integers(0, 2**64, _ROUNDS, dtype=np.uint64)

    def encrypt(values):
        left, right = values >> half, values & low
        for key in keys:
            mixed = (right + key) * _ODD
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD
            left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
        return (left << half) | right

    examples = encrypt(np.asarray(positions, np.uint64))
    while (outside := np.flatnonzero(examples >= count)).size:
        examples[outside] = encrypt(examples[outside])
    return examples.astype(np.int64)
