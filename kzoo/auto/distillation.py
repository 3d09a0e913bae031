"""One network that learns the answers of a mean of models beside the labels.

Hinton et al. 2015, arXiv:1503.02531: the targets of a student are mixed from the labels and the answers of a teacher.
Here these are the answers for rows that no member that gave them was trained on. Only classes have such targets: on
four tables with values, networks that learned values between labels and answers were behind those that learned labels.
"""

import time
from collections.abc import Sequence
from dataclasses import replace

import keras
import numpy as np

from kzoo.auto.choice import Difference
from kzoo.auto.scoring import Answers, PrimaryScore
from kzoo.data.dataset import Dataset
from kzoo.data.store.pooled import subset
from kzoo.evaluation.ensemble import member_outputs
from kzoo.utils.files import read_json, write_json
from kzoo.utils.formatting import in_bytes
from kzoo.zoo.run import Run

SHARE = 0.5  # of the teacher in the targets
_TIMED_ROWS, _TIMINGS = 32, 10


def with_soft_targets(data: Dataset, answers: Answers) -> Dataset | None:
    """Return the data with training rows whose targets are mixed from the labels and a teacher's answers.

    Args:
        data: the `Dataset`; its validation and test rows stay as they are.
        answers: of the teacher, each row once; rows are numbered among the training and validation rows.

    Returns:
        None if the task has no such targets, or if the teacher has no answers for some of the training rows.
    """
    count = len(data.train)
    order = np.argsort(answers.rows)
    if not np.array_equal(answers.rows[order][:count], np.arange(count)):
        return None
    truth = np.asarray(data.train.y[np.arange(count)])
    if not np.array_equal(answers.truth[order[:count]], truth):
        return None
    soft = data.problem.soft_targets(truth, answers.outputs[order[:count]], SHARE)
    if soft is None:
        return None
    indices, targets, weight = soft
    rows = subset(data.train, indices)
    weight = weight if rows.weight is None else weight * rows.weight
    return replace(data, train=replace(rows, y=targets, weight=weight))


def describe_student(student: Run, teacher: Run, data: Dataset) -> Run:
    """Store in a run that it was distilled, and from what; its data is described as it was loaded. Return the run."""
    file = student.path / "config.json"
    config = read_json(file)
    config["data"]["train"] = len(data.train)
    members = [dict(preset=member.spec.preset, run=member.run) for member in teacher.spec.members]
    config["distilled"] = dict(share=SHARE, members=members)
    write_json(file, config)
    return Run(student.path)


def footprint(run: Run, data: Dataset) -> str:
    """Return the size of a network's file and its latency as text, such as "0.4 MB, 12 ms for 32 rows"."""
    x = np.asarray(data.train.x[np.arange(min(_TIMED_ROWS, len(data.train)))])
    model = run.model
    seconds = []
    for _ in range(_TIMINGS + 1):
        started = time.perf_counter()
        model.predict_on_batch(x)
        seconds.append(time.perf_counter() - started)
    milliseconds = 1000 * float(np.median(seconds[1:]))
    return f"{in_bytes(run.model_file.stat().st_size)}, {milliseconds:.3g} ms for {len(x)} rows"


def gain_over_members(
    student: Answers,
    members: Sequence[Run],
    data: Dataset,
    score: PrimaryScore,
    groups: np.ndarray,
) -> Difference:
    """Return how much better a student is on test rows than networks of its preset that were not distilled.

    Args:
        student: its answers for test rows.
        members: the networks of the folds; the gains over each are averaged.
        data: the `Dataset`.
        score: by which they are compared.
        groups: (N,) rows of a group depend on each other.
    """
    assert data.test is not None
    classes = data.problem.gives_probabilities
    x = data.test.x[student.rows]
    answers = []
    for run in members:
        inputs, outputs = member_outputs([run], classes, [None])
        predicted = keras.Model(inputs, outputs[0]).predict(x, verbose=0)
        answers.append(replace(student, outputs=predicted.reshape(student.outputs.shape)))
    return score.difference([student] * len(answers), answers, groups)
