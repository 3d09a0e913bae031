"""The ONNX format, for ONNX Runtime and other programs that read ONNX."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from kzoo.export.format import QUANTIZED, Format, refuses_votes
from kzoo.export.onnx_external_data import has_external_data
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require

if TYPE_CHECKING:
    import onnx

    from kzoo.export.worker import Network


_OPSET = 15
# Operations that take most of the time. An activation shares the scale of the preceding convolution, so that no range
# is spent on values that it clips.
_STATIC, _DYNAMIC = ["Conv", "Relu", "Clip"], ["MatMul", "Gemm", "LSTM"]
_ELEMENTWISE = {"Mul", "Div", "Add", "Sub"}
_FOLDED = "optimization.constant_folding_max_output_size_in_bytes"
_MIN_FOLDED = 1 << 16
_DYNAMIC_SCALE = b"DynamicQuantize"  # prefix of operations that compute one scale for a whole batch
_ROW_BY_ROW = "run it row by row, as kzoo does: int8 scales are computed for the whole batch"
_MIN_HALF, _MIN_INT8 = 64, 1024  # elements; smaller tensors are biases, shapes and constants
# For files of kzoo 0.1, with 8-bit weights: multiplies them as unsigned integers without VNNI, to avoid saturation.
_EXACT_PRODUCTS = "session.x64quantprecision"
_TYPES = {
    "tensor(float)": np.float32,
    "tensor(double)": np.float64,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
}


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write an ONNX file; quantized files are made from the float32 file."""
    if quantize is None:
        return _convert(network, file)
    full = file.with_name("model.onnx")
    if not full.exists():
        raise KzooError(f"{quantize} requires the float32 file, which was not written")
    return _half(full, file) if quantize == "float16" else _int8(network, full, file)


def _convert(network: "Network", file: Path) -> JsonObject:
    onnx, tf2onnx = require("onnx", extra="onnx"), require("tf2onnx", extra="onnx")
    # for NumPy 2, as in Keras' own export
    import_module("keras.src.export.tf2onnx_lib").patch_tf2onnx()
    serve = network.serve()
    with _onnx_operations():
        proto, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=_OPSET)
    _name_inputs_and_outputs(proto.graph, network.input_name, network.output_name)
    onnx.checker.check_model(proto)
    onnx.save(proto, file)
    return {"opset": _OPSET}


@contextmanager
def _onnx_operations() -> Iterator[None]:
    """Trace exact gelu and celu with operations that ONNX has.

    TensorFlow uses `erfc` and `expm1`, for which tf2onnx writes a file that does not load.
    """
    tf = import_module("tensorflow")
    gelu, expm1 = tf.nn.gelu, tf.math.expm1
    half = 0.5**0.5
    tf.nn.gelu = lambda x, approximate=False, name=None: (
        gelu(x, approximate=True)
        if approximate
        else 0.5 * x * (1.0 + tf.math.erf(x * tf.cast(half, x.dtype)))
    )
    tf.math.expm1 = lambda x, name=None: tf.math.exp(x) - 1.0
    try:
        yield
    finally:
        tf.nn.gelu, tf.math.expm1 = gelu, expm1


def _name_inputs_and_outputs(graph: "onnx.GraphProto", input_name: str, output_name: str) -> None:
    """Rename the input, the output and the batch axis of a graph."""
    names = {graph.input[0].name: input_name, graph.output[0].name: output_name}
    for node in graph.node:
        _rename(node, names)
    for tensor in (*graph.input, *graph.output):
        tensor.name = names[tensor.name]
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"


def _rename(node: "onnx.NodeProto", names: Mapping[str, str]) -> None:
    for tensor_names in (node.input, node.output):
        for i, name in enumerate(tensor_names):
            tensor_names[i] = names.get(name, name)
    for attribute in node.attribute:
        for inner_node in attribute.g.node:
            _rename(inner_node, names)


def _half(full: Path, file: Path) -> JsonObject:
    """Write a file with float16 weights; the runtime casts them to float32 when it loads the file.

    Operands of elementwise operations stay float32: they scale inputs, and float16 has three digits and no values above
    65,504. They are small compared with matrices, convolutions and embeddings.
    """
    onnx = require("onnx", extra="onnx")
    proto = onnx.load(full)
    casts = []
    consumers = defaultdict(set)
    for node in proto.graph.node:
        for name in node.input:
            consumers[name].add(node.op_type)
    for tensor in proto.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _MIN_HALF:
            continue
        if consumers[tensor.name] and consumers[tensor.name] <= _ELEMENTWISE:
            continue
        name = tensor.name
        values = onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(
            onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT)
        )
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(proto)
    onnx.save(proto, file)
    return {}


def _int8(network: "Network", full: Path, file: Path) -> JsonObject:
    require("onnxruntime", extra="onnx")
    quantization = import_module("onnxruntime.quantization")
    # Static scales are calibrated on rows, dynamic scales are computed from each input. In ONNX Runtime, dynamic
    # convolutions are slower than float32, and there is no static LSTM.
    scales = "static" if network.like == "cnn" else "dynamic"
    # reduce_range: 7-bit weights. Without VNNI, x86 adds two products of an unsigned and a signed 8-bit integer in
    # 16 bits, where 2 * 255 * 127 saturates and 2 * 255 * 64 does not.
    if scales == "dynamic":
        quantization.quantize_dynamic(
            full,
            file,
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=_DYNAMIC,
            reduce_range=True,
        )
    else:
        _quantize_static(quantization, network, full, file)
    onnx = require("onnx", extra="onnx")
    proto = onnx.load(file)
    _quantize_remaining_weights(proto.graph, onnx)
    _shorten(
        proto.graph,
        {tensor.name: tensor.name for tensor in (*proto.graph.input, *proto.graph.output)},
    )
    onnx.save(proto, file)
    return {"int8": scales} | ({"note": _ROW_BY_ROW} if scales == "dynamic" else {})


def _quantize_static(quantization: ModuleType, network: "Network", full: Path, file: Path) -> None:
    """Write an int8 file with static scales, calibrated on rows; `full` is the float32 file.

    Batch normalisation is folded into the convolutions first, so that each is directly followed by its activation. The
    first convolution stays float32: it has few weights, and its error propagates through the whole network.
    """
    onnx = require("onnx", extra="onnx")
    types = quantization.QuantType
    rows = network.calibration()
    fold = import_module("onnxruntime.quantization.shape_inference").quant_pre_process
    with TemporaryDirectory() as work:
        folded = Path(work, "folded.onnx")
        fold(full, folded, skip_symbolic_shape=True)
        proto = onnx.load(folded)
        for number, node in enumerate(proto.graph.node):
            node.name = f"node{number}"
        onnx.save(proto, folded)
        convolutions = [node.name for node in proto.graph.node if node.op_type == "Conv"]
        quantization.quantize_static(
            folded,
            file,
            _CalibrationRows({network.input_name: rows[i : i + 1]} for i in range(len(rows))),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            op_types_to_quantize=_STATIC,
            activation_type=types.QUInt8,
            weight_type=types.QInt8,
            nodes_to_exclude=convolutions[:1] if len(convolutions) > 1 else [],
        )


def _quantize_remaining_weights(graph: "onnx.GraphProto", onnx: ModuleType) -> None:
    """Store the remaining weights as int8: embeddings, weights inside loops, dense layers after convolutions.

    They are dequantized before use by `Cast` and `Mul`: ONNX Runtime aborts if an output of `DequantizeLinear` enters a
    loop.
    """
    nodes = list(graph.node)
    dequantize_nodes = []
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _MIN_INT8:
            continue
        name = tensor.name
        values = onnx.numpy_helper.to_array(tensor)
        consumers = [node for node in nodes if name in node.input]
        if any(node.op_type == "Conv" for node in consumers):
            continue  # the first convolution, which stays float32
        looked_up = bool(consumers) and all(
            node.op_type == "Gather" and node.input[0] == name for node in consumers
        )
        # One scale for each output, which is the last axis, also for embeddings.
        size = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
        scale = (np.maximum(size, 1e-12) / 127).astype(np.float32)
        tensor.CopyFrom(
            onnx.numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}_int8")
        )
        graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}_scale"))
        if not looked_up:
            dequantize_nodes += _dequantize(onnx, f"{name}_int8", f"{name}_scale", name)
        for node in consumers if looked_up else ():
            output, node.input[0], node.output[0] = (
                node.output[0],
                f"{name}_int8",
                f"{node.output[0]}_int8",
            )
            position = nodes.index(node) + 1
            nodes[position:position] = _dequantize(onnx, node.output[0], f"{name}_scale", output)
    del graph.node[:]
    graph.node.extend([*dequantize_nodes, *nodes])


def _dequantize(onnx: ModuleType, input: str, scale: str, output: str) -> "list[onnx.NodeProto]":
    cast = onnx.helper.make_node("Cast", [input], [f"{output}_cast"], to=onnx.TensorProto.FLOAT)
    return [cast, onnx.helper.make_node("Mul", [f"{output}_cast", scale], [output])]


def _shorten(graph: "onnx.GraphProto", names: dict[str, str]) -> None:
    """Replace internal names by short ones: in small networks, names added by int8 are a quarter of the file."""
    short = lambda name: names.setdefault(name, f"t{len(names)}") if name else name  # noqa: E731
    for tensor in (*graph.initializer, *graph.input, *graph.output):
        tensor.name = short(tensor.name)
    for node in graph.node:
        node.name = ""
        for values in (node.input, node.output):
            values[:] = [short(name) for name in values]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _shorten(attribute.g, names)
    del graph.value_info[:]


class _CalibrationRows:
    """Calibration data reader of ONNX Runtime: returns one row after the other, then None."""

    def __init__(self, rows: Iterable[dict[str, np.ndarray]]) -> None:
        self._rows = iter(rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._rows, None)


class Session:
    """An ONNX file, opened by ONNX Runtime.

    Raises:
        KzooError: it has external data, or ONNX Runtime cannot open it.
    """

    def __init__(self, content: bytes, *, name: str, threads: int | None = None) -> None:
        self._name = name
        try:
            external = has_external_data(content)
        except ValueError:
            raise KzooError(f"{name} is not an ONNX file.") from None
        if external:
            raise KzooError(
                f"{name} reads weights from other files, which kzoo does not write. It is not opened."
            )
        runtime = require("onnxruntime", extra="onnx")
        self.runtime = f"onnxruntime {runtime.__version__}"
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # errors are raised as well
        # Limit constant folding at load time to the size of the weights in float32.
        options.add_session_config_entry(_FOLDED, str(max(_MIN_FOLDED, 4 * len(content))))
        options.add_session_config_entry(_EXACT_PRODUCTS, "1")
        if threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        try:
            # Without a fallback, which would retry with the same provider and print content of the file.
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            input_arg = self._session.get_inputs()[0]
            output_arg = self._session.get_outputs()[0]
            self._input = input_arg.name
            self._output = output_arg.name
            self._type = _TYPES[input_arg.type]
        except Exception as error:  # the exceptions of ONNX Runtime have no common base class
            raise KzooError(f"ONNX Runtime cannot open {name}: {first_line(error)}") from None
        # With one dynamic scale per batch, an outlying row would change the outputs of the others.
        self._row_by_row = _DYNAMIC_SCALE in content
        size = input_arg.shape[0] if input_arg.shape else None
        self.batch = size if isinstance(size, int) else None

    def __call__(self, x: np.ndarray) -> np.ndarray:
        if self._row_by_row and len(x) > 1:
            return np.concatenate([self._run(x[row : row + 1]) for row in range(len(x))])
        return self._run(x)

    def _run(self, x: np.ndarray) -> np.ndarray:
        try:
            return self._session.run(
                [self._output], {self._input: x.astype(self._type, copy=False)}
            )[0]
        except Exception as error:
            raise KzooError(
                f"{self._name} does not accept inputs of shape {x.shape}: {first_line(error)}"
            ) from None


FORMAT = Format(
    name="onnx",
    order=30,
    file="onnx/model.onnx",
    packages=("onnxruntime",),
    write=write,
    open=Session,
    needs=("onnx", "onnxruntime", "tf2onnx"),
    extra="onnx",
    quantize=QUANTIZED,
    light=True,
    refuses=refuses_votes,
)
