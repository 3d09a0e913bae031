"""Data: `load_data` turns any source into a `Dataset`; `encode` turns new raw inputs into rows of `x`.

No Keras and no TensorFlow here; pandas and scikit-learn come in with the sources that need them.
"""

from importlib import import_module

from kzoo.data.dataset import Dataset, Split

# Loaded on first use: prediction needs `encode` alone, and encoding text needs no pandas.
_PUBLIC = {"load_data": "kzoo.data.load", "encode": "kzoo.data.encode"}

__all__ = ["Dataset", "Split", "encode", "load_data"]


def __getattr__(name):
    if name not in _PUBLIC:
        raise AttributeError(f"module 'kzoo.data' has no attribute {name!r}")
    # The submodule has the function's name: overwrite it, so that `kzoo.data.encode` is the function.
    value = getattr(import_module(_PUBLIC[name]), name)
    globals()[name] = value
    return value
