"""Recurrent layers on a CPU: the formulas of Keras' cells, applied to many time steps at once.

In most layers, the product of inputs and kernel and the gradients of the weights are computed for all time steps at
once; Keras computes both within its loop, one time step per iteration. A large layer on TensorFlow computes them for a
chunk of several time steps per iteration, and runs a loop for each half of the batch: this keeps two cores busy, which
products for a single time step do not. Each of the two is slower where the other is faster: see the measurements in
`tests/benchmarks/README.md`.
"""

import math
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, TypeAlias

import keras
from keras import activations, ops

from kzoo.zoo.gradients import Tensor

# maximum time steps per iteration of TensorFlow's loop: more take longer to trace, and are not faster
_CHUNK = 10
# time steps per iteration of JAX's loop: the speed-up was half as large with 1, and smaller with 8
_JAX_UNROLL = 4
_HALVES_CHUNK = 5  # the same as `_CHUNK`, with a loop for each half of the batch
Tensors: TypeAlias = Sequence[Tensor]

_LARGE_KERNEL = 2**14  # size of the recurrent kernel from which two loops are faster than one


def recurrent_layer(
    layer: keras.layers.RNN,
    sequences: Tensor,
    initial_state: Tensors,
    mask: Tensor | None,
    training: bool = False,
) -> tuple[Tensor, Tensor, Tensors]:
    """Return what `inner_loop` of a layer returns: its last output, all outputs, and the last states."""
    cell = layer.cell
    if (
        mask is not None
        or layer.unroll
        or layer.stateful
        or sequences.shape[1] is None
        or not _is_supported(cell)
    ):
        return type(layer).inner_loop(layer, sequences, initial_state, mask, training=training)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=1)
    arguments = sequences, cell.kernel, cell.recurrent_kernel, cell.bias, *initial_state

    is_large = math.prod(cell.recurrent_kernel.shape) >= _LARGE_KERNEL
    run_cell = _run_by_halves if is_large and _in_tensorflow_graph() else _run

    def run(*arguments: Any) -> tuple[Any, Any]:
        return run_cell(CELLS[type(layer)], layer.return_sequences, *arguments)

    outputs, *states = ops.custom_gradient(run)(*map(ops.convert_to_tensor, arguments))
    return states[0], outputs, states


def _in_tensorflow_graph() -> bool:
    """Return whether TensorFlow is tracing: only in a graph do functions run in parallel."""
    return (
        keras.backend.backend() == "tensorflow"
        and not import_module("tensorflow").executing_eagerly()
    )


def _is_supported(cell: keras.Layer) -> bool:
    """Return whether the formulas here compute what a cell computes."""
    return (
        cell.use_bias
        and not (cell.dropout or cell.recurrent_dropout)
        and cell.activation is activations.tanh
        and getattr(cell, "recurrent_activation", activations.sigmoid) is activations.sigmoid
        and getattr(cell, "reset_after", True)
    )


def _run(
    cell: keras.Layer,
    sequences: bool,
    x: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    *states: Tensor,
) -> tuple[Tensors, Callable[..., Tensors]]:
    """Run a cell over time.

    Args:
        cell: one of `CELLS`.
        sequences: whether to return all outputs.
        x: (B, T, D).
        kernel, recurrent: (D, G), (H, G), with all gates concatenated.
        bias: (G,), or (2, G): of the inputs, of the states.
        states: (B, H) each; the first is the output of the previous step.

    Returns:
        (outputs, *last states) with the outputs (B, T, H), or only the last one (B, 1, H); and the function for
        `ops.custom_gradient` that turns gradients of these into those of `x` and the arguments after it.
    """
    steps, width = x.shape[1:]
    x_bias, h_bias = (bias[0], bias[1]) if len(bias.shape) == 2 else (bias, None)
    x = ops.reshape(ops.transpose(x, (1, 0, 2)), (-1, width))  # (T * B, D)
    x_gates = ops.reshape(ops.matmul(x, kernel) + x_bias, (steps, -1, kernel.shape[1]))

    def forward(previous: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
        h_gates = ops.matmul(previous[0], recurrent)
        current, saved = cell.forward(
            inputs[0], h_gates if h_bias is None else h_gates + h_bias, previous
        )
        return current, (*current, *saved)

    last, columns = _scan(forward, states, [x_gates])
    current, saved = columns[: len(states)], columns[len(states) :]
    outputs = ops.transpose(current[0], (1, 0, 2)) if sequences else last[0][:, None]

    def gradients(*grads: Tensor) -> tuple[Any, ...]:
        # JAX passes one tuple
        grad_outputs, *grad_last = grads[0] if isinstance(grads[0], list | tuple) else grads
        if not sequences:
            grad_last[0] = grad_last[0] + grad_outputs[:, 0]
        previous = [
            ops.concatenate([s[None], c[:-1]]) for s, c in zip(states, current, strict=True)
        ]
        recurrent_transposed = ops.transpose(recurrent)

        def backward(grads: Tensors, inputs: Tensors) -> tuple[Tensors, Tensors]:
            grad_output, inputs = (
                (grads[0] + inputs[0], inputs[1:]) if sequences else (grads[0], inputs)
            )
            ends = len(previous), 2 * len(previous)
            grad_x_gates, grad_h_gates, direct = cell.backward(
                (grad_output, *grads[1:]),
                inputs[: ends[0]],
                inputs[ends[0] : ends[1]],
                inputs[ends[1] :],
            )
            through_gates = ops.matmul(grad_h_gates, recurrent_transposed)
            first = through_gates if direct[0] is None else through_gates + direct[0]
            return (first, *direct[1:]), (grad_x_gates,) if grad_h_gates is grad_x_gates else (
                grad_x_gates,
                grad_h_gates,
            )

        inputs = [ops.transpose(grad_outputs, (1, 0, 2))] if sequences else []
        grad_states, gate_grads = _scan(
            backward, grad_last, [*inputs, *previous, *current, *saved], reverse=True
        )
        grad_x_gates, grad_h_gates = (
            ops.reshape(grad, (-1, kernel.shape[1])) for grad in (gate_grads[0], gate_grads[-1])
        )
        grad_x = ops.reshape(ops.matmul(grad_x_gates, ops.transpose(kernel)), (steps, -1, width))
        grad_x = ops.transpose(grad_x, (1, 0, 2))
        grad_recurrent = ops.matmul(
            ops.transpose(ops.reshape(previous[0], (-1, recurrent.shape[0]))), grad_h_gates
        )
        grad_bias = ops.sum(grad_x_gates, axis=0)
        if len(bias.shape) == 2:
            grad_bias = ops.stack([grad_bias, ops.sum(grad_h_gates, axis=0)])
        return (
            grad_x,
            ops.matmul(ops.transpose(x), grad_x_gates),
            grad_recurrent,
            grad_bias,
            *grad_states,
        )

    return (outputs, *last), gradients


def _run_by_halves(
    cell: keras.Layer,
    sequences: bool,
    x: Tensor,
    kernel: Tensor,
    recurrent: Tensor,
    bias: Tensor,
    *states: Tensor,
) -> tuple[Tensors, Callable[..., Tensors]]:
    """Return what `_run` returns, on TensorFlow, with a loop for each half of the batch."""
    tf = import_module("tensorflow")
    width, (units, gate_width), count, has_two = (
        x.shape[-1],
        recurrent.shape,
        len(states),
        len(bias.shape) == 2,
    )
    # of the inputs, of the states
    biases: tuple[Any, ...] = (bias[0], bias[1]) if has_two else (bias,)

    def forward(x: Tensor, *states: Tensor) -> Tensors:
        def run_chunk(
            previous: Tensors, chunk: Tensors, rows: Tensors
        ) -> tuple[Tensors, Tensors, Tensors]:
            x_gates = tf.matmul(tf.reshape(chunk[0], (-1, width)), kernel) + biases[0]
            rows = []
            for step_gates in tf.unstack(tf.reshape(x_gates, (chunk[0].shape[0], -1, gate_width))):
                h_gates = tf.matmul(previous[0], recurrent)
                previous, saved = cell.forward(
                    step_gates, h_gates + biases[1] if has_two else h_gates, previous
                )
                rows.append((*previous, *saved))
            return previous, rows, ()

        last, columns, _ = _scan_chunks(
            run_chunk,
            states,
            [_swap_batch_and_time(x)],
            units,
            initial=states,
            columns=count + cell.saved_count,
        )
        outputs = _swap_batch_and_time(columns[0].stack()[1:]) if sequences else last[0][:, None]
        return outputs, *last, *columns

    def backward(x: Tensor, grad_outputs: Tensor, *tensors: Tensor) -> Tensors:
        grad_last = tensors[:count]
        columns = tensors[count:]
        inputs = [_swap_batch_and_time(x)]
        if sequences:
            inputs.append(_swap_batch_and_time(grad_outputs))
        else:
            grad_last = (grad_last[0] + grad_outputs[:, 0], *grad_last[1:])

        def run_chunk(
            carry: Tensors, chunk: Tensors, rows: Tensors
        ) -> tuple[Tensors, Tensors, Tensors]:
            grads, sums = carry
            gate_grads: list[tuple[Any, Any]] = []
            for step, row in reversed(list(enumerate(rows))):
                if sequences:
                    grads = (grads[0] + chunk[1][step], *grads[1:])
                previous = row[:count]
                current = row[count : 2 * count]
                saved = row[2 * count :]
                grad_x_gates, grad_h_gates, direct = cell.backward(grads, previous, current, saved)
                gate_grads.insert(0, (grad_x_gates, grad_h_gates))
                through_gates = tf.matmul(grad_h_gates, recurrent, transpose_b=True)
                grads = (
                    through_gates if direct[0] is None else through_gates + direct[0],
                    *direct[1:],
                )
            grad_x_gates = tf.concat([x_gates for x_gates, _ in gate_grads], 0)
            grad_h_gates = (
                tf.concat([h_gates for _, h_gates in gate_grads], 0) if has_two else grad_x_gates
            )
            inputs = tf.reshape(chunk[0], (-1, width))
            previous = tf.concat([row[0] for row in rows], 0)
            grad_biases = [
                tf.reduce_sum(grad, axis=0) for grad in (grad_x_gates, grad_h_gates)[: len(biases)]
            ]
            weight_grads = (
                tf.matmul(inputs, grad_x_gates, transpose_a=True),
                tf.matmul(previous, grad_h_gates, transpose_a=True),
                *grad_biases,
            )
            grad_x = tf.reshape(
                tf.matmul(grad_x_gates, kernel, transpose_b=True), (len(rows), -1, width)
            )
            return (grads, tuple(map(tf.add, sums, weight_grads))), [], (grad_x,)

        sums = tuple(map(tf.zeros_like, (kernel, recurrent, *biases)))
        (grad_states, sums), _, (grad_x,) = _scan_chunks(
            run_chunk,
            (tuple(grad_last), sums),
            inputs,
            units,
            saved=columns,
            states=count,
            widths=(width,),
            reverse=True,
        )
        return _swap_batch_and_time(grad_x), *grad_states, *sums

    halves = _map_halves(forward, [x, *states])
    joined = [
        tf.concat(parts, 0) for parts in zip(*(half[: 1 + count] for half in halves), strict=True)
    ]

    def gradients(*grads: Tensors) -> tuple[Any, ...]:
        half_grads = _map_halves(backward, [x, *grads], [half[1 + count :] for half in halves])
        grad_x, *others = zip(*half_grads, strict=True)
        grad_kernel, grad_recurrent, *grad_biases = map(sum, others[count:])
        grad_states = [tf.concat(parts, 0) for parts in others[:count]]
        grad_bias = tf.stack(grad_biases) if has_two else grad_biases[0]
        return tf.concat(grad_x, 0), grad_kernel, grad_recurrent, grad_bias, *grad_states

    return tuple(joined), gradients


class _SimpleRNNCell:
    """The cell of `SimpleRNN`.

    `forward` takes what the inputs and the previous states contribute to the gates, (B, G) each, and the previous
    states. It returns the new states, and tensors that `backward` needs. `backward` takes gradients of the new states,
    the previous and the new states, and the saved tensors. It returns the gradients of the two contributions, (B, G)
    each, and for each previous state the gradient that does not pass through the gates, or None.
    """

    saved_count = 0

    @staticmethod
    def forward(x_gates: Tensor, h_gates: Tensor, previous: Tensors) -> tuple[Tensors, Tensors]:
        return (ops.tanh(x_gates + h_gates),), ()

    @staticmethod
    def backward(
        grads: Tensors, previous: Tensors, current: Tensors, saved: Tensors
    ) -> tuple[Tensor, Tensor, Tensors]:
        grad = _tanh_grad(current[0], grads[0])
        return grad, grad, (None,)


class _LSTMCell:
    """The cell of `LSTM`, with input gate, forget gate, candidate and output gate; its states are output and memory."""

    saved_count = 5

    @staticmethod
    def forward(x_gates: Tensor, h_gates: Tensor, previous: Tensors) -> tuple[Tensors, Tensors]:
        i, f, g, o = ops.split(x_gates + h_gates, 4, axis=1)
        i = ops.sigmoid(i)
        f = ops.sigmoid(f)
        g = ops.tanh(g)
        o = ops.sigmoid(o)
        memory = f * previous[1] + i * g
        activated = ops.tanh(memory)
        return (o * activated, memory), (i, f, g, o, activated)

    @staticmethod
    def backward(
        grads: Tensors, previous: Tensors, current: Tensors, saved: Tensors
    ) -> tuple[Tensor, Tensor, Tensors]:
        (grad_output, grad_memory), (i, f, g, o, activated) = grads, saved
        grad_memory = grad_memory + _tanh_grad(activated, grad_output * o)
        grad = ops.concatenate(
            [
                _sigmoid_grad(i, grad_memory * g),
                _sigmoid_grad(f, grad_memory * previous[1]),
                _tanh_grad(g, grad_memory * i),
                _sigmoid_grad(o, grad_output * activated),
            ],
            axis=1,
        )
        return grad, grad, (None, grad_memory * f)


class _GRUCell:
    """The cell of `GRU` with `reset_after=True`: update gate, reset gate and candidate."""

    saved_count = 4

    @staticmethod
    def forward(x_gates: Tensor, h_gates: Tensor, previous: Tensors) -> tuple[Tensors, Tensors]:
        (z, r, g), (hz, hr, hg) = ops.split(x_gates, 3, axis=1), ops.split(h_gates, 3, axis=1)
        z, r = ops.sigmoid(z + hz), ops.sigmoid(r + hr)
        g = ops.tanh(g + r * hg)
        return (z * previous[0] + (1 - z) * g,), (z, r, g, hg)

    @staticmethod
    def backward(
        grads: Tensors, previous: Tensors, current: Tensors, saved: Tensors
    ) -> tuple[Tensor, Tensor, Tensors]:
        (grad,), (z, r, g, hg) = grads, saved
        grad_g = _tanh_grad(g, grad * (1 - z))
        grad_z = _sigmoid_grad(z, grad * (previous[0] - g))
        grad_r = _sigmoid_grad(r, grad_g * hg)
        grad_h_gates = ops.concatenate([grad_z, grad_r, grad_g * r], axis=1)
        return ops.concatenate([grad_z, grad_r, grad_g], axis=1), grad_h_gates, (grad * z,)


CELLS = {
    keras.layers.SimpleRNN: _SimpleRNNCell,
    keras.layers.LSTM: _LSTMCell,
    keras.layers.GRU: _GRUCell,
}


def _tanh_grad(y: Tensor, grad: Tensor) -> Tensor:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.TanhGrad(y=y, dy=grad)
    return grad * (1 - y * y)


def _sigmoid_grad(y: Tensor, grad: Tensor) -> Tensor:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.SigmoidGrad(y=y, dy=grad)
    return grad * y * (1 - y)


def _scan(
    step: Callable[..., tuple[Tensors, Tensors]],
    states: Tensors,
    inputs: Tensors,
    *,
    reverse: bool = False,
) -> tuple[Tensors, Tensors]:
    """Call a step function for each time step.

    Args:
        step: function of the states and of the inputs (B, ...) of one time step; returns the new states and outputs.
        states: (B, ...) each.
        inputs: (T, B, ...) each.
        reverse: whether to start with the last time step.

    Returns:
        The final states, and the outputs (T, B, ...).
    """
    if keras.backend.backend() == "jax":
        scan = import_module("jax").lax.scan
        return scan(step, tuple(states), tuple(inputs), reverse=reverse, unroll=_JAX_UNROLL)
    tf = import_module("tensorflow")
    length = inputs[0].shape[0]
    size = max(size for size in range(1, _CHUNK + 1) if length % size == 0)
    chunks = length // size
    inputs = [tf.reshape(array, (chunks, size, -1, array.shape[-1])) for array in inputs]

    def run_chunk(count: Tensor, states: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        index = chunks - 1 - count if reverse else count
        parts = [tf.unstack(array[index], size) for array in inputs]
        rows = []
        for time in reversed(range(size)) if reverse else range(size):
            states, outputs = step(states, [part[time] for part in parts])
            rows.append(outputs)
        rows = rows[::-1] if reverse else rows
        return index, list(states), [tf.stack(column) for column in zip(*rows, strict=True)]

    # The first chunk runs outside the loop: its outputs give the dtypes and shapes of the arrays.
    index, states, outputs = run_chunk(0, states)
    arrays = [
        tf.TensorArray(o.dtype, chunks, element_shape=o.shape).write(index, o) for o in outputs
    ]

    def body(count: Tensor, states: Tensors, arrays: Tensors) -> tuple[Tensor, Tensors, Tensors]:
        index, states, outputs = run_chunk(count, states)
        return (
            count + 1,
            states,
            [array.write(index, o) for array, o in zip(arrays, outputs, strict=True)],
        )

    _, states, arrays = tf.while_loop(
        lambda count, *_: count < chunks, body, (1, states, arrays), parallel_iterations=1
    )
    return states, [
        tf.reshape(array.stack(), (length, -1, array.element_shape[-1])) for array in arrays
    ]


def _swap_batch_and_time(array: Tensor) -> Tensor:
    """Return (B, T, ...) as (T, B, ...), and vice versa."""
    return ops.transpose(array, (1, 0, 2))


def _map_halves(
    function: Callable[..., Tensors], arrays: Tensors, tensors: Sequence[Tensors] = ((), ())
) -> list[Tensors]:
    """Call a function for each half of a batch; TensorFlow runs the two calls in parallel.

    Args:
        function: function of the arrays, and of tensors for the half.
        arrays: (B, ...) each.
        tensors: for each half, its tensors.
    """
    tf = import_module("tensorflow")
    array_specs = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays]
    signature = array_specs + [tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in tensors[0]]
    # traced once for both halves
    function = tf.function(function, autograph=False, input_signature=signature)
    half = tf.shape(arrays[0])[0] // 2
    return [
        function(*(array[:half] for array in arrays), *tensors[0]),
        function(*(array[half:] for array in arrays), *tensors[1]),
    ]


def _scan_chunks(
    run_chunk: Callable[..., tuple[Tensors, Tensors, Tensors]],
    carry: Tensors,
    inputs: Tensors,
    units: int,
    *,
    initial: Tensors = (),
    columns: int = 0,
    saved: Tensors = (),
    states: int = 0,
    widths: Sequence[int] = (),
    reverse: bool = False,
) -> tuple[Tensors, Tensors, Tensors]:
    """Call a function for each chunk of several time steps, on TensorFlow.

    A row has the tensors of one time step; a column has one of these tensors for all time steps.

    Args:
        run_chunk: function of the carry, of the inputs (chunk, B, ...), and of a row for each time step of the chunk:
            (*previous states, *current states, *saved tensors) if there are saved columns. Returns the new carry, a row
            (*states, *saved tensors) for each time step, and pieces (chunk, B, D).
        inputs: (T, B, ...) each.
        units: width of the columns.
        initial: the states before the first time step.
        columns: number of columns to write.
        saved: columns written by an earlier scan, of which the first `states` are states.
        widths: the width D of each piece.
        reverse: whether to start with the last chunk.

    Returns:
        The final carry; the columns, beginning with the initial states; the pieces, (T, B, D).
    """
    tf = import_module("tensorflow")
    dtype = inputs[0].dtype
    length = inputs[0].shape[0]
    size = max(size for size in range(1, _HALVES_CHUNK + 1) if length % size == 0)

    def row(time: Tensor) -> Tensors:
        # Index 0 of a column has the initial states: the state before time step t is at t, the one after it at t + 1.
        cells = [
            *((column, time) for column in range(states)),
            *((column, time + 1) for column in range(len(saved))),
        ]
        tensors = (tf.TensorArray(dtype, flow=saved[column]).read(index) for column, index in cells)
        return tuple(tf.ensure_shape(tensor, (None, units)) for tensor in tensors)

    def body(
        count: Tensor, carry: Tensors, arrays: Tensors, blocks: Tensors
    ) -> tuple[Tensor, Tensors, Tensors, Tensors]:
        first = length - size - count if reverse else count
        chunk = [
            tf.ensure_shape(array[first : first + size], (size, *array.shape[1:]))
            for array in inputs
        ]
        carry, rows, pieces = run_chunk(
            carry, chunk, [row(first + time) for time in range(size)] if saved else []
        )
        for time, tensors in enumerate(rows):
            arrays = [
                array.write(first + time + 1, tensor)
                for array, tensor in zip(arrays, tensors, strict=True)
            ]
        blocks = [
            block.write(first // size, piece) for block, piece in zip(blocks, pieces, strict=True)
        ]
        return count + size, carry, arrays, blocks

    arrays = [
        tf.TensorArray(dtype, length + 1, element_shape=(None, units)) for _ in range(columns)
    ]
    for column, state in enumerate(initial):
        arrays[column] = arrays[column].write(0, state)
    blocks = [
        tf.TensorArray(dtype, length // size, element_shape=(size, None, width)) for width in widths
    ]
    _, carry, arrays, blocks = tf.while_loop(
        lambda count, *_: count < length, body, (0, carry, arrays, blocks), parallel_iterations=1
    )
    return (
        carry,
        arrays,
        [
            tf.reshape(b.stack(), (length, -1, width))
            for b, width in zip(blocks, widths, strict=True)
        ],
    )
