"""The convolutional stages of `cnn.py`: each function returns feature maps, or features.

Their argument `norm` is a function of a tensor and a layer's name, or None.
"""

from collections.abc import Callable

import keras
from keras import initializers, layers, ops

from kzoo.zoo.families import parts

Norm = Callable[..., keras.KerasTensor] | None  # of `parts.normalize`, see `_normalize`


def plain(
    x: keras.KerasTensor,
    filters: tuple[int, ...],
    depth: tuple[int, ...],
    *,
    kernel_size: int,
    padding: str,
    activation: str | None,
    norm: Norm,
    pool_size: tuple[int, ...],
    dropout: tuple[float, ...],
    dirac: bool,
) -> keras.KerasTensor:
    """Apply stages of `depth` convolutions (convolution, activation, norm), pooling and dropout.

    The tutorial's order, https://arxiv.org/abs/1409.1556 with batch norm. A `pool_size` of 1 means no pooling.
    """
    stages = zip(filters, depth, pool_size, dropout, strict=True)
    for i, (width, convolutions, pool, rate) in enumerate(stages, start=1):
        for j in range(1, convolutions + 1):
            stem = f"block{i}_conv{j}"
            if padding == "valid":
                _check_size(x, kernel_size, name=f"{stem} (kernel_size={kernel_size})")
            convolution = layers.Conv2D(width, kernel_size, padding=padding, name=stem)
            x = convolution(x)
            if dirac:
                parts.begin_as_identity(convolution)
            x = parts.activate(x, activation, name=f"block{i}_{activation}{j}")
            x = _normalize(x, norm, name=f"block{i}_norm{j}")
        if pool > 1:
            _check_size(x, pool, name=f"block{i}_pool (pool_size={pool})")
            x = layers.MaxPooling2D(pool, name=f"block{i}_pool")(x)
        x = _dropout(x, rate, name=f"block{i}_dropout")
    return x


def residual(
    x: keras.KerasTensor,
    filters: tuple[int, ...],
    depth: tuple[int, ...],
    *,
    kernel_size: int,
    activation: str | None,
    norm: Norm,
    dropout: tuple[float, ...],
) -> keras.KerasTensor:
    """Apply residual stages of `depth` basic blocks, https://arxiv.org/abs/1512.03385.

    Later stages start with stride 2. The shortcut is the paper's option A, which has no weights:
    every second pixel, and zeros for the new channels.
    """
    if list(filters) != sorted(filters):
        raise ValueError(f"filters={tuple(filters)} must not shrink with block='residual'.")
    x = _image_stem(x, filters[0], kernel_size, activation, norm)
    for i, (width, blocks, rate) in enumerate(zip(filters, depth, dropout, strict=True), start=1):
        for j in range(1, blocks + 1):
            stem = f"block{i}_{j}"
            stride = 2 if i > 1 and j == 1 else 1
            y = _conv(x, width, kernel_size, activation, norm, name=f"{stem}_a", stride=stride)
            y = _conv(y, width, kernel_size, None, norm, name=f"{stem}_b")
            x = layers.Add(name=f"{stem}_add")([_shortcut(x, width, stride, name=stem), y])
            x = parts.activate(x, activation, name=f"{stem}_{activation}")
        x = _dropout(x, rate, name=f"block{i}_dropout")
    return x


def separable(
    x: keras.KerasTensor,
    filters: tuple[int, ...],
    depth: tuple[int, ...],
    *,
    kernel_size: int,
    activation: str | None,
    norm: Norm,
    dropout: tuple[float, ...],
) -> keras.KerasTensor:
    """Apply depthwise-separable stages of `depth` blocks, https://arxiv.org/abs/1704.04861.

    A block is a depthwise convolution and a 1x1 convolution, each with norm and activation. Later
    stages start with stride 2.
    """
    x = _image_stem(x, filters[0], kernel_size, activation, norm)
    for i, (width, blocks, rate) in enumerate(zip(filters, depth, dropout, strict=True), start=1):
        for j in range(1, blocks + 1):
            stem = f"block{i}_{j}"
            stride = 2 if i > 1 and j == 1 else 1
            x = _conv(
                x, None, kernel_size, activation, norm, name=f"{stem}_depthwise", stride=stride
            )
            x = _conv(x, width, 1, activation, norm, name=f"{stem}_pointwise")
        x = _dropout(x, rate, name=f"block{i}_dropout")
    return x


def pooled(
    x: keras.KerasTensor,
    filters: tuple[int, ...],
    depth: tuple[int, ...],
    *,
    kernel_size: int,
    activation: str | None,
    norm: Norm,
    dropout: tuple[float, ...],
    dirac: bool,
) -> keras.KerasTensor:
    """Apply stages of `depth` convolutions, each pooled after its first one, https://arxiv.org/abs/2404.00498.

    Convolutions before a norm have no bias, and the norm has no factor, because the next convolution scales.
    """
    for i, (width, convolutions, rate) in enumerate(
        zip(filters, depth, dropout, strict=True), start=1
    ):
        for j in range(1, convolutions + 1):
            convolution = layers.Conv2D(
                width,
                kernel_size,
                padding="same",
                use_bias=norm is None,
                name=f"block{i}_conv{j}",
                # PyTorch's default for convolutions; small compared to the ones of the identity.
                kernel_initializer=initializers.VarianceScaling(
                    1 / 3, mode="fan_in", distribution="uniform"
                ),
            )
            x = convolution(x)
            if dirac:
                parts.begin_as_identity(convolution)
            if j == 1:
                _check_size(x, 2, name=f"block{i}_pool")
                x = layers.MaxPooling2D(2, name=f"block{i}_pool")(x)
            x = _normalize(x, norm, name=f"block{i}_norm{j}", scale=False)
            x = parts.activate(x, activation, name=f"block{i}_{activation}{j}")
        x = _dropout(x, rate, name=f"block{i}_dropout")
    return x


def parallel(
    ids: keras.KerasTensor,
    filters: tuple[int, ...],
    kernel_sizes: tuple[int, ...],
    *,
    vocabulary_size: int,
    embedding_dim: int,
    embedding_dropout: float,
    activation: str | None,
    pooling: str,
) -> keras.KerasTensor:
    """Apply parallel convolutions of several sizes over words, pooled over time (https://arxiv.org/abs/1408.5882).

    A window counts if it has a real token, even if the rest is padding or beyond the border. So padding does not change
    the output, and texts shorter than the widest kernel are not a special case.

    Args:
        ids: (B, T) token ids, 0 = padding.

    Returns:
        (B, sum(filters)); zeros for a text that is all padding.
    """
    real = parts.token_mask(ids)  # (B, T, 1)
    x = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(ids)
    x = _dropout(x, embedding_dropout, name="embedding_dropout")
    x = layers.Multiply(name="masked_embedding")([x, real])  # (B, T, E)
    pooled = []
    for width, size in zip(filters, kernel_sizes, strict=True):
        y = layers.ZeroPadding1D(size - 1, name=f"conv{size}_border")(x)
        y = layers.Conv1D(width, size, name=f"conv{size}")(y)  # (B, T + size - 1, width)
        y = parts.activate(y, activation, name=f"conv{size}_{activation}")
        counts = layers.ZeroPadding1D(size - 1, name=f"conv{size}_mask_border")(real)
        # (B, T + size - 1, 1)
        counts = layers.MaxPooling1D(size, strides=1, name=f"conv{size}_mask")(counts)
        if pooling == "max":
            # -1e4 is below every activation and finite even in float16.
            y = layers.GlobalMaxPooling1D(name=f"conv{size}_max")(y * counts + (counts - 1.0) * 1e4)
            y = y * ops.max(real, axis=1)
        else:
            y = ops.sum(y * counts, axis=1) / ops.maximum(ops.sum(counts, axis=1), 1.0)
        pooled.append(y)
    return pooled[0] if len(pooled) == 1 else layers.Concatenate(name="windows")(pooled)


def dilated(
    x: keras.KerasTensor,
    filters: tuple[int, ...],
    depth: tuple[int, ...],
    *,
    kernel_size: int,
    activation: str | None,
    norm: Norm,
    dropout: tuple[float, ...],
) -> keras.KerasTensor:
    """Apply residual stages of dilated causal convolutions, the TCN of https://arxiv.org/abs/1803.01271.

    Stage i has dilation 2^i, so the receptive field of `len(filters)` stages of `depth` convolutions is
    `1 + depth * (kernel_size - 1) * (2 ** len(filters) - 1)` steps. No step depends on a later one.

    Args:
        x: (B, T, F).
    """
    for i, (width, convolutions, rate) in enumerate(
        zip(filters, depth, dropout, strict=True), start=1
    ):
        y = x
        for j in range(1, convolutions + 1):
            y = layers.Conv1D(
                width,
                kernel_size,
                padding="causal",
                dilation_rate=2 ** (i - 1),
                name=f"block{i}_conv{j}",
            )(y)
            y = _normalize(y, norm, name=f"block{i}_norm{j}")
            y = parts.activate(y, activation, name=f"block{i}_{activation}{j}")
            y = _dropout(y, rate, name=f"block{i}_dropout{j}")
        if x.shape[-1] != width:
            x = layers.Conv1D(width, 1, name=f"block{i}_shortcut")(x)
        x = layers.Add(name=f"block{i}_add")([x, y])
        x = parts.activate(x, activation, name=f"block{i}_{activation}")
    return x  # (B, T, filters[-1])


def _image_stem(
    x: keras.KerasTensor, width: int, kernel_size: int, activation: str | None, norm: Norm
) -> keras.KerasTensor:
    """Apply the first convolution.

    Images of 64 pixels a side or more get the stem of the ResNet paper, with a stride of 4 in all.
    """
    if min(x.shape[1:3]) < 64:
        return _conv(x, width, kernel_size, activation, norm, name="stem")
    x = _conv(x, width, 7, activation, norm, name="stem", stride=2)
    return layers.MaxPooling2D(3, strides=2, padding="same", name="stem_pool")(x)


def _conv(
    x: keras.KerasTensor,
    width: int | None,
    kernel_size: int,
    activation: str | None,
    norm: Norm,
    *,
    name: str,
    stride: int = 1,
) -> keras.KerasTensor:
    """Apply convolution, norm, activation; depthwise if `width` is None."""
    padding = "same"
    if stride > 1:
        # "same" would centre the windows on odd pixels, next to those that the shortcut keeps.
        before = (kernel_size - 1) // 2
        after = kernel_size // 2
        x = layers.ZeroPadding2D(((before, after), (before, after)), name=f"{name}_border")(x)
        padding = "valid"
    settings = dict(strides=stride, padding=padding, use_bias=norm is None, name=f"{name}_conv")
    if width is None:
        x = layers.DepthwiseConv2D(kernel_size, depthwise_initializer="he_normal", **settings)(x)
    else:
        x = layers.Conv2D(width, kernel_size, kernel_initializer="he_normal", **settings)(x)
    x = _normalize(x, norm, name=f"{name}_norm")
    return parts.activate(x, activation, name=f"{name}_{activation}")


def _shortcut(x: keras.KerasTensor, width: int, stride: int, *, name: str) -> keras.KerasTensor:
    """Return `x` in the size and channels of the block's output, without weights."""
    if stride > 1:
        x = layers.MaxPooling2D(1, strides=stride, name=f"{name}_subsample")(x)
    extra = width - x.shape[-1]
    if extra:
        # The layer pads the last two axes of "channels_first" images. Here these are width (by 0) and channels.
        x = layers.ZeroPadding2D(
            ((0, 0), (0, extra)), data_format="channels_first", name=f"{name}_new_channels"
        )(x)
    return x


def _normalize(
    x: keras.KerasTensor, norm: Norm, *, name: str, **options: object
) -> keras.KerasTensor:
    """Apply a norm, or nothing for None."""
    return x if norm is None else norm(x, name=name, **options)


def _dropout(x: keras.KerasTensor, rate: float, *, name: str) -> keras.KerasTensor:
    """Apply dropout, or nothing for a rate of 0."""
    return layers.Dropout(rate, name=name)(x) if rate else x


def _check_size(x: keras.KerasTensor, window: int, *, name: str) -> None:
    """Raise `ValueError` if an image has become smaller than the next window."""
    height, width = x.shape[1:3]
    if min(height, width) < window:
        raise ValueError(
            f"The image is only {height}x{width} pixels before {name}. "
            "Use fewer stages (filters), a pool_size of 1, padding='same', or larger images."
        )
