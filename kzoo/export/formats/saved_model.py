"""The SavedModel format, in the layout of TensorFlow Serving: a folder named after the version number."""

from importlib import import_module

from kzoo.export.format import Format


def write(network, file, quantize):
    """Write a SavedModel; for texts, with the additional signature `serve_strings`."""
    tf = import_module("tensorflow")
    module = network.tf_module()
    signatures = {"serving_default": module.serve}
    extra = {}
    preprocessing = network.preprocessing or {}
    if "charsmap" in preprocessing:
        extra["note"] = (
            "no serve_strings: TensorFlow does not have the tokenizer of the pretrained encoder"
        )
    elif "vocabulary" in preprocessing:
        strings = import_module("kzoo.export.tf_tokenizer")
        encode, module.table = strings.strings_to_ids(preprocessing)
        mismatch = strings.first_mismatch(preprocessing, encode)
        if mismatch is None:
            signatures["serve_strings"] = module.serve_strings = _of_strings(
                tf, module.serve, encode
            )
        else:
            extra["note"] = (
                f"no serve_strings: TensorFlow tokenizes {mismatch[:40]!r} differently from training"
            )
    tf.saved_model.save(module, str(file), signatures=signatures)
    return {"signatures": sorted(signatures), **extra}


def _of_strings(tf, serve, encode):
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve_strings(text):
        return serve(encode(text))

    return serve_strings


class Session:
    """A SavedModel, opened by TensorFlow."""

    batch = None

    def __init__(self, path, *, name, threads=None):
        self._tf = import_module("tensorflow")
        self.runtime = f"tensorflow {self._tf.__version__}"
        self._loaded = self._tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures["serving_default"]
        ((self._name, _),) = self._serve.structured_input_signature[1].items()
        if "serve_strings" in self._loaded.signatures:
            self.of_strings = self._of_strings

    def __call__(self, x):
        (y,) = self._serve(**{self._name: self._tf.constant(x)}).values()
        return y.numpy()

    def _of_strings(self, texts):
        (y,) = self._loaded.signatures["serve_strings"](text=self._tf.constant(texts)).values()
        return y.numpy()


FORMAT = Format(
    name="saved_model",
    order=20,
    file="saved_model/{version}",
    packages=("tensorflow",),
    write=write,
    open=Session,
)
