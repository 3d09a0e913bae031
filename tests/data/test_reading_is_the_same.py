"""A table is read alike through every door: each type of file or object, in training and as new rows, for each reader.

Tables are drawn at random (`random_tables.py`), and every feature of every row is compared with what its cell means: as
float32, to the bit. Where a text can be read in two ways, a line that names its column will do. Networks, exported
models and servers that read such rows are tested in `tests/runtime/test_reading_in_runs.py`.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from random_tables import NUMBER, random_pair
from table_doors import (
    DOORS,
    TRAINING,
    Differences,
    Outcome,
    doubtful,
    medians_and_categories,
    memory,
    one_break,
    outcome_of,
    sorted_by_number,
)

import kzoo
from kzoo.data.splits import SMALLEST
from kzoo.inference.encode import encode
from kzoo.inference.kinds.rows.inference import received
from kzoo.problems.kinds import kind_of
from kzoo.problems.tasks import Target, problem
from kzoo.utils.errors import KzooError

pytest.importorskip("pyarrow")
TABLES, FEW, BLOCKS = 200, 8, 10
# share of the features that a line may replace: half of the doors have another decimal sign
MOST_LINES = 0.3


def learned(source, large, folder, test=0):
    """Return the data set of a source: all of its rows are training rows."""
    with memory(large, folder):
        return kzoo.load_data(source, target="answer", validation=0, test=test)


def in_order(split, data):
    """Return features and answers in the order of the numbers of the rows: a large table is shuffled."""
    x, y = np.asarray(split.x[:]), np.asarray(split.y[:])
    order = np.argsort(x[:, data.feature_names.index(NUMBER)], kind="stable")
    return x[order], y[order]


def readers_of(door, data, source):
    """Yield (name, whether memory is too small, function) of all that reads new rows from a door."""
    reader, learn = data.preprocessing, kind_of(data.preprocessing).fitting

    def labelled():
        part = learn.labelled(reader, source, targets=["answer"], config={})
        target = Target(names=tuple(data.target_names), classes=tuple(data.class_names))
        return part.x, problem(data.task).task.inference.encode(target, part.y)

    if door.uploads:
        yield "server", False, lambda: encode(reader, received(reader, source))
        return
    yield "predict", False, lambda: encode(reader, source)
    for large in (False, True) if door.trains else ():
        if door.is_file or not large:
            yield "evaluate", large, labelled
            yield "check", large, lambda: learn.fresh(reader, source, targets=["answer"]).x


def facts_of(data):
    """Return name of a column -> the facts learned of it that must not depend on the door."""
    ignored = ("writing", "zoned", "zone", "blank", "day_first", "unreadable")  # how it is written
    facts = {
        column["name"]: {key: value for key, value in column.items() if key not in ignored}
        for column in data.preprocessing["columns"]
    }
    for column in facts.values():
        if column["kind"] == "category":
            column["values"] = sorted(map(one_break, column["values"]))
    return facts | {"the task": data.task, "the classes": sorted(map(one_break, data.class_names))}


@dataclass
class Pair:
    """A table to learn from and one of new rows, which go through all doors.

    Args:
        seed: of the tables, and of all that is drawn here.
        folder: for their files.
        share: of the doors of new rows that are tried with each door of training; all of them are tried with some.
    """

    seed: int
    folder: Path
    differences: Differences
    share: float

    def compare(self):
        table, new = map(sorted_by_number, random_pair(self.seed))
        self.draw = np.random.default_rng([self.seed, 9])
        self.facts = None
        for number, (door, large) in enumerate(
            (door, large) for large in (False, True) for door in TRAINING
        ):
            if large and not door.is_file:
                continue
            where = f"table {self.seed}, learned from {door.name}{', large' * large}"
            source = door.open(table, self.folder, self.seed)
            try:
                data = learned(source, large, self.folder)
            except KzooError as error:
                self.facts = self.facts or {"refused": True}
                if self.facts != {"refused": True} or len(table.labelled()) >= SMALLEST:
                    self.differences.append(f"{where}: {error}")
                continue
            self.compare_training(where, door, data, table.labelled())
            if self.share or (number + self.seed) % 2:
                self.compare_test(where, door, large, source, new)
            for place, other in enumerate(DOORS):
                if (place + number + self.seed) % len(
                    TRAINING
                ) == 0 or self.draw.random() < self.share:
                    self.compare_new(where, door, data, other, new)

    def compare_training(self, where, door, data, table):
        """Compare the training rows, and the facts learned of them."""
        spared = doubtful(table, data.notes, door)
        outcome = Outcome(*in_order(data.train, data), lines=data.notes)
        self.differences.add_features(where, outcome, data.preprocessing, table, spared)
        self.differences.add_answers(where, outcome, data.class_names, table, spared)
        for name, stored, meant in medians_and_categories(data.preprocessing, table):
            if stored != meant and name not in spared:
                self.differences.append(f"{where}: stores {stored} of {name!r}, not {meant}")
        facts = facts_of(data)
        self.facts = self.facts or facts
        for name in self.facts | facts:
            if self.facts.get(name) != facts.get(name) and name not in spared:
                line = (
                    f"learns {facts.get(name)} of {name!r}, and another door {self.facts.get(name)}"
                )
                self.differences.append(f"{where}: {line}")

    def compare_test(self, where, door, large, source, new):
        """Compare the rows of a second table, `test=`."""
        other = TRAINING[self.draw.integers(len(TRAINING))]
        test, where, data = (
            other.open(new, self.folder, self.seed),
            f"{where}, test={other.name}",
            None,
        )

        def tested():
            nonlocal data
            data = learned(source, large, self.folder, test)
            return in_order(data.test, data)

        outcome, rows = outcome_of(tested), new.labelled()
        if not len(rows):
            assert outcome.error, where
            return
        data = data or learned(source, large, self.folder)  # a refusal has a line
        outcome.lines += data.notes
        spared = doubtful(new, data.notes, door, other)
        self.differences.add_features(where, outcome, data.preprocessing, rows, spared)
        self.differences.add_answers(where, outcome, data.class_names, rows, spared)

    def compare_new(self, where, door, data, other, new):
        """Compare new rows, for each reader."""
        spared = doubtful(new, data.notes, door, other)
        source = other.open(new, self.folder, self.seed)
        for who, large, read in readers_of(other, data, source):
            with memory(large, self.folder):
                outcome = outcome_of(read)
            # The checks that report mistakes in new data do not run here.
            outcome.lines += [*data.notes, *(map(repr, spared) if who == "check" else ())]
            at = f"{where}, {who}{', large' * large} of {other.name}"
            rows = new.labelled() if who == "evaluate" else new
            if not len(rows):
                assert outcome.error, at
                continue
            if large and outcome.x is not None:  # rows that are shorter than the header come last
                order = np.argsort(outcome.x[:, data.feature_names.index(NUMBER)], kind="stable")
                outcome.x = outcome.x[order]
                outcome.y = outcome.y if outcome.y is None else outcome.y[order]
            self.differences.add_features(at, outcome, data.preprocessing, rows, spared)
            if who == "evaluate":
                self.differences.add_answers(at, outcome, data.class_names, rows, spared)


def test_a_few_tables_are_the_same_through_every_door(tmp_path):
    differences = Differences()
    for seed in range(FEW):
        Pair(seed, tmp_path, differences, share=0).compare()
    differences.check(MOST_LINES)


@pytest.mark.slow
@pytest.mark.parametrize("block", range(BLOCKS))
def test_two_hundred_tables_are_the_same_through_every_door(block, tmp_path):
    differences = Differences()
    for seed in range(block, TABLES, BLOCKS):
        Pair(seed, tmp_path, differences, share=0.05).compare()
    differences.check(MOST_LINES)
