"""Former location of `kzoo.dataset`."""

from kzoo.dataset import Dataset, Loadable, Split

__all__ = ["Dataset", "Loadable", "Split"]
