"""`predict`: turn raw inputs into labels and probabilities, or values."""

import os
from collections.abc import Sequence
from typing import Any, Literal

import keras
import numpy as np

from kzoo.inference.encode import (
    Encoded,
    Inputs,
    adaptive_band_of,
    check_token_ids,
    encode_named,
    local_inputs,
    to_predictions,
)
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.inference.sources.arrays import all_finite
from kzoo.problems.kinds import kind_of
from kzoo.training.score import forward, run_gives_logits, tta_views
from kzoo.utils.argument_checks import checked_arguments, checked_count
from kzoo.utils.errors import KzooError, about
from kzoo.utils.table_path import check_sheet, with_sheet
from kzoo.zoo.run import Run
from kzoo.zoo.untracked import as_run


@checked_arguments
def predict(
    run: Run | str | os.PathLike[str] | keras.Model,
    inputs: "Inputs",
    *,
    weights: str | None = None,
    batch_size: int = 128,
    tta: Literal["mirror", "shift"] | None = None,
    keep: str | Sequence[str] = (),
    sheet: str | None = None,
    header_row: int | None = None,
    confidence: float | None = None,
    conformal: Literal["lac", "raps", "class"] | None = None,
    min_probability: float | None = None,
    accuracy_when_answered: float | None = None,
    samples: int | None = None,
    total: Literal["series", "steps", "all"] | None = None,
    seed: int | None = None,
) -> Predictions:
    """Predict raw inputs with a run's best model, with the pretrained weights of a preset, or with any model.

    Args:
        run: a run or its path; the name of a preset with pretrained weights in the package (a line on stderr names the
            training data, its licence and the score); a `keras.Model`; or the folder that a callback bundle wrote. The
            last two take arrays of the model's own input shape and return class numbers, unless `kzoo.fit_arguments` or
            `kzoo.build(..., weights=)` attached the description of the data to the model.
        inputs: image files, a folder of them or arrays; a CSV file, a DataFrame or rows; strings; or an array of
            the model's own input shape; also an `.xlsx` workbook and the other tables that `kzoo.load_data` takes. If
            one of several files cannot be read, its row has no prediction (`Predictions.unread`), and there is a
            `KzooWarning`.
        weights: which pretrained weights, if a preset has several: `kzoo show PRESET` lists them.
        batch_size: examples per step.
        tta: test-time augmentation of images, "mirror" or "shift" (see `kzoo.evaluate`).
        keep: columns of a table that the predictions carry, such as an id; they need not be inputs of the model.
        sheet, header_row: where the table is in an `.xlsx` workbook, see `kzoo.load_data`; the default is as in
            training.
        confidence: level, such as 0.9: predictions then have sets of classes, or intervals of numbers, that contain the
            truth for this share of new rows like those that the promise was learned on (split conformal prediction,
            https://arxiv.org/abs/1604.04173). These are the calibration rows (`calibration=` of training); without any,
            the validation rows, which makes it approximate (`Predictions.promise` says so). The smallest level that n
            rows cannot promise is above n / (n + 1).
        conformal: how sets are made: "lac" (the default; the smallest ones, which may be empty,
            https://arxiv.org/abs/1609.00451), "raps" (never empty, and more even over easy and hard rows,
            https://arxiv.org/abs/2009.14193), or "class" (the level holds for each class).
        min_probability: rows whose predicted class has a lower probability get the label "unsure".
        accuracy_when_answered: the same, at the lowest threshold with which at least this share of the other rows is
            right; the bound, from calibration rows, holds with a probability of 90 %
            (https://arxiv.org/abs/2110.01052).
        samples: of forecasts: number of paths, joint over series and steps (`Predictions.samples`); each is the median
            with a whole error vector of a past origin.
        total: of forecasts: return sums over "series" (at each step), "steps" (of each series) or "all", with their
            mean, quantiles and, with `confidence`, band.
        seed: of the paths.

    Returns:
        `Predictions` in the order of the inputs: `labels` and `probabilities` (N, classes), or `values` (N, targets) or
        (N, horizon, targets) in the unit of the target; `to_frame()` is a table of all.

    Raises:
        KzooError: inputs that do not fit, inputs none of which can be read, tta= for inputs other than images,
            keep= for inputs that are not a table with this column, a preset without pretrained weights, a promise that
            the run cannot make, or paths and totals of a run that has not stored errors of past forecasts.

    Examples:
        >>> run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        >>> flowers = np.array([[5.1, 3.5, 1.4, 0.2], [6.3, 2.9, 5.6, 1.8]])
        >>> predictions = kzoo.predict(run, flowers)
        >>> predictions.labels, predictions.probabilities.shape
        (['setosa', 'virginica'], (2, 3))
        >>> list(predictions.to_frame())
        ['input', 'label', 'p_setosa', 'p_versicolor', 'p_virginica']
        >>> kzoo.predict(run, flowers, confidence=0.8).sets
        [('setosa',), ('virginica',)]
    """
    options = PredictionOptions(
        confidence=confidence,
        conformal=conformal,
        min_probability=min_probability,
        accuracy_when_answered=accuracy_when_answered,
        samples=samples,
        total=total,
        seed=seed,
    )
    run = as_run(run, weights)
    Postprocessor.read(run.postprocessing).check(options, run.problem)
    tta_views(kind_of(run.preprocessing), tta)
    size = checked_count("batch_size", batch_size)
    with about(inputs):
        options_of_data = run.data.options if run.tracked else None
        source = with_sheet(
            local_inputs(kind_of(run.preprocessing), inputs), sheet, header_row, options_of_data
        )
        check_sheet(source, sheet, header_row)
        encoded = encode_named(run.preprocessing, source, keep=keep)
    return predict_encoded(run, encoded, batch_size=size, tta=tta, options=options)


def predict_encoded(
    run: Run,
    encoded: Encoded,
    *,
    batch_size: int = 128,
    tta: str | None = None,
    fill: bool = False,
    options: PredictionOptions | None = None,
) -> Predictions:
    """Predict inputs that are preprocessed already.

    Args:
        run: the run.
        encoded: the inputs.
        batch_size: examples per step.
        tta: see `predict`.
        options: sets, intervals and abstention, or None.
        fill: whether fewer inputs are filled up to `batch_size`, so that the number of inputs changes no bit.

    Raises:
        KzooError: token ids outside the network's vocabulary, or inputs whose outputs are NaN or infinite.
    """
    if tta is not None and options is not None and options.needs_scores:
        name, value = next(iter(options.given.items()))
        raise KzooError(
            f"was learned without tta={tta!r}. Remove one of them.", argument=name, value=value
        )
    kind = kind_of(run.preprocessing)
    x, model, views = encoded.x, run.model, tta_views(kind, tta)
    check_token_ids(x, kind, run.spec.config)
    size = batch_size if fill else min(batch_size, len(x))

    def outputs_of(x: np.ndarray) -> np.ndarray:
        return np.concatenate(
            [forward(model, x[i : i + size], size, views) for i in range(0, len(x), size)]
        )

    outputs = outputs_of(x)
    if not all_finite(outputs):
        row = int(np.argwhere(~np.isfinite(outputs))[0][0])
        raise KzooError(f"{run!r} predicts NaN or infinity for input {row + 1}.")
    shared: Any = dict(postprocessing=run.postprocessing, options=options)
    band = adaptive_band_of(
        run.problem, run.target, outputs_of, encoded, run.preprocessing, **shared
    )
    return to_predictions(
        run.problem,
        run.target,
        outputs,
        encoded,
        run.preprocessing,
        logits=run_gives_logits(run),
        band=band,
        **shared,
    )
