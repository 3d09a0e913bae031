"""What makes the steps of a loop cheap on a processor; the model stays of Keras' own layers and optimizer.

While a step is traced, recurrent layers and Adam run the functions below in the place of their own: the same formulas,
whose answers differ by rounding. Measured on two cores, of the whole step, in `tests/benchmarks/README.md`.

* A turn of a recurrent layer's loop is many time steps, whose inputs are multiplied, and whose gradients of the weights
  are summed, at once; Keras' turn is one. On TensorFlow a large layer has a loop for each half of the batch, so that
  two cores have work.
* On TensorFlow, the projections of attention are products of two matrices, not of one for each example, and what is as
  large as its scores is gone through less often.
* On TensorFlow, Adam is one operation for each variable in the place of a dozen, and the gradient of an embedding is
  made dense once instead of four times.
"""

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import keras
from keras import activations, ops

_TURN = 10  # time steps to a turn of TensorFlow's loop, at the most: more take longer to trace, and no less to run
_PARTS = 2  # of a batch, with a loop each, in a layer of TensorFlow's whose recurrent kernel is as large as this:
_LARGE = 2**14  # below it a second loop costs more than it gives
_JAX_TURN = 4  # of JAX's: 1 gave half as much, 8 less

CONVOLUTIONS = (
    keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D, keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D, keras.layers.SeparableConv1D, keras.layers.SeparableConv2D,
    keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose,
)  # fmt: skip


@contextmanager
def cheap_steps(model: keras.Model) -> Iterator[None]:
    """Let a step that is traced meanwhile run the functions here, where they say the same as Keras' own."""
    replaced: list[tuple[Any, str, Callable[..., Any]]] = []
    if _compiled_for_a_processor():
        optimizer, on_tensorflow = getattr(model, "optimizer", None), keras.backend.backend() == "tensorflow"
        layers = list(model._flatten_layers())
        for layer in layers:
            if type(layer) in _CELLS:
                replaced.append((layer, "inner_loop", partial(_recurrent, layer)))
            if type(layer) is keras.layers.EinsumDense and on_tensorflow and _summed_axes(layer):
                replaced.append((layer, "call", partial(_einsum_dense, layer)))
            if type(layer) is keras.layers.MultiHeadAttention and on_tensorflow:
                replaced.append((layer, "_compute_attention", partial(_attention, layer)))
        # Beside many convolutions the gain does not show (1.02 of `cifar_cnn`), and rounding grows fastest: by the
        # fourth step some of its weights were 0.006 away.
        if optimizer is not None and on_tensorflow and sum(isinstance(layer, CONVOLUTIONS) for layer in layers) < 2:
            if type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW) and not optimizer.amsgrad:
                replaced.append((optimizer, "update_step", partial(_adam, optimizer)))
            if optimizer.global_clipnorm and not optimizer.clipnorm:
                replaced.append((optimizer, "_clip_gradients", partial(_clipped, optimizer.global_clipnorm)))
    for owner, name, function in replaced:
        vars(owner)[name] = function  # not by `setattr`, by which Keras keeps what is to be saved
    try:
        yield
    finally:
        for owner, name, _ in replaced:
            vars(owner).pop(name)


def _compiled_for_a_processor() -> bool:
    """Say whether steps are compiled, and for no accelerator, which has kernels of its own."""
    if keras.backend.backend() == "jax":
        return bool(import_module("jax").default_backend() == "cpu")
    config = import_module("tensorflow").config
    return not (config.functions_run_eagerly() or config.list_logical_devices("GPU"))


# Adam, on TensorFlow


def _adam(optimizer: Any, gradient: Any, variable: Any, rate: Any) -> None:
    """Update a variable and its moments, as `Adam.update_step` does, which still takes gradients of rows."""
    tf = import_module("tensorflow")
    if isinstance(gradient, tf.IndexedSlices):
        type(optimizer).update_step(optimizer, gradient, variable, rate)
        return
    index, dtype = optimizer._get_variable_index(variable), variable.dtype
    first, second, epsilon = (tf.constant(v, dtype) for v in (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon))
    step = tf.cast(optimizer.iterations.value + 1, dtype)
    tf.raw_ops.ResourceApplyAdam(
        var=variable.handle,
        m=optimizer._momentums[index].value.handle,
        v=optimizer._velocities[index].value.handle,
        beta1_power=first**step,
        beta2_power=second**step,
        lr=tf.cast(rate, dtype),
        beta1=first,
        beta2=second,
        epsilon=epsilon,
        grad=tf.cast(gradient, dtype),
    )


def _clipped(most: float, gradients: list[Any]) -> list[Any]:
    """Clip gradients by their global norm, as Keras does: those of rows that occur twice count one by one."""
    tf = import_module("tensorflow")
    there = [g for g in gradients if g is not None]
    squares = [tf.reduce_sum(tf.square(g.values if isinstance(g, tf.IndexedSlices) else g)) for g in there]
    norm = tf.sqrt(tf.add_n(squares))
    scale = most * tf.minimum(1.0 / norm, 1.0 / most) + (norm - norm)  # NaN where the norm is not finite
    return [None if g is None else tf.convert_to_tensor(g) * scale for g in gradients]


# Attention, on TensorFlow


def _summed_axes(layer: Any) -> int:
    """Return how many axes a layer sums over, if these are the last of its inputs and the first of its kernel; or 0."""
    terms, result = layer.equation.split("->")
    inputs, kernel = terms.split(",")
    count = sum(axis in inputs for axis in kernel)
    fits = inputs[len(inputs) - count :] == kernel[:count] and result == inputs[: len(inputs) - count] + kernel[count:]
    return count if fits else 0


def _einsum_dense(layer: Any, inputs: Any, training: bool | None = None) -> Any:
    """Apply an `EinsumDense` as one product of two matrices, in the place of one for each example."""
    kernel, count = ops.convert_to_tensor(layer.kernel), _summed_axes(layer)
    width, shape = math.prod(kernel.shape[:count]), ops.shape(inputs)
    y = ops.matmul(ops.reshape(inputs, (-1, width)), ops.reshape(kernel, (width, -1)))
    y = ops.reshape(y, (*shape[: len(shape) - count], *kernel.shape[count:]))
    y = y if layer.bias is None else y + layer.bias
    return y if layer.activation is None else layer.activation(y)


def _attention(
    layer: Any, query: Any, key: Any, value: Any, attention_mask: Any = None, training: bool | None = None,
    return_attention_scores: bool = False, use_causal_mask: bool = False,
) -> tuple[Any, Any]:  # fmt: skip
    """Attend as `MultiHeadAttention._compute_attention` does: (B, T, ..., N, H) of each, and no scores.

    What is as large as the scores is gone through four times fewer: queries are scaled in the place of scores, what is
    masked is a number that is added, and each row of the scores' gradient is centred by a sum over outputs, as in
    FlashAttention (arXiv:2205.14135).
    """
    rank, masked = len(query.shape), attention_mask is not None or use_causal_mask
    other = layer._dropout or return_attention_scores or query.dtype != "float32" or layer._attention_axes != (1,)
    if other or rank < 4 or (rank > 4 and masked):
        return type(layer)._compute_attention(
            layer, query, key, value, attention_mask, training, return_attention_scores, use_causal_mask
        )
    tf, mask = import_module("tensorflow"), None
    if attention_mask is not None:
        mask = ops.expand_dims(ops.cast(attention_mask, "bool"), 1)  # (B, 1, T, S)
    elif use_causal_mask:
        mask = tf.linalg.band_part(tf.ones((tf.shape(query)[1], tf.shape(key)[1]), "bool"), -1, 0)
    added = None if mask is None else tf.where(mask, 0.0, -0.7 * query.dtype.max)  # Keras' own large number

    def run(*arrays: Any) -> tuple[Any, Any]:
        return _heads_first(layer._inverse_sqrt_key_dim, added, *arrays)

    return ops.custom_gradient(run)(*map(ops.convert_to_tensor, (query, key, value))), None


def _heads_first(scale: float, added: Any, query: Any, key: Any, value: Any) -> tuple[Any, Any]:
    """Return what queries find, (B, T, ..., N, H), and the function that turns its gradient into those of all three."""
    tf, rank = import_module("tensorflow"), len(query.shape)
    forth, back = [0, *range(2, rank - 1), 1, rank - 1], [0, rank - 2, *range(1, rank - 2), rank - 1]
    q, k, v = (tf.transpose(array, forth) for array in (query * scale, key, value))  # (B, ..., N, T, H)
    scores = tf.matmul(q, k, transpose_b=True)
    p = tf.nn.softmax(scores if added is None else scores + added)
    found = tf.matmul(p, v)

    def gradients(slope: Any) -> list[Any]:
        slope = tf.transpose(slope, forth)
        of_p = tf.matmul(slope, v, transpose_b=True)
        of_scores = p * (of_p - tf.reduce_sum(slope * found, axis=-1, keepdims=True))
        of_query, of_key = tf.matmul(of_scores, k) * scale, tf.matmul(of_scores, q, transpose_a=True)
        of_value = tf.matmul(p, slope, transpose_a=True)
        return [tf.transpose(array, back) for array in (of_query, of_key, of_value)]

    return tf.transpose(found, back), gradients


# Recurrent layers


def _recurrent(layer: Any, sequences: Any, initial_state: Any, mask: Any, training: bool = False) -> tuple[Any, ...]:
    """Run a layer over its time steps, as its `inner_loop` does: the last output, all outputs, the last states."""
    cell = layer.cell
    if mask is not None or layer.unroll or layer.stateful or sequences.shape[1] is None or not _is_plain(cell):
        return type(layer).inner_loop(layer, sequences, initial_state, mask, training=training)
    if layer.go_backwards:
        sequences = ops.flip(sequences, axis=1)
    arguments = sequences, cell.kernel, cell.recurrent_kernel, cell.bias, *initial_state

    def run(*arguments: Any) -> tuple[Any, Any]:
        return _run(_CELLS[type(layer)], layer.return_sequences, *arguments)

    outputs, *states = ops.custom_gradient(run)(*map(ops.convert_to_tensor, arguments))
    return states[0], outputs, states


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
    width, (units, wide), count, two = x.shape[-1], recurrent.shape, len(states), len(bias.shape) == 2
    of_both: tuple[Any, ...] = (bias[0], bias[1]) if two else (bias,)  # of the inputs, of the states
    parts = _PARTS if keras.backend.backend() == "tensorflow" and units * wide >= _LARGE else 1
    most = _TURN // parts if keras.backend.backend() == "tensorflow" else _JAX_TURN
    scanned = partial(_scanned, most=most, units=units, states=count)

    def forward(x: Any, *states: Any) -> tuple[Any, ...]:
        def turn(before: Any, given: Any, rows: Any) -> tuple[Any, ...]:
            gates = ops.matmul(ops.reshape(given[0], (-1, width)), kernel) + of_both[0]
            rows = []
            for of_gates in ops.unstack(ops.reshape(gates, (given[0].shape[0], -1, wide))):
                moved = ops.matmul(before[0], recurrent)
                before, kept = cell.forward(of_gates, moved + of_both[1] if two else moved, before)
                rows.append((*before, *kept))
            return before, rows, ()

        last, columns, _ = scanned(turn, states, [_turned(x)], begin=states, columns=count + cell.keeps)
        outputs = _turned(_outputs(columns[0])) if sequences else last[0][:, None]
        return outputs, *last, *columns

    def backward(x: Any, of_outputs: Any, *more: Any) -> tuple[Any, ...]:
        of_last, columns, given = more[:count], more[count:], [_turned(x)]
        if sequences:
            given.append(_turned(of_outputs))
        else:
            of_last = (of_last[0] + of_outputs[:, 0], *of_last[1:])
        back, out = ops.transpose(recurrent), ops.transpose(kernel)

        def turn(carried: Any, given: Any, rows: Any) -> tuple[Any, ...]:
            slopes, sums = carried
            found: list[tuple[Any, Any]] = []
            for time, row in reversed(list(enumerate(rows))):
                if sequences:
                    slopes = (slopes[0] + given[1][time], *slopes[1:])
                of_gates, of_moved, straight = cell.backward(slopes, row[:count], row[count:])
                found.insert(0, (of_gates, of_moved))
                through = ops.matmul(of_moved, back)
                slopes = (through if straight[0] is None else through + straight[0], *straight[1:])
            of_gates = ops.concatenate([gates for gates, _ in found])
            of_moved = ops.concatenate([moved for _, moved in found]) if two else of_gates
            before = ops.concatenate([row[0] for row in rows])
            of_bias = [ops.sum(slope, axis=0) for slope in (of_gates, of_moved)[: len(of_both)]]
            more = _product(ops.reshape(given[0], (-1, width)), of_gates), _product(before, of_moved), *of_bias
            of_x = ops.reshape(ops.matmul(of_gates, out), (len(rows), -1, width))
            return (slopes, tuple(map(ops.add, sums, more))), [], (of_x,)

        sums = tuple(map(ops.zeros_like, (kernel, recurrent, *of_both)))
        (of_states, sums), _, (of_x,) = scanned(
            turn, (tuple(of_last), sums), given, made=columns, pieces=(width,), reverse=True
        )
        return _turned(of_x), *of_states, *sums

    made = _in_parts(parts, forward, [x, *states])
    after = map(ops.concatenate, zip(*(part[: 1 + count] for part in made), strict=True))

    def gradients(*slopes: Any) -> tuple[Any, ...]:
        given = slopes[0] if isinstance(slopes[0], list | tuple) else slopes  # JAX gives them as one
        found = _in_parts(parts, backward, [x, *given], [part[1 + count :] for part in made])
        of_x, *more = zip(*found, strict=True)
        of_kernel, of_recurrent, *of_bias = map(sum, more[count:])
        of_states = map(ops.concatenate, more[:count])
        return ops.concatenate(of_x), of_kernel, of_recurrent, ops.stack(of_bias) if two else of_bias[0], *of_states

    return tuple(after), gradients


class _Simple:
    """The cell of `SimpleRNN`.

    A cell's `forward` takes what the inputs and the states before give each gate (B, G), and those states; it returns
    the states after, and what else `backward` needs. That takes gradients of the states after, the states before, and
    what was kept; it returns gradients of the two (B, G), and of the states before where the second does
    not reach them, or None.
    """

    keeps = 1

    @staticmethod
    def forward(gates: Any, moved: Any, before: Any) -> Any:
        after = (ops.tanh(gates + moved),)
        return after, after

    @staticmethod
    def backward(slopes: Any, before: Any, kept: Any) -> Any:
        slope = _of_tanh(kept[0], slopes[0])
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
    def backward(slopes: Any, before: Any, kept: Any) -> Any:
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
    def backward(slopes: Any, before: Any, kept: Any) -> Any:
        (slope,), (z, r, g, mg) = slopes, kept
        of_g = _of_tanh(g, slope * (1 - z))
        of_z, of_r = _of_sigmoid(z, slope * (before[0] - g)), _of_sigmoid(r, of_g * mg)
        of_moved = ops.concatenate([of_z, of_r, of_g * r], axis=1)
        return ops.concatenate([of_z, of_r, of_g], axis=1), of_moved, (slope * z,)


_CELLS = {keras.layers.SimpleRNN: _Simple, keras.layers.LSTM: _Long, keras.layers.GRU: _Gated}


def _of_tanh(y: Any, slope: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.TanhGrad(y=y, dy=slope)
    return slope * (1 - y * y)


def _of_sigmoid(y: Any, slope: Any) -> Any:
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").raw_ops.SigmoidGrad(y=y, dy=slope)
    return slope * y * (1 - y)


def _turned(array: Any) -> Any:
    """Return (B, T, ...) as (T, B, ...), and the other way round."""
    return ops.transpose(array, (1, 0, 2))


def _product(a: Any, b: Any) -> Any:
    """Return a product over the rows of both: (N, A), (N, B) give (A, B)."""
    if keras.backend.backend() == "tensorflow":
        return import_module("tensorflow").matmul(a, b, transpose_a=True)
    return ops.matmul(ops.transpose(a), b)


def _in_parts(parts: int, function: Any, arrays: Any, more: Any = None) -> list[Any]:
    """Call a function for each part of a batch; TensorFlow runs the parts side by side.

    Args:
        function: of arrays, and of tensors that belong to the part.
        arrays: (B, ...) each.
        more: for each part, the tensors that belong to it.
    """
    more = more or [()] * parts
    if keras.backend.backend() == "jax":
        return [function(*arrays, *more[0])]
    tf = import_module("tensorflow")
    of_any_length = [tf.TensorSpec([None, *array.shape[1:]], array.dtype) for array in arrays]
    signature = of_any_length + [tf.TensorSpec(value.shape, value.dtype) for value in more[0]]
    function = tf.function(function, autograph=False, input_signature=signature)  # traced once for all parts
    cuts = [tf.shape(arrays[0])[0] * part // parts for part in range(parts + 1)]
    return [function(*(array[cuts[part] : cuts[part + 1]] for array in arrays), *more[part]) for part in range(parts)]


def _scanned(
    turn: Any, carry: Any, given: Any, *, most: int, units: int, begin: Any = (), columns: int = 0, made: Any = (),
    states: int, pieces: Any = (), reverse: bool = False,
) -> tuple[Any, Any, Any]:  # fmt: skip
    """Take steps over time, several to a turn.

    Args:
        turn: a function of what is carried, of (turn, B, ...) of each array, and of what was made at each of its time
            steps, a tuple each; it returns what is carried on, such tuples that it makes, and pieces (turn, B, D).
        given: (T, B, ...) each.
        most: time steps to a turn, at the most.
        units: the width of what is made.
        begin: the states before the first time step.
        columns: how much is made at a time step.
        made: columns of an earlier scan, whose first are states: each time step reads those before it.
        states: how many of them are.
        pieces: the width of each piece.
        reverse: whether the last time step is taken first.

    Returns:
        What is carried at the end; the columns, with the states before the first time step; the pieces, (T, B, D).
    """
    length = given[0].shape[0]
    size = max(size for size in range(1, most + 1) if length % size == 0)
    if keras.backend.backend() == "jax":
        made = [*(column[:-1] for column in made[:states]), *made[states:]]
        inputs = [[ops.reshape(a, (-1, size, *a.shape[1:])) for a in arrays] for arrays in (given, made)]

        def one(carry: Any, at: Any) -> Any:
            rows = zip(*map(ops.unstack, at[1]), strict=True)
            carry, rows, found = turn(carry, at[0], list(rows))
            return carry, ([ops.stack(column) for column in zip(*rows, strict=True)], list(found))

        carry, outputs = import_module("jax").lax.scan(one, carry, inputs, reverse=reverse)
        arrays, found = ([ops.reshape(a, (length, *a.shape[2:])) for a in arrays] for arrays in outputs)
        whole = [ops.concatenate([state[None], array]) for state, array in zip(begin, arrays, strict=False)]
        return carry, whole + arrays[len(whole) :], found
    tf, dtype = import_module("tensorflow"), given[0].dtype

    def read(column: int, time: Any) -> Any:
        value = tf.TensorArray(dtype, flow=made[column]).read(time if column < states else time + 1)
        return tf.ensure_shape(value, (None, units))

    def more(count: Any, carry: Any, arrays: Any, blocks: Any) -> tuple[Any, ...]:
        first = length - size - count if reverse else count
        now = [tf.ensure_shape(array[first : first + size], (size, *array.shape[1:])) for array in given]
        rows = [tuple(read(column, first + time) for column in range(len(made))) for time in range(size)]
        carry, rows, found = turn(carry, now, rows)
        for time, row in enumerate(rows):
            arrays = [array.write(first + time + 1, value) for array, value in zip(arrays, row, strict=True)]
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


def _outputs(column: Any) -> Any:
    """Return a state after each time step, (T, B, H)."""
    return (column.stack() if keras.backend.backend() == "tensorflow" else column)[1:]
