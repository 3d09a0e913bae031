"""Explanations: a request with one input, and the response with the reasons of its prediction."""

from collections.abc import Callable

import numpy as np

from kzoo.inference.encode import Encoded
from kzoo.serve.codecs import ModelRequest, as_json, with_notes
from kzoo.serve.raw import received
from kzoo.utils.errors import KzooError


def read(request: ModelRequest) -> Encoded:
    """Return the encoded input of a request; the body is that of `answer`, with a single input.

    Raises:
        KzooError: the input cannot be read or does not fit, there are several, or the model cannot be explained.
    """
    if not request.model.explains:
        raise KzooError(
            f"{request.name} cannot be explained: only predictions for rows of a table and texts can."
        )
    return received(request, most=1)


def reply(
    request: ModelRequest, encoded: Encoded, run: Callable[[np.ndarray], np.ndarray]
) -> bytes:
    """Return the response in JSON: the fields of `kzoo.inference.explanations.Explanation`.

    Args:
        request: its parameter `of` is the output to explain.
        encoded: the input.
        run: function from encoded inputs to outputs of the network.

    Raises:
        KzooError: the model has no such output.
    """
    explanation = request.model.explanation(encoded, of=request.query.get("of") or None, run=run)
    names = ("method", "about", "limits", "rows")
    fields = {name: value for name, value in explanation.to_dict().items() if name in names}
    return as_json(with_notes({"model": request.name, "version": request.version} | fields))
