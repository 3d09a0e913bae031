"""The step "quantile_widths" of a training: quantiles of forecasts are corrected on rows that were not trained on."""

import keras
import numpy as np

from kzoo.data.dataset import Dataset, Split
from kzoo.data.quantile_widths import learned_step
from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.tasks.quantiles import quantiles_of
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
    steps = postprocessor or Postprocessor()

    def predict(part: Split) -> tuple[np.ndarray, np.ndarray]:
        outputs, truth = outputs_of(model, part, batch_size)
        return quantiles_of(data.target, steps.outputs(outputs, logits=None)), truth

    step = learned_step(data, predict, sample_split)
    return postprocessor if step is None else steps.with_step(step)
