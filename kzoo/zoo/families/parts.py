"""Building blocks shared by several families: functions of built-in Keras layers."""

import itertools
import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from statistics import NormalDist
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from kzoo.problems.tasks import task_with_head
from kzoo.zoo.families.protocol import (
    MEMBERS,
    OUTPUT_SCALING,
    OUTPUTS,
    RIDGE,
    TEXT,
    UNSCALE,
    WHITENING,
)

_LARGEST_LOG = 15.0  # bound of the exponents of outputs that are logarithms


def activate(
    x: keras.KerasTensor, activation: str | None, *, name: str, dtype: str | None = None
) -> keras.KerasTensor:
    """Apply an activation as a layer; `None` and `"linear"` return `x` unchanged.

    `"gelu"` is the tanh form here: the exact one is exported as an `Erfc` node that no ONNX runtime has,
    and the two differ by less than 1e-3.
    """
    if activation in (None, "linear"):
        return x
    if activation == "gelu":
        # `layers.Activation` stores a name and cannot pass `approximate=True`; the operation can.
        return ops.gelu(x, approximate=True)
    if activation == "exponential":
        # Without overflow, and never 0: within a factor of 3 million of the training mean.
        x = ops.clip(x, -_LARGEST_LOG, _LARGEST_LOG)
    if activation == "leaky_relu":
        # The common slope; Keras' activation of this name has 0.2.
        return layers.LeakyReLU(negative_slope=0.01, dtype=dtype, name=name)(x)
    if (task := task_with_head(activation)) is not None:
        return task.fitting.make_head(x, name=name, dtype=dtype)
    return layers.Activation(activation, dtype=dtype, name=name)(x)


def head_width(outputs: int, output_activation: str | None) -> int:
    """Return the number of outputs of the last layer with weights, which the activation makes `outputs` of."""
    task = task_with_head(output_activation)
    return outputs if task is None else task.fitting.head_width(outputs)


def scale_inputs(
    x: keras.KerasTensor,
    scale: Sequence[float] | None,
    offset: Sequence[float] | None,
    *,
    clip: float | None = None,
    name: str = "scaling",
    dtype: str | None = None,
) -> keras.KerasTensor:
    """Standardise raw features with numbers from the training split: `x * scale + offset`.

    Args:
        scale, offset: one float per feature (the last axis), or None for the identity. `Rescaling`
            rather than `Normalization`, whose ONNX export does not run.
        clip: soft limit of the output, `clip * tanh(x / clip)`, which keeps the order of values and bounds outliers.
            None or 0 for no limit.
        dtype: of the layer; None for that of the policy.
    """
    rescale = partial(
        _rescale, name=name, labels=("scale", "offset"), noun="input features", dtype=dtype
    )
    if not clip:
        return rescale(x, scale, offset)
    scale = [1 / clip] * x.shape[-1] if scale is None else [s / clip for s in scale]
    x = rescale(x, scale, None if offset is None else [o / clip for o in offset])
    x = layers.Activation("tanh", name=f"{name}_tanh")(x)
    return layers.Rescaling(clip, name=f"{name}_clip")(x)


def split_mask(x: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return padded series (B, T, F + 1) without their last feature, and which steps are real (B, T, 1), 0 or 1."""
    return x[:, :, :-1], ops.cast(x[:, :, -1:] > 0.5, x.dtype)


def scale_series(
    x: keras.KerasTensor,
    scale: Sequence[float] | None,
    offset: Sequence[float] | None,
    *,
    rescale: bool,
    padded: bool | None,
    normalised: int = 0,
) -> tuple[keras.KerasTensor, keras.KerasTensor | None]:
    """Return scaled series with 0 for padding, and which steps are real (B, T, 1), None if all are.

    Args:
        x: (B, T, F), or (B, T, F + 1) with a last feature that marks real steps.
        scale, offset: see `scale_inputs`.
        rescale: whether to scale.
        padded: whether the series have that feature.
        normalised: number of features, the first ones, that a `ScaleFreeNorm` normalises. They are not shifted: next to
            the offset of all series, float32 would lose the digits of small ones.
    """
    x, real = split_mask(x) if padded else (x, None)
    if rescale and normalised:
        offset = None if offset is None else [0.0] * normalised + list(offset)[normalised:]
        x = scale_inputs(x, scale, offset, dtype="float32")
    elif rescale:
        x = scale_inputs(x, scale, offset)
    return (x, None) if real is None else (x * real, real)


def last_real_step(real: keras.KerasTensor) -> keras.KerasTensor:
    """Return which step is the last real one, (B, T, 1) 0 or 1, of masks whose padding comes last."""
    after = ops.concatenate([real[:, 1:], ops.zeros_like(real[:, :1])], axis=1)
    return real - after


def split_columns(
    x: keras.KerasTensor,
    categories: tuple[int, ...],
    text_buckets: tuple[int, ...],
    text_lengths: tuple[int, ...],
) -> tuple[keras.KerasTensor | None, int]:
    """Return the numeric columns of rows (B, F), None without any, and their number.

    Args:
        x: (B, F), numeric columns first, then a code for each category, then the ids of each text.
        categories, text_buckets, text_lengths: see the families that read rows.

    Raises:
        ValueError: the settings contradict each other, or a row has fewer columns.
    """
    if len(text_buckets) != len(text_lengths):
        raise ValueError(
            f"text_buckets has {len(text_buckets)} text columns, and text_lengths has {len(text_lengths)}."
        )
    numeric = x.shape[-1] - len(categories) - sum(text_lengths)
    if numeric < 0:
        raise ValueError(
            f"categories has {len(categories)} columns"
            + (f" and text_lengths has {sum(text_lengths)}" if text_lengths else "")
            + f", but a row has only {x.shape[-1]}."
        )
    return None if not numeric else x if numeric == x.shape[-1] else x[:, :numeric], numeric


def text_vectors(
    x: keras.KerasTensor, text_buckets: tuple[int, ...], text_lengths: tuple[int, ...], width: int
) -> list[keras.KerasTensor]:
    """Return a vector (B, width) for each text column of rows (B, F), the `bag` of its ids.

    The vectors of the ids are zeros until `kzoo.training.initial_weights` sets them from the training texts. They are
    not trained: those of rare words would be fitted to single rows.
    """
    vectors = []
    start = x.shape[-1] - sum(text_lengths)
    for i, (buckets, length) in enumerate(zip(text_buckets, text_lengths, strict=True), start=1):
        ids = ops.cast(x[:, start : start + length], "int32")
        embed = layers.Embedding(
            buckets,
            width,
            embeddings_initializer="zeros",
            trainable=False,
            dtype=answer_dtype(),
            name=f"{TEXT}{i}",
        )
        vectors.append(bag(embed(ids), ids))
        start += length
    return vectors


def bag(x: keras.KerasTensor, ids: keras.KerasTensor) -> keras.KerasTensor:
    """Return the sum of the vectors of real tokens, divided by the root of their number: (B, D).

    Args:
        x: the vectors, (B, T, D).
        ids: (B, T), 0 for padding.
    """
    real = ops.cast(ops.not_equal(ids, 0), x.dtype)  # (B, T)
    # avoids 0 / 0 for rows of only padding
    count = ops.maximum(ops.sum(real, axis=1, keepdims=True), 1.0)
    return ops.sum(x * ops.expand_dims(real, -1), axis=1) / ops.sqrt(count)


def levels_of(quantiles: tuple[float, ...] | None) -> int:
    """Return how many numbers are predicted for each target: one, or one per quantile."""
    return len(quantiles) if quantiles else 1


def ascending(x: keras.KerasTensor, quantiles: tuple[float, ...] | None) -> keras.KerasTensor:
    """Return outputs (..., targets * levels) as quantiles that ascend for each target; unchanged without levels.

    The lowest quantile is linear, and each other one is the one below it plus a softplus, so that they never cross.
    Outputs of 0 are the quantiles of the standard normal distribution.
    """
    if not quantiles:
        return x
    levels = len(quantiles)
    shape = x.shape[1:]
    normal = [NormalDist().inv_cdf(level) for level in quantiles]
    # softplus(0) is log(2)
    gaps = [(upper - lower) / math.log(2.0) for lower, upper in itertools.pairwise(normal)]
    settings = dict(dtype=answer_dtype())
    x = layers.Reshape((*shape[:-1], shape[-1] // levels, levels), name="levels", **settings)(x)
    steps = layers.Activation("softplus", name="levels_steps", **settings)(x[..., 1:])
    x = layers.Concatenate(name="levels_joined", **settings)([x[..., :1], steps])
    x = layers.Rescaling(
        [1.0, *gaps], [normal[0], *([0.0] * len(gaps))], name="levels_scaling", **settings
    )(x)
    return layers.Reshape(shape, name="levels_ascending", **settings)(ops.cumsum(x, axis=-1))


def steps_first(x: keras.KerasTensor, horizon: int) -> keras.KerasTensor:
    """Return forecasts (B, outputs, horizon * levels) as (B, horizon, outputs * levels)."""
    outputs = x.shape[1]
    levels = x.shape[2] // horizon
    if levels > 1:
        x = layers.Reshape((outputs, horizon, levels), name="forecast_levels")(x)
        x = layers.Permute((2, 1, 3), name="forecast_steps")(x)
        return layers.Reshape((horizon, outputs * levels), name="forecast")(x)
    return layers.Permute((2, 1), name="forecast")(x)


def ridge_head(
    x: keras.KerasTensor,
    outputs: int,
    output_activation: str | None,
    scale: Sequence[float] | None,
    offset: Sequence[float] | None,
    added: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Apply the head of a family in closed form: a dense layer of zeros that ridge regression sets, and an activation.

    Args:
        x: (B, F) features.
        outputs: number of classes or targets.
        output_activation: activation of the output; None for real-valued targets.
        scale, offset: see `unscale_targets`.
        added: (B, outputs) what is added to the dense layer; None for nothing.
    """
    dtype = answer_dtype()
    x = layers.Dense(outputs, kernel_initializer="zeros", trainable=False, dtype=dtype, name=RIDGE)(
        x
    )
    if added is not None:
        x = x + added
    if output_activation:
        x = activate(x, output_activation, name=f"output_{output_activation}", dtype=dtype)
    return unscale_targets(x, scale, offset)


def unscale_targets(
    x: keras.KerasTensor,
    scale: Sequence[float] | None,
    offset: Sequence[float] | None,
    quantiles: tuple[float, ...] | None = None,
) -> keras.KerasTensor:
    """Undo the standardisation of targets in the layer `"unscale"`; without scale and offset, return `x`.

    `kzoo.train` fits the layers before it on standardised targets, so that the loss does not depend on the unit, and
    saves the network with it, so that predictions are in the unit of the targets.

    Args:
        scale, offset: one float per target (the last axis).
        quantiles: levels of the quantiles of each target, or None.
    """
    if scale is None and offset is None:
        return x
    repeats = levels_of(quantiles)
    scale, offset = (
        None if v is None else [number for number in v for _ in range(repeats)]
        for v in (scale, offset)
    )
    labels = ("target_scale", "target_offset")
    return _rescale(
        x, scale, offset, name=UNSCALE, labels=labels, noun="outputs", dtype=answer_dtype()
    )


def _rescale(
    x: keras.KerasTensor,
    scale: Sequence[float] | None,
    offset: Sequence[float] | None,
    *,
    name: str,
    labels: tuple[str, str],
    noun: str,
    dtype: str | None = None,
) -> keras.KerasTensor:
    """Multiply and shift the last axis, with one number for each entry."""
    size = x.shape[-1]
    scale = [1.0] * size if scale is None else list(scale)
    offset = [0.0] * size if offset is None else list(offset)
    for label, values in zip(labels, (scale, offset), strict=True):
        if len(values) != size:
            raise ValueError(f"{label} has {len(values)} numbers for {size} {noun}.")
    return layers.Rescaling(scale, offset, dtype=dtype, name=name)(x)


def dense_block(
    x: keras.KerasTensor,
    units: int,
    activation: str | None,
    *,
    name: str,
    dropout: float = 0.0,
    norm: str | None = None,
    regularizer: keras.Regularizer | None = None,
) -> keras.KerasTensor:
    """Dense, activation, normalisation, dropout: the tutorial's order."""
    x = layers.Dense(units, kernel_regularizer=regularizer, name=f"{name}_dense")(x)
    x = activate(x, activation, name=f"{name}_{activation}")
    x = normalize(x, norm, name=f"{name}_norm")
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def normalize(
    x: keras.KerasTensor,
    norm: str | None,
    *,
    name: str,
    momentum: float = 0.9,
    scale: bool = True,
) -> keras.KerasTensor:
    """Apply `"batch"`, `"layer"` or `"rms"` normalisation (https://arxiv.org/abs/1910.07467), or nothing for None.

    Args:
        momentum: momentum of the moving statistics of batch normalisation. Keras' 0.99 needs some 500 steps before
            validation scores mean anything, more than a small data set has in its first ten epochs.
        scale: whether to learn a factor, in addition to the bias.
    """
    if norm is None:
        return x
    if norm == "batch":
        return layers.BatchNormalization(momentum=momentum, scale=scale, name=name)(x)
    if norm == "rms":
        return layers.RMSNormalization(epsilon=1e-6, name=name)(x)
    return layers.LayerNormalization(epsilon=1e-6, scale=scale, name=name)(x)


def whiten(x: keras.KerasTensor, side: int, *, name: str = WHITENING) -> keras.KerasTensor:
    """Apply a frozen convolution that whitens small patches.

    It has one filter for each of the side * side * C numbers in a patch, and the negative of each filter.

    `kzoo.training.initial_weights.set_whitening` sets its weights from the training images; until then they are
    random. It always computes in float32, because filters of fine detail subtract numbers that are nearly equal.

    Args:
        x: (B, H, W, C).
        side: side of a patch in pixels.

    Returns:
        (B, H - side + 1, W - side + 1, 2 * side * side * C).
    """
    filters = 2 * side * side * x.shape[-1]
    return layers.Conv2D(filters, side, trainable=False, dtype=answer_dtype(), name=name)(x)


def begin_as_identity(convolution: keras.Layer) -> None:
    """Set the first filters of a built convolution to pass its input channels through (Dirac initialization)."""
    kernel = np.array(ops.convert_to_numpy(convolution.kernel))  # (side, side, in, out)
    height, width, channels, filters = kernel.shape
    indices = np.arange(min(channels, filters))
    kernel[..., indices] = 0.0
    kernel[height // 2, width // 2, indices, indices] = 1.0
    convolution.kernel.assign(kernel)


def answer_dtype() -> str:
    """Return the dtype of outputs: float32 also in mixed precision, which is too coarse for a softmax."""
    return keras.config.dtype_policy().variable_dtype


def head(
    x: keras.KerasTensor,
    outputs: int,
    output_activation: str | None,
    *,
    horizon: int | None = None,
    bias: bool = True,
    scale: float = 1.0,
    quantiles: tuple[float, ...] | None = None,
    adjust: Callable[[keras.KerasTensor], keras.KerasTensor] | None = None,
    name: str = OUTPUTS,
) -> keras.KerasTensor:
    """Map features to the outputs with a dense layer.

    The kernel of exponential outputs starts at 0, so that an untrained network predicts the training mean. With random
    weights, the variance of the logarithms makes the mean of the outputs several times too large.

    Args:
        x: (B, features), or (B, T, features) for one output per step.
        outputs: classes, targets or vocabulary size.
        output_activation: `"softmax"`, `"sigmoid"`, ... or None for logits and real-valued targets.
        horizon: number of steps to forecast; the output is then (B, horizon, outputs).
        bias: whether the layer has a bias.
        scale: factor of the output, before its activation.
        quantiles: levels of the quantiles of each target, which follow one another; None for one value per target.
        adjust: function of the output before its activation and before quantiles ascend, or None.
    """
    outputs = head_width(outputs, output_activation) * levels_of(quantiles)
    x = layers.Dense(
        outputs * (horizon or 1),
        use_bias=bias,
        kernel_initializer="zeros" if output_activation == "exponential" else "glorot_uniform",
        dtype=answer_dtype(),
        name=name,
    )(x)
    if horizon is not None:
        x = layers.Reshape((horizon, outputs), dtype=answer_dtype(), name="forecast")(x)
    if scale != 1.0:
        x = layers.Rescaling(scale, dtype=answer_dtype(), name=OUTPUT_SCALING)(x)
    x = x if adjust is None else adjust(x)
    x = activate(x, output_activation, name=f"output_{output_activation}", dtype=answer_dtype())
    return ascending(x, quantiles)


def members_head(
    x: keras.KerasTensor,
    outputs: int,
    output_activation: str | None,
    *,
    quantiles: tuple[float, ...] | None = None,
) -> keras.KerasTensor:
    """Map the features of each member to outputs, and average them in the layer `"members"`.

    `kzoo.train` fits the outputs of each member, without this layer, and saves the network with it.

    Args:
        x: (B, members, features).
        outputs, output_activation, quantiles: see `head`.
    """
    _, members, features = x.shape
    outputs = head_width(outputs, output_activation) * levels_of(quantiles)
    # Limit of Glorot initialization for one member; Keras would compute it from all members together.
    limit = (6 / (features + outputs)) ** 0.5
    x = layers.EinsumDense(
        "bki,kio->bko",
        output_shape=(members, outputs),
        bias_axes="ko",
        kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
        dtype=answer_dtype(),
        name=OUTPUTS,
    )(x)
    x = activate(x, output_activation, name=f"output_{output_activation}", dtype=answer_dtype())
    return layers.GlobalAveragePooling1D(dtype=answer_dtype(), name=MEMBERS)(
        ascending(x, quantiles)
    )


def per_layer(value: object, count: int, *, name: str) -> tuple[Any, ...]:
    """Return a tuple of `count` values, from one value for all layers or a sequence with one for each.

    Raises:
        ValueError: the sequence has another length.
    """
    values = tuple(value) if isinstance(value, list | tuple) else (value,) * count
    if len(values) != count:
        raise ValueError(
            f"{name} has {len(values)} values for {count} layers; give one value or {count}."
        )
    return values


def check_choice(value: object, choices: Collection[str | None], *, name: str) -> None:
    """Raise `ValueError` unless a value is one of the choices."""
    if value not in choices:
        raise ValueError(
            f"{name}={value!r} is unknown. Use one of: {', '.join(map(str, choices))}."
        )


def check_shape(input_shape: tuple[int, ...], axes: Sequence[str]) -> None:
    """Raise `ValueError` unless an input shape has one number per axis."""
    if len(input_shape) != len(axes):
        raise ValueError(
            f"input_shape={input_shape!r} must have {len(axes)} numbers: {', '.join(axes)}."
        )


def token_mask(ids: keras.KerasTensor) -> keras.KerasTensor:
    """Return 1.0 where a token is real and 0.0 where it is padding (id 0), shape (B, T, 1)."""
    return ops.expand_dims(ops.cast(ops.not_equal(ids, 0), keras.config.floatx()), -1)


def count_normalised(
    input_shape: Sequence[int | None],
    covariates: int | None,
    *,
    reversible_norm: bool | str,
    scale_free: bool,
) -> int:
    """Return how many columns of a window a `ScaleFreeNorm` normalises: all but the covariates, or none."""
    if not (scale_free and reversible_norm):
        return 0
    columns = input_shape[-1]
    assert columns is not None
    return columns - 2 * (covariates or 0)


def window_norm(
    x: keras.KerasTensor,
    how: bool | str,
    *,
    scale_free: bool,
    offset: Sequence[float] | None,
) -> "WindowNorm | None":
    """Return the normalisation of windows; None for none.

    Args:
        x: (B, T, F) scaled windows.
        how: the setting `reversible_norm`.
        scale_free: whether it is a `ScaleFreeNorm`.
        offset: what scaling added to each feature unless `scale_free`; None for 0.
    """
    if not how:
        return None
    return ScaleFreeNorm(x, how) if scale_free else WindowNorm(x, how, offset)


class WindowNorm:
    """Normalisation of each window and feature, which `undo` reverts for the forecast.

    Networks that are not `scale_free` have it, as all had before version 0.2: how wide quantiles are, and what the
    network reads of level and spread, depends on the size of a series among those of the training.

    It removes drifts of the level, as in RevIN (https://openreview.net/forum?id=cGDAkQo1C0p),
    without its learned affine part, or as in NLinear (https://arxiv.org/abs/2205.13504).

    Args:
        x: (B, T, F) scaled windows.
        how: True subtracts the mean over time and divides by the standard deviation; `"last"` subtracts the last value;
            `"log"`, for values that are not negative, divides by the mean of those that are not 0 and takes the inverse
            hyperbolic sine, so that single high values have little influence.
        offset: for each feature, what scaling added to it; `"log"` needs it to know which values were 0. None for 0.

    Attributes:
        windows: (B, T, F), normalised.
        level: (B, 1, F), what was subtracted last.
        spread: (B, 1, F), by what windows were divided; None for `"last"`.
    """

    def __init__(
        self, x: keras.KerasTensor, how: bool | str, offset: Sequence[float] | None = None
    ) -> None:
        self._log = how == "log"
        self._offset = None if offset is None else list(offset)[: x.shape[-1]]
        if how == "last":
            self.level = x[:, -1:]
            self.spread = None
            self.windows = x - self.level
            return
        if self._log:
            x = ops.cast(x, "float32")
            if self._offset:
                x = layers.Rescaling(
                    1.0, [-number for number in self._offset], dtype="float32", name="unshifted"
                )(x)
            size = ops.abs(x)
            positive = ops.cast(size > _ZERO, "float32")
            count = ops.sum(positive, axis=1, keepdims=True)
            self.spread = (
                ops.sum(size * positive, axis=1, keepdims=True) / ops.maximum(count, 1.0) + _ZERO
            )
            logs = _signed_logarithm(x, self.spread)
            self.level = ops.mean(logs, axis=1, keepdims=True)
            self.windows = logs - self.level
            return
        self.level = ops.mean(x, axis=1, keepdims=True)
        # The small constant avoids a division by zero for constant windows.
        self.spread = ops.sqrt(ops.var(x, axis=1, keepdims=True) + 1e-5)
        self.windows = (x - self.level) / self.spread

    @property
    def statistics(self) -> list[keras.KerasTensor]:
        """What a network can know about level and spread, each (B, 1, F), in numbers of moderate size."""
        if self.spread is None:
            return [self.level]
        if self._log:
            return [self.level, ops.log(self.spread)]
        return [
            ops.clip(self.level / self.spread, -_MAX_RATIO, _MAX_RATIO),
            ops.minimum(1 / self.spread, _MAX_RATIO),
        ]

    def undo(
        self, y: keras.KerasTensor, outputs: int, quantiles: tuple[float, ...] | None = None
    ) -> keras.KerasTensor:
        """Return a forecast in the level and spread of its window.

        Args:
            y: (B, horizon, outputs), or (B, horizon, outputs * levels) of quantiles.
            outputs: number of targets, which are the first features.
            quantiles: levels of the quantiles of each target, or None.
        """
        level, spread = (
            None if v is None else v[:, :, :outputs] for v in (self.level, self.spread)
        )
        if quantiles:
            level, spread = (
                None if v is None else ops.repeat(v, len(quantiles), axis=-1)
                for v in (level, spread)
            )
        if self._log:
            y = ops.clip(level + y, -_MAX_LOG, _MAX_LOG)
            y = spread * (ops.exp(y) - ops.exp(-y)) / (2.0 * _CURVATURE)
            offset = [
                number for number in (self._offset or [])[:outputs] for _ in quantiles or [None]
            ]
            return (
                layers.Rescaling(1.0, offset, dtype="float32", name="shifted")(y) if offset else y
            )
        if spread is not None:
            y = y * spread
        # The level first: Keras' addition on TensorFlow takes a second argument (B, 1, 1) for a bias of the steps if
        # there are as many windows as steps.
        return level + y


class ScaleFreeNorm(WindowNorm):
    """A `WindowNorm` in the window's own scale alone: the forecast of k times a window is k times its forecast.

    With True and "last", that of a shifted window is also shifted. The spread of a window is its standard deviation,
    and at least 1e-4 of its mean absolute value: the forecast of a constant window is close to that constant. That of
    "log" is the mean of the values that are not 0. A window of zeros has a spread of 1e-12.

    Args:
        x: (B, T, F) windows, scaled without an offset, so that 0 stays 0.
        how: see `WindowNorm`.
    """

    def __init__(self, x: keras.KerasTensor, how: bool | str) -> None:
        x = ops.cast(x, "float32")
        self._log = how == "log"
        self._offset = None
        size = ops.abs(x)
        if self._log:
            count = ops.sum(ops.cast(size > 0, "float32"), axis=1, keepdims=True)
            self.spread = ops.maximum(
                ops.sum(size, axis=1, keepdims=True) / ops.maximum(count, 1.0), _SMALLEST
            )
            logs = _signed_logarithm(x, self.spread)
            self.level = ops.mean(logs, axis=1, keepdims=True)
            self.windows = logs - self.level
            return
        # Differences from the last value first: the level may be far larger than they are.
        last = x[:, -1:]
        from_last = x - last
        mean = ops.mean(from_last, axis=1, keepdims=True)
        variance = ops.mean(ops.square(from_last - mean), axis=1, keepdims=True)
        self.spread = ops.maximum(
            ops.sqrt(ops.maximum(variance, _SMALLEST**2)),
            _FLAT * ops.mean(size, axis=1, keepdims=True),
        )
        self.level = last if how == "last" else last + mean
        self.windows = (from_last if how == "last" else from_last - mean) / self.spread

    @property
    def statistics(self) -> list[keras.KerasTensor]:
        """What a network can know that neither scale nor shift changes: the level of logarithms (B, 1, F)."""
        return [self.level] if self._log else []


def _signed_logarithm(x: keras.KerasTensor, size: keras.KerasTensor) -> keras.KerasTensor:
    """Return the inverse hyperbolic sine of windows in units of their size."""
    ratio = _CURVATURE * ops.abs(x) / size
    # Not ops.arcsinh and ops.sinh: LiteRT has neither.
    return ops.sign(x) * ops.log(ratio + ops.sqrt(ops.square(ratio) + 1.0))


_FLAT = 1e-4  # of the mean absolute value of a window: the least spread
_SMALLEST = 1e-12  # standard deviations of the training: the spread of a window of zeros
_ZERO = 1e-4  # standard deviations: values below count as 0
_CURVATURE = 2.0  # of the inverse hyperbolic sine, which is linear up to about 1 / curvature
_MAX_RATIO = 100.0  # of level and spread, which windows that hardly vary exceed
_MAX_LOG = 12.0  # limits a forecast to 40,000 times the mean of its window


_COVARIATE_UNITS = 64


class Covariates:
    """The columns of a window that are known ahead of time: the last `2 * count`, at a step and `horizon` steps later.

    They are not normalised by the window. The effect of those of a step to forecast is added to the forecast by a small
    network, which also reads the forecast and the `statistics` of a `WindowNorm`: a shop that is closed sells nothing,
    whatever its usual sales.

    Args:
        x: (B, T, F + 2 * count) scaled inputs.
        count: number of covariates.
        horizon: number of steps to forecast.
        calendar: how many of them, the last ones, are phases of the calendar that the network reads itself.

    Attributes:
        future: (B, horizon, count - calendar), the covariates of the steps to forecast; None for none.
        phases: (B, horizon, calendar), the phases of the calendar then; None for none.

    Raises:
        ValueError: there is no forecast, or the window has fewer steps than it.
    """

    def __init__(
        self, x: keras.KerasTensor, count: int, horizon: int | None, calendar: int = 0
    ) -> None:
        if horizon is None or x.shape[1] < horizon:
            raise ValueError(
                f"covariates={count} needs a horizon of at most the {x.shape[1]} steps of a window, not {horizon}."
            )
        self.past = x[..., : -2 * count]
        self.columns = x[..., -2 * count :]
        future = x[:, -horizon:, -count:]  # (B, horizon, count)
        self.future = (
            None if calendar == count else future[..., : count - calendar] if calendar else future
        )
        self.phases = future[..., count - calendar :] if calendar else None

    def joined(self, past: keras.KerasTensor) -> keras.KerasTensor:
        """Return normalised columns of the past together with all covariates."""
        return layers.Concatenate(axis=-1, name="with_covariates")([past, self.columns])

    def effect_on(
        self, forecast: keras.KerasTensor, norm: WindowNorm | None, outputs: int
    ) -> keras.KerasTensor:
        """Return a forecast (B, horizon, outputs * levels) with the effect of the covariates.

        Args:
            norm: the `WindowNorm` of the window, or None.
            outputs: number of targets.
        """
        assert self.future is not None
        known = [forecast, self.future]
        if norm is not None:
            known += [statistic[:, :, :outputs] for statistic in norm.statistics]
        horizon = self.future.shape[1]
        settings = dict(dtype=answer_dtype())
        known = [v if v.shape[1] == horizon else ops.repeat(v, horizon, axis=1) for v in known]
        x = layers.Concatenate(axis=-1, name="covariates_joined", **settings)(known)
        x = layers.Dense(_COVARIATE_UNITS, "relu", name="covariates_hidden", **settings)(x)
        # at first, the forecast is nearly that of the past alone
        small = keras.initializers.RandomNormal(stddev=0.01)
        x = layers.Dense(
            forecast.shape[-1], kernel_initializer=small, name="covariates_effect", **settings
        )(x)
        return layers.Add(name="covariates_added", **settings)([forecast, x])


def check_forecast(
    inputs: str,
    outputs: int,
    input_shape: tuple[int, ...],
    *,
    horizon: int | None,
    reversible_norm: bool | str,
) -> None:
    """Raise `ValueError` unless `horizon` and `reversible_norm` fit the input of a sequence model."""
    if horizon is not None:
        if inputs != "series":
            raise ValueError(f"horizon={horizon} needs inputs='series'.")
        if outputs > input_shape[-1]:
            raise ValueError(
                f"outputs={outputs} targets must be the first features of the series, but "
                f"input_shape={tuple(input_shape)} has only {input_shape[-1]} features."
            )
    elif reversible_norm:
        raise ValueError(
            f"reversible_norm={reversible_norm!r} needs a horizon: it is undone in the forecast."
        )
