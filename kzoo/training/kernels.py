"""What makes the steps of a loop cheap on a processor; the model stays of Keras' own layers and optimizer.

While a step is traced, recurrent layers and Adam run the functions below in the place of their own: the same formulas,
whose answers differ by rounding. Measured on two cores, of the whole step, in `tests/benchmarks/README.md`.

* A recurrent layer multiplies its inputs, and sums the gradients of its weights, for many time steps at once: see
  `recurrent.py`.
* On TensorFlow, the projections of attention are products of two matrices, not of one for each example, and what is as
  large as its scores is gone through less often.
* On TensorFlow, batch normalisation of images is one operation in the place of several passes over them.
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
from keras import ops

from kzoo.training.recurrent import CELLS, recurrent_layer

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
            if type(layer) in CELLS:
                replaced.append((layer, "inner_loop", partial(recurrent_layer, layer)))
            if type(layer) is keras.layers.EinsumDense and on_tensorflow and _summed_axes(layer):
                replaced.append((layer, "call", partial(_einsum_dense, layer)))
            if type(layer) is keras.layers.MultiHeadAttention and on_tensorflow:
                replaced.append((layer, "_compute_attention", partial(_attention, layer)))
            if type(layer) is keras.layers.BatchNormalization and on_tensorflow and _is_plain(layer):
                replaced.append((layer, "call", partial(_batch_norm, layer)))
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


# Batch normalisation, on TensorFlow


def _is_plain(layer: Any) -> bool:
    return layer.compute_dtype in ("bfloat16", "float32") and not (layer.renorm or layer.synchronized)


def _batch_norm(layer: Any, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
    """Normalise as `BatchNormalization.call` does; images, while the layer learns, in one operation."""
    images = len(inputs.shape) == 4 and layer.axis in (-1, 3) and mask is None
    if not (images and training and layer.trainable):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    return _normalise(layer, inputs)


def _normalise(layer: Any, inputs: Any) -> Any:
    """Return images (B, H, W, C) normalised by their own mean and variance, which move those that the layer keeps."""
    tf, channels = import_module("tensorflow"), inputs.shape[-1]
    outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(inputs, layer.compute_dtype),
        scale=tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
    )
    variance = unbiased * (1.0 - channels / tf.cast(tf.size(inputs), "float32"))
    for moving, seen in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + seen * (1.0 - layer.momentum))
    return outputs


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
