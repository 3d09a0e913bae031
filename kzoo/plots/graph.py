"""What `network` draws: a model's layers in boxes, and which box feeds which. No matplotlib here."""

from dataclasses import dataclass, field
from typing import Any

from keras import layers

from kzoo.utils.errors import KzooError

# Layers that follow another at once and change no shape: they share its box.
_MINOR = (
    layers.Activation, layers.ReLU, layers.LeakyReLU, layers.PReLU, layers.ELU, layers.Softmax,
    layers.BatchNormalization, layers.LayerNormalization, layers.GroupNormalization,
    layers.Dropout, layers.SpatialDropout1D, layers.SpatialDropout2D, layers.GaussianNoise,
)  # fmt: skip


_KINDS = {
    "InputLayer": "Input",
    "BatchNormalization": "BatchNorm",
    "LayerNormalization": "LayerNorm",
    "MultiHeadAttention": "Attention",
}


@dataclass(kw_only=True, eq=False)
class Row:
    """One layer: what it is called and does, its output shape without the batch, its parameters."""

    name: str
    kind: str
    detail: str
    role: str
    shape: tuple
    params: int
    minor: bool


@dataclass(kw_only=True, eq=False)
class Box:
    """Rows stacked without an arrow between them; `sources` are the boxes that feed the first."""

    rows: list
    sources: list = field(default_factory=list)


def nodes_of(model) -> dict:
    """Return, by name, the node at which a functional model calls each of its layers, in the order of the layers.

    Raises:
        KzooError: another kind of model, which has no graph.
    """
    graph = getattr(model, "_functional", None) or model
    if not hasattr(graph, "_nodes_by_depth"):
        raise KzooError(
            f"{type(model).__name__} {model.name!r} is not a functional model: there is no graph to follow."
        )
    nodes = {node.operation.name: node for depth in graph._nodes_by_depth.values() for node in depth}
    return {layer.name: nodes[layer.name] for layer in model.layers if layer.name in nodes}


def boxes_of(model) -> list[Box]:
    """Return the boxes of a functional model, sources before what they feed.

    Bare operations (`ops.cast`, `a + b`) are passed through, and so is all that only computes which tokens
    are padding: what is left is what a person would draw.
    """
    graph = getattr(model, "_functional", None) or model
    nodes = [n for depth in sorted(graph._nodes_by_depth, reverse=True) for n in graph._nodes_by_depth[depth]]
    order = {id(op): i for i, op in enumerate(graph._operations)}
    nodes.sort(key=lambda node: order[id(node.operation)])
    maker = {id(tensor): node for node in nodes for tensor in node.outputs}
    drawn: dict[int, Any] = {}  # node -> row
    reach: dict[int, dict[int, bool]] = {}  # node -> {drawn node: seen directly}
    masks: set[int] = set()  # padding masks
    for node in _sources_first(nodes, maker):
        before = [maker[id(t)] for t in node.arguments.keras_tensors if id(t) in maker]
        if not node.is_input and _is_mask(node.operation, before, masks):
            masks.add(id(node))
            reach[id(node)] = {}
            continue
        hidden = not isinstance(node.operation, layers.Layer) and not _is_activation(node.operation)
        seen: dict[int, bool] = {}
        for b in before:
            if id(b) in masks:
                continue
            found = {id(b): True} if id(b) in drawn else dict.fromkeys(reach[id(b)], False)
            seen = {k: seen.get(k, False) or found.get(k, False) for k in [*seen, *found]}
        if not hidden:
            drawn[id(node)] = _row(node)
        reach[id(node)] = seen
    edges = {key: _drop_shortcuts(seen, reach, drawn) for key, seen in reach.items() if key in drawn}
    return _boxes(drawn, edges)


def _is_mask(operation, before, masks):
    """Say whether an operation tells only where tokens are, not what they are."""
    if type(operation).__name__ in ("NotEqual", "Equal", "OnesLike", "ZerosLike"):
        return True
    if isinstance(operation, layers.Rescaling) or (isinstance(operation, layers.Layer) and operation.weights):
        return False  # position encodings are made of counts, and are drawn
    return bool(before) and all(id(b) in masks for b in before)


def _sources_first(nodes, maker):
    """Put every node behind those that feed it, else in the order of the layers."""
    done, result = set(), []
    for node in nodes:
        stack = [(node, False)]
        while stack:
            current, ready = stack.pop()
            if id(current) in done:
                continue
            if ready:
                done.add(id(current))
                result.append(current)
                continue
            stack.append((current, True))
            stack += [(maker[id(t)], False) for t in current.arguments.keras_tensors if id(t) in maker]
    return result


def _drop_shortcuts(seen, reach, drawn):
    """Keep what layers feed directly, and what comes through bare operations if no other path explains it."""
    kept = []
    for key, direct in seen.items():
        others = [k for k in seen if k != key]
        if direct or not any(_leads_to(key, k, reach, drawn) for k in others):
            kept.append(key)
    return kept


def _leads_to(source, target, reach, drawn):
    stack, met = [target], set()
    while stack:
        current = stack.pop()
        if current == source:
            return True
        if current not in met:
            met.add(current)
            stack += reach.get(current, ())
    return False


def _boxes(drawn, edges):
    consumers: dict[Any, Any] = {}
    for sources in edges.values():
        for source in sources:
            consumers[source] = consumers.get(source, 0) + 1
    boxes: list[Any] = []
    home: dict[Any, Any] = {}
    for key, row in drawn.items():
        sources = edges[key]
        alone = len(sources) == 1 and consumers[sources[0]] == 1
        last = home[sources[0]].rows[-1] if alone else None
        if row.minor and alone and last is drawn[sources[0]] and last.role != "input":
            home[key] = home[sources[0]]
            home[key].rows.append(row)
            continue
        home[key] = Box(rows=[row], sources=list(dict.fromkeys(home[s] for s in sources)))
        boxes.append(home[key])
    return boxes


def _is_activation(operation):
    return type(operation).__module__.startswith("keras.src.ops.nn") and type(operation).__name__ != "OneHot"


def _row(node):
    operation = node.operation
    kind = type(operation).__name__
    layer = operation.forward_layer if isinstance(operation, layers.Bidirectional) else operation
    minor = isinstance(operation, _MINOR) or not isinstance(operation, layers.Layer)
    kind = _KINDS.get(kind, kind)
    if layer is not operation:
        kind = f"Bidirectional {type(layer).__name__}"
    if kind == "Activation":
        kind = getattr(operation.activation, "__name__", "activation")
    elif not isinstance(operation, layers.Layer):
        kind = kind.lower()
    return Row(
        name=operation.name,
        kind=kind.replace("GlobalAveragePooling", "GlobalAvgPool").replace("MaxPooling", "MaxPool"),
        detail=_detail(layer),
        role=_role(operation, minor),
        shape=tuple(node.outputs[0].shape[1:]),
        params=operation.count_params() if isinstance(operation, layers.Layer) and operation.built else 0,
        minor=minor,
    )


def _role(operation, minor):
    """Return the kind of work, which decides the colour."""
    name = type(operation).__name__
    if name == "InputLayer":
        return "input"
    if minor:
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


def _detail(layer):
    """Return the settings that a reader wants to see, such as `3x3, 32 filters, stride 2`."""
    name, parts = type(layer).__name__, []
    if "Conv" in name and hasattr(layer, "kernel_size"):
        parts.append("×".join(str(k) for k in layer.kernel_size))
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
        parts.append("×".join(str(k) for k in layer.pool_size))
        if layer.strides != layer.pool_size:
            parts.append(f"stride {layer.strides[0]}")
    elif hasattr(layer, "rate"):
        parts.append(f"{layer.rate:g}")
    return ", ".join(parts)
