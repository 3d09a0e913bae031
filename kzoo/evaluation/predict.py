"""`predict`: raw inputs in, labels and probabilities (or values) out."""

import os
from typing import Any

import numpy as np

from kzoo.data.encode import checked_batch_size, dated, encode_named
from kzoo.predictions import Predictions
from kzoo.run import Run
from kzoo.training.score import forward, run_gives_logits


def predict(run: Run | str | os.PathLike[str], inputs: Any, *, batch_size: int = 128) -> Predictions:
    """Answer raw inputs with a run's best model.

    Args:
        run: a run or its path.
        inputs: image files, a folder of them or arrays; a CSV, a DataFrame or rows; strings; or an array of
            the model's own input shape.
        batch_size: examples in a step.

    Raises:
        KzooError: an input that cannot be read or does not fit.
    """
    run = run if isinstance(run, Run) else Run(run)
    preprocessing = run.preprocessing
    x, names = encode_named(preprocessing, inputs)
    model = run.model
    size = min(checked_batch_size(batch_size), len(x))
    answers = np.concatenate([forward(model, x[i : i + size], size) for i in range(0, len(x), size)])
    said = run.problem.task.light.answer(
        run.target, answers, inputs=names, reader=preprocessing, logits=run_gives_logits(run)
    )
    return dated(preprocessing, inputs, x, said)
