"""Requests, replies and inputs, shared by all protocols. NumPy only."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np

from kzoo.inference.encode import Encoded
from kzoo.inference.postprocessors.prediction_options import PredictionOptions
from kzoo.inference.sources.arrays import as_array
from kzoo.runtime import Model
from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject

JSON = "application/json"
NOTES: ContextVar[list[str]] = ContextVar("notes")  # notes on the inputs of the current request


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A request to a model.

    Args:
        model: the model.
        name, version: of the model, as in the URL.
        header: headers by lower-case name.
        query: parameters of the URL.
        body: the raw body.
        max_rows: largest number of inputs in a request.
    """

    model: Model
    name: str
    version: str
    header: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    max_rows: int


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The body, media type and headers of a response."""

    body: bytes
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DecodedRequest:
    """A decoded request: its encoded inputs, and a function from their outputs to the reply."""

    encoded: Encoded
    reply: Callable[[np.ndarray], Reply]


def as_json(data: object) -> bytes:
    """Return plain data as JSON bytes; lone surrogates, which requests may contain, are escaped."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(
        errors="backslashreplace"
    )


def with_notes(document: JsonObject) -> JsonObject:
    """Return a document with the notes on its inputs, if any."""
    notes = NOTES.get([])
    return document | {"notes": notes} if notes else document


def checked_options(model: Model, parameters: Mapping[str, object]) -> PredictionOptions:
    """Return the options for sets, intervals and abstention among the parameters of a request.

    Args:
        model: the model.
        parameters: by name; values may be texts.

    Raises:
        KzooError: an invalid value, or a promise that the model cannot make.
    """
    options = PredictionOptions.read(parameters)
    if options.samples is not None:
        raise KzooError(
            "is not served. Use kzoo predict --samples, or kzoo.runtime.load(EXPORT).predict(samples=).",
            argument="samples",
            value=options.samples,
        )
    model.check_options(options)
    return options


def refuse_options(parameters: Mapping[str, object], protocol: str) -> None:
    """Raise `KzooError` for options of predictions that a protocol has no place for.

    Args:
        parameters: by name.
        protocol: its name, for the message.
    """
    for name in PredictionOptions.names():
        if parameters.get(name) is not None:
            raise KzooError(
                f"{name} is not available in {protocol}, which returns the outputs of the network. Use the endpoint "
                "/v1/models/NAME/answer."
            )


def encode_inputs(model: Model, inputs: object, max_rows: int) -> Encoded:
    """Return the encoded inputs of a request: arrays of the network's input shape, or raw inputs.

    Args:
        model: the model.
        inputs: JSON data, in which `{"b64": ...}` is the content of a file.
        max_rows: largest number of inputs.

    Raises:
        KzooError: the inputs are neither, do not fit the model, or are too many.
    """
    if isinstance(inputs, dict):  # the content of a file, a row, or a dict of columns
        return model.receive(decode_base64(inputs), max_rows)
    items = inputs if isinstance(inputs, list) else [inputs]
    if not any(isinstance(item, str | bytes | dict) for item in items):
        array = as_array(inputs, "Inputs")
        if array.dtype.kind == "b":
            raise KzooError("Array inputs must be numbers, not true or false.")
        return model.tensor(array, max_rows)
    return model.receive([decode_base64(item) for item in items], max_rows)


def decode_base64(item: Json) -> Json:
    """Return the decoded bytes of `{"b64": ...}`; anything else unchanged."""
    if not isinstance(item, dict) or item.keys() != {"b64"}:
        return item
    try:
        return base64.b64decode(item["b64"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise KzooError('{"b64": ...} does not contain valid base64.') from None
