"""Worker process that converts a network: `python -m kzoo.export.worker JOB.json STEP...`, one file per step."""

import platform
import sys
from functools import cached_property
from importlib import import_module, metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers

from kzoo.data.batch_memory import bytes_of_row
from kzoo.export.export_source import ConversionJob
from kzoo.export.formats import file_of, formats, split_key
from kzoo.export.golden_inputs import golden_batches
from kzoo.export.processes import serve_steps
from kzoo.export.program.from_onnx import read_program
from kzoo.export.verify import latencies
from kzoo.utils.files import JsonObject, read_json, whole_file
from kzoo.utils.version import __version__
from kzoo.zoo.loading import load_keras_file
from kzoo.zoo.registry import rebuild
from kzoo.zoo.run import Run

if TYPE_CHECKING:
    import tensorflow as tf
    from tensorflow import Tensor

    from kzoo.export.program.steps import Program


class Network:
    """A network to convert, with its weights, whose outputs are probabilities, scores or values.

    Attributes:
        core, model: the original network, and the same with an activation that turns logits into probabilities.
        input_name, output_name: names of input and output in the exported graph.
        like: the family that it resembles.
        preprocessing, postprocessing: see `Manifest`.
        spec, about: see `ConversionJob`.
        name: of the preset.
        labels, targets: names of classes and of target columns.
        meaning: what an input is, for people.
        config: settings of the network.
        folder: of the exported files; it has the golden inputs and outputs.
    """

    def __init__(self, job: ConversionJob) -> None:
        self.core = self.model = _load(job)
        if job.activation is not None:
            last = layers.Activation(job.activation, dtype="float32", name="probabilities")
            self.model = keras.Model(
                self.core.inputs, last(self.core.outputs[0]), name=self.core.name
            )
        self.input_name = job.input_spec["name"]
        self.output_name = job.kind
        self.like, self.preprocessing = job.like, job.preprocessing
        self.postprocessing, self.spec, self.about = job.postprocessing, job.spec, job.about
        self.name, self.labels, self.targets = str(job.spec["preset"]), job.labels, job.targets
        self.meaning, self.config = job.input_spec["meaning"], job.spec["config"]
        self.folder = Path(job.folder)
        self._shape = job.input_spec["shape"][1:]
        self._dtype = job.input_spec["dtype"]
        self._sample = Path(job.work) / "sample.npz"

    def calibration(self) -> np.ndarray:
        """Return rows to calibrate the scales of int8: training rows, or random rows that resemble them."""
        with np.load(self._sample) as arrays:
            return arrays["calibration"]

    @cached_property
    def program(self) -> "Program":
        """The steps for one row, read from an ONNX file of the network.

        Raises:
            KzooError: an operation has no code.
        """
        written = self.folder / file_of("onnx")
        if written.is_file():  # of the same export
            return read_program(written.read_bytes())
        with TemporaryDirectory() as folder:
            file = Path(folder, "model.onnx")
            formats()["onnx"].write(self, file, None)
            return read_program(file.read_bytes())

    def serve(self, batch: int | None = None) -> "tf.types.experimental.GenericFunction":
        """Return the network as a `tf.function` with a named input and a named output."""
        tf = import_module("tensorflow")
        model = self.model
        name = self.output_name
        spec = tf.TensorSpec([batch, *self._shape], self._dtype, name=self.input_name)

        @tf.function(input_signature=[spec])
        def serve(x: "Tensor") -> "dict[str, Tensor]":
            return {name: model(x, training=False)}

        return serve

    def tf_module(self, batch: int | None = None) -> "tf.Module":
        """Return a `tf.Module` that owns each weight once, with the function `serve`."""
        tf = import_module("tensorflow")
        module = tf.Module()
        module.weights = [variable.value for variable in self.model.variables]
        module.serve = self.serve(batch)
        return module


def _load(job: ConversionJob) -> keras.Model:
    folder, work = Path(job.folder), Path(job.work)
    if job.spec["family"] is None:
        stored = folder / "model.keras"
        source = Path(job.run) / "best.keras" if job.run else work / "model.keras"
        model = load_keras_file(stored if stored.exists() else source)
        # without the optimizer state, which is twice as large as the weights
        if not stored.exists():
            model.save(stored)
        return model
    stored = folder / "model.weights.h5"
    if job.run and not stored.exists():
        model = Run(job.run).model
        model.save_weights(stored)
        return model
    model = rebuild(job.spec | {"seed": None}, compile=False)
    model.load_weights(stored)
    return model


class _Steps:
    def __init__(self, job: ConversionJob) -> None:
        self.job = job
        self.folder = Path(job.folder)

    @cached_property
    def network(self) -> "Network":
        return Network(self.job)

    def do(self, step: str) -> JsonObject:
        return self._prepare() if step == "network" else self._convert(step)

    def _prepare(self) -> JsonObject:
        """Load the network, write its weights and golden outputs, and return facts such as the latency of Keras."""
        model = self.network.model
        x_1, x_7 = golden_batches(self.job.input_spec)
        golden_outputs = {
            f"y_{len(x)}": model.predict(x, verbose=0).astype("float32") for x in (x_1, x_7)
        }
        if not all(np.isfinite(y).all() for y in golden_outputs.values()):
            raise ValueError(
                "the network outputs NaN or infinity for golden inputs. Train it again"
            )
        with whole_file(self.folder / "golden.npz") as temporary, open(temporary, "wb") as stream:
            np.savez_compressed(stream, x_1=x_1, x_7=x_7, **golden_outputs)
        sample = Path(self.job.work) / "sample.npz"
        if sample.exists():
            with np.load(sample) as arrays:
                rows = dict(arrays)
            rows["y"] = model.predict(rows["x"], verbose=0).astype("float32")
            np.savez(sample, **rows)
        predict = lambda x: model.predict(x, verbose=0)  # noqa: E731
        return dict(
            answer=[None, *golden_outputs["y_7"].shape[1:]],
            parameters=self.network.core.count_params(),
            row_bytes=bytes_of_row(model),
            predict_ms=latencies(predict, x_7),
            versions={"kzoo": __version__, "python": platform.python_version()}
            | {name: metadata.version(name) for name in ("keras", "tensorflow", "numpy")},
        )

    def _convert(self, key: str) -> JsonObject:
        name, quantize = split_key(key)
        file = self.folder / file_of(key, self.job.version)
        file.parent.mkdir(parents=True, exist_ok=True)
        return formats()[name].write(self.network, file, quantize)


def main(job: str, *steps: str) -> None:
    keras.utils.disable_interactive_logging()
    serve_steps(steps, _Steps(ConversionJob(**read_json(job))).do)


if __name__ == "__main__":
    main(*sys.argv[1:])
