"""The `.keras` format: trainable, and needs Keras only, on any backend."""

from importlib import import_module

from kzoo.export.format import Format


def write(network, file, quantize):
    """Write a `.keras` file."""
    network.model.save(file)
    return {}


class Session:
    """A `.keras` file, opened by Keras."""

    batch = None

    def __init__(self, path, *, name, threads=None):
        keras = import_module("keras")
        self.runtime = (
            f"keras {keras.__version__}, tensorflow {import_module('tensorflow').__version__}"
        )
        # An export may come from an untrusted source, so kzoo checks the file before Keras opens it.
        self._model = import_module("kzoo.zoo.loading").load_keras_file(path)

    def __call__(self, x):
        return self._model.predict(x, verbose=0)


FORMAT = Format(
    name="keras",
    order=10,
    file="keras/model.keras",
    packages=("keras", "tensorflow"),
    write=write,
    open=Session,
)
