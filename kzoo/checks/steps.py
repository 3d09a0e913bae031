"""Checks that take gradients: do they reach every layer, and can the network learn a few rows by heart?"""

from contextlib import contextmanager

import keras
import numpy as np

from kzoo.checks.finding import check, error, warning
from kzoo.checks.losses import loss_function
from kzoo.checks.probe import shell_of
from kzoo.checks.subject import read
from kzoo.gradients import traces_let_go, weight_gradients
from kzoo.utils.formatting import listed

_FEW = 8  # rows to learn by heart
_STEPS, _RATES = 60, (1e-3, 1e-2)
_LEARNED = 0.7  # of the first loss
_VANISHED, _EXPLODED = 1e-6, 1e4
_RESTING = 0.03  # of the kernels: a few gates of a deep network hardly move at first, as in EfficientNet's blocks


@check("steps", "probe")
def gradients(subject):
    """Gradients that do not arrive, vanish on their way or explode."""
    loss, (x, y) = loss_function(subject.model), subject.batch
    if loss is None:
        return
    variables = subject.model.trainable_variables
    with _unchanged(subject.model.variables):
        found = weight_gradients(shell_of(subject.model) or subject.model, lambda answers: loss(y, answers), x)
    sizes = [None if g is None else float(np.linalg.norm(g.astype("float64"))) for g in found]
    known = [size for size in sizes if size is not None]
    model = f"model {subject.model.name!r}"
    if not all(map(np.isfinite, known)):
        yield error(
            "The first gradient is NaN or infinite",
            where=f"weight {_path(variables, sizes, lambda s: s is not None and not np.isfinite(s))}",
            why="Every weight would be NaN after one step.",
            fix="Look for a square root or logarithm of 0 in the network or loss, and scale inputs and targets.",
        )
        return
    if not known or max(known) == 0:
        yield error(
            "No weight gets a gradient",
            where=model,
            why="Each step would leave the network as it is.",
            fix="Look for dead layers, for rounding or argmax, and for a loss that does not look at the answers.",
        )
        return
    if cut := [v.path for v, size in zip(variables, sizes, strict=True) if size is None]:
        yield warning(
            f"{len(cut)} weights have no part in the loss",
            where=listed(cut),
            why="They keep their first random values.",
            fix="Connect their layers to the output, or remove them.",
        )
    # Biases may rest: that of the keys in attention has no gradient by construction.
    kernels = [(v.path, s) for v, s in zip(variables, sizes, strict=True) if s is not None and "bias" not in v.name]
    faint = [path for path, size in kernels if size < _VANISHED * max(known)]
    if len(faint) > _RESTING * len(kernels):
        yield warning(
            f"The first gradient of {len(faint)} weights is less than a millionth of the largest",
            where=listed(faint),
            why="These layers hardly learn: the gradient vanishes on its way to them.",
            fix="Use fewer layers or steps, relu or gates, normalisation, or connections that skip layers.",
        )
    whole = float(np.sqrt(np.sum(np.square(known))))
    if whole > _EXPLODED and not _clips(subject.model):
        yield warning(
            f"The first gradient has a norm of {whole:.2g}",
            where=model,
            why="One step throws the weights far off; the loss turns NaN or jumps.",
            fix="Scale inputs and targets, and clip: global_clipnorm=1.",
        )


def _path(variables, sizes, wanted):
    return next(v.path for v, size in zip(variables, sizes, strict=True) if wanted(size))


def _clips(model):
    optimizer = getattr(model, "optimizer", None)
    return any(getattr(optimizer, name, None) for name in ("clipnorm", "global_clipnorm", "clipvalue"))


@check("steps", "probe")
def few_rows_by_heart(subject):
    """A network that cannot learn eight rows by heart will not learn thousands by rule."""
    shell = shell_of(subject.model)
    if shell is None or loss_function(subject.model) is None or not subject.model.trainable_variables:
        return
    x, y = (part[:: max(1, len(part) // _FEW)][:_FEW] for part in subject.batch)
    x, y = _without_conflicts(x, y)
    losses = []
    shell.compile(optimizer=keras.optimizers.Adam(global_clipnorm=1.0), loss=subject.model.loss)
    shell.optimizer.build(shell.trainable_variables)  # otherwise TensorFlow traces the step twice
    with traces_let_go():
        for rate in _RATES:
            with _unchanged([*subject.model.variables, *shell.optimizer.variables]):
                shell.optimizer.learning_rate = rate
                losses = _losses(shell, x, y)
            if min(losses) <= _LEARNED * losses[0] or losses[0] < 1e-3:
                return
    yield warning(
        f"{len(x)} training rows cannot be learned by heart: loss {losses[0]:.3g}, after {len(losses)} steps "
        f"{min(losses):.3g}",
        where=f"model {subject.model.name!r}",
        why="A network that is connected and has room learns a few rows within seconds.",
        fix="Look at scaling, labels, loss and last activation; then at what is frozen, and at dropout.",
    )


def _losses(model, x, y):
    """Return the loss of each step on the same rows, until the point is made."""
    losses: list[float] = []  # step by step: epochs of `fit` took up to eight times as long around each
    while len(losses) < _STEPS and not (losses and losses[-1] < 0.8 * _LEARNED * losses[0]):
        model.reset_metrics()
        losses.append(float(model.train_on_batch(x, y, return_dict=True)["loss"]))
    return losses


def _without_conflicts(x, y):
    """Leave out rows whose input has come before."""
    _, first = np.unique(x.reshape(len(x), -1), axis=0, return_index=True)
    first = np.sort(first)
    return read(x, first), read(y, first)


@contextmanager
def _unchanged(variables):
    """Put weights, seeds, and what an optimizer remembers, back when the block ends."""
    before = [keras.ops.convert_to_numpy(v.value).copy() for v in variables]
    try:
        yield
    finally:
        for variable, value in zip(variables, before, strict=True):
            variable.assign(value)
