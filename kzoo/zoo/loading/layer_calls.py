"""Cost of building a model, counted in layer calls from its configuration alone. Standard library only.

Keras loops over the layers of a functional model until each has been called on the outputs of others, as stated in its
`inbound_nodes`. A layer that is called on constants only would compute while the model is loaded.
"""

from collections.abc import Container, Iterator, Sequence

from kzoo.utils.files import JsonObject
from kzoo.zoo.loading.allowed import APPLICATIONS, LAYERS, MODELS, OPERATIONS
from kzoo.zoo.loading.unsafe import Refused, short

Source = tuple[str, int]  # name of a layer, index of its node

# for a small file: some seconds on a slow machine; the largest keras.applications model has 1,300
MAX_CALLS = 750
BYTES_PER_CALL = 10_000  # bytes of stored weights that allow one more call
MOST_CALLS = 10_000  # for a file of any size
# Layers that take longer to build than others, in equivalent calls.
_COSTS = {
    **dict.fromkeys(
        ("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), 4
    ),
    **dict.fromkeys(
        ("MultiHeadAttention", "GroupQueryAttention", "Bidirectional", "RandomColorJitter"), 8
    ),
}
_CALLED = LAYERS | MODELS | APPLICATIONS | OPERATIONS
_VISITS_PER_CALL = 20  # visits of a layer whose inputs are not ready cost as much as one call
_ENDS = ("input_layers", "output_layers")
_REPEATED = 4  # calls of an existing layer cost as much as building it
# numbers of tensors into which an operation splits one
_SPLIT_ARGUMENTS = ("num", "indices_or_sections")
# tensors split from one, or tensor descriptions that are read, cost as much as one call
_TENSORS_PER_CALL = 50


def check_calls(tree: JsonObject, size: int) -> None:
    """Raise Refused if a model takes too many layer calls for its size, or computes while it is built.

    Args:
        tree: the configuration.
        size: bytes of the stored weights.

    Raises:
        Refused: too many calls, or a node that is not called on a tensor of the graph.
    """
    limit = min(MAX_CALLS + size // BYTES_PER_CALL, MOST_CALLS)
    if _calls(tree) > limit:
        raise Refused(
            f"building it takes more than {limit:,} layer calls, the limit for {size:,} bytes of weights"
        )


def _calls(node: object) -> int:
    """Return the number of calls that building takes. Calling a nested model twice calls its layers twice."""
    if isinstance(node, list):
        return sum(map(_calls, node))
    if not isinstance(node, dict):
        return 0
    name, nodes = node.get("class_name"), node.get("inbound_nodes")
    calls = _COSTS.get(str(name), 1) if (node.get("module"), name) in _CALLED else 0
    for key, value in node.items():
        if key == "layers" and isinstance(value, list):
            layer_calls = list(map(_calls, value))
            calls += sum(layer_calls) + (
                _scan_cost(value) if "input_layers" in node else _repeated_calls(layer_calls)
            )
        elif key in _SPLIT_ARGUMENTS and isinstance(value, int | float):
            calls += max(int(value), 0) // _TENSORS_PER_CALL
        elif key in _ENDS:
            calls += _size(value) // _TENSORS_PER_CALL
        elif key != "inbound_nodes":
            calls += _calls(value)
    return calls * max(len(nodes), 1) if isinstance(nodes, list) else calls


def _repeated_calls(layer_calls: Sequence[int]) -> int:
    """Return the repeated calls of a Sequential model: for each layer it adds, Keras calls all layers again."""
    return (
        sum(calls * (len(layer_calls) - index) for index, calls in enumerate(layer_calls))
        // _REPEATED
    )


def _scan_cost(layers: Sequence[object]) -> int:
    """Return how many calls it costs that Keras loops over all layers until the inputs of each are ready.

    In each loop it reads the descriptions of the nodes (calls) that it has not made yet.
    """
    named = [
        layer for layer in layers if isinstance(layer, dict) and isinstance(layer.get("name"), str)
    ]
    # Input layers and nested models have one node from the start.
    nodes_made = {layer["name"]: 1 if _has_initial_node(layer) else 0 for layer in named}
    pending = {layer["name"]: _node_inputs(layer, nodes_made) for layer in named}
    descriptions = sum(size for nodes in pending.values() for _, size in nodes)
    remaining = sum(map(len, pending.values()))
    while pending and descriptions < MOST_CALLS * _TENSORS_PER_CALL:
        for name, nodes in list(pending.items()):
            while nodes:
                inputs, _ = nodes[0]
                if not all(nodes_made[layer] > number for layer, number in inputs):
                    break
                del nodes[0]
                nodes_made[name] += 1
            if not nodes:
                del pending[name]
        before = remaining
        remaining = sum(map(len, pending.values()))
        if remaining == before:
            break  # Keras reports layers that cannot be reached
        descriptions += sum(
            _TENSORS_PER_CALL // _VISITS_PER_CALL + nodes[0][1] for nodes in pending.values()
        )
    return descriptions // _TENSORS_PER_CALL


def _has_initial_node(layer: JsonObject) -> bool:
    return (
        layer.get("class_name") == "InputLayer"
        or (layer.get("module"), layer.get("class_name")) in MODELS
    )


def _node_inputs(layer: JsonObject, names: Container[str]) -> list[tuple[set[Source], int]]:
    """Return for each node of a layer the set of (layer, node index) of its input tensors, and its size."""
    nodes = layer.get("inbound_nodes")
    nodes = nodes if isinstance(nodes, list) else []
    inputs_and_sizes = [
        ({source for source in _tensors(node, layer["name"]) if source[0] in names}, _size(node))
        for node in nodes
    ]
    if not all(tensors for tensors, _ in inputs_and_sizes):
        name = short(layer["name"])
        raise Refused(
            f"its layer {name} is called on constants only, so it would compute while the file is loaded"
        )
    return inputs_and_sizes


def _size(node: object) -> int:
    """Return the size of a part of a configuration, in tensor descriptions of about 10 JSON values each."""
    count = 0
    pending = [node]
    while pending:
        part = pending.pop()
        count += 1
        if isinstance(part, list | dict):
            pending.extend(part.values() if isinstance(part, dict) else part)
    return count // 10


def _tensors(node: object, name: str) -> Iterator[Source]:
    if not isinstance(node, list):
        yield from _graph_tensors(node, name)
        return
    for tensor in node:  # in the format of Keras 2: name, node, output, arguments
        if isinstance(tensor, list):
            yield from _source_of(tensor)
            yield from _graph_tensors(tensor[3:], name)


def _graph_tensors(node: object, name: str) -> Iterator[Source]:
    """Yield the graph tensors among the arguments of a node; raise Refused if they contain other objects."""
    if isinstance(node, list):
        for part in node:
            yield from _graph_tensors(part, name)
    elif isinstance(node, dict):
        kind, inner = node.get("class_name"), node.get("config")
        if kind == "__keras_tensor__" and isinstance(inner, dict):
            yield from _source_of(inner.get("keras_history"))
        elif "class_name" in node and not str(kind).startswith("__"):
            raise Refused(
                f"its layer {short(name)} is called on a {short(kind)}, which is not a tensor"
            )
        else:
            for part in node.values():
                yield from _graph_tensors(part, name)


def _source_of(history: object) -> Iterator[Source]:
    if (
        isinstance(history, list)
        and len(history) >= 3
        and isinstance(history[0], str)
        and isinstance(history[1], int)
    ):
        yield history[0], history[1]
