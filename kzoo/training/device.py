"""Where the numbers are crunched: GPU memory and precision."""

import os
from importlib import import_module

import keras

from kzoo.errors import KzooError

PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")


def prepare_device(precision, *, deterministic=False):
    """Let TensorFlow take GPU memory as it needs it, and return the dtype policy to build with.

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
    if keras.backend.backend() != "tensorflow":
        return "float32" if precision == "auto" else precision
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.experimental.set_memory_growth(gpu, True)
        except RuntimeError:  # the GPU is already in use by this process, with whatever it was told then
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if precision != "auto":
        return precision
    capability = [tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0)) for gpu in gpus]
    return "mixed_bfloat16" if capability and min(capability) >= (8, 0) else "float32"


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
