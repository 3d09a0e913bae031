"""The interval of a proportion."""

import math

_Z = 1.959963984540054


def wilson(right: float, n: float, z: float = _Z) -> tuple[float, float]:
    """Return the Wilson interval of a proportion, `right` of `n` (doi:10.1080/01621459.1927.10502953).

    Args:
        right, n: numbers.
        z: quantile of the normal distribution; the default is that of a 95 % interval.
    """
    share = right / n
    twice = 2 * (n + z**2)
    center = (2 * right + z**2) / twice
    reach = z * math.sqrt(4 * right * (1 - share) + z**2) / twice
    return 0.0 if right == 0 else center - reach, 1.0 if right == n else center + reach
