"""The run of the chosen model: a baseline, a network, or a mean of models."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras

from kzoo.auto.scoring import Answers
from kzoo.data.dataset import Dataset, Split
from kzoo.data.store.longer import longer_split, longer_windows
from kzoo.data.store.windows import Windows
from kzoo.evaluation.ensemble import combine, ensemble_spec, member_outputs, write_run
from kzoo.inference.postprocessors.postprocessor import (
    Postprocessor,
    learn,
    with_range_of_members,
)
from kzoo.problems.stored_types import Description, Request, TrainingSettings
from kzoo.training.stored_predictions import score_and_store
from kzoo.zoo.run import Run


def write_mean(
    folder: Path,
    data: Dataset,
    members: Sequence[Run],
    weights: Sequence[float],
    out_of_fold: Sequence[Answers],
    *,
    description: Description,
    backend: str,
    judged: Split | None = None,
    settings: TrainingSettings = MappingProxyType({}),
) -> Run:
    """Write the run of a weighted mean of models, scored on the test split, and return it.

    Its temperature, the thresholds of labels, and the scores of sets and intervals are learned on answers for rows that
    the members that gave them were not trained on.

    Args:
        folder: of the run.
        data: the `Dataset`; its validation rows were used by members, and are not scored.
        members: runs that read the same inputs; windows of a series may differ in length.
        weights: (members,) with the sum 1.
        out_of_fold: answers of the mean for development rows.
        description: the `Description` of the data.
        backend: the Keras backend.
        judged: windows of a series that the answers, ordered by row, are for; None of other data.
        settings: training settings, such as the objective by which it was chosen.
    """
    started = time.perf_counter()
    classes = data.problem.gives_probabilities
    windows = isinstance(data.train.x, Windows)
    inputs, outputs = member_outputs(members, classes, [None] * len(members), last_steps=windows)
    reader = members[0]
    if windows:  # the longest
        reader = max(members, key=lambda run: run.preprocessing["steps"])
        data = longer_windows(data, reader.preprocessing["steps"])
        judged = None if judged is None else longer_split(judged, reader.preprocessing["steps"])
    model = keras.Model(inputs, combine(outputs, "weighted", weights, classes), name="ensemble")
    spec = ensemble_spec(members, "weighted")
    spec = replace(spec, training={**spec.training, **settings})
    if windows:
        spec = replace(spec, config={**spec.config, "input_shape": data.config["input_shape"]})
    request = Request(data=description, spec=spec)
    answers = Answers.together(out_of_fold)
    once = answers.once()
    stored = [run.postprocessing for run in members]
    steps = with_range_of_members(_learned_steps(data, answers), stored)
    rows = [dict(run=run.path.name, preset=run.spec.preset, seed=run.spec.seed) for run in members]
    folder.mkdir(parents=True, exist_ok=True)
    return write_run(
        folder,
        request,
        model,
        config={"backend": backend, "statistics": reader.config.get("statistics")},
        preprocessing=reader.preprocessing,
        steps=steps,
        score=lambda: score_and_store(
            model,
            replace(data, validation=None),
            folder,
            logits=False,
            postprocessor=steps,
            settings=request.spec.training,
            out_of_fold=(once.of_network, once.truth),
            judged=judged,
        ),
        describe=lambda scores: dict(
            method="weighted",
            metric=None,
            members=rows,
            weights=[float(weight) for weight in weights],
            split="test",
            best_member=None,
            gain=None,
        ),
        started=started,
    )


def _learned_steps(data: Dataset, answers: Answers) -> Postprocessor | None:
    """Return the temperature and the thresholds that are learned on answers for rows that were not trained on."""
    names = [*data.problem.task.postprocess]
    if data.problem.gives_probabilities and data.problem.keeps_predictions:
        names = ["temperature_scaling", *names]
    if not names:
        return None
    options: Any = dict(target=data.target, logits=False, rows="out of fold", weight=answers.weight)
    return learn(names, answers.of_network, answers.truth, **options)
