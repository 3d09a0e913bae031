"""What is searched: an entry for each hyperparameter, of training in `learning.py`, of the network in `network.py`.

An entry says itself in which sizes of which families' spaces it is. One that a preset has no setting for is left out.
The preset itself is the default point of its space.
"""

from collections.abc import Container
from typing import Any

from kzoo.tuning.spaces import learning, network
from kzoo.tuning.spaces.entry import Entry

ENTRIES = learning.ENTRIES | network.ENTRIES  # in the order in which they are declared
FAMILIES = {family for entry in ENTRIES.values() if not isinstance(entry.sizes, str) for family in entry.sizes}


def entries_of(family: str, size: str) -> dict[str, Entry]:
    """Return the entries of a family's space, in the order in which they are declared."""
    space_family = family if family in FAMILIES else "other"
    return {name: entry for name, entry in ENTRIES.items() if entry.is_in(space_family, size)}


def make_consistent(settings: dict[str, Any], fixed: Container[str] = ()) -> None:
    """Change what single entries cannot know of one another; names in `fixed` stay as they are."""
    learning.make_consistent(settings, fixed)
    network.make_consistent(settings, fixed)
