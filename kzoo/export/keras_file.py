"""The `.keras` file: trainable, opens on every backend of Keras, with Keras alone."""

from importlib import import_module

from kzoo.loading import load_keras_file


def write(network, file, quantize):
    """Write a `.keras` file of a network (see `network.py`) and return what `kzoo.json` says of it."""
    network.model.save(file)
    return {}


class Answers:
    """A `.keras` file, opened by Keras; call it with a batch."""

    def __init__(self, file, entry):
        keras = import_module("keras")
        self.runtime = f"keras {keras.__version__}, tensorflow {import_module('tensorflow').__version__}"
        self._model = load_keras_file(file)  # an export may come from anywhere: look inside first

    def __call__(self, x):
        return self._model.predict(x, verbose=0)
