"""Import Keras without the noise; its own file, so that `kzoo list` does not pay for what this imports."""

import logging
import os
import sys
import tempfile
from importlib import import_module


def hush():
    """Keep TensorFlow from advice that is for the authors of training loops, not for their users."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    for logger in ("tensorflow", "absl"):
        logging.getLogger(logger).setLevel(logging.ERROR)


def load(name):
    """Import a module that needs Keras, without the lines that TensorFlow's C++ writes while it starts.

    No log level reaches them; they go straight to file descriptor 2. They are shown if the import fails.
    """
    hush()
    if "keras" in sys.modules:
        return import_module(name)
    sys.stderr.flush()
    with tempfile.TemporaryFile() as noise:
        screen = os.dup(2)
        os.dup2(noise.fileno(), 2)
        try:
            import_module("keras")
        except BaseException:
            noise.seek(0)
            os.write(screen, noise.read())
            raise
        finally:
            os.dup2(screen, 2)
            os.close(screen)
    return import_module(name)
