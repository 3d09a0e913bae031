"""Data: `load_data` turns any source into a `Dataset`; `encode` turns new raw inputs into rows of `x`.

No Keras or TensorFlow here; pandas and scikit-learn are imported with the sources that need them.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from kzoo.data.dataset import Dataset, Split
from kzoo.data.encode import encode

if TYPE_CHECKING:
    from kzoo.signatures import load_data

__all__ = ["Dataset", "Split", "encode", "load_data"]


if not TYPE_CHECKING:  # otherwise type checkers would accept any name

    def __getattr__(name: str) -> object:
        # Imported on first use: loading needs pandas, which prediction with `encode` does not.
        if name != "load_data":
            raise AttributeError(f"module 'kzoo.data' has no attribute {name!r}")
        value = globals()[name] = import_module("kzoo.data.load").load_data
        return value
