"""`encode`: new raw inputs become rows of `x`, exactly as the training data did.

This module and the light halves of `kzoo.kinds` are NumPy and the standard library, so that an exported model answers
without pandas, scikit-learn and Keras; `tests/test_structure.py` holds them to that.
"""

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from kzoo.kinds import fits, kind_of, takes_ready_arrays
from kzoo.postprocessors.postprocessor import Postprocessor
from kzoo.sources.arrays import all_finite, numbers_in, whole_in
from kzoo.sources.unreadable import PREDICTED, Unread, left_out
from kzoo.utils.errors import KzooError, warn
from kzoo.utils.formatting import length_of


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
    x, items = _read(preprocessing, inputs)
    for item in _unread(items).values():
        raise KzooError(item.why)
    return x


class Encoded(NamedTuple):
    """Raw inputs, ready to be answered.

    Args:
        x: (N, *input_shape), without the inputs that could not be read.
        names: of all inputs: the file or the text that each was made from, else its number.
        unread: place in `names` -> why it could not be read.
        raw: the inputs, as they came.
    """

    x: np.ndarray
    names: tuple
    unread: Mapping[int, str]
    raw: Any


def _unread(items) -> dict:
    """Return place -> `Unread` of the inputs that could not be read."""
    if not isinstance(items, list | tuple):
        return {}
    return {place: item for place, item in enumerate(items) if isinstance(item, Unread)}


def _read(reader, raw):
    """Return (x, what each of its rows was made of)."""
    kind = kind_of(reader)
    return (_ready(reader, raw, kind), raw) if takes_ready_arrays(reader) else kind.inference.read(reader, raw)


def to_predictions(task, target, outputs, encoded, reader, *, logits, postprocessing=()):
    """Return what a network's outputs say: answers under their names, dated, with a row for what could not be read.

    Args:
        task, target: what is answered, and what was learned of it.
        outputs: of the network, for `encoded.x`.
        encoded: the inputs, `Encoded`.
        reader: what read them.
        logits: what the outputs are where they name classes (see `kzoo.predictions.logits_of`).
        postprocessing: the steps that were stored with the model (see `kzoo.postprocessors`).
    """
    steps = Postprocessor.read(postprocessing)
    outputs = steps.outputs(outputs, logits=logits)
    said = task.inference.answer(target, outputs, inputs=encoded.names, reader=reader, logits=logits)
    said = steps.predictions(with_times(reader, encoded.raw, encoded.x, said))
    return said.with_unread(encoded.names, encoded.unread)


def with_times(reader, raw, x, answers):
    """Return forecasts of a series with the times of their steps, and with what the model saw before them.

    Args:
        reader: what read the inputs.
        raw: they, as they came.
        x: what was made of them.
        answers: `Predictions`; others than forecasts are returned as they are.
    """
    if answers.horizon is None or takes_ready_arrays(reader):
        return answers
    light = kind_of(reader).inference
    if not hasattr(light, "ahead"):
        return answers
    answers = replace(answers, history=x[..., : answers.targets])  # the targets come first
    found = light.ahead(reader, raw, answers.horizon)
    if found is None:
        return answers
    name, times, before = found
    return replace(answers, time_name=name, times=[times], history_times=[before])


def encode_named(preprocessing: dict, inputs, *, most: float = PREDICTED) -> Encoded:
    """Encode raw inputs to be answered; warn of files that cannot be read, and go on without them.

    Args:
        preprocessing: what reads them.
        inputs: the raw inputs.
        most: the share of files that may be broken; all of them never.

    Raises:
        KzooError: no inputs, an input that does not fit, a number that is none, or too many files that cannot be read.
    """
    if hasattr(inputs, "toarray"):
        raise KzooError(f"A sparse matrix {inputs.shape} cannot be read: give its toarray().")
    if length_of(inputs) == 0:
        raise KzooError("Nothing to predict: no inputs were given.")
    x, items = _read(preprocessing, inputs)
    for item in _unread(items).values():
        if isinstance(item.item, str | os.PathLike) and not os.path.lexists(item.item):  # a name that is wrong
            raise KzooError(item.why)
    unread = {place: item.why for place, item in _unread(items).items()}
    items = [item.item if isinstance(item, Unread) else item for item in items] if unread else items
    names = _names(items, len(x) + len(unread))
    if line := left_out(unread, names, "file", most=most):
        warn(line)
    if x.dtype.kind == "f" and not all_finite(x):
        first = int(np.argwhere(~np.isfinite(x))[0][0])
        raise KzooError(f"Input {first + 1} holds NaN or infinity: fill it in or leave it out.")
    return Encoded(x=x, names=names, unread=unread, raw=inputs)


def check_token_ids(x, count):
    """Refuse token ids that a network has no embedding of; `count` is how many it knows, None where that is not said.

    Raises:
        KzooError: there are such.
    """
    if count and len(x) and (x.min() < 0 or x.max() >= count):
        raise KzooError(f"Token ids run from {x.min()} to {x.max()}; the model knows 0 to {count - 1}.")


def _names(items, count):
    """Return a name for each of so many inputs."""
    listed = list(items) if isinstance(items, list | tuple) and len(items) == count else None
    if listed is None and isinstance(items, str) and count == 1:
        listed = [items]
    if listed is None or not all(isinstance(i, str) or hasattr(i, "__fspath__") for i in listed):
        return tuple(range(count))
    return tuple(str(i) for i in listed)


def _ready(reader, raw, kind):
    """Check that an array has the shape the model takes; a single example gets its first axis."""
    shape = tuple(reader["shape"])
    if isinstance(raw, str | dict) or hasattr(raw, "__fspath__"):
        raise KzooError(f"This model was trained on arrays; give an array of shape (N, {', '.join(map(str, shape))}).")
    x = numbers_in(raw, "Inputs")
    if "ids" in kind.facts:
        whole_in(x, "Token ids", np.iinfo(kind.dtype).max)
    with np.errstate(over="ignore"):  # infinity is refused by whoever answers
        x = x.astype(kind.dtype)
    x = x[None] if x.shape == shape else x
    if x.ndim == len(shape) and shape[-1] == 1 and x.shape[1:] == shape[:-1]:
        x = x[..., None]
    if not fits(x.shape[1:], shape):
        raise KzooError(f"Inputs have shape {x.shape}; the model takes (N, {', '.join(map(str, shape))}).")
    return x
