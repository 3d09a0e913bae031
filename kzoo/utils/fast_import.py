"""Import Keras without its optional dependencies, in kzoo's own processes: the command line and workers.

Keras and TensorFlow import optional packages if they are installed: scikit-learn for wrappers, pandas for frames passed
to `fit`, pyplot for galleries, jax for a converter, SciPy for Keras 2; on other backends also TensorFlow, to set its
seed. kzoo does not use these through Keras, and they take as long to import as Keras itself. So does garbage collection
among modules that stay.

Nothing is hidden in a user's process, because Keras remembers which packages were missing. Standard library only.
"""

import gc
import os
import random
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from importlib import import_module
from pathlib import Path

from kzoo.utils.errors import KzooError
from kzoo.utils.files import read_json

_OPTIONAL = ("matplotlib", "pandas", "sklearn")
_USED_BY_JAX = ("jax", "scipy")  # needed if Keras runs on JAX
_TENSORFLOW = ("tensorflow",)  # not needed on other backends
_is_kzoo_process = False


def mark_kzoo_process() -> None:
    """Mark this process as kzoo's own: no user code runs in it that needs Keras' optional packages."""
    global _is_kzoo_process
    _is_kzoo_process = True


def import_keras() -> None:
    """Import Keras, and TensorFlow unless this is kzoo's own process and Keras runs on JAX or PyTorch."""
    backend = _backend()
    hides_tensorflow = _is_kzoo_process and backend in ("jax", "torch")
    names = (
        _OPTIONAL
        + (() if backend == "jax" else _USED_BY_JAX)
        + (_TENSORFLOW if hides_tensorflow else ())
    )
    with _hidden(names) if _is_kzoo_process else nullcontext():
        keras = import_module("keras")
        if hides_tensorflow:
            # Keras tries to import TensorFlow here
            keras.utils.set_random_seed(random.getrandbits(31))
        else:
            import_module("tensorflow")


@contextmanager
def _hidden(names: Iterable[str]) -> Iterator[None]:
    """Hide modules that are not imported yet, and pause garbage collection."""
    hidden = [name for name in names if name not in sys.modules]
    # with None, `import` raises ModuleNotFoundError
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    gc_was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]
        gc.freeze()  # imported modules stay: exclude them from collection
        if gc_was_enabled:
            gc.enable()


def _backend() -> str | None:
    """Return the backend that Keras will use, found as Keras does; None for its default."""
    settings = Path(os.path.expanduser(os.environ.get("KERAS_HOME", "~/.keras"))) / "keras.json"
    try:
        return os.environ.get("KERAS_BACKEND") or read_json(settings)["backend"]
    except (KzooError, OSError, ValueError, LookupError, TypeError):  # no readable keras.json
        return None
