"""The user's line that called kzoo, which warnings and tracebacks show. Standard library only."""

import os
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType

# Packages whose frames are hidden between the user's line and kzoo's.
_INTERNAL = frozenset(
    {"kzoo", "keras", "keras_tuner", "tensorflow", "functools", "contextlib", "importlib"}
)
DEBUG = "KZOO_DEBUG"  # environment variable: show full tracebacks of a KzooError


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "").partition(".")[0]


def user_frame() -> FrameType:
    """Return the user's frame that called kzoo; the outermost frame if all are kzoo's."""
    frame = sys._getframe(1)
    while _package(frame) in _INTERNAL and frame.f_back is not None:
        frame = frame.f_back
    return frame


def is_called_by_kzoo(depth: int = 1) -> bool:
    """Return whether the caller of a function belongs to kzoo.

    Args:
        depth: number of frames to skip.
    """
    return _package(sys._getframe(depth + 1)) == "kzoo"


def is_called_within_kzoo() -> bool:
    """Return whether another module of kzoo called the caller, directly or through other packages."""
    caller = sys._getframe(1)
    frame = caller.f_back
    while frame is not None:
        if _package(frame) == "kzoo" and frame.f_globals is not caller.f_globals:
            return True
        frame = frame.f_back
    return False


def is_debugging() -> bool:
    """Return whether to show full tracebacks: the environment variable KZOO_DEBUG is set, and not to 0."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def user_traceback(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of kzoo, the standard library and installed packages."""
    short: TracebackType | None = None
    for entry in reversed(list(_frames(traceback))):
        if _is_user_code(entry.tb_frame):
            short = TracebackType(short, entry.tb_frame, entry.tb_lasti, entry.tb_lineno)
    return short


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_user_code(frame: FrameType) -> bool:
    if _package(frame) in _INTERNAL:
        return False
    file = frame.f_code.co_filename
    parts = file.replace("\\", "/").split("/")
    python = os.path.dirname(os.__file__)  # the standard library's folder
    return not (
        file.startswith((python + os.sep, "<frozen"))
        or "site-packages" in parts
        or "dist-packages" in parts
    )
