"""Networks that were trained on random tables answer new rows alike through every door, exported and served too.

What networks see of the rows is compared to the bit in `tests/data/test_reading_is_the_same.py`.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from small_exports import write_exported

import kzoo
import kzoo.runtime

sys.path += [str(Path(__file__).parents[1] / name) for name in ("data", "serve")]
from random_tables import random_pair
from served import serving
from table_doors import (
    DOORS,
    TRAINING,
    Door,
    answers_of,
    doubtful,
    features_of,
    memory,
    sorted_by_number,
)

TABLES, NETWORKS = 200, 20


def numbers_of(predictions):
    return predictions.probabilities if predictions.values is None else predictions.values


def served_numbers(document, class_names):
    """Return the numbers of a server's answer as `numbers_of` has those of `Predictions`."""
    if not class_names:
        return np.array([row["values"] for row in document["predictions"]], np.float32)
    classes = (
        {one["label"]: one["probability"] for one in row["classes"]}
        for row in document["predictions"]
    )
    return np.array([[row[name] for name in class_names] for row in classes], np.float32)


@dataclass
class Trained:
    """A run on a random table, its exported model, and new rows that come through many doors.

    Args:
        seed: of the tables.
        door: that the run learned from.
        large: whether memory had no room for the table.
        folder: for all files.
    """

    seed: int
    door: Door
    large: bool
    folder: Path

    def __post_init__(self):
        table, self.new = map(sorted_by_number, random_pair(self.seed))
        settings = dict(
            units=(4,), epochs=1, min_steps=0, callbacks="quick", baselines=False, check=False
        )
        source = self.door.open(table, self.folder, self.seed)
        with memory(self.large, self.folder):
            self.run = kzoo.train(
                "tabular_fnn",
                source,
                target="answer",
                out=self.folder / f"run_{self.seed}",
                progress=False,
                **settings,
            )
        self.exported = write_exported(self.run, self.folder / f"table_{self.seed}")
        self.x = np.stack(
            [values for _, _, values in features_of(self.run.preprocessing, self.new)], axis=1
        )
        self.doors = [door for door in DOORS if not doubtful(self.new, (), self.door, door)]

    def sources(self, *, uploads):
        """Yield (the new rows as they come through a door, the message if they differ)."""
        for door in self.doors:
            if door.uploads == uploads:
                where = f"table {self.seed}, learned from {self.door.name}{', large' * self.large}; {door.name}"
                yield door.open(self.new, self.folder, self.seed), where

    def compare_predict(self):
        answers = numbers_of(kzoo.predict(self.run, self.x))
        for source, where in self.sources(uploads=False):
            np.testing.assert_array_equal(
                numbers_of(kzoo.predict(self.run, source)), answers, where
            )

    def compare_evaluate(self) -> int:
        """Compare scores, and return of how many doors."""
        rows = [row for row, cell in enumerate(self.new[self.new.target]) if cell.word is not None]
        if not rows:
            return 0
        y = answers_of(self.run.class_names, self.new.labelled())
        scores = kzoo.evaluate(
            self.run, (self.x[rows], np.array(self.run.class_names)[y] if self.new.classes else y)
        )
        doors = [door for door in self.doors if door.trains]
        for door in doors:
            assert kzoo.evaluate(self.run, door.open(self.new, self.folder, self.seed)) == scores, (
                self.seed,
                door.name,
            )
        return len(doors)

    def compare_exported(self):
        model = kzoo.runtime.load(self.exported)
        answers = numbers_of(model.predict(self.x))
        np.testing.assert_allclose(
            answers, numbers_of(kzoo.predict(self.run, self.x)), rtol=1e-3, atol=1e-5
        )
        for source, where in self.sources(uploads=False):
            np.testing.assert_array_equal(numbers_of(model.predict(source)), answers, where)
        for source, where in self.sources(uploads=True):
            np.testing.assert_array_equal(model.receive(source).x, self.x, where)

    def compare_served(self, server):
        answers = numbers_of(kzoo.runtime.load(self.exported).predict(self.x))
        address = f"/v1/models/{self.exported.name}/answer"
        for source, where in self.sources(uploads=True):
            if isinstance(source, bytes):
                replies = [
                    server.post(address, source, headers={"Content-Type": "text/csv"}),
                    server.post(address, files=[("file", ("rows.csv", source, "text/csv"))]),
                ]
            else:
                replies = [server.post(address, json={"inputs": source})]
            for reply in replies:
                assert reply.status_code == 200, (where, reply.text)
                numbers = served_numbers(reply.json(), self.run.class_names)
                np.testing.assert_allclose(numbers, answers, rtol=1e-5, atol=1e-6, err_msg=where)


def trainings():
    """Yield (seed, door, large) of tables that are large enough to be split, and can be read in one way only."""
    number = 0
    for seed in range(TABLES):
        table, _ = random_pair(seed)
        if len(table.labelled()) < 60 or any(column.doubtful for column in table.made.values()):
            continue
        door = TRAINING[number % len(TRAINING)]
        yield seed, door, door.is_file and number // 2 % 2 == 1
        number += 1
        if number == NETWORKS:
            return


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::kzoo.utils.errors.KzooWarning")
def test_networks_answer_the_same_through_every_door(tmp_path, untraced, undrawn):
    trained = [Trained(*training, tmp_path) for training in trainings()]
    assert len(trained) == NETWORKS
    for one in trained:
        one.compare_predict()
        one.compare_exported()
    assert sum(one.compare_evaluate() for one in trained) > 4 * NETWORKS
    with serving(tmp_path, *(one.exported for one in trained)) as server:
        for one in trained:
            one.compare_served(server)
