"""Import Keras lean, in processes that are kzoo's own: the command line, and workers. Standard library only.

Keras and TensorFlow import what they merely look for, too: scikit-learn for wrappers, pandas for frames given to `fit`,
pyplot for galleries, jax for a converter, SciPy for the Keras of old; TensorFlow on other backends, to set its seed.
Nothing of kzoo's asks Keras for these, and they take as long as Keras itself; so does looking for garbage among modules
that stay.

In somebody's own process nothing is hidden: Keras remembers what it did not find.
"""

import gc
import os
import random
import sys
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path

from kzoo.utils.files import read_json

_LOOKED_FOR = ("matplotlib", "pandas", "sklearn")
_OF_JAX = ("jax", "scipy")  # needed where Keras runs on it
_ELSEWHERE = ("tensorflow",)  # where it does not run on that
_own = False


def mark_kzoo_process() -> None:
    """Say that this process is kzoo's own: nobody else's code will ask Keras for what it did not find."""
    global _own
    _own = True


def import_keras() -> None:
    """Import Keras, and TensorFlow where Keras runs on it, or is not in a process of kzoo's own."""
    backend = _backend()
    elsewhere = _own and backend in ("jax", "torch")
    names = _LOOKED_FOR + (() if backend == "jax" else _OF_JAX) + (_ELSEWHERE if elsewhere else ())
    with _lean(names) if _own else nullcontext():
        keras = import_module("keras")
        if elsewhere:
            keras.utils.set_random_seed(random.getrandbits(31))  # with which it looks for TensorFlow
        else:
            import_module("tensorflow")


@contextmanager
def _lean(names):
    """Hide modules that are not imported yet, and collect no garbage."""
    hidden = [name for name in names if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # None: `import` says that there is no such module
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()  # what is imported stays
        if collecting:
            gc.enable()


def _backend():
    """Return the backend that Keras will take, as Keras itself finds it."""
    settings = Path(os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))) / "keras.json"
    try:
        return os.environ.get("KERAS_BACKEND") or read_json(settings)["backend"]
    except (OSError, ValueError, LookupError, TypeError):  # it has no settings, or none that can be read
        return None
