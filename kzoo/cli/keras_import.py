"""Import Keras without the noise; its own file, so that `kzoo list` does not pay for what this imports."""

import logging
import os
import sys
from importlib import import_module

from kzoo.utils import fast_import as lean
from kzoo.utils.errors import KzooError
from kzoo.utils.jax_cache import keep_programs
from kzoo.utils.optional import check_installed
from kzoo.utils.tensorflow_log import silence


def silence_tensorflow():
    """Keep TensorFlow from advice that is for the authors of training loops, not for their users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for logger in ("tensorflow", "absl"):
        logging.getLogger(logger).setLevel(logging.ERROR)


def import_quietly(name):
    """Import a module that needs Keras, in silence.

    TensorFlow, where it is imported, looks for GPUs here.
    """
    silence_tensorflow()
    if "keras" not in sys.modules:
        check_installed("keras")
        try:
            with silence():
                lean.import_keras()
                if "tensorflow" in sys.modules:
                    import_module("tensorflow").config.list_physical_devices()
        except (ImportError, ValueError) as error:
            raise KzooError(
                f"Keras does not start: {error}. KERAS_BACKEND takes tensorflow, jax or torch, if it is installed."
            ) from None
        keep_programs()
    return import_module(name)
