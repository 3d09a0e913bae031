"""`attention_map`: which token looks at which, in one attention layer for one input."""

import inspect
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.plots.colors import FAINT, GREY
from kzoo.plots.figure import new_figure, tidy
from kzoo.plots.graph import nodes_of
from kzoo.plots.predictions import name_of
from kzoo.utils.errors import KzooError

_VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥"}
_LEAST_POINTS = 5.5  # of a label


def attention_map(
    model: keras.Model,
    x: ArrayLike,
    *,
    layer: str | None = None,
    head: int | None = None,
    tokens: Iterable[object] | None = None,
) -> Figure:
    """Draw the attention of one layer: each row is a token that looks, and adds up to 1 over those it looks at.

    Padding is left out. A class token in front is called "(class)". See arXiv:1706.03762.

    Args:
        model: a functional model with `MultiHeadAttention` layers.
        x: one input, with or without a batch axis, as the model takes it.
        layer: name of the attention layer; None: the last one.
        head: number of a head, from 0; None: the mean of all.
        tokens: a label for each token, those of padding included or not; None: the ids, or numbers from 1.

    Raises:
        KzooError: no such layer or head, or an input or labels that do not fit.
    """
    found, node = _attention(model, layer)
    x = _one_input(model, x)
    scores, real = _scores_of(model, found, node, x)
    if head is not None and not (isinstance(head, int | np.integer) and 0 <= head < len(scores)):
        raise KzooError(f"head={head!r}: {found.name} has heads 0 to {len(scores) - 1}.")
    shown = scores.mean(0) if head is None else scores[head]
    itself = shown.shape[0] == shown.shape[1]
    shown = shown[real][:, real] if itself else shown[:, real]
    columns = _labels(tokens, x[0], real)
    rows = columns if itself else [str(i + 1) for i in range(len(shown))]
    side = float(np.clip(0.21 * max(shown.shape), 3.2, 11))
    figure = new_figure(side + 1.9, side + 1.5)
    axes = figure.add_subplot()
    heads = f"head {head} of 0 to {len(scores) - 1}" if head is not None else f"mean of {len(scores)} heads"
    tidy(axes, f"{found.name}, {heads if len(scores) > 1 else 'its one head'}", grid=None)
    axes.set_xlabel("is looked at", color=GREY)
    axes.set_ylabel("looks", color=GREY)
    picture = axes.imshow(shown, cmap="Blues", vmin=0)
    axes.spines[:].set(visible=True, color=FAINT)
    for axis, labels in ((axes.xaxis, columns), (axes.yaxis, rows)):
        cell = 72 * side / max(shown.shape)  # points
        step = int(np.ceil(_LEAST_POINTS / cell))
        shorts = [_VISIBLE.get(label, name_of(label, ())) for label in labels[::step]]
        turned = axis is axes.xaxis and max(map(len, shorts)) > 2
        size = min(8.0, 0.9 * cell * step)
        axis.set_ticks(
            range(0, len(labels), step), shorts, rotation=90 if turned else 0, fontsize=size, parse_math=False
        )
        axis.set_tick_params(length=0)
    bar = figure.colorbar(picture, ax=axes, shrink=0.5, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=GREY, labelsize=8, length=2)
    return figure


def _attention(model: keras.Model, name: str | None) -> tuple[keras.layers.Layer, Any]:
    """Return an attention layer of a model and the node at which the model calls it."""
    found = {k: node for k, node in nodes_of(model).items() if isinstance(node.operation, layers.MultiHeadAttention)}
    if not found:
        raise KzooError(f"{model.name} has no MultiHeadAttention layer.")
    if name is not None and name not in found:
        raise KzooError(f"layer={name!r} is not an attention layer of {model.name}: {', '.join(found)}.")
    node = found[name or list(found)[-1]]
    return node.operation, node


def _one_input(model: keras.Model, x: ArrayLike) -> np.ndarray:
    """Return one input as a batch of one."""
    shape = tuple(model.inputs[0].shape[1:])
    x = np.asarray(x)
    x = x[None] if x.ndim == len(shape) else x
    fits = len(model.inputs) == 1 and x.ndim == len(shape) + 1 and len(x) == 1
    if not fits or any(size not in (None, given) for size, given in zip(shape, x.shape[1:], strict=True)):
        raise KzooError(f"The input has shape {x.shape}; {model.name} takes one of shape {shape}.")
    return x


def _scores_of(
    model: keras.Model, layer: keras.layers.Layer, node: Any, x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the scores (heads, queries, keys) of a layer for a batch of one, and which keys are not padding."""
    call = inspect.signature(layer.call).bind(*node.arguments.args, **node.arguments.kwargs).arguments
    for name in ("query", "value", "key"):
        # A mask of padding that travels with the tensors in the graph is lost outside it.
        mask = getattr(call.get(name), "_keras_mask", None)
        if call.get(f"{name}_mask") is None and mask is not None:
            call[f"{name}_mask"] = mask
    wanted = {k: v for k, v in call.items() if isinstance(v, keras.KerasTensor)}
    call |= keras.Model(model.inputs[0], wanted)(x, training=False)
    _, scores = layer(**(call | dict(return_attention_scores=True, training=False)))
    scores = keras.ops.convert_to_numpy(keras.ops.cast(scores, "float32"))
    # Series that share a layer and do not see each other, (1, F, heads, N, N), are averaged.
    scores = scores.reshape(-1, *scores.shape[-3:]).mean(0)
    real = np.ones(scores.shape[-1], dtype=bool)
    for name in ("attention_mask", "value_mask"):
        if call.get(name) is not None:
            mask = keras.ops.convert_to_numpy(call[name]).astype(bool)
            real &= mask.reshape(-1, mask.shape[-1]).any(0)
    return scores, real


def _labels(tokens: Iterable[object] | None, x: np.ndarray, real: np.ndarray) -> list[str]:
    """Return a label for each real token."""
    if tokens is None:
        ids = x.ndim == 1 and np.issubdtype(x.dtype, np.integer) and len(x) in (len(real), len(real) - 1)
        with_class = x.ndim == 1 and len(x) == len(real) - 1
        tokens = list(x) if ids else range(1, len(real) + (not with_class))
    tokens = [str(token) for token in tokens]
    for length, kept in ((len(real), real), (int(real.sum()), slice(None))):
        for front in ([], ["(class)"]):
            if len(front) + len(tokens) == length:
                return [str(label) for label in np.array([*front, *tokens], dtype=object)[kept]]
    raise KzooError(f"There are {len(tokens)} tokens for {len(real)} places, {int(real.sum())} without padding.")
