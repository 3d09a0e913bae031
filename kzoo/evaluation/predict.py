"""`predict`: raw inputs in, labels and probabilities (or values) out."""

import os
from typing import Any, Literal

import keras
import numpy as np

from kzoo.data.encode import Encoded, check_token_ids, encode_named, to_predictions
from kzoo.kinds import kind_of
from kzoo.predictions import Predictions
from kzoo.run import Run
from kzoo.sources.arrays import all_finite
from kzoo.training.score import forward, run_gives_logits, views_of
from kzoo.untracked import as_run
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.files import expand_home


@checked_arguments
def predict(
    run: Run | str | os.PathLike[str] | keras.Model,
    inputs: Any,
    *,
    weights: str | None = None,
    batch_size: int = 128,
    tta: Literal["mirror", "shift"] | None = None,
) -> Predictions:
    """Answer raw inputs with a run's best model, with a preset's weights in the package, or with any model.

    Args:
        run: a run or its path; or the name of a preset that has weights in the package (a line on stderr says what they
            were trained on, how well they answer, and the licence of the data); or a `keras.Model`, or the folder that
            a callback bundle wrote. Those take arrays of the model's own input shape and number the classes, unless
            `kzoo.fit_arguments`, or `kzoo.build(..., weights=)`, has told the model of its data.
        inputs: image files, a folder of them or arrays; a CSV, a DataFrame or rows; strings; or an array of
            the model's own input shape. A broken file among others gets a row without an answer
            (`Predictions.unread`) and a `KzooWarning`.
        weights: which ones, where a preset has several: `kzoo show PRESET` lists them.
        batch_size: examples in a step.
        tta: test-time augmentation of images, "mirror" or "shift" (see `kzoo.evaluate`).

    Raises:
        KzooError: an input that does not fit, none that can be read, inputs that have no views, or a preset without
            weights.
    """
    run = as_run(run, weights)
    views_of(kind_of(run.preprocessing), tta)
    size = checked_count("batch_size", batch_size)
    return predict_encoded(run, encode_named(run.preprocessing, expand_home(inputs)), batch_size=size, tta=tta)


def predict_encoded(run: Run, encoded: Encoded, *, batch_size: int = 128, tta: str | None = None) -> Predictions:
    """Answer inputs that have been read.

    Raises:
        KzooError: token ids that the network does not know, or inputs for which it gives no numbers.
    """
    kind = kind_of(run.preprocessing)
    x, model, views = encoded.x, run.model, views_of(kind, tta)
    if "ids" in kind.facts:
        check_token_ids(x, run.spec.config.get("vocabulary_size"))
    size = min(batch_size, len(x))
    answers = np.concatenate([forward(model, x[i : i + size], size, views) for i in range(0, len(x), size)])
    if not all_finite(answers):
        row = int(np.argwhere(~np.isfinite(answers))[0][0])
        raise KzooError(f"{run!r} gives NaN or infinity for input {row + 1}.")
    return to_predictions(
        run.problem.task, run.target, answers, encoded, run.preprocessing, logits=run_gives_logits(run),
        postprocessing=run.postprocessing,
    )  # fmt: skip
