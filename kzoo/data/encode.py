"""`encode`: new raw inputs become rows of `x`, exactly as the training data did.

This module and the light halves of `kzoo.kinds` are NumPy and the standard library, so that an exported model answers
without pandas, scikit-learn and Keras; `tests/test_structure.py` holds them to that.
"""

from dataclasses import replace

import numpy as np

from kzoo.errors import KzooError
from kzoo.kinds import kind_of, takes_ready_arrays
from kzoo.kinds.arrays import numbers_in, whole_in


def encode(preprocessing: dict, inputs) -> np.ndarray:
    """Turn raw inputs into an array that a model of the data set takes.

    Args:
        preprocessing: `Dataset.preprocessing`, or what a run or an export stored of it.
        inputs: table rows (DataFrame, list of dicts, CSV file), sentences, image files, the last
            `input_shape[0]` rows of a series, or an array that is ready.

    Returns:
        (N, *input_shape).

    Raises:
        KzooError: the inputs lack something, such as a column.
    """
    return _read(preprocessing, inputs)[0]


def _read(reader, raw):
    """Return (x, what each of its rows was made of)."""
    kind = kind_of(reader)
    return (_ready(reader, raw, kind), raw) if takes_ready_arrays(reader) else kind.light.read(reader, raw)


def dated(reader, raw, x, answers):
    """Return forecasts of a series with the times of their steps, and with what the model saw before them.

    Args:
        reader: what read the inputs.
        raw: they, as they came.
        x: what was made of them.
        answers: `Predictions`; others than forecasts are returned as they are.
    """
    if answers.values is None or answers.values.ndim != 3 or takes_ready_arrays(reader):
        return answers
    light = kind_of(reader).light
    if not hasattr(light, "ahead"):
        return answers
    answers = replace(answers, history=x[..., : answers.values.shape[-1]])  # the targets come first
    found = light.ahead(reader, raw, answers.values.shape[1])
    if found is None:
        return answers
    name, times, before = found
    return replace(answers, time_name=name, times=[times], history_times=[before])


def checked_batch_size(batch_size) -> int:
    """Return how many examples go into a step.

    Raises:
        KzooError: no whole number of at least 1.
    """
    if isinstance(batch_size, bool) or not isinstance(batch_size, int | np.integer) or batch_size < 1:
        raise KzooError(f"batch_size={batch_size!r} must be a whole number of at least 1.")
    return int(batch_size)


def encode_named(preprocessing: dict, inputs) -> tuple:
    """Encode raw inputs to be answered.

    Returns:
        (x, names): a name for each row of x, the file or the text it was made from, else its number.

    Raises:
        KzooError: no inputs, an input that does not fit, or a number that is none.
    """
    if hasattr(inputs, "toarray"):
        raise KzooError(f"A sparse matrix {inputs.shape} cannot be read: give its toarray().")
    if hasattr(inputs, "__len__") and getattr(inputs, "shape", None) != () and not len(inputs):
        raise KzooError("Nothing to predict: no inputs were given.")
    x, inputs = _read(preprocessing, inputs)
    if x.dtype.kind == "f" and not (finite := np.isfinite(x.reshape(len(x), -1)).all(axis=1)).all():
        raise KzooError(f"Input {int(np.argmin(finite)) + 1} holds NaN or infinity: fill it in or leave it out.")
    listed = list(inputs) if isinstance(inputs, list | tuple) and len(inputs) == len(x) else None
    if listed is None and isinstance(inputs, str) and len(x) == 1:
        listed = [inputs]
    if listed is None or not all(isinstance(i, str) or hasattr(i, "__fspath__") for i in listed):
        return x, tuple(range(len(x)))
    return x, tuple(str(i) for i in listed)


def _ready(reader, raw, kind):
    """Check that an array has the shape the model takes; a single example gets its first axis."""
    shape = tuple(reader["shape"])
    if isinstance(raw, str | dict) or hasattr(raw, "__fspath__"):
        raise KzooError(f"This model was trained on arrays; give an array of shape (N, {', '.join(map(str, shape))}).")
    x = numbers_in(raw, "Inputs")
    if "ids" in kind.facts:
        whole_in(x, "Token ids", None)
    x = x.astype(kind.dtype)
    x = x[None] if x.shape == shape else x
    if x.ndim == len(shape) and shape[-1] == 1 and x.shape[1:] == shape[:-1]:
        x = x[..., None]
    if x.shape[1:] != shape:
        raise KzooError(f"Inputs have shape {x.shape}; the model takes (N, {', '.join(map(str, shape))}).")
    return x
