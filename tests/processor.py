"""Limits of time that hold on any processor: processor time, in units of work that are measured in the same run.

A limit in seconds fails on a slow or busy processor without a mistake in the code.
"""

import time

import numpy as np

_ARRAY = np.linspace(0, 1, 200_000)


def _two_units():
    """Do two units of work, half of it in Python and half in NumPy."""
    words: dict[str, int] = {}
    for number in range(60_000):
        word = str(number % 997)
        words[word] = words.get(word, 0) + number
    return words, [np.sort(np.sin(_ARRAY * k)).sum() for k in range(1, 4)]


def unit() -> float:
    """Return the processor seconds of a unit of work, about .01 on a processor of 2023: the best of five."""
    times = []
    for _ in range(5):
        began = time.process_time()
        _two_units()
        times.append(time.process_time() - began)
    return min(times) / 2


def in_units(seconds: float) -> float:
    """Return processor seconds as a number of units of work, some 100 a second on a processor of 2023."""
    return seconds / unit()
