"""The look at `model.weights.h5`: numbers only, all of them in this file, and as many as it says."""

import io
import math
from collections import Counter
from typing import Any

import h5py

from kzoo.loading.archive import MAX_BYTES, MAX_RATIO, RATIO_FLOOR, unpacked_at_most
from kzoo.loading.unsafe import Refused, Unreadable, short
from kzoo.utils.formatting import first_line

MAX_DEPTH = 64
MAX_OBJECTS = 200_000
_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE, h5py.h5z.FILTER_FLETCHER32, h5py.h5z.FILTER_LZF}


def stored_shapes(data, *, size=None):
    """Return how many arrays of each shape an HDF5 file holds, as a Counter of tuples.

    Args:
        data: the bytes of the file.
        size: bytes of the archive that it comes from, if there is one.

    Raises:
        Refused: links, arrays in other files, virtual arrays, objects that are not numbers, one array under two names,
            or shapes that promise more than is stored.
        Unreadable: not a complete HDF5 file.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            look = _Look()
            look.group(file, 0)
    except Refused:
        raise
    except Exception as error:  # h5py raises whatever C, Cython and NumPy raise for bytes that are none of theirs
        raise Unreadable(f"its weights are not a complete HDF5 file ({first_line(error)})") from None
    stored = min(look.stored, size or look.stored)
    if look.declared > unpacked_at_most(stored) or look.declared > MAX_BYTES:
        raise Refused(f"its weights claim {look.declared:,} bytes and store {stored:,}")
    return look.shapes


class _Look:
    def __init__(self):
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self.seen: set[Any] = set()
        self.declared = self.stored = 0

    def group(self, group, depth):
        if depth > MAX_DEPTH:
            raise Refused("its weights are nested too deep")
        self.once(group)
        for name in group:
            where = short(f"{group.name}/{name}")
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                raise Refused(f"its weights have a link at {where} that may lead to another file")
            thing = group[name]
            if isinstance(thing, h5py.Group):
                self.group(thing, depth + 1)
            elif isinstance(thing, h5py.Dataset):
                self.once(thing)
                self.array(thing, where)
            else:
                raise Refused(f"its weights have something at {where} that is not an array")

    def once(self, thing):
        """Each object has one name: under two, a small file could fill many weights, or a walk never end."""
        address = h5py.h5o.get_info(thing.id).addr
        if address in self.seen:
            raise Refused(f"its weights have the same data under two names, one of them {short(thing.name)}")
        self.seen.add(address)
        if len(self.seen) > MAX_OBJECTS:
            raise Refused("its weights have more parts than any model")

    def array(self, array, where):
        if array.external or array.is_virtual:
            raise Refused(f"its weights read {where} from another file")
        if not _numeric(array) or array.shape is None:
            raise Refused(f"its weights have something at {where} that is not an array of numbers ({array.dtype})")
        properties = array.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if filters - _FILTERS:
            raise Refused(f"its weights pack {where} in a way that Keras does not use")
        stored = array.id.get_storage_size()
        needed = max(math.prod(array.shape), math.prod(array.chunks or (0,))) * array.dtype.itemsize
        if needed > max(RATIO_FLOOR, MAX_RATIO * stored):
            raise Refused(f"its weights claim the shape {array.shape} at {where} and store {stored:,} bytes of it")
        self.declared, self.stored = self.declared + needed, self.stored + stored
        self.shapes[array.shape] += 1


def _numeric(array):
    if array.dtype.kind == "V":  # bfloat16 and float8 are stored as bytes that nobody interprets
        kind = array.attrs.get("dtype")
        return array.dtype.names is None and array.dtype.itemsize <= 2 and kind in (None, "bfloat16")
    return array.dtype.kind in "fiub" and array.dtype.subdtype is None
