"""The order of the columns of x: numbers, codes of categories, ids of texts. Standard library only."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.problems.stored_types import Config

if TYPE_CHECKING:
    import numpy as np

# of any kind of input, see `kzoo.problems.preprocessors`
Preprocessor: TypeAlias = Mapping[str, Any]
RawInputs: TypeAlias = Any  # a table, files, texts or an array, as `encode` takes them
InputFacts: TypeAlias = Mapping[
    str, Any
]  # what `draw` and `edges` of a kind are given: `mean`, `sd`, ...
RawLabels: TypeAlias = Any  # an array, a sequence or a DataFrame, as `learn` of a task takes them


def code_columns(config: Config) -> int:
    """Return the number of last columns of x without numbers: a code for each category, and the ids of texts.

    Args:
        config: settings of a network, or of data.
    """
    return len(config.get("categories") or ()) + text_columns(config)


def text_columns(config: Config) -> int:
    """Return the number of last columns of x that are ids of texts (see `code_columns`)."""
    return sum(config.get("text_lengths") or ())


def categories_of(x: "np.ndarray", config: Config) -> "np.ndarray":
    """Return the columns of x (N, F) that are codes of categories, (N, C)."""
    end = x.shape[-1] - text_columns(config)
    return x[:, end - len(config.get("categories") or ()) : end]
