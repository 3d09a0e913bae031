"""How long a training is: its epochs, by the steps that there are to be at least and at most. Standard library only."""

import math
from collections.abc import Collection
from typing import Any

from kzoo.utils.formatting import plural


def resolve_budget(training: dict[str, Any], asked: Collection[str], rows: int) -> list[str]:
    """Let epochs in `training` be as many as the steps allow that there are to be at least, and at most.

    Args:
        training: the contract.
        asked: names that were set, of which patience stays as it is.
        rows: how many an epoch trains on.

    Returns:
        A line for each change.
    """
    notes = _settle_least(training, asked, rows)
    most, steps = training.get("max_steps"), _steps(training, rows)
    if most is None or most >= steps * training["epochs"]:
        return notes
    training["epochs"] = max(most // steps, 1)
    ends = f"epochs={training['epochs']}" if most >= steps else f"training ends after {most:,} of them"
    return [*notes, f"An epoch has {plural(steps, 'step')} here: {ends} (max_steps={most})."]


def _settle_least(training: dict[str, Any], asked: Collection[str], rows: int) -> list[str]:
    """Let epochs, and patience with them, grow until they are the steps that a preset wants at least."""
    least, epochs = training.get("min_steps", 0), training["epochs"]
    steps = _steps(training, rows)
    needed = math.ceil(least / steps)
    if needed <= epochs:
        return []
    training["epochs"] = needed
    if "patience" not in asked:
        training["patience"] = math.ceil(training["patience"] * needed / epochs)
    return [
        f"An epoch has {plural(steps, 'step')} here: epochs={needed} and patience={training['patience']}, for at least "
        f"{least:,} steps (min_steps; epochs={epochs} would be the preset's own)."
    ]


def _steps(training: dict[str, Any], rows: int) -> int:
    return math.ceil(rows / training["batch_size"])
