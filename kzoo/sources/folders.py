"""Folders with a folder for each class, and perhaps one for each split, by the names in them. Standard library only."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kzoo.utils.formatting import listed

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
_NAMED = 5  # folders, or suffixes, that a line names


def visible_folders(folder: Path) -> list[str]:
    """Return the sorted names of the folders in a folder, none hidden."""
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_hidden(entry.name))


def walked(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield each folder in and under a folder that is not hidden, with the names of its files, hidden ones too."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield Path(place), files


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def splits_in(root: Path) -> dict[str, Path]:
    """Return split -> its folder, of those that lie in a folder: perhaps none, or not the one to train on."""
    names = {name.lower(): name for name in visible_folders(root)}
    return {split: root / names[word] for split, words in SPLIT_FOLDERS.items() for word in words if word in names}


def extra_folders_note(root: Path, parts: Mapping[str, Path], what: str, holds: Callable[[Path], object]) -> list[str]:
    """Return a line that names folders beside those of the splits that hold examples; no line where none does.

    Args:
        root: where they lie; a split itself where it has no folders of splits.
        parts: split -> its folder.
        what: an example is, in the plural.
        holds: says of a folder whether there is one in it.
    """
    used = {folder.name for folder in parts.values()}
    if root in parts.values():
        return []
    unused = [f"{name}/" for name in visible_folders(root) if name not in used and holds(root / name)]
    beside = listed(f"{name}/" for name in sorted(used))
    return [f"Not read: the {what} in {listed(unused, _NAMED)}, beside {beside}."] if unused else []


def counted(others: Mapping[str, int]) -> str:
    """Say at the end of a message which files are not read, for their names end as no example's; or nothing.

    Args:
        others: suffix -> how many.
    """
    kinds = sorted(others, key=lambda suffix: -others[suffix])
    found = listed((f"{others[suffix]:,} {suffix or 'without a suffix'}" for suffix in kinds), _NAMED)
    return f" Not read: {found}." if others else ""


def not_read(others: Mapping[str, int], what: str, suffixes: str) -> list[str]:
    """Return what `counted` says, and what helps, as the one line of a list; no line where it says nothing."""
    return (
        [f"{counted(others)[1:]} {what.capitalize()} are {suffixes}: convert those that are {what}."] if others else []
    )
