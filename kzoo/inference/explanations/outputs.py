"""The numbers that are explained: probabilities, values or quantiles, each with a name."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from kzoo.inference.predictions import Predictions
from kzoo.inference.tasks.central import nearest
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed

# encoded inputs (N, ...) -> named numbers (N, outputs)
Predict: TypeAlias = Callable[[np.ndarray], np.ndarray]


def named_numbers(predictions: Predictions) -> tuple[tuple[str, ...], np.ndarray]:
    """Return the names of a model's outputs, and its predictions as numbers (N, outputs), float64.

    Probabilities have the names of classes or labels, values those of targets; quantiles are `target 0.9`. Of forecasts
    it is the mean over all steps.
    """
    if predictions.quantiles is not None:
        numbers = predictions.quantiles  # (N, targets, Q), of forecasts (N, horizon, targets, Q)
        numbers = numbers.mean(axis=1, dtype="float64") if numbers.ndim == 4 else numbers
        names = [
            f"{name} {level:g}" for name in predictions.target_names for level in predictions.levels
        ]
        return tuple(names), numbers.reshape(len(numbers), -1).astype("float64")
    if predictions.values is not None:
        numbers = predictions.values
        numbers = numbers.mean(axis=1, dtype="float64") if numbers.ndim == 3 else numbers
        return tuple(predictions.target_names), numbers.astype("float64")
    likelihoods = (
        predictions.scores if predictions.probabilities is None else predictions.probabilities
    )
    assert likelihoods is not None
    return tuple(map(str, predictions.class_names)), likelihoods.astype("float64")


def explained_outputs(
    names: tuple[str, ...], predictions: Predictions, of: str | None
) -> list[list[int]]:
    """Return the indices of the outputs that are explained for each input.

    By default, it is the predicted class, the most probable label, each target, or the quantile of each target that is
    nearest to the median.

    Args:
        names: of the outputs.
        predictions: of the inputs.
        of: the name of an output, or of a target; None for the default.

    Raises:
        KzooError: there is no such output.
    """
    levels = len(predictions.levels)
    middle = nearest(predictions.levels) if levels else 0
    if of is not None:
        if of not in names and not (levels and of in predictions.target_names):
            legal = [*names, *(predictions.target_names if levels else ())]
            raise KzooError(
                f"is not predicted. {hint(of, legal)}Use one of: {listed(legal, 20)}.",
                argument="of",
                value=of,
            )
        index = (
            names.index(of)
            if of in names
            else list(predictions.target_names).index(of) * levels + middle
        )
        return [[index]] * len(predictions)
    if levels:
        return [[target * levels + middle for target in range(len(names) // levels)]] * len(
            predictions
        )
    if predictions.values is not None:
        return [list(range(len(names)))] * len(predictions)
    numbers = named_numbers(predictions)[1]
    if predictions.separator:
        return [[int(row.argmax())] for row in numbers]
    # a decision may choose another class
    return [[names.index(str(label))] for label in predictions.labels]
