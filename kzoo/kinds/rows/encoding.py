"""A table that memory has no room for, as it is encoded: what each of its two readings does (see `large.py`)."""

import hashlib
import os
from collections import Counter
from contextlib import ExitStack

import numpy as np

from kzoo.dataset import splits
from kzoo.kinds.rows.collect import (
    MAX_COUNTED_CATEGORIES,
    MAX_SAMPLE_ROWS,
    Buckets,
    CategoryCounts,
    ColumnMoments,
    Sample,
    TablePieces,
)
from kzoo.kinds.rows.column_options import named_columns
from kzoo.kinds.rows.columns import (
    MAX_CATEGORIES,
    fingerprint_columns,
    mark_blank_categories,
)
from kzoo.kinds.rows.inference import (
    cells_of,
    check_columns,
    check_share,
    empty_line,
    feature_names,
    filled,
    in_test_table,
    unread_line,
)
from kzoo.kinds.rows.scaling import config_of
from kzoo.kinds.rows.table import TableFit
from kzoo.kinds.rows.target import is_empty, without_target
from kzoo.sources.tables.arrow import Piece, arrow, hashes, mixed, plain_of, settled
from kzoo.sources.tables.files import is_table, pieces_of
from kzoo.sources.tables.raw import Rows, require, rows_of
from kzoo.sources.tables.values import MISSING, to_words
from kzoo.sources.tables.zones import about_zone
from kzoo.storage.progress import followed
from kzoo.storage.row_files import check_room, read_rows
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural, shown
from kzoo.utils.optional import of_pandas

_MOST_CLASSES = 10_000  # different cells of a target that are told apart
_ALIKE = 0.1  # share of the sample's rows with a twin among them, above which rows are equal by chance
_PIECE = 50_000  # rows of a DataFrame that are encoded at once
_PARTS = ("train", "validation", "test")


class Encoding(TableFit):
    """A table that is being encoded.

    Args:
        source: the path of the table.
        folder: where the rows go.
        preset: what the data is for, or None.
        asked: as `load_table` takes it.
    """

    def __init__(self, source, folder, preset, *, target, validation, test, drop, group, task, columns, seed, clip):
        self.pieces, self.tested = pieces, tested = pieces_of(source), _tested(test)
        self.folder, self.seed, self.text = folder, int(seed), named_columns(columns)
        self.validation, self.test = splits.fractions(validation, 0 if tested is not None else test)
        super().__init__(
            pieces.names, [*pieces.notes, *(() if tested is None else tested.notes)], preset=preset, target=target,
            drop=drop, group=group, task=task, columns=columns, clip=clip,
        )  # fmt: skip
        if tested is not None:
            require(Rows(dict.fromkeys(tested.names, ())), self.targets, "the test table")

    def encoded(self) -> dict:
        """Encode the table, and return what `large.py` opens it with."""
        placed = TablePieces(self.pieces)
        self.survey(placed)
        self.learn()
        self.encode(placed)
        return self.about(self.shuffle())

    # The first reading.

    def survey(self, placed):
        """Count rows and the cells of a target, and draw the sample."""
        self.sample, self.count, self.without = Sample(self.seed), 0, 0
        self.cells = Counter() if len(self.targets) == 1 else None
        for first, table in placed.pieces("looking at rows"):
            table, places = self.with_target(table, first)
            self.count += table.num_rows
            self.sample.add(table, places)
            if self.group is not None and (lost := table.column(self.group).null_count):
                raise KzooError(
                    f"group={self.group!r} is missing in {lost} of rows {first + 1} to {first + len(places)}; fill it "
                    "in or leave group= out."
                )
            if self.cells is not None:
                self.cells.update(_counted(table.column(self.targets[0])))
                self.cells = None if len(self.cells) > _MOST_CLASSES else self.cells
        if not self.count:
            empty = is_empty(self.targets[0], "row") if self.without else None
            raise KzooError(empty or f"{self.pieces.name!r} has no rows.")
        splits.check_enough(self.count)
        if self.without:
            self.notes.append(without_target(self.without, "row"))

    def with_target(self, table, first):
        """Return the rows of a table that have a target, and their places in the source."""
        compute, places = arrow("pyarrow.compute"), first + np.arange(table.num_rows)
        there = np.ones(table.num_rows, bool)
        for name in self.targets:
            there &= compute.is_null(table.column(name), nan_is_null=True).to_numpy() == 0
        if there.all():
            return table, places
        self.without += int((~there).sum())
        return table.filter(there), places[there]

    # What is learned, on the sample.

    def learn(self):
        """Learn what the target and the columns are; classes and categories are counted over all rows."""
        table, places = self.sample.taken()
        frame, decimal, target = self.pieces.frame(table, self.text), self.pieces.decimal, self.targets[0]
        if self.cells is None:
            frame = self.learn_task(frame, decimal)
        else:  # which shows what a column is, also where the sample lacks its rarest cells
            different = self.pieces.frame(_table_of(target, self.cells, table.schema), self.text)
            different = self.learn_task(different, decimal, different=True)
        self.classes = self.code_of = None
        if "classes" in self.problem.facts:
            if self.cells is None:
                raise KzooError(
                    f"Target {target!r} has more than {_MOST_CLASSES:,} different values: too many classes for a table "
                    "that is larger than memory. Say task='regression', or choose another target."
                )
            light = self.problem.task.inference
            twice = np.repeat(np.arange(len(different)), [min(count, 2) for count in self.cells.values()])
            self.classes = light.learn(different[[target]].iloc[twice], self.targets)
            codes = light.encode(self.classes, different[[target]]).tolist()
            self.code_of = dict(zip(self.cells, codes, strict=True))
        self.alike = self.group is None and self._are_alike(table)
        train, rows = np.flatnonzero(self.split_of(table, places) == 0), rows_of(frame)
        self.learn_inputs(
            rows.only(self.inputs, decimal), train, decimal, words=self.pieces.words, classes=self.classes is not None,
            written=Piece(table),
        )  # fmt: skip
        if self.tested is not None:
            with in_test_table():
                check_columns(self.columns, Rows(dict.fromkeys(self.tested.names, ())))
        self.schema, self.described = table.schema, self.seen(rows, {})
        self.usual = {name: _first(table, name) for name, why in self.left_out.items() if why == "constant"}
        self.usual |= {name: None for name, why in self.left_out.items() if why.startswith("empty")}
        self.sampled, self.sample = len(places), None  # a hundred megabytes

    def _are_alike(self, table):
        """Say whether rows are equal by chance, because few different ones are possible."""
        found = hashes(table, self.inputs)
        return len(np.unique(found)) < (1 - _ALIKE) * len(found)

    def split_of(self, table, places):
        """Return the split of each row, 0 to 2: a function of its cells, or of its group, and of the seed."""
        found = hashes(table, self.inputs if self.group is None else [self.group])
        with np.errstate(over="ignore"):
            if self.alike:
                found = found + mixed(places.astype(np.uint64) + np.uint64(1))
            found = mixed(found ^ mixed(np.full(1, self.seed % 2**64, np.uint64) + np.uint64(7)))
        share = (found >> np.uint64(11)).astype(np.float64) / 2**53
        held_out = self.test + self.validation * (1 - self.test)
        return np.where(share < self.test, 2, np.where(share < held_out, 1, 0))

    # The second reading.

    def encode(self, placed):
        """Write the rows as numbers into buckets, of which one is shuffled at a time; count what is to be exact."""
        zones = self.zones.get("zones", {})
        self.numbers = [c | {"zone": zones.get(c["name"])} for c in self.columns if c["kind"] != "category"]
        self.tested_minutes = {name: set() for name in zones}
        self.words = {c["name"]: CategoryCounts(c["values"]) for c in self.columns if c["kind"] == "category"}
        cells = sum(len(column.get("medians", " ")) for column in self.numbers)
        self.width = cells + len(self.words) + (len(self.targets) if self.classes is None else 1)
        self.holes, self.missing = set(), Counter()
        self.unread, self.differs = {column["name"]: [0, []] for column in self.numbers}, Counter()
        self.digest = hashlib.sha256()
        check_room(self.folder, int(1.2 * 4 * self.width * self.count))
        with ExitStack() as opened:
            buckets = Buckets(self.folder, self.shares(), self.count, self.width, self.seed, opened)
            self.without = 0
            for first, table in placed.pieces("encoding rows"):
                table, places = self.with_target(table, first)
                self.put(buckets, self.pieces, table, places, self.split_of(table, places))
            if self.tested is not None:
                self.without, first = 0, 0
                kept = MISSING - {""} if self.pieces.written else MISSING
                self.tested.kept = {name: kept.intersection(words.codes) for name, words in self.words.items()}
                self.tested.kept |= dict.fromkeys(self.targets, MISSING.intersection(self.code_of or ()))
                training = {name: (count, list(cells)) for name, (count, cells) in self.unread.items()}
                missing = self.missing.copy()
                self.known, self.strange = {name: len(words.codes) for name, words in self.words.items()}, {}
                for piece in self.tested:
                    table, places = self.with_target(self.with_inputs(piece.table), first)
                    self.put(buckets, self.tested, table, places, np.full(len(places), 2))
                    first += len(piece)
                if first == self.without:
                    raise KzooError(is_empty(self.targets[0], "test row"))
                self.check_tested(training, missing, first - self.without)
                if self.without:
                    self.notes.append(without_target(self.without, "test row"))
                for name, minutes in self.tested_minutes.items():
                    self.notes += about_zone(name, zones[name], np.array(list(minutes)))
            self.buckets = buckets

    def with_inputs(self, table):
        """Return targets and inputs of a test table; those that it lacks, and no network reads, are missing in it."""
        for name in self.inputs:
            if name not in table.schema.names:
                table = table.append_column(name, arrow().nulls(len(table), self.schema.field(name).type))
        return table.select(self.targets + self.inputs)

    def check_tested(self, unread, missing, rows):
        """Refuse a test table with a column most of whose cells cannot be read.

        Args:
            unread, missing: what was counted before it.
            rows: how many it has.
        """
        for column in self.numbers:
            name = column["name"]
            count, cells = self.unread[name][0] - unread[name][0], self.unread[name][1][len(unread[name][1]) :]
            there = rows - (self.missing[name] - missing[name])
            with in_test_table():
                check_share(column, count, there, cells)
            if name not in self.holes:
                self.notes += (f"In the test table: {line}" for line in empty_line(name, rows - there, rows))
        for name, (count, cells) in self.strange.items():
            if 2 * count > rows:
                self.notes.append(f"In the test table: {unread_line(name, 'category', count, rows, cells)}")

    def shares(self):
        """Return about which share of the rows each split gets."""
        held_out = self.validation * (1 - self.test)
        return 1 - self.test - held_out, held_out, self.test if self.tested is None else 0.5

    def put(self, buckets, pieces, table, places, parts):
        """Write rows of a source with these places, which belong to these splits, and count what they hold."""
        if not table.num_rows:
            return
        self.digest.update(hashes(table, [*self.inputs, *self.targets]).tobytes())
        piece, train = Piece(table, pieces.decimal), parts == 0
        rows, at = np.empty((len(parts), self.width), np.float32), 0
        for column in self.numbers:
            name, unread = column["name"], {}
            cells = cells_of(column, piece, unread)
            if pieces is self.tested and column["kind"] == "date":
                minutes = piece.minutes(name, column.get("day_first", False))[~np.isnan(cells[0])]
                self.tested_minutes[name].update(np.unique(minutes).tolist())
            for values in cells:
                with np.errstate(over="ignore"):
                    rows[:, at] = values
                self._check_finite(name, values, rows[:, at], places)
                at += 1
            empty = np.isnan(cells[0])
            if name not in self.holes and empty[train].any():
                self.holes.add(name)
            if len(bad := unread[name]):
                self.unread[name][0] += len(bad)
                some = bad[: 3 - len(self.unread[name][1])]
                self.unread[name][1] += [(int(places[place]), piece[name][place]) for place in some]
            self.missing[name] += int(empty.sum()) - len(bad)
        for name, words in self.words.items():
            rows[:, at] = words.codes_of(piece[name], train)
            self.missing[name] += table.column(name).null_count
            if pieces is self.tested:
                new = np.flatnonzero(rows[:, at] > self.known[name])
                count, cells = self.strange.get(name, (0, []))
                cells += [(int(places[place]), piece[name][place]) for place in new[: 3 - len(cells)]]
                self.strange[name] = (count + len(new), cells)
            at += 1
        for name, usual in self.usual.items():
            self.differs[name] += _differing(table.column(name), usual)
        if self.classes is None:
            rows[:, at:] = self._values(piece, places)
        else:
            rows[:, at:].view(np.int32)[:, 0] = self._class_numbers(pieces, table)
        buckets.add(rows, places, parts)

    def _check_finite(self, name, values, found, places):
        if np.isinf(found).any():
            bad = int(np.flatnonzero(np.isinf(found))[0])
            raise KzooError(
                f"Column {name!r} holds {values[bad]:g} in row {places[bad] + 1}, more than float32 has: leave it out, "
                "or scale it."
            )

    def _values(self, piece, places):
        found = np.stack([piece.numbers(name, self.writings.get(name)) for name in self.targets], axis=1)
        if (bad := np.flatnonzero(np.isnan(found).any(axis=1))).size:
            cells = [piece[name][bad[0]] for name in self.targets]
            raise KzooError(f"A regression target must be a number; row {places[bad[0]] + 1} holds {cells!r}.")
        return found

    def _class_numbers(self, pieces, table):
        target = self.targets[0]
        encoded = table.column(target).combine_chunks().dictionary_encode()
        cells = encoded.dictionary.to_pylist()
        if new := [cell for cell in cells if cell not in self.code_of]:  # of the test data, written in another way
            codes = self.problem.task.inference.encode(
                self.classes, pieces.frame(_table_of(target, new, table.schema))[[target]]
            )
            self.code_of |= dict(zip(new, codes.tolist(), strict=True))
        return np.array([self.code_of[cell] for cell in cells], np.int32)[encoded.indices.to_numpy()]

    # The end.

    def shuffle(self):
        """Fill holes in, number categories, and write each split, its rows shuffled; return how many rows each has."""
        self.columns = [self._exact(column) for column in self.columns]
        self.columns = mark_blank_categories(self.columns) if self.pieces.written else self.columns
        answers = len(self.targets) if self.classes is None else 1
        codes = {name: words.numbered(column["values"]) for (name, words), column in zip(
            self.words.items(), (c for c in self.columns if c["kind"] == "category"), strict=True
        )}  # fmt: skip
        self.features = feature_names(self.columns)
        self.extent, self.targets_extent = ColumnMoments(), ColumnMoments()
        self.of_class = {}
        rows = {}
        for number, part in enumerate(_PARTS):
            counts = np.zeros(len(self.classes.classes), int) if self.classes is not None else None
            with open(self.folder / f"{part}.rows", "wb") as file:
                rows[part] = 0
                buckets = self.buckets.files(number)
                for bucket in followed(buckets, f"{self.pieces.name}: shuffling {part} rows", len(buckets)):
                    order = np.random.default_rng([self.seed, number, rows[part]])
                    raw = self.buckets.take(bucket)
                    x, y = self._finished(raw[order.permutation(len(raw))], codes, answers)
                    file.write(np.ascontiguousarray(np.concatenate([x, y], axis=1)).data)
                    rows[part] += len(x)
                    if not number:
                        self.extent.add(x[:, : len(self.features) - len(codes)])
                    if counts is not None:
                        counts += np.bincount(y.view(np.int32)[:, 0], minlength=len(counts))
                    elif not number:
                        self.targets_extent.add(y)
                file.flush()
                os.fsync(file.fileno())
            if counts is not None:
                self.of_class[part] = counts.tolist()
        if not rows["train"]:
            raise KzooError("No row is left to train on: lower test= or validation=.")
        if self.of_class and 0 in self.of_class["train"]:
            lost = self.of_class["train"].index(0)
            raise KzooError(f"Class number {lost} has no training row left; lower test= or validation=.")
        return rows

    def _exact(self, column):
        """Return a column with what is now known exactly."""
        if column["kind"] != "category":
            return column | {"missing": column["name"] in self.holes}
        words = self.words[column["name"]]
        if words.full:
            self.notes.append(
                f"Column {column['name']!r} has more than {MAX_COUNTED_CATEGORIES:,} categories: those that come later "
                "count as unknown."
            )
        elif words.different > MAX_CATEGORIES:
            self.notes = [note for note in self.notes if not note.startswith(f"Column {column['name']!r} has ")]
            self.notes.append(
                f"Column {column['name']!r} has {words.different} categories; the {MAX_CATEGORIES} most frequent count."
            )
        return column | {"values": words.best()}

    def _finished(self, raw, codes, answers):
        """Return inputs and answers (B, F) and (B, answers) of what `put` wrote."""
        found, at = [], 0
        for column in self.columns:
            if column["kind"] == "category":
                found.append(codes[column["name"]][raw[:, at].astype(np.int64)])
                at += 1
            else:
                width = len(column.get("medians", " "))
                found += filled(column, list(raw[:, at : at + width].T))
                at += width
        return np.stack(found, axis=1, dtype=np.float32, casting="same_kind"), raw[:, -answers:]

    def about(self, rows) -> dict:
        """Return what there is to know of the encoded rows, as plain data."""
        inputs, width = len(self.features), len(self.features) + (len(self.targets) if self.classes is None else 1)
        some = read_rows(self.folder / "train.rows", width, 0, min(rows["train"], MAX_SAMPLE_ROWS))
        config = config_of(some[:, :inputs], self.columns, self.notes, self.extent.extent())
        learned = self.classes
        if learned is None:
            y = some[:, inputs:]
            learned = self.problem.task.inference.learn(y, self.targets, known=self.targets_extent.extent())
            self.notes += splits.target_notes(learned)
        for column in self.described["read"]:
            name = column["name"]
            if name in self.missing:
                column["missing"] = self.missing[name]
                column["unreadable"] = self.unread.get(name, [0])[0]
            if self.differs[name]:
                column["about"] += f" but for {plural(self.differs[name], 'row')}"
            if name in self.words:
                count = len(next(c["values"] for c in self.columns if c["name"] == name))
                column |= {"categories": count, "about": plural(count, "category")}
        unread = {name: (count, cells) for name, (count, cells) in self.unread.items() if count}
        described = {column["name"]: column for column in self.columns}
        total = sum(rows.values())
        self.notes += self.doubts
        for name, (n, cells) in unread.items():
            column = described[name]
            self.notes.append(unread_line(name, column["kind"], n, total, cells, column.get("writing")))
        if self.alike:
            self.notes.append(
                "Many rows are equal, which few different ones that are possible bring about: rows are split by their "
                "place in the table too, not by their cells alone."
            )
        if self.count > self.sampled:
            self.notes.append(
                f"Kinds of columns, medians and quantiles are those of {self.sampled:,} of {self.count:,} rows; "
                "classes, categories, means and deviations are those of all."
            )
        return dict(
            task=self.problem.name,
            rows=rows,
            width=width,
            inputs=inputs,
            dtype="float32" if self.classes is None else "int32",
            single=self.classes is not None,
            config=config | learned.config,
            preprocessing=self.preprocessing(learned.classes),
            class_names=list(learned.classes),
            feature_names=list(self.features),
            target_names=list(learned.names),
            notes=self.notes,
            seen=self.described | {
                "doubts": self.doubts,
                "unread": {name: [n, cells[0][0], total] for name, (n, cells) in unread.items()},
                **({"of_class": self.of_class} if self.of_class else {}),
            },
            fingerprint=splits.fingerprint(
                self.digest.digest(), self.pieces.names, self.targets, self.problem.name,
                fingerprint_columns(self.columns), [self.seed, self.validation, self.test, self.group, rows],
            ),
        )  # fmt: skip


def _counted(column) -> dict:
    """Return cell -> how often it occurs, of a column of Arrow."""
    encoded = column.combine_chunks().dictionary_encode()
    counts = np.bincount(encoded.indices.to_numpy(), minlength=len(encoded.dictionary))
    return dict(zip(encoded.dictionary.to_pylist(), counts.tolist(), strict=True))


def _table_of(name, cells, schema):
    """Return a table of one column with these cells."""
    pa = arrow()
    return pa.table({name: pa.array(list(cells), schema.field(name).type)})


def _first(table, name):
    """Return the first cell of a column that holds anything, as Arrow has it."""
    return next(cell for cell in table.column(name) if cell.is_valid)


def _differing(column, usual):
    """Count the cells of a column that are not as usual, which is empty where that is None."""
    if usual is None:
        return len(column) - column.null_count
    if column.type != usual.type:  # of a second table, which has other types
        words = to_words(plain_of(column.drop_null()))
        return int((words != to_words([usual.as_py()])[0]).sum())
    return int(arrow("pyarrow.compute").sum(arrow("pyarrow.compute").not_equal(column, usual)).as_py() or 0)


def _tested(test):
    """Return the pieces of a second source; None without one."""
    if not splits.is_source(test):
        return None
    if of_pandas(test, "DataFrame"):
        return _Frame(test)
    if not is_table(test):
        raise KzooError(f"test={shown(test)} is not a table: give a DataFrame, or the path of a file.")
    return pieces_of(test)


class _Frame:
    """A DataFrame that is given as test data, in one piece."""

    name, files, decimal, notes = "test", (), None, ()

    def __init__(self, frame):
        self.given, self.names = frame, [str(column).strip() for column in frame.columns]

    def __iter__(self):
        for first in range(0, len(self.given), _PIECE):
            rows = self.given.iloc[first : first + _PIECE].set_axis(self.names, axis=1)
            yield Piece(settled(arrow().Table.from_pandas(rows, preserve_index=False), self.name))

    def frame(self, table, text=()):
        return table.to_pandas()
