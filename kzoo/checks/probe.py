"""`Probe`: run a network forward once on a few rows, and look inside."""

from importlib import import_module

import keras
import numpy as np
from keras import layers

from kzoo.plots.graph import nodes_of

_NORMS = (
    layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization, layers.UnitNormalization,
    layers.RMSNormalization,
)  # fmt: skip
_SQUASHING = ("tanh", "sigmoid")
_LOOPS = (layers.RNN, layers.Bidirectional)


class Probe:
    """What a network makes of a few rows, without training it or drawing random numbers.

    Args:
        model: the network.
        x: (B, ...) inputs, as it takes them.

    Attributes:
        answers: (B, ...) float32.
        first: (name, values) of the first layer with weights and what reaches it, the last axis being its columns;
            None where it normalises by itself, or where there is no graph to follow.
        hidden: (name, activation, values) of each ReLU, tanh and sigmoid between the layers.
    """

    def __init__(self, model, x):
        self.first, self.hidden = None, []
        nodes = nodes_in(model)
        wanted, tensors = [], []
        if (first := _first(nodes)) is not None:
            wanted.append(("first", first.operation))
            tensors.append(first.arguments.keras_tensors[0])
        for node, activation in _activations(nodes):
            if node.outputs[0] is not model.outputs[0]:
                wanted.append(("hidden", (node.operation.name, activation)))
                tensors.append(node.outputs[0])
        *found, answers = _forward(model, tensors, x)
        self.answers = _number(answers)
        for (what, detail), values in zip(wanted, found, strict=True):
            if what == "hidden":
                self.hidden.append((*detail, _number(values)))
            elif isinstance(detail, keras.Model):  # a network in the network, which may scale its inputs itself
                self.first = Probe(detail, values).first
            elif not isinstance(detail, _NORMS):
                self.first = detail.name, _number(values)


def shell_of(model):
    """Return a functional model's own layers in a new model, which can be compiled and fitted without touching the old.

    None for a model without a graph, or with several inputs or outputs.
    """
    return keras.Model(model.inputs[0], model.outputs[0]) if _has_graph(model) else None


def _has_graph(model):
    return len(getattr(model, "inputs", None) or ()) == len(getattr(model, "outputs", None) or ()) == 1


def _forward(model, tensors, x):
    """Return the values of these tensors and of the output.

    With batch normalisation as in training: before the first step its running mean and variance mean nothing. Called
    without state, so that neither they nor any seed moves.
    """
    if not _has_graph(model):
        return [model(x, training=False)]
    whole = keras.Model(model.inputs[0], [*tensors, model.outputs[0]])
    kinds = [type(layer) for layer in _all_layers(model)]
    training = any(issubclass(one, layers.BatchNormalization) for one in kinds)

    def call(x):
        both = whole.trainable_variables, whole.non_trainable_variables
        return whole.stateless_call(*([v.value for v in variables] for variables in both), x, training=training)[0]

    if keras.backend.backend() == "tensorflow" and any(issubclass(one, _LOOPS) for one in kinds):
        call = import_module("tensorflow").function(call, autograph=False)  # eagerly, up to thrice as long
    found = call(x)
    return found if isinstance(found, list | tuple) else [found]


def _all_layers(model):
    for layer in model.layers:
        yield layer
        if isinstance(layer, keras.Model):
            yield from _all_layers(layer)


def nodes_in(model):
    """Return the nodes of the layers of a functional model with one input and one output, else none.

    The node, since a layer that is shared with another model has inputs and outputs there too.
    """
    return list(nodes_of(model).values()) if _has_graph(model) else []


def _first(nodes):
    for node in nodes:
        if node.operation.weights and not isinstance(node.operation, layers.Embedding | layers.Normalization):
            return node if len(node.arguments.keras_tensors) == 1 else None
    return None


def _activations(nodes):
    for node in nodes:
        if isinstance(node.operation, layers.ReLU):
            yield node, "relu"
        elif isinstance(node.operation, layers.Activation | layers.Dense | layers.Conv1D | layers.Conv2D):
            name = getattr(node.operation.activation, "__name__", None)
            if name in ("relu", *_SQUASHING):
                yield node, name


def _number(tensor):
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(tensor, "float32")))
