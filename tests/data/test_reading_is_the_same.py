"""A table is read alike through every door: as which file it is learned from, as what its new rows come, and who asks.

Tables are drawn at random (`random_tables.py`), and every feature of every row is compared with what the cell means:
as float32, to the bit. Where a text can be read in two ways, a line that names the column will do in place of it.
"""

import json
import math
import sys
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from random_tables import NUMBER, random_pair

import kzoo
import kzoo.runtime
from kzoo.data import encode
from kzoo.data.splits import SMALLEST
from kzoo.errors import KzooError
from kzoo.kinds import kind_of
from kzoo.kinds.rows.light import received
from kzoo.kinds.tables.files import csv, parquet
from kzoo.tasks import Target, problem

sys.path += [str(Path(__file__).parents[1] / name) for name in ("runtime", "serve")]
from served import serving  # noqa: E402
from small_exports import write_exported  # noqa: E402

TABLES, FEW, NETWORKS = 200, 8, 3
SHOWN = 40  # differences that a failing test prints


@dataclass(frozen=True)
class Door:
    """A way in which a table comes.

    Args:
        name: for people.
        decimal: the decimal sign of its texts.
        open: (table, folder, seed) -> what is given to kzoo.
        texts: whether its numbers are texts.
        trains: whether kzoo learns from it; uploads: whether it comes to a server.
        unsure: whether a comma in it may be a decimal sign.
    """

    name: str
    decimal: str
    open: object
    texts: bool = True
    trains: bool = False
    uploads: bool = False

    @property
    def unsure(self):
        return self.name.endswith(("semicolons", "tabs and CRLF"))


def file(suffix=".csv", **options):
    """Return what writes a table as a CSV file."""

    def written(table, folder, seed):
        content = table.csv(**options)
        path = folder / f"{abs(hash((content, suffix)))}{suffix}"
        path.write_bytes(content)
        return path

    return written


def parquet_file(decimal):
    def written(table, folder, seed):
        path = folder / f"{id(table)} {decimal} {seed}.parquet"
        table.parquet(path, decimal, seed)
        return path

    return written


LAYOUTS = {
    "CSV": dict(),
    "CSV with CRLF": dict(end="\r\n"),
    "CSV with semicolons": dict(separator=";"),
    "CSV with tabs and CRLF": dict(separator="\t", end="\r\n"),
    "CSV with decimal commas": dict(separator=";", decimal=","),
    "CSV with decimal commas and CRLF": dict(separator=";", decimal=",", end="\r\n"),
}
DOORS = [
    *(Door(name, how.get("decimal", "."), file(**how), trains=True) for name, how in LAYOUTS.items()),
    *(Door(f"an upload of {name}", how.get("decimal", "."), lambda table, folder, seed, how=how: table.csv(**how),
           uploads=True) for name, how in LAYOUTS.items()),
    *(door for sign, what in ((".", ""), (",", " of decimal commas")) for door in (
        Door(f"Parquet{what}", sign, parquet_file(sign), False, trains=True),
        Door(f"a DataFrame{what}", sign, lambda table, folder, seed, sign=sign: table.frame(sign, seed), False,
             trains=True),
        Door(f"dicts{what}", sign, lambda table, folder, seed, sign=sign: table.dicts(sign), False),
        Door(f"dicts of texts{what}", sign, lambda table, folder, seed, sign=sign: table.form(sign)),
        Door(f"JSON{what}", sign, lambda table, folder, seed, sign=sign: json.loads(json.dumps(table.json(sign))),
             False, uploads=True),
        Door(f"JSON of texts{what}", sign, lambda table, folder, seed, sign=sign: table.form(sign), uploads=True),
    )),
]  # fmt: skip
TRAINING = [door for door in DOORS if door.trains]
FILES = [door for door in TRAINING if "DataFrame" not in door.name]


@contextmanager
def memory(large, folder):
    """Have a table fit into memory or not; then it is read in pieces of a few rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KZOO_MEMORY", "1KiB" if large else "100GiB")
        patch.setenv("KZOO_CACHE", str(folder / "cache"))
        if large:
            patch.setattr(csv, "_PIECE", 4096)
            patch.setattr(parquet, "_PIECE", 2048)
        yield


@dataclass
class Outcome:
    """What a door gave: features (N, F) and answers, or an error; and the lines that it said."""

    x: object = None
    y: object = None
    error: str = ""
    lines: list = field(default_factory=list)


def outcome(read):
    """Return what a function gives: `x` or (x, y)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            found = read()
        except KzooError as error:
            return Outcome(error=str(error), lines=[str(error)])
    x, y = found if isinstance(found, tuple) else (found, None)
    return Outcome(np.asarray(x), y, lines=[str(one.message) for one in caught])


# What cells mean.


def one_break(word):
    """Return a word whose lines end in a line feed."""
    return None if word is None else word.replace("\r\n", "\n")


def features_of(column, cells):
    """Return (name, values) of each feature of a learned column, of what its cells mean."""
    name = column["name"]
    if column["kind"] == "category":
        codes = {one_break(word): code for code, word in enumerate(column["values"], start=1)}
        return [(name, [codes.get(one_break(cell.word), 0) for cell in cells])]
    if column["kind"] == "date":
        part = {"year": "year", "month": "month", "day": "day", "hour": "hour"}
        moments = [cell.moment for cell in cells]
        found = [
            (f"{name} {key}", [
                usual if moment is None else moment.weekday() if key == "weekday" else getattr(moment, part[key])
                for moment in moments
            ])
            for key, usual in column["medians"].items()
        ]  # fmt: skip
        holes = [moment is None for moment in moments]
    else:
        holes = [not math.isfinite(cell.number) for cell in cells]
        found = [(name, [column["median"] if hole else cell.number for cell, hole in zip(cells, holes, strict=True)])]
    return found + ([(f"{name} is missing", holes)] if column["missing"] else [])


def expected(reader, table):
    """Return (name of its column, name, values (N,)) of each feature."""
    return [
        (column["name"], name, np.array(values, np.float64).astype(np.float32))
        for column in reader["columns"]
        for name, values in features_of(column, table[column["name"]])
    ]


def answers_of(data, table):
    """Return the answers of rows, as they are learned."""
    cells = table[table.target]
    if table.classes:
        places = {one_break(name): place for place, name in enumerate(data.class_names)}
        return np.array([places.get(one_break(cell.word), -1) for cell in cells])
    return np.array([cell.number for cell in cells], np.float32)[:, None]


class Differences(list):
    """Lines that say what differs, for whoever has to mend it."""

    def __init__(self):
        self.compared = self.lines_instead = 0

    def features(self, where, found, reader, table, spared=()):
        """Compare features with what cells mean.

        Args:
            where: the doors, for people.
            found: an `Outcome`, in the order of the table.
            reader: what training learned.
            spared: names of columns of which a line will do.
        """
        wanted = expected(reader, table)
        self.compared += len(wanted)
        if found.error:
            if any(repr(name) in found.error for name in spared) or table.target in spared:
                self.lines_instead += len(wanted)
            else:
                self.append(f"{where}: {found.error}")
            return
        if found.x.shape != (len(table), len(wanted)):
            self.append(f"{where}: features {found.x.shape}, not {(len(table), len(wanted))}")
            return
        for (column, name, values), x in zip(wanted, found.x.T, strict=True):
            differ = np.flatnonzero(x.view(np.uint32) != values.view(np.uint32))
            if not len(differ):
                continue
            if column in spared and any(repr(column) in line for line in found.lines):
                self.lines_instead += 1
                continue
            row = differ[0]
            self.append(
                f"{where}: {table.made[column].kind!r} {name!r} differs in {len(differ)} of {len(table)} rows: row "
                f"{row + 1} holds {table[column][row].text!r} and is {x[row]:.9g}, not {values[row]:.9g}"
            )

    def answers(self, where, found, data, table, spared=()):
        """Compare answers with what the cells of the target mean."""
        if found.error or (table.target in spared and any(repr(table.target) in line for line in found.lines)):
            return
        wanted, y = answers_of(data, table), np.asarray(found.y).reshape(len(found.y), *answers_of(data, table).shape[1:])
        if wanted.shape != y.shape or not np.array_equal(wanted, y):
            self.append(f"{where}: answers are {y.ravel()[:3]}, not {wanted.ravel()[:3]}")

    def check(self):
        assert not self, f"{len(self)} differences:\n" + "\n".join(self[:SHOWN])
        assert self.compared and self.lines_instead < 0.03 * self.compared, (self.lines_instead, self.compared)


def doubtful(table, notes, learned_from, comes_as=None):
    """Return names of columns of which a line will do.

    Training has said that they can be read in two ways; or the decimal sign of new texts is another than training's,
    or cannot be told: of a file in which `1,234` stands between semicolons.
    """
    figures = any(column.kind == "thousands" for column in table.made.values())

    def other_sign(name):
        if comes_as is None or not table.made[name].signed or not (comes_as.texts or table.has_texts(name)):
            return False
        before = learned_from.decimal if learned_from.texts or table.has_texts(name) else "."
        return before != comes_as.decimal or (figures and (learned_from.unsure or comes_as.unsure))

    names = [name for name, column in table.made.items() if column.doubtful and any(repr(name) in line for line in notes)]
    return {*names, *filter(other_sign, table.made)}


# Who reads.


def learned(source, large, folder, test=0):
    """Return the data set of a source: all of its rows are training rows."""
    with memory(large, folder):
        return kzoo.load_data(source, target="answer", validation=0, test=test)


def in_order(split, data):
    """Return features and answers in the order of the numbers of the rows: a large table is shuffled."""
    x, y = np.asarray(split.x[:]), np.asarray(split.y[:])
    order = np.argsort(x[:, data.feature_names.index(NUMBER)], kind="stable")
    return x[order], y[order]


def sorted_by_number(table):
    """Return a table in the order of the numbers of its rows."""
    return table.take(sorted(range(len(table)), key=lambda row: table[NUMBER][row].number))


def readers_of(door, data, source):
    """Yield (who, whether memory has no room, what reads new rows that come through a door)."""
    reader, learn = data.preprocessing, kind_of(data.preprocessing).learn

    def labelled():
        part = learn.labelled(reader, source, targets=["answer"], config={})
        target = Target(names=tuple(data.target_names), classes=tuple(data.class_names))
        return part.x, problem(data.task).task.light.encode(target, part.y)

    if door.uploads:
        yield "server", False, lambda: encode(reader, received(reader, source))
        return
    yield "predict", False, lambda: encode(reader, source)
    for large in (False, True) if door.trains else ():
        if door in FILES or not large:
            yield "evaluate", large, labelled
            yield "check", large, lambda: learn.fresh(reader, source, targets=["answer"]).x


@dataclass
class Pair:
    """A table to learn from and one of new rows, which go through all doors.

    Args:
        seed: of the tables, and of all that is drawn here.
        folder: for their files.
        share: of the doors of new rows that are tried beside each door of training; all of them are beside some.
    """

    seed: int
    folder: object
    differences: Differences
    share: float = 1.0

    def compare(self):
        table, new = map(sorted_by_number, random_pair(self.seed))
        self.draw, self.known = np.random.default_rng([self.seed, 9]), None
        for number, (door, large) in enumerate((door, large) for large in (False, True) for door in TRAINING):
            if large and door not in FILES:
                continue
            where = f"table {self.seed}, learned from {door.name}{', large' * large}"
            source = door.open(table, self.folder, self.seed)
            try:
                data = learned(source, large, self.folder)
            except KzooError as error:
                self.known = self.known or {"refused": True}
                if self.known != {"refused": True} or len(table.labelled()) >= SMALLEST:
                    self.differences.append(f"{where}: {error}")
                continue
            self.compare_training(where, door, data, table.labelled())
            self.compare_test(where, door, large, source, new)
            for place, other in enumerate(DOORS):
                if (place + number + self.seed) % len(TRAINING) == 0 or self.draw.random() < self.share:
                    self.compare_new(where, door, data, other, new)

    def compare_training(self, where, door, data, table):
        """Compare the training rows, and what was learned of them."""
        spared = doubtful(table, data.notes, door)
        x, y = in_order(data.train, data)
        found = Outcome(x, y, lines=data.notes)
        self.differences.features(where, found, data.preprocessing, table, spared)
        self.differences.answers(where, found, data, table, spared)
        facts = facts_of(data)
        self.known = self.known or facts
        self.differences += (f"{where}: {line}" for line in unlike(self.known, facts, spared))

    def compare_test(self, where, door, large, source, new):
        """Compare the rows of a second table, `test=`."""
        other = TRAINING[self.draw.integers(len(TRAINING))]
        second, again = other.open(new, self.folder, self.seed), []

        def tested():
            again.append(learned(source, large, self.folder, second))
            return in_order(again[0].test, again[0])

        found = outcome(tested)
        if not len(new.labelled()):
            assert found.error
            return
        where, data = f"{where}, test={other.name}", again[0] if again else learned(source, large, self.folder)
        found.lines += data.notes
        spared = doubtful(new, data.notes, door, other)
        self.differences.features(where, found, data.preprocessing, new.labelled(), spared)
        self.differences.answers(where, found, data, new.labelled(), spared)

    def compare_new(self, where, door, data, other, new):
        """Compare new rows, whoever reads them."""
        spared, source = doubtful(new, data.notes, door, other), other.open(new, self.folder, self.seed)
        for who, large, read in readers_of(other, data, source):
            with memory(large, self.folder):
                found = outcome(read)
            # What is wrong with new data is said by the checks that look at it, which do not run here.
            found.lines += [*data.notes, *(map(repr, spared) if who == "check" else ())]
            rows = new.labelled() if who == "evaluate" else new
            if not len(rows):
                assert found.error
                continue
            if large and found.x is not None:  # rows that are shorter than the header come last
                order = np.argsort(found.x[:, data.feature_names.index(NUMBER)], kind="stable")
                found.x, found.y = found.x[order], found.y if found.y is None else found.y[order]
            at = f"{where}, {who}{', large' * large} of {other.name}"
            self.differences.features(at, found, data.preprocessing, rows, spared)
            if who == "evaluate":
                self.differences.answers(at, found, data, rows, spared)


def facts_of(data):
    """Return name of a column -> what was learned of it, which every door learns alike."""
    facts = {
        column["name"]: {key: one_break(value) if isinstance(value, str) else value for key, value in column.items()
                         if key not in ("writing", "zoned", "blank", "day_first")}
        for column in data.preprocessing["columns"]
    }  # fmt: skip
    for column in facts.values():
        if column["kind"] == "category":
            column["values"] = sorted(map(one_break, column["values"]))
    return facts | {"the task": data.task, "the classes": sorted(map(one_break, data.class_names))}


def unlike(known, facts, spared):
    """Yield a line for each column of which two doors learned different things."""
    for name in known | facts:
        if known.get(name) != facts.get(name) and name not in spared:
            yield f"learns of {name!r} {facts.get(name)}, and another door {known.get(name)}"


def test_a_few_tables_are_the_same_through_every_door(tmp_path):
    differences = Differences()
    for seed in range(FEW):
        Pair(seed, tmp_path, differences, share=0.05).compare()
    differences.check()


@pytest.mark.slow
@pytest.mark.parametrize("block", range(10))
def test_two_hundred_tables_are_the_same_through_every_door(block, tmp_path):
    differences = Differences()
    for seed in range(block, TABLES, 10):
        Pair(seed, tmp_path, differences, share=0.3).compare()
    differences.check()


# Networks that were trained.


def numbers_of(predictions):
    return predictions.probabilities if predictions.values is None else predictions.values


def served_numbers(document, names):
    """Return the numbers of a server's answer as `numbers_of` has those of `Predictions`."""
    if not names:
        return np.array([row["values"] for row in document["predictions"]], np.float32)
    classes = ({one["label"]: one["probability"] for one in row["classes"]} for row in document["predictions"])
    return np.array([[row[name] for name in names] for row in classes], np.float32)


@dataclass
class Trained:
    """A run on a random table, its exported model, and rows that come through many doors.

    Args:
        seed: of the tables.
        door: that the run learned from, and whether memory had no room.
    """

    seed: int
    door: Door
    large: bool
    folder: object

    def train(self):
        table, self.new = map(sorted_by_number, random_pair(self.seed))
        self.name = f"table_{self.seed}"
        settings = dict(units=(4,), epochs=1, min_steps=0, callbacks="quick", baselines=False, check=False)
        with memory(self.large, self.folder):
            self.run = kzoo.train(
                "tabular_fnn", self.door.open(table, self.folder, self.seed), target="answer", validation=0.2,
                out=self.folder / self.name, progress=False, **settings,
            )  # fmt: skip
        self.exported = write_exported(self.run, self.folder / f"{self.name}_exported")
        columns = expected(self.run.preprocessing, self.new)
        self.x = np.stack([values for _, _, values in columns], axis=1)
        self.clear = [door for door in DOORS if not doubtful(self.new, "", self.door, door)]
        return self

    def given(self, door):
        return door.open(self.new, self.folder, self.seed)

    def where(self, who, door):
        return f"table {self.seed}, learned from {self.door.name}{', large' * self.large}: {who} of {door.name}"

    def compare_predict(self):
        wanted = numbers_of(kzoo.predict(self.run, self.x))
        for door in self.clear:
            if not door.uploads:
                found = numbers_of(kzoo.predict(self.run, self.given(door)))
                np.testing.assert_array_equal(found, wanted, self.where("predict", door))

    def compare_evaluate(self):
        rows = self.new.labelled()
        kept = [row for row, cell in enumerate(self.new[self.new.target]) if cell.word is not None]
        if not kept:
            return 0
        y = answers_of(self.run.data, rows)
        y = np.array(self.run.class_names)[y] if rows.classes else y
        wanted = kzoo.evaluate(self.run, (self.x[kept], y))
        doors = [door for door in self.clear if door.trains]
        for door in doors:
            found = kzoo.evaluate(self.run, self.given(door))
            assert found == wanted, self.where("evaluate", door)
        return len(doors)

    def compare_exported(self):
        """Compare the exported model, and what it makes of uploads before a server has it."""
        model, run = kzoo.runtime.load(self.exported), numbers_of(kzoo.predict(self.run, self.x))
        wanted = numbers_of(model.predict(self.x))
        np.testing.assert_allclose(wanted, run, rtol=1e-3, atol=1e-5)
        for door in self.clear:
            given, where = self.given(door), self.where("the exported model", door)
            if door.uploads:
                np.testing.assert_array_equal(model.receive(given).x, self.x, where)
            else:
                np.testing.assert_array_equal(numbers_of(model.predict(given)), wanted, where)

    def compare_served(self, server):
        model = kzoo.runtime.load(self.exported)
        wanted, names = numbers_of(model.predict(self.x)), self.run.class_names
        for door in self.clear:
            if not door.uploads:
                continue
            given, address = self.given(door), f"/v1/models/{self.name}_exported/answer"
            if isinstance(given, bytes):
                said = [server.post(address, given, headers={"Content-Type": "text/csv"}),
                        server.post(address, files=[("file", ("rows.csv", given, "text/csv"))])]  # fmt: skip
            else:
                said = [server.post(address, json={"inputs": given})]
            for answer in said:
                assert answer.status_code == 200, (self.where("server", door), answer.text)
                found = served_numbers(answer.json(), names)
                np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6, err_msg=self.where("server", door))


def trainings(count):
    """Yield (seed, door, large) of so many tables that are large enough to be split, and read in one way only."""
    tables = ((seed, random_pair(seed)[0]) for seed in range(TABLES))
    seeds = [seed for seed, table in tables
             if len(table.labelled()) >= 60 and not any(column.doubtful for column in table.made.values())]  # fmt: skip
    for number, seed in enumerate(seeds[:count]):
        door = TRAINING[number % len(TRAINING)]
        yield seed, door, door in FILES and number // 2 % 2 == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kzoo.errors.KzooWarning")
def test_trained_networks_answer_the_same_through_every_door(tmp_path, untraced, undrawn):
    pytest.importorskip("onnxruntime")
    trained = [Trained(*what, tmp_path).train() for what in trainings(NETWORKS)]
    for one in trained:
        one.compare_predict()
        one.compare_exported()
    assert sum(one.compare_evaluate() for one in trained) > 4 * NETWORKS
    with serving(tmp_path, *(one.exported for one in trained)) as server:
        for one in trained:
            one.compare_served(server)
