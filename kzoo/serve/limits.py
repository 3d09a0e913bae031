"""How much a request may ask for, and JSON that may come from anybody. Standard library only."""

import json
from dataclasses import dataclass
from typing import Any

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one server takes.

    Args:
        body: bytes of a request's body.
        bodies: bytes of all bodies that are held at once.
        seconds: that a body may take to arrive, a header to be complete, and an answer to be taken.
        rows: inputs of a request.
        row_bytes: bytes of a request's inputs as the network takes them.
        numbers: of the answer to a request; one input is answered in any case.
        waiting: requests of a model that are not answered yet.
        batch: rows that go through a model together.
        connections: open ones, idle ones among them.
        ending: seconds that accepted requests get once the server is told to end; a little later it has ended.
    """

    body: int = 8 << 20
    bodies: int = 64 << 20
    seconds: float = 20.0
    rows: int = 10_000
    row_bytes: int = 64 << 20
    numbers: int = 4 << 20
    waiting: int = 256
    batch: int = 64
    connections: int = 512
    ending: float = 2.0


class Refused(Exception):
    """A request that is not answered: the status, one line that says why, and what else goes into the header."""

    def __init__(self, status: int, why: str, headers: dict[str, str] | None = None) -> None:
        super().__init__(why)
        self.status, self.why, self.headers = status, why, headers or {}


def busy(why: str) -> Refused:
    """Return the refusal of a request that may be sent again soon."""
    return Refused(503, f"{why}: try again in a second.", {"Retry-After": "1"})


def read_json(body: bytes | memoryview) -> Any:
    """Return JSON data.

    Raises:
        KzooError: it is none, holds NaN or infinity, or is nested too deeply.
    """
    try:
        return json.loads(bytes(body), parse_constant=_no_number)
    except RecursionError:
        raise KzooError("The JSON of the request is nested too deeply.") from None
    except KzooError:
        raise
    except ValueError as error:  # UnicodeDecodeError, and numbers of thousands of digits, among them
        raise KzooError(f"The request is not JSON: {first_line(error)}.") from None


def _no_number(word: str) -> None:
    raise KzooError(f"The JSON of the request holds {word}, which is no number: fill it in or leave it out.")
