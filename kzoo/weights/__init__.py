"""Weights that a network may begin with: which words stand for some, and what else may be named.

Standard library only.
"""

import os
from pathlib import Path
from typing import Any

from kzoo.errors import KzooError
from kzoo.run import Run
from kzoo.words import hint, listed

ENDINGS = (".keras", ".weights.h5")
_GIVE = "Give a run's folder, a .keras or .weights.h5 file, or a model"


def words_of(preset: str) -> tuple[str, ...]:
    """Return the words that stand for weights of a preset, such as the name of the data that they were trained on."""
    return ()


def is_word(weights: Any, preset: str) -> bool:
    """Say whether this is a word that stands for weights of a preset; a folder of that name is `./word`."""
    return isinstance(weights, str) and weights in words_of(preset)


def check_weights(weights: str | os.PathLike[str], preset: str | None) -> None:
    """Raise `KzooError` unless this is a word for weights of a preset, or the path of a run or a file with some."""
    if preset is not None and is_word(weights, preset):
        return
    if Path(weights).is_dir():
        Run(weights)
    elif not Path(weights).is_file():
        words = () if preset is None else words_of(preset)
        stored = f", or a word: {preset} has {listed(words)}" if words else ""
        raise KzooError(f"weights={str(weights)!r} does not exist. {hint(str(weights), words)}{_GIVE}{stored}.")
    elif not str(weights).endswith(ENDINGS):
        raise KzooError(f"weights={str(weights)!r} is no .keras file and no .weights.h5 file. {_GIVE}.")


def check_freeze(freeze: Any, weights: Any) -> None:
    """Raise `KzooError` where layers are to keep weights that nothing gives them."""
    if freeze is not None and weights is None:
        raise KzooError("freeze= needs weights=: fresh layers would stay random.")
