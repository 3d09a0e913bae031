"""The exceptions that a user's input can cause."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kzoo.run import Run
    from kzoo.tuning.search import Search


_HEAD, _TAIL = 400, 400  # letters of a long message that stay: which value, and the fix


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2.

    A value in it, such as an array or a path, may have more lines, and more letters than anyone reads: those in the
    middle are left out.
    """

    def __init__(self, message: str = "") -> None:
        line = " ".join(message.split()) if len(message.splitlines()) > 1 else message
        super().__init__(line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} … {line[-_TAIL:]}")


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether there was no room: Python, TensorFlow, JAX and PyTorch each have their own way to say so."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "not enough memory"))


class KzooWarning(UserWarning):
    """Something of a user's input that could not be read or kept: one line, which the command line prints."""


class DownloadError(KzooError):
    """A file that is not here cannot be downloaded either."""


class UnsafeModelError(KzooError):
    """A model's file could do more than compute when it is opened: which file, why, and what to do."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training early; `run` is what there is of it, and the same call continues it."""

    def __init__(self, run: "Run | Search") -> None:
        super().__init__(f"{run.path}: interrupted; the same call goes on from there")
        self.run = run


class ExportError(KzooError):
    """No format could be exported; `exports` says of each why."""

    def __init__(self, message: str, exports: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.exports = exports
