"""Former location of `kzoo.registry.family`, for packages that add families to its `FAMILIES`."""

from kzoo.registry.family import FAMILIES as FAMILIES
