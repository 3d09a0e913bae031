"""The boxes that `network` draws: which layers share a box, and which box feeds which. Does not need matplotlib."""

from dataclasses import dataclass, field
from typing import Any

from keras import layers

from kzoo.utils.errors import KzooError

# Layers without an effect on the shape: they share the box of the layer before them.
_MINOR_LAYERS = (
    layers.Activation,
    layers.ReLU,
    layers.LeakyReLU,
    layers.PReLU,
    layers.ELU,
    layers.Softmax,
    layers.BatchNormalization,
    layers.LayerNormalization,
    layers.GroupNormalization,
    layers.Dropout,
    layers.SpatialDropout1D,
    layers.SpatialDropout2D,
    layers.GaussianNoise,
)


_SHORT_TYPES = {
    "InputLayer": "Input",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "MultiHeadAttention": "Attention",
}


@dataclass(kw_only=True, eq=False)
class Row:
    """One layer: its name, its type and settings, its output shape without the batch axis, its number of parameters."""

    name: str
    kind: str
    detail: str
    role: str
    shape: tuple
    params: int
    minor: bool


@dataclass(kw_only=True, eq=False)
class Box:
    """Rows that are drawn without arrows between them; `sources` are the boxes that feed the first row."""

    rows: list
    sources: list = field(default_factory=list)


def nodes_of(model) -> dict:
    """Return layer name -> node at which a functional model calls the layer, in the order of the layers.

    Raises:
        KzooError: the model is not functional and has no graph.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(
            f"{type(model).__name__} {model.name!r} is not a functional model, so it has no graph."
        )
    nodes = {
        node.operation.name: node for depth in graph._nodes_by_depth.values() for node in depth
    }
    return {layer.name: nodes[layer.name] for layer in model.layers if layer.name in nodes}


def boxes_of(model) -> list[Box]:
    """Return the boxes of a functional model in topological order.

    Plain operations (`ops.cast`, `a + b`) and everything that only computes the padding mask are skipped.
    """
    graph = getattr(model, "_functional", None) or model
    nodes = [
        node
        for depth in sorted(graph._nodes_by_depth, reverse=True)
        for node in graph._nodes_by_depth[depth]
    ]
    position = {id(operation): i for i, operation in enumerate(graph._operations)}
    nodes.sort(key=lambda node: position[id(node.operation)])
    producer = {id(tensor): node for node in nodes for tensor in node.outputs}
    rows: dict[int, Any] = {}  # node id -> row
    # node id -> {id of a drawn node: whether it feeds the node directly}
    reachable: dict[int, dict[int, bool]] = {}
    mask_nodes: set[int] = set()  # ids of nodes that compute padding masks
    for node in _topological_order(nodes, producer):
        inputs = [producer[id(t)] for t in node.arguments.keras_tensors if id(t) in producer]
        if not node.is_input and _is_mask(node.operation, inputs, mask_nodes):
            mask_nodes.add(id(node))
            reachable[id(node)] = {}
            continue
        is_hidden = not isinstance(node.operation, layers.Layer) and not _is_activation(
            node.operation
        )
        sources: dict[int, bool] = {}
        for source in inputs:
            if id(source) in mask_nodes:
                continue
            via = (
                {id(source): True}
                if id(source) in rows
                else dict.fromkeys(reachable[id(source)], False)
            )
            sources = {
                key: sources.get(key, False) or via.get(key, False) for key in [*sources, *via]
            }
        if not is_hidden:
            rows[id(node)] = _row(node)
        reachable[id(node)] = sources
    edges = {
        key: _direct_sources(sources, reachable, rows)
        for key, sources in reachable.items()
        if key in rows
    }
    return _group_rows(rows, edges)


def _is_mask(operation, inputs, mask_nodes):
    """Return whether an operation only computes which positions are tokens, not what they contain."""
    if type(operation).__name__ in ("NotEqual", "Equal", "OnesLike", "ZerosLike"):
        return True
    if isinstance(operation, layers.Rescaling) or (
        isinstance(operation, layers.Layer) and operation.weights
    ):
        return False  # layers that make position encodings of counts are drawn
    return bool(inputs) and all(id(node) in mask_nodes for node in inputs)


def _topological_order(nodes, producer):
    """Return the nodes with every node after its inputs, otherwise in the order of the layers."""
    visited = set()
    ordered = []
    for node in nodes:
        stack = [(node, False)]
        while stack:
            current, inputs_done = stack.pop()
            if id(current) in visited:
                continue
            if inputs_done:
                visited.add(id(current))
                ordered.append(current)
                continue
            stack.append((current, True))
            stack += [
                (producer[id(t)], False)
                for t in current.arguments.keras_tensors
                if id(t) in producer
            ]
    return ordered


def _direct_sources(sources, reachable, rows):
    """Return the sources that feed a node directly, or through plain operations if no other path explains them."""
    direct_sources = []
    for key, is_direct in sources.items():
        alternatives = [other for other in sources if other != key]
        if is_direct or not any(
            _is_reachable(key, other, reachable, rows) for other in alternatives
        ):
            direct_sources.append(key)
    return direct_sources


def _is_reachable(source, target, reachable, rows):
    stack = [target]
    visited = set()
    while stack:
        current = stack.pop()
        if current == source:
            return True
        if current not in visited:
            visited.add(current)
            stack += reachable.get(current, ())
    return False


def _group_rows(rows, edges):
    n_consumers: dict[Any, Any] = {}
    for sources in edges.values():
        for source in sources:
            n_consumers[source] = n_consumers.get(source, 0) + 1
    boxes: list[Any] = []
    box_of: dict[Any, Any] = {}
    for key, row in rows.items():
        sources = edges[key]
        is_chain = len(sources) == 1 and n_consumers[sources[0]] == 1
        last_row = box_of[sources[0]].rows[-1] if is_chain else None
        if row.minor and is_chain and last_row is rows[sources[0]] and last_row.role != "input":
            box_of[key] = box_of[sources[0]]
            box_of[key].rows.append(row)
            continue
        box_of[key] = Box(
            rows=[row], sources=list(dict.fromkeys(box_of[source] for source in sources))
        )
        boxes.append(box_of[key])
    return boxes


def _is_activation(operation):
    return (
        type(operation).__module__.startswith("keras.src.ops.nn")
        and type(operation).__name__ != "OneHot"
    )


def _row(node):
    operation = node.operation
    type_name = type(operation).__name__
    layer = operation.forward_layer if isinstance(operation, layers.Bidirectional) else operation
    is_minor = isinstance(operation, _MINOR_LAYERS) or not isinstance(operation, layers.Layer)
    type_name = _SHORT_TYPES.get(type_name, type_name)
    if layer is not operation:
        type_name = f"Bidirectional {type(layer).__name__}"
    if type_name == "Activation":
        type_name = getattr(operation.activation, "__name__", "activation")
    elif not isinstance(operation, layers.Layer):
        type_name = type_name.lower()
    return Row(
        name=operation.name,
        kind=type_name.replace("GlobalAveragePooling", "GlobalAvgPool").replace(
            "MaxPooling", "MaxPool"
        ),
        detail=_settings_text(layer),
        role=_role(operation, is_minor),
        shape=tuple(node.outputs[0].shape[1:]),
        params=operation.count_params()
        if isinstance(operation, layers.Layer) and operation.built
        else 0,
        minor=is_minor,
    )


def _role(operation, is_minor):
    """Return the role of a layer, which determines its colour."""
    name = type(operation).__name__
    if name == "InputLayer":
        return "input"
    if is_minor:
        return "norm" if "Normalization" in name else "minor"
    for role, words in (
        ("attention", ("Attention",)),
        ("recurrent", ("RNN", "LSTM", "GRU", "Bidirectional")),
        ("convolution", ("Conv",)),
        ("embedding", ("Embedding",)),
        ("dense", ("Dense",)),
        ("pooling", ("Pool",)),
        ("join", ("Add", "Concatenate", "Multiply", "Subtract", "Average", "Maximum", "Dot")),
    ):
        if any(word in name for word in words):
            return role
    return "other"


def _settings_text(layer):
    """Return the main settings of a layer, such as `3x3, 32 filters, stride 2`."""
    name = type(layer).__name__
    parts = []
    if "Conv" in name and hasattr(layer, "kernel_size"):
        parts.append("×".join(str(size) for size in layer.kernel_size))
        if getattr(layer, "filters", None):
            parts.append(f"{layer.filters} filters")
        if max(layer.strides) > 1:
            parts.append(f"stride {layer.strides[0]}")
        if max(layer.dilation_rate) > 1:
            parts.append(f"dilation {layer.dilation_rate[0]}")
    elif isinstance(layer, layers.MultiHeadAttention):
        parts += [f"{layer._num_heads} heads of {layer._key_dim}"]
    elif hasattr(layer, "units"):
        parts.append(f"{layer.units}")
    elif isinstance(layer, layers.Embedding):
        parts.append(f"{layer.input_dim:,} × {layer.output_dim}")
    elif hasattr(layer, "pool_size"):
        parts.append("×".join(str(size) for size in layer.pool_size))
        if layer.strides != layer.pool_size:
            parts.append(f"stride {layer.strides[0]}")
    elif hasattr(layer, "rate"):
        parts.append(f"{layer.rate:g}")
    return ", ".join(parts)
