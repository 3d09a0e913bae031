"""The step "error_vectors" of forecasts: learned on rows that were not trained on, and judged on the test split."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.windows import Windows, series_of
from kzoo.inference.postprocessors import error_vectors, sample_paths
from kzoo.inference.postprocessors.clustered import Clusters, ratio_interval
from kzoo.inference.postprocessors.postprocessor import Postprocessor, with_step
from kzoo.inference.predictions import Predictions
from kzoo.problems.stored_types import TrainingSettings
from kzoo.training.conformal import Pairs, predicted, steps_for
from kzoo.utils.files import JsonObject

_FEWEST = 10  # forecasts that the step is learned from
_LEARNED_ON = ("out of fold", "validation", "calibration")
LEVEL = 0.8  # of the bands of totals whose coverage is stored


def learned_error_vectors(
    parts: Mapping[str, Pairs],
    splits: Mapping[str, Split],
    data: Dataset,
    postprocessor: Postprocessor | None,
    settings: TrainingSettings | None,
    *,
    logits: bool | None,
) -> Postprocessor | None:
    """Return the postprocessor with the step "error_vectors"; unchanged if there is nothing to learn it from.

    Args:
        parts: name of a split, or "out of fold", -> (outputs, truth) of its batches.
        splits: name -> the `Split` that the batches are of.
        data: the `Dataset`.
        postprocessor: the other steps, or None.
        settings: training settings.
        logits: see `kzoo.training.conformal.predicted`.
    """
    names = [name for name in _LEARNED_ON if name in splits and len(parts.get(name, ()))]
    if not data.problem.suits(error_vectors.FACTS) or not names:
        return postprocessor
    windows = [splits[name].y for name in names]
    if not all(_of_series(part, data) for part in windows):
        return postprocessor
    steps = None if postprocessor is None else postprocessor.without(error_vectors.NAME)
    read = [
        predicted(parts[name], data, steps_for(name, steps), logits=logits, part=splits[name])
        for name in names
    ]
    predictions = _joined([answers for answers, _ in read])
    truth = np.concatenate([values for _, values in read])
    point = predictions.values if predictions.quantiles is None else predictions.quantiles[..., 0]
    if len(truth) < _FEWEST or point is None or truth.shape != point.shape:
        return postprocessor
    loss = (settings or {}).get("loss", data.problem.task.losses[0])
    learned = error_vectors.learn(
        predictions,
        truth,
        origins=np.concatenate([part.moments for part in windows]),
        series=np.concatenate([part.codes for part in windows]),
        names=names_of(windows[0]),
        target_facts=data.seen["target_range"],
        means=predictions.quantiles is not None or loss in data.problem.task.median_losses,
    )
    if learned is None:
        return postprocessor
    return with_step(postprocessor, error_vectors.NAME, learned, rows=" and ".join(names))


def _of_series(windows: object, data: Dataset) -> bool:
    """Return whether windows are cut from the same series as the training windows."""
    series = series_of(windows)
    return series is not None and series.ndim == 2 and series_of(data.train.y) is series


def names_of(windows: Windows) -> Sequence[str]:
    """Return the names of the series of windows."""
    return ("",) if windows.series is None else windows.series.names


def _joined(parts: Sequence[Predictions]) -> Predictions:
    """Return forecasts of several splits as those of one."""

    def together(name: str) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return None if any(array is None for array in arrays) else np.concatenate(arrays)

    names = ("values", "quantiles", "error_scale")
    return replace(parts[0], **{name: together(name) for name in names})


def scores_of_means(
    pairs: Pairs,
    split: Split,
    data: Dataset,
    postprocessor: Postprocessor | None,
    *,
    logits: bool | None,
    confidence: float | None = None,
) -> JsonObject:
    """Return the `bias` of the means of forecasts, its interval, and with a confidence the coverage of their `totals`.

    Args:
        pairs: (outputs, truth) of the batches of a split.
        split: the `Split`.
        data: the `Dataset`.
        postprocessor: the steps of the run, or None.
        logits: see `kzoo.training.conformal.predicted`.
        confidence: level of the bands of totals; None for no totals.

    Returns:
        {} without the step.
    """
    step = None if postprocessor is None else postprocessor.step(error_vectors.NAME)
    if step is None or not data.problem.suits(error_vectors.FACTS):
        return {}
    predictions, truth = predicted(pairs, data, postprocessor, logits=logits, part=split)
    scores: JsonObject = {}
    errors = np.asarray(sample_paths.point_of(predictions), np.float64) - truth
    sizes = np.abs(np.asarray(truth, np.float64))
    if total := float(sizes.sum()):
        scores["bias"] = float(errors.sum()) / total
        if series_of(split.y) is not None:
            clusters = Clusters.of(split.y.codes, split.y.moments, truth.shape[1])
            of_windows = (len(truth), -1)
            interval = ratio_interval(
                errors.reshape(of_windows).sum(axis=1),
                sizes.reshape(of_windows).sum(axis=1),
                clusters,
            )
            if interval is not None:  # there are enough windows
                scores["bias_interval"] = list(interval)
    if confidence is not None and series_of(split.y) is not None:
        names = names_of(split.y)
        inputs = [names[code] for code in split.y.codes.tolist()]
        totals = sample_paths.coverage(
            step.learned,
            replace(predictions, inputs=inputs),
            truth,
            np.asarray(split.y.moments),
            confidence,
        )
        scores |= {"totals": totals} if totals else {}
    return scores
