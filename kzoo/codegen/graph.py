"""The graph of a functional model as lines of Python, one for each layer."""

import inspect
from collections import Counter

import keras
from keras import ops

from kzoo.codegen.values import construct, identifier, value
from kzoo.utils.errors import KzooError

_INFIX = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}
_INLINE = 72  # longer expressions get a line of their own


class Graph:
    """Writes the body of a function that builds a model.

    Args:
        model: a functional model of Keras' own layers and operations.

    Raises:
        KzooError: anything else.
    """

    def __init__(self, model):
        self.lines, self._names, self._taken, self._layers = [], {}, {"keras", "layers", "ops", "math"}, {}
        self._uses = Counter(
            id(_node(tensor)) for operation in model.operations for node in operation._inbound_nodes
            for tensor in node.input_tensors
        )  # fmt: skip
        for tensor in model.inputs:
            self._assign(_node(tensor), _input(_node(tensor).operation))
        for operation in model.operations:  # in their order: a deep network would be a deep recursion
            if isinstance(operation, keras.Layer):
                for node in operation._inbound_nodes:
                    self._tensor(node.output_tensors[0])
        inputs, outputs = ([self._tensor(t) for t in tensors] for tensors in (model.inputs, model.outputs))
        inputs, outputs = (t[0] if len(t) == 1 else f"[{', '.join(t)}]" for t in (inputs, outputs))
        self.lines.append(f"return keras.Model({inputs}, {outputs}, name={value(model.name)})")

    def _tensor(self, tensor, *, within=False):
        """Return the expression of a tensor, after writing the lines that it needs.

        Args:
            within: whether it is an operand, where an expression with an operator needs brackets.
        """
        node = _node(tensor)
        if id(node) not in self._names:
            text, infix = self._expression(node)
            layer = isinstance(node.operation, keras.Layer)
            if not layer and self._uses[id(node)] == 1 and len(text) <= _INLINE:
                return f"({text})" if infix and within else text
            self._assign(node, text)
        name = self._names[id(node)]
        return name if len(node.output_tensors) == 1 else f"{name}[{tensor._keras_history.tensor_index}]"

    def _expression(self, node):
        """Return what computes a node's value, and whether an operator is outermost."""
        operation, arguments = node.operation, node.arguments
        if isinstance(operation, keras.Model):
            raise KzooError(f"{operation.name!r} cannot be written as code: it is a model within the model.")
        if isinstance(operation, keras.Layer):
            return f"{self._layer(operation)}({', '.join(self._arguments(operation, arguments))})", False
        kind = type(operation).__name__
        if kind == "GetItem":
            tensor, key = arguments.args
            return f"{self._tensor(tensor, within=True)}[{_key(key)}]", False
        if kind in _INFIX and not arguments.kwargs:
            left, right = (self._value(a, within=True) for a in arguments.args)
            return f"{left} {_INFIX[kind]} {right}", True
        name = identifier(kind)
        if not hasattr(ops, name):
            raise KzooError(f"Operation {kind} cannot be written as code: keras.ops has none of that name.")
        parameters = inspect.signature(getattr(ops, name)).parameters
        given = arguments.kwargs | {k: v for k, v in operation.get_config().items() if k != "name"}
        words = [self._value(given.pop(k)) for k in _in_front(parameters) if k in given]
        words += [self._value(a) for a in arguments.args]
        words += [f"{k}={self._value(v)}" for k, v in given.items() if k in parameters and v != parameters[k].default]
        return f"ops.{name}({', '.join(words)})", False

    def _layer(self, layer):
        """Return the call that makes a layer; one that is used several times gets a line of its own."""
        if len(layer._inbound_nodes) == 1:
            return construct(layer)
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._variable(f"{layer.name}_layer")
            self.lines.append(f"{self._layers[id(layer)]} = {construct(layer)}")
        return self._layers[id(layer)]

    def _arguments(self, layer, arguments):
        parameters = inspect.signature(layer.call).parameters
        words = [self._value(a) for a in arguments.args]
        for name, given in arguments.kwargs.items():
            default = parameters[name].default if name in parameters else None
            if given is not None and (isinstance(given, keras.KerasTensor) or given != default):
                words.append(f"{name}={self._value(given)}")
        return words

    def _value(self, given, *, within=False):
        if isinstance(given, keras.KerasTensor):
            return self._tensor(given, within=within)
        if isinstance(given, list | tuple) and any(isinstance(v, keras.KerasTensor) for v in given):
            return f"[{', '.join(map(self._value, given))}]"
        return value(given)

    def _assign(self, node, text):
        operation = node.operation
        layer = isinstance(operation, keras.Layer)
        name = self._variable(operation.name if layer else f"{identifier(type(operation).__name__)}_1")
        self._names[id(node)] = name
        self.lines.append(f"{name} = {text}")

    def _variable(self, wish):
        """Return a variable's name that is not taken yet."""
        stem = name = identifier(wish)
        number = 1
        while name in self._taken:
            number += 1
            name = f"{stem.removesuffix('_1')}_{number}"
        self._taken.add(name)
        return name


def _in_front(parameters):
    """Return the names of parameters that stand before any number of operands, as those of `einsum` do."""
    names = list(parameters)
    many = [i for i, name in enumerate(names) if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL]
    return names[: many[0]] if many else []


def _node(tensor):
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def _input(layer):
    config = layer.get_config()
    batch, *shape = config["batch_shape"]
    words = [value(tuple(shape)), f"name={value(config['name'])}"]
    words += [] if batch is None else [f"batch_size={batch}"]
    words += [] if config["dtype"] == keras.config.floatx() else [f"dtype={value(config['dtype'])}"]
    return f"keras.Input({', '.join(words)})"


def _key(key):
    """Write what stands between the brackets of an index."""
    if isinstance(key, tuple):
        return ", ".join(map(_key, key))
    if isinstance(key, slice):
        ends = ["" if end is None else str(end) for end in (key.start, key.stop, key.step)]
        return ":".join(ends[:2] if key.step is None else ends)
    return "..." if key is Ellipsis else "None" if key is None else str(key)
