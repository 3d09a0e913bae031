"""Hide what TensorFlow writes to stderr for kzoo. Standard library only.

On startup, TensorFlow's C++ logs about instructions and missing GPUs, partly before it reads any log level; its Python
warns of retracing, which kzoo's `tf.function`s cause and the user cannot change. Neither is shown if kzoo imports or
runs TensorFlow. `TF_CPP_MIN_LOG_LEVEL=0` shows the startup lines; lines that other code causes are always shown.
"""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

from kzoo.utils.callers import is_called_within_kzoo

TYPE_CHECKING = (
    False  # type checkers treat it as True; importing `typing` would slow down `import kzoo`
)
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from logging import LogRecord


LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_RETRACING = "triggered tf.function retracing"


def watch() -> None:
    """Hide TensorFlow's lines from now on, whether it is imported already or not."""
    if "tensorflow" in sys.modules:
        _hide_retracing()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _hide_retracing() -> None:
    import logging

    # adding the same filter again has no effect
    logging.getLogger("tensorflow").addFilter(_is_for_users)


def _is_for_users(record: "LogRecord") -> bool:
    return _RETRACING not in record.getMessage() or not is_called_within_kzoo()


class _Finder:
    """Import hook for TensorFlow: prepares oneDNN, and hides the startup lines if kzoo imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> "ModuleSpec | None":
        if name != "tensorflow":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._import(execute, module)  # type: ignore[method-assign]
        return spec

    def _import(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        from kzoo.utils import onednn  # imported late to keep `import kzoo` fast

        onednn.prepare()
        level = os.environ.get(LEVEL)
        if level == "0" or not is_called_within_kzoo():
            execute(module)
        else:
            # TensorFlow reads it once; JAX sets it to 1
            os.environ[LEVEL] = "3" if level in (None, "1") else level
            try:
                with silence(show_others=True):
                    execute(module)
            finally:
                if level is None:
                    os.environ.pop(LEVEL, None)
                else:
                    os.environ[LEVEL] = level
        _hide_retracing()


@contextmanager
def silence(*, show_others: bool = False) -> Iterator[None]:
    """Hide the lines that TensorFlow's C++ writes on startup, unless the block raises.

    They ignore all log levels and go to file descriptor 2.

    Args:
        show_others: whether to show all other lines afterwards.
    """
    import tempfile

    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        stderr_copy = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    with tempfile.TemporaryFile() as captured:
        os.dup2(captured.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(stderr_copy, 2)
            captured.seek(0)
            lines = captured.read().splitlines(keepends=True) if failed or show_others else []
            for line in lines if failed else filter(_is_not_startup, lines):
                os.write(stderr_copy, line)
            os.close(stderr_copy)


def _is_not_startup(line: bytes) -> bool:
    """Return whether a line is not a startup line such as `I0000 00:00:1795904416.073928 6868 port.cc:153] ...`."""
    import re

    stamped = rb"[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    return (
        re.match(stamped + b"|WARNING: All log messages before absl|To enable the following", line)
        is None
    )
