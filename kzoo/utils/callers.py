"""The user's line that called kzoo, which warnings and tracebacks show. Standard library only."""

import os
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType

# Modules that stand between a user's line and kzoo's, by the first part of their names.
_BETWEEN = frozenset({"kzoo", "keras", "keras_tuner", "tensorflow", "functools", "contextlib"})
DEBUG = "KZOO_DEBUG"  # environment variable: tracebacks of a KzooError stay as they are


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__") or "").partition(".")[0]


def user_frame() -> FrameType:
    """Return the frame that called kzoo; the outermost one where all are kzoo's."""
    frame = sys._getframe(1)
    while _package(frame) in _BETWEEN and frame.f_back is not None:
        frame = frame.f_back
    return frame


def is_called_by_kzoo(depth: int = 1) -> bool:
    """Say whether the caller of a function belongs to kzoo.

    Args:
        depth: how many functions of the caller's to pass over.
    """
    return _package(sys._getframe(depth + 1)) == "kzoo"


def runs_in_kzoo() -> bool:
    """Say whether a function of kzoo's is running, in another module than the one that asks."""
    asking = sys._getframe(1)
    frame = asking.f_back
    while frame is not None:
        if _package(frame) == "kzoo" and frame.f_globals is not asking.f_globals:
            return True
        frame = frame.f_back
    return False


def is_debugging() -> bool:
    """Say whether tracebacks are to be shown in full: the environment variable KZOO_DEBUG is set, and not to 0."""
    return os.environ.get(DEBUG, "0") not in ("", "0")


def user_traceback(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of kzoo, of Python and of installed packages."""
    short: TracebackType | None = None
    for one in reversed(list(_frames(traceback))):
        if _is_users(one.tb_frame):
            short = TracebackType(short, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return short


def _frames(traceback: TracebackType | None) -> Iterator[TracebackType]:
    while traceback is not None:
        yield traceback
        traceback = traceback.tb_next


def _is_users(frame: FrameType) -> bool:
    if _package(frame) in _BETWEEN:
        return False
    file = frame.f_code.co_filename
    parts = file.replace("\\", "/").split("/")
    python = os.path.dirname(os.__file__)  # the standard library's folder
    return not (file.startswith((python + os.sep, "<frozen")) or "site-packages" in parts or "dist-packages" in parts)
