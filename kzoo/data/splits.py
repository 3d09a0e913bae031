"""An earlier place of `kzoo.dataset.splits`."""

from kzoo.dataset.splits import Fold

__all__ = ["Fold"]
