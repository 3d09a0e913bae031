"""Files and folders of texts, judged by their names: which strings are paths, which files have which class."""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from kzoo.inference.sources.folders import (
    files_in,
    ignored_files_notes,
    splits_in,
    visible_folders,
    walked,
)
from kzoo.inference.sources.shards import folder_at, is_member
from kzoo.inference.tables.files import suffixes
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, shown

SUFFIX = ".txt"  # of texts in a folder
SUFFIXES = (SUFFIX, ".md")  # of a single text
_LONGEST = 8  # characters of a suffix
_NAMED = 5  # files named in a line


def is_file_name(text: str | Path) -> bool:
    """Return True if a string is the path of a file rather than a text.

    A string that ends in a file suffix is a path, unless it has spaces and no such file exists: then it is a sentence.
    So is `docs/a` or `a.log` if it exists.
    """
    if isinstance(text, Path):
        return True
    has_spaces = re.search(r"\s", text) is not None
    if is_table_name(text) or text[-_LONGEST:].lower().endswith(SUFFIXES):
        return not has_spaces or os.path.exists(text)
    return (
        not has_spaces and re.search(r"[./\\]\w|\w[/\\]", text) is not None and os.path.exists(text)
    )


def is_table_name(path: str | Path) -> bool:
    """Return True if a path ends like that of a table."""
    return str(path)[-_LONGEST:].lower().endswith(tuple(suffixes()))


def expand_files(paths: Iterable[str | Path]) -> tuple[list[str], list[str]]:
    """Return the text files at some paths, including those in folders, and notes on ignored files.

    Raises:
        KzooError: a path does not exist, is a table, or is a folder without texts.
    """
    items = list(map(str, paths))
    files: list[Any] = []
    ignored: Counter = Counter()
    for item in items:
        if not os.path.exists(item):
            if is_file_name(item):
                raise missing_file_error(item)
            file_name = next(name for name in items if os.path.exists(name) or is_file_name(name))
            raise KzooError(
                f"{shown(item)} is not a file, but {file_name!r} is. Pass either only files or only texts."
            )
        if is_table_name(item):
            raise KzooError(f"{item!r} is a table, whose texts are in a column. Pass it alone.")
        folder = folder_at(item)
        if folder.is_dir():
            texts, other_files = texts_below(folder)
            if not texts:
                raise KzooError(f"{item!r} contains no texts ({SUFFIX}).")
            files += [file if is_member(file) else str(file) for file in texts]
            ignored += other_files
        else:
            files.append(item)
    return files, ignored_files_notes(ignored, "texts", SUFFIX)


def missing_file_error(name: str | Path) -> KzooError:
    """Return the error for a file that does not exist."""
    folder = Path(name).parent
    siblings = os.listdir(folder) if folder.is_dir() else []
    near = hint(Path(name).name, siblings)
    return KzooError(
        f"File {str(name)!r} does not exist. {near}If this is a text that looks like a file name, pass it in the text "
        "column of a table."
    )


def texts_below(folder: Path) -> tuple[list[Path], Counter[str]]:
    """Return the sorted `.txt` files in and below a folder, except hidden ones, and suffix -> number of other files."""
    texts = []
    ignored: Counter[str] = Counter()
    for path, files in walked(folder):
        for name in files:
            if _is_text(name):
                texts.append(path / name)
            elif name[0] != ".":
                ignored[Path(name).suffix.lower()] += 1
    texts.sort()
    return texts, ignored


def split_folders(path: Path) -> dict[str, Path]:
    """Return {"train": folder, ...} for a folder that contains `train/`; just the folder as "train" for any other."""
    splits = splits_in(path) if path.is_dir() else {}
    return splits if "train" in splits else {"train": path}


def new_data_folder(path: Path) -> Path:
    """Return the folder with the classes of new texts: `test/` if it exists next to `train/`."""
    parts = split_folders(path)
    return parts.get("test", parts["train"])


def classes_below(folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return class -> its documents, a list of `.txt` files, or its only `.txt` file, with one example per line.

    Returns:
        (classes, notes): notes on ignored files.

    Raises:
        KzooError: it is not a folder, or the folder of a class has no texts.
    """
    if not folder.is_dir():
        raise KzooError(
            f"{folder.name!r} is not a folder. Text classification needs a folder of texts."
        )
    below = {name: texts_below(folder / name) for name in visible_folders(folder)}
    documents = {name: texts for name, (texts, _) in below.items() if texts}
    ignored: Counter[str] = Counter()
    names = [name for name in files_in(folder) if not _is_companion(name)]
    files = sorted(folder / name for name in names if _is_text(name))
    ignored.update(Path(name).suffix.lower() for name in names if not _is_text(name))
    if not documents:
        classes = {file.stem: file for file in files}
        if len(classes) < len(files):
            duplicate = next(file for file in files if classes[file.stem] != file)
            raise KzooError(
                f"{folder.name!r} has two files for class {duplicate.stem!r}, one of them {duplicate.name}. Merge or "
                "rename them."
            )
        return classes, ignored_files_notes(ignored, "texts", SUFFIX)
    if empty := [name for name, (texts, _) in below.items() if not texts]:
        raise KzooError(
            f"The class folder {empty[0]!r} contains no texts ({SUFFIX}). Fill it or remove it."
        )
    for _, other_files in below.values():
        ignored += other_files
    notes = ignored_files_notes(ignored, "texts", SUFFIX)
    if files:
        named = listed((file.name for file in files), _NAMED)
        notes.append(
            f"Ignored, because each class is a folder here: {named}. Move the file of a class into a folder."
        )
    return documents, notes


def check_classes(folder: Path, classes: Collection[str]) -> None:
    """Raise `KzooError` if a folder has fewer than two classes."""
    if not classes:
        raise KzooError(
            f"{folder.name!r} contains no texts. Expected a .txt file, or a folder of .txt files, for each class."
        )
    if len(classes) < 2:
        raise KzooError(
            f"{folder.name!r} contains only one class ({next(iter(classes))!r}). At least two are needed: a .txt file "
            "or folder for each."
        )


def _is_text(name: str) -> bool:
    return name[0] != "." and name.lower().endswith(SUFFIX)


def _is_companion(name: str) -> bool:
    """Return True for a file next to the classes that describes them, or is hidden."""
    return name.lower().startswith((".", "readme", "license"))
