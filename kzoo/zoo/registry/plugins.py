"""Presets of installed packages, from the entry-point group `kzoo.presets`. Standard library only.

A package declares in its `pyproject.toml`

    [project.entry-points."kzoo.presets"]
    acme = "acme_models:PRESETS"

and `PRESETS` is a `Preset`, several, or a function that returns them. Their names become `acme.NAME`. A package is
imported only when one of its presets is requested by name, or when all presets are listed.
"""

from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from kzoo.utils.discovery import entry_points
from kzoo.utils.errors import KzooError
from kzoo.zoo.registry.preset import Preset

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


GROUP = "kzoo.presets"


@cache
def _entries() -> dict[str, list[Any]]:
    """Return namespace -> entry points; several if packages claim the same namespace."""
    entries: dict[str, list[Any]] = {}
    for entry in entry_points(GROUP):
        namespace_entries = entries.setdefault(entry.name.replace("-", "_"), [])
        if all(
            entry.value != other.value or (entry.dist and entry.dist.name != other.dist.name)
            for other in namespace_entries
        ):
            namespace_entries.append(entry)  # a package may be on the path twice
    return entries


def namespaces() -> list[str]:
    """Return the namespaces (the part of a name before the dot) of installed packages."""
    return sorted(_entries())


@cache
def presets_of(namespace: str) -> tuple[Preset, ...]:
    """Return the presets of a package, with its namespace in their names.

    Raises:
        KzooError: the package cannot be imported, or its entry point is not a preset, several, or a function.
    """
    entries = _entries()[namespace]
    owners = ", ".join(_owner(entry) for entry in entries)
    if len(entries) > 1:
        raise KzooError(
            f"{owners} all use the preset namespace {namespace!r}: uninstall all but one"
        )
    try:
        loaded = entries[0].load()
        loaded = loaded() if callable(loaded) and not isinstance(loaded, Preset) else loaded
        presets = (loaded,) if isinstance(loaded, Preset) else tuple(loaded)
        if invalid := [p for p in presets if not isinstance(p, Preset)]:
            raise KzooError(f"{invalid[0]!r} is not a kzoo.Preset")
        return tuple(replace(preset, name=f"{namespace}.{preset.name}") for preset in presets)
    except Exception as error:  # third-party code may raise anything
        reason = " ".join(str(error).split()) or "no reason given"
        raise KzooError(
            f"The presets of {owners} cannot be loaded: {type(error).__name__}: {reason}"
        ) from error


def owner_of(namespace: str) -> str:
    """Return the package that owns a namespace, with its version."""
    return _owner(_entries()[namespace][0])


def _owner(entry: "EntryPoint") -> str:
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist else entry.value
