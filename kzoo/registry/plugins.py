"""Presets of installed packages, from the entry-point group `kzoo.presets`. Standard library only.

A package says in its `pyproject.toml`

    [project.entry-points."kzoo.presets"]
    acme = "acme_models:PRESETS"

and `PRESETS` is a `Preset`, several, or a function that returns them. They are called `acme.NAME`. Nothing of a package
is imported before one of its presets is asked for by name, or all presets are listed.
"""

from dataclasses import replace
from functools import cache
from typing import Any

from kzoo.registry.preset import Preset
from kzoo.utils.discovery import entry_points
from kzoo.utils.errors import KzooError

GROUP = "kzoo.presets"


@cache
def _entries() -> dict[str, list[Any]]:
    """Return namespace -> its entry points; more than one where two packages took the same word."""
    found: dict[str, list[Any]] = {}
    for entry in entry_points(GROUP):
        same = found.setdefault(entry.name.replace("-", "_"), [])
        if all(entry.value != other.value or entry.dist.name != other.dist.name for other in same):
            same.append(entry)  # a package may be found twice on the path
    return found


def namespaces() -> list[str]:
    """Return the words before the dot that installed packages have taken."""
    return sorted(_entries())


@cache
def presets_of(namespace: str) -> tuple[Preset, ...]:
    """Return the presets of a package, with its namespace in their names.

    Raises:
        KzooError: the package cannot be imported, or gives something else than presets.
    """
    entries = _entries()[namespace]
    owners = ", ".join(_owner(entry) for entry in entries)
    if len(entries) > 1:
        raise KzooError(f"{owners} all call their presets {namespace!r}: uninstall all but one.")
    try:
        given = entries[0].load()
        given = given() if callable(given) and not isinstance(given, Preset) else given
        presets = (given,) if isinstance(given, Preset) else tuple(given)
        if wrong := [p for p in presets if not isinstance(p, Preset)]:
            raise KzooError(f"{wrong[0]!r} is not a kzoo.Preset")
        return tuple(replace(preset, name=f"{namespace}.{preset.name}") for preset in presets)
    except Exception as error:  # whatever a stranger's package does
        what = " ".join(str(error).split()) or "no reason given"
        raise KzooError(f"The presets of {owners} cannot be loaded: {type(error).__name__}: {what}") from error


def owner_of(namespace: str) -> str:
    """Return the package that has taken a namespace, with its version."""
    return _owner(_entries()[namespace][0])


def _owner(entry):
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
