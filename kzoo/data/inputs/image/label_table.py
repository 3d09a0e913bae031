"""Tables of image labels: which row labels which image file, and what the target columns are for.

The source is a folder of images with a file `labels.csv` (or `.tsv`, `.parquet`), or the path of such a table next to
the images. `read_label_table` returns the image files and the raw target columns, which `fitting.py` passes to
`fit_targets`.
"""

import os
import posixpath
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.data.options import DataOptions
from kzoo.data.store.windows import sample_indices
from kzoo.data.tables.frame import as_frame
from kzoo.data.targets import detection
from kzoo.data.targets.labels import LabelColumns
from kzoo.data.targets.table import TargetColumns
from kzoo.inference.kinds.image.folders import KINDS, images_below
from kzoo.inference.sources.folders import ignored_files_notes
from kzoo.inference.sources.shards import ShardMember, folder_at
from kzoo.inference.sources.unreadable import broken_files_note
from kzoo.inference.tables.files import labels_file, read_header
from kzoo.inference.tables.label_cells import has_lists
from kzoo.inference.tables.raw import MOST, TARGET_NAMES, as_names, find_target, require
from kzoo.inference.tables.values import plain, to_words
from kzoo.problems.layout import RawLabels
from kzoo.problems.tasks import Problem
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, plural

if TYPE_CHECKING:
    import pandas as pd

    from kzoo.zoo.registry import Preset

_MOST_TRIED = 1_000  # evenly spaced rows in which the column of file names is looked for
_FEWEST = 0.1  # share of them that must name an image


class NoFileColumn(KzooError):
    """No column of a table names image files."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LabelTable:
    """The images that a table labels.

    Args:
        file: name of the table, for messages.
        folder: to which the names are relative.
        names: (N,) image files, without duplicates.
        frame: a DataFrame of N rows, with cells as written.
        file_column: name of the column of file names.
        fit: the target columns.
        columns: name -> (kind, reason) of the other columns, for display.
        notes: lines on what was left out.
    """

    file: str
    folder: Path
    names: Sequence[str]
    frame: Any
    file_column: str
    fit: TargetColumns
    columns: dict[str, tuple[str, str]]
    notes: list[str]

    def target_columns(self, rows: np.ndarray | slice) -> RawLabels:
        """Return the raw targets of some of the rows: a DataFrame, or what the task of labels takes."""
        return self.fit.values(self.frame.iloc[rows].reset_index(drop=True))

    @property
    def targets(self) -> list[str]:
        """Names of the target columns."""
        return self.fit.targets

    @property
    def labels(self) -> LabelColumns | None:
        """How the targets hold labels, or None if they are classes or values."""
        return self.fit.labels

    def choose_problem(self) -> tuple[Problem, str]:
        """Return the problem that the target columns are for, and a sentence with the reason."""
        cells = {name: detection.numbers_or_texts(plain(self.frame[name])) for name in self.targets}
        return self.fit.choose_problem({} if self.labels is not None else cells)


def read_label_table(
    source: str | Path,
    options: DataOptions,
    preset: "Preset | None" = None,
    *,
    most: float,
    targets: Sequence[str] = (),
    separator: str | None = None,
    words: Mapping[str, Collection[str]] | None = None,
) -> LabelTable:
    """Read a table of labels, and find the images in and below its folder that its rows name.

    Args:
        source: the folder, or the path of the table in it.
        options: how the table is read; only the target may have column options.
        preset: preset that the data is for, or None.
        most: the largest share of rows whose image may be missing.
        targets: names of the target columns of a second table, which needs no other columns.
        separator: of a second table: between the labels of a cell, empty for columns of flags, or None for classes
            and values.
        words: name -> cells such as "NA" that are labels of the training data, for a second table.

    Raises:
        NoFileColumn: no column names image files.
        KzooError: a column is missing, a file is named twice with different targets, too many files are missing, or
            a column has options that do not suit it.
    """
    path = source if isinstance(source, ShardMember) else folder_at(source)
    table = (labels_file(path) if path.is_dir() else None) or path
    folder = table.parent
    notes = list[str]()
    ignored = Counter[str]()
    frame = _as_written(table, words or {}, notes)
    images = images_below(folder, "", ignored)
    if not images:
        raise NoFileColumn(f"{str(folder)!r} contains {table.name}, but no images ({KINDS}).")
    group: list[Any] = [] if options.group is None else [options.group]
    excluded = [*as_names(options.drop), *group]
    is_second = bool(targets)
    targets = [*targets] or ([] if options.target is None else find_target(frame, options.target))
    require(frame, [*targets, *excluded], repr(table.name))
    finder = _Finder(images, folder, table.name)
    file_column = _file_column(frame, finder, [*targets, *excluded])
    targets = targets or _only_target(frame, [file_column, *excluded], table.name)
    fit = TargetColumns(frame, "image", replace(options, target=targets), preset, noun="images")
    if is_second:
        fit.labels = _second_labels(frame, targets, separator)
        frame = fit.of_part(frame, "")
    else:
        frame = fit.learn_labels(frame)

    missing = ~(frame[file_column].notna().to_numpy() & fit.present(frame))
    if missing.all():
        raise KzooError(f"No row of {table.name!r} has both a file ({file_column!r}) and a target.")
    if dropped := int(missing.sum()):
        notes.append(
            f"{plural(dropped, 'row')} of {table.name!r} without a file or a target {_was(dropped)} dropped (the "
            f"first: row {int(np.argmax(missing)) + 1})."
        )
    rows = np.flatnonzero(~missing)
    cells = to_words(frame[file_column])[rows].tolist()
    names = [finder.find(cell) for cell in cells]
    errors = {
        index: f"{table.name!r} names it, but there is no such image in {folder.name!r}."
        for index, name in enumerate(names)
        if name is None
    }
    if errors:
        line = broken_files_note(errors, cells, "image", most=most, where=f"{table.name!r}")
        notes.append(line.replace("broken", "missing"))
    kept = frame.iloc[rows].reset_index(drop=True)
    first_rows = _first_rows(names, kept[[*targets, *group]], table.name, notes)
    if unlabelled := sorted(set(images).difference(names)):
        notes.append(
            f"{plural(len(unlabelled), 'image')} without a row in {table.name!r} {_was(len(unlabelled))} left out (the "
            f"first: {unlabelled[0]!r})."
        )
    others = [name for name in frame.columns if name != file_column]
    about = {name: ("left out", f"images are read from {file_column!r}") for name in others}
    about |= fit.described()
    return LabelTable(
        file=table.name,
        folder=folder,
        names=[name for row in first_rows if (name := names[row]) is not None],
        frame=kept.iloc[first_rows].reset_index(drop=True),
        file_column=file_column,
        fit=fit,
        columns=about,
        notes=[*notes, *ignored_files_notes(ignored, "images", KINDS)],
    )


def _second_labels(
    frame: "pd.DataFrame", targets: Sequence[str], separator: str | None
) -> LabelColumns | None:
    """Return how the targets of a second table hold labels, as those of the training table do."""
    if separator is None:
        return None
    lists = bool(separator) and has_lists(frame[targets[0]])
    return LabelColumns(tuple(targets), separator, "", lists=lists)


def _was(count: int) -> str:
    return "was" if count == 1 else "were"


def _as_written(
    table: Path, words: Mapping[str, Collection[str]], notes: list[str]
) -> "pd.DataFrame":
    """Return a table as a DataFrame whose cells are texts as written in the file, if it is a file of texts."""
    header = read_header(table)
    columns = [str(name).strip() for name in header.columns] if header is not None else []
    return as_frame(table, dict.fromkeys(columns, frozenset()) | dict(words), notes)


class _Finder:
    """Finds the image that a cell names: by its path in the folder, or else by its name if that is unique.

    The suffix may be missing, as in tables whose column is an id. If no file has exactly the name, one whose letters
    differ in case, or in how accents are stored, is taken: file systems may change both.

    Args:
        images: the image files, relative to the folder.
        folder: their folder.
        table: name of the table, for messages.
    """

    def __init__(self, images: Sequence[str], folder: Path, table: str) -> None:
        self.images = dict.fromkeys(images)
        self.folder = folder
        self.table = table
        self._named: dict[str, list[str]] = {}
        for image in images:
            name = posixpath.basename(image)
            for key in {image, os.path.splitext(image)[0], name, os.path.splitext(name)[0]}:
                self._named.setdefault(_folded(key), []).append(image)

    def find(self, cell: object) -> str | None:
        """Return the image that a cell names; None if there is none.

        Raises:
            KzooError: it may be one of several.
        """
        name = self._relative(cell)
        if name in self.images:
            return name
        candidates = self._named.get(_folded(name), ())
        if len(candidates) > 1:
            raise KzooError(
                f"{cell!r} in {self.table!r} may be {candidates[0]!r} or {candidates[1]!r}. Write the path in "
                "the folder, with its suffix."
            )
        return candidates[0] if candidates else None

    def is_named(self, cell: object) -> bool:
        """Return whether a cell names one or several images."""
        return _folded(self._relative(cell)) in self._named

    def _relative(self, cell: object) -> str:
        """Return the path in a cell relative to the folder, with slashes."""
        name = posixpath.normpath(str(cell).strip().replace("\\", "/"))
        return (
            Path(os.path.relpath(name, self.folder.resolve())).as_posix()
            if os.path.isabs(name)
            else name
        )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _file_column(frame: "pd.DataFrame", finder: _Finder, excluded: Collection[str]) -> str:
    """Return the name of the column whose cells name most images; of equal ones, that with more different cells.

    Raises:
        NoFileColumn: no column names at least a tenth of its images.
        KzooError: only a column does that the user has set as the target or the group, or to leave out.
    """
    rows = sample_indices(len(frame), _MOST_TRIED)
    best = (_FEWEST, 0, "")
    for name in frame.columns:
        if name in excluded:
            continue
        cells = [cell for cell in to_words(frame[name].iloc[rows]).tolist() if cell is not None]
        share = sum(map(finder.is_named, cells)) / max(len(cells), 1)
        if (share, len(set(cells))) > best[:2]:
            best = share, len(set(cells)), name
    if not best[2]:
        named = [
            name
            for name in excluded
            if any(finder.is_named(cell) for cell in to_words(frame[name].iloc[rows]) if cell)
        ]
        if named:
            raise KzooError(
                f"{named[0]!r} names the images of {finder.table!r}: it cannot be the target or the group, nor be left "
                "out. Use another column."
            )
        raise NoFileColumn(
            f"No column of {finder.table!r} names the images in {finder.folder.name!r}, such as "
            f"{next(iter(finder.images))!r}. Columns: {listed(frame.columns, MOST)}."
        )
    return best[2]


def _only_target(frame: "pd.DataFrame", others: Collection[str], table: str) -> list[str]:
    """Return the only column that is left, or else the last column if it is called target, label, class or y."""
    left = [name for name in frame.columns if name not in others]
    if len(left) == 1:
        return left
    if left and left[-1].lower() in TARGET_NAMES:
        return [left[-1]]
    if not left:
        raise KzooError(f"{table!r} has no target column. Columns: {listed(frame.columns, MOST)}.")
    raise KzooError(
        f"Say which column to predict with target=. Columns of {table!r}: {listed(left, MOST)}."
    )


def _first_rows(
    names: Sequence[str | None], frame: "pd.DataFrame", table: str, notes: list[str]
) -> list[int]:
    """Return the row numbers of the first row of each image that exists.

    Raises:
        KzooError: another row of an image has another target or group.
    """
    first: dict[str, int] = {}
    cells = list(zip(*(to_words(frame[name]).tolist() for name in frame.columns), strict=True))
    repeated = []
    for row, name in enumerate(names):
        if name is None or first.setdefault(name, row) == row:
            continue
        if cells[row] != cells[first[name]]:
            old, new = (listed(values, 3) for values in (cells[first[name]], cells[row]))
            raise KzooError(
                f"{table!r} has two rows for {name!r} that differ: {old}; and {new}. Keep one of them."
            )
        repeated.append(name)
    if repeated:
        notes.append(
            f"{plural(len(repeated), 'row')} of {table!r} {'repeats' if len(repeated) == 1 else 'repeat'} another row "
            f"and {_was(len(repeated))} dropped (the first: {repeated[0]!r})."
        )
    return list(first.values())
