"""The SavedModel, in the layout of TensorFlow Serving: a folder with a number for a name."""

from importlib import import_module


def write(network, file, quantize):
    """Write a SavedModel and return what `kzoo.json` says of it."""
    tf = import_module("tensorflow")
    module = network.tf_module()
    signatures, more = {"serving_default": module.serve}, {}
    preprocessing = network.job["preprocessing"] or {}
    if "vocabulary" in preprocessing:
        strings = import_module("kzoo.export.strings")
        encode, module.table = strings.strings_to_ids(preprocessing)
        wrong = strings.disagreement(preprocessing, encode)
        if wrong is None:
            signatures["serve_strings"] = module.serve_strings = _of_strings(tf, module.serve, encode)
        else:
            more["note"] = f"no serve_strings: TensorFlow cannot split {wrong[:40]!r} as training did"
    tf.saved_model.save(module, str(file), signatures=signatures)
    return {"signatures": sorted(signatures), **more}


def _of_strings(tf, serve, encode):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve_strings(text):
        return serve(encode(text))

    return serve_strings


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

    def of_strings(self, texts):
        """Answer strings with the signature `serve_strings`."""
        (y,) = self._loaded.signatures["serve_strings"](text=self._tf.constant(texts)).values()
        return y.numpy()
