"""Packages that kzoo can do without: `require` imports one, or says what installs it. Standard library only."""

from importlib import import_module
from importlib.util import find_spec

from kzoo.errors import KzooError


def require(name, *, extra):
    """Import an optional package.

    Args:
        name: what is imported.
        extra: kzoo's extra that brings it.

    Raises:
        KzooError: it is not installed; the message has the line that installs it.
    """
    check_installed(name, extra=extra)
    return import_module(name)


def check_installed(name, *, extra):
    """Raise `KzooError` as `require` does, without importing the package."""
    if find_spec(name) is None:
        raise KzooError(f'This needs {name}, which is not installed: pip install "kzoo[{extra}]"')
