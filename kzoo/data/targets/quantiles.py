"""The option `quantiles`: the levels to predict of each target."""

import itertools
from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from kzoo.problems.tasks.quantiles import DEFAULT_LEVELS
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import as_python

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.data.options import DataOptions


def checked(quantiles: object) -> tuple[float, ...] | None:
    """Return the levels of `quantiles=` as floats; None without any.

    Raises:
        KzooError: they are not at least two ascending numbers between 0 and 1.
    """
    if quantiles is None:
        return None
    example = "quantiles=(0.1, 0.5, 0.9)"
    if isinstance(quantiles, str | bytes) or not isinstance(quantiles, Iterable):
        raise KzooError(
            f"must be several numbers between 0 and 1, such as {example}.",
            argument="quantiles",
            value=quantiles,
        )
    levels = tuple(as_python(level) for level in quantiles)
    refusal = partial(KzooError, argument="quantiles", value=levels)
    if any(isinstance(level, bool) or not isinstance(level, int | float) for level in levels):
        raise refusal(f"must be numbers between 0 and 1, such as {example}.")
    if outside := [level for level in levels if not 0 < level < 1]:
        raise refusal(f": {outside[0]:g} is not between 0 and 1. Use levels such as {example}.")
    if len(levels) < 2:
        raise refusal(f"must be at least two levels, such as {example}.")
    for lower, upper in itertools.pairwise(levels):
        if lower == upper:
            raise refusal(f"has the level {lower:g} twice. Remove one.")
        if lower > upper:
            raise refusal(f"must be ascending: {upper:g} follows {lower:g}. Sort them.")
    return tuple(map(float, levels))


def applied(data: "Dataset", source: object, options: "DataOptions") -> "Dataset":
    """Return the data for a network that predicts these quantiles."""
    data.config["quantiles"] = checked(options.quantiles) or DEFAULT_LEVELS
    return data
