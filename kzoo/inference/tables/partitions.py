"""Hive partitions: columns whose values are the names of folders, as in `year=2024/month=05/part-0.parquet`.

Spark, Hive, pandas, pyarrow and DuckDB write and read such folders. Standard library only.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import listed, shown

MISSING_VALUE = "__HIVE_DEFAULT_PARTITION__"
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,17}")  # fits into 64 bits
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def is_hidden(part: str) -> bool:
    """Return whether a file or a folder is no part of a table: `_SUCCESS`, `_temporary`, `.part-0.csv.crc`.

    As in Spark, a folder `_year=2024` holds values of a column.
    """
    return part.startswith(".") or (part.startswith("_") and "=" not in part)


@dataclass(frozen=True)
class Partitions:
    """The columns in the names of the folders of a table.

    Args:
        names: of the columns, in the order of the folders.
        values: for each file, the value of each column as written; None for a missing one.
        whole: names of the columns of integers. A leading zero is kept: with `month=05`, the column is one of texts.
    """

    names: tuple[str, ...] = ()
    values: Sequence[tuple[str | None, ...]] = ()
    whole: frozenset[str] = field(default_factory=frozenset)

    def as_written(self, index: int) -> list[tuple[str, str | None]]:
        """Return (name, text) of each column in the file at an index."""
        return list(zip(self.names, self.values[index], strict=True)) if self.names else []

    def typed(self, index: int) -> list[tuple[str, str | int | None]]:
        """Return (name, value) of each column in the file at an index."""
        return [
            (name, int(value) if value is not None and name in self.whole else value)
            for name, value in self.as_written(index)
        ]

    def check(self, columns: Iterable[str], file: str, name: str) -> None:
        """Raise `KzooError` if a file has a column with the name of a partition, in any case.

        Args:
            columns: names of the columns of the file.
            file: its name.
            name: of the table.
        """
        folded = {partition.casefold(): partition for partition in self.names}
        for column in columns:
            if (partition := folded.get(column.strip().casefold())) is not None:
                raise KzooError(
                    f"{name!r}: {partition!r} is in the names of the folders, and {column.strip()!r} is a column of "
                    f"{file!r}. Rename one of them."
                )

    def note(self, name: str) -> list[str]:
        """Return the note on the columns in a list; empty without columns."""
        if not self.names:
            return []
        columns = listed(map(repr, self.names))
        return [f"{name!r}: values of {columns} are read from the names of the folders."]


def partitions_of(files: Sequence[Path], folder: Path | None, name: str) -> Partitions:
    """Return the columns in the names of the folders in which the files of a table lie.

    Args:
        files: of the table.
        folder: that all lie below, whose own name has no column; None for a single file.
        name: of the table, for messages.

    Raises:
        KzooError: the folders of two files have other columns, or another order; or a name is damaged.
    """
    if folder is None:
        return Partitions()
    cells: dict[tuple[str, ...], list[tuple[str, str | None]]] = {}  # a folder has many files
    columns: list[list[tuple[str, str | None]]] = []
    for file in files:
        parts = tuple(part for part in file.relative_to(folder).parts[:-1] if "=" in part)
        if parts not in cells:
            cells[parts] = [_cell(part, name) for part in parts]
            _check_names([key for key, _ in cells[parts]], file, folder, name)
        columns.append(cells[parts])
    names = tuple(key for key, _ in columns[0]) if columns else ()
    for file, row in zip(files, columns, strict=True):
        if (keys := tuple(key for key, _ in row)) != names:
            raise _different_names(files[0], names, file, keys, folder, name)
    values = [tuple(value for _, value in row) for row in columns]
    whole = frozenset(key for index, key in enumerate(names) if _are_whole(values, index))
    return Partitions(names, values, whole)


def _are_whole(values: Sequence[tuple[str | None, ...]], index: int) -> bool:
    filled = {row[index] for row in values} - {None}
    return bool(filled) and all(_WHOLE.fullmatch(value or "") for value in filled)


def _cell(part: str, name: str) -> tuple[str, str | None]:
    """Return (column, value) of the name of a folder; None for a missing value.

    Raises:
        KzooError: one of them is empty, or is not UTF-8.
    """
    key, _, value = part.partition("=")
    try:
        key, value = (unquote(text, errors="strict") for text in (key, value))
        f"{key}{value}".encode()
    except UnicodeError:
        raise KzooError(
            f"{name!r}: the name of the folder {shown(part)} is not UTF-8. Write the table again, or rename the folder."
        ) from None
    key = key.strip()
    if not key or not value:
        what = "column" if not key else "value"
        fix = f" A missing value is {key}={MISSING_VALUE}." if key else ""
        raise KzooError(
            f"{name!r}: the folder {part!r} has no name of a {what}. Rename it, such as year=2024.{fix}"
        )
    if value in (".", "..") or _CONTROL.search(key + value):
        raise KzooError(
            f"{name!r}: the folder {shown(part)} cannot hold the value of a column: {shown(value)}. Rename it."
        )
    return key, None if value == MISSING_VALUE else value


def _check_names(keys: Sequence[str], file: Path, folder: Path, name: str) -> None:
    seen: dict[str, str] = {}
    for key in keys:
        if (other := seen.setdefault(key.casefold(), key)) != key or keys.count(key) > 1:
            raise KzooError(
                f"{name!r}: two folders of {file.relative_to(folder).as_posix()!r} have a column {other!r}. Rename one "
                "of them."
            )


def _different_names(
    first: Path,
    names: Sequence[str],
    file: Path,
    keys: Sequence[str],
    folder: Path,
    name: str,
) -> KzooError:
    """Return the error for two files in whose folders the columns differ."""
    one, other = (path.relative_to(folder).as_posix() for path in (first, file))
    why = (
        ", which differ only by case"
        if [key.casefold() for key in keys] == [key.casefold() for key in names]
        else ", in another order"
        if sorted(keys) == sorted(names)
        else ""
    )
    return KzooError(
        f"{name!r}: the folders of {other!r} have the columns {_columns(keys)}, and those of {one!r} have "
        f"{_columns(names)}{why}. All files must be in folders of the same columns in the same order."
    )


def _columns(names: Sequence[str]) -> str:
    return listed(map(repr, names)) or "none"
