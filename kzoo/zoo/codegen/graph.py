"""The graph of a functional model as lines of Python code, one for each layer."""

import inspect
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import keras
from keras import ops

from kzoo.utils.errors import KzooError
from kzoo.zoo.codegen.values import construct, identifier, value

if TYPE_CHECKING:
    from inspect import Parameter

    from keras.src.ops.node import Node
    from keras.src.ops.symbolic_arguments import SymbolicArguments


_INFIX = {"Add": "+", "Subtract": "-", "Multiply": "*", "TrueDivide": "/"}
_INLINE = 72  # longer expressions get their own line


class Graph:
    """Writes the body of a function that builds a model.

    Args:
        model: a functional model of built-in Keras layers and operations.

    Raises:
        KzooError: the model contains anything else.
    """

    def __init__(self, model: keras.Model) -> None:
        self.lines: list[str] = []
        self._names: dict[int, str] = {}
        self._used_names = {"keras", "layers", "ops", "math"}
        self._layers: dict[int, str] = {}
        self._uses = Counter(
            id(_node(tensor))
            for operation in model.operations
            for node in operation._inbound_nodes
            for tensor in node.input_tensors
        )
        for tensor in model.inputs:
            self._assign(_node(tensor), _input_code(_node(tensor).operation))
        for operation in model.operations:  # in topological order, to avoid deep recursion
            if isinstance(operation, keras.Layer):
                for node in operation._inbound_nodes:
                    self._tensor_code(node.output_tensors[0])
        inputs, outputs = (
            codes[0] if len(codes) == 1 else f"[{', '.join(codes)}]"
            for codes in map(self._tensor_codes, (model.inputs, model.outputs))
        )
        self.lines.append(f"return keras.Model({inputs}, {outputs}, name={value(model.name)})")

    def _tensor_codes(self, tensors: Iterable[keras.KerasTensor]) -> list[str]:
        return [self._tensor_code(tensor) for tensor in tensors]

    def _tensor_code(self, tensor: "keras.KerasTensor", *, within: bool = False) -> str:
        """Return the expression of a tensor, after adding the lines that it needs.

        Args:
            within: whether it is an operand, so that an expression with an operator needs parentheses.
        """
        node = _node(tensor)
        if id(node) not in self._names:
            text, infix = self._expression(node)
            layer = isinstance(node.operation, keras.Layer)
            if not layer and self._uses[id(node)] == 1 and len(text) <= _INLINE:
                return f"({text})" if infix and within else text
            self._assign(node, text)
        name = self._names[id(node)]
        return (
            name
            if len(node.output_tensors) == 1
            else f"{name}[{tensor._keras_history.tensor_index}]"
        )

    def _expression(self, node: "Node") -> tuple[str, bool]:
        """Return the expression of a node, and whether it is an operator expression."""
        operation, arguments = node.operation, node.arguments
        if isinstance(operation, keras.Model):
            raise KzooError(
                f"{operation.name!r} cannot be written as code: a nested model is not supported."
            )
        if isinstance(operation, keras.Layer):
            return (
                f"{self._layer_code(operation)}({', '.join(self._call_arguments(operation, arguments))})",
                False,
            )
        kind = type(operation).__name__
        if kind == "GetItem":
            tensor, key = arguments.args
            return f"{self._tensor_code(tensor, within=True)}[{_index_code(key)}]", False
        if kind in _INFIX and not arguments.kwargs:
            left, right = (self._argument_code(a, within=True) for a in arguments.args)
            return f"{left} {_INFIX[kind]} {right}", True
        name = identifier(kind)
        if not hasattr(ops, name):
            raise KzooError(
                f"Operation {kind} cannot be written as code: keras.ops has no function of that name."
            )
        parameters = inspect.signature(getattr(ops, name)).parameters
        options = arguments.kwargs | {
            k: v for k, v in operation.get_config().items() if k != "name"
        }
        codes = [
            self._argument_code(options.pop(k))
            for k in _leading_parameters(parameters)
            if k in options
        ]
        codes += [self._argument_code(a) for a in arguments.args]
        codes += [
            f"{k}={self._argument_code(v)}"
            for k, v in options.items()
            if k in parameters and v != parameters[k].default
        ]
        return f"ops.{name}({', '.join(codes)})", False

    def _layer_code(self, layer: keras.Layer) -> str:
        """Return the expression of a layer; a layer that is used several times is assigned to a variable first."""
        if len(layer._inbound_nodes) == 1:
            return construct(layer)
        if id(layer) not in self._layers:
            self._layers[id(layer)] = self._variable(f"{layer.name}_layer")
            self.lines.append(f"{self._layers[id(layer)]} = {construct(layer)}")
        return self._layers[id(layer)]

    def _call_arguments(self, layer: keras.Layer, arguments: "SymbolicArguments") -> list[str]:
        parameters = inspect.signature(layer.call).parameters
        codes = [self._argument_code(a) for a in arguments.args]
        for name, argument in arguments.kwargs.items():
            default = parameters[name].default if name in parameters else None
            if argument is not None and (
                isinstance(argument, keras.KerasTensor) or argument != default
            ):
                codes.append(f"{name}={self._argument_code(argument)}")
        return codes

    def _argument_code(self, argument: object, *, within: bool = False) -> str:
        if isinstance(argument, keras.KerasTensor):
            return self._tensor_code(argument, within=within)
        if isinstance(argument, list | tuple) and any(
            isinstance(v, keras.KerasTensor) for v in argument
        ):
            return f"[{', '.join(map(self._argument_code, argument))}]"
        return value(argument)

    def _assign(self, node: "Node", text: str) -> None:
        operation = node.operation
        layer = isinstance(operation, keras.Layer)
        name = self._variable(
            operation.name if layer else f"{identifier(type(operation).__name__)}_1"
        )
        self._names[id(node)] = name
        self.lines.append(f"{name} = {text}")

    def _variable(self, preferred: str) -> str:
        """Return a variable name that is not used yet."""
        stem = name = identifier(preferred)
        number = 1
        while name in self._used_names:
            number += 1
            name = f"{stem.removesuffix('_1')}_{number}"
        self._used_names.add(name)
        return name


def _leading_parameters(parameters: "Mapping[str, Parameter]") -> list[str]:
    """Return the names of the parameters before `*operands`, as in `einsum`."""
    names = list(parameters)
    many = [
        i
        for i, name in enumerate(names)
        if parameters[name].kind is inspect.Parameter.VAR_POSITIONAL
    ]
    return names[: many[0]] if many else []


def _node(tensor: "keras.KerasTensor") -> "Node":
    operation, index, _ = tensor._keras_history
    return operation._inbound_nodes[index]


def _input_code(layer: keras.Layer) -> str:
    config = layer.get_config()
    batch, *shape = config["batch_shape"]
    codes = [value(tuple(shape)), f"name={value(config['name'])}"]
    codes += [] if batch is None else [f"batch_size={batch}"]
    codes += [] if config["dtype"] == keras.config.floatx() else [f"dtype={value(config['dtype'])}"]
    return f"keras.Input({', '.join(codes)})"


def _index_code(key: object) -> str:
    """Return the code of an index, without its brackets."""
    if isinstance(key, tuple):
        return ", ".join(map(_index_code, key))
    if isinstance(key, slice):
        ends = ["" if end is None else str(end) for end in (key.start, key.stop, key.step)]
        return ":".join(ends[:2] if key.step is None else ends)
    return "..." if key is Ellipsis else "None" if key is None else str(key)
