"""Epochs of a training within its `min_steps` and `max_steps`. Standard library only."""

import math
from collections.abc import Collection

from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import plural


def resolve_budget(training: JsonObject, overridden: Collection[str], rows: int) -> list[str]:
    """Adjust the epochs in `training` to `min_steps` and `max_steps`.

    Args:
        training: the contract.
        overridden: names of settings that the user set; patience is unchanged if it is one of them.
        rows: number of training examples in an epoch.

    Returns:
        A line about each change.
    """
    notes = _apply_min_steps(training, overridden, rows)
    max_steps = training.get("max_steps")
    steps = _steps(training, rows)
    if max_steps is None or max_steps >= steps * training["epochs"]:
        return notes
    training["epochs"] = max(max_steps // steps, 1)
    effect = (
        f"epochs={training['epochs']}"
        if max_steps >= steps
        else f"training ends after {max_steps:,} steps"
    )
    return [*notes, f"An epoch has {plural(steps, 'step')} here: {effect} (max_steps={max_steps})."]


def _apply_min_steps(training: JsonObject, overridden: Collection[str], rows: int) -> list[str]:
    """Raise epochs, and patience with them, until training has at least `min_steps` steps."""
    min_steps = training.get("min_steps", 0)
    epochs = training["epochs"]
    steps = _steps(training, rows)
    needed = math.ceil(min_steps / steps)
    if needed <= epochs:
        return []
    training["epochs"] = needed
    if "patience" not in overridden:
        training["patience"] = math.ceil(training["patience"] * needed / epochs)
    return [
        f"An epoch has {plural(steps, 'step')} here: epochs={needed} and patience={training['patience']}, for at least "
        f"{min_steps:,} steps (min_steps; epochs={epochs} is the preset's value)."
    ]


def _steps(training: JsonObject, rows: int) -> int:
    return math.ceil(rows / training["batch_size"])
