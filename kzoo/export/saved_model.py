"""The SavedModel, in the layout of TensorFlow Serving: a folder with a number for a name."""

from importlib import import_module


def write(network, file, quantize):
    """Write a SavedModel and return what `kzoo.json` says of it."""
    tf = import_module("tensorflow")
    module = network.tf_module()
    signatures = {"serving_default": module.serve}
    tf.saved_model.save(module, str(file), signatures=signatures)
    return {"signatures": sorted(signatures)}


class Answers:
    """A SavedModel, opened by TensorFlow; call it with a batch."""

    def __init__(self, file, entry):
        self._tf = import_module("tensorflow")
        self.runtime = f"tensorflow {self._tf.__version__}"
        self._loaded = self._tf.saved_model.load(str(file))
        self._serve = self._loaded.signatures["serving_default"]
        ((self._name, _),) = self._serve.structured_input_signature[1].items()

    def __call__(self, x):
        (y,) = self._serve(**{self._name: self._tf.constant(x)}).values()
        return y.numpy()
