"""C99 source code of a `Program`: one function, constant weights, and one block of memory."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kzoo.export.program.steps import Program, Step, View, merged, offsets
from kzoo.utils.errors import KzooError

# function of elements -> expression of a, b and c
_EXPRESSIONS = {
    "copy": "{a}",
    "add": "{a} + {b}",
    "sub": "{a} - {b}",
    "mul": "{a} * {b}",
    "div": "{a} / {b}",
    "whole_div": "truncf({a} / {b})",
    "pow": "powf({a}, {b})",
    "max": "fmaxf({a}, {b})",
    "min": "fminf({a}, {b})",
    "equal": "(float)({a} == {b})",
    "less": "(float)({a} < {b})",
    "less_equal": "(float)({a} <= {b})",
    "greater": "(float)({a} > {b})",
    "greater_equal": "(float)({a} >= {b})",
    "and": "(float)({a} != 0.0f && {b} != 0.0f)",
    "or": "(float)({a} != 0.0f || {b} != 0.0f)",
    "not": "(float)({a} == 0.0f)",
    "truth": "(float)({a} != 0.0f)",
    "truncate": "truncf({a})",
    "where": "({a} != 0.0f ? {b} : {c})",
    "relu": "({a} < 0.0f ? 0.0f : {a})",
    "leaky_relu": "({a} < 0.0f ? {alpha} * {a} : {a})",
    "elu": "({a} < 0.0f ? {alpha} * expm1f({a}) : {a})",
    "sqrt": "sqrtf({a})",
    "exp": "expf({a})",
    "log": "logf({a})",
    "tanh": "tanhf({a})",
    "sigmoid": "1.0f / (1.0f + expf(-{a}))",
    "softplus": "(fmaxf({a}, 0.0f) + log1pf(expf(-fabsf({a}))))",
    "abs": "fabsf({a})",
    "neg": "-{a}",
    "sign": "(float)(({a} > 0.0f) - ({a} < 0.0f))",
    "reciprocal": "1.0f / {a}",
    "erf": "erff({a})",
    "floor": "floorf({a})",
    "ceil": "ceilf({a})",
    "sin": "sinf({a})",
    "cos": "cosf({a})",
}
_START = {"sum": "0.0f", "mean": "0.0f", "prod": "1.0f", "max": "-INFINITY", "min": "INFINITY"}
_COMBINE = {
    "sum": "s += v;",
    "mean": "s += v;",
    "prod": "s *= v;",
    "max": "s = fmaxf(s, v);",
    "min": "s = fminf(s, v);",
}
_PER_LINE = 12  # numbers in a line
_FEWEST_INT8 = 1_024  # weights of a matrix that int8 rounds: smaller ones are hardly worth it
_INT8 = 127

_MATMUL = """\
static void matmul{tail}(const float *a, const {type} *b, {scale}float *y, int rows, int inner, int columns)
{{
    for (int i = 0; i < rows; i++) {{
        float *out = y + (size_t)i * columns;
        for (int j = 0; j < columns; j++) out[j] = 0.0f;
        for (int k = 0; k < inner; k++) {{
            const float v = a[(size_t)i * inner + k];
            const {type} *w = b + (size_t)k * columns;
            if (v == 0.0f) continue;
            for (int j = 0; j < columns; j++) out[j] += v * {cast}w[j];
        }}
{scaled}    }}
}}
"""
_SCALED_COLUMNS = "        for (int j = 0; j < columns; j++) out[j] *= s[j];\n"
_CONVOLUTION = """\
/* c: groups, channels in and out of a group, then height and width of: input, output, kernel, strides, padding,
   dilations */
static void convolution{tail}(const float *x, const {type} *w, {scale}const float *bias, float *y, const int *c)
{{
    for (int g = 0; g < c[0]; g++)
        for (int o = 0; o < c[2]; o++) {{
            const int channel = g * c[2] + o;
            for (int i = 0; i < c[5]; i++)
                for (int j = 0; j < c[6]; j++) {{
                    float s = 0.0f;
                    for (int p = 0; p < c[1]; p++) {{
                        const float *in = x + (size_t)(g * c[1] + p) * c[3] * c[4];
                        const {type} *k = w + (size_t)(channel * c[1] + p) * c[7] * c[8];
                        for (int u = 0; u < c[7]; u++) {{
                            const int row = i * c[9] - c[11] + u * c[13];
                            if (row < 0 || row >= c[3]) continue;
                            for (int v = 0; v < c[8]; v++) {{
                                const int column = j * c[10] - c[12] + v * c[14];
                                if (column >= 0 && column < c[4])
                                    s += in[row * c[4] + column] * {cast}k[u * c[8] + v];
                            }}
                        }}
                    }}
                    y[((size_t)channel * c[5] + i) * c[6] + j] = {result} + (bias ? bias[channel] : 0.0f);
                }}
        }}
}}
"""
_POOL = """\
/* c: channels, then height and width of: input, output, windows, strides, padding, dilations */
static void pool_{name}(const float *x, float *y, const int *c)
{{
    for (int p = 0; p < c[0]; p++)
        for (int i = 0; i < c[3]; i++)
            for (int j = 0; j < c[4]; j++) {{
                const float *in = x + (size_t)p * c[1] * c[2];
                float s = {start};
                int count = 0;
                for (int u = 0; u < c[5]; u++)
                    for (int v = 0; v < c[6]; v++) {{
                        const int row = i * c[7] - c[9] + u * c[11], column = j * c[8] - c[10] + v * c[12];
                        if (row < 0 || row >= c[1] || column < 0 || column >= c[2]) continue;
                        count++;
                        {combine}
                    }}
                y[((size_t)p * c[3] + i) * c[4] + j] = {result};
            }}
}}
"""
_SOFTMAX = """\
static void softmax(const float *x, float *y, int outer, int length, int inner)
{
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++) {
            const float *in = x + (size_t)o * length * inner + i;
            float *out = y + (size_t)o * length * inner + i;
            float largest = -INFINITY, total = 0.0f;
            for (int k = 0; k < length; k++) largest = fmaxf(largest, in[(size_t)k * inner]);
            for (int k = 0; k < length; k++) {
                out[(size_t)k * inner] = expf(in[(size_t)k * inner] - largest);
                total += out[(size_t)k * inner];
            }
            for (int k = 0; k < length; k++) out[(size_t)k * inner] /= total;
        }
}
"""
_GATHER = """\
static void gather{tail}(
    const {type} *x, {scale}const float *indices, float *y, int outer, int rows, int inner, int count)
{{
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < count; i++) {{
            int row = (int)indices[i];
            if (row < 0) row += rows;
            if (row < 0) row = 0;
            if (row >= rows) row = rows - 1;
            for (int k = 0; k < inner; k++)
                y[((size_t)o * count + i) * inner + k] = {cast}x[((size_t)o * rows + row) * inner + k]{scaled};
        }}
}}
"""
_CUMULATIVE_SUM = """\
static void cumulative_sum(const float *x, float *y, int outer, int length, int inner, int exclusive, int reverse)
{
    for (int o = 0; o < outer; o++)
        for (int i = 0; i < inner; i++) {
            float s = 0.0f;
            for (int k = 0; k < length; k++) {
                const size_t at = ((size_t)o * length + (reverse ? length - 1 - k : k)) * inner + i;
                if (!exclusive) s += x[at];
                y[at] = s;
                if (exclusive) s += x[at];
            }
        }
}
"""


class CSource:
    """The C source code of a program.

    Args:
        program: the `Program`.
        name: prefix of its function.
        int8: whether large matrices, kernels and tables are stored in 8 bits, with a factor for each output.

    Attributes:
        text: the functions and weights, without includes.
        ram, flash: bytes of its block of memory, and of its weights.
    """

    def __init__(self, program: Program, name: str, *, int8: bool = False) -> None:
        self.program, self.name = program, name
        self.places, elements = offsets(program)
        self.rounded = _rounded(program) if int8 else {}
        self.helpers: dict[str, str] = {}
        body = "".join(f"    {line}\n" for line in self._lines(program.steps))
        used = program.used_constants
        weights = [self._weights(number) for number in used]
        self.ram = 4 * max(elements, 1)
        self.flash = sum(self._bytes(number) for number in used)
        self.text = "\n".join(
            [
                f"static float memory[{max(elements, 1)}];\n",
                *weights,
                *self.helpers.values(),
                f"void {name}_predict(const float *x, float *y)\n{{\n{body}}}\n",
            ]
        )

    # Weights

    def _bytes(self, number: int) -> int:
        if number not in self.rounded:
            return self.program.constants[number].nbytes
        return sum(array.nbytes for array in self.rounded[number])

    def _weights(self, number: int) -> str:
        if number not in self.rounded:
            return _array("float", f"w{number}", self.program.constants[number])
        values, scale = self.rounded[number]
        return _array("int8_t", f"w{number}", values.reshape(-1)) + _array(
            "float", f"s{number}", scale
        )

    def _pointer(self, view: View) -> str:
        """Return the expression of the address of the first element of a view."""
        return (
            f"{self._base(view.buffer)} + {view.offset}" if view.offset else self._base(view.buffer)
        )

    def _base(self, buffer: int) -> str:
        if buffer == self.program.input:
            return "x"
        if buffer == self.program.output:
            return "y"
        if buffer in self.program.constants:
            return f"w{buffer}"
        return f"(memory + {self.places[buffer]})"

    def _rounding(self, buffer: int) -> Mapping[str, str]:
        """Return the parts of a helper for a buffer of weights: of int8 or of float."""
        if buffer in self.rounded:
            return dict(tail="_int8", type="int8_t", cast="(float)", scale="const float *s, ")
        return dict(tail="", type="float", cast="", scale="")

    # Steps

    def _lines(self, steps: Sequence[Step]) -> Iterator[str]:
        for step in steps:
            yield from getattr(self, f"_{step.kind}")(step)

    def _map(self, step: Step) -> Iterator[str]:
        views = [step.out, *step.inputs]
        lengths, strides = merged(step.out.shape, [view.strides for view in views])
        out, *elements = (
            f"({self._pointer(view)})[{_index(steps, 'ijklmnop')}]"
            for view, steps in zip(views, strides, strict=True)
        )
        inside = _expression(step).format(**dict(zip("abc", elements, strict=False)))
        yield f"{_loops(lengths, 'ijklmnop')}{out} = {inside};"

    def _reduce(self, step: Step) -> Iterator[str]:
        (source,) = step.inputs
        kept = step.numbers["kept"]
        outer, outer_strides = merged(
            source.shape[:kept], [step.out.strides, source.strides[:kept]]
        )
        inner, inner_strides = merged(source.shape[kept:], [source.strides[kept:]])
        index = [_index(outer_strides[1], "ijkl"), _index(inner_strides[0], "mnop")]
        out_index = _index(outer_strides[0], "ijkl")
        count = int(np.prod(source.shape[kept:]))
        value = f"({self._pointer(source)})[{' + '.join(index)}]"
        result = f"s / {count}.0f" if step.function == "mean" else "s"
        yield (
            f"{_loops(outer, 'ijkl')}{{ float s = {_START[step.function]}; "
            f"{_loops(inner, 'mnop')}{{ const float v = {value}; "
            f"{_COMBINE[step.function]} }} ({self._pointer(step.out)})[{out_index}] = {result}; }}"
        )

    def _matmul(self, step: Step) -> Iterator[str]:
        a, b = step.inputs
        parts = self._rounding(b.buffer)
        self.helpers[f"matmul{parts['tail']}"] = _MATMUL.format(
            **parts, scaled=_SCALED_COLUMNS if parts["scale"] else ""
        )
        batch = step.out.shape[:-2]
        lengths, strides = merged(batch, [view.strides[:-2] for view in (step.out, a, b)])
        out, first, second = (
            f"{self._pointer(view)} + {index}"
            if (index := _index(steps, "ijkl")) != "0"
            else self._pointer(view)
            for view, steps in zip((step.out, a, b), strides, strict=True)
        )
        scale = f"s{b.buffer}, " if parts["scale"] else ""
        sizes = ", ".join(str(step.numbers[name]) for name in ("rows", "inner", "columns"))
        yield f"{_loops(lengths, 'ijkl')}matmul{parts['tail']}({first}, {second}, {scale}{out}, {sizes});"

    def _convolution(self, step: Step) -> Iterator[str]:
        x, w, *rest = step.inputs
        parts = self._rounding(w.buffer)
        self.helpers[f"convolution{parts['tail']}"] = _CONVOLUTION.format(
            **parts, result="s * scales[channel]" if parts["scale"] else "s"
        ).replace("const float *s, ", "const float *scales, ")
        groups = step.numbers["groups"]
        sizes = [
            groups,
            x.shape[1] // groups,
            w.shape[0] // groups,
            *x.shape[2:],
            *step.out.shape[2:],
            *step.windows,
        ]
        bias = self._pointer(rest[0]) if rest else "0"
        scale = f"s{w.buffer}, " if parts["scale"] else ""
        yield (
            f"{{ static const int c[15] = {{{', '.join(map(str, sizes))}}}; convolution{parts['tail']}("
            f"{self._pointer(x)}, {self._pointer(w)}, {scale}{bias}, {self._pointer(step.out)}, c); }}"
        )

    def _pool(self, step: Step) -> Iterator[str]:
        (x,) = step.inputs
        name = "mean" if step.function == "mean" else "max"
        all_counted = bool(step.numbers["counts_padding"])
        total = "(float)(c[5] * c[6])" if all_counted else "(float)count"
        helper = f"{name}_padded" if name == "mean" and all_counted else name
        at = "in[row * c[2] + column]"
        self.helpers[f"pool_{helper}"] = _POOL.format(
            name=helper,
            start=_START[name],
            combine=f"s += {at};" if name == "mean" else f"s = fmaxf(s, {at});",
            result=f"s / {total}" if name == "mean" else "count ? s : 0.0f",
        )
        sizes = [x.shape[1], *x.shape[2:], *step.out.shape[2:], *step.windows]
        yield (
            f"{{ static const int c[13] = {{{', '.join(map(str, sizes))}}}; "
            f"pool_{helper}({self._pointer(x)}, {self._pointer(step.out)}, c); }}"
        )

    def _softmax(self, step: Step) -> Iterator[str]:
        self.helpers["softmax"] = _SOFTMAX
        yield self._call("softmax", step, ("outer", "length", "inner"))

    def _cumulative_sum(self, step: Step) -> Iterator[str]:
        self.helpers["cumulative_sum"] = _CUMULATIVE_SUM
        yield self._call(
            "cumulative_sum", step, ("outer", "length", "inner", "exclusive", "reverse")
        )

    def _call(self, function: str, step: Step, names: Sequence[str]) -> str:
        sizes = ", ".join(str(step.numbers[name]) for name in names)
        return f"{function}({self._pointer(step.inputs[0])}, {self._pointer(step.out)}, {sizes});"

    def _gather(self, step: Step) -> Iterator[str]:
        data, indices = step.inputs
        parts = self._rounding(data.buffer)
        self.helpers[f"gather{parts['tail']}"] = _GATHER.format(
            **parts, scaled=" * s[row]" if parts["scale"] else ""
        )
        scale = f"s{data.buffer}, " if parts["scale"] else ""
        sizes = ", ".join(str(step.numbers[name]) for name in ("outer", "rows", "inner", "count"))
        yield (
            f"gather{parts['tail']}({self._pointer(data)}, {scale}{self._pointer(indices)}, "
            f"{self._pointer(step.out)}, {sizes});"
        )

    def _loop(self, step: Step) -> Iterator[str]:
        number = f"t{step.out.buffer}"
        yield f"for (int {number} = 0; {number} < {step.numbers['count']}; {number}++) {{"
        yield f"    ({self._pointer(step.out)})[0] = (float){number};"
        yield from (f"    {line}" for line in self._lines(step.body))
        copies = [
            (target, source, f"{number} * {source.size} + i") for target, source in step.collected
        ]
        copies += [(target, source, "i") for target, source in step.carried]
        for target, source, index in copies:
            yield (
                f"    for (int i = 0; i < {source.size}; i++) ({self._pointer(target)})[{index}] = "
                f"({self._pointer(source)})[i];"
            )
        yield "}"


def _expression(step: Step) -> str:
    if step.function not in _EXPRESSIONS:
        raise KzooError(f"its function {step.function} has no code")
    return _EXPRESSIONS[step.function].replace("{alpha}", number_text(step.alpha))


def _loops(lengths: Sequence[int], letters: str) -> str:
    """Return the heads of nested loops, each with a letter.

    Raises:
        KzooError: there are more loops than letters.
    """
    if len(lengths) > len(letters):
        raise KzooError(f"an array of it has more than {len(letters)} axes")
    return "".join(
        f"for (int {letter} = 0; {letter} < {length}; {letter}++) "
        for letter, length in zip(letters, lengths, strict=False)
    )


def _index(strides: Sequence[int], letters: str) -> str:
    """Return the expression of an element's number, such as "3 * i + j"."""
    terms = [
        letter if stride == 1 else f"{stride} * {letter}"
        for stride, letter in zip(strides, letters, strict=False)
        if stride
    ]
    return " + ".join(terms) or "0"


def _rounded(program: Program) -> dict[int, tuple[np.ndarray, np.ndarray]]:
    """Return buffer -> (integers, factor of each output) of the large weights that only products and tables use."""
    outputs: dict[int, set[tuple[int, ...]]] = {}
    for step in program.every_step():
        for i, view in enumerate(step.views_read):
            if view.buffer not in program.constants:
                continue
            shape = _shape_of_weights(step, i, view)
            outputs.setdefault(view.buffer, set()).add(shape)
    rounded = {}
    for number, shapes in outputs.items():
        values = program.constants[number]
        if len(shapes) != 1 or () in shapes or values.size < _FEWEST_INT8:
            continue
        (shape,) = shapes
        axis, *size = shape
        matrix = values.reshape(size)
        others = tuple(i for i in range(len(size)) if i != axis)
        scale = np.maximum(np.abs(matrix).max(axis=others), 1e-12) / _INT8
        whole = [1] * len(size)
        whole[axis] = -1
        rounded[number] = (
            np.round(matrix / scale.reshape(whole)).astype(np.int8),
            scale.astype(np.float32),
        )
    return rounded


def _shape_of_weights(step: Step, i: int, view: View) -> tuple[int, ...]:
    """Return (axis of outputs, *shape) of weights that may be rounded; () of others."""
    whole = view.offset == 0 and view.is_contiguous
    if step.kind == "matmul" and i == 1 and whole and len(view.shape) == 2:
        return 1, *view.shape
    if step.kind == "convolution" and i == 1 and whole:
        return 0, *view.shape
    if step.kind == "gather" and i == 0 and whole and step.numbers["outer"] == 1:
        rows, inner = step.numbers["rows"], step.numbers["inner"]
        return 0, rows, inner
    return ()


def number_text(value: float) -> str:
    """Return a float32 as C reads it back to the bit."""
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    text = f"{value:.9g}"
    return f"{text}f" if any(sign in text for sign in ".e") else f"{text}.0f"


def _array(kind: str, name: str, values: np.ndarray) -> str:
    """Return the definition of a constant array."""
    if kind == "float":
        texts = [number_text(float(value)) for value in values]
    else:
        texts = [str(int(value)) for value in values]
    lines = [", ".join(texts[i : i + _PER_LINE]) for i in range(0, len(texts), _PER_LINE)]
    body = ",\n    ".join(lines)
    return f"static const {kind} {name}[{len(values)}] = {{\n    {body}\n}};\n"
