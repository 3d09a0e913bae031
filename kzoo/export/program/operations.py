"""Operations of ONNX graphs as steps of a `Program`: of elements, shapes, sums, products and windows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any

import numpy as np

from kzoo.export.program.buffers import Buffers, Value, at
from kzoo.export.program.steps import Step, View
from kzoo.utils.errors import KzooError

# operation -> name of the function of elements
MAPS = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Pow": "pow",
    "Max": "max",
    "Min": "min",
    "Equal": "equal",
    "Less": "less",
    "LessOrEqual": "less_equal",
    "Greater": "greater",
    "GreaterOrEqual": "greater_equal",
    "And": "and",
    "Or": "or",
    "Not": "not",
    "Where": "where",
    "Relu": "relu",
    "Sqrt": "sqrt",
    "Exp": "exp",
    "Log": "log",
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Abs": "abs",
    "Neg": "neg",
    "Sign": "sign",
    "Reciprocal": "reciprocal",
    "Erf": "erf",
    "Floor": "floor",
    "Ceil": "ceil",
    "Sin": "sin",
    "Cos": "cos",
}
REDUCTIONS = {
    "ReduceSum": "sum",
    "ReduceMean": "mean",
    "ReduceMax": "max",
    "ReduceMin": "min",
    "ReduceProd": "prod",
}
FLOATS = (1, 10, 11)  # numbers of float32, float16 and float64 in ONNX
_BOOL = 9


@dataclass(eq=False)
class Operations(Buffers):
    """Buffers with a method for each operation, named in lower case, from its inputs and options to its outputs."""

    def _map(self, name: str, inputs: Sequence[Any]) -> Value:
        function = MAPS[name]
        if name in ("Max", "Min", "Add") and len(inputs) != 2:
            result = inputs[0]
            for other in inputs[1:]:
                result = self.elements(function, [result, other])
            return result
        if function == "div" and all(value.is_whole for value in inputs):
            function = "whole_div"
        result = self.elements(function, inputs)
        return replace(result, is_whole=inputs[1].is_whole) if name == "Where" else result

    def _cast(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        value, to = inputs[0], options["to"]
        if to == _BOOL:
            return self.elements("truth", [value])
        if to in FLOATS or value.is_whole:
            return replace(value, is_whole=to not in FLOATS)
        return replace(self.elements("truncate", [value]), is_whole=True)

    def _identity(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return inputs[0]

    def _constant(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self.constant(import_module("onnx").numpy_helper.to_array(options["value"]))

    def _constantofshape(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        shape = self.whole_numbers(inputs[0], "a shape")
        number = np.float32(0)
        if "value" in options:
            number = import_module("onnx").numpy_helper.to_array(options["value"]).reshape(())
        return self.constant(np.full(shape, number))

    def _shape(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self.constant(np.array(inputs[0].view.shape, np.int64))

    def _clip(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        value = inputs[0]
        for function, bound in zip(("max", "min"), inputs[1:], strict=False):
            if bound is not None:
                value = self.elements(function, [value, bound])
        return value

    def _leakyrelu(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self.elements("leaky_relu", inputs, options.get("alpha", 0.01))

    def _elu(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self.elements("elu", inputs, options.get("alpha", 1.0))

    # Elements elsewhere

    def _reshape(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        old = inputs[0].view.shape
        sizes = self.whole_numbers(inputs[1], "a shape")
        sizes = [old[i] if size == 0 else size for i, size in enumerate(sizes)]
        return self.moved(inputs[0], lambda array: array.reshape(sizes))

    def _flatten(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        axis = options.get("axis", 1)
        first = int(np.prod(inputs[0].view.shape[:axis]))
        return self.moved(inputs[0], lambda array: array.reshape(first, -1))

    def _axes(self, inputs: Sequence[Any], options: Mapping[str, Any], rank: int) -> list[int]:
        axes = options.get("axes")
        if axes is None and len(inputs) > 1 and inputs[1] is not None:
            axes = self.whole_numbers(inputs[1], "an axis")
        return sorted(axis % rank for axis in (range(rank) if axes is None else axes))

    def _squeeze(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        shape = inputs[0].view.shape
        axes = self._axes(inputs, options, len(shape))
        axes = [axis for axis in axes if shape[axis] == 1]
        return self.moved(inputs[0], lambda array: np.squeeze(array, tuple(axes)))

    def _unsqueeze(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        axes = options.get("axes") or self.whole_numbers(inputs[1], "an axis")
        return self.moved(inputs[0], lambda array: np.expand_dims(array, tuple(axes)))

    def _transpose(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self.moved(inputs[0], lambda array: np.transpose(array, options.get("perm")))

    def _expand(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        wanted = self.whole_numbers(inputs[1], "a shape")
        shape = np.broadcast_shapes(tuple(wanted), inputs[0].view.shape)
        return self.moved(inputs[0], lambda array: np.broadcast_to(array, shape))

    def _reversesequence(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        axis = options.get("time_axis", 0)
        lengths = self.whole_numbers(inputs[1], "the length of a sequence")
        if set(lengths) != {inputs[0].view.shape[axis]}:
            raise KzooError("it reverses parts of sequences")
        return self.moved(inputs[0], lambda array: np.flip(array, axis))

    def _tile(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        repeats = self.whole_numbers(inputs[1], "a number of repetitions")
        shape = inputs[0].view.shape
        wide = [size for pair in zip(repeats, shape, strict=True) for size in pair]
        narrow = [size for length in shape for size in (1, length)]
        total = [count * length for count, length in zip(repeats, shape, strict=True)]
        repeated = self.moved(inputs[0], lambda array: np.broadcast_to(array.reshape(narrow), wide))
        return self.moved(repeated, lambda array: array.reshape(total))

    def _slice(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        starts, ends = (self.whole_numbers(value, "a slice") for value in inputs[1:3])
        given_axes = inputs[3] if len(inputs) > 3 else None
        steps_value = inputs[4] if len(inputs) > 4 else None
        axes = (
            list(range(len(starts)))
            if given_axes is None
            else self.whole_numbers(given_axes, "an axis")
        )
        steps = (
            [1] * len(starts) if steps_value is None else self.whole_numbers(steps_value, "a step")
        )
        shape = inputs[0].view.shape
        index = [slice(None)] * len(shape)
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
            length = shape[axis]
            if step < 0 and end < -length:  # to the first element
                index[axis] = slice(min(start, length - 1), None, step)
            else:
                index[axis] = slice(start, end, step)
        return self.moved(inputs[0], lambda array: array[tuple(index)])

    def _split(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> list[Value]:
        shape = inputs[0].view.shape
        axis = options.get("axis", 0) % len(shape)
        count = options["outputs"]
        sizes = (
            self.whole_numbers(inputs[1], "a split")
            if len(inputs) > 1 and inputs[1] is not None
            else [shape[axis] // count] * count
        )
        ends = np.cumsum(sizes)
        index: Any = [slice(None)] * len(shape)
        parts = []
        for size, end in zip(sizes, ends, strict=True):
            part = (*index[:axis], slice(int(end) - size, int(end)))
            parts.append(self.moved(inputs[0], at(part)))
        return parts

    def _concat(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        axis = options["axis"] % len(inputs[0].view.shape)
        arrays = [self.array(value) for value in inputs]
        known = [array for array in arrays if array is not None]
        if len(known) == len(arrays):
            return self.constant(np.concatenate(known, axis=axis))
        shape = list(inputs[0].view.shape)
        shape[axis] = sum(value.view.shape[axis] for value in inputs)
        out = Value(view=self.new(shape), is_whole=all(value.is_whole for value in inputs))
        begin = 0
        for value in inputs:
            part: Any = [slice(None)] * len(shape)
            part[axis] = slice(begin, begin + value.view.shape[axis])
            begin += value.view.shape[axis]
            if value.view.size:
                self.copy(value.view, self.moved(out, at(tuple(part))).view)
        return out

    def _pad(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        if options.get("mode", b"constant") != b"constant":
            raise KzooError("its padding repeats elements")
        value = inputs[0]
        pads = self.whole_numbers(inputs[1], "a padding")
        rank = len(value.view.shape)
        if not any(pads):
            return value
        fill = inputs[2] if len(inputs) > 2 and inputs[2] is not None else None
        fill = self.constant(np.zeros((), np.float32)) if fill is None else fill
        shape = [
            n + a + b for n, a, b in zip(value.view.shape, pads[:rank], pads[rank:], strict=True)
        ]
        out = replace(value, view=self.new(shape))
        self.copy(self.moved(fill, lambda array: np.broadcast_to(array, shape)).view, out.view)
        inside = tuple(slice(a, a + n) for a, n in zip(pads, value.view.shape, strict=False))
        self.copy(value.view, self.moved(out, lambda array: array[inside]).view)
        return out

    def _gather(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        data, indices = inputs
        shape = data.view.shape
        axis = options.get("axis", 0) % len(shape)
        known = self.array(indices)
        if known is not None and known.size == 1:
            i = int(known.reshape(-1)[0]) % shape[axis]
            index: Any = (*[slice(None)] * axis, slice(i, i + 1))
            taken = self.moved(data, lambda array: array[index])
            target = (*shape[:axis], *indices.view.shape, *shape[axis + 1 :])
            return self.moved(taken, lambda array: array.reshape(target))
        if known is not None and (array := self.array(data)) is not None:
            return self.constant(np.take(array, known.astype(int), axis=axis))
        out = self.new((*shape[:axis], *indices.view.shape, *shape[axis + 1 :]))
        numbers = dict(
            outer=int(np.prod(shape[:axis])),
            rows=shape[axis],
            inner=int(np.prod(shape[axis + 1 :])),
            count=indices.view.size,
        )
        views = (self.packed(data.view), self.packed(indices.view))
        self.steps.append(Step(kind="gather", out=out, inputs=views, numbers=dict(numbers)))
        return replace(data, view=out)

    def _gathernd(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        data, indices = inputs
        if batch := options.get("batch_dims", 0):  # of one row
            first = (0,) * batch
            data, indices = (
                self.moved(value, lambda array: array[first]) for value in (data, indices)
            )
            result = self._gathernd([data, indices], {})
            return self.moved(result, lambda array: array[(None,) * batch])
        shape, depth = data.view.shape, indices.view.shape[-1]
        number: Value | None = None  # of the row of a table
        for i in range(depth):
            part = self.moved(indices, at((..., i)))
            factor = self.constant(np.array(np.prod(shape[i + 1 : depth]), np.int64))
            part = self.elements("mul", [part, factor])
            number = part if number is None else self.elements("add", [number, part])
        rows = self.moved(data, lambda array: array.reshape(-1, *shape[depth:]))
        return self._gather([rows, number], {})

    # Sums

    def _reduce(self, name: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        value = inputs[0]
        shape = value.view.shape
        axes = self._axes(inputs, options, len(shape))
        keeps = bool(options.get("keepdims", 1))
        return self._reduced(REDUCTIONS[name], value, axes, keeps)

    def _reduced(self, function: str, value: Value, axes: Sequence[int], keeps: bool) -> Value:
        shape = value.view.shape
        kept = [axis for axis in range(len(shape)) if axis not in axes]
        order = [*kept, *axes]
        turned = self.moved(value, lambda array: np.transpose(array, order)).view
        out = self.new([shape[axis] for axis in kept])
        self.steps.append(
            Step(
                kind="reduce",
                function=function,
                out=out,
                inputs=(turned,),
                numbers={"kept": len(kept)},
            )
        )
        result = Value(view=out, is_whole=value.is_whole)
        if not keeps:
            return result
        whole = [1 if axis in axes else length for axis, length in enumerate(shape)]
        return self.moved(result, lambda array: array.reshape(whole))

    def _globalaveragepool(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self._reduced("mean", inputs[0], range(2, len(inputs[0].view.shape)), True)

    def _globalmaxpool(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self._reduced("max", inputs[0], range(2, len(inputs[0].view.shape)), True)

    def _softmax(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        shape = inputs[0].view.shape
        axis = options.get("axis", -1) % len(shape)
        out = self.new(shape)
        numbers = dict(
            outer=int(np.prod(shape[:axis])),
            length=shape[axis],
            inner=int(np.prod(shape[axis + 1 :])),
        )
        views = (self.packed(inputs[0].view),)
        self.steps.append(Step(kind="softmax", out=out, inputs=views, numbers=dict(numbers)))
        return Value(view=out)

    def _cumsum(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        shape = inputs[0].view.shape
        axis = self.whole_numbers(inputs[1], "an axis")[0] % len(shape)
        numbers = dict(
            outer=int(np.prod(shape[:axis])),
            length=shape[axis],
            inner=int(np.prod(shape[axis + 1 :])),
            exclusive=int(options.get("exclusive", 0)),
            reverse=int(options.get("reverse", 0)),
        )
        out = self.new(shape)
        views = (self.packed(inputs[0].view),)
        self.steps.append(Step(kind="cumulative_sum", out=out, inputs=views, numbers=dict(numbers)))
        return replace(inputs[0], view=out)

    # Products

    def _matmul(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        a, b = inputs
        if len(a.view.shape) == 1:
            row = self._matmul([self.moved(a, lambda array: array[None]), b], options)
            return self.moved(row, lambda array: np.squeeze(array, -2))
        if len(b.view.shape) == 1:
            column = self._matmul([a, self.moved(b, lambda array: array[:, None])], options)
            return self.moved(column, lambda array: np.squeeze(array, -1))
        (m, k), n = a.view.shape[-2:], b.view.shape[-1]
        batch = np.broadcast_shapes(a.view.shape[:-2], b.view.shape[:-2])
        if len(b.view.shape) == 2:  # the rows of all batches are rows of one matrix
            flat = self.moved(a, lambda array: array.reshape(-1, k)) if batch else a
            out = self.new((flat.view.shape[0], n))
            self._product(flat, b, out)
            return self.moved(Value(view=out), lambda array: array.reshape(*batch, m, n))
        a = self.moved(a, lambda array: np.broadcast_to(array, (*batch, m, k)))
        b = self.moved(b, lambda array: np.broadcast_to(array, (*batch, k, n)))
        out = self.new((*batch, m, n))
        self._product(a, b, out)
        return Value(view=out)

    def _product(self, a: Value, b: Value, out: View) -> None:
        views = tuple(self._matrix(value.view) for value in (a, b))
        (m, k), n = views[0].shape[-2:], views[1].shape[-1]
        self.steps.append(
            Step(kind="matmul", out=out, inputs=views, numbers=dict(rows=m, inner=k, columns=n))
        )

    def _matrix(self, view: View) -> View:
        """Return a view whose last two axes are a matrix, row by row."""
        columns = view.shape[-1]
        if view.strides[-2:] == (columns, 1) or (view.strides[-1] == 1 and view.shape[-2] == 1):
            return view
        return self.packed(view)

    def _gemm(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        a, b = inputs[:2]
        if options.get("transA"):
            a = self.moved(a, np.transpose)
        if options.get("transB"):
            b = self.moved(b, np.transpose)
        result = self._matmul([a, b], {})
        if (alpha := options.get("alpha", 1.0)) != 1:
            result = self.elements("mul", [result, self.constant(np.array(alpha, np.float32))])
        if len(inputs) > 2 and inputs[2] is not None:
            bias = inputs[2]
            if (beta := options.get("beta", 1.0)) != 1:
                bias = self.elements("mul", [bias, self.constant(np.array(beta, np.float32))])
            result = self.elements("add", [result, bias])
        return result

    def _conv(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        x, w = inputs[:2]
        flat = len(x.view.shape) == 3  # of a series: a picture with one line
        if flat:
            x, w = (self.moved(value, lambda array: array[:, :, None]) for value in (x, w))
        sizes, windows = _windows(options, flat, x.view.shape[2:], w.view.shape[2:])
        out = self.new((1, w.view.shape[0], *sizes))
        groups = {"groups": int(options.get("group", 1))}
        views = [self.packed(value.view) for value in (x, w)]
        if len(inputs) > 2 and inputs[2] is not None:
            views.append(self.packed(inputs[2].view))
        self.steps.append(
            Step(
                kind="convolution",
                out=out,
                inputs=tuple(views),
                numbers=groups,
                windows=windows,
            )
        )
        value = Value(view=out)
        return self.moved(value, lambda array: array[:, :, 0]) if flat else value

    def _pool(self, function: str, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        x = inputs[0]
        flat = len(x.view.shape) == 3
        if flat:
            x = self.moved(x, lambda array: array[:, :, None])
        kernel = tuple(options["kernel_shape"])
        sizes, windows = _windows(options, flat, x.view.shape[2:], (1, *kernel) if flat else kernel)
        if options.get("ceil_mode"):
            raise KzooError("its pooling rounds sizes up")
        out = self.new((1, x.view.shape[1], *sizes))
        self.steps.append(
            Step(
                kind="pool",
                function=function,
                out=out,
                inputs=(self.packed(x.view),),
                numbers={"counts_padding": int(options.get("count_include_pad", 0))},
                windows=windows,
            )
        )
        value = Value(view=out)
        return self.moved(value, lambda array: array[:, :, 0]) if flat else value

    def _maxpool(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self._pool("max", inputs, options)

    def _averagepool(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Value:
        return self._pool("mean", inputs, options)

    # Loops


def _windows(
    options: Mapping[str, Any], flat: bool, size: Sequence[int], kernel: Sequence[int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return height and width of the output of windows that slide over an image, and the windows (see `Step`)."""
    strides = tuple(options.get("strides", [1] * (2 - flat)))
    dilations = tuple(options.get("dilations", [1] * (2 - flat)))
    pads = tuple(options.get("pads", [0] * (4 - 2 * flat)))
    if flat:
        strides, dilations, pads = (1, *strides), (1, *dilations), (0, pads[0], 0, pads[1])
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    mode = options.get("auto_pad", b"NOTSET")
    if mode in (b"SAME_UPPER", b"SAME_LOWER"):
        total = [
            max((-(-n // s) - 1) * s + r - n, 0)
            for n, s, r in zip(size, strides, reach, strict=True)
        ]
        halves = [each // 2 for each in total]
        others = [each - half for each, half in zip(total, halves, strict=True)]
        pads = (*halves, *others) if mode == b"SAME_UPPER" else (*others, *halves)
    out = tuple(
        (n + a + b - r) // s + 1
        for n, a, b, r, s in zip(size, pads[:2], pads[2:], reach, strides, strict=True)
    )
    windows = (*kernel, *strides, *pads[:2], *dilations)
    return out, tuple(int(number) for number in windows)
