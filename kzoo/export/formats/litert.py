"""The LiteRT format (`.tflite`) for small devices. Built-in operations only: no Python wheel has the others."""

import math
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from kzoo.export.format import QUANTIZED, Format, refuses_votes
from kzoo.utils.errors import KzooError
from kzoo.utils.files import JsonObject
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require
from kzoo.zoo.registry.family import is_recurrent

if TYPE_CHECKING:
    from keras import Layer
    from tensorflow import Tensor

    from kzoo.export.worker import Network


# limit for one tensor: bytes, and multiple of the file size; the larger
_MAX_TENSOR = 128 << 20
_TIMES = 1_000


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write a LiteRT file. The scales of int8 activations are dynamic: computed from each input."""
    tf = import_module("tensorflow")
    # The loop of a recurrent layer with a variable batch size needs lists of tensors, which LiteRT does not have.
    batch = 1 if is_recurrent(network.like) else None
    module = network.tf_module(batch=batch)
    scaling_patch: Any = {
        "float16": _exact_scaling,
        "int8": _unfolded_scaling,
        None: nullcontext,
    }[quantize]
    with _full_rank_biases(), _plain_sums(tf), scaling_patch(tf):
        function = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    file.write_bytes(converter.convert())
    return {"batch": batch}


@contextmanager
def _full_rank_biases() -> Iterator[None]:
    """Reshape each bias of `EinsumDense` to the rank of the tensor that it is added to.

    Otherwise the converter moves a bias of shape (members, 1) in front of a transpose, where its rank is wrong, and
    `tabular_tabm` with one output cannot be converted.
    """
    keras = import_module("keras")
    call = keras.layers.EinsumDense.call

    def whole(layer: "Layer", x: "Tensor", training: bool | None = None) -> "Tensor":
        y = keras.ops.einsum(layer.equation, x, layer.kernel)
        if layer.bias is not None:
            y += keras.ops.reshape(
                layer.bias, (1,) * (len(y.shape) - len(layer.bias.shape)) + tuple(layer.bias.shape)
            )
        return y if layer.activation is None else layer.activation(y)

    keras.layers.EinsumDense.call = whole
    try:
        yield
    finally:
        keras.layers.EinsumDense.call = call


@contextmanager
def _plain_sums(tf: ModuleType) -> Iterator[None]:
    """Add biases of the second axis as they are.

    Keras takes a second summand (1, steps, 1) for such a bias, which the converter cannot transpose: recurrent networks
    with covariates, whose batch is 1, could not be converted.
    """
    bias_add = tf.nn.bias_add

    def plain(
        value: "Tensor", bias: "Tensor", data_format: str | None = None, name: str | None = None
    ) -> "Tensor":
        if data_format != "NCHW":
            return bias_add(value, bias, data_format, name)
        return tf.add(value, tf.reshape(bias, (-1, *[1] * (len(value.shape) - 2))), name)

    tf.nn.bias_add = plain
    try:
        yield
    finally:
        tf.nn.bias_add = bias_add


@contextmanager
def _exact_scaling(tf: ModuleType) -> Iterator[None]:
    """Keep the factors of `Rescaling`, one for each column, in float32 by storing their bits as integers.

    float16 has three digits and no values above 65,504: timestamps near 1.6e9 that differ by a day would become equal.
    The integers are read with `tf.gather` at an index that the converter cannot fold into a constant (it is always 0,
    since no number is below minus infinity); a constant would be converted to float16.
    """
    rescaling = import_module("keras").layers.Rescaling
    call = rescaling.call

    def exact(layer: "Layer", x: "Tensor") -> "Tensor":
        # images: 0..255 fits float16
        if len(x.shape) > 3 or not (np.ndim(layer.scale) or np.ndim(layer.offset)):
            return call(layer, x)
        # Always 0, but not a constant for the converter.
        index = tf.cast(tf.reduce_any(tf.less(tf.cast(x, tf.float32), -np.inf)), tf.int32)
        scale, offset = (
            tf.bitcast(tf.gather(np.array([numbers], "float32").view("int32"), index), tf.float32)
            for numbers in (layer.scale, layer.offset)
        )
        exact_layer = SimpleNamespace(
            scale=scale, offset=offset, backend=layer.backend, compute_dtype=layer.compute_dtype
        )
        return call(exact_layer, x)

    rescaling.call = exact
    try:
        yield
    finally:
        rescaling.call = call


@contextmanager
def _unfolded_scaling(tf: ModuleType) -> Iterator[None]:
    """Prevent the converter from folding scaling and normalisation into the weights that follow.

    int8 has one scale per output for weights and one per row for inputs. After folding, a column in thousands would
    leave no precision for one in thousandths (36 % of the predictions of `tabular_resnet` changed). The same holds for
    a rarely active unit that batch normalisation made large (8 % of `cifar_cnn`, 1.4 % with this function).
    """
    layers = import_module("keras").layers
    rescaling, dense = layers.Rescaling.call, layers.Dense.call
    barrier = lambda x: tf.maximum(x, tf.float32.min)  # noqa: E731  # a no-op across which the converter folds nothing
    layers.Rescaling.call = lambda layer, x: barrier(rescaling(layer, x))
    layers.Dense.call = lambda layer, x, training=None: dense(layer, barrier(x), training)
    try:
        yield
    finally:
        layers.Rescaling.call, layers.Dense.call = rescaling, dense


def _check_sizes(tensors: Iterable[JsonObject], size: int, name: str) -> None:
    """Raise KzooError if a tensor is far larger than the file justifies, before memory is allocated for it."""
    largest = max(
        (math.prod(map(int, t["shape"])) * np.dtype(t["dtype"]).itemsize for t in tensors),
        default=0,
    )
    if largest > max(_MAX_TENSOR, _TIMES * size):
        raise KzooError(
            f"{name} ({size:,} bytes) has a tensor of {largest:,} bytes. kzoo does not write such files."
        )


class Session:
    """A LiteRT file, opened by its interpreter. Calls from several threads run one after the other.

    Raises:
        KzooError: LiteRT cannot open the file.
    """

    def __init__(self, content: bytes, *, name: str, threads: int | None = None) -> None:
        self._name = name
        self._lock = threading.Lock()
        package = require("ai_edge_litert", extra="litert")
        self.runtime = f"ai-edge-litert {getattr(package, '__version__', '')}".strip()
        interpreter = require("ai_edge_litert.interpreter", extra="litert").Interpreter
        try:
            self._model = interpreter(model_content=content, num_threads=threads)
            _check_sizes(self._model.get_tensor_details(), len(content), name)
            self._model.allocate_tensors()
            input_detail = self._model.get_input_details()[0]
            output_detail = self._model.get_output_details()[0]
        except KzooError:
            raise
        except (ValueError, RuntimeError, IndexError) as error:
            raise KzooError(f"LiteRT cannot open {name}: {first_line(error)}") from None
        self._input = input_detail["index"]
        self._output = output_detail["index"]
        self._type = input_detail["dtype"]
        self._shape = tuple(input_detail["shape"])
        size = int(input_detail["shape_signature"][0])
        self.batch = None if size < 0 else size

    def __call__(self, x: np.ndarray) -> np.ndarray:
        try:
            with self._lock:  # the interpreter has a single pair of input and output buffers
                if x.shape != self._shape:
                    self._shape = ()  # invalid until the tensors are allocated
                    self._model.resize_tensor_input(self._input, x.shape)
                    self._model.allocate_tensors()
                    self._shape = x.shape
                self._model.set_tensor(self._input, np.ascontiguousarray(x, self._type))
                self._model.invoke()
                return self._model.get_tensor(self._output)
        except (ValueError, RuntimeError) as error:
            raise KzooError(
                f"{self._name} does not accept inputs of shape {x.shape}: {first_line(error)}"
            ) from None


FORMAT = Format(
    name="litert",
    order=40,
    file="litert/model.tflite",
    packages=("ai_edge_litert",),
    write=write,
    open=Session,
    needs=("ai_edge_litert",),
    extra="litert",
    quantize=QUANTIZED,
    light=True,
    refuses=refuses_votes,
)
