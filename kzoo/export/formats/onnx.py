"""The ONNX file: one file, for ONNX Runtime and everything else that reads ONNX."""

from collections import defaultdict
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from kzoo.export.format import QUANTIZED, Format, refuses_votes
from kzoo.export.onnx_external_data import has_external_data
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require

_OPSET = 15
# What takes the time. An activation shares the scale of the convolution before it, which then spends none on what it
# cuts off.
_STATIC, _DYNAMIC = ["Conv", "Relu", "Clip"], ["MatMul", "Gemm", "LSTM"]
_BY_NUMBER = {"Mul", "Div", "Add", "Sub"}
_FOLDED, _MOST_FOLDED = "optimization.constant_folding_max_output_size_in_bytes", 1 << 16
_DYNAMIC_SCALE = b"DynamicQuantize"  # what operations are called that find a scale for all that goes in at once
_ROW_BY_ROW = "run it row by row, as kzoo does: it finds one scale for all rows of a batch"
_FEW, _LARGE = 64, 1024  # numbers: smaller tensors are biases, shapes and constants
# Files of kzoo 0.1 have weights of 8 bits: without VNNI they are multiplied as unsigned ones, which do not saturate.
_EXACT_PRODUCTS = "session.x64quantprecision"
_TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(int32)": np.int32,
          "tensor(int64)": np.int64}  # fmt: skip


def write(network, file, quantize):
    """Write an ONNX file; the smaller ones are made from the float32 file."""
    if quantize is None:
        return _convert(network, file)
    full = file.with_name("model.onnx")
    if not full.exists():
        raise KzooError(f"{quantize} is made from the float32 file, which was not written")
    return _half(full, file) if quantize == "float16" else _int8(network, full, file)


def _convert(network, file):
    onnx, tf2onnx = require("onnx", extra="onnx"), require("tf2onnx", extra="onnx")
    import_module("keras.src.export.tf2onnx_lib").patch_tf2onnx()  # for NumPy 2, as Keras' own export does
    serve = network.serve()
    with _known_operations():
        proto, _ = tf2onnx.convert.from_function(serve, serve.input_signature, opset=_OPSET)
    _name_ends(proto.graph, network.input_name, network.output_name)
    onnx.checker.check_model(proto)
    onnx.save(proto, file)
    return {"opset": _OPSET}


@contextmanager
def _known_operations():
    """Trace exact gelu and celu with operations that ONNX has: TensorFlow uses `erfc` and `expm1`, for which tf2onnx
    writes a file that does not load."""
    tf = import_module("tensorflow")
    gelu, expm1 = tf.nn.gelu, tf.math.expm1
    half = 0.5**0.5
    tf.nn.gelu = lambda x, approximate=False, name=None: (
        gelu(x, approximate=True) if approximate else 0.5 * x * (1.0 + tf.math.erf(x * tf.cast(half, x.dtype)))
    )
    tf.math.expm1 = lambda x, name=None: tf.math.exp(x) - 1.0
    try:
        yield
    finally:
        tf.nn.gelu, tf.math.expm1 = gelu, expm1


def _name_ends(graph, input_name, output_name):
    """Give input, output and batch their names."""
    names = {graph.input[0].name: input_name, graph.output[0].name: output_name}
    for node in graph.node:
        _rename(node, names)
    for end in (*graph.input, *graph.output):
        end.name = names[end.name]
        end.type.tensor_type.shape.dim[0].dim_param = "batch"


def _rename(node, names):
    for values in (node.input, node.output):
        for i, name in enumerate(values):
            values[i] = names.get(name, name)
    for attribute in node.attribute:
        for inner in attribute.g.node:
            _rename(inner, names)


def _half(full, file):
    """Store the weights as float16; the runtime turns them back when it loads, and computes in float32.

    What is multiplied or added number by number stays: it scales inputs, of whose digits float16 has three, and none
    above 65,504. It is little beside what is multiplied as a matrix, convolved, or looked up.
    """
    onnx = require("onnx", extra="onnx")
    proto = onnx.load(full)
    casts, readers = [], defaultdict(set)
    for node in proto.graph.node:
        for name in node.input:
            readers[name].add(node.op_type)
    for tensor in proto.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _FEW:
            continue
        if readers[tensor.name] and readers[tensor.name] <= _BY_NUMBER:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = list(proto.graph.node)
    del proto.graph.node[:]
    proto.graph.node.extend([*casts, *nodes])
    onnx.checker.check_model(proto)
    onnx.save(proto, file)
    return {}


def _int8(network, full, file):
    require("onnxruntime", extra="onnx")
    quantization = import_module("onnxruntime.quantization")
    # Static scales come from calibration rows, dynamic ones from each input. ONNX Runtime's dynamic convolution is
    # slower than float32; its LSTM has no static form.
    how = "static" if network.like == "cnn" else "dynamic"
    # reduce_range: weights of 7 bits. Without VNNI, x86 adds two products of an unsigned and a signed 8-bit number in
    # 16 bits, where 2 * 255 * 127 saturates and 2 * 255 * 64 does not.
    if how == "dynamic":
        quantization.quantize_dynamic(
            full, file, weight_type=quantization.QuantType.QInt8, op_types_to_quantize=_DYNAMIC, reduce_range=True
        )
    else:
        _quantize_static(quantization, network, full, file)
    onnx = require("onnx", extra="onnx")
    proto = onnx.load(file)
    _store_rest(proto.graph, onnx)
    _shorten(proto.graph, {end.name: end.name for end in (*proto.graph.input, *proto.graph.output)})
    onnx.save(proto, file)
    return {"int8": how} | ({"note": _ROW_BY_ROW} if how == "dynamic" else {})


def _quantize_static(quantization, network, full, file):
    """Write an int8 file with scales of calibration rows.

    Batch normalisation is folded into the convolutions first, so that an activation follows each of them. The first
    convolution stays float32: it has few weights, and its error goes through the whole network.
    """
    onnx = require("onnx", extra="onnx")
    types, rows = quantization.QuantType, network.calibration()
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
            folded, file, _Rows({network.input_name: rows[i : i + 1]} for i in range(len(rows))),
            quant_format=quantization.QuantFormat.QDQ, per_channel=True, reduce_range=True,
            op_types_to_quantize=_STATIC, activation_type=types.QUInt8, weight_type=types.QInt8,
            nodes_to_exclude=convolutions[:1] if len(convolutions) > 1 else [],
        )  # fmt: skip


def _store_rest(graph, onnx):
    """Store as int8 what is left: embeddings, the weights inside a loop, dense layers after convolutions.

    They become numbers again before they meet anything, by a cast and a product: ONNX Runtime aborts where what
    `DequantizeLinear` gives goes into a loop.
    """
    nodes, first = list(graph.node), []
    for tensor in list(graph.initializer):
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < _LARGE:
            continue
        name, values = tensor.name, onnx.numpy_helper.to_array(tensor)
        readers = [node for node in nodes if name in node.input]
        if any(node.op_type == "Conv" for node in readers):
            continue  # the first one
        looked_up = bool(readers) and all(node.op_type == "Gather" and node.input[0] == name for node in readers)
        # One scale for each output: the last axis, also of what is looked up.
        size = np.abs(values).reshape(-1, values.shape[-1]).max(axis=0)
        scale = (np.maximum(size, 1e-12) / 127).astype(np.float32)
        tensor.CopyFrom(onnx.numpy_helper.from_array(np.round(values / scale).astype(np.int8), f"{name}_int8"))
        graph.initializer.append(onnx.numpy_helper.from_array(scale, f"{name}_scale"))
        if not looked_up:
            first += _numbers_again(onnx, f"{name}_int8", f"{name}_scale", name)
        for node in readers if looked_up else ():
            answer, node.input[0], node.output[0] = node.output[0], f"{name}_int8", f"{node.output[0]}_int8"
            place = nodes.index(node) + 1
            nodes[place:place] = _numbers_again(onnx, node.output[0], f"{name}_scale", answer)
    del graph.node[:]
    graph.node.extend([*first, *nodes])


def _numbers_again(onnx, given, scale, answer):
    cast = onnx.helper.make_node("Cast", [given], [f"{answer}_cast"], to=onnx.TensorProto.FLOAT)
    return [cast, onnx.helper.make_node("Mul", [f"{answer}_cast", scale], [answer])]


def _shorten(graph, names):
    """Number everything inside: in small networks, the names of what int8 adds are a quarter of the file."""
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


class _Rows:
    """What ONNX Runtime's calibration asks for rows."""

    def __init__(self, rows):
        self._rows = iter(rows)

    def get_next(self):
        return next(self._rows, None)


class Session:
    """An ONNX file, opened by ONNX Runtime.

    Raises:
        KzooError: it wants other files, or ONNX Runtime does not take it.
    """

    def __init__(self, content, *, name, threads=None):
        self._name = name
        try:
            external = has_external_data(content)
        except ValueError:
            raise KzooError(f"{name} is not an ONNX file.") from None
        if external:
            raise KzooError(f"{name} reads its weights from other files, which kzoo never writes; it is not opened.")
        runtime = require("onnxruntime", extra="onnx")
        self.runtime = f"onnxruntime {runtime.__version__}"
        options = runtime.SessionOptions()
        options.log_severity_level = 4  # what goes wrong is raised too
        # What a file computes of constants alone is computed while it is opened: no more than its weights in float32.
        options.add_session_config_entry(_FOLDED, str(max(_MOST_FOLDED, 4 * len(content))))
        options.add_session_config_entry(_EXACT_PRODUCTS, "1")
        if threads is not None:
            options.intra_op_num_threads = options.inter_op_num_threads = threads
        try:
            # A fallback would try the same once more, and print what is in the file.
            self._session = runtime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
            given, gives = self._session.get_inputs()[0], self._session.get_outputs()[0]
            self._input, self._output, self._type = given.name, gives.name, _TYPES[given.type]
        except Exception as error:  # its exceptions have no common class
            raise KzooError(f"ONNX Runtime cannot open {name}: {first_line(error)}") from None
        # A row far from the others would change the answers to them.
        self._alone = _DYNAMIC_SCALE in content
        size = given.shape[0] if given.shape else None
        self.batch = size if isinstance(size, int) else None

    def __call__(self, x):
        if self._alone and len(x) > 1:
            return np.concatenate([self._run(x[place : place + 1]) for place in range(len(x))])
        return self._run(x)

    def _run(self, x):
        try:
            return self._session.run([self._output], {self._input: x.astype(self._type, copy=False)})[0]
        except Exception as error:
            raise KzooError(f"{self._name} does not take inputs {x.shape}: {first_line(error)}") from None


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
