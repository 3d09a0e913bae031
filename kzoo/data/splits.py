"""Former location of `kzoo.dataset.splits`."""

from kzoo.dataset.splits import Fold

__all__ = ["Fold"]
