"""The device that Keras trains on: what it is told before a training, and whether it computes in bfloat16."""

import os
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import keras

from kzoo.registry.arguments import PRECISIONS
from kzoo.utils import processor
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.utils.jax_cache import keep_programs


def prepare_device(precision, *, deterministic=False):
    """Let TensorFlow take GPU memory as it needs it, and JAX keep its programs; return the dtype policy to build with.

    Args:
        precision: "auto" is mixed_bfloat16 on a GPU that has it, float32 elsewhere.
        deterministic: let operations be deterministic, or fail.

    Raises:
        KzooError: an unknown precision, or a backend that had to be told earlier.
    """
    if deterministic:
        _make_deterministic()
    if precision not in PRECISIONS:
        raise KzooError(f"precision={precision!r} is unknown. Use one of: {', '.join(PRECISIONS)}.")
    keep_programs()
    if keras.backend.backend() != "tensorflow":
        return "float32" if precision == "auto" else precision
    tf = import_module("tensorflow")
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # the GPU is already in use by this process, with whatever it was told then
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _gpus() and computes_bfloat16() else "float32"


def spread_over(devices) -> "keras.distribution.DataParallel | None":
    """Return how a training is spread over so many devices of this machine, each with its part of every batch.

    Raises:
        KzooError: no number, another backend than JAX, or more devices than there are.
    """
    if devices is None:
        return None
    checked_count("devices", devices)
    if keras.backend.backend() != "jax":
        raise KzooError(
            f"devices={devices}: Keras trains on several devices with JAX alone: --backend jax, or KERAS_BACKEND=jax."
        )
    there = keras.distribution.list_devices()
    if devices > len(there):
        raise KzooError(
            f"devices={devices}, and JAX sees {plural(len(there), 'device')}. "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={devices} makes {devices} of a processor."
        )
    return keras.distribution.DataParallel(devices=there[:devices], auto_shard_dataset=False)


def shared_by(distribution) -> AbstractContextManager[Any]:
    """Let variables and batches be spread as a distribution says; None leaves them to one device."""
    return nullcontext() if distribution is None else distribution.scope()


def computes_bfloat16() -> bool:
    """Say whether Keras' device computes in bfloat16 itself, so that it is worth something.

    All GPUs have to; of processors Linux alone tells, and JAX is slower there in bfloat16 than in float32.
    """
    gpus = _gpus()
    if gpus:
        return min(gpus) >= (8, 0)
    return keras.backend.backend() != "jax" and processor.computes_bfloat16()


def _gpus() -> list[tuple[int, ...]]:
    """Return the compute capability of each GPU that the backend sees; (0, 0) is an unknown one."""
    if keras.backend.backend() == "torch":
        cuda = import_module("torch").cuda
        return [cuda.get_device_capability(i) for i in range(cuda.device_count())]
    if keras.backend.backend() == "jax":
        devices = [one for one in import_module("jax").local_devices() if one.platform == "gpu"]
        return [tuple(map(int, str(one.compute_capability).split("."))) for one in devices]
    config = import_module("tensorflow").config
    details = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return [one.get("compute_capability", (0, 0)) for one in details]


def _make_deterministic():
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import_module("tensorflow").config.experimental.enable_op_determinism()
    elif backend == "torch":
        import_module("torch").use_deterministic_algorithms(True)
    elif backend == "jax" and import_module("jax").default_backend() == "gpu":
        flag = "--xla_gpu_deterministic_ops=true"
        if flag not in os.environ.get("XLA_FLAGS", ""):
            raise KzooError(f"deterministic=True on JAX and a GPU: set XLA_FLAGS={flag} before Python starts.")
