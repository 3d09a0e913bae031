"""Packages that kzoo, or an exported model, can do without: `require` imports one, or says what installs it.

`pandas` is imported by what first uses it: most data is no table. Standard library only.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from kzoo.utils.errors import KzooError


class _Late:
    """A module that is imported when something of it is first asked for."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        return getattr(import_module(self._name), name)


pandas = _Late("pandas")


def of_pandas(value: object, name: str) -> bool:
    """Say whether a value is of a class of pandas, "DataFrame" or another, without importing it to find out."""
    there = sys.modules.get("pandas")
    return there is not None and isinstance(value, getattr(there, name))


def require(name, *, extra=""):
    """Import an optional package.

    Args:
        name: what is imported.
        extra: kzoo's extra that brings it; empty for what kzoo itself needs, and an exported model does without.

    Raises:
        KzooError: it is not installed; the message has the line that installs it.
    """
    check_installed(name, extra=extra)
    return import_module(name)


def is_installed(name) -> bool:
    """Say whether a package could be imported, without doing it."""
    return find_spec(name) is not None


def check_installed(name, *, extra=""):
    """Raise `KzooError` as `require` does, without importing the package."""
    if not is_installed(name):
        raise KzooError(missing(name, extra))


def missing(name, extra="") -> str:
    """Return the line that says what installs a package."""
    return f"This needs {name}, which is not installed: pip install " + (f'"kzoo[{extra}]"' if extra else "kzoo")
