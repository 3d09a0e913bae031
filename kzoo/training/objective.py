"""The objective of the whole validation split after each epoch, computed by the task and not by Keras' metrics."""

import math
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from kzoo.inference.postprocessors.decision import scoring_arguments, settings_of
from kzoo.inference.postprocessors.postprocessor import Postprocessor, learn
from kzoo.problems.objectives import Objective, score_of_values
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Pairs
from kzoo.training.score import forward
from kzoo.utils.errors import KzooError
from kzoo.zoo.results import value_of

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset
    from kzoo.data.pipeline import Batches
    from kzoo.training.setup import TrainingSetup


class EpochObjective(keras.callbacks.Callback):
    """Add the objective of the whole validation split to the logs of each epoch. Before the bundle, which reads it.

    It is computed by the task from all outputs at once: a mean over batches would be another number for most scores.

    Args:
        setup: the `TrainingSetup`; its training settings have an objective that Keras does not report.
        batches: the `Batches` to validate on.
    """

    def __init__(self, setup: "TrainingSetup", batches: "Batches") -> None:
        super().__init__()
        # In a namespace, so that the journal does not store it.
        self.state = SimpleNamespace(setup=setup, batches=batches)

    def on_train_begin(self, logs: Mapping[str, float] | None = None) -> None:
        objective = self.state.setup.training["objective"]
        if not isinstance(objective, Objective):
            raise KzooError(
                "is a function. Pass it again, as kzoo.objective(function).",
                argument="objective",
                value=objective,
            )
        value = self._value()
        if value is None:
            raise KzooError(
                "cannot be computed on the validation split, which may lack a class or "
                "vary too little. Set a larger validation=, or another objective.",
                argument="objective",
                value=str(objective),
            )

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        value = self._value()
        if logs is not None:
            logs[self.state.setup.training["monitor"]] = math.nan if value is None else value

    def _value(self) -> float | None:
        setup, batches = self.state.setup, self.state.batches
        distribution = keras.distribution.distribution()
        keras.distribution.set_distribution(None)  # the last batch may be too short to split evenly
        try:
            return objective_value(self.model, setup, batches)
        finally:
            keras.distribution.set_distribution(distribution)


def objective_value(model: keras.Model, setup: "TrainingSetup", batches: "Batches") -> float | None:
    """Return the objective of a model on the whole split of some batches; None if it is undefined there."""
    training, data, logits = setup.training, setup.data, setup.gives_logits
    split, size = batches.split, min(batches.batch_size, len(batches.split))

    def outputs_and_truth() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        rows = type(batches)(split, batch_size=size)
        for step in range(len(rows)):
            x, y = rows.batch(0, step)[:2]
            outputs = forward(model, x, size)
            if setup.standardize is not None:
                offset, scale = (_per_output(part, outputs.shape[-1]) for part in setup.standardize)
                outputs = outputs * scale + offset
            yield outputs, np.asarray(y)

    pairs = outputs_and_truth()
    postprocessor = None
    if steps := training.get("postprocess"):
        outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
        options: dict[str, Any] = dict(target=data.target, logits=logits, weight=split.weight)
        if not np.isfinite(outputs).all():
            return None
        postprocessor = learn(
            steps, outputs, truth, rows="validation", settings=training, **options
        )
        pairs = iter([(postprocessor.outputs(outputs, logits=logits), truth)])
    return score_of(
        training["objective"],
        pairs,
        data,
        training,
        postprocessor,
        logits=logits,
        weight=split.weight,
    )


def _per_output(values: np.ndarray, outputs: int) -> np.ndarray:
    """Return a value per target as one per output: of a target with several quantiles, each has that of the target."""
    values = np.atleast_1d(np.asarray(values, "float32"))
    return np.repeat(values, outputs // len(values))


def score_of(
    objective: Objective,
    pairs: Pairs,
    data: "Dataset",
    settings: TrainingSettings,
    postprocessor: Postprocessor | None = None,
    *,
    logits: bool | None,
    weight: np.ndarray | None = None,
) -> float | None:
    """Return one score of (outputs, truth) pairs; None if it is undefined, or outputs are not finite.

    Args:
        objective: the `Objective`.
        pairs: (outputs, truth) of each batch.
        data: the `Dataset`.
        settings: training settings.
        postprocessor: its step of stage "decide" is the decision; None for the most probable class, and for labels
            from a probability of a half on.
        logits: see `kzoo.training.score.gives_logits`.
        weight: (N,) sample weights, or None.
    """
    problem = data.problem
    options: dict[str, Any] = {}
    if weight is not None:
        options["weight"] = np.asarray(weight)
    if problem.keeps_predictions:
        outputs, truth = (np.concatenate(column) for column in zip(*pairs, strict=True))
        if not np.isfinite(outputs).all():
            return None
        pairs = [(outputs, truth)]
        if objective.function is not None and "values" in problem.facts:
            return score_of_values(objective, truth, outputs, options.get("weight"))
    known = settings_of(settings) | {"objective": objective}
    target, deciding = scoring_arguments(known, data, postprocessor)
    scores = problem.task.scoring.score(pairs, target, logits=logits, **options, **deciding).scores
    return value_of(scores, str(objective))
