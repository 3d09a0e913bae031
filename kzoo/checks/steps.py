"""Checks of gradients: whether they reach every layer, and whether the network can memorise a few rows."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from kzoo.checks.finding import Finding, check, error, warning
from kzoo.checks.probe import shell_of
from kzoo.checks.subject import Subject, read
from kzoo.utils.formatting import listed, plural
from kzoo.zoo.gradients import free_traced_functions, weight_gradients
from kzoo.zoo.loss_info import loss_function

_MEMORISED_ROWS = 8  # rows to memorise
_STEPS = 60
_RATES = (1e-3, 1e-2)
_LEARNED = 0.7  # share of the initial loss
_VANISHED, _EXPLODED = 1e-6, 1e4
# share of kernels with tiny gradients that is normal, as in the gates of EfficientNet's blocks
_MAX_VANISHED = 0.03


_BIAS = "bias"  # end of the names of Keras' biases


@check("steps", "probe")
def gradients(subject: Subject) -> Iterator[Finding]:
    """Find gradients that are missing, vanish or explode."""
    loss, (x, y) = loss_function(subject.model), subject.batch
    variables = subject.model.trainable_variables
    # `nothing_to_train` reports a network without trainable weights
    if loss is None or not variables:
        return
    with _unchanged(subject.model.variables):
        gradient_list = weight_gradients(
            shell_of(subject.model) or subject.model, lambda answers: loss(y, answers), x
        )
    sizes = [
        None if gradient is None else float(np.linalg.norm(gradient.astype("float64")))
        for gradient in gradient_list
    ]
    reached = [size for size in sizes if size is not None]
    model = f"model {subject.model.name!r}"
    if not all(map(np.isfinite, reached)):
        yield error(
            "The first gradient is NaN or infinite",
            where=f"weight {_path(variables, sizes, lambda size: size is not None and not np.isfinite(size))}",
            why="Every weight would be NaN after one step.",
            fix="Look for a square root or logarithm of 0 in the network or loss, and scale inputs and targets.",
        )
        return
    if not reached or max(reached) == 0:
        yield error(
            "No weight gets a gradient",
            where=model,
            why="Training would not change the network.",
            fix="Look for dead layers, rounding or argmax, and for a loss that does not depend on the outputs.",
        )
        return
    if unreached := [
        variable.path for variable, size in zip(variables, sizes, strict=True) if size is None
    ]:
        yield warning(
            f"{plural(len(unreached), 'weight')} {'has' if len(unreached) == 1 else 'have'} no effect on the loss",
            where=listed(unreached),
            why="They keep their random initial values.",
            fix="Connect their layers to the output, or remove them.",
        )
    # Biases are skipped: the key bias of attention has no gradient by construction.
    kernels = [
        (variable.path, size)
        for variable, size in zip(variables, sizes, strict=True)
        if size is not None and not variable.name.endswith(_BIAS)
    ]
    vanished = [path for path, size in kernels if size < _VANISHED * max(reached)]
    if len(vanished) > _MAX_VANISHED * len(kernels):
        # JAX returns 0, not None, for a weight that the loss does not depend on.
        zero = all(size == 0 for path, size in kernels if path in vanished)
        yield warning(
            f"The first gradient of {plural(len(vanished), 'weight')} is "
            + ("0" if zero else "less than a millionth of the largest one"),
            where=listed(vanished),
            why="These layers do not learn: the loss does not depend on them, or their gradient vanishes."
            if zero
            else "These layers hardly learn, because their gradient vanishes.",
            fix=("Connect them to the output. If they are connected, use" if zero else "Use")
            + " fewer layers or steps, relu or gates, normalisation, or skip connections.",
        )
    total_norm = float(np.sqrt(np.sum(np.square(reached))))
    if total_norm > _EXPLODED and not _clips_gradients(subject.model):
        yield warning(
            f"The first gradient has a norm of {total_norm:.2g}",
            where=model,
            why="A single step may change the weights so much that the loss jumps or becomes NaN.",
            fix="Scale inputs and targets, and clip gradients: global_clipnorm=1.",
        )


def _path(
    variables: Sequence[keras.Variable],
    sizes: Sequence[float | None],
    matches: Callable[[Any], bool],
) -> str:
    return next(
        variable.path for variable, size in zip(variables, sizes, strict=True) if matches(size)
    )


def _clips_gradients(model: keras.Model) -> bool:
    optimizer = getattr(model, "optimizer", None)
    return any(
        getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue")
    )


@check("steps", "probe")
def few_rows_by_heart(subject: Subject) -> Iterator[Finding]:
    """Find a network that cannot memorise eight rows, so it cannot be expected to learn from thousands."""
    clone = shell_of(subject.model)
    if (
        clone is None
        or loss_function(subject.model) is None
        or not subject.model.trainable_variables
    ):
        return
    x, y = (
        part[:: max(1, len(part) // _MEMORISED_ROWS)][:_MEMORISED_ROWS] for part in subject.batch
    )
    x, y = _without_conflicts(x, y)
    losses = []
    clone.compile(optimizer=keras.optimizers.Adam(global_clipnorm=1.0), loss=subject.model.loss)
    clone.optimizer.build(clone.trainable_variables)  # otherwise TensorFlow traces the step twice
    with free_traced_functions():
        for rate in _RATES:
            with _unchanged([*subject.model.variables, *clone.optimizer.variables]):
                clone.optimizer.learning_rate = rate
                losses = _losses(clone, x, y)
            if min(losses) <= _LEARNED * losses[0] or losses[0] < 1e-3:
                return
    yield warning(
        f"The network cannot memorise {len(x)} training rows: loss {losses[0]:.3g}, after {len(losses)} steps "
        f"{min(losses):.3g}",
        where=f"model {subject.model.name!r}",
        why="A connected network of sufficient size memorises a few rows within seconds.",
        fix="Check scaling, labels, loss and last activation; then frozen layers and dropout.",
    )


def _losses(model: keras.Model, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Return the loss of each step on the same rows, until it is clearly low enough."""
    # step by step: the overhead of an epoch of `fit` made this up to eight times slower
    losses: list[float] = []
    while len(losses) < _STEPS and not (losses and losses[-1] < 0.8 * _LEARNED * losses[0]):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    return losses


def _without_conflicts(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows without those that repeat an earlier input."""
    _, first = np.unique(x.reshape(len(x), -1), axis=0, return_index=True)
    first = np.sort(first)
    return read(x, first), read(y, first)


@contextmanager
def _unchanged(variables: Sequence[keras.Variable]) -> Iterator[None]:
    """Restore weights, seeds and optimizer variables when the block ends."""
    saved = [keras.ops.convert_to_numpy(v.value).copy() for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, saved, strict=True):
            variable.assign(value)
