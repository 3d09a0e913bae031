"""The LiteRT file (`.tflite`): small devices. Built-in operations only, for no Python wheel has the others."""

import math
import threading
from contextlib import contextmanager, nullcontext
from importlib import import_module
from types import SimpleNamespace
from typing import Any

import numpy as np

from kzoo.export.format import QUANTIZED, Format, refuses_votes
from kzoo.registry.family import is_recurrent
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import first_line
from kzoo.utils.optional import require

_LARGE, _TIMES = 128 << 20, 1_000  # bytes of a tensor for one example; more only for a file of a thousandth of it


def write(network, file, quantize):
    """Write a LiteRT file; int8 scales are dynamic, found from each input."""
    tf = import_module("tensorflow")
    # LiteRT has no lists of tensors, which the loop of a recurrent layer needs for a batch of any size.
    batch = 1 if is_recurrent(network.like) else None
    module = network.tf_module(batch=batch)
    scales: Any = {"float16": _scales_exact, "int8": _scales_apart}.get(quantize, nullcontext)
    with _biases_whole(), scales(tf):
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
def _biases_whole():
    """Give each bias of an `EinsumDense` as many axes as what it is added to.

    The converter moves a bias that lacks some, and ends in one of a single column for each member, (members, 1), to
    before a transpose for which it then has the wrong rank: no `tabular_tabm` with one output became a file.
    """
    keras = import_module("keras")
    call = keras.layers.EinsumDense.call

    def whole(layer, x, training=None):
        y = keras.ops.einsum(layer.equation, x, layer.kernel)
        if layer.bias is not None:
            y += keras.ops.reshape(layer.bias, (1,) * (len(y.shape) - len(layer.bias.shape)) + tuple(layer.bias.shape))
        return y if layer.activation is None else layer.activation(y)

    keras.layers.EinsumDense.call = whole
    try:
        yield
    finally:
        keras.layers.EinsumDense.call = call


@contextmanager
def _scales_exact(tf):
    """Keep the numbers of scaling, one for each column, in float32: as their bits, which are whole numbers.

    A column of times near 1.6e9 that differ by a day is a difference of large numbers, of which float16 has three
    digits, and none above 65,504. What a lookup gives, whose place the converter cannot know (it is 0: no number is
    below minus infinity), it does not turn back into a constant, which it would halve.
    """
    rescaling = import_module("keras").layers.Rescaling
    call = rescaling.call

    def exact(layer, x):
        if len(x.shape) > 3 or not (np.ndim(layer.scale) or np.ndim(layer.offset)):  # pixels are 0..255
            return call(layer, x)
        place = tf.cast(tf.reduce_any(tf.less(tf.cast(x, tf.float32), -np.inf)), tf.int32)
        scale, offset = (
            tf.bitcast(tf.gather(np.array([numbers], "float32").view("int32"), place), tf.float32)
            for numbers in (layer.scale, layer.offset)
        )
        known = SimpleNamespace(scale=scale, offset=offset, backend=layer.backend, compute_dtype=layer.compute_dtype)
        return call(known, x)

    rescaling.call = exact
    try:
        yield
    finally:
        rescaling.call = call


@contextmanager
def _scales_apart(tf):
    """Keep scaling and normalisation out of the weights that follow, into which the converter would multiply them.

    Weights become int8 with one scale for each output, and inputs with one for a row. A raw column in thousands then
    leaves nothing of one in thousandths (36 % of the answers of `tabular_resnet` changed), nor a unit that is seldom
    active, which batch normalisation made large, of the others (8 % of those of `cifar_cnn`, and 1.4 % like this).
    """
    layers = import_module("keras").layers
    rescaling, dense = layers.Rescaling.call, layers.Dense.call
    apart = lambda x: tf.maximum(x, tf.float32.min)  # noqa: E731  # the converter joins products and sums
    layers.Rescaling.call = lambda layer, x: apart(rescaling(layer, x))
    layers.Dense.call = lambda layer, x, training=None: dense(layer, apart(x), training)
    try:
        yield
    finally:
        layers.Rescaling.call, layers.Dense.call = rescaling, dense


def _check_sizes(tensors, size, name):
    """Refuse a file with a tensor that is out of all proportion to it, before there is room for any."""
    largest = max((math.prod(map(int, t["shape"])) * np.dtype(t["dtype"]).itemsize for t in tensors), default=0)
    if largest > max(_LARGE, _TIMES * size):
        raise KzooError(f"{name} has {size:,} bytes and wants a tensor of {largest:,}; kzoo never writes such a file.")


class Session:
    """A LiteRT file, opened by its interpreter, which answers one thread after the other.

    Raises:
        KzooError: LiteRT does not take it.
    """

    def __init__(self, content, *, name, threads=None):
        self._name, self._one_at_a_time = name, threading.Lock()
        package = require("ai_edge_litert", extra="litert")
        self.runtime = f"ai-edge-litert {getattr(package, '__version__', '')}".strip()
        interpreter = require("ai_edge_litert.interpreter", extra="litert").Interpreter
        try:
            self._model = interpreter(model_content=content, num_threads=threads)
            _check_sizes(self._model.get_tensor_details(), len(content), name)
            self._model.allocate_tensors()
            given, gives = self._model.get_input_details()[0], self._model.get_output_details()[0]
        except (ValueError, RuntimeError, IndexError) as error:
            raise KzooError(f"LiteRT cannot open {name}: {first_line(error)}") from None
        self._input, self._output, self._type = given["index"], gives["index"], given["dtype"]
        self._shape = tuple(given["shape"])
        size = int(given["shape_signature"][0])
        self.batch = None if size < 0 else size

    def __call__(self, x):
        try:
            with self._one_at_a_time:  # the interpreter has one input, and one output
                if x.shape != self._shape:
                    self._shape = ()  # until all of it has been done
                    self._model.resize_tensor_input(self._input, x.shape)
                    self._model.allocate_tensors()
                    self._shape = x.shape
                self._model.set_tensor(self._input, np.ascontiguousarray(x, self._type))
                self._model.invoke()
                return self._model.get_tensor(self._output)
        except (ValueError, RuntimeError) as error:
            raise KzooError(f"{self._name} does not take inputs {x.shape}: {first_line(error)}") from None


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
