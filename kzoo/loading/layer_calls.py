"""What calling the layers of a configuration takes, counted before any of them exists. Standard library only.

Keras goes through the list of a functional model's layers until each has been called on what others gave; what a
layer is called on stands in its `inbound_nodes`. A layer that is called on numbers alone computes at once.
"""

from kzoo.loading.allowed import APPLICATIONS, LAYERS, MODELS, OPERATIONS
from kzoo.loading.unsafe import Refused, short

MAX_CALLS = 750  # of a small file, some seconds on a slow machine; the largest of keras.applications makes 1,300
BYTES_OF_A_CALL = 10_000  # of stored weights: so many allow one more
MOST_CALLS = 10_000
# What takes longer than other layers to make, in calls of these.
_COSTS = {
    **dict.fromkeys(("RNN", "SimpleRNN", "LSTM", "GRU", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"), 4),
    **dict.fromkeys(("MultiHeadAttention", "GroupQueryAttention", "Bidirectional", "RandomColorJitter"), 8),
}
_CALLED = LAYERS | MODELS | APPLICATIONS | OPERATIONS
_TRIES = 20  # times to find a layer not ready yet cost as much as a call
_ENDS = ("input_layers", "output_layers")
_AGAIN = 4  # calls of a layer that is there cost as much as making it
_PARTED, _PARTS = ("num", "indices_or_sections"), 50  # tensors taken from one cost as much as a call


def check_calls(tree, size):
    """Refuse a model that takes longer to build than one with such weights may, or that computes while it is built.

    Args:
        tree: the configuration.
        size: bytes of the stored weights.

    Raises:
        Refused: too many calls, or a node without a tensor of the graph.
    """
    limit = min(MAX_CALLS + size // BYTES_OF_A_CALL, MOST_CALLS)
    if _calls(tree) > limit:
        raise Refused(f"building it would take more than {limit:,} calls of layers, the limit for its {size:,} bytes")


def _calls(thing):
    """Count the calls that building takes: a model that is called twice calls all it holds twice."""
    if isinstance(thing, list):
        return sum(map(_calls, thing))
    if not isinstance(thing, dict):
        return 0
    name, nodes = thing.get("class_name"), thing.get("inbound_nodes")
    calls = _COSTS.get(str(name), 1) if (thing.get("module"), name) in _CALLED else 0
    for key, value in thing.items():
        if key == "layers" and isinstance(value, list):
            each = list(map(_calls, value))
            calls += sum(each) + (_tries(value) if "input_layers" in thing else _again(each))
        elif key in _PARTED and isinstance(value, int | float):
            calls += max(int(value), 0) // _PARTS
        elif key in _ENDS:
            calls += _size(value) // _PARTS
        elif key != "inbound_nodes":
            calls += _calls(value)
    return calls * max(len(nodes), 1) if isinstance(nodes, list) else calls


def _again(each):
    """Count the calls in a Sequential beyond the first of each layer: Keras calls all of them for each that it adds."""
    return sum(calls * (len(each) - place) for place, calls in enumerate(each)) // _AGAIN


def _tries(layers):
    """Look at each node of a functional model; count what Keras reads of them, again where a layer is not ready yet."""
    layers = [layer for layer in layers if isinstance(layer, dict) and isinstance(layer.get("name"), str)]
    # Inputs, and models inside the model, have a node of their own from the beginning.
    made = {layer["name"]: 1 if _of_inputs(layer) else 0 for layer in layers}
    waiting = {layer["name"]: _needs(layer, made) for layer in layers}
    read, left = sum(size for nodes in waiting.values() for _, size in nodes), sum(map(len, waiting.values()))
    while waiting and read < MOST_CALLS * _PARTS:
        for name, nodes in list(waiting.items()):
            while nodes and all(made[layer] > number for layer, number in nodes[0][0]):
                del nodes[0]
                made[name] += 1
            if not nodes:
                del waiting[name]
        before, left = left, sum(map(len, waiting.values()))
        if left == before:
            break  # Keras says what cannot be reached
        read += sum(_PARTS // _TRIES + nodes[0][1] for nodes in waiting.values())
    return read // _PARTS


def _of_inputs(layer):
    return layer.get("class_name") == "InputLayer" or (layer.get("module"), layer.get("class_name")) in MODELS


def _needs(layer, names):
    """Return for each node of a layer the (layer, number of its node) of all tensors it takes, and how large it is."""
    nodes = layer.get("inbound_nodes")
    nodes = nodes if isinstance(nodes, list) else []
    needs = [({place for place in _tensors(node, layer["name"]) if place[0] in names}, _size(node)) for node in nodes]
    if not all(tensors for tensors, _ in needs):
        name = short(layer["name"])
        raise Refused(f"its layer {name} is called on numbers alone, so it would compute while the file is opened")
    return needs


def _size(thing):
    """Count the values that a part of a configuration is made of, in tens: a tensor's description has as many."""
    count, waiting = 0, [thing]
    while waiting:
        part = waiting.pop()
        count += 1
        if isinstance(part, list | dict):
            waiting.extend(part.values() if isinstance(part, dict) else part)
    return count // 10


def _tensors(node, name):
    if not isinstance(node, list):
        yield from _marked(node, name)
        return
    for tensor in node:  # as Keras 2 writes them: name, node, output and arguments
        if isinstance(tensor, list):
            yield from _place(tensor)
            yield from _marked(tensor[3:], name)


def _marked(thing, name):
    """Find the tensors of the graph among the arguments of a node, in which nothing else is to be made."""
    if isinstance(thing, list):
        for part in thing:
            yield from _marked(part, name)
    elif isinstance(thing, dict):
        kind, inner = thing.get("class_name"), thing.get("config")
        if kind == "__keras_tensor__" and isinstance(inner, dict):
            yield from _place(inner.get("keras_history"))
        elif "class_name" in thing and not str(kind).startswith("__"):
            raise Refused(f"its layer {short(name)} is called on a {short(kind)}, which is no tensor")
        else:
            for part in thing.values():
                yield from _marked(part, name)


def _place(history):
    if isinstance(history, list) and len(history) >= 3 and isinstance(history[0], str) and isinstance(history[1], int):
        yield history[0], history[1]
