"""Check of `model.weights.h5`: only arrays of numbers, stored in this file, in the stated sizes."""

import io
import math
from collections import Counter
from typing import Any

import h5py

from kzoo.utils.formatting import first_line
from kzoo.zoo.loading.archive import MAX_BYTES, MAX_RATIO, RATIO_FLOOR, max_unpacked
from kzoo.zoo.loading.unsafe import Refused, Unreadable, short

MAX_DEPTH = 64
MAX_OBJECTS = 200_000
_FILTERS = {
    h5py.h5z.FILTER_DEFLATE,
    h5py.h5z.FILTER_SHUFFLE,
    h5py.h5z.FILTER_FLETCHER32,
    h5py.h5z.FILTER_LZF,
}


def stored_shapes(data: bytes, *, size: int | None = None) -> Counter[tuple[int, ...]]:
    """Return a Counter of the shapes of the arrays in an HDF5 file.

    Args:
        data: the bytes of the file.
        size: bytes of the archive that contains the file, or None.

    Raises:
        Refused: links, arrays in other files, virtual arrays, objects that are not arrays of numbers, an array under
            two names, or shapes larger than the stored data.
        Unreadable: not a complete HDF5 file.
    """
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            inspector = _Inspector()
            inspector.check_group(file, 0)
    except Refused:
        raise
    except Exception as error:  # for invalid bytes, h5py raises any exception of C, Cython or NumPy
        raise Unreadable(
            f"its weights are not a complete HDF5 file ({first_line(error)})"
        ) from None
    stored = min(inspector.stored, size or inspector.stored)
    if inspector.declared > max_unpacked(stored) or inspector.declared > MAX_BYTES:
        raise Refused(f"its weights declare {inspector.declared:,} bytes but store {stored:,}")
    return inspector.shapes


class _Inspector:
    def __init__(self) -> None:
        self.shapes: Counter[tuple[int, ...]] = Counter()
        self.visited: set[Any] = set()
        self.declared = self.stored = 0

    def check_group(self, group: h5py.Group, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise Refused("its weights are nested too deeply")
        self.check_visited(group)
        for name in group:
            where = short(f"{group.name}/{name}")
            if group.get(name, getclass=True, getlink=True) is not h5py.HardLink:
                raise Refused(
                    f"its weights contain a link at {where}, which may lead to another file"
                )
            node = group[name]
            if isinstance(node, h5py.Group):
                self.check_group(node, depth + 1)
            elif isinstance(node, h5py.Dataset):
                self.check_visited(node)
                self.array(node, where)
            else:
                raise Refused(f"its weights contain an object at {where} that is not an array")

    def check_visited(self, node: "h5py.Group | h5py.Dataset") -> None:
        """Raise Refused if an object was visited before: hard links could multiply a small file, or form a cycle."""
        address = h5py.h5o.get_info(node.id).addr
        if address in self.visited:
            raise Refused(
                f"its weights contain the same data under two names, one of them {short(node.name)}"
            )
        self.visited.add(address)
        if len(self.visited) > MAX_OBJECTS:
            raise Refused(f"its weights contain more than {MAX_OBJECTS:,} objects")

    def array(self, array: "h5py.Dataset", where: str) -> None:
        if array.external or array.is_virtual:
            raise Refused(f"its weights read {where} from an external file")
        if not _numeric(array) or array.shape is None:
            raise Refused(
                f"its weights contain an object at {where} that is not an array of numbers ({array.dtype})"
            )
        properties = array.id.get_create_plist()
        filters = {properties.get_filter(i)[0] for i in range(properties.get_nfilters())}
        if filters - _FILTERS:
            raise Refused(
                f"its weights file compresses {where} with a filter that Keras does not use"
            )
        stored = array.id.get_storage_size()
        needed = max(math.prod(array.shape), math.prod(array.chunks or (0,))) * array.dtype.itemsize
        if needed > max(RATIO_FLOOR, MAX_RATIO * stored):
            raise Refused(
                f"its weights declare the shape {array.shape} at {where} but store {stored:,} bytes"
            )
        self.declared, self.stored = self.declared + needed, self.stored + stored
        self.shapes[array.shape] += 1


def _numeric(array: "h5py.Dataset") -> bool:
    if array.dtype.kind == "V":  # bfloat16 and float8 are stored as opaque bytes
        kind = array.attrs.get("dtype")
        return (
            array.dtype.names is None and array.dtype.itemsize <= 2 and kind in (None, "bfloat16")
        )
    return array.dtype.kind in "fiub" and array.dtype.subdtype is None
