"""Tensors in files of PyTorch, read without PyTorch and without `pickle`, so that nothing in a file can run."""

import io
import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

_MAGIC_NUMBER, _VERSION = 0x1950A86A20F9469CFC6C, 1001
_MOST_BYTES = 2**20  # of a pickle, in which there are only names and shapes
_DTYPES: dict[str, np.dtype[Any]] = {
    "torch FloatStorage": np.dtype("<f4"),
    "torch LongStorage": np.dtype("<i8"),
}
_DICT, _TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
_SHOWN = 80  # characters of a name in a message


@dataclass(frozen=True)
class _Name:
    """A class or function that a file names. It is neither imported nor called."""

    text: str


@dataclass(frozen=True)
class _Storage:
    """The values of one or several tensors, which follow the pickles.

    Args:
        key: its name in the file.
        dtype: type of the values.
        count: their number.
    """

    key: str
    dtype: np.dtype
    count: int


@dataclass(frozen=True)
class _Tensor:
    """Values of a storage, from an offset on.

    Args:
        storage: the storage.
        offset: number of the first value.
        shape: the sizes of the axes.
        order: the axes in the order in which the values are stored, the slowest first.
    """

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    order: tuple[int, ...]


def read_tensors(content: bytes) -> dict[str, np.ndarray]:
    """Return name -> array for a file with a dict of tensors in the format before PyTorch 1.6.

    Such a file has five pickles (a magic number, a version, the machine, the tensors, the keys of their storages),
    and then for each storage the number of its values, and the values. The pickles are interpreted by a machine that
    only makes numbers, texts, collections and tensors: opcodes and names that these do not need are refused.

    Args:
        content: the content of the file.

    Raises:
        ValueError: the file has another format, anything but tensors, or contradicts itself.
    """
    try:
        return _read(content)
    except ValueError:
        raise
    except Exception as error:  # a damaged pickle raises errors of many types
        raise ValueError(f"damaged ({type(error).__name__})") from None


def _read(content: bytes) -> dict[str, np.ndarray]:
    if content[:2] == b"PK":
        raise ValueError("it is a zip archive, the format since PyTorch 1.6")
    position = 0
    values = []
    for _ in range(5):
        value, length = _interpret(content[position : position + _MOST_BYTES])
        values.append(value)
        position += length
    magic_number, version, machine, tensors, keys = values
    if magic_number != _MAGIC_NUMBER or version != _VERSION:
        raise ValueError("it is not in the format of PyTorch before 1.6")
    if not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("its numbers are not in little-endian order")
    if not isinstance(tensors, dict) or not all(isinstance(t, _Tensor) for t in tensors.values()):
        raise ValueError("it is not a dict of tensors")
    storages: dict[str, _Storage] = {}
    for tensor in tensors.values():
        storage = tensor.storage
        if storages.setdefault(storage.key, storage) != storage:
            raise ValueError(f"storage {storage.key[:_SHOWN]!r} has two types or sizes")
    if not isinstance(keys, list) or sorted(keys) != sorted(storages):
        raise ValueError("its storages are not those of its tensors")
    numbers = {}
    for key in keys:
        storage = storages[key]
        first = position + 8
        end = first + storage.count * storage.dtype.itemsize
        if content[position:first] != storage.count.to_bytes(8, "little") or end > len(content):
            raise ValueError(f"storage {key[:_SHOWN]!r} is truncated")
        numbers[key] = np.frombuffer(content[first:end], storage.dtype)
        position = end
    if position != len(content):
        raise ValueError(f"it has {len(content) - position:,} bytes after the last storage")
    return {name: _array(tensor, numbers[tensor.storage.key]) for name, tensor in tensors.items()}


def _array(tensor: _Tensor, numbers: np.ndarray) -> np.ndarray:
    end = tensor.offset + math.prod(tensor.shape)
    stored = numbers[tensor.offset : end].reshape([tensor.shape[axis] for axis in tensor.order])
    return np.ascontiguousarray(stored.transpose(np.argsort(tensor.order))).reshape(tensor.shape)


class _Machine:
    """The stack on which a pickle makes a value, and its marks and memo."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def pop(self, count: int = 1) -> list[Any]:
        """Return the last values, and remove them from the stack."""
        if len(self.stack) < count + (self.marks[-1] if self.marks else 0):
            raise ValueError("damaged (a value is missing)")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def pop_to_mark(self) -> list[Any]:
        """Return the values after the last mark, and remove them from the stack."""
        if not self.marks:
            raise ValueError("damaged (a mark is missing)")
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def top(self, cls: type) -> Any:
        """Return the last value, of a type."""
        if not self.stack or type(self.stack[-1]) is not cls:
            raise ValueError(f"damaged (a {cls.__name__} is missing)")
        return self.stack[-1]


def _set_items(machine: _Machine, items: list[Any]) -> None:
    target = machine.top(dict)
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str):
            raise ValueError(f"a key is of type {type(key).__name__}, not a text")
        target[key] = value


def _name(machine: _Machine, text: str) -> None:
    if text not in (_DICT, _TENSOR, *_DTYPES):
        shown = text[:_SHOWN].replace(" ", ".")
        raise ValueError(f"it names {shown!a}, and only tensors are read")
    machine.stack.append(_Name(text))


def _reduce(machine: _Machine, argument: None) -> None:
    """Make an empty dict or a tensor: the two calls that a dict of tensors has."""
    function, arguments = machine.pop(2)
    if function == _Name(_DICT) and arguments == ():
        machine.stack.append({})
    elif function == _Name(_TENSOR) and isinstance(arguments, tuple) and len(arguments) == 6:
        machine.stack.append(_tensor(*arguments[:4]))
    else:
        raise ValueError("a call is not that of a tensor")


def _storage(machine: _Machine, argument: None) -> None:
    (described,) = machine.pop()
    if not isinstance(described, tuple) or len(described) != 6:
        raise ValueError("a storage is not described by six values")
    word, values, key, _, count, view = described
    dtype = _DTYPES.get(values.text) if isinstance(values, _Name) else None
    if word != "storage" or dtype is None or not isinstance(key, str) or view is not None:
        raise ValueError("a storage is not one of numbers")
    machine.stack.append(_Storage(key, dtype, _checked_count(count)))


def _tensor(storage: object, offset: object, shape: object, strides: object) -> _Tensor:
    if not isinstance(storage, _Storage) or not isinstance(shape, tuple):
        raise ValueError("a tensor has no storage or no shape")
    sizes = tuple(_checked_count(size) for size in shape)
    if not isinstance(strides, tuple) or len(strides) != len(sizes):
        raise ValueError(f"a tensor of shape {sizes} has not a stride for each axis")
    steps = [_checked_count(stride) for stride in strides]
    order = tuple(sorted(range(len(sizes)), key=lambda axis: (-steps[axis], axis)))
    step = 1
    for axis in reversed(order):
        if sizes[axis] > 1:
            if steps[axis] != step:  # such strides may repeat values, or be outside of the storage
                raise ValueError(f"a tensor of shape {sizes} has gaps or repeats values")
            step *= sizes[axis]
    start = _checked_count(offset)
    if start + math.prod(sizes) > storage.count:
        raise ValueError(f"a tensor of shape {sizes} is larger than its storage")
    return _Tensor(storage, start, sizes, order)


def _checked_count(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**40:
        raise ValueError(f"{str(value)[:_SHOWN]!a} is not a number of values")
    return value


def _build(machine: _Machine, argument: None) -> None:
    """Drop the attributes of a dict, the versions of its layers."""
    machine.pop()
    machine.top(dict)


def _keep(machine: _Machine, number: int) -> None:
    if not machine.stack:
        raise ValueError("damaged (a value is missing)")
    machine.memo[number] = machine.stack[-1]


_Step: TypeAlias = Callable[[_Machine, Any], Any]


def _push(make: Callable[[Any], Any]) -> _Step:
    return lambda machine, argument: machine.stack.append(make(argument))


def _tuple_of(count: int) -> _Step:
    return lambda machine, _: machine.stack.append(tuple(machine.pop(count)))


_STEPS: Mapping[str, _Step] = {
    "PROTO": lambda machine, argument: None,
    **dict.fromkeys(
        ("BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"), _push(lambda value: value)
    ),
    "NONE": _push(lambda _: None),
    "NEWTRUE": _push(lambda _: True),
    "NEWFALSE": _push(lambda _: False),
    "EMPTY_DICT": _push(lambda _: {}),
    "EMPTY_LIST": _push(lambda _: []),
    "EMPTY_TUPLE": _push(lambda _: ()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.pop_to_mark())),
    "TUPLE1": _tuple_of(1),
    "TUPLE2": _tuple_of(2),
    "TUPLE3": _tuple_of(3),
    "APPEND": lambda machine, _: _append(machine, machine.pop()),
    "APPENDS": lambda machine, _: _append(machine, machine.pop_to_mark()),
    "SETITEM": lambda machine, _: _set_items(machine, machine.pop(2)),
    "SETITEMS": lambda machine, _: _set_items(machine, machine.pop_to_mark()),
    **dict.fromkeys(("BINPUT", "LONG_BINPUT"), _keep),
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"),
        lambda machine, number: machine.stack.append(machine.memo[number]),
    ),
    "GLOBAL": _name,
    "BINPERSID": _storage,
    "REDUCE": _reduce,
    "BUILD": _build,
}


def _append(machine: _Machine, values: list[Any]) -> None:
    machine.top(list).extend(values)


def _interpret(content: bytes) -> tuple[Any, int]:
    """Return the value of the pickle at the beginning of some bytes, and its length.

    Raises:
        ValueError: it is damaged, longer than the bytes, or needs more than tensors do.
    """
    file = io.BytesIO(content)
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            break
        if opcode.name not in _STEPS:
            raise ValueError(f"it has the opcode {opcode.name}, and only tensors are read")
        _STEPS[opcode.name](machine, argument)
    if machine.marks or len(machine.stack) != 1:
        raise ValueError("damaged (a pickle has not one value)")
    return machine.stack[0], file.tell()
