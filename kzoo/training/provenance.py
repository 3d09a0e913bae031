"""The provenance of a run in `config.json`: versions, machine and time."""

import os
import platform
import time
from importlib import metadata

import keras

from kzoo.problems.stored_types import FORMAT_VERSION
from kzoo.utils import onednn
from kzoo.utils.files import JsonObject
from kzoo.utils.processor import instruction_sets
from kzoo.utils.version import __version__


def provenance() -> JsonObject:
    """Return the provenance of a run that is made now, as plain data."""
    backend = keras.backend.backend()
    packages = (
        "keras",
        "numpy",
        {"tensorflow": "tensorflow", "jax": "jax", "torch": "torch"}.get(backend, backend),
    )
    versions = {"kzoo": __version__, "python": platform.python_version()} | {
        p: metadata.version(p) for p in packages
    }
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    return dict(
        format_version=FORMAT_VERSION,
        backend=backend,
        versions=versions,
        machine=machine,
        processor=list(instruction_sets()),
        onednn=onednn.enabled() if backend == "tensorflow" else None,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )
