"""The doors through which a table comes to kzoo, what its cells mean to a network, and a list of what differs."""

import json
import math
import warnings
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import pytest
from random_tables import NUMBER, Table

from kzoo.inference.tables.files import csv, parquet
from kzoo.utils.errors import KzooError

SHOWN = 40  # differences that a failing test prints


@dataclass(frozen=True)
class Door:
    """A way in which a table comes.

    Args:
        name: for people.
        decimal: the decimal sign of its texts.
        open: (table, folder, seed) -> the source that kzoo gets.
        trains: whether kzoo learns from it.
        uploads: whether it comes to a server.
        texts: whether its numbers are texts.
        unsure: whether a comma in it may be a decimal sign, a separator of thousands, or neither.
    """

    name: str
    decimal: str
    open: Callable
    trains: bool = False
    uploads: bool = False
    texts: bool = True
    unsure: bool = False

    @property
    def is_file(self) -> bool:
        return self.trains and not self.name.startswith("a DataFrame")


def _csv_file(how):
    def write(table, folder, seed):
        content = table.csv(**how)
        path = folder / f"{zlib.crc32(content)}.csv"
        path.write_bytes(content)
        return path

    return write


def _parquet_file(decimal):
    def write(table, folder, seed):
        path = folder / f"{zlib.crc32(table.csv(decimal=decimal))}.parquet"
        table.parquet(path, decimal, seed)
        return path

    return write


def _doors_of_csv(name, decimal=".", separator=",", end="\n"):
    how = dict(decimal=decimal, separator=separator, end=end)
    unsure = decimal == "." and separator != ","
    yield Door(name, decimal, _csv_file(how), trains=True, unsure=unsure)
    yield Door(
        f"an upload of {name}",
        decimal,
        lambda table, *_: table.csv(**how),
        uploads=True,
        unsure=unsure,
    )


def _doors_of_python(decimal, name=""):
    def parsed(table, *_):
        return json.loads(json.dumps(table.json(decimal)))

    yield Door(f"Parquet{name}", decimal, _parquet_file(decimal), trains=True, texts=False)
    yield Door(
        f"a DataFrame{name}",
        decimal,
        lambda table, _, seed: table.frame(decimal, seed),
        trains=True,
        texts=False,
    )
    yield Door(f"dicts{name}", decimal, lambda table, *_: table.dicts(decimal), texts=False)
    yield Door(f"dicts of texts{name}", decimal, lambda table, *_: table.form(decimal))
    yield Door(f"JSON{name}", decimal, parsed, uploads=True, texts=False)
    yield Door(f"JSON of texts{name}", decimal, lambda table, *_: table.form(decimal), uploads=True)


DOORS = [
    *_doors_of_csv("CSV"),
    *_doors_of_csv("CSV with CRLF", end="\r\n"),
    *_doors_of_csv("CSV with semicolons", separator=";"),
    *_doors_of_csv("CSV with tabs and CRLF", separator="\t", end="\r\n"),
    *_doors_of_csv("CSV with decimal commas", separator=";", decimal=","),
    *_doors_of_csv("CSV with decimal commas and CRLF", separator=";", decimal=",", end="\r\n"),
    *_doors_of_python("."),
    *_doors_of_python(",", " of decimal commas"),
]
TRAINING = [door for door in DOORS if door.trains]


@contextmanager
def memory(large, folder):
    """Have a table fit into memory or not; then it is read in pieces of some rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KZOO_MEMORY", "1KiB" if large else "100GiB")
        patch.setenv("KZOO_CACHE", str(folder / "cache"))
        if large:
            patch.setattr(csv, "_PIECE", 8192)
            patch.setattr(parquet, "_PIECE", 8192)
        yield


@dataclass
class Outcome:
    """What reading gave: features (N, F) and answers, or an error; and the lines that it warned with."""

    x: np.ndarray | None = None
    y: np.ndarray | None = None
    error: str = ""
    lines: list = field(default_factory=list)


def outcome_of(read) -> Outcome:
    """Return what a function gives: x, or (x, y)."""
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        try:
            result = read()
        except KzooError as error:
            return Outcome(error=str(error), lines=[str(error)])
    x, y = result if isinstance(result, tuple) else (result, None)
    return Outcome(np.asarray(x), y, lines=[str(warning.message) for warning in warned])


# What cells mean.


def one_break(word):
    """Return a word whose lines end in a line feed."""
    return None if word is None else word.replace("\r\n", "\n")


def _part(moment, part):
    return moment.weekday() if part == "weekday" else getattr(moment, part)


def _features_of(column, cells):
    """Return (name, values) of each feature of a learned column, by what its cells mean."""
    name = column["name"]
    if column["kind"] == "category":
        codes = {one_break(word): code for code, word in enumerate(column["values"], start=1)}
        return [(name, [codes.get(one_break(cell.word), 0) for cell in cells])]
    if column["kind"] == "date":
        missing = [cell.moment is None for cell in cells]
        features = [
            (
                f"{name} {part}",
                [median if cell.moment is None else _part(cell.moment, part) for cell in cells],
            )
            for part, median in column["medians"].items()
        ]
    else:
        missing = [not math.isfinite(cell.number) for cell in cells]
        numbers = [
            cell.number if math.isfinite(cell.number) else column["median"] for cell in cells
        ]
        features = [(name, numbers)]
    return features + ([(f"{name} is missing", missing)] if column["missing"] else [])


def features_of(reader, table: Table) -> list:
    """Return (name of its column, name, values (N,)) of each feature of the rows of a table.

    Args:
        reader: what training learned: which columns, the medians, the categories.
    """
    return [
        (column["name"], name, np.array(values, np.float64).astype(np.float32))
        for column in reader["columns"]
        for name, values in _features_of(column, table[column["name"]])
    ]


def answers_of(class_names, table: Table) -> np.ndarray:
    """Return the answers of rows: numbers of classes (N,), or values (N, 1)."""
    cells = table[table.target]
    if table.classes:
        numbers = {one_break(name): number for number, name in enumerate(class_names)}
        return np.array([numbers.get(one_break(cell.word), -1) for cell in cells])
    return np.array([cell.number for cell in cells], np.float32)[:, None]


def medians_and_categories(reader, table: Table):
    """Yield (name, what is stored, what the cells say) of the columns of training rows."""
    for column in reader["columns"]:
        cells = table[column["name"]]
        if column["kind"] == "category":
            words = {one_break(cell.word) for cell in cells if cell.word is not None}
            yield column["name"], sorted(map(one_break, column["values"])), sorted(words)
        elif column["kind"] == "number":
            numbers = [cell.number for cell in cells if math.isfinite(cell.number)]
            yield column["name"], np.float32(column["median"]), np.float32(np.median(numbers))


def sorted_by_number(table: Table) -> Table:
    """Return a table in the order of the numbers of its rows."""
    return table.take(sorted(range(len(table)), key=lambda row: table[NUMBER][row].number))


def doubtful(table: Table, notes, learned_from: Door, comes_as: Door | None = None) -> set:
    """Return names of columns of which a line will do in place of features.

    Training has noted that they can be read in two ways; or the decimal sign of new texts is another than training's,
    or cannot be told: of a file in which `1,234` stands between semicolons.
    """
    thousands = any(column.kind == "thousands" for column in table.made.values())

    def has_other_sign(name):
        if (
            comes_as is None
            or not table.made[name].signed
            or not (comes_as.texts or table.has_texts(name))
        ):
            return False
        before = learned_from.decimal if learned_from.texts or table.has_texts(name) else "."
        return before != comes_as.decimal or (
            thousands and (learned_from.unsure or comes_as.unsure)
        )

    noted = {
        name for name, column in table.made.items() if column.doubtful and _are_named([name], notes)
    }
    return noted | set(filter(has_other_sign, table.made))


def _are_named(names, lines):
    return any(repr(name) in line for name in names for line in lines)


class Differences(list):
    """Lines that say what differs, for whoever has to mend it.

    Attributes:
        compared: how many columns of features were; `lines_instead`: of how many a line stood in their place.
    """

    def __init__(self):
        self.compared = self.lines_instead = 0

    def add_features(self, where, outcome: Outcome, reader, table: Table, spared=()):
        """Compare features with what cells mean.

        Args:
            where: the doors, for people.
            outcome: in the order of the table.
            reader: what training learned.
            spared: names of columns of which a line will do.
        """
        features = features_of(reader, table)
        self.compared += len(features)
        if outcome.error:
            if _are_named(spared, outcome.lines) or table.target in spared:
                self.lines_instead += len(features)
            else:
                self.append(f"{where}: {outcome.error}")
            return
        if outcome.x.shape != (len(table), len(features)):
            self.append(f"{where}: features {outcome.x.shape}, not {(len(table), len(features))}")
            return
        for (column, name, values), x in zip(features, outcome.x.T, strict=True):
            rows = np.flatnonzero(x.view(np.uint32) != values.view(np.uint32))
            if not len(rows):
                continue
            if column in spared and _are_named([column], outcome.lines):
                self.lines_instead += 1
                continue
            self.append(
                f"{where}: {name!r}, a column of {table.made[column].kind}, differs in {len(rows)} of {len(table)} "
                f"rows: row {rows[0] + 1} holds {table[column][rows[0]].text!r} and is {x[rows[0]]:.9g}, not "
                f"{values[rows[0]]:.9g}"
            )

    def add_answers(self, where, outcome: Outcome, class_names, table: Table, spared=()):
        """Compare answers with what the cells of the target mean."""
        if outcome.error or (table.target in spared and _are_named([table.target], outcome.lines)):
            return
        answers = answers_of(class_names, table)
        y = np.asarray(outcome.y)
        if not np.array_equal(answers.ravel(), y.ravel()):
            self.append(f"{where}: answers are {y.ravel()[:3]}, not {answers.ravel()[:3]}")

    def check(self, most):
        """Fail where anything differs, or where a line stood in place of more than this share of the features."""
        assert not self, f"{len(self)} differences:\n" + "\n".join(self[:SHOWN])
        assert self.compared and self.lines_instead <= most * self.compared, (
            self.lines_instead,
            self.compared,
        )
