"""The LiteRT file (`.tflite`): small devices. Built-in operations only, for no Python wheel has the others."""

from contextlib import contextmanager, nullcontext
from importlib import import_module

import numpy as np

from kzoo.optional import require


def write(network, file, quantize):
    """Write a LiteRT file and return what `kzoo.json` says of it."""
    tf = import_module("tensorflow")
    module = network.tf_module(batch=network.fixed_batch)
    with _scales_apart(tf) if quantize == "int8" else nullcontext():
        function = module.serve.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([function], module)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS]
    if quantize:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if quantize == "float16":
        converter.target_spec.supported_types = [tf.float16]
    file.write_bytes(converter.convert())
    return {}


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


class Answers:
    """A LiteRT file, opened by its interpreter on one thread; call it with a batch."""

    def __init__(self, file, entry):
        interpreter = require("ai_edge_litert", extra="litert")
        self.runtime = f"ai-edge-litert {getattr(interpreter, '__version__', '')}".strip()
        self._make = import_module("ai_edge_litert.interpreter").Interpreter
        self._file, self._fixed, self._sizes = str(file), entry["batch"], {}

    def __call__(self, x):
        if self._fixed and len(x) != self._fixed:
            return np.concatenate([self(x[i : i + self._fixed]) for i in range(0, len(x), self._fixed)])
        interpreter, given, answer = self._sizes.get(len(x)) or self._open(x)
        interpreter.set_tensor(given, x)
        interpreter.invoke()
        return interpreter.get_tensor(answer)

    def _open(self, x):
        interpreter = self._make(model_path=self._file, num_threads=1)
        given = interpreter.get_input_details()[0]["index"]
        if not self._fixed:
            interpreter.resize_tensor_input(given, x.shape)
        interpreter.allocate_tensors()
        self._sizes[len(x)] = interpreter, given, interpreter.get_output_details()[0]["index"]
        return self._sizes[len(x)]
