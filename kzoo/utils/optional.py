"""Optional packages: `require` imports one, or raises an error with the command that installs it.

`pandas` is imported on first use, because most data is not a table, and `keras` where few callers need it. Standard
library only.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType
from typing import Any

from kzoo.utils.errors import KzooError


class _LazyModule:
    """A module that is imported when an attribute of it is first read."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


keras = _LazyModule("keras")
pandas = _LazyModule("pandas")


def of_pandas(value: object, name: str) -> bool:
    """Return whether a value is an instance of a pandas class such as "DataFrame", without importing pandas."""
    module = sys.modules.get("pandas")
    return module is not None and isinstance(value, getattr(module, name))


def require(name: str, *, extra: str = "") -> ModuleType:
    """Import an optional package.

    Args:
        name: the package.
        extra: kzoo's extra that installs it; empty for a dependency of kzoo that an exported model does not need.

    Raises:
        KzooError: it is not installed; the message has the command that installs it.
    """
    check_installed(name, extra=extra)
    return import_module(name)


def is_installed(name: str) -> bool:
    """Return whether a package is installed, without importing it."""
    return find_spec(name) is not None


def check_installed(name: str, *, extra: str = "") -> None:
    """Raise `KzooError` as `require` does, without importing the package."""
    if not is_installed(name):
        raise KzooError(missing(name, extra))


# What an extra brings that exported models need. Where kzoo was installed without its dependencies, they are named
# instead of the extra, which would bring TensorFlow.
_LIGHT = {
    "onnx": "onnxruntime",
    "litert": "ai-edge-litert",
    "serve": "starlette uvicorn httptools",
}


def missing(name: str, extra: str = "") -> str:
    """Return the message with the command that installs a package."""
    if extra in _LIGHT and not is_installed("keras"):
        packages = _LIGHT[extra]
    else:
        packages = f'"kzoo[{extra}]"' if extra else "kzoo"
    return f"This needs {name}, which is not installed: pip install {packages}"
