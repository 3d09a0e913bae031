"""What a page stores of a `Program`: steps in JSON, and weights as float32. `network.js` runs it."""

from collections.abc import Sequence
from typing import Any

from kzoo.export.program.steps import Program, Step, View, merged, offsets
from kzoo.utils.files import JsonObject

# the arrays that a view may be of, by their numbers in the description
_MEMORY, _WEIGHTS, _INPUT, _OUTPUT = range(4)


def description(program: Program) -> JsonObject:
    """Return the steps of a network, and the sizes of its arrays.

    Args:
        program: the `Program`.
    """
    return _Writer(program).described


def weights(program: Program) -> bytes:
    """Return the constants that steps read, one after another, as float32 in little endian.

    Args:
        program: the `Program`.
    """
    return b"".join(
        program.constants[number].astype("<f4").tobytes() for number in program.used_constants
    )


class _Writer:
    def __init__(self, program: Program) -> None:
        self.program = program
        places, elements = offsets(program)
        self.arrays = {number: (_MEMORY, place) for number, place in places.items()}
        position = 0
        for number in program.used_constants:
            self.arrays[number] = _WEIGHTS, position
            position += program.constants[number].size
        self.arrays |= {program.input: (_INPUT, 0), program.output: (_OUTPUT, 0)}
        self.described = dict(
            memory=elements,
            inputs=program.sizes[program.input],
            outputs=program.sizes[program.output],
            steps=[self._step(step) for step in program.steps],
        )

    def _start(self, view: View) -> list[int]:
        """Return the array of a view, and its first element there."""
        array, place = self.arrays[view.buffer]
        return [array, place + view.offset]

    def _step(self, step: Step) -> JsonObject:
        described: JsonObject = dict(
            kind=step.kind,
            out=self._start(step.out),
            inputs=[self._start(view) for view in step.inputs],
            **{name: int(number) for name, number in step.numbers.items()},
        )
        return described | getattr(self, f"_{step.kind}", _nothing)(step)

    def _map(self, step: Step) -> JsonObject:
        strides = [view.strides for view in (step.out, *step.inputs)]
        return dict(function=step.function, alpha=step.alpha, **_loops(step.out.shape, strides))

    def _reduce(self, step: Step) -> JsonObject:
        (source,) = step.inputs
        kept = step.numbers["kept"]
        return dict(
            function=step.function,
            kept=_loops(source.shape[:kept], [step.out.strides, source.strides[:kept]]),
            reduced=_loops(source.shape[kept:], [source.strides[kept:]]),
        )

    def _matmul(self, step: Step) -> JsonObject:
        views = step.out, *step.inputs
        return dict(batch=_loops(step.out.shape[:-2], [view.strides[:-2] for view in views]))

    def _convolution(self, step: Step) -> JsonObject:
        x, w, *_ = step.inputs
        groups = step.numbers["groups"]
        shapes = [x.shape[1] // groups, w.shape[0] // groups, *x.shape[2:], *step.out.shape[2:]]
        return dict(sizes=[groups, *shapes, *step.windows])

    def _pool(self, step: Step) -> JsonObject:
        (x,) = step.inputs
        sizes = [x.shape[1], *x.shape[2:], *step.out.shape[2:], *step.windows]
        return dict(function=step.function, sizes=sizes)

    def _loop(self, step: Step) -> JsonObject:
        def copies(pairs: Sequence[tuple[View, View]]) -> list[Any]:
            return [
                [self._start(target), self._start(source), source.size] for target, source in pairs
            ]

        return dict(
            body=[self._step(each) for each in step.body],
            carried=copies(step.carried),
            collected=copies(step.collected),
        )


def _nothing(_: Step) -> JsonObject:
    return {}


def _loops(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> JsonObject:
    """Return the lengths of as few loops as possible over an array, and the strides of each view for them."""
    lengths, of_views = merged(shape, strides)
    return dict(lengths=lengths, strides=of_views)
