"""`encode`: new raw inputs become rows of `x`, exactly as the training data did."""

from importlib import import_module

import numpy as np

from kzoo.errors import KzooError

# Kind of preprocessing -> the function that does it, imported when needed.
_ENCODERS = {
    "table": ("kzoo.data.table", "encode_table"),
    "text": ("kzoo.data.text", "encode_text"),
    "language": ("kzoo.data.text", "encode_text"),
    "series": ("kzoo.data.series", "encode_series"),
    "array": ("kzoo.data.arrays", "encode_array"),
    "image": ("kzoo.data.decode", "encode_images"),
}


def encode(preprocessing: dict, inputs) -> np.ndarray:
    """Turn raw inputs into an array that a model of the data set takes.

    Args:
        preprocessing: `Dataset.preprocessing`, or what a run stored of it.
        inputs: table rows (DataFrame, list of dicts, CSV file), sentences, image files, the last
            `input_shape[0]` rows of a series, or an array that is ready.

    Returns:
        (N, *input_shape).

    Raises:
        KzooError: the inputs lack something, such as a column.
    """
    kind = preprocessing.get("kind")
    if kind not in _ENCODERS:
        raise KzooError(f"Unknown kind of preprocessing {kind!r}; expected one of: {', '.join(_ENCODERS)}.")
    module, function = _ENCODERS[kind]
    return getattr(import_module(module), function)(preprocessing, inputs)
