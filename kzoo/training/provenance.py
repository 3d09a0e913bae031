"""The provenance of a run in `config.json`: versions, machine and time."""

import os
import platform
import time
from importlib import import_module, metadata

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
        device=device(),
        threads=threads(),
        onednn=onednn.enabled() if backend == "tensorflow" else None,
        created=time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    )


def device() -> str:
    """Return the kind of device that Keras computes on: "cpu", "gpu" or "tpu"."""
    if keras.backend.backend() == "torch":
        return "gpu" if import_module("torch").cuda.is_available() else "cpu"
    devices = keras.distribution.list_devices()
    return devices[0].partition(":")[0].lower() if devices else "cpu"


def threads() -> int:
    """Return the number of threads that share an operation on the CPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        return int(import_module("torch").get_num_threads())
    chosen = ""
    if backend == "tensorflow":
        config = import_module("tensorflow").config.threading
        chosen = config.get_intra_op_parallelism_threads() or os.environ.get(
            "TF_NUM_INTRAOP_THREADS", ""
        )
    elif backend == "jax":
        chosen = os.environ.get("NPROC", "")
    if str(chosen).isdecimal() and int(chosen):
        return int(chosen)
    # those that this process may use, which a container or `taskset` limits
    usable = getattr(os, "sched_getaffinity", None)
    return os.cpu_count() or 1 if usable is None else len(usable(0))
