"""What goes between a request and a protocol, and what every protocol takes for an input. NumPy only."""

import base64
import binascii
import json
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kzoo.data.encode import Encoded
from kzoo.runtime import Model
from kzoo.sources.arrays import as_array
from kzoo.utils.errors import KzooError

JSON = "application/json"
NOTES: ContextVar[list[str]] = ContextVar("notes")  # what is to be known of the inputs of this request


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A request to a model.

    Args:
        model: that is asked.
        name, version: as the address has them.
        header: names in small letters; query: what stands behind the question mark.
        body: as it came.
        most: inputs that a request may have.
    """

    model: Model
    name: str
    version: str
    header: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    most: int


@dataclass(frozen=True, kw_only=True)
class Reply:
    """What is sent back."""

    body: bytes
    media: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class DecodedRequest:
    """A request that was read: its inputs, and a function of their answers that gives the reply."""

    encoded: Encoded
    reply: Callable[[np.ndarray], Reply]


def as_json(data: Any) -> bytes:
    """Return plain data as JSON; half of a character, as a request may hold it, as JSON escapes it."""
    return json.dumps(data, ensure_ascii=False, separators=(",", ":")).encode(errors="backslashreplace")


def with_notes(said: dict[str, Any]) -> dict[str, Any]:
    """Return a document with what is to be known of its inputs, where there is anything."""
    notes = NOTES.get([])
    return said | {"notes": notes} if notes else said


def inputs_of(model: Model, given: Any, most: int) -> Encoded:
    """Return what a list of inputs is: arrays of the network's shape, or else raw inputs.

    Args:
        given: as JSON has it; `{"b64": ...}` stands for the content of a file.

    Raises:
        KzooError: it is neither.
    """
    if isinstance(given, dict):  # the content of a file, a row, or columns of rows
        return model.receive(content_of(given), most)
    items = given if isinstance(given, list) else [given]
    if not any(isinstance(item, str | bytes | dict) for item in items):
        array = as_array(given, "Inputs")
        if array.dtype.kind == "b":
            raise KzooError("Inputs of arrays are numbers, not true and false.")
        return model.tensor(array, most)
    return model.receive([content_of(item) for item in items], most)


def content_of(item: Any) -> Any:
    """Return the bytes that `{"b64": ...}` stands for; anything else as it is."""
    if not isinstance(item, dict) or item.keys() != {"b64"}:
        return item
    try:
        return base64.b64decode(item["b64"], validate=True)
    except (binascii.Error, ValueError, TypeError):
        raise KzooError('{"b64": ...} holds no base64.') from None
