"""Convolutional networks: images in two dimensions, text and series in one."""

from functools import partial
from typing import Any

import keras
from keras import layers, ops

from kzoo.zoo.families import blocks, parts

# Block -> its type of inputs.
BLOCKS = {
    "plain": "image",
    "residual": "image",
    "separable": "image",
    "pooled": "image",
    "parallel": "tokens",
    "dilated": "series",
}
AXES = {
    "image": ("height", "width", "channels"),
    "tokens": ("length",),
    "series": ("steps", "features"),
}
POOLINGS = {
    "image": ("flatten", "mean", "max"),
    "tokens": ("mean", "max"),
    "series": ("last", "mean", "max", "flatten"),
}
POOLS = {
    (4, "mean"): layers.GlobalAveragePooling2D,
    (4, "max"): layers.GlobalMaxPooling2D,
    (3, "mean"): layers.GlobalAveragePooling1D,
    (3, "max"): layers.GlobalMaxPooling1D,
}


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "image",
    whitening: int = 0,
    block: str = "plain",
    dirac: bool = False,
    filters: tuple[int, ...] = (32, 64),
    depth: int | tuple[int, ...] = 1,
    kernel_size: int | tuple[int, ...] = 3,
    padding: str = "same",
    norm: str | None = None,
    norm_momentum: float = 0.9,
    pool_size: int | tuple[int, ...] = 2,
    dropout: float | tuple[float, ...] = 0.0,
    pooling: str = "mean",
    units: tuple[int, ...] = (),
    units_norm: str | None = None,
    units_dropout: float = 0.0,
    activation: str | None = "relu",
    output_activation: str | None = "softmax",
    output_bias: bool = True,
    output_scale: float = 1.0,
    horizon: int | None = None,
    vocabulary_size: int = 20_000,
    embedding_dim: int = 128,
    embedding_dropout: float = 0.0,
    reversible_norm: bool | str = False,
    scale_free: bool = False,
    rescale: bool = True,
    scale: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
    quantiles: tuple[float, ...] | None = None,
    padded: bool | None = None,
    covariates: int | None = None,
) -> keras.Model:
    """Build a convolutional network: stages, pooling, dense layers, output.

    Args:
        name: name of the model.
        input_shape: (height, width, channels), (length,) of a text, or (steps, features) of a series, where steps may
            be None until the data sets them.
        outputs: number of classes or targets; 1 for two classes with a sigmoid.
        inputs: type of the inputs: `"image"`, raw pixels 0..255; `"tokens"`, ids with 0 = padding; `"series"`, raw
            values, target columns first.
        whitening: side of the patches that a frozen convolution before the stages whitens, 0 for none. `train`, or
            `build` with `data`, sets its weights from the training images.
        block: type of the stages. For images `"plain"` (VGG-style, https://arxiv.org/abs/1409.1556), `"residual"`
            (ResNet, https://arxiv.org/abs/1512.03385), `"separable"` (MobileNet, https://arxiv.org/abs/1704.04861) or
            `"pooled"` (airbench, https://arxiv.org/abs/2404.00498: pooled after its first convolution);
            for tokens `"parallel"` (Kim, https://arxiv.org/abs/1408.5882); for series `"dilated"` (TCN,
            https://arxiv.org/abs/1803.01271). Residual and separable nets for images of 64 pixels a side
            or more start with a 7x7 convolution of stride 2 and a max-pooling, smaller ones with a
            convolution of stride 1.
        dirac: initialize the convolutions of plain and pooled stages as the identity on their first channels.
        filters: channels of each stage. Parallel: of each kernel size, or one number for all.
        depth: convolutions in a stage, or blocks of a residual or separable one; one number for all or one each.
            Not for parallel.
        kernel_size: side of the convolutions. Parallel: a list of window lengths in tokens.
        padding: padding of the convolutions in plain stages.
        norm: normalisation in the stages. Not for parallel.
        norm_momentum: momentum of the moving statistics of batch normalisation in the stages.
        pool_size: side of the max-pooling after a plain stage, 1 for none; one for all or one each.
        dropout: dropout in or after a stage, one rate for all or one each. Not for parallel.
        pooling: how positions are pooled to one vector. Images `"flatten"`, `"mean"` or `"max"`; tokens `"mean"` or
            `"max"`; series `"last"` (step), `"mean"`, `"max"` or `"flatten"`.
        units: width of every dense layer after the pooling.
        units_norm: normalisation after every dense layer.
        units_dropout: dropout after every dense layer, or after the pooling if there are none.
        activation: activation of convolutions and dense layers.
        output_activation: activation of the output; None for logits and real-valued targets.
        output_bias: whether the last dense layer has a bias.
        output_scale: factor of the last dense layer's output, before its activation.
        horizon: number of steps to forecast; None for a single output. (B, horizon, outputs) or (B, outputs).
        vocabulary_size: number of token ids, including padding (0) and unknown (1).
        embedding_dim: width of the vector of a token.
        embedding_dropout: dropout after the token vectors.
        reversible_norm: normalisation of each window of a series that is undone in its forecast. True subtracts the
            mean and divides by the standard deviation; `"last"` subtracts the last value; `"log"` divides by the mean
            of the values that are not 0 and takes the inverse hyperbolic sine; False does nothing.
        scale_free: whether that normalisation has the window's own scale alone, so that the forecast of k times a
            window is k times its forecast (see `parts.ScaleFreeNorm`); the targets' offset is then not used.
        rescale: scale images and series inside the model; False for inputs that are scaled already.
        scale: per feature of a series, 1 / standard deviation in the training split; inputs become
            `x * scale + offset`.
        offset: per feature of a series, -mean / standard deviation; None, as for `scale`, for no change.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.
        padded: whether the last feature of a series marks real steps by 1 and padding after them by 0; None for False.

        covariates: number of columns that are known ahead of time: the last `2 * covariates` of the inputs are their
            values at a step and `horizon` steps later; None for none.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    _check_inputs(inputs, block, input_shape, pooling, scale=scale, offset=offset)
    if not filters:
        raise ValueError(
            "filters is empty. Give the channels of at least one stage, such as (32,)."
        )
    parts.check_forecast(
        inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm
    )
    normalised = parts.count_normalised(
        input_shape, covariates, reversible_norm=reversible_norm, scale_free=scale_free
    )

    input_tensor = keras.Input(
        input_shape, dtype="int32" if inputs == "tokens" else "float32", name="inputs"
    )
    x = input_tensor
    window_norm = None
    if rescale and inputs == "image":
        # Whitening needs inputs that are not rounded.
        x = layers.Rescaling(
            1 / 255, dtype=parts.answer_dtype() if whitening else None, name="scaling"
        )(x)
    if whitening:
        x = parts.activate(parts.whiten(x, whitening), activation, name=f"whitening_{activation}")
    real = None  # which steps of a series are real, (B, T, 1); None for all
    if inputs == "series":
        x, real = parts.scale_series(
            x, scale, offset, rescale=rescale, padded=padded, normalised=normalised
        )
    known_ahead = parts.Covariates(x, covariates, horizon) if covariates else None
    x = x if known_ahead is None else known_ahead.past
    window_norm = parts.window_norm(
        x, reversible_norm, scale_free=scale_free, offset=offset if rescale else None
    )
    if window_norm is not None:
        x = window_norm.windows
    x = x if known_ahead is None else known_ahead.joined(x)

    if block == "parallel":
        x = blocks.parallel(
            x,
            *_windows(filters, kernel_size),
            vocabulary_size=vocabulary_size,
            embedding_dim=embedding_dim,
            embedding_dropout=embedding_dropout,
            activation=activation,
            pooling=pooling,
        )
    else:
        if isinstance(kernel_size, list | tuple):
            raise ValueError(
                f"kernel_size={kernel_size!r} must be one number. Several need block='parallel'."
            )
        stages: dict[str, Any] = dict(
            filters=filters,
            depth=parts.per_layer(depth, len(filters), name="depth"),
            dropout=parts.per_layer(dropout, len(filters), name="dropout"),
            kernel_size=kernel_size,
            activation=activation,
            norm=None
            if norm is None
            else partial(parts.normalize, norm=norm, momentum=norm_momentum),
        )
        if block == "plain":
            pools = parts.per_layer(pool_size, len(filters), name="pool_size")
            x = blocks.plain(x, padding=padding, pool_size=pools, dirac=dirac, **stages)
        elif block == "pooled":
            x = blocks.pooled(x, dirac=dirac, **stages)
        else:
            stack = {
                "residual": blocks.residual,
                "separable": blocks.separable,
                "dilated": blocks.dilated,
            }
            x = stack[block](x, **stages)
        x = _pool(x, pooling) if real is None else _pool_real(x, pooling, real)

    for i, width in enumerate(units, start=1):
        x = parts.dense_block(
            x, width, activation, name=f"hidden{i}", dropout=units_dropout, norm=units_norm
        )
    if units_dropout and not units:
        x = layers.Dropout(units_dropout, name="pooled_dropout")(x)
    adjust = (
        None
        if known_ahead is None
        else lambda forecast: known_ahead.effect_on(forecast, window_norm, outputs)
    )
    x = parts.head(
        x,
        outputs,
        output_activation,
        horizon=horizon,
        bias=output_bias,
        scale=output_scale,
        quantiles=quantiles,
        adjust=adjust,
    )
    if window_norm is not None:
        x = window_norm.undo(x, outputs, quantiles)
    # windows that are not shifted have forecasts that are not
    target_offset = None if normalised else target_offset
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def _check_inputs(
    inputs: str,
    block: str,
    input_shape: tuple[int, ...],
    pooling: str,
    *,
    scale: tuple[float, ...] | None,
    offset: tuple[float, ...] | None,
) -> None:
    """Raise `ValueError` unless block, inputs, input shape and pooling fit each other."""
    parts.check_choice(inputs, AXES, name="inputs")
    if inputs != BLOCKS[block]:
        fitting = " or ".join(
            repr(kind) for kind, block_inputs in BLOCKS.items() if block_inputs == inputs
        )
        raise ValueError(
            f"block={block!r} needs inputs={BLOCKS[block]!r}. For inputs={inputs!r} use {fitting}."
        )
    parts.check_shape(input_shape, AXES[inputs])
    parts.check_choice(pooling, POOLINGS[inputs], name="pooling")
    if inputs != "series" and (scale is not None or offset is not None):
        raise ValueError(f"scale and offset need inputs='series', not {inputs!r}.")


def _windows(
    filters: tuple[int, ...], kernel_size: int | tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return channels and window lengths of parallel convolutions, in tuples of equal length."""
    sizes = kernel_size if isinstance(kernel_size, list | tuple) else (kernel_size,)
    if len(set(sizes)) != len(sizes) or not sizes:
        raise ValueError(
            f"kernel_size={sizes!r} must have at least one window length, and no duplicates."
        )
    return parts.per_layer(
        filters if len(filters) > 1 else filters[0], len(sizes), name="filters"
    ), sizes


def _pool_real(x: keras.KerasTensor, pooling: str, real: keras.KerasTensor) -> keras.KerasTensor:
    """Pool the real steps of padded series (B, T, C) to (B, C), or (B, all) for `"flatten"`."""
    if pooling == "last":
        return ops.sum(x * parts.last_real_step(real), axis=1)
    if pooling == "mean":
        return ops.sum(x * real, axis=1) / ops.maximum(ops.sum(real, axis=1), 1.0)
    if pooling == "max":
        return ops.max(ops.where(real > 0.5, x, -1e4), axis=1)
    return layers.Flatten(name="flatten")(x * real)


def _pool(x: keras.KerasTensor, pooling: str) -> keras.KerasTensor:
    """Pool feature maps (B, H, W, C) or steps (B, T, C) to features (B, C), or (B, all) for `"flatten"`."""
    if pooling == "last":
        return x[:, -1]
    if pooling == "flatten":
        return layers.Flatten(name="flatten")(x)
    return POOLS[x.ndim, pooling](name=f"pool_{pooling}")(x)
