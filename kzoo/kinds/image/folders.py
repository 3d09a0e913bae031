"""Folders of images by the names in them: splits, classes, files."""

import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kzoo.errors import KzooError
from kzoo.kinds.image import SUFFIXES
from kzoo.words import hint

KINDS = " ".join(suffix[1:] for suffix in SUFFIXES)
SPLIT_FOLDERS = {
    "train": ("train", "training"),
    "validation": ("val", "validation", "valid", "dev"),
    "test": ("test", "testing"),
}


class Names(Sequence):
    """Names of files, of which there may be millions: all of them in two arrays, where strings take ten times as much.

    Args:
        names: in order.
    """

    def __init__(self, names: Iterable[str] = ()):
        encoded = [os.fsencode(name) for name in names]
        self._bytes, self._ends = b"".join(encoded), np.cumsum([0, *map(len, encoded)])

    @classmethod
    def joined(cls, parts: "Iterable[Names]") -> "Names":
        """Return the names of several parts, one behind the other."""
        parts, joined = list(parts), cls()
        joined._bytes = b"".join(part._bytes for part in parts)
        lengths = [np.zeros(1, np.int64), *(np.diff(part._ends) for part in parts)]
        joined._ends = np.cumsum(np.concatenate(lengths))
        return joined

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, place):
        place = range(len(self))[place]
        return os.fsdecode(self._bytes[self._ends[place] : self._ends[place + 1]])

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


def glance(source, form, asked):
    """Refuse a folder of images for what the names in it show."""
    places = split_folders(folder_of(source))
    listed = {split: list_classes(folder) for split, folder in places.items()}
    check_folders(listed, places, sorted(listed["train"]))


def glance_new(reader, source, targets):
    """Refuse a folder of new images for what the names in it show."""
    labelled_folders(folder_of(source))


def labelled_folders(source):
    """Return (folder, class -> its files) of new images: of `test/`, where there is one.

    Raises:
        KzooError: there are none.
    """
    places = split_folders(source)
    folder = places.get("test", places["train"])
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir())
    listed = {name: Names(images_below(folder, name)) for name in classes}
    if not any(listed.values()):
        raise KzooError(f"{folder.name!r} has no images in class folders.")
    return folder, listed


def folder_of(path) -> Path:
    """Return a folder that is there, or raise `KzooError`."""
    if not isinstance(path, str | Path):
        raise KzooError(f"{path!r} is not a folder: images come from a path.")
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise KzooError(f"{str(path)!r} is a file; images come in a folder with one folder per class.")
    beside = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    raise KzooError(f"There is no folder {str(path)!r}. {hint(path.name, beside)}".rstrip())


def _visible_folders(folder):
    return sorted(e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith((".", "__")))


def split_folders(root) -> dict:
    """Return {"train": folder, ...}; just the root as "train" where there are only class folders."""
    names = {name.lower(): name for name in _visible_folders(root)}
    found = {split: root / names[word] for split, words in SPLIT_FOLDERS.items() for word in words if word in names}
    if "train" in found and _visible_folders(found["train"]):
        return found
    if found and len(found) == len(names):
        raise KzooError(f"{str(root)!r} has {', '.join(names)} but no train/ with class folders in it.")
    return {"train": root}


def list_classes(folder) -> dict:
    """Return {class name: `Names` of its files below `folder`, sorted}."""
    return {name: Names(images_below(folder, name)) for name in _visible_folders(folder)}


def check_folders(listed, places, classes):
    """Raise `KzooError` for folders without images, fewer than two classes, or a class that training lacks.

    Args:
        listed: split -> class -> names of its files.
        places: split -> its folder.
        classes: names of the training classes.
    """
    root = places["train"]
    if not any(listed["train"].values()):
        loose = images_below(root, "")
        seen = f"{len(loose)} images but no class folders" if loose else "no images"
        raise KzooError(f"There are {seen} in {str(root)!r}; one folder per class is needed ({KINDS}).")
    if len(classes) < 2:
        raise KzooError(f"There is only one class, {classes[0]!r}, in {str(root)!r}; two are needed.")
    for name, files in listed["train"].items():
        if not files:
            raise KzooError(f"The class folder {name!r} has no images ({KINDS}): fill it or remove it.")
    for split, by_class in listed.items():
        for name in by_class:
            if name not in classes:
                raise KzooError(
                    f"Class {name!r} is in the {split} images and not in the training ones. "
                    f"{hint(name, classes)}There are: {', '.join(classes[:20])}."
                )


def images_below(folder, name):
    """Return the image files in and under `folder / name` as sorted names below `folder`; none hidden."""
    found = []
    for place, folders, files in os.walk(folder / name):
        folders[:] = [f for f in folders if not f.startswith((".", "__"))]
        below = Path(place).relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        found += [start + f for f in files if f.lower().endswith(SUFFIXES) and f[0] != "."]
    found.sort()
    return found
