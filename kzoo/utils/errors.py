"""The exceptions that a user's input can cause, and the warnings."""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from kzoo.utils.callers import is_called_by_kzoo, is_debugging, user_frame, user_traceback

if TYPE_CHECKING:
    from kzoo.run import Run
    from kzoo.tuning.search import Search


_P = ParamSpec("_P")
_R = TypeVar("_R")
_HEAD, _TAIL = 400, 400  # letters of a long message that stay: which value, and the fix


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2.

    A value in it, such as an array or a path, may have more lines, and more letters than anyone reads: those in the
    middle are left out.

    Public functions raise it with the caller's lines alone; the environment variable `KZOO_DEBUG=1` keeps kzoo's own.
    """

    def __init__(self, message: str = "") -> None:
        line = " ".join(message.split()) if len(message.splitlines()) > 1 else message
        super().__init__(line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} … {line[-_TAIL:]}")

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show: those of the user's code, and the message."""
        import traceback

        if is_debugging():
            return traceback.format_exception(self)
        self.__cause__ = _users_cause(self)
        short = traceback.TracebackException(type(self), self, user_traceback(self.__traceback__))
        return "".join(short.format()).splitlines()


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether there was no room: Python, TensorFlow, JAX and PyTorch each have their own way to say so."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "not enough memory"))


class KzooWarning(UserWarning):
    """Something of a user's input that could not be read or kept: one line, which the command line prints."""


def warn(message: str, category: type[Warning] = KzooWarning) -> None:
    """Warn of something, with the line of the user's that called kzoo."""
    frame = user_frame()
    names = frame.f_globals
    warnings.warn_explicit(
        message, category, frame.f_code.co_filename, frame.f_lineno, names.get("__name__"),
        names.setdefault("__warningregistry__", {}),
    )  # fmt: skip


def short_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a public function raise a `KzooError` with the lines of its caller, and without those of kzoo."""

    @wraps(function)
    def called(*arguments: _P.args, **options: _P.kwargs) -> _R:
        try:
            return function(*arguments, **options)
        except KzooError as error:
            if is_debugging() or is_called_by_kzoo():
                raise
            error.with_traceback(user_traceback(error.__traceback__))
            raise error from _users_cause(error)  # KZOO_DEBUG=1 shows kzoo's lines, too

    return called


def _users_cause(error: BaseException) -> BaseException | None:
    """Return the cause of an error where it is in code of the user's; elsewhere the message says what it says."""
    cause = error.__cause__
    return None if cause is None or user_traceback(cause.__traceback__) is None else cause


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
