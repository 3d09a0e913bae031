"""Inputs of a Transformer: text, images, series and table columns as sequences of token vectors, and positions."""

import math

import keras
from keras import layers, ops

from kzoo.zoo.families import parts


def text_tokens(
    ids: keras.KerasTensor, vocabulary_size: int, width: int, *, has_class_token: bool
) -> "tuple[keras.KerasTensor, keras.KerasTensor]":
    """Return embedded ids (B, T, D), and which tokens are not padding, (B, T) or (B, 1 + T) booleans."""
    x = layers.Embedding(vocabulary_size, width, name="embedding")(ids)
    if has_class_token:
        # Pad the ids, not the mask: ONNX cannot pad booleans.
        return x, ops.not_equal(ops.pad(ids, ((0, 0), (1, 0)), constant_values=1), 0)
    real = ops.not_equal(ids, 0)
    # A row of only padding counts as real, to avoid 0 / 0 in its mean.
    return x, ops.logical_or(real, ops.logical_not(ops.any(real, axis=1, keepdims=True)))


def image_patches(
    x: keras.KerasTensor, patch_size: int, width: int, *, rescale: bool
) -> keras.KerasTensor:
    """Cut pixels into square patches and embed each: (B, N, D)."""
    height, breadth, _ = x.shape[1:]
    if height % patch_size or breadth % patch_size:
        raise ValueError(
            f"patch_size={patch_size} must divide the height {height} and the width {breadth}."
        )
    if rescale:
        x = layers.Rescaling(1 / 255, name="scaling")(x)
    # (B, H / p, W / p, D)
    x = layers.Conv2D(width, patch_size, strides=patch_size, name="patches")(x)
    return layers.Reshape((-1, width), name="patch_row")(x)


def series_patches(
    x: keras.KerasTensor, patch_size: int, patch_stride: int, width: int
) -> keras.KerasTensor:
    """Cut each feature of (B, T, F) into patches and embed each with shared weights: (B, N, F, D)."""
    steps, features = x.shape[1:]
    if patch_size > steps:
        raise ValueError(f"patch_size={patch_size} is longer than the window of {steps} steps.")
    x = layers.Reshape((steps, features, 1), name="features_apart")(x)
    missing = -(steps - patch_size) % patch_stride
    if missing:
        # Pad in front, so that the last patch ends with the newest step.
        x = layers.ZeroPadding2D(((missing, 0), (0, 0)), name="patch_padding")(x)
    return layers.Conv2D(width, (patch_size, 1), strides=(patch_stride, 1), name="patches")(x)


def column_tokens(
    x: keras.KerasTensor,
    categories: tuple[int, ...],
    text_buckets: tuple[int, ...],
    text_lengths: tuple[int, ...],
    width: int,
    *,
    rescale: bool,
    scale: tuple[float, ...] | None,
    offset: tuple[float, ...] | None,
    clip: float | None,
) -> keras.KerasTensor:
    """Make a token of every table column, numbers first, texts last: (B, columns, D)."""
    numbers, numeric = parts.split_columns(x, categories, text_buckets, text_lengths)
    tokens = []
    if numbers is not None:
        if rescale:
            numbers = parts.scale_inputs(numbers, scale, offset, clip=clip)
        # A random bias distinguishes columns with the value 0.
        embed = layers.EinsumDense(
            "bf,fd->bfd",
            output_shape=(numeric, width),
            bias_axes="fd",
            bias_initializer="glorot_uniform",
            name="numbers",
        )
        tokens.append(embed(numbers))
    for i, count in enumerate(categories):
        codes = ops.cast(x[:, numeric + i : numeric + i + 1], "int32")  # (B, 1)
        tokens.append(layers.Embedding(count, width, name=f"category{i + 1}")(codes))  # (B, 1, D)
    tokens += [
        ops.expand_dims(text, 1)
        for text in parts.text_vectors(x, text_buckets, text_lengths, width)
    ]
    return tokens[0] if len(tokens) == 1 else layers.Concatenate(axis=1, name="columns")(tokens)


def prepend_class_token(x: keras.KerasTensor) -> keras.KerasTensor:
    """Prepend a learned token: (B, 1 + N, D)."""
    first = ops.zeros_like(x[:, :1, 0], dtype="int32")  # (B, 1)
    token = layers.Embedding(1, x.shape[-1], name="class_token")(first)
    return layers.Concatenate(axis=1, name="with_class_token")([token, x])


def _token_positions(x: keras.KerasTensor, real: keras.KerasTensor | None) -> keras.KerasTensor:
    """Return the position of every token, (B, N) or (B, N, F), counted from the first real one.

    Counted inside the graph: an `Embedding` of a constant range would silently never train.
    """
    ones = (
        ops.ones_like(ops.take(x, 0, axis=-1), dtype="int32")
        if real is None
        else ops.cast(real, "int32")
    )
    return ops.maximum(ops.cumsum(ones, axis=1) - 1, 0)


def rotary_turns(
    x: keras.KerasTensor, size: int, *, real: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Return the rotation of each token's heads for rotary positions (https://arxiv.org/abs/2104.09864).

    Args:
        x: tokens, (B, N, D).
        size: size of a head.

    Returns:
        Cosines and sines, each (B, N, 1, size / 2) in float32: bfloat16 cannot tell 256 from 257.
    """
    index = ops.cast(ops.expand_dims(_token_positions(x, real), -1), "float32")
    index = index * ops.ones_like(x[:, :, : size // 2], dtype="float32")
    rates = [10_000 ** (-2 * k / size) for k in range(size // 2)]
    angles = ops.expand_dims(layers.Rescaling(rates, dtype="float32", name="positions")(index), 2)
    return ops.cos(angles), ops.sin(angles)


def turn(heads: keras.KerasTensor, turns: keras.KerasTensor) -> keras.KerasTensor:
    """Rotate each pair of numbers in (B, N, H, size): pair i is entry i of the first and of the second half."""
    cosines, sines = (ops.cast(part, heads.dtype) for part in turns)
    first, second = ops.split(heads, 2, axis=-1)
    return ops.concatenate(
        [first * cosines - second * sines, first * sines + second * cosines], axis=-1
    )


def add_positions(
    x: keras.KerasTensor, positions: str | None, *, real: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Add a position encoding to every token, counted from the first real one."""
    index = _token_positions(x, real)
    width = x.shape[-1]
    if positions == "learned":
        position_embedding = layers.Embedding(x.shape[1], width, name="positions")(index)
        return layers.Add(name="add_positions")([x, position_embedding])
    # sin(i * r) and cos(i * r) = sin(i * r + pi / 2), in float32: bfloat16 cannot tell 256 from 257.
    rates = [10_000 ** (-2 * k / width) for k in range(width // 2)]
    index = ops.expand_dims(ops.cast(index, "float32"), -1) * ops.ones_like(x, dtype="float32")
    turns = layers.Rescaling(
        rates * 2,
        [0.0] * len(rates) + [math.pi / 2] * len(rates),
        dtype="float32",
        name="positions",
    )(index)
    return layers.Add(name="add_positions")([x, ops.sin(turns)])
