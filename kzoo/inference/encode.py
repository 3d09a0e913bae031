"""`encode`: new raw inputs become rows of `x`, in exactly the same way as the training data.

This module and the inference modules of `kzoo.inference.kinds` need only NumPy and the standard library, so that an
exported model predicts without pandas, scikit-learn and Keras; `tests/test_structure.py` checks this.
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from kzoo.inference.postprocessors.adaptive_band import FEWEST, LATEST
from kzoo.inference.postprocessors.postprocessor import Postprocessor
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.predictions import Predictions
from kzoo.inference.sources.arrays import all_finite, check_whole_numbers, numeric_array
from kzoo.inference.sources.unreadable import MAX_SHARE_PREDICTION, Unread, broken_files_note
from kzoo.inference.tables.files import is_table
from kzoo.inference.tables.raw import (
    Rows,
    as_names,
    check_distinct,
    checked_rows,
    is_arrow,
    is_list_of_rows,
    require,
)
from kzoo.inference.tables.values import MISSING
from kzoo.problems.kinds import Kind, kind_of, shape_matches, takes_ready_arrays
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.problems.stored_types import Config
from kzoo.problems.tasks import Problem, Target
from kzoo.utils.address import local_data
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.files import expand_home
from kzoo.utils.formatting import length_of

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import ArrayLike

    from kzoo.utils.table_path import TablePath

# new inputs of a model, as `kzoo.predict` takes them
Inputs: TypeAlias = (
    "str | os.PathLike[str] | TablePath | pd.DataFrame | ArrayLike "
    "| Mapping[str, object] | Sequence[object]"
)


def encode(preprocessing: Preprocessor, inputs: RawInputs) -> np.ndarray:
    """Return raw inputs as an array that a model trained on the data set accepts.

    Args:
        preprocessing: `Dataset.preprocessing`, or its copy in a run or an export.
        inputs: table rows (DataFrame, list of dicts, CSV file), sentences, image files, the last `input_shape[0]` rows
            of a series, or an array that needs no preprocessing.

    Returns:
        (N, *input_shape).

    Raises:
        KzooError: the inputs do not fit, for example a column is missing.
    """
    x, items = _read(preprocessing, inputs)
    for item in _unread(items).values():
        raise KzooError(item.why)
    return x


class Encoded(NamedTuple):
    """Encoded inputs, ready for prediction.

    Args:
        x: (N, *input_shape), without the inputs that could not be read.
        names: of all inputs: the file or the text of each, else its number.
        unread: index in `names` -> why it could not be read.
        raw: the original inputs.
        kept: name -> cells (N,) of the columns of a table that predictions are to carry.
    """

    x: np.ndarray
    names: tuple[int | str, ...]
    unread: Mapping[int, str]
    raw: Any
    kept: Mapping[str, Sequence[Any]] = {}


def _unread(items: object) -> dict[int, Unread]:
    """Return index -> `Unread` for the inputs that could not be read."""
    if not isinstance(items, list | tuple):
        return {}
    return {index: item for index, item in enumerate(items) if isinstance(item, Unread)}


def _read(reader: Preprocessor, raw: RawInputs) -> tuple[np.ndarray, Sequence[Any]]:
    """Return (x, the item of each of its rows)."""
    kind = kind_of(reader)
    return (
        (_check_array(reader, raw, kind), raw)
        if takes_ready_arrays(reader)
        else kind.inference.read(reader, raw)
    )


def local_inputs(kind: Kind, inputs: RawInputs) -> RawInputs:
    """Return a user's inputs at an address as their copy in the download cache, others with `~` expanded.

    A URL for a model of texts is a text. What strangers send to a server does not come here.
    """
    if isinstance(inputs, str) and not ("ids" in kind.facts and re.match("https?:", inputs)):
        inputs = local_data(inputs)
    return expand_home(inputs)


def to_predictions(
    problem: Problem,
    target: Target,
    outputs: np.ndarray,
    encoded: Encoded,
    reader: Preprocessor,
    *,
    logits: bool | None,
    postprocessing: Sequence[Mapping[str, Any]] = (),
    options: PredictionOptions | None = None,
    band: np.ndarray | None = None,
) -> Predictions:
    """Return the predictions of a network's outputs, with names, times, and rows for inputs that could not be read.

    Args:
        problem, target: what is predicted, and what was learned about the target.
        outputs: of the network, for `encoded.x`.
        encoded: the inputs, `Encoded`.
        reader: that encoded them.
        logits: what the outputs are if they stand for classes (see `kzoo.inference.predictions.logits_of`).
        postprocessing: the steps stored with the model (see `kzoo.inference.postprocessors`).
        options: the `PredictionOptions`, or None.
        band: (horizon, targets) half-widths of an adaptive band of forecasts, or None.

    Raises:
        KzooError: `options` that the model cannot honour.
    """
    steps = Postprocessor.read(postprocessing)
    outputs = steps.outputs(outputs, logits=logits)
    predictions = problem.task.inference.answer(
        target, outputs, inputs=encoded.names, reader=reader, logits=logits
    )
    predictions = steps.predictions(with_times(reader, encoded.raw, encoded.x, predictions))
    if options is not None:
        predictions = steps.answered(predictions, options, problem, band)
    band_note = getattr(kind_of(reader).inference, "band_note", None)
    if band_note is not None and (predictions.levels or predictions.lower is not None):
        for note in band_note(reader, target.config):
            warn(note)
    predictions = replace(predictions.with_unread(encoded.names, encoded.unread), kept=encoded.kept)
    return predictions if options is None else steps.totals(predictions, options)


def predictions_of(
    problem: Problem,
    target: Target,
    outputs: np.ndarray,
    reader: Preprocessor,
    steps: Postprocessor,
    *,
    logits: bool | None,
    error_scale: np.ndarray | None = None,
) -> Predictions:
    """Return the predictions of a network's outputs (N, ...), as `to_predictions`, without names and times.

    Args:
        error_scale: (N, targets) of forecasts, see `Predictions`; None if it is not known.
    """
    outputs = steps.outputs(outputs, logits=logits)
    predictions = problem.task.inference.answer(
        target, outputs, inputs=range(len(outputs)), reader=reader, logits=logits
    )
    return steps.predictions(replace(predictions, error_scale=error_scale))


def adaptive_band_of(
    problem: Problem,
    target: Target,
    run: Callable[[np.ndarray], np.ndarray],
    encoded: Encoded,
    reader: Preprocessor,
    *,
    postprocessing: Sequence[Mapping[str, Any]],
    options: PredictionOptions | None,
) -> np.ndarray | None:
    """Return the half-widths of an adaptive band, from the errors of forecasts of earlier rows of the same table.

    Args:
        problem, target, reader, postprocessing, options: see `to_predictions`.
        run: function from x to the outputs of the network.
        encoded: the inputs, `Encoded`.

    Returns:
        (horizon, targets); None if no band is asked for, or the table has too few rows before the forecast.
    """
    inference = kind_of(reader).inference
    past = getattr(inference, "past", None)
    if options is None or options.confidence is None or not problem.ordered or past is None:
        return None
    if takes_ready_arrays(reader) or (horizon := target.config.get("horizon")) is None:
        return None
    windows = past(reader, encoded.raw, horizon, LATEST + FEWEST + horizon)
    if windows is None or len(windows[0]) < FEWEST + horizon:
        return None
    x = np.concatenate([windows[0], encoded.x])
    truth = windows[1]
    unknown = np.full((len(encoded.x), *truth.shape[1:]), np.nan, truth.dtype)
    steps = Postprocessor.read(postprocessing)
    scales = inference.error_scale(reader, windows[0], windows[2])
    scales = np.concatenate([scales, inference.error_scale(reader, encoded.x)])
    predictions = predictions_of(
        problem, target, run(x), reader, steps, logits=None, error_scale=scales
    )
    return steps.band(options.confidence, predictions, np.concatenate([truth, unknown]))


def with_times(
    reader: Preprocessor, raw: RawInputs, x: np.ndarray, predictions: Predictions
) -> Predictions:
    """Return forecasts of a series with the times of their steps, and the history that the model used.

    Args:
        reader: that encoded the inputs.
        raw: the original inputs.
        x: the encoded inputs.
        predictions: `Predictions`; other than forecasts, they are returned unchanged.
    """
    if predictions.horizon is None or takes_ready_arrays(reader):
        return predictions
    inference = kind_of(reader).inference
    if not hasattr(inference, "ahead"):
        return predictions
    # targets are the first columns
    predictions = replace(predictions, history=x[..., : predictions.targets])
    if hasattr(inference, "error_scale"):
        predictions = replace(predictions, error_scale=inference.error_scale(reader, x))
    if identity := getattr(inference, "identity", lambda *_: None)(reader, raw, x):
        ids, written = identity
        predictions = replace(predictions, ids=ids, written=written)
    forecast_times = inference.ahead(reader, raw, predictions.horizon, x)
    if forecast_times is None:
        return predictions
    name, times, history_times = forecast_times
    return replace(predictions, time_name=name, times=times, history_times=history_times)


def encode_named(
    preprocessing: Preprocessor,
    inputs: RawInputs,
    *,
    most: float = MAX_SHARE_PREDICTION,
    keep: str | Sequence[str] = (),
) -> Encoded:
    """Encode raw inputs for prediction; warn of files that cannot be read, and skip them.

    Args:
        preprocessing: their reader.
        inputs: the raw inputs.
        most: the largest share of unreadable files; at least one must be readable.
        keep: names of columns of a table that the predictions carry.

    Raises:
        KzooError: there are no inputs, one does not fit or is not finite, too many files cannot be read, or a column
            of `keep` does not exist.
    """
    if hasattr(inputs, "toarray"):
        raise KzooError(
            f"Inputs must not be a sparse matrix (shape {inputs.shape}): pass its toarray()."
        )
    if length_of(inputs) == 0:
        raise KzooError("No inputs to predict. Pass at least one.")
    inputs, kept = (inputs, {}) if length_of(keep) == 0 else _with_kept(preprocessing, inputs, keep)
    x, items = _read(preprocessing, inputs)
    for item in _unread(items).values():
        # a wrong file name
        if isinstance(item.item, str | os.PathLike) and not os.path.lexists(item.item):
            raise KzooError(item.why)
    unread = {index: item.why for index, item in _unread(items).items()}
    items = [item.item if isinstance(item, Unread) else item for item in items] if unread else items
    names = _names(items, len(x) + len(unread))
    if line := broken_files_note(unread, names, "file", most=most):
        warn(line)
    if x.dtype.kind == "f" and not all_finite(x):
        first = int(np.argwhere(~np.isfinite(x))[0][0])
        raise KzooError(
            f"Input {first + 1} contains NaN or infinity. Fill in these values, or leave the input out."
        )
    return Encoded(x=x, names=names, unread=unread, raw=inputs, kept=kept)


def _with_kept(
    reader: Preprocessor, inputs: RawInputs, keep: str | Sequence[str]
) -> tuple[RawInputs, dict[str, Sequence[Any]]]:
    """Return a table as `Rows`, so that it is read once, and name -> cells of the columns to keep.

    Args:
        reader: the preprocessor of the model.
        inputs: the raw inputs.
        keep: name of a column, or several (names, or one string with commas).

    Raises:
        KzooError: the inputs are not a table, have no such column, or the model forecasts.
    """
    if "steps" in kind_of(reader).facts:
        raise KzooError(
            "is for one prediction per row, and this model takes series. Remove it.",
            argument="keep",
            value=keep,
        )
    is_dicts = isinstance(inputs, dict) or (
        isinstance(inputs, list | tuple) and all(isinstance(row, dict) for row in inputs)
    )
    is_dicts = is_dicts or is_list_of_rows(inputs)
    is_rows = (
        isinstance(inputs, Rows) or hasattr(inputs, "iloc") or is_arrow(inputs) or is_table(inputs)
    )
    if takes_ready_arrays(reader) or not (is_dicts or is_rows):
        raise KzooError(
            "needs a table with columns, and the inputs are not a table. Remove it.",
            argument="keep",
            value=keep,
        )
    rows = checked_rows(inputs)
    # a name may have a comma
    names = [keep] if isinstance(keep, str) and keep in rows.columns else as_names(keep)
    require(rows, names, "the table")
    check_distinct(names, "keep")
    return rows, {name: _cells(rows, inputs, name) for name in names}


def _cells(rows: Rows, source: RawInputs, name: str) -> list[Any]:
    """Return the cells of a column as written: words such as `NA` too, and times with their zone."""
    if hasattr(source, "iloc"):
        column = source.iloc[:, [str(label).strip() for label in source.columns].index(name)]
        return [
            None if missing else cell
            for cell, missing in zip(column.tolist(), column.isna(), strict=True)
        ]
    cells = rows.cells(name, MISSING - {""})
    if isinstance(cells, np.ndarray) and cells.dtype.kind == "M":
        cells = cells.astype("datetime64[us]")
    return cells.tolist() if isinstance(cells, np.ndarray) else list(cells)


def check_token_ids(x: np.ndarray, kind: Kind, config: Config) -> None:
    """Raise KzooError for token ids outside a network's embedding.

    Args:
        x: encoded inputs.
        kind: of the inputs; others than tokens are not checked.
        config: settings of the network.

    Raises:
        KzooError: there are such ids.
    """
    count = config.get("vocabulary_size") if "ids" in kind.facts else None
    if count and len(x) and (x.min() < 0 or x.max() >= count):
        raise KzooError(
            f"Token ids must be in 0 to {count - 1}, but they are in {x.min()} to {x.max()}."
        )


def _names(items: RawInputs, count: int) -> tuple[int | str, ...]:
    """Return a name for each of `count` inputs."""
    listed = list(items) if isinstance(items, list | tuple) and len(items) == count else None
    if listed is None and isinstance(items, str) and count == 1:
        listed = [items]
    if listed is None or not all(isinstance(i, str) or hasattr(i, "__fspath__") for i in listed):
        return tuple(range(count))
    return tuple(str(i) for i in listed)


def _check_array(reader: Preprocessor, raw: RawInputs, kind: Kind) -> np.ndarray:
    """Return an array after checking its shape; a single example gets a batch axis."""
    shape = tuple(reader["shape"])
    if isinstance(raw, str | dict) or hasattr(raw, "__fspath__"):
        raise KzooError(
            f"This model was trained on arrays. Pass an array of shape (N, {', '.join(map(str, shape))})."
        )
    x = numeric_array(raw, "Inputs")
    if "ids" in kind.facts:
        check_whole_numbers(x, "Token ids", np.iinfo(kind.dtype).max)
    with np.errstate(over="ignore"):  # the caller refuses infinity
        x = x.astype(kind.dtype)
    x = x[None] if x.shape == shape else x
    if x.ndim == len(shape) and shape[-1] == 1 and x.shape[1:] == shape[:-1]:
        x = x[..., None]
    if not shape_matches(x.shape[1:], shape):
        raise KzooError(
            f"Inputs must have the shape (N, {', '.join(map(str, shape))}), not {x.shape}."
        )
    return x
