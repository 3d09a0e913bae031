"""The step "quantile_widths" of a training: quantiles of forecasts are corrected on rows that were not trained on."""

import keras
import numpy as np

from kzoo.data.dataset import Dataset
from kzoo.data.sample import sample_split
from kzoo.data.store.windows import series_of
from kzoo.inference.postprocessors import quantile_widths
from kzoo.inference.postprocessors.clustered import Clusters
from kzoo.inference.postprocessors.postprocessor import Postprocessor, with_step
from kzoo.inference.tasks.quantiles import levels_of, quantiles_of
from kzoo.training.conformal import error_scale_of
from kzoo.training.error_vectors import codes_of
from kzoo.training.score import outputs_of


def with_quantile_widths(
    postprocessor: Postprocessor | None,
    model: keras.Model,
    data: Dataset,
    *,
    batch_size: int = 128,
) -> Postprocessor | None:
    """Return the postprocessor of a training with this step; unchanged if there is nothing to learn it from.

    Args:
        postprocessor: the other steps of outputs, or None.
        model: the model, with its best weights.
        data: a `Dataset`; the step is learned on its validation and calibration rows.
        batch_size: examples per step.
    """
    if not data.problem.suits(quantile_widths.FACTS):
        return postprocessor
    parts = {"validation": data.validation, "calibration": data.calibration}
    splits = {
        name: sample_split(part)
        for name, part in parts.items()
        if part is not None and len(part) and series_of(part.y) is not None
    }
    scales = [
        scale for part in splits.values() if (scale := error_scale_of(data, part)) is not None
    ]
    if not splits or len(scales) < len(splits):
        return postprocessor
    steps = postprocessor or Postprocessor()
    pairs = [outputs_of(model, part, batch_size) for part in splits.values()]
    outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
    quantiles = quantiles_of(data.target, steps.outputs(outputs, logits=None))
    if truth.shape != quantiles.shape[:-1]:  # of a custom model
        return postprocessor
    windows = [part.y for part in splits.values()]
    learned = quantile_widths.learned_widths(
        quantiles,
        levels_of(data.target),
        truth,
        np.concatenate(scales),
        Clusters.of(
            np.concatenate([codes_of(part) for part in windows]),
            np.concatenate([part.moments for part in windows]),
            truth.shape[1],
        ),
    )
    if learned is None:
        return postprocessor
    return with_step(postprocessor, quantile_widths.NAME, learned, rows=" and ".join(splits))
