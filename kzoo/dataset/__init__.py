"""`Dataset`: examples in splits, with what the data determines about the network, and how they are split. No Keras."""

from kzoo.dataset.dataset import Dataset, Loadable, Split

__all__ = ["Dataset", "Loadable", "Split"]
