"""Which Keras backend trains a preset fastest, of those that are installed here. Standard library only.

`speed.json` has what was measured, on which kind of processor; `recipes/measure.py speed` writes it. A preset without a
row for this kind is no reason to fail.
"""

import math

from kzoo.results import speed_of
from kzoo.utils.optional import is_installed
from kzoo.utils.processor import instruction_sets

_WORTH_A_LINE = 1.5  # below that, another machine or another size of the data may turn it round
_TO_BEGIN = 30.0  # seconds of training to be saved, at the least: another backend may compile so long


def fastest(preset: str) -> str | None:
    """Return the installed backend that trained a preset fastest; None where this kind of processor has no row."""
    row = speed_of(preset, instruction_sets())
    rates = {} if row is None else row["samples_per_second"]
    return max(filter(is_installed, rates), key=rates.__getitem__, default=None)


def faster_than(backend: str, preset: str, samples: float = math.inf) -> list[str]:
    """Return a line that names an installed backend on which a preset trained much faster; none where there is none.

    Args:
        backend: the one at hand.
        preset: its name.
        samples: how many it will be trained on, all epochs together.
    """
    row, best = speed_of(preset, instruction_sets()), fastest(preset)
    if row is None or best is None or backend not in (rates := row["samples_per_second"]):
        return []
    ratio = rates[best] / rates[backend]
    if ratio <= _WORTH_A_LINE or samples * (1 / rates[backend] - 1 / rates[best]) < _TO_BEGIN:
        return []
    return [
        f"{best} trained {preset} {ratio:.1f} times as fast as {backend}, once compiled, where it was measured "
        f"({row['machine']}): --backend {best} on the command line, KERAS_BACKEND={best} in Python."
    ]
