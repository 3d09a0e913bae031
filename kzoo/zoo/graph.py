"""The graph of a functional model: its layers, and which of them feed which. Does not need matplotlib."""

from typing import TYPE_CHECKING

import keras

from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    from keras.src.ops.node import Node


def nodes_of(model: keras.Model) -> "dict[str, Node]":
    """Return layer name -> node at which a functional model calls the layer, in the order of the layers.

    Raises:
        KzooError: the model is not functional and has no graph.
    """
    nodes = {node.operation.name: node for node in _ordered_nodes(model)}
    return {layer.name: nodes[layer.name] for layer in model.layers if layer.name in nodes}


def sources_of(model: keras.Model) -> dict[str, list[str]]:
    """Return layer name -> names of the layers that feed it, directly or through plain operations (`a + b`).

    Raises:
        KzooError: the model is not functional and has no graph.
    """
    layers = {layer.name for layer in model.layers}
    sources: dict[str, dict[str, None]] = {}  # names as keys, which keep their order
    for node in _ordered_nodes(model):
        names = sources.setdefault(node.operation.name, {})
        for tensor in node.arguments.keras_tensors:
            source = tensor._keras_history.operation.name
            names |= {source: None} if source in layers else sources[source]
    return {name: list(sources.get(name, ())) for name in layers}


def _ordered_nodes(model: keras.Model) -> "list[Node]":
    """Return the nodes of the graph, each after its inputs."""
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(
            f"{type(model).__name__} {model.name!r} is not a functional model, so it has no graph."
        )
    return [
        node for _, nodes in sorted(graph._nodes_by_depth.items(), reverse=True) for node in nodes
    ]
