"""What makes the steps of a loop cheap on a processor; the model stays of Keras' own layers and optimizer.

While a step is traced, recurrent layers and Adam run the functions below in the place of their own: the same formulas,
whose answers differ by rounding. Measured on two cores, of the whole step, in `tests/benchmarks/README.md`.

* A recurrent layer multiplies its inputs, and sums the gradients of its weights, for all time steps at once; Keras does
  both within the loop over time. On TensorFlow a turn of that loop is many time steps.
* On TensorFlow, the projections of attention are products of two matrices, not of one for each example.
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


# Projections of attention, on TensorFlow


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


class _Simple:
    """The cell of `SimpleRNN`.

    A cell's `forward` takes what the inputs and the states before give each gate (B, G), and those states; it returns
    the states after, and what else `backward` needs. That takes gradients of the states after, the states before and
    after, and what was kept; it returns gradients of the two (B, G), and of the states before where the second does
    not reach them, or None.
    """

    @staticmethod
    def forward(gates: Any, moved: Any, before: Any) -> Any:
        return (ops.tanh(gates + moved),), ()

    @staticmethod
    def backward(slopes: Any, before: Any, after: Any, kept: Any) -> Any:
        slope = _of_tanh(after[0], slopes[0])
        return slope, slope, (None,)


class _Long:
    """The cell of `LSTM`: gates of input, forgetting, candidate and output; its states are output and memory."""

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


_CELLS = {keras.layers.SimpleRNN: _Simple, keras.layers.LSTM: _Long, keras.layers.GRU: _Gated}


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
