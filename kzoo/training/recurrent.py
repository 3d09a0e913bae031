"""Recurrent layers in a loop of steps on a processor: the formulas of Keras' cells, over many time steps at once.

Most multiply their inputs, and sum the gradients of their weights, for all time steps at once; Keras does both within
its loop over time, one time step to a turn. A large layer, on TensorFlow, does so within a turn of several time steps,
and runs a loop for each half of the batch: two cores have work then, which products of one time step do not give them.
Either way loses where the other wins: measured in `tests/benchmarks/README.md`.
"""

import math
from importlib import import_module
from typing import Any

import keras
from keras import activations, ops

_TURN = 10  # time steps to a turn of TensorFlow's loop, at the most: more take longer to trace, and no less to run
_JAX_TURN = 4  # of JAX's: 1 gave half as much, 8 less
_HALVES_TURN = 5  # where each half of a batch has a loop
_LARGE = 2**14  # numbers in the recurrent kernel; below it a second loop costs more than it gives


def recurrent_layer(
    layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False
) -> tuple[Any, ...]:
    """Run a layer over its time steps, as its `inner_loop` does: the last output, all outputs, the last states."""
    cell = layer.cell
    if mask is not None or layer.unroll or layer.stateful or sequences.shape[1] is None or not _is_plain(cell):
        return type(layer).inner_loop(layer, sequences, initial_state, mask, training=training)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=1)
    arguments = sequences, cell.kernel, cell.recurrent_kernel, cell.bias, *initial_state

    way = _run_by_halves if math.prod(cell.recurrent_kernel.shape) >= _LARGE and _in_a_graph() else _run

    def run(*arguments: Any) -> tuple[Any, Any]:
        return way(CELLS[type(layer)], layer.return_sequences, *arguments)

    outputs, *states = ops.custom_gradient(run)(*map(ops.convert_to_tensor, arguments))
    return states[0], outputs, states


def _in_a_graph() -> bool:
    """Say whether TensorFlow traces this: only then do functions in it run side by side."""
    return keras.backend.backend() == "tensorflow" and not import_module("tensorflow").executing_eagerly()


def _is_plain(cell: Any) -> bool:
    """Say whether a cell computes what the formulas here do."""
    return (
        cell.use_bias
        and not (cell.dropout or cell.recurrent_dropout)
        and cell.activation is activations.tanh
        and getattr(cell, "recurrent_activation", activations.sigmoid) is activations.sigmoid
        and getattr(cell, "reset_after", True)
    )


def _run(cell: Any, sequences: bool, x: Any, kernel: Any, recurrent: Any, bias: Any, *states: Any) -> tuple[Any, Any]:
    """Run a cell over time.

    Args:
        cell: one of `_CELLS`.
        sequences: whether all outputs are wanted.
        x: (B, T, D).
        kernel, recurrent: (D, G), (H, G), with all gates side by side.
        bias: (G,), or (2, G): of the inputs, of the states.
        states: (B, H) each; the first is the output of the step before.

    Returns:
        All outputs (B, T, H), or the last one (B, 1, H), and the last states; the function that turns gradients of
        these into those of `x` and what follows it, as `ops.custom_gradient` wants it.
    """
    steps, width = x.shape[1:]
    of_inputs, of_states = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, None)
    x = ops.reshape(ops.transpose(x, (1, 0, 2)), (-1, width))  # (T * B, D)
    gates = ops.reshape(ops.matmul(x, kernel) + of_inputs, (steps, -1, kernel.shape[1]))

    def forward(before: Any, at: Any) -> tuple[Any, Any]:
        moved = ops.matmul(before[0], recurrent)
        after, kept = cell.forward(at[0], moved if of_states is None else moved + of_states, before)
        return after, (*after, *kept)

    last, made = _scanned(forward, states, [gates])
    after, kept = made[: len(states)], made[len(states) :]
    outputs = ops.transpose(after[0], (1, 0, 2)) if sequences else last[0][:, None]

    def gradients(*slopes: Any) -> tuple[Any, ...]:
        of_outputs, *of_last = slopes[0] if isinstance(slopes[0], list | tuple) else slopes  # JAX gives them as one
        if not sequences:
            of_last[0] = of_last[0] + of_outputs[:, 0]
        before = [ops.concatenate([s[None], a[:-1]]) for s, a in zip(states, after, strict=True)]
        back = ops.transpose(recurrent)

        def backward(slopes: Any, at: Any) -> tuple[Any, Any]:
            mine, at = (slopes[0] + at[0], at[1:]) if sequences else (slopes[0], at)
            split = len(before), 2 * len(before)
            of_gates, of_moved, straight = cell.backward(
                (mine, *slopes[1:]), at[: split[0]], at[split[0] : split[1]], at[split[1] :]
            )
            through = ops.matmul(of_moved, back)
            first = through if straight[0] is None else through + straight[0]
            return (first, *straight[1:]), (of_gates,) if of_moved is of_gates else (of_gates, of_moved)

        given = [ops.transpose(of_outputs, (1, 0, 2))] if sequences else []
        of_states, parts = _scanned(backward, of_last, [*given, *before, *after, *kept], reverse=True)
        of_gates, of_moved = (ops.reshape(part, (-1, kernel.shape[1])) for part in (parts[0], parts[-1]))
        of_x = ops.transpose(ops.reshape(ops.matmul(of_gates, ops.transpose(kernel)), (steps, -1, width)), (1, 0, 2))
        of_recurrent = ops.matmul(ops.transpose(ops.reshape(before[0], (-1, recurrent.shape[0]))), of_moved)
        of_bias = ops.sum(of_gates, axis=0)
        if len(bias.shape) == 2:
            of_bias = ops.stack([of_bias, ops.sum(of_moved, axis=0)])
        return of_x, ops.matmul(ops.transpose(x), of_gates), of_recurrent, of_bias, *of_states

    return (outputs, *last), gradients


def _run_by_halves(
    cell: Any, sequences: bool, x: Any, kernel: Any, recurrent: Any, bias: Any, *states: Any
) -> tuple[Any, Any]:
    """Do what `_run` does, on TensorFlow, with a loop for each half of the batch."""
    tf = import_module("tensorflow")
    width, (units, wide), count, two = x.shape[-1], recurrent.shape, len(states), len(bias.shape) == 2
    of_both: tuple[Any, ...] = (bias[0], bias[1]) if two else (bias,)  # of the inputs, of the states

    def forward(x: Any, *states: Any) -> tuple[Any, ...]:
        def turn(before: Any, given: Any, rows: Any) -> tuple[Any, ...]:
            gates = tf.matmul(tf.reshape(given[0], (-1, width)), kernel) + of_both[0]
            rows = []
            for of_gates in tf.unstack(tf.reshape(gates, (given[0].shape[0], -1, wide))):
                moved = tf.matmul(before[0], recurrent)
                before, kept = cell.forward(of_gates, moved + of_both[1] if two else moved, before)
                rows.append((*before, *kept))
            return before, rows, ()

        last, columns, _ = _scanned_in_turns(
            turn, states, [_turned(x)], units, begin=states, columns=count + cell.keeps
        )
        outputs = _turned(columns[0].stack()[1:]) if sequences else last[0][:, None]
        return outputs, *last, *columns

    def backward(x: Any, of_outputs: Any, *more: Any) -> tuple[Any, ...]:
        of_last, columns, given = more[:count], more[count:], [_turned(x)]
        if sequences:
            given.append(_turned(of_outputs))
        else:
            of_last = (of_last[0] + of_outputs[:, 0], *of_last[1:])

        def turn(carried: Any, given: Any, rows: Any) -> tuple[Any, ...]:
            slopes, sums = carried
            found: list[tuple[Any, Any]] = []
            for time, row in reversed(list(enumerate(rows))):
                if sequences:
                    slopes = (slopes[0] + given[1][time], *slopes[1:])
                before, after, kept = row[:count], row[count : 2 * count], row[2 * count :]
                of_gates, of_moved, straight = cell.backward(slopes, before, after, kept)
                found.insert(0, (of_gates, of_moved))
                through = tf.matmul(of_moved, recurrent, transpose_b=True)
                slopes = (through if straight[0] is None else through + straight[0], *straight[1:])
            of_gates = tf.concat([gates for gates, _ in found], 0)
            of_moved = tf.concat([moved for _, moved in found], 0) if two else of_gates
            inputs, before = tf.reshape(given[0], (-1, width)), tf.concat([row[0] for row in rows], 0)
            of_bias = [tf.reduce_sum(slope, axis=0) for slope in (of_gates, of_moved)[: len(of_both)]]
            more = (
                tf.matmul(inputs, of_gates, transpose_a=True),
                tf.matmul(before, of_moved, transpose_a=True),
                *of_bias,
            )
            of_x = tf.reshape(tf.matmul(of_gates, kernel, transpose_b=True), (len(rows), -1, width))
            return (slopes, tuple(map(tf.add, sums, more))), [], (of_x,)

        sums = tuple(map(tf.zeros_like, (kernel, recurrent, *of_both)))
        (of_states, sums), _, (of_x,) = _scanned_in_turns(
            turn, (tuple(of_last), sums), given, units, made=columns, states=count, pieces=(width,), reverse=True
        )
        return _turned(of_x), *of_states, *sums

    made = _in_halves(forward, [x, *states])
    after = [tf.concat(parts, 0) for parts in zip(*(half[: 1 + count] for half in made), strict=True)]

    def gradients(*slopes: Any) -> tuple[Any, ...]:
        found = _in_halves(backward, [x, *slopes], [half[1 + count :] for half in made])
        of_x, *more = zip(*found, strict=True)
        of_kernel, of_recurrent, *of_bias = map(sum, more[count:])
        of_states = [tf.concat(parts, 0) for parts in more[:count]]
        return tf.concat(of_x, 0), of_kernel, of_recurrent, tf.stack(of_bias) if two else of_bias[0], *of_states

    return tuple(after), gradients


class _Simple:
    """The cell of `SimpleRNN`.

    A cell's `forward` takes what the inputs and the states before give each gate (B, G), and those states; it returns
    the states after, and what else `backward` needs. That takes gradients of the states after, the states before and
    after, and what was kept; it returns gradients of the two (B, G), and of the states before where the second does
    not reach them, or None.
    """

    keeps = 0

    @staticmethod
    def forward(gates: Any, moved: Any, before: Any) -> Any:
        return (ops.tanh(gates + moved),), ()

    @staticmethod
    def backward(slopes: Any, before: Any, after: Any, kept: Any) -> Any:
        slope = _of_tanh(after[0], slopes[0])
        return slope, slope, (None,)


class _Long:
    """The cell of `LSTM`: gates of input, forgetting, candidate and output; its states are output and memory."""

    keeps = 5

    @staticmethod
    def forward(gates: Any, moved: Any, before: Any) -> Any:
        i, f, g, o = ops.split(gates + moved, 4, axis=1)
        i, f, g, o = ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)
        memory = f * before[1] + i * g
        shown = ops.tanh(memory)
        return (o * shown, memory), (i, f, g, o, shown)

    @staticmethod
    def backward(slopes: Any, before: Any, after: Any, kept: Any) -> Any:
        (of_output, of_memory), (i, f, g, o, shown) = slopes, kept
        of_memory = of_memory + _of_tanh(shown, of_output * o)
        slope = ops.concatenate(
            [
                _of_sigmoid(i, of_memory * g),
                _of_sigmoid(f, of_memory * before[1]),
                _of_tanh(g, of_memory * i),
                _of_sigmoid(o, of_output * shown),
            ],
            axis=1,
        )
        return slope, slope, (None, of_memory * f)


class _Gated:
    """The cell of `GRU` that resets after the product: gates of update, reset and candidate."""

    keeps = 4

    @staticmethod
    def forward(gates: Any, moved: Any, before: Any) -> Any:
        (z, r, g), (mz, mr, mg) = ops.split(gates, 3, axis=1), ops.split(moved, 3, axis=1)
        z, r = ops.sigmoid(z + mz), ops.sigmoid(r + mr)
        g = ops.tanh(g + r * mg)
        return (z * before[0] + (1 - z) * g,), (z, r, g, mg)

    @staticmethod
    def backward(slopes: Any, before: Any, after: Any, kept: Any) -> Any:
        (slope,), (z, r, g, mg) = slopes, kept
        of_g = _of_tanh(g, slope * (1 - z))
        of_z, of_r = _of_sigmoid(z, slope * (before[0] - g)), _of_sigmoid(r, of_g * mg)
        of_moved = ops.concatenate([of_z, of_r, of_g * r], axis=1)
        return ops.concatenate([of_z, of_r, of_g], axis=1), of_moved, (slope * z,)


CELLS = {keras.layers.SimpleRNN: _Simple, keras.layers.LSTM: _Long, keras.layers.GRU: _Gated}


def _of_tanh(y: Any, slope: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.TanhGrad(y=y, dy=slope)
    return slope * (1 - y * y)


def _of_sigmoid(y: Any, slope: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.SigmoidGrad(y=y, dy=slope)
    return slope * y * (1 - y)


def _scanned(step: Any, states: Any, inputs: Any, *, reverse: bool = False) -> tuple[Any, Any]:
    """Take steps over time: from states and one (B, ...) of each input to states and outputs.

    Args:
        states: (B, ...) each.
        inputs: (T, B, ...) each.
        reverse: whether the last step is taken first.

    Returns:
        The states at the end, and the outputs (T, B, ...).
    """
    if keras.backend.backend() == "jax":
        scan = import_module("jax").lax.scan
        return scan(step, tuple(states), tuple(inputs), reverse=reverse, unroll=_JAX_TURN)
    tf = import_module("tensorflow")
    length = inputs[0].shape[0]
    turn = max(size for size in range(1, _TURN + 1) if length % size == 0)
    turns = length // turn
    inputs = [tf.reshape(array, (turns, turn, -1, array.shape[-1])) for array in inputs]

    def one(count: Any, states: Any) -> tuple[Any, Any, Any]:
        at = turns - 1 - count if reverse else count
        parts, made = [tf.unstack(array[at], turn) for array in inputs], []
        for time in reversed(range(turn)) if reverse else range(turn):
            states, outputs = step(states, [part[time] for part in parts])
            made.append(outputs)
        made = made[::-1] if reverse else made
        return at, list(states), [tf.stack(column) for column in zip(*made, strict=True)]

    at, states, outputs = one(0, states)  # which says what comes out of a turn
    arrays = [tf.TensorArray(a.dtype, turns, element_shape=a.shape).write(at, a) for a in outputs]

    def more(count: Any, states: Any, arrays: Any) -> tuple[Any, Any, Any]:
        at, states, outputs = one(count, states)
        return count + 1, states, [array.write(at, a) for array, a in zip(arrays, outputs, strict=True)]

    _, states, arrays = tf.while_loop(
        lambda count, *_: count < turns, more, (1, states, arrays), parallel_iterations=1
    )  # fmt: skip
    return states, [tf.reshape(array.stack(), (length, -1, array.element_shape[-1])) for array in arrays]


def _turned(array: Any) -> Any:
    """Return (B, T, ...) as (T, B, ...), and the other way round."""
    return ops.transpose(array, (1, 0, 2))


def _in_halves(function: Any, arrays: Any, more: Any = ((), ())) -> list[Any]:
    """Call a function for each half of a batch; TensorFlow runs them side by side.

    Args:
        function: of arrays, and of tensors that belong to the half.
        arrays: (B, ...) each.
        more: for each half, the tensors that belong to it.
    """
    tf = import_module("tensorflow")
    of_any_length = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays]
    signature = of_any_length + [tf.TensorSpec(value.shape, value.dtype) for value in more[0]]
    function = tf.function(function, autograph=False, input_signature=signature)  # traced once for both
    half = tf.shape(arrays[0])[0] // 2
    return [
        function(*(array[:half] for array in arrays), *more[0]),
        function(*(array[half:] for array in arrays), *more[1]),
    ]


def _scanned_in_turns(
    turn: Any, carry: Any, given: Any, units: int, *, begin: Any = (), columns: int = 0, made: Any = (),
    states: int = 0, pieces: Any = (), reverse: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Take steps over time on TensorFlow, several to a turn that sees all of them.

    Args:
        turn: a function of what is carried, of (turn, B, ...) of each array, and of what was made at each of its time
            steps, a tuple each: states before, states after, what was kept. It returns what is carried on, such tuples
            that it makes (states after, what is kept), and pieces (turn, B, D).
        given: (T, B, ...) each.
        units: the width of what is made.
        begin: the states before the first time step.
        columns: how much is made at a time step.
        made: columns of an earlier scan, of which so many are `states`.
        pieces: the width of each piece.
        reverse: whether the last time step is taken first.

    Returns:
        What is carried at the end; the columns, with the states before the first time step; the pieces, (T, B, D).
    """
    tf, dtype, length = import_module("tensorflow"), given[0].dtype, given[0].shape[0]
    size = max(size for size in range(1, _HALVES_TURN + 1) if length % size == 0)

    def row(time: Any) -> tuple[Any, ...]:
        places = [*((column, time) for column in range(states)), *((column, time + 1) for column in range(len(made)))]
        values = (tf.TensorArray(dtype, flow=made[column]).read(place) for column, place in places)
        return tuple(tf.ensure_shape(value, (None, units)) for value in values)

    def more(count: Any, carry: Any, arrays: Any, blocks: Any) -> tuple[Any, ...]:
        first = length - size - count if reverse else count
        now = [tf.ensure_shape(array[first : first + size], (size, *array.shape[1:])) for array in given]
        carry, rows, found = turn(carry, now, [row(first + time) for time in range(size)] if made else [])
        for time, values in enumerate(rows):
            arrays = [array.write(first + time + 1, value) for array, value in zip(arrays, values, strict=True)]
        blocks = [block.write(first // size, piece) for block, piece in zip(blocks, found, strict=True)]
        return count + size, carry, arrays, blocks

    arrays = [tf.TensorArray(dtype, length + 1, element_shape=(None, units)) for _ in range(columns)]
    for column, state in enumerate(begin):
        arrays[column] = arrays[column].write(0, state)
    blocks = [tf.TensorArray(dtype, length // size, element_shape=(size, None, width)) for width in pieces]
    _, carry, arrays, blocks = tf.while_loop(
        lambda count, *_: count < length, more, (0, carry, arrays, blocks), parallel_iterations=1
    )
    return carry, arrays, [tf.reshape(b.stack(), (length, -1, width)) for b, width in zip(blocks, pieces, strict=True)]
