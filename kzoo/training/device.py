"""The device that Keras trains on: its configuration before training, and its support for bfloat16."""

import os
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

import keras

from kzoo.utils import processor
from kzoo.utils.argument_checks import checked_count
from kzoo.utils.errors import KzooError
from kzoo.utils.formatting import plural
from kzoo.utils.jax_cache import keep_programs
from kzoo.zoo.registry.arguments import PRECISIONS


def prepare_device(precision: str, *, deterministic: bool = False) -> str:
    """Configure the backend, and return the dtype policy to build with.

    TensorFlow allocates GPU memory as needed, and JAX caches its compiled programs.

    Args:
        precision: "auto" is mixed_bfloat16 on a GPU that supports it, float32 elsewhere.
        deterministic: make operations deterministic, or fail.

    Raises:
        KzooError: `precision` is unknown, or determinism has to be configured before the backend starts.
    """
    if deterministic:
        _make_deterministic()
    if precision not in PRECISIONS:
        raise KzooError(
            f"is unknown. Use one of: {', '.join(PRECISIONS)}.",
            argument="precision",
            value=precision,
        )
    keep_programs()
    if keras.backend.backend() != "tensorflow":
        return "float32" if precision == "auto" else precision
    tf = import_module("tensorflow")
    for gpu in tf.config.list_physical_devices("GPU"):
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except (
            RuntimeError
        ):  # this process already uses the GPU: memory growth can no longer be changed
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if _gpu_capabilities() and computes_bfloat16() else "float32"


def data_parallel(devices: int | None) -> keras.distribution.DataParallel | None:
    """Return a `DataParallel` distribution that splits every batch over this many local devices; None for None.

    Raises:
        KzooError: `devices` is not a positive integer, the backend is not JAX, or there are fewer devices.
    """
    if devices is None:
        return None
    checked_count("devices", devices)
    if keras.backend.backend() != "jax":
        raise KzooError(
            "needs the JAX backend. Use --backend jax, or set KERAS_BACKEND=jax.",
            argument="devices",
            value=devices,
        )
    available = keras.distribution.list_devices()
    if devices > len(available):
        raise KzooError(
            f", but JAX has {plural(len(available), 'device')}. To split a CPU into {devices}, set "
            f"XLA_FLAGS=--xla_force_host_platform_device_count={devices}.",
            argument="devices",
            value=devices,
        )
    return keras.distribution.DataParallel(devices=available[:devices], auto_shard_dataset=False)


def distribution_scope(
    distribution: keras.distribution.DataParallel | None,
) -> AbstractContextManager[Any]:
    """Return the scope of a distribution, or a null context for None."""
    return nullcontext() if distribution is None else distribution.scope()


def computes_bfloat16() -> bool:
    """Return whether the device computes in bfloat16 natively, so that mixed_bfloat16 is faster than float32.

    With several GPUs, all of them must. On CPUs only Linux reports it, and JAX is slower there in bfloat16 than in
    float32.
    """
    capabilities = _gpu_capabilities()
    if capabilities:
        return min(capabilities) >= (8, 0)
    return keras.backend.backend() != "jax" and processor.computes_bfloat16()


def _gpu_capabilities() -> list[tuple[int, ...]]:
    """Return the compute capability of each GPU of the backend; (0, 0) if it is unknown."""
    if keras.backend.backend() == "torch":
        cuda = import_module("torch").cuda
        return [cuda.get_device_capability(i) for i in range(cuda.device_count())]
    if keras.backend.backend() == "jax":
        devices = [
            device for device in import_module("jax").local_devices() if device.platform == "gpu"
        ]
        return [tuple(map(int, str(device.compute_capability).split("."))) for device in devices]
    config = import_module("tensorflow").config
    details = map(config.experimental.get_device_details, config.list_physical_devices("GPU"))
    return [device.get("compute_capability", (0, 0)) for device in details]


def _make_deterministic() -> None:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        import_module("tensorflow").config.experimental.enable_op_determinism()
    elif backend == "torch":
        import_module("torch").use_deterministic_algorithms(True)
    elif backend == "jax" and import_module("jax").default_backend() == "gpu":
        flag = "--xla_gpu_deterministic_ops=true"
        if flag not in os.environ.get("XLA_FLAGS", ""):
            raise KzooError(
                f"with JAX on a GPU needs XLA_FLAGS={flag}. Set it before Python starts.",
                argument="deterministic",
                value=True,
            )
