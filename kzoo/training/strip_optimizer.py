"""A finished run's model files without the optimizer: its state is twice the weights, and nothing goes on from it."""

import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path

import h5py

from kzoo.utils.files import whole_file

_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"


def strip_optimizer(folder: Path) -> None:
    """Take the optimizer out of a run's models; where there is no room for a new file, the old one stays as it is."""
    for name in ("best.keras", "last.keras"):
        if (folder / name).is_file():
            with suppress(OSError):
                without_optimizer(folder / name)


def without_optimizer(file: Path) -> None:
    """Write a `.keras` file anew with its network and weights alone, as Keras saves a model that is not compiled."""
    with zipfile.ZipFile(file) as archive:
        parts = [(info, archive.read(info)) for info in archive.infolist()]
    changed = {_CONFIG: _not_compiled, _WEIGHTS: _weights_alone}
    with whole_file(file) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for info, content in parts:
            archive.writestr(info, changed.get(info.filename, bytes)(content))


def _not_compiled(content: bytes) -> bytes:
    return json.dumps(json.loads(content) | {"compile_config": {}}).encode()


def _weights_alone(content: bytes) -> bytes:
    out = io.BytesIO()
    with h5py.File(io.BytesIO(content), "r") as source, h5py.File(out, "w") as target:
        for name in source:
            if name != "optimizer":
                source.copy(name, target)
    return out.getvalue()
