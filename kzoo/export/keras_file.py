"""The `.keras` file: trainable, opens on every backend of Keras, with Keras alone."""

from importlib import import_module
from importlib.util import find_spec


def write(network, file, quantize):
    """Write a `.keras` file of a network (see `network.py`) and return what `kzoo.json` says of it."""
    network.model.save(file)
    return {}


def load(file):
    """Load a `.keras` file that kzoo did not build itself, after a look inside."""
    if find_spec("kzoo.loading"):
        import_module("kzoo.loading").inspect_keras_file(file)
    return import_module("keras").saving.load_model(file, compile=False, safe_mode=True)


class Answers:
    """A `.keras` file, opened by Keras; call it with a batch."""

    def __init__(self, file, entry):
        keras = import_module("keras")
        self.runtime = f"keras {keras.__version__}, tensorflow {import_module('tensorflow').__version__}"
        self._model = load(file)

    def __call__(self, x):
        return self._model.predict(x, verbose=0)
