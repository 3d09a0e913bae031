"""Folders with a subfolder for each class, and optionally for each split, by their names. Standard library only."""

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from kzoo.inference.sources.shards import ShardFolder
from kzoo.utils.formatting import listed

SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}
_NAMED = 5  # folders or suffixes named in a line


def visible_folders(folder: Path) -> list[str]:
    """Return the sorted names of the folders in a folder, except hidden ones."""
    if isinstance(folder, ShardFolder):
        return [name for name in folder.folder_names() if not _is_hidden(name)]
    return sorted(
        entry.name for entry in os.scandir(folder) if entry.is_dir() and not _is_hidden(entry.name)
    )


def files_in(folder: Path) -> list[str]:
    """Return the sorted names of the files in a folder, hidden ones included, but not those in folders of it."""
    if isinstance(folder, ShardFolder):
        return folder.file_names()
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_file())


def walked(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and each folder below it that is not hidden, with the names of its files, hidden ones included."""
    if isinstance(folder, ShardFolder):
        yield folder, folder.file_names()
        for name in visible_folders(folder):
            yield from walked(folder / name)
        return
    for path, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _is_hidden(name)]
        yield Path(path), files


def _is_hidden(name: str) -> bool:
    return name.startswith((".", "__"))


def splits_in(root: Path) -> dict[str, Path]:
    """Return split -> its folder, for the split folders in a folder; there may be none, or none to train on."""
    names = {name.lower(): name for name in visible_folders(root)}
    return {
        split: root / names[alias]
        for split, words in SPLIT_FOLDERS.items()
        for alias in words
        if alias in names
    }


def extra_folders_note(
    root: Path, parts: Mapping[str, Path], noun: str, has_examples: Callable[[Path], object]
) -> list[str]:
    """Return a note on folders next to those of the splits that also hold examples, in a list; empty if there are none.

    Args:
        root: the folder that holds them; a split itself if there are no split folders.
        parts: split -> its folder.
        noun: what the examples are, in the plural.
        has_examples: function that returns whether a folder holds examples.
    """
    used = {folder.name for folder in parts.values()}
    if root in parts.values():
        return []
    unused = [
        f"{name}/"
        for name in visible_folders(root)
        if name not in used and has_examples(root / name)
    ]
    used_names = listed(f"{name}/" for name in sorted(used))
    return (
        [f"Ignored: the {noun} in {listed(unused, _NAMED)}. Only {used_names} are read."]
        if unused
        else []
    )


def ignored_files_note(ignored_counts: Mapping[str, int]) -> str:
    """Return the end of a message that counts the ignored files by suffix; an empty string if there are none.

    Args:
        ignored_counts: suffix -> number of files.
    """
    kinds = sorted(ignored_counts, key=lambda suffix: -ignored_counts[suffix])
    ignored = listed(
        (f"{ignored_counts[suffix]:,} {suffix or 'without a suffix'}" for suffix in kinds), _NAMED
    )
    return f" Ignored files: {ignored}." if ignored_counts else ""


def ignored_files_notes(ignored_counts: Mapping[str, int], noun: str, suffixes: str) -> list[str]:
    """Return the note of `ignored_files_note` with its fix, in a list; empty if no files were ignored."""
    if not ignored_counts:
        return []
    note = ignored_files_note(ignored_counts)[1:]
    return [f"{note} {noun.capitalize()} must be {suffixes}: convert files that are {noun}."]
