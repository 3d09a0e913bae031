"""The last postprocessing step of a training, "conformal", learned on the outputs that scoring has computed."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.inference.encode import predictions_of
from kzoo.inference.postprocessors import conformal, quantile_widths
from kzoo.inference.postprocessors.postprocessor import Postprocessor, with_conformal
from kzoo.inference.predictions import Predictions
from kzoo.problems.kinds import kind

Pairs = Sequence[tuple[np.ndarray, np.ndarray]]


def predicted(
    pairs: Pairs,
    data: Dataset,
    postprocessor: Postprocessor | None,
    *,
    logits: bool | None,
    part: Split | None = None,
) -> tuple[Predictions, np.ndarray]:
    """Return the predictions of a split, after all steps but the last, and its truth.

    Args:
        pairs: (outputs of the network, truth) of its batches.
        data: the `Dataset`.
        postprocessor: the other steps, or None.
        logits: whether outputs of classes are logits.
        part: the split, from whose windows forecasts get their `error_scale` and the names of their series as `inputs`;
            None if it is not known.
    """
    outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
    steps = postprocessor or Postprocessor()
    predictions = predictions_of(
        data.problem,
        data.target,
        outputs,
        data.preprocessing,
        steps,
        logits=logits,
    )
    return predictions if part is None else of_series(predictions, data, part), truth


def of_series(predictions: Predictions, data: Dataset, part: Split) -> Predictions:
    """Return predictions of a split with the `error_scale` of its windows, and the names of series as `inputs`."""
    predictions = replace(predictions, error_scale=error_scale_of(data, part))
    series = getattr(part.y, "series", None)
    if series is None:
        return predictions
    return replace(predictions, inputs=[series.names[code] for code in series.codes.tolist()])


def error_scale_of(data: Dataset, part: Split) -> np.ndarray | None:
    """Return the size of the errors of each series of a split by itself (N, targets); None of other data."""
    fitting = kind(data.inputs).fitting
    if not data.problem.ordered or not hasattr(fitting, "error_scale"):
        return None
    return fitting.error_scale(data.preprocessing, part)


def moments_of(part: Split | None) -> np.ndarray | None:
    """Return the number of the first step of each forecast of a split (N,); None if it is not cut from series."""
    return None if part is None else getattr(part.y, "moments", None)


def steps_for(split: str, postprocessor: Postprocessor | None) -> Postprocessor | None:
    """Return the steps that the outputs of a split have yet to get: out of fold, quantiles are widened already."""
    if postprocessor is None or split != "out of fold":
        return postprocessor
    return postprocessor.without(quantile_widths.NAME)


def learned_conformal(
    parts: Mapping[str, Pairs],
    data: Dataset,
    postprocessor: Postprocessor | None,
    *,
    logits: bool | None,
    splits: Mapping[str, Split],
) -> tuple[Postprocessor | None, list[dict[str, Any]]]:
    """Return the postprocessor with the step "conformal", and its coverage on the test split.

    The step is learned on the calibration split, else on the out-of-fold rows, else on the validation split.

    Args:
        parts: name of a split, or "out of fold", -> (outputs, truth) of its batches. Quantiles of forecasts out of fold
            have the widths that their models learned.
        data, postprocessor, logits: see `predicted`.
        splits: name -> the `Split` that the batches are of; those out of fold have one where they are of a series.
    """
    read = {
        name: predicted(
            pairs, data, steps_for(name, postprocessor), logits=logits, part=splits.get(name)
        )
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
    moments = moments_of(splits.get(rows)) if problem.ordered else None
    steps = with_conformal(
        postprocessor, *read[rows], problem=problem, rows=rows, tuning=tuning, moments=moments
    )
    step = None if steps is None else steps.step(conformal.NAME)
    if step is None or "test" not in read:
        return steps, []
    return steps, conformal.coverage(
        step.learned,
        step.rows,
        *read["test"],
        ordered=problem.ordered,
        moments=moments_of(splits.get("test")) if problem.ordered else None,
    )


def _fits(predictions: Predictions, truth: np.ndarray) -> bool:
    """Return whether truth and predictions have shapes that fit each other; those of a package's task may not."""
    if predictions.probabilities is not None:
        return truth.shape == (len(predictions.probabilities),)
    if predictions.quantiles is not None:
        return truth.shape == predictions.quantiles.shape[:-1]
    return predictions.values is not None and truth.shape == predictions.values.shape
