"""Errors of inspecting an untrusted file. Standard library only."""

from collections.abc import Iterator
from contextlib import contextmanager

from kzoo.utils.errors import KzooError, UnsafeModelError

DO_NOT_OPEN = "If you made the file yourself, save it again; otherwise do not open it"


class Refused(Exception):
    """A file is unsafe, for a reason and with a fix; `naming` converts it to an `UnsafeModelError` with the file."""

    def __init__(self, reason: str, fix: str = DO_NOT_OPEN) -> None:
        super().__init__(reason)
        self.reason, self.fix = reason, fix


class Unreadable(Exception):
    """A file cannot be read, such as a truncated zip file or invalid JSON; `naming` converts it to a `KzooError`."""


@contextmanager
def naming(where: object) -> Iterator[None]:
    """Convert `Refused` and `Unreadable` raised in the block to public errors of one line that name the file."""
    try:
        yield
    except Refused as refused:
        raise UnsafeModelError(f"{where} is refused: {refused.reason}. {refused.fix}.") from None
    except Unreadable as error:
        raise KzooError(f"{where} cannot be read: {error}.") from None


def short(value: object, length: int = 60) -> str:
    """Return untrusted text for a message: quoted, ASCII on one line, truncated to `length` characters."""
    text = ascii(value)
    return text if len(text) <= length else f"{text[:length]}..."
