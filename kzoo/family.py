"""An earlier place of `kzoo.registry.family`: families of other packages are named in its `FAMILIES`."""

from kzoo.registry.family import FAMILIES as FAMILIES
