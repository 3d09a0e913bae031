"""Packages that kzoo, or an exported model, can do without: `require` imports one, or says what installs it.

Standard library only.
"""

from importlib import import_module
from importlib.util import find_spec

from kzoo.errors import KzooError


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
