"""Search spaces: an `Entry` for each hyperparameter, of training in `learning.py`, of the network in `network.py`.

An entry defines in which sizes of which families' spaces it is. An entry whose setting a preset lacks is left out. The
preset itself is the default point of its space.
"""

from collections.abc import Container

from kzoo.tuning.spaces import learning, network
from kzoo.tuning.spaces.entry import Entry, Settings

ENTRIES = learning.ENTRIES | network.ENTRIES  # in the order of declaration
FAMILIES = {
    family
    for entry in ENTRIES.values()
    if not isinstance(entry.sizes, str)
    for family in entry.sizes
}


def entries_of(family: str, size: str) -> dict[str, Entry]:
    """Return the entries of a family's space, in the order of declaration."""
    space_family = family if family in FAMILIES else "other"
    return {name: entry for name, entry in ENTRIES.items() if entry.is_in(space_family, size)}


def make_consistent(settings: Settings, fixed: Container[str] = ()) -> None:
    """Change settings that depend on several entries so that they fit; names in `fixed` are not changed."""
    learning.make_consistent(settings, fixed)
    network.make_consistent(settings, fixed)
