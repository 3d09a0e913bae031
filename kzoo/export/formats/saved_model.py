"""The SavedModel format, in the layout of TensorFlow Serving: a folder named after the version number."""

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from kzoo.export.format import Format
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from tensorflow import Tensor

    from kzoo.export.worker import Network


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
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


def _of_strings(
    tf: ModuleType,
    serve: "Callable[[Tensor], dict[str, Tensor]]",
    encode: "Callable[[Tensor], Tensor]",
) -> "Callable[[Tensor], dict[str, Tensor]]":
    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="text")])
    def serve_strings(text: "Tensor") -> "dict[str, Tensor]":
        return serve(encode(text))

    return serve_strings


class Session:
    """A SavedModel, opened by TensorFlow."""

    batch: int | None = None

    def __init__(self, path: Path, *, name: str, threads: int | None = None) -> None:
        self._tf = import_module("tensorflow")
        self.runtime = f"tensorflow {self._tf.__version__}"
        self._loaded = self._tf.saved_model.load(str(path))
        self._serve = self._loaded.signatures["serving_default"]
        ((self._name, _),) = self._serve.structured_input_signature[1].items()
        if "serve_strings" in self._loaded.signatures:
            self.of_strings = self._of_strings

    def __call__(self, x: np.ndarray) -> np.ndarray:
        (y,) = self._serve(**{self._name: self._tf.constant(x)}).values()
        return y.numpy()

    def _of_strings(self, texts: Sequence[str]) -> np.ndarray:
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
