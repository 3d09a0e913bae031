"""`predict`: raw inputs in, labels and probabilities (or values) out."""

import os
from typing import Any

import numpy as np

from kzoo.data.encode import Encoded, checked_batch_size, encode_named
from kzoo.predictions import Predictions
from kzoo.run import Run
from kzoo.training.score import forward, gives_logits


def predict(run: Run | str | os.PathLike[str], inputs: Any, *, batch_size: int = 128) -> Predictions:
    """Answer raw inputs with a run's best model.

    Args:
        run: a run or its path.
        inputs: image files, a folder of them or arrays; a CSV, a DataFrame or rows; strings; or an array of
            the model's own input shape. Of many files up to 5 % may be broken: they get a row without an answer
            (`Predictions.unread`) and a `KzooWarning`.
        batch_size: examples in a step.

    Raises:
        KzooError: an input that cannot be read or does not fit.
    """
    run = run if isinstance(run, Run) else Run(run)
    return answer(run, encode_named(run.preprocessing, inputs), batch_size=checked_batch_size(batch_size))


def answer(run: Run, encoded: Encoded, *, batch_size: int = 128) -> Predictions:
    """Answer inputs that have been read."""
    x, model = encoded.x, run.model
    size = min(batch_size, len(x))
    answers = np.concatenate([forward(model, x[i : i + size], size) for i in range(0, len(x), size)])
    said = run.problem.task.light.answer(
        run.target, answers, inputs=encoded.names, reader=run.preprocessing, logits=gives_logits(model)
    )
    return said.with_unread(encoded.names, encoded.unread)
