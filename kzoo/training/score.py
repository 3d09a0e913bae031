"""A model's answers to a split, and their scores, which the way of answering computes: not by Keras' metrics."""

from typing import Any

import keras
import numpy as np

from kzoo.checks.losses import last_activation, loss_info
from kzoo.data.pipeline import Batches
from kzoo.dataset.sample import sampled
from kzoo.kinds import fits, kind
from kzoo.postprocessors.postprocessor import Postprocessor, learn
from kzoo.predictions import ANSWERS, logits_of
from kzoo.registry.arguments import TTA
from kzoo.tasks import Scored
from kzoo.utils.errors import KzooError


def score_split(model, part, data, *, logits, postprocessor=None, batch_size=128, tta=None) -> Scored:
    """Score one split of a data set with a model whose answers are in the targets' own unit.

    Of a split that does not lie in memory, it is a sample (see `kzoo.dataset.sample`).

    Args:
        logits: what they are where they name classes (see `gives_logits`).
        postprocessor: the run's `Postprocessor`; None for none.
        tta: the test-time augmentation, or None.
    """
    views, learn = views_of(kind(data.inputs), tta), kind(data.inputs).fitting
    part = sampled(part)
    batches = _answered(model, part, batch_size, views)
    if postprocessor is not None:
        batches = ((postprocessor.outputs(outputs, logits=logits), truth) for outputs, truth in batches)
    more = {}  # of tasks that are no forecasts, `score` takes nothing beside
    if "ordered" in data.problem.facts and hasattr(learn, "simple_forecasts"):
        more = {"beside": learn.simple_forecasts(data.preprocessing, part)}
    if part.weight is not None:
        more["weight"] = part.weight
    return data.problem.task.scoring.score(batches, data.target, logits=logits, **more)


def learned_postprocessor(model, data, names, *, logits, batch_size=128) -> Postprocessor:
    """Return postprocessing steps that are learned on the validation split (see `kzoo.postprocessors`).

    Args:
        model: with its best weights.
        data: a `Dataset` with a validation split.
        names: of the steps.
        logits: see `gives_logits`.
    """
    batches = list(_answered(model, sampled(data.validation), batch_size))
    outputs, truth = (np.concatenate(column) for column in zip(*batches, strict=True))
    return learn(names, outputs, truth, target=data.target, logits=logits, rows="validation")


def gives_logits(model, loss=None):
    """Say whether a model's answers are logits (True), probabilities (False) or neither (None; see `logits_of`).

    Args:
        loss: the name of what it was trained with; by default that of the compiled model.
    """
    compiled, ends = loss_info(model), last_activation(model)
    outputs: Any = getattr(model, "outputs", None)
    single = bool(outputs) and outputs[0].shape[-1] == 1
    found = logits_of(ends, loss or (compiled and compiled.name), single=single)
    if loss is not None or getattr(model, "loss", None) is None:
        return found
    # A model of one's own: its loss says what a plain number at its end is, and what an end that is not known gives.
    if compiled is None or not compiled.name.endswith("crossentropy"):
        return None if found else found
    if ends in (None, "linear"):
        return compiled.from_logits if ends is None else compiled.from_logits or None
    return found


def run_gives_logits(run):
    """Say the same of a run's model: as its training wrote it down, for the stored model has forgotten its loss."""
    if run.spec.members:  # an ensemble joins probabilities
        return False
    said = run.config.get("answers")
    if said is None:  # of before that was written down
        return gives_logits(run.model, run.spec.training.get("loss"))
    return ANSWERS.get(said)


def views_of(kind, tta):
    """Return the function from inputs to their views that a test-time augmentation asks for; None for none.

    Args:
        kind: the `Kind` of the inputs.
        tta: "mirror", "shift" or None.

    Raises:
        KzooError: no such one, or a kind that has no views.
    """
    if tta is None:
        return None
    if tta not in TTA:
        raise KzooError(f"tta={tta!r} is unknown. Use one of: {', '.join(TTA)}.")
    if not hasattr(kind.inference, "views"):
        raise KzooError(f"tta={tta!r} is for images, and this model reads {kind.name}: leave it out.")
    return lambda x: kind.inference.views(x, tta)


def forward(model, x, size, views=None):
    """Return the answers to at most `size` rows, filled up to `size`: one shape, so that nothing is traced twice.

    Args:
        views: what makes (share, x) pairs of x, whose answers are joined by these shares; None for x alone.
    """
    if views is not None:
        return sum(np.float32(share) * forward(model, view, size) for share, view in views(x))
    rows, takes = len(x), model.input_shape
    if isinstance(takes, tuple) and not fits(x.shape[1:], takes[1:]):
        raise KzooError(f"The inputs have the shape {x.shape[1:]}, and the model takes {takes[1:]}: they do not fit.")
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x)), dtype="float32")[:rows]


def _answered(model, part, batch_size, views=None):
    """Yield (answers, truth) a batch at a time."""
    batches = Batches(part, batch_size=batch_size)
    for step in range(len(batches)):
        x, y = batches.batch(0, step)[:2]
        answers = forward(model, x, min(batch_size, len(part)), views)
        if not np.isfinite(answers).all():
            raise KzooError("The model's answers are not finite: its weights went to NaN or infinity in training.")
        yield answers, np.asarray(y)
