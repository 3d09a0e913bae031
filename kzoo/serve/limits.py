"""Limits of requests, and parsing of untrusted JSON. Standard library only."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.files import Json, JsonObject
from kzoo.utils.formatting import first_line, shown


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits of a server.

    Args:
        body: bytes of the body of a request.
        bodies: bytes of all bodies in memory.
        seconds: time for receiving a header or a body.
        sending: seconds that the sending of a response may make no progress, because the client does not read.
        responses: bytes of all large responses in memory; a single one is always allowed.
        rows: inputs per request.
        row_bytes: bytes of the encoded inputs of a request.
        numbers: output numbers per request; a single input is always allowed.
        tokens: tokens that a request may add to a text.
        waiting: pending requests per model; a text that is continued is pending until its first token.
        batch: rows in a batch.
        connections: open connections, including idle ones.
        ending: seconds for pending requests after the server is told to stop; it exits shortly afterwards.
    """

    body: int = 8 << 20
    bodies: int = 64 << 20
    seconds: float = 20.0
    sending: float = 30.0
    responses: int = 256 << 20
    rows: int = 10_000
    row_bytes: int = 64 << 20
    numbers: int = 4 << 20
    tokens: int = 2_000
    waiting: int = 256
    batch: int = 64
    connections: int = 512
    ending: float = 2.0


class Refused(Exception):
    """A request is refused: the HTTP status, a message of one line, and additional headers."""

    def __init__(self, status: int, message: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = headers or {}


def busy(reason: str) -> Refused:
    """Return the refusal (503) of a request that may be retried soon."""
    return Refused(503, f"{reason}. Try again in a second.", {"Retry-After": "1"})


def read_json(body: bytes | memoryview) -> Json:
    """Return the parsed JSON of a request.

    Raises:
        KzooError: not JSON, NaN or infinity, nested too deeply, or an object with the same key twice.
    """
    try:
        return json.loads(bytes(body), parse_constant=_refuse_constant, object_pairs_hook=_object)
    except RecursionError:
        raise KzooError("The JSON of the request is nested too deeply.") from None
    except KzooError:
        raise
    except ValueError as error:  # includes UnicodeDecodeError and numbers with thousands of digits
        raise KzooError(f"The request is not JSON: {first_line(error)}.") from None


def once(pairs: Sequence[tuple[str, Any]], where: str) -> JsonObject:
    """Return pairs of names and values as a dict.

    Raises:
        KzooError: a name is there twice: which value is meant cannot be told.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        names: set[str] = set()
        for name, _ in pairs:
            if name in names:
                raise KzooError(f"{where} has {shown(name)} twice. Send it once.")
            names.add(name)
    return values


def _object(pairs: list[tuple[str, Any]]) -> JsonObject:
    return once(pairs, "A JSON object of the request")


def _refuse_constant(constant: str) -> None:
    raise KzooError(
        f"The JSON of the request contains {constant}, which is not a number. Replace or omit it."
    )
