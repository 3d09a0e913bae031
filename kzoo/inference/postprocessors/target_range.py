"""Forecasts of targets that were never negative, or always whole numbers, before the test rows stay so.

Numbers below 0 become 0. Of whole targets, values and quantiles become the nearest whole number. The ends of an
interval become the outermost whole numbers in it, which leaves its coverage as it was, and it always contains the
forecast. A mean is not rounded: that of counts is no count, and means add up.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks.central import nearest
from kzoo.problems.tasks import Target
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import listed

if TYPE_CHECKING:
    from kzoo.inference.postprocessors import Learned


NAME = "target_range"
STAGE = "range"
FACTS = frozenset({"values"})
# share of a number by which float32 may be off, and the largest difference that rounding ignores
_TOLERANCE, _MAX_SLACK = 1e-5, 0.01
_Rounding = Callable[[np.ndarray], np.ndarray]


def target_facts(values: np.ndarray, filled: np.ndarray) -> dict[str, list[bool]]:
    """Return whether targets are never negative, and always whole numbers.

    Args:
        values: (R, targets) of the rows before the test rows.
        filled: (R, targets) whether each was filled in; these do not count.
    """
    known = np.isfinite(values) & ~filled
    counts = known.any(axis=0)
    return {
        "never_negative": (counts & ((values >= 0) | ~known).all(axis=0)).tolist(),
        "whole": (counts & ((values == np.round(values)) | ~known).all(axis=0)).tolist(),
    }


def learned_range(facts: Mapping[str, Sequence[bool]], target: Target) -> JsonObject | None:
    """Return what the step stores, given `target_facts`; None if it would have no effect."""
    if not any(facts["never_negative"]) and not any(facts["whole"]):
        return None
    levels = target.config.get("quantiles")
    return {**facts, "levels": list(levels) if levels else None, "names": list(target.names)}


def apply(learned: "Learned", outputs: np.ndarray, *, logits: bool | None) -> np.ndarray:
    """Return outputs (N, ..., targets) or (N, ..., targets * levels) within the range of their targets."""
    levels = learned["levels"]
    targets = len(learned["whole"])
    if outputs.shape[-1] != targets * len(levels or [None]):  # of a custom model
        return outputs
    if levels is None:
        return _within(learned, _nearest, outputs)
    quantiles = outputs.reshape(*outputs.shape[:-1], targets, len(levels))
    return _quantiles_within(learned, quantiles).reshape(outputs.shape)


def finished(learned: "Learned", predictions: Predictions) -> Predictions:
    """Return predictions whose numbers are within the range of their targets: a mean is not rounded."""
    values, quantiles = predictions.values, predictions.quantiles
    lower, upper = predictions.lower, predictions.upper
    if values is not None:
        values = _within(learned, _nearest, values)
    if quantiles is not None:
        quantiles = _quantiles_within(learned, quantiles)
    if lower is not None and upper is not None:
        point = values
        if quantiles is not None:
            point = quantiles[..., nearest(predictions.levels)]
        lower = _within(learned, _above, lower)
        upper = _within(learned, _below, upper)
        if point is None:
            point = np.minimum(lower, upper)
        lower = np.where(learned["whole"], np.minimum(lower, point), lower)
        upper = np.where(learned["whole"], np.maximum(upper, point), upper)
    mean, samples = predictions.mean, predictions.samples
    if mean is not None:
        mean = np.where(learned["never_negative"], np.maximum(mean, 0), mean)
    if samples is not None:
        samples = _within(learned, _nearest, samples)
    return replace(
        predictions,
        values=values,
        quantiles=quantiles,
        lower=lower,
        upper=upper,
        mean=mean,
        samples=samples,
    )


def combine(parts: Sequence["Learned"]) -> JsonObject:
    """Return the range of an ensemble: what all of its members have learned."""
    same = {
        name: np.all([part[name] for part in parts], axis=0).tolist()
        for name in ("never_negative", "whole")
    }
    return {**parts[0], **same}


def describe(learned: "Learned") -> list[str]:
    """Return a line for the targets that are never negative, and one for those that are whole."""
    lines = []
    for name, line in (
        ("never_negative", "never negative before the test rows: forecasts below 0 become 0"),
        (
            "whole",
            "always whole before the test rows: forecasts are rounded",
        ),
    ):
        targets = [
            repr(target)
            for target, flag in zip(learned["names"], learned[name], strict=False)
            if flag
        ]
        if targets:
            verb = "was" if len(targets) == 1 else "were"
            lines.append(f"{listed(targets, 3)} {verb} {line}.")
    return lines


def _within(learned: "Learned", rounding: _Rounding, numbers: np.ndarray) -> np.ndarray:
    """Return numbers (N, ..., targets) that are rounded and not negative, as their targets."""
    rounded = np.where(learned["whole"], rounding(numbers), numbers)
    return np.where(learned["never_negative"], np.maximum(rounded, 0), rounded)


def _quantiles_within(learned: "Learned", quantiles: np.ndarray) -> np.ndarray:
    """Return quantiles (N, ..., targets, levels) that are rounded and not negative, as their targets."""
    within = _within(learned, _nearest, np.moveaxis(quantiles, -1, 0))
    return np.moveaxis(within, 0, -1)


def _slack(numbers: np.ndarray) -> np.ndarray:
    slack = np.clip(_TOLERANCE * np.abs(numbers), _TOLERANCE, _MAX_SLACK)
    return slack.astype(numbers.dtype)


def _below(numbers: np.ndarray) -> np.ndarray:
    return np.floor(numbers + _slack(numbers))


def _above(numbers: np.ndarray) -> np.ndarray:
    return np.ceil(numbers - _slack(numbers))


def _nearest(numbers: np.ndarray) -> np.ndarray:
    # a half is rounded up, also one that another runtime computes as a little less
    return np.floor(numbers + np.float32(0.5) + _slack(numbers))
