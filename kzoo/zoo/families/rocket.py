"""Frozen random convolutions of series with a linear head: MiniRocket and Hydra."""

import itertools
import math

import keras
import numpy as np
from keras import layers, ops

from kzoo.zoo.families import parts
from kzoo.zoo.families.protocol import FEATURES, SHARES

CLOSED_FORM = True  # no gradients: ridge regression sets the last layer
TAPS = 9  # of every kernel
# positions of the weights 2; the six others are -1
_KERNELS = tuple(itertools.combinations(range(TAPS), 3))
_MAX_DILATIONS = 32  # of MiniRocket
_MAX_CHANNELS = 9  # that a kernel of MiniRocket combines
_MAX_GROUP_CHANNELS = 8  # that a group of Hydra combines
# smaller responses are those of a constant stretch: rounding must not decide which kernel wins
_SILENT = 1e-3


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "series",
    padded: bool | None = None,
    shares: int = 10_000,
    groups: int = 64,
    kernels_per_group: int = 8,
    output_activation: str | None = "softmax",
    rescale: bool = True,
    scale: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
) -> keras.Model:
    """Build MiniRocket (arXiv:2012.08791) and Hydra (arXiv:2203.13652), side by side, below one dense layer.

    MiniRocket convolves a series with 84 fixed kernels of 9 taps, the weights -1 and 2, at up to 32 dilations. Its
    features are the shares of the steps at which a convolution exceeds a threshold. In Hydra, random kernels compete in
    groups, on the series and on its first differences: the features are how often each kernel has the smallest
    response of its group, and the mean of its responses where it has the largest, as square roots.

    No layer is trained by gradients. Training sets the thresholds to quantiles of the convolutions of training series,
    and the last layer by ridge regression; see `kzoo.training.ridge`.

    Args:
        name: name of the model.
        input_shape: (steps, features); steps may be None until the data sets them.
        outputs: number of classes or targets.
        inputs: type of the inputs: `"series"`, raw values.
        padded: whether the last feature marks real steps by 1 and padding after them by 0; None for False.
        shares: number of features of MiniRocket, at least 84; rounded down to a multiple of 84.
        groups: number of groups of Hydra for each dilation, on the series and on its differences; 0 for MiniRocket
            alone.
        kernels_per_group: kernels that compete in a group.
        output_activation: activation of the output; None for real-valued targets.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature, 1 / standard deviation in the training split; inputs become `x * scale + offset`.
        offset: per feature, -mean / standard deviation; None, as for `scale`, for no change.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, ("series",), name="inputs")
    parts.check_shape(input_shape, ("steps", "features"))
    if shares < len(_KERNELS):
        raise ValueError(
            f"shares={shares} must be at least {len(_KERNELS)}, the number of kernels."
        )
    if input_shape[0] is not None and input_shape[0] < 2:
        raise ValueError(f"input_shape={input_shape} has one step: a series needs two or more.")
    if padded and input_shape[-1] < 2:
        raise ValueError("padded=True needs two features or more: the last one marks real steps.")
    # of the seed that `kzoo.build` has set
    random = np.random.default_rng(np.random.randint(2**31))
    input_tensor = keras.Input(input_shape, dtype="float32", name="inputs")
    x, real = parts.scale_series(input_tensor, scale, offset, rescale=rescale, padded=padded)
    features = [
        _shares(x, real, i, dilation, thresholds, random)
        for i, (dilation, thresholds) in enumerate(_dilations(x.shape[1], shares))
    ]
    if groups:
        features += _competing(x, real, groups, kernels_per_group, random, name="hydra")
        differences = x[:, 1:] - x[:, :-1]
        both = None if real is None else real[:, 1:]  # padding follows the real steps
        differences = differences if both is None else differences * both
        features += _competing(
            differences, both, groups, kernels_per_group, random, name="hydra_differences"
        )
    joined = ops.concatenate(features, axis=-1) if len(features) > 1 else features[0]
    x = layers.Activation("linear", dtype=parts.answer_dtype(), name=FEATURES)(joined)
    x = parts.ridge_head(x, outputs, output_activation, target_scale, target_offset)
    return keras.Model(input_tensor, x, name=name)


def _dilations(steps: int, shares: int) -> list[tuple[int, int]]:
    """Return (dilation, thresholds per kernel) pairs for series of this length, as MiniRocket chooses them."""
    per_kernel = shares // len(_KERNELS)
    count = min(per_kernel, _MAX_DILATIONS)
    largest = max(math.log2(max((steps - 1) / (TAPS - 1), 1)), 0.0)
    dilations, counts = np.unique(
        np.floor(np.logspace(0, largest, count, base=2)).astype(int), return_counts=True
    )
    thresholds = (counts * (per_kernel / count)).astype(int)
    for i in range(per_kernel - thresholds.sum()):
        thresholds[i % len(thresholds)] += 1
    return list(zip(dilations.tolist(), thresholds.tolist(), strict=True))


def _frozen(filters: int, dilation: int, padding: str, *, bias: bool, name: str) -> keras.Layer:
    """Return a frozen convolution over time."""
    return layers.Conv1D(
        filters,
        TAPS,
        dilation_rate=dilation,
        padding=padding,
        use_bias=bias,
        trainable=False,
        dtype=parts.answer_dtype(),
        name=name,
    )


def _shares(
    x: keras.KerasTensor,
    real: keras.KerasTensor | None,
    index: int,
    dilation: int,
    thresholds: int,
    random: np.random.Generator,
) -> keras.KerasTensor:
    """Return the shares of the steps above each threshold (B, 84 * thresholds), for one dilation.

    Every second dilation has no padding, so that both ends of a series count less; of padded series none has.
    """
    steps, channels = x.shape[1:]
    inside = index % 2 == 1 and dilation * (TAPS - 1) < steps - 1 and real is None
    convolution = _frozen(
        len(_KERNELS) * thresholds,
        dilation,
        "valid" if inside else "same",
        bias=True,
        name=f"{SHARES}{index + 1}",
    )
    responses = convolution(x)
    kernel = np.full((TAPS, channels, len(_KERNELS)), -1.0, np.float32)
    for i, positions in enumerate(_KERNELS):
        kernel[list(positions), :, i] = 2.0
    if channels > 1:
        kernel *= _channel_subsets(channels, random)
    convolution.set_weights(
        [np.repeat(kernel, thresholds, axis=-1), np.zeros(kernel.shape[-1] * thresholds)]
    )
    above = ops.cast(responses > 0.0, parts.answer_dtype())
    return _mean(above, real)


def _channel_subsets(channels: int, random: np.random.Generator) -> np.ndarray:
    """Return which channels each kernel of MiniRocket combines, (channels, 84) of 0 and 1."""
    subsets = np.zeros((channels, len(_KERNELS)), np.float32)
    for i in range(len(_KERNELS)):
        size = int(2 ** random.uniform(0, np.log2(min(channels, _MAX_CHANNELS) + 1)))
        subsets[random.choice(channels, max(size, 1), replace=False), i] = 1.0
    return subsets


def _mean(x: keras.KerasTensor, real: keras.KerasTensor | None) -> keras.KerasTensor:
    """Return the mean over the real steps."""
    if real is None:
        return ops.mean(x, axis=1)
    return ops.sum(x * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)


def _competing(
    x: keras.KerasTensor,
    real: keras.KerasTensor | None,
    groups: int,
    kernels: int,
    random: np.random.Generator,
    *,
    name: str,
) -> "list[keras.KerasTensor]":
    """Return how often, and how strongly, each kernel of a group wins: two (B, groups * kernels) per dilation."""
    steps, channels = x.shape[1:]
    features = []
    for i in range(int(math.log2(max((steps - 1) / (TAPS - 1), 1))) + 1):
        convolution = _frozen(groups * kernels, 2**i, "same", bias=False, name=f"{name}{i + 1}")
        responses = convolution(x)
        convolution.set_weights([_random_kernels(channels, groups, kernels, random)])
        responses = responses * ops.cast(ops.abs(responses) > _SILENT, parts.answer_dtype())
        responses = layers.Reshape(
            (steps, groups, kernels), dtype=parts.answer_dtype(), name=f"{name}{i + 1}_groups"
        )(responses)
        largest = ops.cast(
            ops.equal(responses, ops.max(responses, axis=-1, keepdims=True)), parts.answer_dtype()
        )
        smallest = ops.cast(
            ops.equal(responses, ops.min(responses, axis=-1, keepdims=True)), parts.answer_dtype()
        )
        for part, won in (("strongest", ops.relu(largest * responses)), ("weakest", smallest)):
            flat = layers.Reshape(
                (steps, groups * kernels), dtype=parts.answer_dtype(), name=f"{name}{i + 1}_{part}"
            )(won)
            features.append(ops.sqrt(_mean(flat, real)))
    return features


def _random_kernels(
    channels: int, groups: int, kernels: int, random: np.random.Generator
) -> np.ndarray:
    """Return normal random kernels (9, channels, groups * kernels) with mean 0 and sum of absolute values 1.

    All kernels of a group read the same channels: half of them, at most 8.
    """
    weights = random.normal(size=(TAPS, channels, groups, kernels))
    if channels > 1:
        read = np.zeros((channels, groups, 1))
        for group in range(groups):
            size = max(1, min(channels // 2, _MAX_GROUP_CHANNELS))
            read[random.choice(channels, size, replace=False), group] = 1.0
        weights *= read
    weights -= weights.mean(axis=0)
    weights /= np.abs(weights).sum(axis=(0, 1))
    return weights.reshape(TAPS, channels, -1).astype(np.float32)
