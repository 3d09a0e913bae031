"""Folders of images, judged by their names: splits, classes, files."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.inference.sources.folders import (
    files_in,
    ignored_files_note,
    ignored_files_notes,
    splits_in,
    visible_folders,
    walked,
)
from kzoo.inference.sources.shards import folder_at, shards_of
from kzoo.inference.tables.files import labelled_folders as labels_below
from kzoo.inference.tables.files import labels_file, read_header
from kzoo.inference.tables.raw import Rows, as_names, find_target, require
from kzoo.problems.kinds.image import SUFFIXES
from kzoo.problems.layout import Preprocessor, RawInputs
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint
from kzoo.utils.formatting import listed as in_words

if TYPE_CHECKING:
    from kzoo.problems.data_arguments import DataArguments


KINDS = " ".join(suffix[1:] for suffix in SUFFIXES)
# Files that often accompany images. They are ignored without a note.
_COMPANIONS = {
    ".txt",
    ".cls",
    ".md",
    ".rst",
    ".html",
    ".htm",
    ".pdf",
    ".csv",
    ".tsv",
    ".json",
    ".jsonl",
    ".xml",
    ".yaml",
    ".yml",
    ".toml",
    ".ini",
    ".db",
    ".log",
    ".py",
    ".ipynb",
    ".url",
    ".lnk",
}


class Names(Sequence):
    """File names, possibly millions, stored in two arrays; strings would take ten times the memory.

    Args:
        names: in order.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        encoded = [os.fsencode(name) for name in names]
        self._bytes = b"".join(encoded)
        self._ends = np.cumsum([0, *map(len, encoded)])

    @classmethod
    def joined(cls, parts: "Iterable[Names]") -> "Names":
        """Return the names of several parts, concatenated."""
        parts = list(parts)
        joined = cls()
        joined._bytes = b"".join(part._bytes for part in parts)
        lengths = [np.zeros(1, np.int64), *(np.diff(part._ends) for part in parts)]
        joined._ends = np.cumsum(np.concatenate(lengths))
        return joined

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, index: int) -> str:  # type: ignore[override]  # no slices
        index = range(len(self))[index]
        return os.fsdecode(self._bytes[self._ends[index] : self._ends[index + 1]])

    def __iter__(self) -> Iterator[str]:
        return map(self.__getitem__, range(len(self)))


def glance(source: str | Path, form: str, asked: "DataArguments") -> None:
    """Raise KzooError if the names in a folder of images, or of the columns of their labels, do not fit."""
    if form == "labels":
        glance_at_labels(source, asked)
        return
    folders = split_folders(folder_of(source))
    ignored: Counter[str] = Counter()
    listed = {split: list_classes(folder, ignored) for split, folder in folders.items()}
    check_folders(listed, folders, sorted(listed["train"]), ignored)


def glance_at_labels(source: RawInputs, asked: "DataArguments") -> None:
    """Raise KzooError if the columns of the labels of images do not fit."""
    path = folder_at(source)
    tables = [path] if path.is_file() else map(labels_file, labels_below(path).values())
    group = [asked.group] if isinstance(asked.group, str) else []
    for table in tables:
        if table is not None and (header := read_header(table)) is not None:
            names = [] if asked.target is None else find_target(header, asked.target)
            require(header, [*names, *as_names(asked.drop), *group], repr(table.name))


def glance_new(reader: Preprocessor, source: str | Path, targets: Sequence[str]) -> None:
    """Raise KzooError if the names in a folder of new images, or of the columns of their labels, do not fit."""
    if isinstance(source, Rows):
        require(source, targets, "the table")
    elif not labels_below(folder_of(source)):
        labelled_folders(folder_of(source))


def labelled_folders(source: str | Path) -> tuple[Path, dict[str, Names], list[str]]:
    """Return (folder, class -> its files, notes on ignored files) of new images: those of `test/` if it exists.

    Raises:
        KzooError: there are no images.
    """
    folders = split_folders(folder_at(source))
    ignored: Counter[str] = Counter()
    folder = folders.get("test", folders["train"])
    listed = list_classes(folder, ignored)
    if not any(listed.values()):
        raise KzooError(
            f"{folder.name!r} contains no images in class folders ({KINDS}).{ignored_files_note(ignored)}"
        )
    return (
        folder,
        listed,
        [*loose_images_note([folder], ignored), *ignored_files_notes(ignored, "images", KINDS)],
    )


def folder_of(path: str | Path) -> Path:
    """Return the path of an existing folder, or raise `KzooError`."""
    if not isinstance(path, str | Path):
        raise KzooError(f"{path!r} is not a folder. Pass the path of a folder of images.")
    if (shards := shards_of(path)) is not None:
        return shards
    path = Path(path).expanduser()
    if path.is_dir():
        return path
    if path.exists():
        raise KzooError(
            f"{str(path)!r} is a file. Pass a folder of images with one subfolder per class."
        )
    siblings = [p.name for p in path.parent.iterdir() if p.is_dir()] if path.parent.is_dir() else []
    raise KzooError(f"Folder {str(path)!r} does not exist. {hint(path.name, siblings)}".rstrip())


def split_folders(root: Path) -> dict[str, Path]:
    """Return {"train": folder, ...}; just the root as "train" if there are only class folders."""
    splits, names = splits_in(root), visible_folders(root)
    if "train" in splits and visible_folders(splits["train"]):
        return splits
    if splits and len(splits) == len(names):
        raise KzooError(
            f"{str(root)!r} contains {', '.join(names)} but no train/ with class folders."
        )
    return {"train": root}


def list_classes(folder: Path, ignored: Counter[str] | None = None) -> dict[str, Names]:
    """Return {class name: sorted `Names` of its files in `folder`}; `ignored` as in `images_below`."""
    return {name: Names(images_below(folder, name, ignored)) for name in visible_folders(folder)}


def loose_images_note(folders: Iterable[Path], ignored: Counter[str]) -> list[str]:
    """Return a note on images outside the class folders, in a list; other files are counted in `ignored`."""
    loose = []
    for folder in folders:
        loose += _images_among(files_in(folder), ignored)
    if not loose:
        return []
    count = "1 image" if len(loose) == 1 else f"{len(loose):,} images"
    return [f"Ignored: {count} outside the class folders: {in_words(loose)}."]


def check_folders(
    listed: Mapping[str, Mapping[str, Names]],
    folders: Mapping[str, Path],
    classes: Sequence[str],
    ignored: Counter[str],
) -> None:
    """Raise `KzooError` for folders without images, fewer than two classes, or a class that is missing in training.

    Args:
        listed: split -> class -> names of its files.
        folders: split -> its folder.
        classes: names of the training classes.
        ignored: ignored files, as counted by `images_below`.
    """
    root = folders["train"]
    if not any(listed["train"].values()):
        loose = images_below(root, "")
        content = f"{len(loose)} images but no class folders" if loose else "no images"
        raise KzooError(
            f"{str(root)!r} contains {content}. One folder per class is needed ({KINDS}).{ignored_files_note(ignored)}"
        )
    if len(classes) < 2:
        raise KzooError(
            f"{str(root)!r} contains only one class, {classes[0]!r}. At least two are needed."
        )
    for name, files in listed["train"].items():
        if not files:
            raise KzooError(
                f"The class folder {name!r} contains no images ({KINDS}). Fill it or remove it."
                f"{ignored_files_note(ignored)}"
            )
    for split, by_class in listed.items():
        for name in by_class:
            if name not in classes:
                raise KzooError(
                    f"Class {name!r} is in the {split} images but not in the training images. "
                    f"{hint(name, classes)}Training classes: {', '.join(classes[:20])}."
                )


def images_below(folder: Path, name: str, ignored: Counter[str] | None = None) -> list[str]:
    """Return the image files in and below `folder / name`, sorted and relative to `folder`, except hidden ones.

    Args:
        ignored: a `Counter` of suffixes, to which other files are added.
    """
    images = []
    for path, files in walked(folder / name):
        below = path.relative_to(folder).as_posix()
        start = "" if below == "." else f"{below}/"
        images += [start + f for f in _images_among(files, ignored)]
    images.sort()
    return images


def _images_among(files: Collection[str], ignored: Counter[str] | None) -> list[str]:
    """Return the names of images that are not hidden; count the suffixes of other files that may be images."""
    images = [f for f in files if f.lower().endswith(SUFFIXES) and f[0] != "."]
    if ignored is not None and len(images) < len(files):
        suffixes = (
            os.path.splitext(f)[1].lower() for f in set(files).difference(images) if f[0] != "."
        )
        ignored.update(suffix for suffix in suffixes if suffix not in _COMPANIONS)
    return images
