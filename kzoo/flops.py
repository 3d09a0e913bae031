"""`forward_flops`: how much arithmetic one example costs."""

import math
from typing import Any

import keras
from keras import layers

from kzoo.utils.errors import KzooError


def forward_flops(model) -> int:
    """Count the floating-point operations of one forward pass of one example.

    Every multiply-add of a kernel counts as two: Dense, EinsumDense, 1-D to 3-D convolutions (also
    depthwise, separable and transposed), SimpleRNN, LSTM and GRU over all their steps, Bidirectional,
    TimeDistributed, attention with its projections, matrix products and nested models. Biases,
    activations, normalisation, pooling, embeddings and sums are not counted: they are a few per cent.

    Args:
        model: a functional or sequential `keras.Model` with known shapes.

    Raises:
        KzooError: another kind of model, or a length that is not known.
    """
    graph = getattr(model, "_functional", None) or model  # a Sequential holds its graph
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(f"{type(model).__name__} {model.name!r} is not a functional model; its shapes are not known.")
    nodes = (node for depth in graph._nodes_by_depth.values() for node in depth if not node.is_input)
    try:
        return sum(_count(node.operation, node.arguments, node.outputs) for node in nodes)
    except TypeError as error:
        raise KzooError(f"{model.name!r} has an input of unknown length; build it with a fixed shape.") from error


def _count(operation, arguments, outputs):
    given = [tuple(tensor.shape) for tensor in arguments.keras_tensors]
    answer = tuple(outputs[0].shape)
    if isinstance(operation, keras.Model):
        return forward_flops(operation)
    if isinstance(operation, layers.MultiHeadAttention):
        return _attention(operation, arguments)
    if isinstance(operation, layers.Layer):
        return _layer(operation, given[0], answer)
    kind = type(operation).__name__
    if kind == "Matmul":
        return 2 * _size(answer) * given[0][-1]
    if kind == "Einsum":
        return _einsum(operation.subscripts, *given)
    return 0


def _layer(layer, given, answer):
    """Count a layer that takes one tensor of shape `given`, the batch first."""
    if isinstance(layer, layers.Dense):
        return 2 * _size(answer) * given[-1]
    if isinstance(layer, layers.EinsumDense):
        return _einsum(layer.equation, given, tuple(layer.kernel.shape))
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return 2 * _size(answer) * math.prod(layer.kernel.shape[:-2])
    if isinstance(layer, layers.SeparableConv1D | layers.SeparableConv2D):
        return _separable(layer, answer)
    if isinstance(layer, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose):
        return 2 * _size(given) * math.prod(layer.kernel.shape[:-1])  # the kernel is (..., out, in)
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D):
        return 2 * _size(answer) * math.prod(layer.kernel.shape[:-1])  # the kernel is (..., in / groups, out)
    if isinstance(layer, layers.Bidirectional):
        return _layer(layer.forward_layer, given, answer) + _layer(layer.backward_layer, given, answer)
    if isinstance(layer, layers.TimeDistributed):
        return given[1] * _layer(layer.layer, (given[0], *given[2:]), (answer[0], *answer[2:]))
    if isinstance(layer, layers.RNN):
        return given[1] * _step(layer.cell)
    return 0


def _step(cell):
    """Count one step of a recurrent cell: its kernels hold all gates."""
    if isinstance(cell, layers.StackedRNNCells):
        return sum(_step(inner) for inner in cell.cells)
    kernels = [getattr(cell, name, None) for name in ("kernel", "recurrent_kernel")]
    return sum(2 * math.prod(kernel.shape) for kernel in kernels if kernel is not None)


def _separable(layer, answer):
    *side, channels, multiplier = layer.depthwise_kernel.shape
    last = layer.data_format == "channels_last"
    places = _size(answer) // answer[-1 if last else 1]
    return 2 * places * channels * multiplier * (math.prod(side) + layer.filters)


def _attention(layer, arguments):
    """Count the four projections, the scores and the weighted sum over the axes that attend."""
    tensors = dict(zip(("query", "value", "key"), arguments.args, strict=False)) | arguments.kwargs
    query, value = (tuple(tensors[name].shape) for name in ("query", "value"))
    axes = layer._attention_axes or tuple(range(1, len(query) - 1))
    seen = math.prod(value[axis] for axis in axes)
    heads, key_dim, value_dim = layer._num_heads, layer._key_dim, layer._value_dim
    targets, sources = _size(query[:-1]), _size(value[:-1])
    key = tensors.get("key")
    key_width = value[-1] if key is None else key.shape[-1]
    output = layer._output_dense.kernel.shape[-1]
    projections = (
        targets * query[-1] * heads * key_dim
        + sources * key_width * heads * key_dim
        + sources * value[-1] * heads * value_dim
        + targets * heads * value_dim * output
    )
    return 2 * (projections + targets * seen * heads * (key_dim + value_dim))


def _einsum(equation, *shapes):
    """Count a product over all its distinct letters."""
    sizes: dict[Any, Any] = {}
    for letters, shape in zip(equation.split("->")[0].split(","), shapes, strict=True):
        before, dots, after = letters.strip().partition("...")
        names = [*before, *after]
        if dots:
            hidden = len(shape) - len(names)
            names = [*before, *(f".{i}" for i in range(-hidden, 0)), *after]
        sizes |= {name: size for name, size in zip(names, shape, strict=True) if size is not None}
    return 2 * math.prod(sizes.values())


def _size(shape):
    """Numbers in one example: the first axis is the batch."""
    return math.prod(shape[1:])
