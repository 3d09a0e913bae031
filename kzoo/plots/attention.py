"""`attention_map`: plot which tokens attend to which, in one attention layer for one input."""

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from kzoo.plots.colors import FAINT, GREY
from kzoo.plots.figure import new_figure, style_axes
from kzoo.plots.predictions import name_of
from kzoo.utils.errors import KzooError
from kzoo.zoo.graph import nodes_of

if TYPE_CHECKING:
    from keras.src.ops.node import Node


_WHITESPACE_LABELS = {" ": "␣", "\n": "⏎", "\t": "⇥"}
_MIN_LABEL_POINTS = 5.5  # minimum font size of labels, in points


def attention_map(
    model: keras.Model,
    x: ArrayLike,
    *,
    layer: str | None = None,
    head: int | None = None,
    tokens: Iterable[object] | None = None,
) -> Figure:
    """Plot the attention weights of one layer: a row for each query token, whose weights over all keys add up to 1.

    Padding is excluded. A class token at the front is labelled "(class)". See https://arxiv.org/abs/1706.03762.

    Args:
        model: a functional model with `MultiHeadAttention` layers.
        x: one input of the model, such as token ids (length,), with or without a batch axis of one.
        layer: name of the attention layer; None: the last one.
        head: index of a head, from 0; None: the mean of all heads.
        tokens: a label for each token, with or without those of padding; None: the token ids, or numbers from 1.

    Returns:
        A matplotlib `Figure`.

    Raises:
        KzooError: the layer or head does not exist, or the input or labels do not fit.

    Examples:
        >>> model = kzoo.build("text_transformer")
        >>> words = "a good film with a slow start".split()
        >>> figure = kzoo.plots.attention_map(model, np.pad(np.arange(2, 9), (0, 57)), tokens=words)
    """
    attention, node = _attention_layer(model, layer)
    x = _as_batch(model, x)
    scores, is_token = _attention_scores(model, attention, node, x)
    if head is not None and not (isinstance(head, int | np.integer) and 0 <= head < len(scores)):
        raise KzooError(
            f"does not exist: {attention.name} has heads 0 to {len(scores) - 1}.",
            argument="head",
            value=head,
        )
    weights = scores.mean(0) if head is None else scores[head]
    is_self_attention = weights.shape[0] == weights.shape[1]
    weights = weights[is_token][:, is_token] if is_self_attention else weights[:, is_token]
    key_labels = _labels(tokens, x[0], is_token)
    query_labels = key_labels if is_self_attention else [str(i + 1) for i in range(len(weights))]
    size_inches = float(np.clip(0.21 * max(weights.shape), 3.2, 11))
    figure = new_figure(size_inches + 1.9, size_inches + 1.5)
    axes = figure.add_subplot()
    heads = (
        f"head {head} of 0 to {len(scores) - 1}"
        if head is not None
        else f"mean of {len(scores)} heads"
    )
    style_axes(axes, f"{attention.name}, {heads if len(scores) > 1 else 'single head'}", grid=None)
    axes.set_xlabel("key token", color=GREY)
    axes.set_ylabel("query token", color=GREY)
    image = axes.imshow(weights, cmap="Blues", vmin=0)
    axes.spines[:].set(visible=True, color=FAINT)
    for axis, labels in ((axes.xaxis, key_labels), (axes.yaxis, query_labels)):
        cell_points = 72 * size_inches / max(weights.shape)
        step = int(np.ceil(_MIN_LABEL_POINTS / cell_points))
        texts = [_WHITESPACE_LABELS.get(label, name_of(label, ())) for label in labels[::step]]
        rotated = axis is axes.xaxis and max(map(len, texts)) > 2
        font_size = min(8.0, 0.9 * cell_points * step)
        axis.set_ticks(
            range(0, len(labels), step),
            texts,
            rotation=90 if rotated else 0,
            fontsize=font_size,
            parse_math=False,
        )
        axis.set_tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.5, aspect=24, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.tick_params(colors=GREY, labelsize=8, length=2)
    return figure


def _attention_layer(model: keras.Model, name: str | None) -> "tuple[keras.layers.Layer, Node]":
    """Return an attention layer of a model, and the node at which the model calls it."""
    nodes = {
        key: node
        for key, node in nodes_of(model).items()
        if isinstance(node.operation, layers.MultiHeadAttention)
    }
    if not nodes:
        raise KzooError(f"{model.name} has no MultiHeadAttention layer.")
    if name is not None and name not in nodes:
        raise KzooError(
            f"is not an attention layer of {model.name}. Use one of: {', '.join(nodes)}.",
            argument="layer",
            value=name,
        )
    node = nodes[name or list(nodes)[-1]]
    return node.operation, node


def _as_batch(model: keras.Model, x: ArrayLike) -> np.ndarray:
    """Return one input as a batch of size 1."""
    shape = tuple(model.inputs[0].shape[1:])
    x = np.asarray(x)
    x = x[None] if x.ndim == len(shape) else x
    is_valid = len(model.inputs) == 1 and x.ndim == len(shape) + 1 and len(x) == 1
    if not is_valid or any(
        expected not in (None, actual) for expected, actual in zip(shape, x.shape[1:], strict=True)
    ):
        raise KzooError(
            f"x has shape {x.shape}, but {model.name} takes one input of shape {shape}."
        )
    return x


def _attention_scores(
    model: keras.Model, layer: keras.layers.Layer, node: "Node", x: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return the attention scores (heads, queries, keys) of a batch of one, and which keys are not padding, (keys,)."""
    call = (
        inspect.signature(layer.call).bind(*node.arguments.args, **node.arguments.kwargs).arguments
    )
    for name in ("query", "value", "key"):
        # The padding mask is attached to the symbolic tensors: outside the graph it must be passed explicitly.
        mask = getattr(call.get(name), "_keras_mask", None)
        if call.get(f"{name}_mask") is None and mask is not None:
            call[f"{name}_mask"] = mask
    symbolic = {
        argument: tensor
        for argument, tensor in call.items()
        if isinstance(tensor, keras.KerasTensor)
    }
    call |= keras.Model(model.inputs[0], symbolic)(x, training=False)
    _, scores = layer(**(call | dict(return_attention_scores=True, training=False)))
    scores = keras.ops.convert_to_numpy(keras.ops.cast(scores, "float32"))
    # Channel-independent series share the layer: scores (1, F, heads, N, N) are averaged over F.
    scores = scores.reshape(-1, *scores.shape[-3:]).mean(0)
    is_token = np.ones(scores.shape[-1], dtype=bool)
    for name in ("attention_mask", "value_mask"):
        if call.get(name) is not None:
            mask = keras.ops.convert_to_numpy(call[name]).astype(bool)
            is_token &= mask.reshape(-1, mask.shape[-1]).any(0)
    return scores, is_token


def _labels(tokens: Iterable[object] | None, x: np.ndarray, is_token: np.ndarray) -> list[str]:
    """Return a label for each token that is not padding."""
    if tokens is None:
        are_ids = (
            x.ndim == 1
            and np.issubdtype(x.dtype, np.integer)
            and len(x) in (len(is_token), len(is_token) - 1)
        )
        has_class_token = x.ndim == 1 and len(x) == len(is_token) - 1
        tokens = list(x) if are_ids else range(1, len(is_token) + (not has_class_token))
    tokens = [str(token) for token in tokens]
    for length, selected in ((len(is_token), is_token), (int(is_token.sum()), slice(None))):
        for prefix in ([], ["(class)"]):
            if len(prefix) + len(tokens) == length:
                return [
                    str(label) for label in np.array([*prefix, *tokens], dtype=object)[selected]
                ]
    raise KzooError(
        f"tokens has {len(tokens)} labels for {len(is_token)} positions ({int(is_token.sum())} without padding)."
    )
