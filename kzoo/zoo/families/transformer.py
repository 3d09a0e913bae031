"""Transformer encoders (arXiv:1706.03762) over tokens, image patches, series patches and table columns."""

import math
from typing import Any

import keras
from keras import layers, ops

from kzoo.zoo.families import embedding, parts

POOLINGS = {
    "tokens": ("mean", "cls", None),
    "image": ("mean", "cls", "flatten"),
    "series": ("mean", "flatten"),
    "rows": ("mean", "cls", "flatten"),
}
AXES = {
    "tokens": ("tokens",),
    "image": ("height", "width", "channels"),
    "series": ("steps", "features"),
    "rows": ("columns",),
}


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    inputs: str = "tokens",
    vocabulary_size: int = 10_000,
    patch_size: int = 4,
    patch_stride: int | None = None,
    categories: tuple[int, ...] = (),
    text_buckets: tuple[int, ...] = (),
    text_lengths: tuple[int, ...] = (),
    width: int = 64,
    depth: int = 2,
    num_heads: int = 4,
    intermediate_dim: int = 128,
    activation: str | None = "gelu",
    norm: str | None = "layer",
    norm_position: str = "pre",
    dropout: float = 0.0,
    positions: str | None = "learned",
    pooling: str | None = "mean",
    causal: bool = False,
    dense_units: tuple[int, ...] = (),
    dense_dropout: float = 0.0,
    output_activation: str | None = "softmax",
    horizon: int | None = None,
    reversible_norm: bool | str = False,
    scale_free: bool = False,
    rescale: bool = True,
    scale: tuple[float, ...] | None = None,
    offset: tuple[float, ...] | None = None,
    input_clip: float | None = None,
    target_scale: tuple[float, ...] | None = None,
    target_offset: tuple[float, ...] | None = None,
    quantiles: tuple[float, ...] | None = None,
    padded: bool | None = None,
    covariates: int | None = None,
) -> keras.Model:
    """Build an encoder: embedding as tokens, `depth` encoder blocks, pooling and a head.

    Text: padding (id 0) on either side never changes the output. Attention and pooling exclude it, and positions count
    from the first real token.
    Images: a ViT, https://arxiv.org/abs/2010.11929. Tables: an FT-Transformer, where every column
    is a token, https://arxiv.org/abs/2106.11959. Series: PatchTST, https://arxiv.org/abs/2211.14730:
    every feature is a separate series, cut into patches, and all share the weights; so the forecast of a
    target depends only on its own past.

    Args:
        name: name of the model.
        input_shape: (tokens,), (height, width, channels), (columns,), or (steps, features) of a series, where steps may
            be None until the data sets them.
        outputs: number of classes, targets, or words in the vocabulary of the next word.
        inputs: type of the inputs: `"tokens"`, ids with 0 for padding; `"image"`, raw pixels 0..255; `"series"`, raw
            values with the targets first; `"rows"`, raw table rows.
        vocabulary_size: number of token ids, including padding (0) and unknown (1).
        patch_size: side of an image patch in pixels, or steps in a series patch.
        patch_stride: steps from one series patch to the next; None for `patch_size`.
        categories: number of codes for each categorical column, including 0 for unknown. These are the
            last columns of a row before the texts, and each gets its own embedding.
        text_buckets: number of ids for each text column, including 0 for padding. A text is one token: the sum of the
            vectors of its ids, divided by the square root of their number.
        text_lengths: for each text column, the number of ids. They are the last columns of a row.
        width: size of a token's vector; `num_heads` must divide it.
        depth: number of encoder blocks.
        num_heads: attention heads, each of size `width / num_heads`.
        intermediate_dim: width of the feed-forward sub-layer.
        activation: activation of the feed-forward sub-layer; `"gelu"` is its tanh form.
        norm: normalisation in the blocks: `"layer"`, of each token; `"rms"`, which neither shifts nor learns a bias;
            `"batch"`, as PatchTST has it, not for tokens, because it would count padding.
        norm_position: normalise `"pre"`, before each sub-layer and once at the end, or `"post"`, after each.
        dropout: dropout after the positions and after each sub-layer; in training only.
        positions: position encoding: added to the tokens, or `"rotary"`: in every attention queries and keys are
            normalised and rotated by position (text only), and its projections have no bias.
        pooling: how tokens are pooled to one vector. `"mean"` over the real tokens, `"cls"` for a learned token in
            front, `"flatten"`, or None for an output at every token.
        causal: every token attends only to itself and earlier ones.
        dense_units: widths of the relu layers before the output.
        dense_dropout: dropout before and after each of them.
        output_activation: activation of the output; None for logits and real-valued targets.
        horizon: number of steps to forecast; None for a single output. (B, horizon, outputs) or (B, outputs).
        reversible_norm: normalisation of each window that is undone in its forecast. True subtracts the mean and
            divides by the standard deviation; `"last"` subtracts the last value; `"log"` divides by the mean of the
            values that are not 0 and takes the inverse hyperbolic sine; False does nothing.
        scale_free: whether that normalisation has the window's own scale alone, so that the forecast of k times a
            window is k times its forecast (see `parts.ScaleFreeNorm`); the targets' offset is then not used.
        rescale: scale the inputs inside the model; False for inputs that are already scaled.
        scale: per feature or numeric column, 1 / standard deviation in the training split; inputs become
            `x * scale + offset`.
        offset: per feature or numeric column, -mean / standard deviation; None, as for `scale`, for no change.
        input_clip: soft limit (tanh) on scaled numeric columns of a table; 0 for no limit; None to choose it from the
            data: 3 if any column of the training split has heavy tails.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.
        padded: whether the last feature of a series marks real steps by 1 and padding after them by 0; None for False.

        covariates: number of columns that are known ahead of time: the last `2 * covariates` of the inputs are their
            values at a step and `horizon` steps later; None for none.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(inputs, tuple(POOLINGS), name="inputs")
    parts.check_shape(input_shape, AXES[inputs])
    if width % num_heads:
        raise ValueError(
            f"num_heads={num_heads} must divide width={width}: heads share the width equally."
        )
    if positions == "sinusoidal" and width % 2:
        raise ValueError(
            f"width={width} must be even with positions='sinusoidal': half are sines, half cosines."
        )
    if positions == "rotary" and (inputs != "tokens" or pooling == "cls"):
        raise ValueError("positions='rotary' needs inputs='tokens', and pooling='mean' or None.")
    if positions == "rotary" and width // num_heads % 2:
        raise ValueError(
            f"width={width} with num_heads={num_heads} gives heads of size {width // num_heads}: "
            "positions='rotary' needs an even size, because it rotates pairs of values."
        )
    for label, value in (("depth", depth), ("dropout", dropout)):
        if isinstance(value, list | tuple):
            raise ValueError(f"{label}={value!r} must be one number: all blocks are equal.")
    if pooling not in POOLINGS[inputs]:
        legal = ", ".join(map(str, POOLINGS[inputs]))
        raise ValueError(
            f"pooling={pooling!r} does not fit inputs={inputs!r}. Use one of: {legal}."
        )
    if causal and (inputs != "tokens" or pooling == "cls"):
        raise ValueError("causal=True needs inputs='tokens' and pooling=None or 'mean'.")
    parts.check_choice(
        norm, ("layer", "rms") if inputs == "tokens" else ("layer", "rms", "batch"), name="norm"
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
    real = None  # which tokens are not padding, (B, N) booleans; None if all are real
    window_norm, known_ahead = None, None
    if inputs == "tokens":
        x, real = embedding.text_tokens(
            input_tensor, vocabulary_size, width, has_class_token=pooling == "cls"
        )
        if positions == "sinusoidal":
            # As in the paper: the sines have a standard deviation of 0.7, a new embedding of 0.03.
            x = layers.Rescaling(math.sqrt(width), name="embedding_scale")(x)
    elif inputs == "image":
        x = embedding.image_patches(input_tensor, patch_size, width, rescale=rescale)
    elif inputs == "series":
        x, mask = parts.scale_series(
            input_tensor, scale, offset, rescale=rescale, padded=padded, normalised=normalised
        )
        if mask is not None:
            x = ops.concatenate([x, mask], axis=-1)  # a column of its own, with its own patches
        known_ahead = parts.Covariates(x, covariates, horizon) if covariates else None
        window_norm = parts.window_norm(
            x, reversible_norm, scale_free=scale_free, offset=offset if rescale else None
        )
        if window_norm is not None:
            x = window_norm.windows
        if horizon is not None and outputs < x.shape[-1]:
            x = x[:, :, :outputs]  # forecasts depend on no other feature
        x = embedding.series_patches(x, patch_size, patch_stride or patch_size, width)
    else:
        x = embedding.column_tokens(
            input_tensor,
            categories,
            text_buckets,
            text_lengths,
            width,
            rescale=rescale,
            scale=scale,
            offset=offset,
            clip=input_clip,
        )
    if pooling == "cls":
        x = embedding.prepend_class_token(x)
    turns = None
    if positions == "rotary":
        turns = embedding.rotary_turns(x, width // num_heads, real=real)
    elif positions:
        x = embedding.add_positions(x, positions, real=real)
    if positions and dropout:
        x = layers.Dropout(dropout, name="embedding_dropout")(x)

    for i in range(1, depth + 1):
        x = encoder_block(
            x,
            name=f"block{i}",
            num_heads=num_heads,
            intermediate_dim=intermediate_dim,
            activation=activation,
            norm=norm,
            norm_position=norm_position,
            dropout=dropout,
            real=real,
            causal=causal,
            turns=turns,
        )
    if norm_position == "pre":
        x = parts.normalize(x, norm, name="final_norm")

    x = _pool(x, pooling, real=real)  # (B, D); (B, F, D) of a series
    if inputs == "series" and horizon is None:
        x = layers.Flatten(name="join_features")(x)
    if dense_dropout:
        x = layers.Dropout(dense_dropout, name="pool_dropout")(x)
    for i, units in enumerate(dense_units or (), start=1):
        x = parts.dense_block(x, units, "relu", name=f"dense{i}", dropout=dense_dropout)
    if horizon is None:
        x = parts.head(x, outputs, output_activation, quantiles=quantiles)
    else:
        if known_ahead is not None:
            x = parts.steps_first(
                parts.head(x, horizon * parts.levels_of(quantiles), None), horizon
            )  # (B, horizon, outputs * levels)
            x = parts.ascending(known_ahead.effect_on(x, window_norm, outputs), quantiles)
        else:
            # (B, outputs, horizon * levels)
            x = parts.head(x, horizon, output_activation, quantiles=quantiles)
            x = parts.steps_first(x, horizon)  # (B, horizon, outputs * levels)
    if window_norm is not None:
        x = window_norm.undo(x, outputs, quantiles)
    # windows that are not shifted have forecasts that are not
    target_offset = None if normalised else target_offset
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def encoder_block(
    x: keras.KerasTensor,
    *,
    name: str,
    num_heads: int,
    intermediate_dim: int,
    activation: str | None,
    norm_position: str,
    dropout: float,
    norm: str | None = "layer",
    real: keras.KerasTensor | None = None,
    causal: bool = False,
    turns: keras.KerasTensor | None = None,
) -> keras.KerasTensor:
    """Apply attention between tokens, then a feed-forward layer to each; both are residual.

    Args:
        x: (B, N, D), or (B, N, F, D) for F series without attention between them.
        real: which tokens to attend to, (B, N) booleans; None for all.
        turns: rotations of the heads for rotary positions; None for attention without them.
    """
    width = x.shape[-1]
    settings: dict[str, Any] = dict(
        name=name, norm=norm, norm_position=norm_position, dropout=dropout
    )
    y = _before(x, "attention", **settings)
    if turns is None:
        y = _attention(y, name=name, num_heads=num_heads, real=real, causal=causal)
    else:
        y = _rotary_attention(
            y, turns, name=name, num_heads=num_heads, norm=norm, real=real, causal=causal
        )
    x = _after(x, y, "attention", **settings)
    y = _before(x, "dense", **settings)
    y = layers.Dense(intermediate_dim, name=f"{name}_expand")(y)
    y = parts.activate(y, activation, name=f"{name}_{activation}")
    y = layers.Dense(width, name=f"{name}_project")(y)
    return _after(x, y, "dense", **settings)


def _attention(
    x: keras.KerasTensor,
    *,
    name: str,
    num_heads: int,
    real: keras.KerasTensor | None,
    causal: bool,
) -> keras.KerasTensor:
    """Apply self-attention between tokens; `real` is False for padding (see `encoder_block`)."""
    attention = layers.MultiHeadAttention(
        num_heads,
        x.shape[-1] // num_heads,
        attention_axes=(1,) if len(x.shape) == 4 else None,  # of (B, N, F, D), only over N
        name=f"{name}_attention",
    )
    mask = None if real is None else ops.expand_dims(real, 1)  # (B, 1, N): the same for every query
    return attention(x, x, attention_mask=mask, use_causal_mask=causal)


def _rotary_attention(
    x: keras.KerasTensor,
    turns: keras.KerasTensor,
    *,
    name: str,
    num_heads: int,
    norm: str | None,
    real: keras.KerasTensor | None,
    causal: bool,
) -> keras.KerasTensor:
    """Apply attention with rotary positions; Keras' layer cannot modify queries and keys after their projection.

    Queries and keys are normalised before they are rotated (https://arxiv.org/abs/2302.05442).
    """
    tokens, width = x.shape[1:]
    size = width // num_heads

    def heads(part: keras.KerasTensor) -> keras.KerasTensor:
        y = layers.Dense(width, use_bias=False, name=f"{name}_{part}")(x)
        return layers.Reshape((tokens, num_heads, size), name=f"{name}_{part}_heads")(y)

    query, key = (
        embedding.turn(parts.normalize(heads(part), norm, name=f"{name}_{part}_norm"), turns)
        for part in ("query", "key")
    )
    scores = ops.einsum("bqhd,bkhd->bhqk", query, key) * size**-0.5
    weights = ops.softmax(ops.where(_visible(real, causal), scores, -1e9), axis=-1)
    y = ops.einsum("bhqk,bkhd->bqhd", weights, heads("value"))
    y = layers.Reshape((tokens, width), name=f"{name}_joined")(y)
    return layers.Dense(width, use_bias=False, name=f"{name}_attention")(y)


def _visible(real: keras.KerasTensor | None, causal: bool) -> keras.KerasTensor:
    """Return which tokens each token attends to, (B, 1, N, N): itself and real ones, with `causal` no later ones."""
    positions = ops.cumsum(ops.ones_like(real, dtype="int32"), axis=1)
    query_positions = ops.expand_dims(positions, 2)
    key_positions = ops.expand_dims(positions, 1)
    visible = ops.expand_dims(real, 1)
    if causal:
        visible = ops.logical_and(visible, ops.greater_equal(query_positions, key_positions))
    return ops.expand_dims(ops.logical_or(visible, ops.equal(query_positions, key_positions)), 1)


def _before(
    x: keras.KerasTensor,
    part: str,
    *,
    name: str,
    norm: str | None,
    norm_position: str,
    dropout: float,
) -> keras.KerasTensor:
    """Normalise the input of a pre-norm sub-layer."""
    return parts.normalize(x, norm, name=f"{name}_{part}_norm") if norm_position == "pre" else x


def _after(
    x: keras.KerasTensor,
    y: keras.KerasTensor,
    part: str,
    *,
    name: str,
    norm: str | None,
    norm_position: str,
    dropout: float,
) -> keras.KerasTensor:
    """Add the output of a sub-layer, and normalise the sum in a post-norm block."""
    if dropout:
        y = layers.Dropout(dropout, name=f"{name}_{part}_dropout")(y)
    x = layers.Add(name=f"{name}_{part}_add")([x, y])
    return parts.normalize(x, norm, name=f"{name}_{part}_norm") if norm_position == "post" else x


def _pool(
    x: keras.KerasTensor, pooling: str | None, *, real: keras.KerasTensor | None
) -> keras.KerasTensor:
    """Pool the tokens (B, N, ..., D) to (B, ..., D); None returns them unchanged."""
    if pooling is None:
        return x
    if pooling == "cls":
        return x[:, 0]
    if pooling == "mean" and real is not None:
        real = ops.expand_dims(ops.cast(real, x.dtype), -1)  # (B, N, 1)
        return ops.sum(x * real, axis=1) / ops.sum(real, axis=1)
    if pooling == "mean":
        return ops.mean(x, axis=1)
    if len(x.shape) == 4:
        x = layers.Permute((2, 1, 3), name="features_first")(x)  # (B, F, N, D)
        return layers.Reshape((x.shape[1], -1), name="flatten")(x)
    return layers.Flatten(name="flatten")(x)
