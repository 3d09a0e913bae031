"""`forward_flops`: the floating-point operations of a forward pass."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras
from keras import layers

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from keras.src.ops.symbolic_arguments import SymbolicArguments


def forward_flops(model: keras.Model) -> int:
    """Count the floating-point operations of one forward pass of one example.

    Every multiply-add of a kernel counts as two: Dense, EinsumDense, 1-D to 3-D convolutions (also
    depthwise, separable and transposed), SimpleRNN, LSTM and GRU over all their steps, Bidirectional,
    TimeDistributed, attention with its projections, matrix products and nested models. Biases,
    activations, normalisation, pooling, embeddings and sums are not counted; they are a few per cent.

    Args:
        model: a functional or sequential `keras.Model` with known shapes.

    Raises:
        KzooError: another kind of model, or an input of unknown length.
    """
    graph = getattr(model, "_functional", None) or model  # a Sequential holds its graph
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(
            f"{type(model).__name__} {model.name!r} is not a functional model, so its shapes are unknown."
        )
    nodes = (
        node for depth in graph._nodes_by_depth.values() for node in depth if not node.is_input
    )
    try:
        return sum(_operation_flops(node.operation, node.arguments, node.outputs) for node in nodes)
    except TypeError as error:  # a product with an unknown length, None
        raise KzooError(
            f"{model.name!r} has an input of unknown length. Build it with a fixed shape."
        ) from error


def _operation_flops(
    operation: keras.Operation, arguments: "SymbolicArguments", outputs: Sequence[keras.KerasTensor]
) -> int:
    input_shapes = [tuple(tensor.shape) for tensor in arguments.keras_tensors]
    output_shape = tuple(outputs[0].shape)
    if isinstance(operation, keras.Model):
        return forward_flops(operation)
    if isinstance(operation, layers.MultiHeadAttention):
        return _attention_flops(operation, arguments)
    if isinstance(operation, layers.Layer):
        return _layer_flops(operation, input_shapes[0], output_shape)
    kind = type(operation).__name__
    if kind == "Matmul":
        return 2 * _size(output_shape) * input_shapes[0][-1]
    if kind == "Einsum":
        return _einsum_flops(operation.subscripts, *input_shapes)
    return 0


def _layer_flops(
    layer: keras.Layer, input_shape: tuple[int, ...], output_shape: tuple[int, ...]
) -> int:
    """Count a layer with one input tensor of shape `input_shape`, batch first."""
    if isinstance(layer, layers.Dense):
        return 2 * _size(output_shape) * input_shape[-1]
    if isinstance(layer, layers.EinsumDense):
        return _einsum_flops(layer.equation, input_shape, tuple(layer.kernel.shape))
    if isinstance(layer, layers.DepthwiseConv1D | layers.DepthwiseConv2D):
        return 2 * _size(output_shape) * math.prod(layer.kernel.shape[:-2])
    if isinstance(layer, layers.SeparableConv1D | layers.SeparableConv2D):
        return _separable_flops(layer, output_shape)
    if isinstance(layer, layers.Conv1DTranspose | layers.Conv2DTranspose | layers.Conv3DTranspose):
        # the kernel is (..., out, in)
        return 2 * _size(input_shape) * math.prod(layer.kernel.shape[:-1])
    if isinstance(layer, layers.Conv1D | layers.Conv2D | layers.Conv3D):
        # the kernel is (..., in / groups, out)
        return 2 * _size(output_shape) * math.prod(layer.kernel.shape[:-1])
    if isinstance(layer, layers.Bidirectional):
        return _layer_flops(layer.forward_layer, input_shape, output_shape) + _layer_flops(
            layer.backward_layer, input_shape, output_shape
        )
    if isinstance(layer, layers.TimeDistributed):
        return input_shape[1] * _layer_flops(
            layer.layer, (input_shape[0], *input_shape[2:]), (output_shape[0], *output_shape[2:])
        )
    if isinstance(layer, layers.RNN):
        return input_shape[1] * _cell_flops(layer.cell)
    return 0


def _cell_flops(cell: keras.Layer) -> int:
    """Count one step of a recurrent cell; its kernels contain all gates."""
    if isinstance(cell, layers.StackedRNNCells):
        return sum(_cell_flops(inner) for inner in cell.cells)
    kernels = [getattr(cell, name, None) for name in ("kernel", "recurrent_kernel")]
    return sum(2 * math.prod(kernel.shape) for kernel in kernels if kernel is not None)


def _separable_flops(layer: keras.Layer, output_shape: tuple[int, ...]) -> int:
    *side, channels, multiplier = layer.depthwise_kernel.shape
    is_channels_last = layer.data_format == "channels_last"
    positions = _size(output_shape) // output_shape[-1 if is_channels_last else 1]
    return 2 * positions * channels * multiplier * (math.prod(side) + layer.filters)


def _attention_flops(layer: keras.Layer, arguments: "SymbolicArguments") -> int:
    """Count the four projections, the scores and the weighted sum over the axes that attend."""
    tensors = dict(zip(("query", "value", "key"), arguments.args, strict=False)) | arguments.kwargs
    query, value = (tuple(tensors[name].shape) for name in ("query", "value"))
    axes = layer._attention_axes or tuple(range(1, len(query) - 1))
    attended = math.prod(value[axis] for axis in axes)
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
    return 2 * (projections + targets * attended * heads * (key_dim + value_dim))


def _einsum_flops(equation: str, *shapes: tuple[int, ...]) -> int:
    """Count a product over the sizes of all distinct letters."""
    sizes: dict[Any, Any] = {}
    for letters, shape in zip(equation.split("->")[0].split(","), shapes, strict=True):
        before, dots, after = letters.strip().partition("...")
        names = [*before, *after]
        if dots:
            hidden = len(shape) - len(names)
            names = [*before, *(f".{i}" for i in range(-hidden, 0)), *after]
        sizes |= {name: size for name, size in zip(names, shape, strict=True) if size is not None}
    return 2 * math.prod(sizes.values())


def _size(shape: tuple[int, ...]) -> int:
    """Return the size of one example; the first axis is the batch."""
    return math.prod(shape[1:])
