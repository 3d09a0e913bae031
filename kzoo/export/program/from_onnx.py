"""Read a `Program` from an ONNX graph for one row, whose shapes are all known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.program.buffers import Value, at
from kzoo.export.program.operations import FLOATS, MAPS, REDUCTIONS, Operations
from kzoo.export.program.steps import Program, Step, View, every_step
from kzoo.utils.errors import KzooError

if TYPE_CHECKING:
    import onnx

_LSTM = [b"Sigmoid", b"Tanh", b"Tanh"]  # activations of the cells of a direction
# operations with which shapes are computed
_FOLDED = frozenset(
    {"Add", "Cast", "Concat", "Div", "Gather", "Mul", "ReduceProd"}
    | {"Slice", "Squeeze", "Sub", "Unsqueeze"}
)
_MOST_FOLDED = 64  # elements
_MOST_COUNT = 100_000  # repetitions of a loop


@dataclass(eq=False)
class _Reader(Operations):
    """Reads nodes into steps; a loop's body has a reader of its own, which shares the buffers.

    Args:
        values: name in the graph -> its value.
    """

    values: dict[str, Value] = field(default_factory=dict)

    # Nodes

    def read(self, graph: "onnx.GraphProto") -> None:
        """Read the constants and the nodes of a graph."""
        numpy_helper = import_module("onnx").numpy_helper
        for tensor in graph.initializer:
            self.values[tensor.name] = self.constant(numpy_helper.to_array(tensor))
        for node in graph.node:
            self._read(node)

    def _read(self, node: "onnx.NodeProto") -> None:
        inputs = [self.values[name] if name else None for name in node.input]
        options = _attributes(node)
        if (folded := self._folded(node, inputs)) is not None:
            outputs = folded
        elif node.op_type in MAPS:
            outputs = [self._map(node.op_type, inputs)]
        elif node.op_type in REDUCTIONS:
            outputs = [self._reduce(node.op_type, inputs, options)]
        else:
            method = getattr(self, f"_{node.op_type.lower()}", None)
            if method is None:
                raise KzooError(f"its operation {node.op_type} has no code")
            result = method(inputs, options | {"outputs": len(node.output)})
            outputs = result if isinstance(result, list) else [result]
        self.values |= {
            name: value for name, value in zip(node.output, outputs, strict=False) if name
        }

    def _folded(self, node: "onnx.NodeProto", inputs: Sequence[Any]) -> list[Value] | None:
        """Return the outputs of a node that computes a few constants, such as a shape; None of another node."""
        named = [(n, value) for n, value in zip(node.input, inputs, strict=True) if value]
        if node.op_type not in _FOLDED or not any(value.is_whole for _, value in named):
            return None
        feeds = {}
        for name, value in named:
            array = self.array(value)
            if array is None or array.size > _MOST_FOLDED:
                return None
            feeds[name] = array.astype(np.int64 if value.is_whole else np.float32)
        evaluator = import_module("onnx.reference").ReferenceEvaluator(node)
        return [self.constant(np.asarray(result)) for result in evaluator.run(None, feeds)]

    def _loop(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> list[Value]:
        """Read a loop whose number of repetitions is known: that of a recurrent layer."""
        graph = options["body"]
        count = self.whole_numbers(inputs[0], "the number of steps of a loop")[0]
        if not 0 < count <= _MOST_COUNT:
            raise KzooError(f"a loop has {count} steps")
        names = [each.name for each in graph.input]
        states = len(names) - 2
        unchanged = {
            i for i in range(states) if _source(graph, graph.output[1 + i].name) == names[2 + i]
        }
        number = self.new(())
        body = _Reader(self.sizes, self.constants, self.known, values=dict(self.values))
        body.values[names[0]] = Value(view=number, is_whole=True)
        body.values[names[1]] = self.constant(np.ones((), np.float32))
        initial = inputs[2:]
        for i, value in enumerate(initial):
            if i not in unchanged:
                state = self.new(value.view.shape)
                self.copy(value.view, state)
                value = replace(value, view=state)
            body.values[names[2 + i]] = value
        body.read(graph)
        carried, collected, outputs = [], [], []
        for i in range(states):
            start = body.values[names[2 + i]]
            if i not in unchanged:
                after = body.values[graph.output[1 + i].name].view
                carried.append((start.view, body.packed(after)))
            outputs.append(start)
        # a state that another one takes over is read before it is overwritten
        targets = {target.buffer for target, _ in carried}
        for i, (target, source) in enumerate(carried):
            if source.buffer in targets:
                kept = self.new(source.shape)
                body.copy(source, kept)
                carried[i] = (target, kept)
        for each in graph.output[1 + states :]:
            value = body.values[each.name]
            rows = self.new((count, *value.view.shape))
            collected.append((rows, body.packed(value.view)))
            outputs.append(replace(value, view=rows))
        self.steps.append(
            Step(
                kind="loop",
                out=number,
                numbers={"count": count},
                body=body.steps,
                carried=carried,
                collected=collected,
            )
        )
        return outputs

    def _lstm(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> list[Value]:
        """Read a layer of LSTM cells as a loop for each direction."""
        x, w, r, bias, lengths, *initial = [*inputs, *[None] * (7 - len(inputs))][:7]
        known = None if lengths is None else self.array(lengths)
        whole = lengths is None or (known is not None and bool((known == x.view.shape[0]).all()))
        usual_names = _LSTM * w.view.shape[0]
        usual = list(options.get("activations", usual_names)) == usual_names
        if not whole or not usual or "clip" in options:
            raise KzooError("its LSTM has lengths or activations of its own")
        count, direction = w.view.shape[0], options.get("direction", b"forward")
        ends = []
        for number in range(count):
            parts = [
                None if value is None else self.moved(value, at(number))
                for value in (w, r, bias, *initial)
            ]
            ends.append(self._lstm_direction(x, parts, direction == b"reverse" or number == 1))
        # outputs (steps, directions, batch, units), and the last states (directions, batch, units)
        axes = 1, 0, 0
        results = []
        for axis, values in zip(axes, zip(*ends, strict=True), strict=True):
            wide = [self.moved(value, at((slice(None),) * axis + (None,))) for value in values]
            results.append(wide[0] if count == 1 else self._concat(wide, {"axis": axis}))
        return results

    def _lstm_direction(
        self, x: Value, parts: Sequence[Value | None], backwards: bool
    ) -> tuple[Value, Value, Value]:
        """Return the outputs (steps, batch, units) of LSTM cells, and their last states (batch, units).

        Args:
            x: (steps, batch, features).
            parts: weights (4 units, features) and (4 units, units), biases (8 units,) and initial states, or None.
            backwards: whether the last step is read first.
        """
        w, r, bias, *initial = parts
        assert w is not None and r is not None
        (steps, batch, width), units = x.view.shape, r.view.shape[-1]
        table = self.moved(x, lambda array: array.reshape(steps, batch * width))
        states = []
        for value in initial:
            start = self.constant(np.zeros((batch, units))) if value is None else value
            states.append(Value(view=self.new((batch, units))))
            self.copy(start.view, states[-1].view)
        h, c = states
        number = self.new(())
        body = _Reader(self.sizes, self.constants, self.known)
        row = Value(view=number, is_whole=True)
        if backwards:
            row = body.elements("sub", [self.constant(np.array(steps - 1)), row])
        read = body.moved(body._gather([table, row], {}), lambda array: array.reshape(batch, width))
        gates = body.elements(
            "add",
            [
                body._matmul([value, body.moved(weights, np.transpose)], {})
                for value, weights in ((read, w), (h, r))
            ],
        )
        if bias is not None:
            for part in (slice(4 * units), slice(4 * units, 8 * units)):
                gates = body.elements("add", [gates, body.moved(bias, at(part))])
        i, o, f, new = (
            body.elements(
                function, [body.moved(gates, at((slice(None), slice(k * units, (k + 1) * units))))]
            )
            for k, function in enumerate(("sigmoid", "sigmoid", "sigmoid", "tanh"))
        )
        kept = body.elements("mul", [f, c])
        cell = body.elements("add", [kept, body.elements("mul", [i, new])])
        output = body.elements("mul", [o, body.elements("tanh", [cell])])
        rows = Value(view=self.new((steps, batch, units)))
        self.steps.append(
            Step(
                kind="loop",
                out=number,
                numbers={"count": steps},
                body=body.steps,
                carried=[(h.view, output.view), (c.view, cell.view)],
                collected=[(rows.view, output.view)],
            )
        )
        return (self.moved(rows, at(slice(None, None, -1))) if backwards else rows), h, c


def _attributes(node: "onnx.NodeProto") -> dict[str, Any]:
    get = import_module("onnx").helper.get_attribute_value
    return {each.name: get(each) for each in node.attribute}


def _source(graph: "onnx.GraphProto", name: str) -> str:
    """Return the name of the value that an identity, or several of them, return."""
    sources = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Identity"}
    while name in sources:
        name = sources[name]
    return name


def read_program(content: bytes) -> Program:
    """Return the program of an ONNX file for one row.

    Args:
        content: of the file, whose batches may have any size.

    Raises:
        KzooError: an operation has no code, or a shape depends on the input.
    """
    graph = _for_one_row(content)
    reader = _Reader()
    dims = [dim.dim_value for dim in graph.input[0].type.tensor_type.shape.dim]
    entry = reader.new(dims)
    is_whole = graph.input[0].type.tensor_type.elem_type not in FLOATS
    reader.values[graph.input[0].name] = Value(view=entry, is_whole=is_whole)
    reader.read(graph)
    answer = reader.values[graph.output[0].name].view
    out = reader.new(answer.shape)
    reader.copy(answer, out)
    steps = _without_unused(reader.steps, {out.buffer})
    return Program(
        steps=_with_last_rows(steps, reader.sizes),
        sizes=reader.sizes,
        constants=reader.constants,
        input=entry.buffer,
        output=out.buffer,
    )


def _for_one_row(content: bytes) -> "onnx.GraphProto":
    """Return the graph of an ONNX file with a batch of one row, and without operations on constants."""
    onnx, runtime = import_module("onnx"), import_module("onnxruntime")
    proto = onnx.load_from_string(content)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    del proto.graph.value_info[:]
    for dim in proto.graph.output[0].type.tensor_type.shape.dim:
        dim.Clear()
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # errors are raised as well
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with TemporaryDirectory() as work:
        options.optimized_model_filepath = str(Path(work, "folded.onnx"))
        runtime.InferenceSession(
            proto.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return onnx.load(options.optimized_model_filepath).graph


def _without_unused(steps: Sequence[Step], wanted: set[int]) -> list[Step]:
    """Return the steps whose results are used, and add what they read to `wanted`."""
    kept: list[Step] = []
    for step in reversed(steps):
        if step.kind == "loop":
            collected = [pair for pair in step.collected if pair[0].buffer in wanted]
            inner = wanted | {source.buffer for _, source in (*step.carried, *collected)}
            body = _without_unused(step.body, inner)
            wanted |= inner
            kept.append(replace(step, body=body, collected=collected))
        elif step.out.buffer in wanted:
            wanted |= {view.buffer for view in step.inputs}
            kept.append(step)
    return kept[::-1]


def _with_last_rows(steps: Sequence[Step], sizes: list[int]) -> list[Step]:
    """Return the steps with loops that keep only the last row of what nothing reads but for that row.

    Args:
        steps: those of a program.
        sizes: elements of each buffer, which become fewer.
    """
    read: dict[int, list[View]] = {}
    for step in every_step(steps):
        for view in step.views_read:
            read.setdefault(view.buffer, []).append(view)
    before: dict[int, int] = {}  # buffer -> elements before its last row
    for step in steps:
        for rows, source in step.collected:
            start = rows.size - source.size
            if all(view.first >= start for view in read.get(rows.buffer, ())):
                before[rows.buffer] = start
                sizes[rows.buffer] = source.size
    if not before:
        return [*steps]

    def moved(view: View) -> View:
        return replace(view, offset=view.offset - before.get(view.buffer, 0))

    def last_rows(step: Step) -> Step:
        last = [
            (replace(source, buffer=rows.buffer, offset=0), source)
            for rows, source in step.collected
            if rows.buffer in before
        ]
        collected = [pair for pair in step.collected if pair[0].buffer not in before]
        return replace(
            step,
            inputs=tuple(moved(view) for view in step.inputs),
            body=[last_rows(each) for each in step.body],
            carried=[*last, *((target, moved(source)) for target, source in step.carried)],
            collected=[(target, moved(source)) for target, source in collected],
        )

    return [last_rows(step) for step in steps]
