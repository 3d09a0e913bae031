"""Discovery: modules of a package, entry points of installed packages, numbered folders. Standard library only."""

import os
import pkgutil
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint, EntryPoints

Discovered: TypeAlias = dict[str, Any]  # name -> what a module or an installed package has under it


@cache
def list_modules(package: str, attribute: str) -> Discovered:
    """Return module name -> its `attribute`, for the modules of a package that have it, in alphabetical order.

    Args:
        package: such as "kzoo.problems.tasks".
        attribute: such as "TASK".
    """
    infos = pkgutil.iter_modules(import_module(package).__path__)
    modules = {info.name: import_module(f"{package}.{info.name}") for info in infos}
    return {
        name: getattr(module, attribute)
        for name, module in modules.items()
        if hasattr(module, attribute)
    }


@cache
def _entry_points() -> "EntryPoints | None":
    # Read once for all groups. `importlib.metadata` takes longer than the whole catalogue, so it is used only if the
    # metadata files mention kzoo, or cannot all be read directly.
    return import_module("importlib.metadata").entry_points() if _has_kzoo_entry_points() else None


def _has_kzoo_entry_points() -> bool:
    for path in sys.path:
        try:
            names = os.listdir(path or ".")
        except OSError:
            if os.path.isfile(path):  # an archive, such as a zip file
                return True
            continue
        for name in names:
            if name.endswith(".egg"):
                return True
            if name.endswith((".dist-info", ".egg-info")):
                with (
                    suppress(OSError),
                    open(os.path.join(path, name, "entry_points.txt"), "rb") as file,
                ):
                    if b"[kzoo." in file.read():
                        return True
    return any(
        hasattr(finder, "find_distributions") and finder is not PathFinder
        for finder in sys.meta_path
    )


def entry_points(group: str) -> "Iterable[EntryPoint]":
    """Return the entry points of installed packages in a group, such as "kzoo.tasks", without loading them."""
    all_entry_points = _entry_points()
    return () if all_entry_points is None else all_entry_points.select(group=group)


@cache
def installed(group: str) -> Discovered:
    """Return name -> loaded object, for the entry points of installed packages in a group, such as "kzoo.tasks".

    Raises:
        KzooError: a package cannot be imported.
    """
    loaded = {}
    for entry in entry_points(group):
        try:
            loaded[entry.name] = entry.load()
        except Exception as error:  # third-party code may raise anything
            reason = " ".join(str(error).split()) or type(error).__name__
            owner = entry.dist.name if entry.dist is not None else entry.value
            raise KzooError(
                f"{entry.name!r} of {owner} cannot be loaded ({group}): {reason}"
            ) from error
    return loaded


def numbered_in(base: str | os.PathLike[str], name: str) -> dict[int, Path]:
    """Return number -> folder, for the folders NAME-NN in `base`, newest first."""
    pattern = re.compile(re.escape(name) + r"-(\d+)")
    folders = {
        int(match[1]): path
        for path in Path(base).glob("*")
        if (match := pattern.fullmatch(path.name))
    }
    return dict(sorted(folders.items(), reverse=True))


class Names(Collection):
    """Names from kzoo and from installed packages; the packages are only read for names that kzoo lacks.

    Args:
        builtin: function without arguments that returns name -> object of kzoo.
        every: the same, including those of installed packages.
    """

    def __init__(self, builtin: Callable[[], dict], every: Callable[[], dict]) -> None:
        self._builtin, self._every = builtin, every

    def __contains__(self, name: object) -> bool:
        return name in self._builtin() or name in self._every()

    def __iter__(self) -> Iterator[str]:
        return iter(self._every())

    def __len__(self) -> int:
        return len(self._every())

    def __bool__(self) -> bool:
        return bool(self._builtin() or self._every())
