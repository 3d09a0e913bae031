"""Recurrent networks: simple, LSTM and GRU cells over tokens or series."""

import keras
from keras import layers, ops

from kzoo.families import parts

FAMILIES = {"rnn": {"cell": "rnn"}, "lstm": {"cell": "lstm"}, "gru": {"cell": "gru"}}
NEEDS = {"dense_dropout": {"dense_units": "any"}}
CELLS = {"rnn": layers.SimpleRNN, "lstm": layers.LSTM, "gru": layers.GRU}


def build(
    *,
    name,
    input_shape,
    outputs,
    cell="lstm",
    inputs="tokens",
    vocabulary_size=10_000,
    embedding_dim=64,
    embedding_dropout=0.0,
    units=(64,),
    bidirectional=False,
    dropout=0.0,
    recurrent_dropout=0.0,
    layer_norm=False,
    pooling="last",
    dense_units=(),
    dense_dropout=0.0,
    output_activation="softmax",
    horizon=None,
    reversible_norm=False,
    rescale=True,
    scale=None,
    offset=None,
    target_scale=None,
    target_offset=None,
    stateful=False,
    stateful_batch=1,
):
    """Build a stack of recurrent layers: SimpleRNN, LSTM (1997) or GRU (arXiv:1406.1078).

    Padding (id 0) to the left or right of a text, however much, never changes an answer. It is moved to
    the right before the first layer and left out of the pooling, instead of being masked in every step:
    the answers are the same, and an exported LSTM without a mask is several times faster.

    With `pooling=None` there is one answer per step. The steps must stay where they are then, so
    windows are full or padded on the right, and only the answers of padded steps depend on the padding.

    Args:
        name: name of the model.
        input_shape: (tokens,) for tokens, (steps, features) for series, where steps may be None until data says how
            many.
        outputs: number of classes, targets, or words to choose the next one from.
        cell: `"rnn"`, `"lstm"` or `"gru"`.
        inputs: what goes in: `"tokens"`, ids with 0 for padding, or `"series"`, raw values with the targets first.
        vocabulary_size: number of token ids, padding (0) and unknown (1) among them.
        embedding_dim: width of a token's vector.
        embedding_dropout: dropout after the embedding.
        units: width of every recurrent layer.
        bidirectional: read in both directions and join what they found.
        dropout: dropout after every recurrent layer, one rate for all or one each. After the last one, it
            acts on the pooled features.
        recurrent_dropout: dropout inside the recurrence; above 0 it rules out the fast GPU kernels.
        layer_norm: layer normalisation after every recurrent layer.
        pooling: how steps become one vector. `"last"` (real) step, `"mean"` or `"max"` over the real steps, None
            for every step.
        dense_units: widths of relu layers before the answer.
        dense_dropout: dropout after each of them.
        output_activation: activation of the answer; None for logits and real-valued targets.
        horizon: steps to forecast; none: one answer for the whole series. (B, horizon, outputs) or (B, outputs).
        reversible_norm: what is taken off every window and put back in its forecast. True is its mean, and its spread
            is divided by; `"last"` is its last value; False is nothing.
        rescale: scale the series inside the model; False for values that are scaled already.
        scale: per feature of a series, 1 / standard deviation of the training split: `x * scale + offset`.
        offset: per feature of a series, -mean / standard deviation; None for the identity, as in `scale`.
        target_scale: per target, standard deviation of the training split: `y * scale + offset`.
        target_offset: per target, mean of the training split.
        stateful: keep the state between calls, to generate step by step. Such a copy, with
            `input_shape=(1,)`, takes the weights of the trained model. It reads no padding.
        stateful_batch: number of sequences that a stateful model reads side by side.

    Raises:
        ValueError: a value does not fit the family, or another value.
    """
    parts.check_choice(cell, tuple(CELLS), name="cell")
    parts.check_choice(inputs, ("tokens", "series"), name="inputs")
    parts.check_choice(pooling, ("last", "mean", "max", None), name="pooling")
    parts.check_shape(input_shape, ("tokens",) if inputs == "tokens" else ("steps", "features"))
    rates = parts.per_layer(dropout, len(units), name="dropout")
    if not units:
        raise ValueError("units=() has no layer. Give one width per recurrent layer, such as (64,).")
    if stateful and bidirectional:
        raise ValueError("stateful=True reads only forwards; it needs bidirectional=False.")
    parts.check_forecast(inputs, outputs, input_shape, horizon=horizon, reversible_norm=reversible_norm)
    if horizon is not None and pooling is None:
        raise ValueError("pooling=None answers at every step; a forecast needs 'last', 'mean' or 'max'.")

    batch = stateful_batch if stateful else None
    kind = "int32" if inputs == "tokens" else "float32"
    given = keras.Input(input_shape, batch_size=batch, dtype=kind, name="inputs")
    real = None  # which steps count, (B, T, 1); None where all of them do
    last = None  # the last of them, (B, T, 1)
    window = ()
    if inputs == "tokens":
        ids = given
        if not stateful and pooling is not None:
            ids = _padding_to_the_right(given)
        if not stateful and (bidirectional or pooling is not None):
            real, last = _real_steps(ids)
        x = layers.Embedding(vocabulary_size, embedding_dim, name="embedding")(ids)  # (B, T, E)
        if embedding_dropout:
            x = layers.Dropout(embedding_dropout, name="embedding_dropout")(x)
    else:
        x = parts.scale_inputs(given, scale, offset) if rescale else given
        if reversible_norm:
            x, *window = parts.window_norm(x, reversible_norm)

    for i, (width, rate) in enumerate(zip(units, rates, strict=True), start=1):
        final = i == len(units)
        x = _recurrent_layer(
            x,
            CELLS[cell],
            width,
            name=f"layer{i}",
            sequences=not final or pooling != "last" or real is not None,
            # Only a layer that reads backwards meets the padding before the text.
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

    for i, width in enumerate(dense_units, start=1):
        x = parts.dense_block(x, width, "relu", name=f"dense{i}", dropout=dense_dropout)
    x = parts.head(x, outputs, output_activation, horizon=horizon)
    if window:
        x = parts.undo_window_norm(x, *window, outputs)
    x = parts.unscale_targets(x, target_scale, target_offset)
    return keras.Model(given, x, name=name)


def _recurrent_layer(x, cell, width, *, name, sequences, mask, bidirectional, recurrent_dropout, stateful):
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


def _padding_to_the_right(ids):
    """Turn every row so that the padding on its left comes after its text: (B, T)."""
    step = ops.cumsum(ops.ones_like(ids), axis=1) - 1  # 0, 1, 2, ... (B, T)
    real = ops.cast(ops.not_equal(ids, 0), "int32")
    leading = ops.sum(ops.cast(ops.equal(ops.cumsum(real, axis=1), 0), "int32"), axis=1, keepdims=True)
    return ops.take_along_axis(ids, ops.mod(step + leading, ids.shape[1]), axis=1)


def _real_steps(ids):
    """Find the steps up to the last real token, and this last one, as booleans (B, T, 1).

    A row of padding alone counts its first step, so that no mean is divided by zero.
    """
    step = ops.cumsum(ops.ones_like(ids), axis=1) - 1  # (B, T)
    end = ops.max(step * ops.cast(ops.not_equal(ids, 0), "int32"), axis=1, keepdims=True)  # (B, 1)
    return ops.expand_dims(step <= end, -1), ops.expand_dims(ops.equal(step, end), -1)


def _pool(x, pooling, *, real, last):
    """Bring the steps (B, T, D) together to (B, D); None keeps them."""
    if pooling is None:
        return x
    if real is None:
        pool = layers.GlobalAveragePooling1D if pooling == "mean" else layers.GlobalMaxPooling1D
        return pool(name=f"pool_{pooling}")(x)
    if pooling == "max":
        return ops.max(ops.where(real, x, -1e4), axis=1)
    chosen = ops.cast(last if pooling == "last" else real, x.dtype)  # (B, T, 1)
    total = ops.sum(x * chosen, axis=1)  # (B, D)
    return total if pooling == "last" else total / ops.sum(chosen, axis=1)
