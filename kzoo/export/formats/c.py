"""C99 source code: one file and its header, which need no library but the mathematical functions of C.

For microcontrollers and programs without Python. It computes what the network computes; reading and encoding inputs is
left to the program around it, and the header names them.
"""

import ctypes
import re
import shutil
import subprocess
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.format import Format, refuses_votes
from kzoo.export.formats import files_of
from kzoo.export.program.c_source import CSource, number_text
from kzoo.problems.kinds import kind, kind_of
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.export.worker import Network


_COMPILERS = "cc", "gcc", "clang"
_FLAGS = "-std=c99", "-O2"
_MOST_NUMBERS = 8_000_000  # a source file with more is 100 MB or larger
_SECONDS = 300  # of a compilation
_MOST_CODES = 40  # categories of a column that the header names
_WIDTH = 110  # of a comment line
_TOLERANCE = 1e-4  # of main.c


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write the source file, its header, and a program that computes the golden inputs."""
    program = network.program
    count = sum(values.size for values in program.constants.values())
    if count > _MOST_NUMBERS:
        raise KzooError(
            f"its {count:,} numbers would make a source file of {count * 12 // 2**20:,} MB. Use a smaller preset, "
            "such as cifar_mobile, or another format"
        )
    function = _identifier(network.name)
    source = CSource(program, function, int8=quantize == "int8")
    header, main = (
        file.with_name(Path(name).name) for name in files_of("c_int8" if quantize else "c")[1:]
    )
    shapes = network.model.inputs[0].shape[1:], network.model.outputs[0].shape[1:]
    facts = dict(
        inputs=program.sizes[program.input],
        outputs=program.sizes[program.output],
        ram=source.ram,
        flash=source.flash,
    )
    title = f"{network.name}, exported by kzoo{' with 8-bit weights' if quantize else ''}"
    header.write_text(_header(network, function, title, shapes, facts), "utf-8")
    includes = "".join(f"#include <{each}.h>\n" for each in ("math", "stddef", "stdint"))
    content = f'/* {_safe(title)} */\n\n#include "{header.name}"\n\n{includes}\n{source.text}'
    with np.load(network.folder / "golden.npz") as golden:
        rows, expected = golden["x_7"], golden["y_7"]
    tolerance = _TOLERANCE if quantize is None else 1.0
    main.write_text(_main(function, header.name, rows, expected, tolerance), "utf-8")
    file.write_text(content, "utf-8")
    return dict(facts)


def _identifier(name: str) -> str:
    """Return a name with which names in C may begin."""
    word = re.sub(r"\W", "_", name, flags=re.ASCII)
    return word if word[:1].isalpha() else f"model_{word}"


def _header(
    network: "Network",
    name: str,
    title: str,
    shapes: tuple[tuple[int, ...], ...],
    facts: dict[str, int],
) -> str:
    of_input, of_output = (", ".join(map(str, shape)) for shape in shapes)
    lines = [
        title,
        "",
        f"{name}_predict() computes the outputs for one input. It allocates no memory, and is not reentrant: it uses "
        "one block of memory, and less than 1 kB of stack.",
        "",
        f"x: {facts['inputs']} numbers, of shape ({of_input}); the last axis varies fastest.",
        *_inputs(network),
        "",
        f"y: {facts['outputs']} numbers, of shape ({of_output}): {network.output_name}.",
        *(f"  y[{i}]: {label}" for i, label in _outputs(network, facts["outputs"])),
    ]
    comment = "\n".join(f" * {line}".rstrip() for text in lines for line in _wrapped(text))
    upper = name.upper()
    return (
        f"/*\n{comment}\n */\n\n#ifndef {upper}_H\n#define {upper}_H\n\n"
        f"#define {upper}_INPUTS {facts['inputs']}\n"
        f"#define {upper}_OUTPUTS {facts['outputs']}\n"
        f"#define {upper}_RAM_BYTES {facts['ram']}\n"
        f"#define {upper}_FLASH_BYTES {facts['flash']} /* of weights */\n\n"
        '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
        f"void {name}_predict(const float *x, float *y);\n\n"
        "#ifdef __cplusplus\n}\n#endif\n\n#endif\n"
    )


def _inputs(network: "Network") -> Iterator[str]:
    """Yield lines about the numbers of an input."""
    yield f"  {network.meaning}."
    reader = network.preprocessing
    if not reader or not reader.get("columns"):
        return
    parts = kind_of(reader).inference.parts(reader, network.config, ())
    for part, column in zip(parts, reader["columns"], strict=True):
        first, last = int(part.features[0]), int(part.features[-1])
        place = f"x[{first}]" if first == last else f"x[{first}] to x[{last}]"
        if column["kind"] == "category":
            values = list(column["values"])
            codes = ", ".join(
                f"{code} {value}" for code, value in enumerate(values[:_MOST_CODES], 1)
            )
            more = f" and {len(values) - _MOST_CODES} more" if len(values) > _MOST_CODES else ""
            yield f"  {place}: {part.name}, a category: 0 unknown, {codes}{more}"
        elif column["kind"] == "date":
            yield f"  {place}: {part.name}, a date: {', '.join(column['medians'])}"
        else:
            missing = (
                f"; if it is missing, {column['median']:.6g}, and x[{last}] is 1, else 0"
                if column.get("missing")
                else ""
            )
            unit = f" in {column['unit']}" if column.get("unit") else ""
            yield f"  {place}: {part.name}{unit}, a {column['kind']}{missing}"


def _outputs(network: "Network", count: int) -> Iterator[tuple[int, str]]:
    """Yield pairs (position, name) of the outputs, if each has one."""
    names = list(network.labels or network.targets)
    if count == 1 and len(names) == 2:
        names = [f"probability of {names[1]}, the other class is {names[0]}"]
    if len(names) == count:
        yield from enumerate(names)


def _wrapped(text: str) -> list[str]:
    """Return the lines of a text in a comment."""
    indent = " " * (len(text) - len(text.lstrip()) + 2) if text.startswith(" ") else ""
    return textwrap.wrap(_safe(text), _WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [
        ""
    ]


def _safe(text: str) -> str:
    """Return a text that can stand in a comment of C: names of columns and classes come from files."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return (
        printable.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??", "? ?")
    )


def _main(name: str, header: str, rows: np.ndarray, expected: np.ndarray, tolerance: float) -> str:
    """Return a program that compares the outputs for golden inputs with those of Keras."""
    width, outputs = rows[0].size, expected[0].size
    arrays = "".join(
        f"static const float {array}[{len(values)}][{size}] = {{\n"
        + ",\n".join(
            "    {" + ", ".join(number_text(float(v)) for v in row.reshape(-1)) + "}"
            for row in values
        )
        + "\n};\n"
        for array, values, size in (("inputs", rows, width), ("expected", expected, outputs))
    )
    return f"""/* Compares the outputs for some inputs with those of Keras: cc -std=c99 main.c model.c -lm && ./a.out */

#include "{header}"

#include <math.h>
#include <stdio.h>

{arrays}
int main(void)
{{
    static float y[{outputs}];
    double largest = 0.0, scale = 1e-30;
    for (int i = 0; i < {len(rows)}; i++)
        for (int j = 0; j < {outputs}; j++) scale = fmax(scale, fabs((double)expected[i][j]));
    for (int i = 0; i < {len(rows)}; i++) {{
        {name}_predict(inputs[i], y);
        for (int j = 0; j < {outputs}; j++) largest = fmax(largest, fabs((double)(y[j] - expected[i][j])) / scale);
    }}
    printf("largest difference from Keras: %g\\n", largest);
    return largest <= {tolerance} ? 0 : 1;
}}
"""


def compiler() -> str | None:
    """Return the path of a C compiler, or None."""
    return next((path for each in _COMPILERS if (path := shutil.which(each))), None)


def _cannot_run() -> str | None:
    if compiler() is not None:
        return None
    return "no C compiler is installed, so that it was not run; main.c compares it with Keras"


class Session:
    """A C file, compiled by the C compiler of this machine.

    Raises:
        KzooError: it does not compile.
    """

    batch: int | None = 1

    def __init__(self, path: Path, *, name: str, threads: int | None = None) -> None:
        command = compiler()
        if command is None:
            raise KzooError(f"{name} needs a C compiler, and none is installed.")
        header = path.with_suffix(".h").read_text("utf-8")
        self._width, self._outputs = (
            int(re.findall(rf"_{what} (\d+)", header)[0]) for what in ("INPUTS", "OUTPUTS")
        )
        (shape,) = re.findall(r"y: \d+ numbers, of shape \(([\d, ]+)\)", header)
        self._shape = tuple(int(size) for size in shape.split(","))
        function = re.findall(r"void (\w+_predict)\(", header)[0]
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder, "model.so")
            done = subprocess.run(
                [command, *_FLAGS, "-shared", "-fPIC", str(path), "-o", str(library), "-lm"],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
            )
            if done.returncode:
                raise KzooError(f"{name} does not compile: {_first(done.stderr)}")
            self._predict = ctypes.CDLL(str(library))[function]
        version = subprocess.run(
            [command, "--version"], capture_output=True, text=True, check=False
        )
        self.runtime = _first(version.stdout) or command

    def __call__(self, x: np.ndarray) -> np.ndarray:
        row = np.ascontiguousarray(x, np.float32)
        y = np.zeros(self._outputs, np.float32)
        self._predict(_pointer(row), _pointer(y))
        return y.reshape(1, *self._shape)


def _first(text: str) -> str:
    """Return the first line of an output."""
    return text.strip().partition("\n")[0]


def _pointer(array: np.ndarray) -> Any:
    return array.ctypes.data_as(ctypes.POINTER(ctypes.c_float))


def _refuses(spec: JsonObject) -> str | None:
    inputs = spec["config"].get("inputs")
    if inputs and "ids" in kind(inputs).facts:
        return "texts would need the tokenizer, too, which is not written in C. Export to onnx or litert"
    return refuses_votes(spec)


FORMAT = Format(
    name="c",
    order=60,
    file="c/model.c",
    beside=("c/model.h", "c/main.c"),
    packages=(),
    write=write,
    open=Session,
    needs=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
    quantize=("int8",),
    refuses=_refuses,
    cannot_run=_cannot_run,
    is_code=True,
)
