"""Files and folders of texts by their names: which words are paths, which files hold texts, and of which class."""

import os
import re
from collections import Counter
from pathlib import Path

from kzoo.sources.folders import not_read, splits_in, visible_folders, walked
from kzoo.sources.tables.files import suffixes
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import hint, listed, shown

SUFFIX = ".txt"  # of the texts in a folder
SUFFIXES = (SUFFIX, ".md")  # of a text that is named by itself
_LONGEST = 8  # characters of a suffix
_NAMED = 5  # files that a line names


def names_file(word) -> bool:
    """Say whether this is the path of a file, and no text.

    One is what ends as files do, unless it has spaces in it and no such file is there: that is a sentence. So is
    `docs/a` or `a.log`, where it is there.
    """
    if isinstance(word, Path):
        return True
    spaces = re.search(r"\s", word) is not None
    if is_table_name(word) or word[-_LONGEST:].lower().endswith(SUFFIXES):
        return not spaces or os.path.exists(word)
    return not spaces and re.search(r"[./\\]\w|\w[/\\]", word) is not None and os.path.exists(word)


def is_table_name(word) -> bool:
    """Say whether a path ends as that of a table does."""
    return str(word)[-_LONGEST:].lower().endswith(tuple(suffixes()))


def files_named(items) -> tuple[list[str], list[str]]:
    """Return the files of texts that paths name, those in folders among them, and lines about what else lies there.

    Raises:
        KzooError: one is not there, is a table, or is a folder without texts.
    """
    items, files = list(map(str, items)), []
    others: Counter = Counter()
    for item in items:
        if not os.path.exists(item):
            if names_file(item):
                raise missing(item)
            other = next(one for one in items if os.path.exists(one) or names_file(one))
            raise KzooError(f"{shown(item)} is no file, and {other!r} names one: give files alone, or texts alone.")
        if is_table_name(item):
            raise KzooError(f"{item!r} is a table: give it alone, since its texts are those of a column.")
        if os.path.isdir(item):
            found, beside = texts_below(Path(item))
            if not found:
                raise KzooError(f"{item!r} holds no texts ({SUFFIX}).")
            files += [str(file) for file in found]
            others += beside
        else:
            files.append(item)
    return files, not_read(others, "texts", SUFFIX)


def missing(name) -> KzooError:
    """Return the error for a file that is not there."""
    folder = Path(name).parent
    beside = os.listdir(folder) if folder.is_dir() else []
    near = hint(Path(name).name, beside)
    return KzooError(
        f"There is no file {str(name)!r}. {near}A text that looks like the name of a file goes into a table, "
        "in the column of the texts."
    )


def texts_below(folder):
    """Return the sorted `.txt` files in a folder and below, none hidden, and suffix -> how many other files."""
    found, others = [], Counter()
    for place, files in walked(folder):
        for name in files:
            if _is_text(name):
                found.append(place / name)
            elif name[0] != ".":
                others[Path(name).suffix.lower()] += 1
    found.sort()
    return found, others


def split_folders(path) -> dict:
    """Return {"train": folder, ...} of a folder with `train/` in it; just the folder as "train" of any other."""
    found = splits_in(path) if path.is_dir() else {}
    return found if "train" in found else {"train": path}


def folder_of_new(path):
    """Return the folder of the classes of new texts: `test/`, where there is one beside `train/`."""
    parts = split_folders(path)
    return parts.get("test", parts["train"])


def classes_below(folder):
    """Return class -> its documents, a list of `.txt` files, or its one `.txt` file, which has an example a line.

    Returns:
        (classes, notes): lines about the files that are left out.

    Raises:
        KzooError: it is no folder, or the folder of a class has no text.
    """
    if not folder.is_dir():
        raise KzooError(f"{folder.name!r} is not a folder of text.")
    below = {name: texts_below(folder / name) for name in visible_folders(folder)}
    documents = {name: found for name, (found, _) in below.items() if found}
    others = Counter()
    names = [entry.name for entry in os.scandir(folder) if entry.is_file() and not _is_beside(entry.name)]
    files = sorted(folder / name for name in names if _is_text(name))
    others.update(Path(name).suffix.lower() for name in names if not _is_text(name))
    if not documents:
        classes = {file.stem: file for file in files}
        if len(classes) < len(files):
            twice = next(file for file in files if classes[file.stem] != file)
            raise KzooError(f"{folder.name!r} has two files for class {twice.stem!r}: {twice.name}, and one beside it.")
        return classes, not_read(others, "texts", SUFFIX)
    if empty := [name for name, (found, _) in below.items() if not found]:
        raise KzooError(f"The class folder {empty[0]!r} has no texts ({SUFFIX}): fill it or remove it.")
    for _, beside in below.values():
        others += beside
    notes = not_read(others, "texts", SUFFIX)
    if files:
        named = listed((file.name for file in files), _NAMED)
        notes.append(f"Not read, since a class is a folder here: {named}. Move the file of a class into one.")
    return documents, notes


def check_classes(folder, classes):
    """Raise `KzooError` for a folder with fewer than two classes."""
    if not classes:
        raise KzooError(f"{folder.name!r} holds no text: expected a .txt file, or a folder of them, for each class.")
    if len(classes) < 2:
        raise KzooError(
            f"{folder.name!r} holds one class only ({next(iter(classes))!r}): it takes a .txt file or folder for each."
        )


def _is_text(name):
    return name[0] != "." and name.lower().endswith(SUFFIX)


def _is_beside(name):
    """Say whether a file beside the classes is about them, or hidden."""
    return name.lower().startswith((".", "readme", "license"))
