"""`python -m kzoo.export.worker JOB.json STEP...`: the process that converts. One step is one file."""

import platform
import sys
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path

import keras
import numpy as np
from keras import layers

from kzoo import __version__
from kzoo.export.export_source import ConversionJob
from kzoo.export.formats import file_of, formats, split_key
from kzoo.export.golden_inputs import golden
from kzoo.export.processes import serve_steps
from kzoo.export.verify import latencies
from kzoo.loading import load_keras_file
from kzoo.registry import rebuild
from kzoo.run import Run
from kzoo.utils.files import read_json, whole_file


class Network:
    """A network to convert: with its weights, and ending in probabilities.

    Attributes:
        core, model: the network as it was, and with the activation that makes probabilities of logits.
        input_name, output_name: what the ends of an exported graph are called.
        like: the family that it resembles.
        preprocessing: see `Manifest`.
    """

    def __init__(self, job):
        self.core = self.model = _load(job)
        if job.activation is not None:
            last = layers.Activation(job.activation, dtype="float32", name="probabilities")
            self.model = keras.Model(self.core.inputs, last(self.core.outputs[0]), name=self.core.name)
        self.input_name, self.output_name = job.given["name"], job.kind
        self.like, self.preprocessing = job.like, job.preprocessing
        self._shape, self._dtype = job.given["shape"][1:], job.given["dtype"]
        self._sample = Path(job.work) / "sample.npz"

    def calibration(self):
        """Return training rows, or rows like them, from which the scales of int8 are found."""
        with np.load(self._sample) as arrays:
            return arrays["calibration"]

    def serve(self, batch=None):
        """Return the network as a `tf.function` with a named input and a named output."""
        tf, model, name = import_module("tensorflow"), self.model, self.output_name
        spec = tf.TensorSpec([batch, *self._shape], self._dtype, name=self.input_name)

        @tf.function(input_signature=[spec])
        def serve(x):
            return {name: model(x, training=False)}

        return serve

    def tf_module(self, batch=None):
        """Return a `tf.Module` that owns each weight once; `serve` is its function."""
        tf = import_module("tensorflow")
        module = tf.Module()
        module.weights = [variable.value for variable in self.model.variables]
        module.serve = self.serve(batch)
        return module


def _load(job):
    folder, work = Path(job.folder), Path(job.work)
    if job.spec["family"] is None:
        kept = folder / "model.keras"
        given = Path(job.run) / "best.keras" if job.run else work / "model.keras"
        model = load_keras_file(kept if kept.exists() else given)
        if not kept.exists():  # without the optimizer's state, which is twice the weights
            model.save(kept)
        return model
    kept = folder / "model.weights.h5"
    if job.run and not kept.exists():
        model = Run(job.run).model
        model.save_weights(kept)
        return model
    model = rebuild(job.spec | {"seed": None}, compile=False)
    model.load_weights(kept)
    return model


class _Work:
    def __init__(self, job):
        self.job, self.folder = job, Path(job.folder)

    @cached_property
    def network(self):
        return Network(self.job)

    def do(self, step):
        return self._begin() if step == "network" else self._convert(step)

    def _begin(self):
        """Load the network, write its weights and the golden answers, and time Keras itself."""
        model = self.network.model
        x_1, x_7 = golden(self.job.given)
        answers = {f"y_{len(x)}": model.predict(x, verbose=0).astype("float32") for x in (x_1, x_7)}
        if not all(np.isfinite(y).all() for y in answers.values()):
            raise ValueError("the network answers golden inputs with NaN or infinity: train it again")
        with whole_file(self.folder / "golden.npz") as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, x_1=x_1, x_7=x_7, **answers)
        sample = Path(self.job.work) / "sample.npz"
        if sample.exists():
            with np.load(sample) as arrays:
                rows = dict(arrays)
            rows["y"] = model.predict(rows["x"], verbose=0).astype("float32")
            np.savez(sample, **rows)
        predict = lambda x: model.predict(x, verbose=0)  # noqa: E731
        return dict(
            answer=[None, *answers["y_7"].shape[1:]],
            parameters=self.network.core.count_params(),
            predict_ms=latencies(predict, x_7),
            versions={"kzoo": __version__, "python": platform.python_version()}
            | {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy")},
        )

    def _convert(self, key):
        name, quantize = split_key(key)
        file = self.folder / file_of(key, self.job.version)
        file.parent.mkdir(parents=True, exist_ok=True)
        return formats()[name].write(self.network, file, quantize)


def main(job, *steps):
    keras.utils.disable_interactive_logging()
    serve_steps(steps, _Work(ConversionJob(**read_json(job))).do)


if __name__ == "__main__":
    main(*sys.argv[1:])
