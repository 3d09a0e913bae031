"""Quantiles: targets are learned and encoded as values; outputs become ascending quantiles. NumPy only."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks import values as values_inference
from kzoo.inference.tasks.values import ColumnStatistics
from kzoo.inference.tasks.values import encode as encode
from kzoo.problems.layout import Preprocessor, RawLabels
from kzoo.problems.tasks import Target


def learn(
    values: RawLabels, names: Sequence[str] = (), *, known: ColumnStatistics | None = None
) -> Target:
    """Learn the scale of training targets; see `kzoo.inference.tasks.values.learn`."""
    target = values_inference.learn(values, names, known=known)
    return replace(
        target, config={name: value for name, value in target.config.items() if name != "loss"}
    )


def levels_of(target: Target) -> tuple[float, ...]:
    """Return the levels of the quantiles of a `Target`."""
    return tuple(target.config["quantiles"])


def quantiles_of(target: Target, outputs: np.ndarray) -> np.ndarray:
    """Return the outputs of a network (N, ..., targets * levels) as quantiles (N, ..., targets, levels), ascending.

    Those of networks that kzoo builds ascend already. Others are sorted, which never increases their loss
    (https://doi.org/10.3982/ECTA7880).
    """
    outputs = np.asarray(outputs)
    return np.sort(outputs.reshape(*outputs.shape[:-1], -1, len(levels_of(target))), axis=-1)


def answer(
    target: Target,
    outputs: np.ndarray,
    *,
    inputs: Sequence[Any],
    reader: Preprocessor | None = None,
    logits: bool | None = None,
) -> Predictions:
    """Return the quantiles of each target, in its own unit."""
    return Predictions(
        quantiles=quantiles_of(target, outputs),
        levels=levels_of(target),
        target_names=target.names,
        inputs=inputs,
    )
