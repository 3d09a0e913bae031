"""Predictions for a split and their scores, computed by the task and not by Keras' metrics."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeAlias

import keras
import numpy as np

from kzoo.data.batch_memory import rows_at_once
from kzoo.data.pipeline import Batches
from kzoo.data.sample import sample_split
from kzoo.inference.postprocessors import error_vectors
from kzoo.inference.postprocessors.decision import scoring_arguments
from kzoo.inference.postprocessors.postprocessor import Postprocessor, learn
from kzoo.inference.predictions import ANSWERS, Predictions, logits_of
from kzoo.inference.tasks.weighted import score_weighted
from kzoo.problems.kinds import Kind, kind, shape_matches
from kzoo.problems.stored_types import TrainingSettings
from kzoo.problems.tasks import Pairs, Scored
from kzoo.training.conformal import moments_of, of_series
from kzoo.training.error_vectors import scores_of_means
from kzoo.utils.errors import KzooError
from kzoo.zoo.loss_info import last_activation, loss_info
from kzoo.zoo.registry.arguments import TTA

if TYPE_CHECKING:
    from kzoo.data.dataset import Dataset, Split
    from kzoo.zoo.run import Run


# from inputs to (share, inputs) pairs, whose outputs are summed with these shares
Views: TypeAlias = Callable[[np.ndarray], Iterable[tuple[float, np.ndarray]]]


def score_split(
    model: keras.Model,
    split: "Split",
    data: "Dataset",
    *,
    logits: bool | None,
    postprocessor: Postprocessor | None = None,
    settings: TrainingSettings | None = None,
    batch_size: int = 128,
    tta: str | None = None,
    kept: list[tuple[np.ndarray, np.ndarray]] | None = None,
) -> Scored:
    """Return the scores of a model on one split of a data set; with row weights also those without weights.

    A split that is not in memory is sampled (see `kzoo.data.sample`).

    Args:
        model: a model whose outputs are in the targets' unit.
        split: the `Split`.
        data: the `Dataset` that it belongs to.
        logits: whether outputs for classes are logits (see `gives_logits`).
        postprocessor: the run's `Postprocessor`, or None.
        settings: training settings: the objective, costs and positive class are scored too.
        batch_size: examples per step.
        tta: the test-time augmentation, or None.
        kept: a list to which (outputs before postprocessing, truth) of each batch are appended, or None.
    """
    views = tta_views(kind(data.inputs), tta)
    fitting = kind(data.inputs).fitting
    split = sample_split(split)
    batches: Any = _predict_batches(model, split, batch_size, views)
    if kept is None and postprocessor is not None and postprocessor.step(error_vectors.NAME):
        kept = []
    if kept is not None:
        batches = _kept(batches, kept)
    if postprocessor is not None:
        batches = (
            (postprocessor.outputs(outputs, logits=logits), truth) for outputs, truth in batches
        )
    options = {}  # only the `score` of forecasts takes `beside`
    if data.problem.ordered and hasattr(fitting, "simple_forecasts"):
        options = {
            "beside": fitting.simple_forecasts(data.preprocessing, split),
            "scales": fitting.seasonal_scales(data.preprocessing, data, split),
        }
    target, deciding = scoring_arguments(settings, data, postprocessor)
    scored = score_weighted(
        data.problem.task.scoring.score,
        batches,
        target,
        logits=logits,
        weight=split.weight,
        objective=(settings or {}).get("objective"),
        **options,
        **deciding,
    )
    judged = getattr(data.problem.task.scoring, "judged", None)
    moments = moments_of(split)
    if judged is not None and data.problem.ordered and moments is not None:
        scored = judged(scored, target, of_series(Predictions(), data, split), moments)
    if kept is None:
        return scored
    means = scores_of_means(kept, split, data, postprocessor, logits=logits)
    return replace(scored, scores=scored.scores | means)


def _kept(
    batches: Pairs, kept: list[tuple[np.ndarray, np.ndarray]]
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield pairs, and append each to a list."""
    for pair in batches:
        kept.append(pair)
        yield pair


def learned_postprocessor(
    model: keras.Model,
    data: "Dataset",
    names: Sequence[str],
    *,
    logits: bool | None,
    settings: TrainingSettings | None = None,
    batch_size: int = 128,
) -> Postprocessor:
    """Return a postprocessor whose steps are learned on the validation split (see `kzoo.inference.postprocessors`).

    Args:
        model: the model, with its best weights.
        data: a `Dataset` with a validation split.
        names: names of the steps.
        logits: see `gives_logits`.
        settings: training settings.
        batch_size: examples per step.
    """
    split = sample_split(data.validation)
    assert split is not None
    outputs, truth = outputs_of(model, split, batch_size)
    return learn(
        names,
        outputs,
        truth,
        target=data.target,
        logits=logits,
        rows="validation",
        settings=settings,
        weight=split.weight,
    )


def gives_logits(model: keras.Model, loss: str | None = None) -> bool | None:
    """Return whether a model's outputs are logits (True), probabilities (False) or neither (None; see `logits_of`).

    Args:
        loss: name of the loss that the model was trained with; by default, that of the compiled model.
    """
    compiled, activation = loss_info(model), last_activation(model)
    outputs: Any = getattr(model, "outputs", None)
    single = bool(outputs) and outputs[0].shape[-1] == 1
    logits = logits_of(
        activation, loss or (None if compiled is None else compiled.name), single=single
    )
    if loss is not None or getattr(model, "loss", None) is None:
        return logits
    # A custom model: `from_logits` of its loss decides for linear and unknown last activations.
    if compiled is None or not compiled.name.endswith("crossentropy"):
        return None if logits else logits
    if activation in (None, "linear"):
        return compiled.from_logits if activation is None else compiled.from_logits or None
    return logits


def run_gives_logits(run: "Run") -> bool | None:
    """Return what `gives_logits` returned when a run was trained: the stored model does not have its loss."""
    if run.spec.members:  # an ensemble averages probabilities
        return False
    stored = run.config.get("answers")
    if stored is None:  # a run of an older version
        return gives_logits(run.model, run.spec.training.get("loss"))
    return ANSWERS.get(stored)


def tta_views(kind: Kind, tta: str | None) -> Views | None:
    """Return the function from inputs to their views for a test-time augmentation; None without one.

    Args:
        kind: the `Kind` of the inputs.
        tta: "mirror", "shift" or None.

    Raises:
        KzooError: `tta` is unknown, or the kind does not support it.
    """
    if tta is None:
        return None
    if tta not in TTA:
        raise KzooError(f"is unknown. Use one of: {', '.join(TTA)}.", argument="tta", value=tta)
    if not hasattr(kind.inference, "views"):
        raise KzooError(
            f"is for images, and this model takes {kind.name} as inputs. Leave it out.",
            argument="tta",
            value=tta,
        )
    return lambda x: kind.inference.views(x, tta)


def forward(model: keras.Model, x: np.ndarray, size: int, views: Views | None = None) -> np.ndarray:
    """Return the outputs for at most `size` rows, which are padded to `size`, so that the model is traced only once.

    Fewer rows are computed at once if their layers would take too much memory (see `rows_at_once`).

    Args:
        model: the model.
        x: its inputs, at most `size` rows.
        size: number of rows to predict.
        views: function from x to (weight, view) pairs, whose outputs are summed with these weights; None for only x.
    """
    if views is not None:
        return np.sum(
            [np.float32(share) * forward(model, view, size) for share, view in views(x)], axis=0
        )
    if (at_once := rows_at_once(model, size)) < size:
        starts = range(0, max(len(x), 1), at_once)
        return np.concatenate(
            [forward(model, x[start : start + at_once], at_once) for start in starts]
        )
    rows = len(x)
    expected = model.input_shape
    if rows and getattr(model, "output_shape", None) == (None, size, 1):
        # with as many windows as steps, networks of earlier versions add the level of a window wrongly
        size += 1
    if isinstance(expected, tuple) and not shape_matches(x.shape[1:], expected[1:]):
        raise KzooError(
            f"The inputs have shape {x.shape[1:]}, but the model takes inputs of shape {expected[1:]}."
        )
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x)), dtype="float32")[:rows]


def outputs_of(
    model: keras.Model, split: "Split", batch_size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outputs of a model for a split, and its truth."""
    batches = list(_predict_batches(model, split, batch_size))
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    return outputs, truth


def _predict_batches(
    model: keras.Model, split: "Split", batch_size: int, views: Views | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (outputs, truth) for each batch."""
    batches = Batches(split, batch_size=batch_size)
    for step in range(len(batches)):
        x, y = batches.batch(0, step)[:2]
        outputs = forward(model, x, min(batch_size, len(split)), views)
        if not np.isfinite(outputs).all():
            raise KzooError(
                "The model's outputs are not finite: its weights became NaN or infinite in training."
            )
        yield outputs, np.asarray(y)
