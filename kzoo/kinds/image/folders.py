"""Folders of images by the names in them: splits, classes, files."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from kzoo.kinds.image import SUFFIXES
from kzoo.sources.folders import counted, not_read, splits_in, visible_folders, walked
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint
from kzoo.utils.formatting import listed as in_words

KINDS = " ".join(suffix[1:] for suffix in SUFFIXES)
# What lies beside images, and is none: of these nobody asks where they are.
_COMPANIONS = {
    ".txt", ".md", ".rst", ".html", ".htm", ".pdf", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml",
    ".ini", ".db", ".log", ".py", ".ipynb", ".url", ".lnk",
}  # fmt: skip


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
    places, others = split_folders(folder_of(source)), Counter()
    listed = {split: list_classes(folder, others) for split, folder in places.items()}
    check_folders(listed, places, sorted(listed["train"]), others)


def glance_new(reader, source, targets):
    """Refuse a folder of new images for what the names in it show."""
    labelled_folders(folder_of(source))


def labelled_folders(source):
    """Return (folder, class -> its files, lines on what is not read) of new images: of `test/`, where there is one.

    Raises:
        KzooError: there are none.
    """
    places, others = split_folders(source), Counter()
    folder = places.get("test", places["train"])
    listed = list_classes(folder, others)
    if not any(listed.values()):
        raise KzooError(f"{folder.name!r} has no images in class folders ({KINDS}).{counted(others)}")
    return folder, listed, [*loose_in([folder], others), *not_read(others, "images", KINDS)]


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


def split_folders(root) -> dict:
    """Return {"train": folder, ...}; just the root as "train" where there are only class folders."""
    found, names = splits_in(root), visible_folders(root)
    if "train" in found and visible_folders(found["train"]):
        return found
    if found and len(found) == len(names):
        raise KzooError(f"{str(root)!r} has {', '.join(names)} but no train/ with class folders in it.")
    return {"train": root}


def list_classes(folder, others=None) -> dict:
    """Return {class name: `Names` of its files below `folder`, sorted}; `others` as in `images_below`."""
    return {name: Names(images_below(folder, name, others)) for name in visible_folders(folder)}


def loose_in(folders, others) -> list:
    """Return a line that names images that lie beside class folders, in none; count what else does in `others`."""
    loose = []
    for folder in folders:
        names = sorted(entry.name for entry in os.scandir(folder) if entry.is_file())
        loose += _images_among(names, others)
    if not loose:
        return []
    what = "1 image that lies" if len(loose) == 1 else f"{len(loose):,} images that lie"
    return [f"Not read: {what} in no class folder: {in_words(loose)}."]


def check_folders(listed, places, classes, others):
    """Raise `KzooError` for folders without images, fewer than two classes, or a class that training lacks.

    Args:
        listed: split -> class -> names of its files.
        places: split -> its folder.
        classes: names of the training classes.
        others: what is not read, as `images_below` counts it.
    """
    root = places["train"]
    if not any(listed["train"].values()):
        loose = images_below(root, "")
        seen = f"{len(loose)} images but no class folders" if loose else "no images"
        raise KzooError(
            f"There are {seen} in {str(root)!r}; one folder per class is needed ({KINDS}).{counted(others)}"
        )
    if len(classes) < 2:
        raise KzooError(f"There is only one class, {classes[0]!r}, in {str(root)!r}; two are needed.")
    for name, files in listed["train"].items():
        if not files:
            raise KzooError(
                f"The class folder {name!r} has no images ({KINDS}): fill it or remove it.{counted(others)}"
            )
    for split, by_class in listed.items():
        for name in by_class:
            if name not in classes:
                raise KzooError(
                    f"Class {name!r} is in the {split} images and not in the training ones. "
                    f"{hint(name, classes)}There are: {', '.join(classes[:20])}."
                )


def images_below(folder, name, others=None):
    """Return the image files in and under `folder / name` as sorted names below `folder`; none hidden.

    Args:
        others: a `Counter` of the suffixes of what else lies there, to which it is added.
    """
    found = []
    for place, files in walked(folder / name):
        below = place.relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        found += [start + f for f in _images_among(files, others)]
    found.sort()
    return found


def _images_among(files, others):
    """Return the names of images that are not hidden; count the suffixes of the others that may be some."""
    images = [f for f in files if f.lower().endswith(SUFFIXES) and f[0] != "."]
    if others is not None and len(images) < len(files):
        suffixes = (os.path.splitext(f)[1].lower() for f in set(files).difference(images) if f[0] != ".")
        others.update(suffix for suffix in suffixes if suffix not in _COMPANIONS)
    return images
