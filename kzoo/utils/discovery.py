"""What is found by listing: a room's modules, what packages bring, numbered folders. Standard library only."""

import os
import pkgutil
import re
import sys
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path

from kzoo.utils.errors import KzooError


@cache
def list_modules(package: str, attribute: str, *, folders: bool = False) -> dict:
    """Return name -> what each module of a package calls `attribute`, alphabetically; those without are left out.

    Args:
        package: such as "kzoo.tasks".
        attribute: such as "TASK".
        folders: look only into modules that are folders, and leave what lies beside them unloaded.
    """
    listed = pkgutil.iter_modules(import_module(package).__path__)
    modules = {one.name: import_module(f"{package}.{one.name}") for one in listed if one.ispkg or not folders}
    return {name: getattr(module, attribute) for name, module in modules.items() if hasattr(module, attribute)}


def load_part(room: str, name: str, before: str):
    """Return a module of a room; packages may still have it under the name that it had before.

    Args:
        room: the package.
        name: of the module.
        before: its earlier name.
    """
    there = find_spec(f"{room}.{name}") is not None or find_spec(f"{room}.{before}") is None
    return import_module(f"{room}.{name if there else before}")


@cache
def _entry_points():
    # Read once for all groups. `importlib.metadata` takes longer than all of the catalogue: it is asked where a look at
    # the files says that there is something for us, or where that look does not see everything.
    return import_module("importlib.metadata").entry_points() if _may_be_any() else None


def _may_be_any():
    for place in sys.path:
        try:
            names = os.listdir(place or ".")
        except OSError:
            if os.path.isfile(place):  # an archive
                return True
            continue
        for name in names:
            if name.endswith(".egg"):
                return True
            if name.endswith((".dist-info", ".egg-info")):
                with suppress(OSError), open(os.path.join(place, name, "entry_points.txt"), "rb") as file:
                    if b"[kzoo." in file.read():
                        return True
    return any(hasattr(finder, "find_distributions") and finder is not PathFinder for finder in sys.meta_path)


def entry_points(group: str):
    """Return what installed packages say under an entry-point group, such as "kzoo.tasks", unloaded."""
    found = _entry_points()
    return () if found is None else found.select(group=group)


@cache
def installed(group: str) -> dict:
    """Return name -> what installed packages bring under an entry-point group, such as "kzoo.tasks".

    Raises:
        KzooError: a package that cannot be imported.
    """
    found = {}
    for entry in entry_points(group):
        try:
            found[entry.name] = entry.load()
        except Exception as error:  # whatever a stranger's package does
            what = " ".join(str(error).split()) or type(error).__name__
            owner = entry.dist.name if entry.dist is not None else entry.value
            raise KzooError(f"{entry.name!r} of {owner} cannot be loaded ({group}): {what}") from error
    return found


def numbered_in(base: str | os.PathLike[str], name: str) -> dict[int, Path]:
    """Return number -> folder of those in `base` that are called NAME-NN, the newest first."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    taken = {int(found[1]): path for path in Path(base).glob("*") if (found := pattern.fullmatch(path.name))}
    return dict(sorted(taken.items(), reverse=True))


class Names(Collection):
    """The names of a room and of installed packages; the packages are read only for a name that the room has not.

    Args:
        own: () -> name -> what the room holds.
        known: () -> the same with those of packages.
    """

    def __init__(self, own: Callable[[], dict], known: Callable[[], dict]) -> None:
        self._own, self._known = own, known

    def __contains__(self, name):
        return name in self._own() or name in self._known()

    def __iter__(self):
        return iter(self._known())

    def __len__(self):
        return len(self._known())

    def __bool__(self):
        return bool(self._own() or self._known())
