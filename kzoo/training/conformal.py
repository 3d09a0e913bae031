"""The last postprocessing step of a training, "conformal", learned on the outputs that scoring has computed."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kzoo.data.dataset import Dataset
from kzoo.inference.encode import predictions_of
from kzoo.inference.postprocessors import conformal
from kzoo.inference.postprocessors.postprocessor import Postprocessor, with_conformal
from kzoo.inference.predictions import Predictions

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


def predicted(
    pairs: Pairs, data: Dataset, postprocessor: Postprocessor | None, *, logits: bool | None
) -> tuple[Predictions, np.ndarray]:
    """Return the predictions of a split, after all steps but the last, and its truth.

    Args:
        pairs: (outputs of the network, truth) of its batches.
        data: the `Dataset`.
        postprocessor: the other steps, or None.
        logits: whether outputs of classes are logits.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
    steps = postprocessor or Postprocessor()
    return predictions_of(
        data.problem, data.target, outputs, data.preprocessing, steps, logits=logits
    ), truth


def learned_conformal(
    parts: Mapping[str, Pairs],
    data: Dataset,
    postprocessor: Postprocessor | None,
    *,
    logits: bool | None,
) -> tuple[Postprocessor | None, list[dict[str, Any]]]:
    """Return the postprocessor with the step "conformal", and its coverage on the test split.

    The step is learned on the calibration split, else on the out-of-fold rows, else on the validation split.

    Args:
        parts: name of a split, or "out of fold", -> (outputs, truth) of its batches.
        data, postprocessor, logits: see `predicted`.
    """
    read = {
        name: predicted(pairs, data, postprocessor, logits=logits)
        for name, pairs in parts.items()
        if len(pairs)
    }
    rows = next(
        (name for name in ("calibration", "out of fold", "validation") if name in read), None
    )
    if rows is None or not _fits(*read[rows]):
        return postprocessor, []
    tuning = read.get("validation") if rows == "calibration" else None
    if tuning is not None and len(tuning[1]) < conformal.FEWEST:
        tuning = None
    problem = data.problem
    steps = with_conformal(postprocessor, *read[rows], problem=problem, rows=rows, tuning=tuning)
    step = None if steps is None else steps.step(conformal.NAME)
    if step is None or "test" not in read:
        return steps, []
    ordered = problem.ordered
    return steps, conformal.coverage(step.learned, step.rows, *read["test"], ordered=ordered)


def _fits(predictions: Predictions, truth: np.ndarray) -> bool:
    """Return whether truth and predictions have shapes that fit each other; those of a package's task may not."""
    if predictions.probabilities is not None:
        return truth.shape == (len(predictions.probabilities),)
    if predictions.quantiles is not None:
        return truth.shape == predictions.quantiles.shape[:-1]
    return predictions.values is not None and truth.shape == predictions.values.shape
