"""Exceptions and warnings about user input."""

import pickle
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from os import PathLike
from typing import Any, ParamSpec, TypeVar

from kzoo.utils.callers import is_called_by_kzoo, is_debugging, user_frame, user_traceback
from kzoo.utils.formatting import shown

_P = ParamSpec("_P")
_R = TypeVar("_R")
_HEAD, _TAIL = 400, 400  # characters kept at both ends of a long message: the value, and the fix
_LONGEST_TEXT = 200  # characters of a text, such as a path, that is the value of an argument
_NO_VALUE = object()


class KzooError(ValueError):
    """Bad input: one line that names the value and the fix. The command line prints it and exits with 2.

    Line breaks in it, such as those of an array, become blanks, and the middle of a very long message is cut.

    The traceback of public functions shows only the caller's lines; the environment variable `KZOO_DEBUG=1` shows all.

    Args:
        message: a sentence; with an argument, its rest: `KzooError("must be at least 1.", argument="epochs", value=0)`
            is "epochs=0 must be at least 1."
        argument: the bad argument, by its name in Python. The command line shows its option. Without it, `message` is a
            whole sentence, and the public function finds the argument that is, contains or names the value.
        value: of the argument. Without it, the message begins with the name alone: "target= is missing."
        complete: whether `message` is a whole sentence although the argument is named.

    Examples:
        >>> try:
        ...     kzoo.build("iris_fnn", dropout=2)
        ... except kzoo.KzooError as error:
        ...     print(error.argument, error.value)
        dropout 2.0
    """

    argument: str | None = None
    value: object = None
    _value_text = ""
    _context = ""  # in front of the argument
    _sentence = ""  # behind it
    _is_complete = True
    _has_value = False
    _needs_argument = False

    def __init__(
        self,
        message: str = "",
        *,
        argument: str | None = None,
        value: object = _NO_VALUE,
        complete: bool = False,
    ) -> None:
        self._sentence = " ".join(message.split()) if len(message.splitlines()) > 1 else message
        self.argument = argument
        self._is_complete = complete or argument is None
        self._has_value = value is not _NO_VALUE
        self._needs_argument = argument is None and self._has_value
        self.value = value if self._has_value else None
        if self._has_value and not self._is_complete:
            self._value_text = shown(value, _LONGEST_TEXT if isinstance(value, str) else 40)
        super().__init__(self.text())

    def within(self, context: str) -> "KzooError":
        """Return the error with a context in front of it, such as "fold 2: "; it keeps argument and value.

        Args:
            context: the words in front, with their blank.
        """
        error = KzooError()
        error.__dict__.update(self.__dict__, _context=f"{context}{self._context}")
        error.args = (error.text(),)
        return error

    def replaced(self, old: str, new: str) -> None:
        """Replace a text, such as a local folder by the address whose copy it is.

        Args:
            old, new: the texts.
        """
        self._sentence = self._sentence.replace(old, new)
        self._value_text = self._value_text.replace(old, new)
        self.value = new if str(self.value) == old else self.value
        self.args = (self.text(),)

    def complete_from(self, arguments: Iterable[tuple[str, object]]) -> None:
        """Add from the arguments of a call what the error lacks: the value, or the argument that has the value.

        Args:
            arguments: pairs of a name and its value.
        """
        for name, argument in arguments:
            if self._needs_argument and _names(argument, self.value):
                self.argument = name
                self.value = argument if isinstance(self.value, PathLike) else self.value
                break
            if self.argument == name and not self._has_value:
                self.value = argument

    def rewrite(self, change: Callable[[str], str]) -> None:
        """Change the words of the message, but not the argument and its value.

        Args:
            change: returns a text, changed or not.
        """
        texts = (self._context, self._value_text, self._sentence)
        changed = tuple(map(change, texts))
        if changed != texts:
            self._context, self._value_text, self._sentence = changed
            self.args = (self.text(), *self.args[1:])

    def text(
        self,
        assignment: Callable[[str, object, str], str] = lambda name, value, text: f"{name}={text}",
        sentence: Callable[[str], str] = str,
    ) -> str:
        """Return the message.

        Args:
            assignment: writes the argument, from its name, value, and text of the value ("" without one).
            sentence: rewrites the rest of the message.
        """
        start = ""
        if self.argument is not None and not self._is_complete:
            start = assignment(self.argument, self.value, self._value_text)
            start += "" if self._sentence.startswith((":", ",")) else " "
        line = f"{self._context}{start}{sentence(self._sentence)}"
        return line if len(line) <= _HEAD + _TAIL else f"{line[:_HEAD]} … {line[-_TAIL:]}"

    def __reduce__(self) -> tuple[Callable[..., "KzooError"], tuple[object, ...]]:
        state = dict(self.__dict__)
        try:
            pickle.dumps(self.value)
        except Exception:  # such as a lambda, or a module
            state["value"] = shown(self.value)
        return _unpickled, (type(self), self.args, state)

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython and notebooks show: the user's code and the message."""
        import traceback

        if is_debugging():
            return traceback.format_exception(self)
        self.__cause__ = _user_cause(self)
        short = traceback.TracebackException(type(self), self, user_traceback(self.__traceback__))
        return "".join(short.format()).splitlines()


def _names(argument: object, value: object) -> bool:
    """Return whether an argument is, contains or names a value, such as a column or a path."""
    items = [argument, *argument] if isinstance(argument, list | tuple | Mapping) else [argument]
    texts = (str(item) for item in items if isinstance(item, str | int | float | PathLike))
    return any(item is value for item in items) or (
        isinstance(value, str | PathLike)
        and any(str(value) in (text, *map(str.strip, text.split(","))) for text in texts)
    )


@contextmanager
def about(value: object) -> Iterator[None]:
    """Give errors of a block that name neither an argument nor a value this value of an argument."""
    try:
        yield
    except KzooError as error:
        if error.argument is None and not error._needs_argument:
            error.value, error._needs_argument = value, True
        raise


def _unpickled(
    kind: type[KzooError], args: tuple[object, ...], state: dict[str, object]
) -> KzooError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


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
    """A missing file cannot be downloaded.

    Args:
        message: the error.
        reason: why, without address and fix; "" if the message says nothing else.
    """

    def __init__(self, message: str, *, reason: str = "", **options: Any) -> None:
        super().__init__(message, **options)
        self.reason = reason


class UnsafeModelError(KzooError):
    """Opening a model file could run arbitrary code. The message has the file, the reason and the fix.

    Examples:
        >>> import keras
        >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Lambda(lambda x: 2 * x)])
        >>> model.save("lambda.keras")
        >>> try:
        ...     model = kzoo.load_model("lambda.keras")
        ... except kzoo.UnsafeModelError:
        ...     print("it contains Python code")
        it contains Python code
    """


class Interrupted(KeyboardInterrupt):
    """Ctrl-C ended a training or search early; `run` is its unfinished result, and the same call resumes it.

    Args:
        run: the `Run` or `Search`.

    Examples:
        >>> try:
        ...     run = kzoo.train("iris_fnn", "iris", epochs=20, out="runs/iris")
        ... except kzoo.Interrupted as stopped:  # Ctrl-C
        ...     run = stopped.run
        >>> run.finished
        True
    """

    def __init__(self, run: Any) -> None:
        super().__init__(f"{run.path}: interrupted; the same call resumes it")
        self.run = run


class ExportError(KzooError):
    """No format could be exported; `exports` has the reason for each."""

    def __init__(self, message: str, exports: Mapping[str, object]) -> None:
        super().__init__(message)
        self.exports = exports
