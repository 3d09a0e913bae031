"""The network in the worker's process: loaded with its weights, ending in probabilities, ready for the converters."""

from importlib import import_module
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kzoo.loading import load_keras_file
from kzoo.registry import rebuild
from kzoo.run import Run


class Network:
    """A network to convert.

    Args:
        job: see `make.py`.
    """

    def __init__(self, job):
        self.job = job
        self.core = _load(job)
        self.model = _ending_in(self.core, job["activation"])
        self.input_name, self.output_name = job["given"]["name"], job["kind"]
        self.fixed_batch = None  # of the file that is being written

    def serve(self, batch=None):
        """Return the network as a function with a named input and a named output."""
        tf, model, name = import_module("tensorflow"), self.model, self.output_name
        shape = [batch, *self.job["given"]["shape"][1:]]
        spec = tf.TensorSpec(shape, self.job["given"]["dtype"], name=self.input_name)

        @tf.function(input_signature=[spec])
        def serve(x):
            return {name: model(x, training=False)}

        return serve

    def calibration(self):
        """Return training rows, or rows like them, from which the scales of int8 are found."""
        with np.load(Path(self.job["work"]) / "sample.npz") as arrays:
            return arrays["calibration"]

    def tf_module(self, batch=None):
        """Return a `tf.Module` that owns each weight once; `serve` is its function."""
        tf = import_module("tensorflow")
        module = tf.Module()
        module.weights = [variable.value for variable in self.model.variables]
        module.serve = self.serve(batch)
        return module


def _load(job):
    exported, work = Path(job["exported"]), Path(job["work"])
    if job["spec"]["family"] is None:
        kept = exported / "model.keras"
        given = Path(job["run"]) / "best.keras" if job["run"] else work / "model.keras"
        model = load_keras_file(kept if kept.exists() else given)
        if not kept.exists():  # without the optimizer's state, which is twice the weights
            model.save(kept)
        return model
    kept = exported / "model.weights.h5"
    if job["run"] and not kept.exists():
        model = Run(job["run"]).model
        model.save_weights(kept)
        return model
    model = rebuild(job["spec"] | {"seed": None}, compile=False)
    model.load_weights(kept)
    return model


def _ending_in(model, activation):
    if activation is None:
        return model
    y = layers.Activation(activation, dtype="float32", name="probabilities")(model.outputs[0])
    return keras.Model(model.inputs, y, name=model.name)
