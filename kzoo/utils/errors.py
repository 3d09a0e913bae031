"""Exceptions and warnings about user input."""

import warnings
from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from kzoo.utils.callers import is_called_by_kzoo, is_debugging, user_frame, user_traceback

_P = ParamSpec("_P")
_R = TypeVar("_R")
_HEAD, _TAIL = 400, 400  # characters kept at both ends of a long message: the value, and the fix


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2.

    Line breaks in it, such as those of an array, become blanks, and the middle of a very long message is cut.

    The traceback of public functions shows only the caller's lines; the environment variable `KZOO_DEBUG=1` shows all.
    """

    def __init__(self, message: str = "") -> None:
        line = " ".join(message.split()) if len(message.splitlines()) > 1 else message
        super().__init__(
            line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} … {line[-_TAIL:]}"
        )

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show: the user's code and the message."""
        import traceback

        if is_debugging():
            return traceback.format_exception(self)
        self.__cause__ = _user_cause(self)
        short = traceback.TracebackException(type(self), self, user_traceback(self.__traceback__))
        return "".join(short.format()).splitlines()


class TimeTooShort(KzooError):
    """Training does not fit into a time limit.

    Args:
        message: the error.
        needed: seconds that it takes, about.
    """

    def __init__(self, message: str, needed: float) -> None:
        super().__init__(message)
        self.needed = needed


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether an error of Python, TensorFlow, JAX or PyTorch means that memory ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "ResourceExhaustedError":
        return True
    return any(words in str(error) for words in ("RESOURCE_EXHAUSTED", "not enough memory"))


class KzooWarning(UserWarning):
    """A problem with user input that kzoo works around: one line, which the command line prints."""


def warn(message: str, category: type[Warning] = KzooWarning) -> None:
    """Warn, showing the user's line that called kzoo."""
    frame = user_frame()
    module_globals = frame.f_globals
    warnings.warn_explicit(
        message,
        category,
        frame.f_code.co_filename,
        frame.f_lineno,
        module_globals.get("__name__"),
        module_globals.setdefault("__warningregistry__", {}),
    )


def short_errors(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a public function to raise `KzooError` with a traceback of the caller's lines, without kzoo's."""

    @wraps(function)
    def called(*arguments: _P.args, **options: _P.kwargs) -> _R:
        try:
            return function(*arguments, **options)
        except KzooError as error:
            if is_debugging() or is_called_by_kzoo():
                raise
            error.with_traceback(user_traceback(error.__traceback__))
            # A cause inside kzoo is dropped, as the message contains it. KZOO_DEBUG=1 shows it, and kzoo's lines.
            raise error from _user_cause(error)

    return called


def _user_cause(error: BaseException) -> BaseException | None:
    """Return the cause of an error if it is in the user's code; otherwise None, as the message contains it."""
    cause = error.__cause__
    return None if cause is None or user_traceback(cause.__traceback__) is None else cause


class DownloadError(KzooError):
    """A missing file cannot be downloaded."""


class UnsafeModelError(KzooError):
    """Opening a model file could run arbitrary code. The message has the file, the reason and the fix."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training or search early; `run` is its unfinished result, and the same call resumes it."""

    def __init__(self, run: Any) -> None:
        super().__init__(f"{run.path}: interrupted; the same call resumes it")
        self.run = run


class ExportError(KzooError):
    """No format could be exported; `exports` has the reason for each."""

    def __init__(self, message: str, exports: Mapping[str, Any]) -> None:
        super().__init__(message)
        self.exports = exports
