"""The exceptions that a user's input can cause."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kzoo.run import Run
    from kzoo.tuning.search import Search


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2."""

    def __init__(self, message: str = "") -> None:
        # A value in it, such as an array or a path, may have more lines.
        super().__init__(" ".join(message.split()) if len(message.splitlines()) > 1 else message)


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
