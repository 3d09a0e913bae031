"""A model's answers to a split, and their scores, which the way of answering computes: not by Keras' metrics."""

import keras
import numpy as np

from kzoo.data.pipeline import Batches
from kzoo.errors import KzooError
from kzoo.tasks import Scored


def score_split(model, part, data, *, batch_size=128) -> Scored:
    """Score one split of a data set with a model whose answers are in the targets' own unit."""
    batches = _answered(model, part, batch_size)
    return data.problem.task.scoring.score(batches, data.target, logits=gives_logits(model))


def gives_logits(model):
    """Say whether a model's answers are logits (True) or probabilities (False); None where its last layer is silent."""
    activation = getattr(model.layers[-1], "activation", None)
    return {"linear": True, "sigmoid": False, "softmax": False}.get(getattr(activation, "__name__", ""))


def forward(model, x, size):
    """Return the answers to at most `size` rows, filled up to `size`: one shape, so that nothing is traced twice."""
    rows, takes = len(x), model.input_shape
    if isinstance(takes, tuple) and not _fit(x.shape, takes):
        raise KzooError(f"The inputs have the shape {x.shape[1:]}, and the model takes {takes[1:]}: they do not fit.")
    if rows < size:
        x = np.concatenate([x, np.repeat(x[:1], size - rows, axis=0)])
    return np.asarray(keras.ops.convert_to_numpy(model.predict_on_batch(x)), dtype="float32")[:rows]


def _fit(shape, takes):
    return len(shape) == len(takes) and all(b in (None, a) for a, b in zip(shape[1:], takes[1:], strict=True))


def _answered(model, part, batch_size):
    """Yield (answers, truth) a batch at a time."""
    batches = Batches(part, batch_size=batch_size)
    for step in range(len(batches)):
        x, y = batches.batch(0, step)
        answers = forward(model, x, min(batch_size, len(part)))
        if not np.isfinite(answers).all():
            raise KzooError("The model's answers are not finite: its weights went to NaN or infinity in training.")
        yield answers, np.asarray(y)
