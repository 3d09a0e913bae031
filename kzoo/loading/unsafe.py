"""What a look inside says when it refuses. Standard library only."""

from contextlib import contextmanager

from kzoo.utils.errors import KzooError, UnsafeModelError

DO_NOT_OPEN = "If you made it yourself, save it again; if not, do not open it"


class Refused(Exception):
    """A reason and what to do; `naming` adds the file and makes it an `UnsafeModelError`."""

    def __init__(self, reason, fix=DO_NOT_OPEN):
        super().__init__(reason)
        self.reason, self.fix = reason, fix


class Unreadable(Exception):
    """Not dangerous, but it cannot be read: cut short, not a zip file, not JSON."""


@contextmanager
def naming(where):
    """Turn what goes wrong inside into one line that names the file."""
    try:
        yield
    except Refused as refused:
        raise UnsafeModelError(f"{where} is refused: {refused.reason}. {refused.fix}.") from None
    except Unreadable as error:
        raise KzooError(f"{where} cannot be read: {error}.") from None


def short(value, length=60):
    """Show what a stranger wrote: quoted, on one line, no control characters, not long."""
    text = ascii(value)
    return text if len(text) <= length else f"{text[:length]}..."
