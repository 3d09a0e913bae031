"""`Probe`: one forward pass of a network on a few rows, with hidden activations."""

from collections.abc import Iterator, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
from keras import layers

from kzoo.data.batch_memory import rows_at_once
from kzoo.zoo.graph import nodes_of

if TYPE_CHECKING:
    from keras.src.ops.node import Node


_NORMS = (
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.UnitNormalization,
    layers.RMSNormalization,
)
_SQUASHING = ("tanh", "sigmoid")
_RECURRENT = (layers.RNN, layers.Bidirectional)
_FEW = 64  # rows; a network that cannot compute them at once is large


class Probe:
    """Outputs and hidden activations of a network on a few rows, without training it or drawing random numbers.

    Args:
        model: the network.
        x: (B, ...) inputs, as it takes them.

    Attributes:
        answers: (B, ...) float32 outputs.
        first: (name, inputs) of the first layer with weights; the last axis of the inputs are its columns. None if that
            layer normalises, or if the model has no graph.
        hidden: (name, activation, outputs) of each ReLU, tanh and sigmoid before the last layer.
    """

    def __init__(self, model: keras.Model, x: np.ndarray) -> None:
        self.first = None
        self.hidden = []
        nodes = nodes_in(model)
        requests, tensors = [], []
        if (first := _first_weighted_node(nodes)) is not None:
            requests.append(("first", first.operation))
            tensors.append(first.arguments.keras_tensors[0])
        for node, activation in _activations(nodes):
            if node.outputs[0] is not model.outputs[0]:
                requests.append(("hidden", (node.operation.name, activation)))
                tensors.append(node.outputs[0])
        *activations, answers = _forward(model, tensors, x)
        self.answers = _to_numpy(answers)
        for (kind, detail), values in zip(requests, activations, strict=True):
            if kind == "hidden":
                self.hidden.append((*detail, _to_numpy(values)))
            elif isinstance(
                detail, keras.Model
            ):  # a nested network, which may scale its inputs itself
                self.first = Probe(detail, values).first
            elif not isinstance(detail, _NORMS):
                self.first = detail.name, _to_numpy(values)


def shell_of(model: keras.Model) -> keras.Model | None:
    """Return a new functional model of the same layers, which can be compiled and fitted without changing the original.

    None for a model without a graph, or with several inputs or outputs.
    """
    return keras.Model(model.inputs[0], model.outputs[0]) if _has_graph(model) else None


def _has_graph(model: keras.Model) -> bool:
    return (
        len(getattr(model, "inputs", None) or ()) == len(getattr(model, "outputs", None) or ()) == 1
    )


def _forward(
    model: keras.Model, tensors: Sequence[keras.KerasTensor], x: np.ndarray
) -> Sequence[np.ndarray]:
    """Return the values of some tensors of a model, and its output, for inputs `x`.

    Batch normalisation runs in training mode: before the first step its moving mean and variance are meaningless. The
    call is stateless, so it changes neither them nor the state of a seed.
    """
    if not _has_graph(model):
        return [model(x, training=False)]
    extended = keras.Model(model.inputs[0], [*tensors, model.outputs[0]])
    layer_types = [type(layer) for layer in _all_layers(model)]
    training = any(issubclass(layer_type, layers.BatchNormalization) for layer_type in layer_types)

    def call(x: np.ndarray) -> Any:
        variable_lists = extended.trainable_variables, extended.non_trainable_variables
        return extended.stateless_call(
            *([v.value for v in variables] for variables in variable_lists), x, training=training
        )[0]

    is_recurrent = any(issubclass(layer_type, _RECURRENT) for layer_type in layer_types)
    if keras.backend.backend() == "tensorflow" and (
        is_recurrent or rows_at_once(extended, _FEW) < _FEW
    ):
        # Eager execution takes up to three times as long, and keeps the outputs of all layers.
        call = import_module("tensorflow").function(call, autograph=False)
    outputs = call(x)
    return outputs if isinstance(outputs, list | tuple) else [outputs]


def _all_layers(model: keras.Model) -> Iterator[keras.Layer]:
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def nodes_in(model: keras.Model) -> "list[Node]":
    """Return the nodes of the layers of a functional model with one input and one output, else an empty list.

    Nodes, because a layer that is shared with another model has inputs and outputs there too.
    """
    return list(nodes_of(model).values()) if _has_graph(model) else []


def _first_weighted_node(nodes: "Sequence[Node]") -> "Node | None":
    for node in nodes:
        if node.operation.weights and not isinstance(
            node.operation, layers.Embedding | layers.Normalization
        ):
            return node if len(node.arguments.keras_tensors) == 1 else None
    return None


def _activations(nodes: "Sequence[Node]") -> "Iterator[tuple[Node, str]]":
    for node in nodes:
        if isinstance(node.operation, layers.ReLU):
            yield node, "relu"
        elif isinstance(
            node.operation, layers.Activation | layers.Dense | layers.Conv1D | layers.Conv2D
        ):
            name = getattr(node.operation.activation, "__name__", None)
            if name in ("relu", *_SQUASHING):
                yield node, name


def _to_numpy(tensor: "keras.KerasTensor") -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
