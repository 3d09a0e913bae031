"""Recurrent networks: simple, LSTM and GRU cells over tokens or series."""

import keras
from keras import layers, ops

from kzoo.zoo.families import parts

FAMILIES = {"rnn": {"cell": "rnn"}, "lstm": {"cell": "lstm"}, "gru": {"cell": "gru"}}
NEEDS = {"dense_dropout": {"dense_units": "any"}}
CELLS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def build(
    *,
    name: str,
    input_shape: tuple[int, ...],
    outputs: int,
    cell: str = "lstm",
    inputs: str = "tokens",
    vocabulary_size: int = 10_000,
    embedding_dim: int = 64,
    embedding_dropout: float = 0.0,
    units: tuple[int, ...] = (64,),
    bidirectional: bool = False,
    dropout: float = 0.0,
    recurrent_dropout: float = 0.0,
    layer_norm: bool = False,
    pooling: str | None = "last",
    dense_units: tuple[int, ...] = (),
    dense_dropout: float = 0.0,
    output_activation: str | None = "softmax",
    horizon: int | None = None,
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
    stateful: bool = False,
    stateful_batch: int = 1,
) -> keras.Model:
    """Build a stack of recurrent layers: SimpleRNN, LSTM (1997) or GRU (arXiv:1406.1078).

    Padding (id 0) on either side of a text never changes the output. It is moved to the right before the first layer
    and excluded from the pooling, instead of being masked in every step: the outputs are the same, and an exported LSTM
    without a mask is several times faster.

    With `pooling=None` there is one output per step. Steps cannot be moved then, so windows must be full or padded on
    the right, and only the outputs of padded steps depend on the padding.

    Args:
        name: name of the model.
        input_shape: (tokens,) for tokens, (steps, features) for series, where steps may be None until the data sets
            them.
        outputs: number of classes, targets, or words in the vocabulary of the next word.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        inputs: type of the inputs: `"tokens"`, ids with 0 for padding, or `"series"`, raw values with the targets
            first.
        vocabulary_size: number of token ids, including padding (0) and unknown (1).
        embedding_dim: width of the vector of a token.
        embedding_dropout: dropout after the embedding.
        units: width of every recurrent layer.
        bidirectional: read in both directions and concatenate the outputs.
        dropout: dropout after every recurrent layer, one rate for all or one each. After the last one, it
            acts on the pooled features.
        recurrent_dropout: dropout inside the recurrence; above 0, the fast GPU kernels cannot be used.
        layer_norm: layer normalisation after every recurrent layer.
        pooling: how steps are pooled to one vector. `"last"` (real) step, `"mean"` or `"max"` over the real steps, None
            for every step.
        dense_units: widths of the relu layers before the output.
        dense_dropout: dropout after each of them.
        output_activation: activation of the output; None for logits and real-valued targets.
        horizon: number of steps to forecast; None for a single output. (B, horizon, outputs) or (B, outputs).
        reversible_norm: normalisation of each window that is undone in its forecast. True subtracts the mean and
            divides by the standard deviation; `"last"` subtracts the last value; `"log"` divides by the mean of the
            values that are not 0 and takes the inverse hyperbolic sine; False does nothing.
        scale_free: whether that normalisation has the window's own scale alone, so that the forecast of k times a
            window is k times its forecast (see `parts.ScaleFreeNorm`); the targets' offset is then not used.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature of a series, 1 / standard deviation in the training split; inputs become
            `x * scale + offset`.
        offset: per feature of a series, -mean / standard deviation; None, as for `scale`, for no change.
        target_scale: per target, standard deviation in the training split; the output becomes `y * scale + offset`.
        target_offset: for each target, mean in the training split.
        quantiles: levels of the quantiles to predict for each target; None for one value per target.
        padded: whether the last feature of a series marks real steps by 1 and padding after them by 0; None for False.
        stateful: keep the state between calls, to generate step by step. Such a copy of a trained model has
            `input_shape=(1,)` and does not support padding.
        stateful_batch: batch size of a stateful model.

        covariates: number of columns that are known ahead of time: the last `2 * covariates` of the inputs are their
            values at a step and `horizon` steps later; None for none.

    Raises:
        ValueError: a value is not valid for the family, or contradicts another one.
    """
    parts.check_choice(cell, tuple(CELLS), name="cell")
    parts.check_choice(inputs, ("tokens", "series"), name="inputs")
    parts.check_choice(pooling, ("last", "mean", "max", None), name="pooling")
    parts.check_shape(input_shape, ("tokens",) if inputs == "tokens" else ("steps", "features"))
    rates = parts.per_layer(dropout, len(units), name="dropout")
    if not units:
        raise ValueError("units=() is empty. Give one width per recurrent layer, such as (64,).")
    if stateful and bidirectional:
        raise ValueError(
            "stateful=True needs bidirectional=False: a stateful model can only read its input forwards."
        )
    parts.check_forecast(
        inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm
    )
    normalised = parts.count_normalised(
        input_shape, covariates, reversible_norm=reversible_norm, scale_free=scale_free
    )
    if horizon is not None and pooling is None:
        raise ValueError(
            "pooling=None returns an output at every step. A forecast needs pooling='last', 'mean' or 'max'."
        )

    batch = stateful_batch if stateful else None
    kind = "int32" if inputs == "tokens" else "float32"
    input_tensor = keras.Input(input_shape, batch_size=batch, dtype=kind, name="inputs")
    real = None  # which steps are not padding, (B, T, 1) booleans; None if all are real
    last = None  # the last real step, (B, T, 1) booleans
    window_norm, known_ahead = None, None
    if inputs == "tokens":
        ids = input_tensor
        if not stateful and pooling is not None:
            ids = _padding_to_the_right(input_tensor)
        if not stateful and (bidirectional or pooling is not None):
            real, last = _real_steps(ids)
        x = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(ids)  # (B, T, E)
        if embedding_dropout:
            x = layers.Dropout(embedding_dropout, name="embedding_dropout")(x)
    else:
        x, mask = parts.scale_series(
            input_tensor, scale, offset, rescale=rescale, padded=padded, normalised=normalised
        )
        if mask is not None and pooling is not None:
            real = mask > 0.5
            last = parts.last_real_step(mask) > 0.5
        known_ahead = parts.Covariates(x, covariates, horizon) if covariates else None
        x = x if known_ahead is None else known_ahead.past
        window_norm = parts.window_norm(
            x, reversible_norm, scale_free=scale_free, offset=offset if rescale else None
        )
        if window_norm is not None:
            x = window_norm.windows
        x = x if known_ahead is None else known_ahead.joined(x)

    for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
        final = i == len(units)
        x = _recurrent_layer(
            x,
            CELLS[cell],
            width,
            name=f"layer{i}",
            sequences=not final or pooling != "last" or real is not None,
            # Only a layer that reads backwards reads the padding before the text.
            mask=ops.squeeze(real, -1) if bidirectional and real is not None else None,
            bidirectional=bidirectional,
            recurrent_dropout=recurrent_dropout,
            stateful=stateful,
        )
        if layer_norm:
            x = parts.normalize(x, "layer", name=f"layer{i}_norm")
        if final and len(x.shape) == 3:
            x = _pool(x, pooling, real=real, last=last)
        if rate:
            x = layers.Dropout(rate, name=f"layer{i}_dropout")(x)

    for i, width in enumerate(dense_units or (), start=1):
        x = parts.dense_block(x, width, "relu", name=f"dense{i}", dropout=dense_dropout)
    adjust = (
        None
        if known_ahead is None
        else lambda forecast: known_ahead.effect_on(forecast, window_norm, outputs)
    )
    x = parts.head(
        x, outputs, output_activation, horizon=horizon, quantiles=quantiles, adjust=adjust
    )
    if window_norm is not None:
        x = window_norm.undo(x, outputs, quantiles)
    # windows that are not shifted have forecasts that are not
    target_offset = None if normalised else target_offset
    x = parts.unscale_targets(x, target_scale, target_offset, quantiles)
    return keras.Model(input_tensor, x, name=name)


def _recurrent_layer(
    x: keras.KerasTensor,
    cell: type[keras.Layer],
    width: int,
    *,
    name: str,
    sequences: bool,
    mask: keras.KerasTensor | None,
    bidirectional: bool,
    recurrent_dropout: float,
    stateful: bool,
) -> keras.KerasTensor:
    """Apply one recurrent layer, in one direction or both: (B, T, width) or (B, width)."""
    layer = cell(
        width,
        return_sequences=sequences,
        recurrent_dropout=recurrent_dropout,
        stateful=stateful,
        name=name,
    )
    if not bidirectional:
        return layer(x)
    return layers.Bidirectional(layer, name=f"{name}_both")(x, mask=mask)


def _padding_to_the_right(ids: keras.KerasTensor) -> keras.KerasTensor:
    """Rotate every row so that the padding on the left moves behind the text: (B, T)."""
    step = ops.cumsum(ops.ones_like(ids), axis=1) - 1  # 0, 1, 2, ... (B, T)
    real = ops.cast(ops.not_equal(ids, 0), "int32")
    leading = ops.sum(
        ops.cast(ops.equal(ops.cumsum(real, axis=1), 0), "int32"), axis=1, keepdims=True
    )
    return ops.take_along_axis(ids, ops.mod(step + leading, ids.shape[1]), axis=1)


def _real_steps(ids: keras.KerasTensor) -> "tuple[keras.KerasTensor, keras.KerasTensor]":
    """Return the steps up to the last real token, and that last one, as booleans (B, T, 1).

    The first step of a row of only padding counts as real, to avoid a division by zero.
    """
    step = ops.cumsum(ops.ones_like(ids), axis=1) - 1  # (B, T)
    end = ops.max(step * ops.cast(ops.not_equal(ids, 0), "int32"), axis=1, keepdims=True)  # (B, 1)
    return ops.expand_dims(step <= end, -1), ops.expand_dims(ops.equal(step, end), -1)


def _pool(
    x: keras.KerasTensor,
    pooling: str | None,
    *,
    real: keras.KerasTensor | None,
    last: keras.KerasTensor | None,
) -> keras.KerasTensor:
    """Pool the steps (B, T, D) to (B, D); None returns them unchanged."""
    if pooling is None:
        return x
    if real is None:
        pool = layers.GlobalAveragePooling1D if pooling == "mean" else layers.GlobalMaxPooling1D
        return pool(name=f"pool_{pooling}")(x)
    if pooling == "max":
        return ops.max(ops.where(real, x, -1e4), axis=1)
    weights = ops.cast(last if pooling == "last" else real, x.dtype)  # (B, T, 1)
    total = ops.sum(x * weights, axis=1)  # (B, D)
    return total if pooling == "last" else total / ops.sum(weights, axis=1)
