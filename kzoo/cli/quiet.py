"""Import Keras without the noise; its own file, so that `kzoo list` does not pay for what this imports."""

import logging
import os
import sys
import tempfile
from contextlib import contextmanager
from importlib import import_module

from kzoo import lean
from kzoo.errors import KzooError
from kzoo.jax_cache import keep_programs
from kzoo.optional import check_installed


def hush():
    """Keep TensorFlow from advice that is for the authors of training loops, not for their users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for logger in ("tensorflow", "absl"):
        logging.getLogger(logger).setLevel(logging.ERROR)


@contextmanager
def silence():
    """Keep back the lines that TensorFlow's C++ writes while it starts; show them if what is done here fails.

    No log level reaches them: they go straight to file descriptor 2.
    """
    hush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as noise:
        screen = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            yield
        except BaseException:
            noise.seek(0)
            os.write(screen, noise.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)


def load(name):
    """Import a module that needs Keras, in silence.

    TensorFlow, where it is imported, looks for GPUs here.
    """
    hush()
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
