"""The `.keras` format: trainable, and needs Keras only, on any backend."""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kzoo.export.format import Format
from kzoo.utils.files import JsonObject

if TYPE_CHECKING:
    from kzoo.export.worker import Network


def write(network: "Network", file: Path, quantize: str | None) -> JsonObject:
    """Write a `.keras` file."""
    network.model.save(file)
    return {}


class Session:
    """A `.keras` file, opened by Keras."""

    batch: int | None = None

    def __init__(self, path: Path, *, name: str, threads: int | None = None) -> None:
        keras = import_module("keras")
        self.runtime = (
            f"keras {keras.__version__}, tensorflow {import_module('tensorflow').__version__}"
        )
        # An export may come from an untrusted source, so kzoo checks the file before Keras opens it.
        self._model = import_module("kzoo.zoo.loading").load_keras_file(path)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        return self._model.predict(x, verbose=0)


FORMAT = Format(
    name="keras",
    order=10,
    file="keras/model.keras",
    packages=("keras", "tensorflow"),
    write=write,
    open=Session,
)
