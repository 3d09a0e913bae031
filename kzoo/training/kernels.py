"""Faster training steps on a CPU, for models made of Keras' own layers and optimizers.

While a step is traced, the functions below replace methods of layers and of the optimizer: the same formulas, with
results that differ by rounding. `tests/benchmarks/README.md` has measurements of whole steps on two cores.

* A recurrent layer multiplies its inputs, and sums the gradients of its weights, for many time steps at once: see
  `recurrent.py`.
* On TensorFlow, the projections of attention are single matrix products instead of one per example, and there are fewer
  passes over tensors as large as the attention scores.
* On TensorFlow, batch normalisation of images is one operation instead of several passes over the images.
* On TensorFlow, Adam is one operation per variable instead of a dozen, and the gradient of an embedding is made dense
  once instead of four times.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any

import keras
from keras import ops

from kzoo.training.recurrent import CELLS, Tensor, recurrent_layer

CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
    keras.layers.DepthwiseConv1D,
    keras.layers.DepthwiseConv2D,
    keras.layers.SeparableConv1D,
    keras.layers.SeparableConv2D,
    keras.layers.Conv1DTranspose,
    keras.layers.Conv2DTranspose,
    keras.layers.Conv3DTranspose,
)


@contextmanager
def cheap_steps(model: keras.Model) -> Iterator[None]:
    """Use the functions of this module in steps that are traced inside the block, where they compute the same."""
    replaced: list[tuple[Any, str, Callable[..., Any]]] = []
    if _compiled_for_a_processor():
        optimizer = getattr(model, "optimizer", None)
        on_tensorflow = keras.backend.backend() == "tensorflow"
        layers = list(model._flatten_layers())
        for layer in layers:
            if type(layer) in CELLS:
                replaced.append((layer, "inner_loop", partial(recurrent_layer, layer)))
            if type(layer) is keras.layers.EinsumDense and on_tensorflow and _summed_axes(layer):
                replaced.append((layer, "call", partial(_einsum_dense, layer)))
            if type(layer) is keras.layers.MultiHeadAttention and on_tensorflow:
                replaced.append((layer, "_compute_attention", partial(_attention, layer)))
            if (
                type(layer) is keras.layers.BatchNormalization
                and on_tensorflow
                and _is_supported(layer)
            ):
                replaced.append((layer, "call", partial(_batch_norm, layer)))
        # With many convolutions there is hardly any gain (a factor of 1.02 for `cifar_cnn`), and rounding errors grow
        # fastest: after four steps some of its weights differed by 0.006.
        if (
            optimizer is not None
            and on_tensorflow
            and sum(isinstance(layer, CONVOLUTIONS) for layer in layers) < 2
        ):
            if (
                type(optimizer) in (keras.optimizers.Adam, keras.optimizers.AdamW)
                and not optimizer.amsgrad
            ):
                replaced.append((optimizer, "update_step", partial(_adam, optimizer)))
            if optimizer.global_clipnorm and not optimizer.clipnorm:
                replaced.append(
                    (
                        optimizer,
                        "_clip_gradients",
                        partial(_clip_by_global_norm, optimizer.global_clipnorm),
                    )
                )
    for owner, name, function in replaced:
        # `setattr` would make Keras track the function as part of the saved state
        vars(owner)[name] = function
    try:
        yield
    finally:
        for owner, name, _ in replaced:
            vars(owner).pop(name)


def _compiled_for_a_processor() -> bool:
    """Return whether steps are compiled for a CPU. Accelerators have their own fast kernels."""
    if keras.backend.backend() == "jax":
        return bool(import_module("jax").default_backend() == "cpu")
    config = import_module("tensorflow").config
    return not (config.functions_run_eagerly() or config.list_logical_devices("GPU"))


# Adam, on TensorFlow


def _adam(
    optimizer: keras.optimizers.Optimizer, gradient: Tensor, variable: keras.Variable, rate: Tensor
) -> None:
    """Update a variable and its moments as `Adam.update_step` does; sparse gradients are passed on to that."""
    tf = import_module("tensorflow")
    if isinstance(gradient, tf.IndexedSlices):
        type(optimizer).update_step(optimizer, gradient, variable, rate)
        return
    index = optimizer._get_variable_index(variable)
    dtype = variable.dtype
    first, second, epsilon = (
        tf.constant(v, dtype) for v in (optimizer.beta_1, optimizer.beta_2, optimizer.epsilon)
    )
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


def _clip_by_global_norm(max_norm: float, gradients: Sequence[Tensor]) -> list[Tensor]:
    """Clip gradients by their global norm, as Keras does: in sparse gradients, repeated rows count separately."""
    tf = import_module("tensorflow")
    present = [g for g in gradients if g is not None]
    squares = [
        tf.reduce_sum(tf.square(g.values if isinstance(g, tf.IndexedSlices) else g))
        for g in present
    ]
    norm = tf.sqrt(tf.add_n(squares))
    # NaN where the norm is not finite
    scale = max_norm * tf.minimum(1.0 / norm, 1.0 / max_norm) + (norm - norm)
    return [None if g is None else tf.convert_to_tensor(g) * scale for g in gradients]


# Batch normalisation, on TensorFlow


def _is_supported(layer: keras.Layer) -> bool:
    return layer.compute_dtype in ("bfloat16", "float32") and not (
        layer.renorm or layer.synchronized
    )


def _batch_norm(
    layer: keras.Layer, inputs: Tensor, training: bool | None = None, mask: Tensor | None = None
) -> Tensor:
    """Normalise as `BatchNormalization.call` does; images in training with a single operation."""
    images = len(inputs.shape) == 4 and layer.axis in (-1, 3) and mask is None
    if not (images and training and layer.trainable):
        return type(layer).call(layer, inputs, training=training, mask=mask)
    return _normalise(layer, inputs)


def _normalise(layer: keras.Layer, inputs: Tensor) -> Tensor:
    """Return images (B, H, W, C) normalised by the batch's mean and variance, and update the moving averages."""
    tf = import_module("tensorflow")
    channels = inputs.shape[-1]
    outputs, mean, unbiased, *_ = tf.raw_ops.FusedBatchNormV3(
        x=tf.cast(inputs, layer.compute_dtype),
        scale=tf.ones(channels) if layer.gamma is None else tf.convert_to_tensor(layer.gamma),
        offset=tf.zeros(channels) if layer.beta is None else tf.convert_to_tensor(layer.beta),
        mean=tf.zeros(0),
        variance=tf.zeros(0),
        epsilon=layer.epsilon,
    )
    variance = unbiased * (1.0 - channels / tf.cast(tf.size(inputs), "float32"))
    for moving, batch_moment in ((layer.moving_mean, mean), (layer.moving_variance, variance)):
        moving.assign(moving * layer.momentum + batch_moment * (1.0 - layer.momentum))
    return outputs


# Attention, on TensorFlow


def _summed_axes(layer: keras.Layer) -> int:
    """Return how many axes a layer sums over if they are the last of its inputs and the first of its kernel, else 0."""
    terms, result = layer.equation.split("->")
    inputs, kernel = terms.split(",")
    count = sum(axis in inputs for axis in kernel)
    matches = (
        inputs[len(inputs) - count :] == kernel[:count]
        and result == inputs[: len(inputs) - count] + kernel[count:]
    )
    return count if matches else 0


def _einsum_dense(layer: keras.Layer, inputs: Tensor, training: bool | None = None) -> Tensor:
    """Return the outputs of an `EinsumDense`, computed by one matrix product instead of one per example."""
    kernel = ops.convert_to_tensor(layer.kernel)
    count = _summed_axes(layer)
    width = math.prod(kernel.shape[:count])
    shape = ops.shape(inputs)
    y = ops.matmul(ops.reshape(inputs, (-1, width)), ops.reshape(kernel, (width, -1)))
    y = ops.reshape(y, (*shape[: len(shape) - count], *kernel.shape[count:]))
    y = y if layer.bias is None else y + layer.bias
    return y if layer.activation is None else layer.activation(y)


def _attention(
    layer: keras.Layer,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None = None,
    training: bool | None = None,
    return_attention_scores: bool = False,
    use_causal_mask: bool = False,
) -> tuple[Tensor, None]:
    """Return (outputs, None) as `MultiHeadAttention._compute_attention` does, for inputs of shape (B, T, ..., N, H).

    Four passes over tensors of the size of the scores are saved: the queries are scaled instead of the scores, the mask
    is an added bias, and each row of the scores' gradient is centred by a sum over the outputs, as in FlashAttention
    (arXiv:2205.14135).
    """
    rank = len(query.shape)
    is_masked = attention_mask is not None or use_causal_mask
    is_unsupported = (
        layer._dropout
        or return_attention_scores
        or query.dtype != "float32"
        or layer._attention_axes != (1,)
    )
    if is_unsupported or rank < 4 or (rank > 4 and is_masked):
        return type(layer)._compute_attention(
            layer,
            query,
            key,
            value,
            attention_mask,
            training,
            return_attention_scores,
            use_causal_mask,
        )
    tf = import_module("tensorflow")
    mask = None
    if attention_mask is not None:
        mask = ops.expand_dims(ops.cast(attention_mask, "bool"), 1)  # (B, 1, T, S)
    elif use_causal_mask:
        mask = tf.linalg.band_part(tf.ones((tf.shape(query)[1], tf.shape(key)[1]), "bool"), -1, 0)
    # the same large number as in Keras
    bias = None if mask is None else tf.where(mask, 0.0, -0.7 * query.dtype.max)

    def run(*arrays: Any) -> tuple[Any, Any]:
        return _attend(layer._inverse_sqrt_key_dim, bias, *arrays)

    return ops.custom_gradient(run)(*map(ops.convert_to_tensor, (query, key, value))), None


def _attend(
    scale: float, bias: Tensor | None, query: Tensor, key: Tensor, value: Tensor
) -> tuple[Tensor, Callable[[Tensor], list[Tensor]]]:
    """Return the attention outputs (B, T, ..., N, H), and the function from their gradient to those of the inputs."""
    tf, rank = import_module("tensorflow"), len(query.shape)
    to_heads, from_heads = (
        [0, *range(2, rank - 1), 1, rank - 1],
        [0, rank - 2, *range(1, rank - 2), rank - 1],
    )
    # (B, ..., N, T, H)
    q, k, v = (tf.transpose(array, to_heads) for array in (query * scale, key, value))
    scores = tf.matmul(q, k, transpose_b=True)
    p = tf.nn.softmax(scores if bias is None else scores + bias)
    attended = tf.matmul(p, v)

    def gradients(grad: Tensor) -> list[Tensor]:
        grad = tf.transpose(grad, to_heads)
        grad_p = tf.matmul(grad, v, transpose_b=True)
        grad_scores = p * (grad_p - tf.reduce_sum(grad * attended, axis=-1, keepdims=True))
        grad_query = tf.matmul(grad_scores, k) * scale
        grad_key = tf.matmul(grad_scores, q, transpose_a=True)
        grad_value = tf.matmul(p, grad, transpose_a=True)
        return [tf.transpose(array, from_heads) for array in (grad_query, grad_key, grad_value)]

    return tf.transpose(attended, from_heads), gradients
