"""The step "quantile_widths" of networks and baselines: learned on rows that they were not trained on."""

from collections.abc import Callable

import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.windows import series_of
from kzoo.inference.postprocessors import quantile_widths
from kzoo.inference.postprocessors.clustered import Clusters
from kzoo.inference.postprocessors.postprocessor import Step
from kzoo.inference.tasks.quantiles import levels_of
from kzoo.problems.kinds import kind


def learned_step(
    data: Dataset,
    predict: Callable[[Split], tuple[np.ndarray, np.ndarray]],
    sample: Callable[[Split], Split],
) -> Step | None:
    """Return the step that is learned on validation and calibration rows; None if there is nothing to learn it from.

    Args:
        data: a `Dataset`.
        predict: function of a split that returns quantiles (N, horizon, targets, levels) and truth (N, horizon,
            targets).
        sample: function of a split that returns it, or some of its rows.
    """
    fitting = kind(data.inputs).fitting
    if not data.problem.suits(quantile_widths.FACTS) or not hasattr(fitting, "error_scale"):
        return None
    parts = {"validation": data.validation, "calibration": data.calibration}
    splits = {
        name: sample(part)
        for name, part in parts.items()
        if part is not None and len(part) and series_of(part.y) is not None
    }
    scales = [fitting.error_scale(data.preprocessing, part) for part in splits.values()]
    if not splits or any(scale is None for scale in scales):
        return None
    pairs = [predict(part) for part in splits.values()]
    quantiles, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
    if truth.shape != quantiles.shape[:-1]:  # of a custom model
        return None
    windows = [part.y for part in splits.values()]
    learned = quantile_widths.learned_widths(
        quantiles,
        levels_of(data.target),
        truth,
        np.concatenate(scales),
        Clusters.of(
            np.concatenate([part.codes for part in windows]),
            np.concatenate([part.moments for part in windows]),
            truth.shape[1],
        ),
    )
    if learned is None:
        return None
    return Step(
        name=quantile_widths.NAME,
        stage=quantile_widths.STAGE,
        rows=" and ".join(splits),
        learned=learned,
    )
