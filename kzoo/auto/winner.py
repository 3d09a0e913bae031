"""The run of the chosen model: a baseline, a network, or a mean of models."""

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from kzoo import __version__
from kzoo.auto.scoring import Answers
from kzoo.dataset.dataset import Dataset
from kzoo.evaluation.ensemble import combine, member_outputs, shared_settings
from kzoo.postprocessors.postprocessor import Postprocessor, learn
from kzoo.run import POSTPROCESSING, Run
from kzoo.stored_types import Member, Request, Spec
from kzoo.training.provenance import provenance
from kzoo.training.stored_predictions import score_and_store
from kzoo.utils.files import finite, whole_file, write_json


def write_mean(
    folder: Path,
    data: Dataset,
    members: Sequence[Run],
    weights: Sequence[float],
    out_of_fold: Sequence[Answers],
    *,
    description: Any,
    backend: str,
) -> Run:
    """Write the run of a weighted mean of models, scored on the test split, and return it.

    Its temperature, the thresholds of labels, and the scores of sets and intervals are learned on answers for rows that
    the members that gave them were not trained on.

    Args:
        folder: of the run.
        data: the `Dataset`; its validation rows were used by members, and are not scored.
        members: runs that read the same inputs.
        weights: (members,) with the sum 1.
        out_of_fold: answers of the mean for development rows.
        description: the `Description` of the data.
        backend: the Keras backend.
    """
    started = time.perf_counter()
    facts = data.problem.facts
    classes = "probabilities" in facts
    inputs, outputs = member_outputs(members, classes, [None] * len(members))
    model = keras.Model(inputs, combine(outputs, "weighted", weights, classes), name="ensemble")
    specs = tuple(
        Member(spec=run.spec, run=run.path.name, created=run.config["created"]) for run in members
    )
    spec = Spec(
        preset="ensemble",
        family=None,
        task=data.task,
        config=shared_settings([run.spec.config for run in members]),
        training=shared_settings([run.spec.training for run in members]),
        method="weighted",
        members=specs,
        kzoo=__version__,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "preprocessing.json", members[0].preprocessing)
    request = Request(data=description, spec=spec)
    statistics = {"statistics": members[0].config.get("statistics")}
    write_json(
        folder / "config.json",
        request.json() | {"command": None, "backend": backend} | statistics | provenance(),
    )
    answers = Answers.together(out_of_fold)
    options: dict[str, Any] = dict(logits=False, settings=spec.training)
    if (steps := _learned_steps(data, answers)) is not None:
        options["postprocessor"] = steps
        write_json(folder / POSTPROCESSING, steps.json())
    with whole_file(folder / "best.keras") as temporary:
        model.save(temporary)
    once = answers.once()
    scores = score_and_store(
        model,
        replace(data, validation=None),
        folder,
        out_of_fold=(once.outputs, once.truth),
        **options,
    )
    rows = [dict(run=run.path.name, preset=run.spec.preset, seed=run.spec.seed) for run in members]
    summary = dict(
        **scores,
        ensemble=dict(
            method="weighted",
            metric=None,
            members=rows,
            weights=[float(weight) for weight in weights],
            split="test",
            best_member=None,
            gain=None,
        ),
        seconds=round(time.perf_counter() - started, 2),
        parameters=model.count_params(),
    )
    write_json(folder / "summary.json", finite(summary))
    return Run(folder)


def _learned_steps(data: Dataset, answers: Answers) -> Postprocessor | None:
    """Return the temperature and the thresholds that are learned on answers for rows that were not trained on."""
    names = [*data.problem.task.postprocess]
    if data.problem.facts >= {"probabilities", "kept"}:
        names = ["temperature_scaling", *names]
    if not names:
        return None
    options: Any = dict(target=data.target, logits=False, rows="out of fold", weight=answers.weight)
    return learn(names, answers.outputs, answers.truth, **options)
