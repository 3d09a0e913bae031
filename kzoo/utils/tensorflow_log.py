"""What TensorFlow writes to stderr, kept from those who call kzoo. Standard library only.

As it starts, TensorFlow's C++ writes about instructions and missing GPUs, some of it before it looks at any log level;
when networks of several sizes are run, its Python advises on `tf.function`s, which are kzoo's here and not the user's.
Neither is shown where kzoo imports or runs TensorFlow. `TF_CPP_MIN_LOG_LEVEL=0` shows all of the first, and what
TensorFlow writes on behalf of other code stays.
"""

import os
import sys
from contextlib import contextmanager

from kzoo.utils.callers import runs_in_kzoo

LEVEL = "TF_CPP_MIN_LOG_LEVEL"
_RETRACING = "triggered tf.function retracing"


def watch() -> None:
    """Keep TensorFlow's lines back from now on, whether it is imported already or not."""
    if "tensorflow" in sys.modules:
        _hide_retracing()
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _hide_retracing() -> None:
    import logging

    logging.getLogger("tensorflow").addFilter(_is_for_users)  # which has it once, however often it is added


def _is_for_users(record):
    return _RETRACING not in record.getMessage() or not runs_in_kzoo()


class _Finder:
    """Finds TensorFlow as Python does, and has it imported with oneDNN, and in silence where kzoo imports it."""

    def find_spec(self, name, path=None, target=None):
        if name != "tensorflow":
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._import(execute, module)  # type: ignore[method-assign]
        return spec

    def _import(self, execute, module):
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        from kzoo.utils import onednn  # here: `import kzoo` takes milliseconds

        onednn.prepare()
        before = os.environ.get(LEVEL)
        if before == "0" or not runs_in_kzoo():
            execute(module)
        else:
            os.environ[LEVEL] = "3" if before in (None, "1") else before  # TensorFlow reads it once; 1 is what JAX sets
            try:
                with silence(others=True):
                    execute(module)
            finally:
                if before is None:
                    os.environ.pop(LEVEL, None)
                else:
                    os.environ[LEVEL] = before
        _hide_retracing()


@contextmanager
def silence(*, others=False):
    """Keep back the lines that TensorFlow's C++ writes while it starts; show them if what is done here fails.

    No log level reaches them: they go straight to file descriptor 2.

    Args:
        others: whether to show afterwards what is none of these lines.
    """
    import tempfile

    if sys.stderr is not None:
        sys.stderr.flush()
    try:
        screen = os.dup(2)
    except OSError:  # the process has no stderr
        yield
        return
    with tempfile.TemporaryFile() as noise:
        os.dup2(noise.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(screen, 2)
            noise.seek(0)
            lines = noise.read().splitlines(keepends=True) if failed or others else []
            for line in lines if failed else filter(_is_no_start, lines):
                os.write(screen, line)
            os.close(screen)


def _is_no_start(line):
    """Say whether a line is none of TensorFlow's: `I0000 00:00:1795904416.073928 6868 port.cc:153] ...` and such."""
    import re

    stamped = rb"[IWE]\d{4} \d\d:\d\d:|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+: [IWE] "
    return re.match(stamped + b"|WARNING: All log messages before absl|To enable the following", line) is None
