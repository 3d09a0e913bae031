"""`Program`: the steps that compute the outputs of a network for one row, and the buffers that they read and write.

All numbers are float32, integers and truth values too. A buffer is flat; steps read it with an offset and a stride for
each axis, so that transposing, slicing and broadcasting need no step of their own. Imports NumPy only.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, eq=False, kw_only=True)
class View:
    """Some elements of a buffer, as an array.

    Args:
        buffer: number of the buffer.
        shape: of the array.
        strides: (axes,) elements of the buffer from one index of an axis to the next.
        offset: element of the buffer that has the indices 0.
    """

    buffer: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int = 0

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @property
    def first(self) -> int:
        """The first of its elements in the buffer."""
        pairs = zip(self.shape, self.strides, strict=True)
        return self.offset + sum(min(stride * (length - 1), 0) for length, stride in pairs)

    @property
    def is_contiguous(self) -> bool:
        """Whether its elements follow each other in the buffer."""
        expected = 1
        for length, stride in zip(reversed(self.shape), reversed(self.strides), strict=True):
            if length != 1 and stride != expected:
                return False
            expected *= length
        return True


@dataclass(frozen=True, eq=False, kw_only=True)
class Step:
    """One computation.

    Args:
        kind: "map", "matmul", "convolution", "pool", "reduce", "softmax", "gather", "cumulative_sum" or "loop".
        out: what it writes.
        inputs: what it reads.
        function: of "map", "pool" and "reduce": the name of the function.
        numbers: sizes, by their names.
        windows: of "convolution" and "pool": height and width of the windows, their strides, paddings and dilations.
        alpha: slope or limit of the function for negative numbers.
        body: the steps of a loop, which are repeated `numbers["count"]` times. The buffer of `out` has the number of
            the repetition.
        carried: of a loop: pairs (target, source) that are copied at the end of each repetition.
        collected: of a loop: pairs (target, source); the source of each repetition is a row of the target.
    """

    kind: str
    out: View
    inputs: tuple[View, ...] = ()
    function: str = ""
    numbers: dict[str, int] = field(default_factory=dict)
    windows: tuple[int, ...] = ()
    alpha: float = 0.0
    body: Sequence["Step"] = ()
    carried: Sequence[tuple[View, View]] = ()
    collected: Sequence[tuple[View, View]] = ()

    @property
    def views_read(self) -> Iterator[View]:
        """What it reads, that of the body not included."""
        yield from self.inputs
        yield from (source for _, source in (*self.carried, *self.collected))

    @property
    def read(self) -> Iterator[int]:
        """The buffers that it reads, those of the body not included."""
        return (view.buffer for view in self.views_read)

    @property
    def written(self) -> Iterator[int]:
        """The buffers that it writes, those of the body not included."""
        yield self.out.buffer
        yield from (target.buffer for target, _ in (*self.carried, *self.collected))


@dataclass(frozen=True, eq=False, kw_only=True)
class Program:
    """The steps of a network for one row.

    Args:
        steps: in their order.
        sizes: elements of each buffer.
        constants: number of a buffer -> its values, (elements,); the weights.
        input, output: buffers of the row and of its outputs.
    """

    steps: Sequence[Step]
    sizes: Sequence[int]
    constants: dict[int, np.ndarray]
    input: int
    output: int

    def every_step(self) -> Iterator[Step]:
        """Return all steps, a loop before those of its body."""
        return every_step(self.steps)

    @property
    def used_constants(self) -> list[int]:
        """The buffers of constants that steps read."""
        read = {buffer for step in self.every_step() for buffer in step.read}
        return sorted(read & self.constants.keys())


def every_step(steps: Sequence[Step]) -> Iterator[Step]:
    """Return some steps and those of their bodies, a loop before its body."""
    for step in steps:
        yield step
        yield from every_step(step.body)


def offsets(program: Program) -> tuple[dict[int, int], int]:
    """Return where in one block of memory each buffer lies, and the size of the block, both in elements.

    Buffers that are never needed at the same time share memory. The input, the output and constants are not part of
    the block.

    Args:
        program: the `Program`.
    """
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    position = 0

    def visit(steps: Sequence[Step]) -> None:
        nonlocal position
        for step in steps:
            begin = position
            position += 1
            for buffer in (*step.written, *step.read):
                first.setdefault(buffer, begin)
                last[buffer] = position
            if step.body:
                inside = {b for each in every_step(step.body) for b in (*each.read, *each.written)}
                outside = {buffer for buffer in inside if buffer in first}
                visit(step.body)
                for buffer in (*step.read, *step.written, *outside):  # until the last repetition
                    first.setdefault(buffer, begin)
                    last[buffer] = position
                position += 1

    visit(program.steps)
    fixed = {program.input, program.output, *program.constants}
    placed: dict[int, int] = {}
    total = 0
    for buffer in sorted(
        (b for b in first if b not in fixed), key=lambda b: (-program.sizes[b], first[b])
    ):
        taken = sorted(
            (placed[other], placed[other] + program.sizes[other])
            for other in placed
            if first[other] <= last[buffer] and first[buffer] <= last[other]
        )
        start = 0
        for begin, end in taken:
            if start + program.sizes[buffer] <= begin:
                break
            start = max(start, end)
        placed[buffer] = start
        total = max(total, start + program.sizes[buffer])
    return placed, total


def merged(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Return the lengths of as few loops as possible over an array, and the strides of each view for them."""
    lengths: list[int] = []
    merged: list[list[int]] = [[] for _ in strides]
    for axis, length in enumerate(shape):
        if length == 1:
            continue
        current = [each[axis] for each in strides]
        if lengths and all(
            before[-1] == stride * length for before, stride in zip(merged, current, strict=True)
        ):
            lengths[-1] *= length
            for before, stride in zip(merged, current, strict=True):
                before[-1] = stride
        else:
            lengths.append(length)
            for before, stride in zip(merged, current, strict=True):
                before.append(stride)
    return lengths, merged
