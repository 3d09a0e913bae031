"""The columns of a window, or blocks of its steps, as the parts whose influence on predictions is explained."""

import numpy as np

from kzoo.problems.kinds import InputPart
from kzoo.utils.formatting import plural

_BLOCKS = 6  # of a series with a single column


def parts(reader, config, names) -> list[InputPart]:
    """Return a part for each column of a window; of a single column, one for each of six blocks of its steps.

    Args:
        reader: the preprocessor.
        config: settings of the network; not used here.
        names: of the columns of windows without a preprocessor; empty if they are not known.
    """
    steps, count = (
        reader["shape"] if "shape" in reader else (reader["steps"], len(reader["columns"]))
    )
    names = list(reader.get("columns", names))
    names = names if len(names) == count else [f"x{number + 1}" for number in range(count)]
    features = np.arange(steps * count).reshape(steps, count)
    if count > 1:
        return [_part(name, features[:, index]) for index, name in enumerate(names)]
    blocks = np.array_split(features[:, 0], min(_BLOCKS, steps))
    # The last step of a window is 1 step before the forecast.
    ranges = [(steps - block[0], steps - block[-1]) for block in blocks]
    return [
        _part(
            f"{names[0]}, {plural(first, 'step') if first == last else f'{first} to {last} steps'} before",
            block,
        )
        for (first, last), block in zip(ranges, blocks, strict=True)
    ]


def _part(name, features):
    return InputPart(name=name, type="steps", features=features, cell=_cell)


def _cell(values):
    return f"{values[-1]:.6g}" if len(values) == 1 else f"{values[0]:.6g} ... {values[-1]:.6g}"
