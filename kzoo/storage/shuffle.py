"""The order of very many examples, of which any part can be told without the whole."""

import numpy as np

MOST = 2**22  # examples up to which an order is an array: shuffled as such, it is quicker to read
_ROUNDS = 4
_ODD = np.uint64(0x9E3779B97F4A7C15)


def shuffled(places, count, seed, epoch):
    """Return which examples come at these places of an epoch (B,), each of 0..count-1 once in all.

    It is a cipher of the place: a Feistel network over the next power of 4 keeps one place apart from any other, and
    what comes out beyond `count` is put in again until it does not (doi:10.1007/3-540-45760-7_9, cycle walking).

    Args:
        places: (B,) of 0..count-1.
        seed, epoch: what the order is a function of.
    """
    half = np.uint64(-(-(count - 1).bit_length() // 2))
    low = np.uint64((1 << int(half)) - 1)
    keys = np.random.default_rng([seed, epoch]).integers(0, 2**64, _ROUNDS, dtype=np.uint64)

    def once(values):
        left, right = values >> half, values & low
        for key in keys:
            mixed = (right + key) * _ODD
            mixed = (mixed ^ (mixed >> np.uint64(29))) * _ODD
            left, right = right, left ^ ((mixed >> np.uint64(32)) & low)
        return (left << half) | right

    found = once(np.asarray(places, np.uint64))
    while (beyond := np.flatnonzero(found >= count)).size:
        found[beyond] = once(found[beyond])
    return found.astype(np.int64)
