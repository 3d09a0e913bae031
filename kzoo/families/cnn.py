"""Convolutional networks: images in two dimensions, text and series in one."""

import keras
from keras import layers

from kzoo.families import blocks, parts

# What each kind of stage takes in.
BLOCKS = {
    "plain": "image",
    "residual": "image",
    "separable": "image",
    "parallel": "tokens",
    "dilated": "series",
}
AXES = {"image": ("height", "width", "channels"), "tokens": ("length",), "series": ("steps", "features")}
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
    name,
    input_shape,
    outputs,
    inputs="image",
    block="plain",
    filters=(32, 64),
    depth=1,
    kernel_size=3,
    padding="same",
    norm=None,
    pool_size=2,
    dropout=0.0,
    pooling="mean",
    units=(),
    units_norm=None,
    units_dropout=0.0,
    activation="relu",
    output_activation="softmax",
    horizon=None,
    vocabulary_size=20_000,
    embedding_dim=128,
    embedding_dropout=0.0,
    reversible_norm=False,
    rescale=True,
    scale=None,
    offset=None,
    target_scale=None,
    target_offset=None,
):
    """Build a convolutional network: stages, pooling, dense layers, answer.

    Args:
        name: name of the model.
        input_shape: (height, width, channels), (length,) of a text, or (steps, features) of a series.
        outputs: number of classes or targets; 1 with a sigmoid for two classes.
        inputs: `"image"`, raw pixels 0..255; `"tokens"`, ids with 0 = padding; `"series"`, raw values,
            target columns first.
        block: for images `"plain"` (VGG-style, https://arxiv.org/abs/1409.1556), `"residual"` (ResNet,
            https://arxiv.org/abs/1512.03385) or `"separable"` (MobileNet, https://arxiv.org/abs/1704.04861);
            for tokens `"parallel"` (Kim, https://arxiv.org/abs/1408.5882); for series `"dilated"` (TCN,
            https://arxiv.org/abs/1803.01271). Residual and separable nets for images of 64 pixels a side
            or more start with a 7x7 convolution of stride 2 and a max-pooling, smaller ones with a
            convolution of stride 1.
        filters: channels of each stage. Parallel: of each kernel size, or one number for all.
        depth: convolutions (residual, separable: blocks) in a stage; one for all or one each. Not for
            parallel.
        kernel_size: side of the convolutions. Parallel: a list of window lengths in tokens.
        padding: `"same"` or `"valid"`, plain stages only.
        norm: `"batch"`, `"layer"` or None, in the stages. Not for parallel.
        pool_size: side of the max-pooling after a plain stage, 1 for none; one for all or one each.
        dropout: rate in or after a stage; one for all or one each. Not for parallel.
        pooling: images `"flatten"`, `"mean"` or `"max"`; tokens `"mean"` or `"max"`; series `"last"`
            (step), `"mean"`, `"max"` or `"flatten"`.
        units: width of every dense layer after the pooling.
        units_norm: `"batch"`, `"layer"` or None, after every dense layer.
        units_dropout: rate after every dense layer, or after the pooling where there is none.
        activation: of convolutions and dense layers.
        output_activation: `"softmax"`, `"sigmoid"`, or None for logits and real-valued targets.
        horizon: steps to forecast: the answer is (B, horizon, outputs). None for (B, outputs).
        vocabulary_size: number of token ids, padding among them.
        embedding_dim: width of a token's vector.
        embedding_dropout: rate after the token vectors.
        reversible_norm: standardise every window of a series by itself and undo it in the forecast.
        rescale: scale images and series inside the model; False for inputs that are scaled already.
        scale, offset: one number per feature of a series: `x * scale + offset`; None for the identity.
        target_scale, target_offset: one number per target: the answer is `y * scale + offset`.

    Raises:
        ValueError: a value is unknown, out of range, or does not fit another.
    """
    _check_inputs(inputs, block, input_shape, pooling, scale=scale, offset=offset)
    parts.check_count(outputs, name="outputs")
    parts.check_widths(filters, name="filters")
    parts.check_widths(units, name="units")
    parts.check_rate(units_dropout, name="units_dropout")
    if not filters:
        raise ValueError("filters is empty; give the channels of at least one stage, such as (32,).")
    parts.check_forecast(inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm)

    given = keras.Input(input_shape, dtype="int32" if inputs == "tokens" else "float32", name="inputs")
    x, window = given, ()
    if rescale and inputs == "image":
        x = layers.Rescaling(1 / 255, name="scaling")(x)
    if rescale and inputs == "series":
        x = parts.scale_inputs(x, scale, offset)
    if reversible_norm:
        x, *window = parts.window_norm(x)

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
        parts.check_count(kernel_size, name="kernel_size")
        stages = dict(
            filters=filters,
            depth=parts.per_layer(depth, len(filters), name="depth", check=parts.check_count),
            dropout=parts.per_layer(dropout, len(filters), name="dropout", check=parts.check_rate),
            kernel_size=kernel_size,
            activation=activation,
            norm=norm,
        )
        if block == "plain":
            pools = parts.per_layer(pool_size, len(filters), name="pool_size", check=parts.check_count)
            x = blocks.plain(x, padding=padding, pool_size=pools, **stages)
        else:
            stack = {"residual": blocks.residual, "separable": blocks.separable, "dilated": blocks.dilated}
            x = stack[block](x, **stages)
        x = _pool(x, pooling)

    for i, width in enumerate(units, start=1):
        x = parts.dense_block(x, width, activation, name=f"hidden{i}", dropout=units_dropout, norm=units_norm)
    if units_dropout and not units:
        x = layers.Dropout(units_dropout, name="pooled_dropout")(x)
    x = parts.head(x, outputs, output_activation, horizon=horizon)
    if window:
        x = parts.undo_window_norm(x, *window, outputs)
    x = parts.unscale_targets(x, target_scale, target_offset)
    return keras.Model(given, x, name=name)


def _check_inputs(inputs, block, input_shape, pooling, *, scale, offset):
    """Raise `ValueError` unless block, inputs, their shape and the pooling fit each other."""
    parts.check_choice(block, BLOCKS, name="block")
    parts.check_choice(inputs, AXES, name="inputs")
    if inputs != BLOCKS[block]:
        fits = " or ".join(repr(kind) for kind, takes in BLOCKS.items() if takes == inputs)
        raise ValueError(f"block={block!r} takes inputs={BLOCKS[block]!r}; for inputs={inputs!r} use {fits}.")
    parts.check_shape(input_shape, AXES[inputs])
    parts.check_choice(pooling, POOLINGS[inputs], name="pooling")
    if inputs != "series" and (scale is not None or offset is not None):
        raise ValueError(f"scale and offset belong to inputs='series', not {inputs!r}.")


def _windows(filters, kernel_size):
    """Return channels and window lengths of parallel convolutions, one each per window length."""
    sizes = kernel_size if isinstance(kernel_size, list | tuple) else (kernel_size,)
    parts.check_widths(sizes, name="kernel_size")
    if len(set(sizes)) != len(sizes) or not sizes:
        raise ValueError(f"kernel_size={sizes!r} must name at least one window length, and none twice.")
    return parts.per_layer(filters if len(filters) > 1 else filters[0], len(sizes), name="filters"), sizes


def _pool(x, pooling):
    """Turn feature maps (B, H, W, C) or steps (B, T, C) into features (B, C), or (B, all) for `"flatten"`."""
    if pooling == "last":
        return x[:, -1]
    if pooling == "flatten":
        return layers.Flatten(name="flatten")(x)
    return POOLS[x.ndim, pooling](name=f"pool_{pooling}")(x)
