"""Import Keras without log output. Separate from `common`, so that `kzoo list` does not pay for these imports."""

import logging
import os
import sys
from importlib import import_module
from types import ModuleType

from kzoo.utils import fast_import
from kzoo.utils.errors import KzooError
from kzoo.utils.jax_cache import keep_programs
from kzoo.utils.optional import check_installed
from kzoo.utils.tensorflow_log import silence


def silence_tensorflow() -> None:
    """Silence TensorFlow's log messages, which address authors of training loops."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for logger in ("tensorflow", "absl"):
        logging.getLogger(logger).setLevel(logging.ERROR)


def import_quietly(name: str) -> ModuleType:
    """Import a module that needs Keras, without log output.

    If the backend is TensorFlow, its search for GPUs is triggered here too, because it logs as well.

    Raises:
        KzooError: Keras is not installed or fails to start.
    """
    silence_tensorflow()
    if "keras" not in sys.modules:
        check_installed("keras")
        try:
            with silence():
                fast_import.import_keras()
                if "tensorflow" in sys.modules:
                    import_module("tensorflow").config.list_physical_devices()
        except (ImportError, ValueError) as error:
            raise KzooError(
                f"Keras does not start: {error}. Set KERAS_BACKEND to an installed backend: tensorflow, jax or torch."
            ) from None
        keep_programs()
    return import_module(name)
