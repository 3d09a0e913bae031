"""The Keras backend that trains a preset fastest, among the installed ones. Standard library only.

`recipes/measure.py speed` writes the measurements to `speed.json`, with the kind of processor. A preset may have no row
for the processor at hand.
"""

import math

from kzoo.utils.optional import is_installed
from kzoo.utils.processor import instruction_sets
from kzoo.zoo.results import speed_of

_MIN_SPEEDUP = 1.5  # below it, the order may be reversed on another machine or data of another size
_MIN_SAVING = 30.0  # seconds of training: another backend may take that long to compile


def fastest(preset: str) -> str | None:
    """Return the installed backend that trained a preset fastest; None without a row for this kind of processor."""
    row = speed_of(preset, instruction_sets())
    rates = {} if row is None else row["samples_per_second"]
    return max(filter(is_installed, rates), key=rates.__getitem__, default=None)


def faster_than(backend: str, preset: str, samples: float = math.inf) -> list[str]:
    """Return a note on an installed backend that trained a preset much faster; an empty list if there is none.

    Args:
        backend: the present one.
        preset: its name.
        samples: number of training samples, all epochs together.
    """
    row = speed_of(preset, instruction_sets())
    best = fastest(preset)
    if row is None or best is None or backend not in (rates := row["samples_per_second"]):
        return []
    ratio = rates[best] / rates[backend]
    if ratio <= _MIN_SPEEDUP or samples * (1 / rates[backend] - 1 / rates[best]) < _MIN_SAVING:
        return []
    return [
        f"{best} trained {preset} {ratio:.1f} times as fast as {backend}, without compilation (measured on "
        f"{row['machine']}): --backend {best} on the command line, KERAS_BACKEND={best} in Python."
    ]
