"""Data: `load_data` turns any source into a `Dataset`; `encode` turns new raw inputs into rows of `x`.

No Keras and no TensorFlow here; pandas and scikit-learn come in with the sources that need them.
"""

from importlib import import_module

from kzoo.data.dataset import Dataset, Split
from kzoo.data.encode import encode

__all__ = ["Dataset", "Split", "encode", "load_data"]


def __getattr__(name):
    # On first use: prediction needs `encode` alone, and loading needs pandas.
    if name != "load_data":
        raise AttributeError(f"module 'kzoo.data' has no attribute {name!r}")
    value = globals()[name] = import_module("kzoo.data.load").load_data
    return value
