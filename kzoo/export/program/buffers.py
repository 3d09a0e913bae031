"""Buffers of a `Program` that is being read: values, constants, and steps that compute elements."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from kzoo.export.program.steps import Step, View
from kzoo.utils.errors import KzooError


@dataclass(frozen=True, eq=False, kw_only=True)
class Value:
    """A value of the graph.

    Args:
        view: its elements.
        is_whole: whether they are integers, whose quotients are rounded towards 0.
    """

    view: View
    is_whole: bool = False


@dataclass(eq=False)
class Buffers:
    """The buffers of a program and the steps that fill them.

    Args:
        sizes: elements of each buffer.
        constants: number of a buffer -> its values.
        known: bytes of a constant -> number of its buffer.
        steps: the steps so far.
    """

    sizes: list[int] = field(default_factory=list)
    constants: dict[int, np.ndarray] = field(default_factory=dict)
    known: dict[bytes, int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)

    def buffer(self, size: int) -> int:
        self.sizes.append(max(int(size), 1))
        return len(self.sizes) - 1

    def new(self, shape: Sequence[int]) -> View:
        """Return a view of a new buffer."""
        return _contiguous(self.buffer(int(np.prod(shape))), shape)

    def constant(self, array: np.ndarray) -> Value:
        """Return a constant; equal ones share a buffer."""
        values = np.ascontiguousarray(array, np.float32)
        key = values.tobytes()
        if key not in self.known:
            self.known[key] = self.buffer(values.size)
            self.constants[self.known[key]] = values.reshape(-1)
        return Value(
            view=_contiguous(self.known[key], np.shape(array)), is_whole=array.dtype.kind in "iu"
        )

    def array(self, value: Value) -> np.ndarray | None:
        """Return the numbers of a constant; None if it is computed."""
        if value.view.buffer not in self.constants:
            return None
        return _as_array(self.constants[value.view.buffer], value.view)

    def whole_numbers(self, value: Value | None, what: str) -> list[int]:
        """Return the elements of a constant as integers.

        Raises:
            KzooError: it is computed from the input.
        """
        array = None if value is None else self.array(value)
        if array is None:
            raise KzooError(f"{what} depends on the input")
        return [int(number) for number in array.reshape(-1)]

    def moved(self, value: Value, move: Callable[[np.ndarray], np.ndarray]) -> Value:
        """Return a value whose elements are rearranged, without a step if strides can tell where they are."""
        size = self.sizes[value.view.buffer]
        marks = _as_array(np.empty(size, np.int8), value.view)
        moved = move(marks)
        if not moved.size or np.may_share_memory(moved, marks):
            base = marks.__array_interface__["data"][0] - value.view.offset
            offset = moved.__array_interface__["data"][0] - base if moved.size else 0
            view = View(
                buffer=value.view.buffer,
                shape=moved.shape,
                strides=tuple(moved.strides),
                offset=offset,
            )
            return replace(value, view=view)
        if (array := self.array(value)) is not None:
            return replace(self.constant(move(array)), is_whole=value.is_whole)
        return self.moved(replace(value, view=self.packed(value.view)), move)

    def packed(self, view: View) -> View:
        """Return the same elements in a row, in a new buffer if need be."""
        if view.is_contiguous:
            return view
        if (array := self.array(Value(view=view))) is not None:
            return self.constant(array).view
        out = self.new(view.shape)
        self.copy(view, out)
        return out

    def copy(self, source: View, target: View) -> None:
        self.steps.append(Step(kind="map", function="copy", out=target, inputs=(source,)))

    def elements(self, function: str, values: Sequence[Value], alpha: float = 0.0) -> Value:
        """Return the results of a function of elements; shapes are broadcast."""
        shape = np.broadcast_shapes(*(value.view.shape for value in values))
        out = self.new(shape)
        inputs = tuple(
            self.moved(value, lambda array: np.broadcast_to(array, shape)).view for value in values
        )
        self.steps.append(Step(kind="map", function=function, out=out, inputs=inputs, alpha=alpha))
        return Value(view=out, is_whole=all(value.is_whole for value in values))


def _contiguous(buffer: int, shape: Iterable[int]) -> View:
    shape = tuple(int(length) for length in shape)
    strides = np.cumprod([1, *reversed(shape[1:])])[::-1] if shape else ()
    return View(buffer=buffer, shape=shape, strides=tuple(int(stride) for stride in strides))


def at(index: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function of an array that returns its elements at an index."""
    return lambda array: array[index]


def _as_array(elements: np.ndarray, view: View) -> np.ndarray:
    """Return the array that a view of some elements is."""
    size = elements.itemsize
    return as_strided(
        elements[view.offset :], view.shape, [stride * size for stride in view.strides]
    )
