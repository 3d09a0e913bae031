"""Removing the optimizer from the model files of a finished run: its state is twice as large as the weights."""

import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py

from kzoo.utils.files import whole_file

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def strip_optimizer(folder: Path) -> None:
    """Remove the optimizer from a run's models; if the disk is full, a file stays unchanged."""
    for name in ("best.keras", "last.keras"):
        if (folder / name).is_file():
            with suppress(OSError):
                without_optimizer(folder / name)


def without_optimizer(file: Path) -> None:
    """Rewrite a `.keras` file without its optimizer, as Keras saves a model that is not compiled."""
    with zipfile.ZipFile(file) as archive:
        parts = [(member, archive.read(member)) for member in archive.infolist()]
    rewrite = {_CONFIG: _without_compile_config, _WEIGHTS: _without_optimizer_weights}
    with whole_file(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for member, content in parts:
            archive.writestr(member, rewrite.get(member.filename, bytes)(content))


def _without_compile_config(content: bytes) -> bytes:
    return json.dumps(json.loads(content) | {"compile_config": {}}).encode()


def _without_optimizer_weights(content: bytes) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(buffer, "w") as target:
        for name in source:
            if name != "optimizer":
                source.copy(name, target)
    return buffer.getvalue()
